"""User mode: an agent without root, on its person's own desktop with a screen that people can see, through the whole relay."""
import json
import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile

import pytest
from PIL import Image

import system
from office_desk import ALT, CTRL, DELETE, KEYBOARD, MOUSE, Manager, Office, Saver, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own, and Xorg takes a configuration file from root only")
LOCKED, NO_DISPLAY, WAYLAND, ASLEEP, ADMIN, DARK_UNDONE, BREAK, LOST, STANDBY = 303, 1350, 1351, 1352, 1354, 1356, 1359, 1361, 1363
PASSWORD = "sakura-momiji-tsubaki-4711"


def free_uid():
    """One that nobody has: what this user's agent can do is what it can do by itself."""
    while True:
        uid = 700000 + secrets.randbelow(100000)
        try:
            pwd.getpwuid(uid)
        except KeyError:
            return uid


class Person:
    """Somebody without any right, who has unpacked Engawa into the home directory."""

    def __init__(self, engawa, directory):
        self.engawa, self.dir, self.uid = engawa, directory, free_uid()
        self.home, self.run_dir, self.bin = directory / "home", directory / "run", directory / "bin"
        for path in self.home, self.run_dir, self.bin:
            path.mkdir()
        for name in "cli/engawa", "agent/engawa-agent", "desktop/engawa-desktop", "desktop/engawa-guard":
            shutil.copy(system.BUILD / "src" / name, self.bin)
        for path in engawa.org_file, engawa.policy_file:
            shutil.copy(path, self.home)
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, self.uid, self.uid)
        self.run_dir.chmod(0o700)
        self.state = self.home / ".local/state/engawa-agent"
        self.office = Office(directory, self.uid)
        self.office.run("xrandr", "--output", "DUMMY0", "--mode", "1024x768")
        (directory / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + f"tanaka:x:{self.uid}:{self.uid}::{self.home}:/bin/sh\n")
        known = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'mount --bind {directory}/passwd /etc/passwd && exec "$@"', "sh"]
        self.manager = Manager(directory, self.office.display, self.uid, prefix=known)
        self.saver = Saver(directory, prefix=known)
        self.env = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.run_dir), "PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8",
            "DISPLAY": self.office.display, "XAUTHORITY": str(self.office.authority), "DBUS_SYSTEM_BUS_ADDRESS": self.manager.address,
            "DBUS_SESSION_BUS_ADDRESS": self.saver.address} | {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        self.log_path = directory / "agent.log"
        self.agent = None

    def drop(self):
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--inh-caps=-all", "--no-new-privs"]

    def space(self, argv, administrator=False):
        """In a mount namespace without traces of an administrator's agent, whatever this computer has; or with one."""
        hide = f"mount --bind {self.dir}/passwd /etc/passwd; for d in /var/lib /etc/engawa /run; do if [ -d $d ]; then mount -t tmpfs none $d; fi; done; "
        mark = "mkdir /var/lib/engawa-agent; " if administrator else ""
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide + mark + 'exec "$@"', "sh", *self.drop(), *map(str, argv)]

    def tool(self, *argv, administrator=False, **options):
        return subprocess.run(self.space([self.bin / argv[0], *argv[1:]], administrator), env=self.env, capture_output=True, text=True, timeout=60,
            cwd=self.home, **({"input": ""} | options))

    def done(self, *argv, **options):
        run = self.tool(*argv, **options)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def start(self, *options, env=None):
        self.agent = subprocess.Popen(self.space([self.bin / "engawa-agent", "--policy-file", self.home / "policy", "--self-connect", "yes", "--log-level", "debug",
            *options, "run"]), env=self.env | (env or {}), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.log_path, "ab"), cwd=self.home,
            start_new_session=True)
        wait_for(self.is_up, "the agent does not reach the relay", 90)

    def status(self):
        run = self.tool("engawa", "agent", "status")
        return json.loads(run.stdout) if run.returncode == 0 else None

    def is_up(self):
        assert self.agent.poll() is None, self.log()[-2000:]
        return any(gate["up"] for gate in (self.status() or {"gates": []})["gates"])

    def enrol(self):
        code = self.engawa.tool("engawa", "code", "new", "--org", system.ORGANISATION)
        self.terminal_id = self.done("engawa", "agent", "enrol", "--org", self.home / self.engawa.org_file.name, "--org-fingerprint",
            self.engawa.fingerprint(), "--code", code).strip()
        self.start()
        [new] = [agent for agent in self.engawa.agents() if agent["state"] == "pending"]
        self.engawa.tool("engawa", "agent", "approve", new["id"])
        self.done("engawa", "agent", "password", input=PASSWORD + "\n")
        self.done("engawa", "agent", "mail", system.ADDRESS)
        self.password_file = self.dir / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.password_file.chmod(0o600)

    def restart(self, *options, **more):
        self.stop()
        self.start(*options, **more)

    def connect(self, *actions):
        return self.engawa.connect(*actions, terminal_id=self.terminal_id, password_file=self.password_file, timeout_s=180)

    def session(self):
        """One that is at work until something ends it."""
        mark = len(self.log())
        client = subprocess.Popen([str(a) for a in self.engawa.connect_argv("--for", "120s", terminal_id=self.terminal_id, password_file=self.password_file)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
        wait_for(lambda: "session.start" in self.log()[mark:] or client.poll() is not None, "no session", 90)
        assert client.poll() is None, client.communicate()
        return client

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def processes(self):
        """Ours, by what they call themselves."""
        found = {}
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            name = re.search(r"Name:\t(.*)", text)[1]
            if f"Uid:\t{self.uid}\t" in text and name.startswith("engawa"):
                found[name] = (int(status.parent.name), text)
        return found

    def stop(self, number=signal.SIGTERM):
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(number)
            self.agent.wait(30)
        wait_for(lambda: not self.processes(), "processes are left", 30)

    def close(self):
        self.stop()
        for part in self.saver, self.manager, self.office:
            part.stop()


def lock_is_on(person):
    """Its window is there, and nobody else gets the keyboard."""
    return "i3lock" in person.office.run("xwininfo", "-root", "-tree")


def ended(client):
    out, _ = client.communicate(timeout=120)
    return json.loads(out)["code"]


@pytest.fixture(scope="module")
def person(own_engawa):
    # not below a directory of root's
    with tempfile.TemporaryDirectory(prefix="engawa-user-") as directory:
        os.chmod(directory, 0o755)
        person = Person(own_engawa, pathlib.Path(directory))
        try:
            person.enrol()
            yield person
        finally:
            person.close()


@pytest.fixture(autouse=True)
def open_desktop(person):
    """Each test begins with an unlocked desktop and an agent that is up."""
    wait_for(lambda: "engawa-guard" not in person.processes(), "the guard does not leave", 60)
    person.saver.set(False)
    if person.agent.poll() is not None:
        person.start()


def test_session_without_root(person):
    before = person.office.settings()
    assert person.status()["user_mode"] is True
    client = person.session()
    assert person.office.is_dark() and person.office.floating() == [KEYBOARD, MOUSE]
    assert ("sleep:idle", "Engawa") in [(i[0], i[1]) for i in person.manager.inhibitors()]
    assert {"engawa-agent", "engawa-work", "engawa-pump", "engawa-control", "engawa-standby", "engawa-guard", "engawa-desktop"} <= set(person.processes())
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=60)
    wait_for(lambda: person.office.settings() == before, "not everything is put back", 60)
    assert person.saver.locked
    wait_for(lambda: person.manager.inhibitors() == [], "the office PC cannot sleep any more")


def test_nobody_has_rights(person):
    """Every process is the person's and none can get more rights; what reads the network is under seccomp."""
    client = person.session()
    for name, (pid, text) in person.processes().items():
        assert f"Uid:\t{person.uid}\t{person.uid}\t{person.uid}" in text and "CapEff:\t0000000000000000" in text, name
        if name in ("engawa-control", "engawa-pump", "engawa-work", "engawa-desktop", "engawa-guard", "engawa-standby"):
            assert "Seccomp:\t2" in text and "NoNewPrivs:\t1" in text, name
    client.terminate()
    client.communicate(timeout=60)


def test_locked(person):
    person.saver.set(True)
    assert person.connect("--for", "1s")["code"] == LOCKED
    assert not person.office.is_dark()


def test_lock_is_seen_at_home(person, tmp_path):
    """A real lock is on. Without LOCKED_DESKTOP nobody is let in, though the lock tells nobody that it is on; with it the person at home sees
    the lock and types into it, while the office PC is dark."""
    lock = subprocess.Popen(["i3lock", "--nofork", "--color=204060"], env=person.env)
    try:
        wait_for(lambda: (lock.poll() is None) and lock_is_on(person), "no lock")
        assert person.connect("--for", "1s")["code"] == LOCKED
        person.restart("--locked-desktop", "yes")
        picture = tmp_path / "lock.png"

        def seen():
            assert person.connect("--wait", "1s", "--type", "abc", "--wait", "500ms", "--screenshot", picture)["code"] == 0
            pixels = list(Image.open(picture).convert("RGB").getdata())
            lock_seen = sum(max(abs(a - b) for a, b in zip(pixel, (0x20, 0x40, 0x60))) <= 22 for pixel in pixels)
            ring_seen = sum(g > r + 40 and g > b + 40 for r, g, b in pixels)
            return lock_seen / len(pixels) > 0.9 and ring_seen > 1000
        wait_for(seen, "nothing is seen of the lock, or of what is typed into it", 60)  # a lock that is slow to draw is seen the next time
    finally:
        lock.kill()
        lock.wait()
        person.restart()


def test_attack_wrong_password_learns_nothing_of_the_desktop(person, tmp_path):
    """Who does not know the password must not learn whether the person sits at the office PC: a locked desktop refuses only who has
    passed all steps."""
    person.saver.set(True)
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-password-1\n")
    wrong.chmod(0o600)
    result = person.engawa.connect("--for", "1s", terminal_id=person.terminal_id, password_file=wrong, timeout_s=180)
    assert result["code"] not in (0, LOCKED), result


def test_break_keys(person):
    client = person.session()
    person.office.touch().press(CTRL, ALT, DELETE)
    assert ended(client) == BREAK
    wait_for(lambda: person.saver.locked, "it is not locked")


def test_attack_kill_the_guard_at_work(person):
    """The person at home kills the guard to have the office PC's screen lit: the session ends, the desktop is locked, and only then
    everything is put back."""
    before = person.office.settings()
    client = person.session()
    os.kill(person.processes()["engawa-guard"][0], signal.SIGKILL)
    assert ended(client) == LOST
    wait_for(lambda: person.office.settings() == before, "not everything is put back", 60)
    assert person.saver.locked


def test_attack_kill_everything(person):
    """SIGKILL of all processes at once, as when the computer's memory runs out (the first to die is not seen by the others): the agent's next
    start locks and puts back."""
    before = person.office.settings()
    client = person.session()
    ours = [pid for pid, _ in person.processes().values()]
    for number in signal.SIGSTOP, signal.SIGKILL:
        for pid in ours:
            os.kill(pid, number)
    client.kill()
    client.communicate()
    person.agent.wait(30)
    assert person.office.is_dark() and person.office.floating() == [KEYBOARD, MOUSE]
    person.stop()
    person.start()
    wait_for(lambda: person.office.settings() == before, "not everything is put back", 60)
    assert person.saver.locked


def test_sleep_is_told(person):
    client = person.session()
    person.manager.prepare_for_sleep()
    assert ended(client) == ASLEEP


def test_agent_stops(person):
    """The end of the agent is the end of the session, and of the dark screen."""
    before = person.office.settings()
    client = person.session()
    person.stop()
    client.communicate(timeout=60)
    assert person.office.settings() == before and person.saver.locked


@pytest.mark.parametrize("env, code", [({"XDG_SESSION_TYPE": "wayland"}, WAYLAND), ({"DISPLAY": ":59999"}, NO_DISPLAY)])
def test_no_desktop_to_show(person, env, code):
    person.restart(env=env)
    assert person.connect("--for", "1s")["code"] == code
    person.stop()


def test_standby_that_is_refused(person):
    """Said to the person at home, who works on."""
    mark = len(person.log())
    person.manager.refuse()
    result = person.connect("--for", "3s")
    assert result["code"] == 0 and "standby.refused" in person.log()[mark:], result
    assert "EW-1363" in result["stderr"] or STANDBY in [n["code"] for n in result.get("notices", [])], result


def test_setup(person):
    out = person.done("engawa", "agent", "setup")
    entry = (person.home / ".config/autostart/engawa-agent.desktop").read_text()
    assert f'Exec="{person.bin}/engawa-agent" run' in entry and "engawa agent password" in out
    person.done("engawa", "agent", "setup", "--remove")
    assert not (person.home / ".config/autostart/engawa-agent.desktop").exists()


def test_attack_beside_the_administrators_agent(person):
    """Somebody without rights would like an agent of one's own where the administrator has set up the service: it neither starts,
    enrols nor sets itself up."""
    run = person.tool("engawa-agent", "run", administrator=True)
    assert run.returncode == 4 and f"EW-{ADMIN}" in run.stderr
    run = person.tool("engawa", "agent", "enrol", "--org", person.home / person.engawa.org_file.name, "--code", "X", administrator=True)
    assert run.returncode != 0 and f"EW-{ADMIN}" in run.stderr
    run = person.tool("engawa", "agent", "setup", administrator=True)
    assert run.returncode != 0 and f"EW-{ADMIN}" in run.stderr


def test_attack_stay_when_the_administrator_comes(person):
    """The administrator sets up the service while one's own works: the session and the agent end, in words."""
    client = person.session()
    space = pathlib.Path(f"/proc/{person.processes()['engawa-agent'][0]}/root")
    (space / "var/lib/engawa-agent").mkdir()
    assert ended(client) == ADMIN
    assert person.agent.wait(60) == 4 and f"EW-{ADMIN}" in person.log()
