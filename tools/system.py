"""A whole Engawa on one machine, as ./demo, the system tests and ./bench start it: mail server, controller, gate, an office PC
with its own X server, and the agent. Everything is kept in one directory and listens on the loopback only."""
import contextlib
import ctypes
import email
import email.policy
import json
import mailbox
import os
import pathlib
import pwd
import random
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
ORGANISATION = "engawa-shi"
ADDRESS = "tanaka@city.engawa.example"
MEMO = "業務メモ\n\n"
# What a demonstration needs: browsers, and home PCs that nobody has registered, looked after or closed off, are let in, and codes
# go by mail, the old way, to the demo's own mail server.
POLICY = {
    "DISABLE_INSPECTION": "yes",
    "DISABLE_MACCHECK": "yes",
    "DISABLE_DEVICECHECK": "yes",
    "DISABLE_LIMITED_FIREWALL": "yes",
    "DENY_CLIENTS_HTML5": "no",
    "ENFORCE_OTP": "yes",
    "OTP_MAIL": "legacy",
    "OTP_MAIL_STRANGERS": 30,
    "ENFORCE_OTP_ENDWITH": "@city.engawa.example",
    "ENFORCE_WATERMARK": "yes",
    "WATERMARK_MESSAGE": "えんがわ市 取扱注意",
}
# The X server of real computers, without a graphics card: its outputs can be arranged. Root only.
XORG = """
Section "ServerFlags"
	Option "AutoAddDevices" "false"
	Option "AutoAddGPU" "false"
	Option "DontVTSwitch" "true"
EndSection
Section "Device"
	Identifier "dummy"
	Driver "dummy"
	VideoRam 256000
EndSection
Section "Monitor"
	Identifier "monitor"
	HorizSync 1-1000
	VertRefresh 1-1000
EndSection
Section "Screen"
	Identifier "screen"
	Device "dummy"
	Monitor "monitor"
	DefaultDepth 24
EndSection
"""
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """What went wrong, in words for the person who started us."""


def ports():
    """Below those that the kernel gives away: nobody gets one of them while a program that listens there is started anew. Tests that run beside each other
    have a part each."""
    part = 10000 + 2000 * (int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 10)
    while True:
        yield from random.sample(range(part, part + 2000), 2000)


def free_port(source=ports()):
    for port in source:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def wait_for(condition, what, timeout_s=30, every_s=0.05):
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: nothing after {timeout_s} s")
        time.sleep(every_s)


def accepts(port, address="127.0.0.1"):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((address, port)) == 0


def family(pid):
    """A process and all its descendants."""
    found, parents = {pid}, {}
    for line in subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout.splitlines():
        child, parent = map(int, line.split())
        parents[child] = parent
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


class Part:
    """One program that keeps running; it dies with us, whatever happens to us."""
    may_end = False  # by somebody at the desktop

    def __init__(self, name, argv, log, ready, env=None, user=None, pass_fds=()):
        self.name, self.argv, self.log, self.ready, self.env, self.user, self.pass_fds = name, argv, log, ready, env, user, pass_fds
        self.process = None

    def start(self, env=None, prefix=()):
        out = open(self.log, "ab")
        start = out.tell()
        self.process = subprocess.Popen([*prefix, *map(str, self.argv)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=(self.env or os.environ) | (env or {}), pass_fds=self.pass_fds,
            start_new_session=True, preexec_fn=self.become)
        out.close()
        try:
            wait_for(lambda: self.running() and self.ready(), f"{self.name} does not start", 60)
        except Failed as failure:
            self.stop()
            raise Failed(f"{failure}\n{self.log_tail(start)}") from None
        return self

    def become(self):
        if self.user and self.user != "root" and os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # after the change of user, which clears it

    def log_tail(self, start=0):
        return self.log.read_text(errors="replace").encode()[start:][-3000:].decode(errors="replace")

    def running(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} stopped with status {self.process.returncode}")
        return True

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def kill(self, number=signal.SIGKILL):
        if self.alive:
            self.process.send_signal(number)
            self.process.wait(10)

    def stop(self):
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


class Successor:
    """A program that took over from the one we started, with what is used of Popen."""
    returncode = 0

    def __init__(self, pid):
        self.pid = pid
        self.line = self.command()

    def command(self):
        try:
            return pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return b""

    def poll(self):
        return None if self.line and self.command() == self.line else 0

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.line, timeout)
            time.sleep(0.02)
        return 0


class Mail:
    """What the mail server took in."""

    def __init__(self, directory):
        self.path = directory
        self.box = mailbox.Maildir(directory, create=True, factory=None)
        self.read = {}

    def all(self):
        """Newest last: a name begins with SECONDS.M then microseconds, which have no leading zeros."""
        arrived = lambda key: tuple(map(int, re.match(r"(\d+)\.M(\d+)", key).groups()))
        keys = sorted(self.box.keys(), key=arrived)
        for key in keys:
            if key not in self.read:
                self.read[key] = email.message_from_bytes(self.box.get_bytes(key), policy=email.policy.default)
        return [self.read[key] for key in keys]

    def messages(self):
        """All but those about new devices and codes from paper, which come at their own time."""
        return [m for m in self.all() if not re.search("端末が登録|新しい端末|回復コードで|computer was registered|new computer|recovery code", m["Subject"])]

    def notices(self, subject):
        """Of any kind, by their subject."""
        return [m for m in self.all() if subject in m["Subject"]]

    def count(self):
        return len(self.messages())

    def newest_pin(self):
        messages = self.messages()
        return re.search(r"\b\d{8}\b", messages[-1].get_content())[0] if messages else None

    def next_pin(self, count, timeout_s=30):
        """The code of the first mail after the count that were there."""
        wait_for(lambda: self.count() > count, "no mail with a code", timeout_s)
        return self.newest_pin()

    def clear(self):
        self.box.clear()


def reachable(path):
    """By users other than its owner."""
    return all(p.stat().st_mode & 0o001 for p in [path, *path.parents])


def desktop_programs(name):
    return [["openbox"],
        ["xterm", "-fa", "Noto Mono", "-fs", "11", "-geometry", "90x10+40+560", "-T", "端末"],
        ["mousepad", "--disable-server", name]]


class Engawa:
    """Made once per directory (keys, organisation, enrolled office PC), then started any number of times."""

    def __init__(self, directory, port=None, size="1280x800", gates=("east-1",), hosts=None, virtual=False, ibus=False):
        self.dir = pathlib.Path(directory).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.state_file = self.dir / "state.json"
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        if not self.state:  # what an earlier start left unfinished
            for name in "ca", "org", "agent", "controller":
                shutil.rmtree(self.dir / name, ignore_errors=True)
            for path in self.dir.glob("*.known"):  # of an organisation that is gone
                path.unlink()
        self.size = size
        self.port = self.state.get("port") or port or free_port()
        self.gate_ports = {name: self.port if i == 0 else free_port() for i, name in enumerate(gates)}
        self.hosts = hosts or {}  # addresses of gates that are not at the loopback's
        self.gates = {}
        self.org_dir, self.agent_dir = self.dir / "org", self.dir / "agent"
        self.org_file, self.policy_file = self.org_dir / "organisation.engawa", self.agent_dir / "policy"
        self.password_file = self.dir / "password"
        self.memo = self.dir / "home" / "業務メモ.txt"
        self.ca, self.run_dir, self.log_dir = self.dir / "ca", self.dir / "run", self.dir / "log"
        self.page_ca = self.ca / "page-ca.pem"
        for name in "run", "log", "home", "agent", "controller", "smtp":
            (self.dir / name).mkdir(exist_ok=True)
        self.smtp_port = free_port()
        self.mail = Mail(self.dir / "mail")
        self.parts = []
        self.agent_options = {}  # more lines of its settings
        self.mail_burst = 100  # more than is delivered: tests log in often
        self.virtual, self.ibus = virtual, ibus  # the office PC's monitors become those of the home PC; it has an input method
        self.display = self.smtp = self.controller = self.gate = self.agent = None
        # Programs started by root give their rights up, to a user who can reach what they need.
        root = os.geteuid() == 0
        self.user = "nobody" if root else pathlib.Path.home().owner()
        self.file_user = self.user if not root or reachable(self.dir) and reachable(BUILD) else "root"

    # --- settings of the programs ------------------------------------------------------------------------------------

    def tool(self, *argv, **options):
        """Runs engawa or another program to its end; its failure is ours."""
        argv = [str(a) for a in argv]
        if argv[0] in ("engawa", "engawa-agent"):
            argv[0] = str(BUILD / "src" / {"engawa": "cli", "engawa-agent": "agent"}[argv[0]] / argv[0])
        run = subprocess.run(argv, capture_output=True, text=True, timeout=60, **({"input": "", "env": os.environ |
            {"ENGAWA_ADMIN_SOCKET": str(self.run_dir / "admin.sock")}} | options))
        if run.returncode != 0:
            raise Failed(f"{' '.join(argv)}: status {run.returncode}\n{run.stderr or run.stdout}")
        return run.stdout.strip()

    def give(self, path):
        if os.geteuid() == 0:
            self.tool("chown", "-R", self.file_user, path)

    def settings(self, name, **values):
        """Writes a settings file; a list gives one line each."""
        path = self.dir / f"{name}.conf"
        lines = [f"{key} {item}\n" for key, value in values.items() for item in (value if isinstance(value, list) else [value])]
        path.write_text("".join(lines))
        return path

    def part(self, name, argv, ready, env=None, **options):
        part = Part(name, argv, self.log_dir / f"{name}.log", ready, env, **options)
        self.parts.append(part)
        return part

    # --- made once ---------------------------------------------------------------------------------------------------

    def make_authority(self):
        self.tool("engawa", "ca", "init", "--dir", self.ca)
        self.tool("engawa", "ca", "page", "--dir", self.ca, "--host", "localhost", "--host", "127.0.0.1")
        for name in self.gate_ports:
            self.tool("engawa", "gate", "add", "--dir", self.ca, "--name", name, "--host", self.hosts.get(name, "localhost"))
        self.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem",
            cwd=self.dir / "smtp")

    def make_organisation(self):
        self.tool("engawa", "org", "create", "--ca", self.ca, "--dir", self.org_dir, "--id", ORGANISATION, "--name", "えんがわ市",
            "--support", "情報政策課 内線 1234", *(word for name, port in self.gate_ports.items() for word in ("--gate", f"{name}={self.hosts.get(name, 'localhost')}:{port}")))

    def fingerprint(self):
        """Of the organisation file, as the organisation tells it to its people: what uses the file for the first time must name it."""
        if "fingerprint" not in self.state:
            self.state["fingerprint"] = self.tool("engawa", "org", "fingerprint", self.org_file)
        return self.state["fingerprint"]

    def end_sessions(self):
        """Nobody works any more, and no session waits for a client that went away without a word."""
        def none_left():
            sessions = json.loads(self.tool("engawa", "session", "list", "--json"))
            for session in sessions:
                if session["state"] == "waiting":
                    with contextlib.suppress(Failed):  # it may have ended by itself
                        self.tool("engawa", "session", "end", session["id"])
            return not sessions
        wait_for(none_left, "a session goes on", 20)

    def sign_policy(self, **changes):
        """The demo's own policy; what is not named in it stays closed."""
        revision = self.state["revision"] = self.state.get("revision", 0) + 1
        lines = {"REVISION": revision, "NOT_AFTER": "2099-12-31"} | POLICY | changes
        self.policy_file.write_text("".join(f"{key} {value}\n" for key, value in lines.items() if value is not None))
        self.tool("engawa", "org", "policy", "sign", "--dir", self.org_dir, self.policy_file)

    def enrol(self):
        """Enrols the office PC with a code, approves it, and sets what its person sets. The agent runs from then on."""
        code = self.tool("engawa", "code", "new", "--org", ORGANISATION)
        self.state["terminal_id"] = self.tool("engawa-agent", "enrol", "--org", self.org_file, "--org-fingerprint", self.fingerprint(), "--code", code,
            "--state-directory", self.agent_dir)
        self.start_agent(ready=lambda: (self.agent_dir / "agent.sock").exists())
        [agent] = self.agents()
        self.state["agent_id"] = agent["id"]
        self.tool("engawa", "agent", "approve", agent["id"])
        password = "-".join(secrets.choice(["sakura", "momiji", "tsubaki", "fuji", "ume", "kiku", "botan", "yuri"]) for _ in range(3))
        self.password_file.write_text(f"{password}-{secrets.randbelow(9000) + 1000}\n")
        self.password_file.chmod(0o600)
        self.tool("engawa", "agent", "password", "--state-directory", self.agent_dir, input=self.password_file.read_text())
        self.tool("engawa", "agent", "mail", ADDRESS, "--state-directory", self.agent_dir)
        wait_for(self.agent_up, "the office PC does not reach the relay")

    # --- started every time ------------------------------------------------------------------------------------------

    def start(self):
        fresh = not self.state
        if fresh:
            self.make_authority()
        self.start_smtp()
        self.start_controller()
        if fresh:
            self.make_organisation()
        for name in self.gate_ports:
            self.start_gate(name)
        self.start_desktop()
        if fresh:
            self.sign_policy()
            self.enrol()
            self.state["port"] = self.port
            self.state_file.write_text(json.dumps(self.state) + "\n")  # last: a directory without it is made anew
        else:
            self.start_agent()
        return self

    def start_or_stop(self):
        """start, but nothing is left running when it fails."""
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for part in reversed(self.parts):
            part.stop()
        self.parts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start_smtp(self):
        tls, port = self.dir / "smtp", self.smtp_port
        self.smtp_url = f"smtp://localhost:{port}"
        self.smtp = self.part("smtp", ["/usr/bin/python3", "-m", "aiosmtpd", "-n", "-u", "-l", f"localhost:{port}", "--tlscert",
            tls / "cert.pem", "--tlskey", tls / "key.pem", "-c", "aiosmtpd.handlers.Mailbox", self.mail.path], lambda: accepts(port)).start()

    def start_controller(self):
        self.give(self.dir / "controller")
        conf = self.settings("controller", RUN_DIRECTORY=self.run_dir, DATABASE=self.dir / "controller" / "controller.db",
            CA_DIRECTORY=self.ca, WEB_DIRECTORY=ROOT / "web" / "dist", USER=self.file_user, SMTP_URL=self.smtp_url,
            SMTP_FROM="engawa@relay.example", SMTP_CA_FILE=self.dir / "smtp" / "cert.pem", BOUNCE_ADDRESS="bounce@relay.example", BOUNCE_USER=self.file_user, MAIL_BURST=self.mail_burst, LOG_LEVEL="debug")
        self.controller = self.part("controller", [BUILD / "src/controller/engawa-controller", "--config", conf],
            lambda: self.admin_ready() and self.gates_up())
        self.controller.start()

    def admin_ready(self):
        try:
            self.tool("engawa", "org", "list", "--json")
            return True
        except Failed:
            return False

    def start_gate(self, name=None, prefix=(), program="src/gate/engawa-gate", **changes):
        """The first gate, or another one of those that were named; prefix: a command that starts it."""
        first = next(iter(self.gate_ports))
        name = name or first
        port, part = self.gate_ports[name], "gate" if name == first else f"gate-{name}"
        address = self.hosts.get(name, "127.0.0.1")
        conf = self.settings(part, **{"LISTEN": f"{address}:{port}", "RUN_DIRECTORY": self.run_dir, "NAME": name,
            "CERTIFICATE": self.ca / "gates" / f"{name}.pem", "KEY": self.ca / "gates" / f"{name}.key", "ISSUER": self.ca / "issuer.pem",
            "PAGE_CERTIFICATE": self.ca / "page.pem", "PAGE_KEY": self.ca / "page.key", "USER": self.user, "LOG_LEVEL": "debug"} | changes)
        self.gates[name] = self.part(part, [*prefix, BUILD / program, "--config", conf], lambda: self.gate_up(name, port, address))
        self.gates[name].start()
        if name == first:
            self.gate = self.gates[name]

    def renew_gate(self, timeout_s=60, name=None):
        """The program at the (first) gate's path takes everything over; the old one may still be finishing. False when it could not."""
        part = self.gates[name] if name else self.gate
        log, before = part.log, len(part.log.read_text())
        part.process.send_signal(signal.SIGUSR2)
        found = wait_for(lambda: re.search(r"gate.up .*pid=(\d+) by=upgrade|step=.given up", log.read_text()[before:]), "the gate is not renewed", timeout_s)
        if found[1]:
            self.former_gates = [*getattr(self, "former_gates", []), part.process]
            part.process = Successor(int(found[1]))
        return bool(found[1])

    def start_desktop(self):
        """An X server of our own, with a window manager, a terminal and a Japanese editor."""
        authority = self.dir / "home" / ".Xauthority"
        read, write = os.pipe()
        (self.dir / "xorg.conf").write_text(XORG)
        server = ["Xorg", "-config", self.dir / "xorg.conf", "-logfile", self.log_dir / "xorg.log"] if self.virtual else \
            ["Xvfb", "-screen", "0", f"{self.size}x24"]
        x = self.part("xserver", [*server, "-displayfd", str(write), "-nolisten", "tcp", "-noreset", "-auth", authority], lambda: True,
            pass_fds=[write])
        authority.unlink(missing_ok=True)
        cookie = secrets.token_hex(16)
        self.tool("xauth", "-f", authority, "add", ":0", "MIT-MAGIC-COOKIE-1", cookie)
        x.start()
        os.close(write)
        with os.fdopen(read) as number:
            self.display = ":" + number.readline().strip()
        self.tool("xauth", "-f", authority, "add", self.display, "MIT-MAGIC-COOKIE-1", cookie)
        if not self.memo.exists():
            self.memo.write_text(MEMO)
        self.give(self.dir / "home")
        self.desktop_env = {"DISPLAY": self.display, "XAUTHORITY": str(authority), "HOME": str(self.dir / "home"), "LANG": "C.UTF-8",
            "PATH": os.environ["PATH"], "GSETTINGS_BACKEND": "memory", "NO_AT_BRIDGE": "1", "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "XDG_RUNTIME_DIR": str(self.dir / "home")}
        if self.ibus:
            self.start_ibus()
        for argv in desktop_programs(self.memo):
            self.part(argv[0], argv, lambda: self.window(argv[0]), env=self.desktop_env, user=self.file_user).start().may_end = True
        self.xdotool("search", "--onlyvisible", "--class", "mousepad", "windowsize", "--sync", 860, 470, "windowmove", "--sync", 40, 30,
            "windowactivate", "--sync")

    def start_ibus(self):
        """The input method of the desktop session, with a bus of its own."""
        address, directory = self.run_dir / "bus", self.dir / "home/.config/ibus/bus"
        environment = self.desktop_env | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={address}"}
        self.give(self.run_dir)
        self.part("bus", ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address=unix:path={address}"], address.exists, env=environment,
            user=self.file_user).start()
        self.desktop_env = environment | {"GTK_IM_MODULE": "ibus", "XMODIFIERS": "@im=ibus"}
        self.part("ibus", ["ibus-daemon", "--xim", "--panel=disable", "--config=disable", "--emoji-extension=disable"],
            lambda: directory.exists() and any("IBUS_ADDRESS" in f.read_text() for f in directory.iterdir()), env=self.desktop_env,
            user=self.file_user).start()
        self.agent_options["IBUS_DIRECTORY"] = directory

    def xdotool(self, *argv):
        return subprocess.run(["xdotool", *map(str, argv)], env=self.desktop_env, capture_output=True, text=True, timeout=20).stdout.strip()

    def window(self, name):
        if name == "openbox":
            return "window id" in subprocess.run(["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"], env=self.desktop_env, capture_output=True,
                text=True, timeout=20).stdout
        return self.xdotool("search", "--onlyvisible", "--class", name)

    def start_agent(self, ready=None, **part):
        conf = self.settings("agent", STATE_DIRECTORY=self.agent_dir, POLICY_FILE=self.policy_file, USER=self.user,
            DESKTOP_PROGRAM=BUILD / "src/desktop/engawa-desktop", DESKTOP_USER=self.file_user, DISPLAY=self.display,
            XAUTHORITY=self.desktop_env["XAUTHORITY"], **{"SELF_CONNECT": "yes", "SCREEN_GUARD": "no"} | ({"DISPLAY_VIRTUAL": "yes"} if self.virtual else {}) | self.agent_options, LOG_LEVEL="debug")
        self.agent = self.part("agent", [BUILD / "src/agent/engawa-agent", "--config", conf, "run"], ready or self.agent_up).start()

    def agents(self):
        """Office PCs as the relay knows them."""
        return json.loads(self.tool("engawa", "agent", "list", "--json"))

    def agent_status(self):
        return json.loads(self.tool("engawa", "agent", "status", "--state-directory", self.agent_dir))

    def gate_up(self, name, port, address):
        """Clients get in, and the controller knows every worker, if there is one."""
        if not accepts(port, address) or not self.controller.alive:
            return accepts(port, address)
        workers = set(re.findall(r"worker\.up worker=(\d+)", self.gates[name].log.read_text(errors="replace")))
        known = [row["worker"] for row in json.loads(self.tool("engawa", "gate", "list", "--json")) if row["gate"] == name]
        return len(known) >= max(1, len(workers))  # none of them in a log that keeps warnings only

    def gates_up(self):
        """Those that were at work before the controller have found it."""
        return all(self.gate_up(name, self.gate_ports[name], self.hosts.get(name, "127.0.0.1")) for name, gate in self.gates.items() if gate.alive)

    def agent_up(self):
        return self.agent_at() > 0

    def agent_everywhere(self):
        return self.agent_at() == len(self.gate_ports)

    def agent_at(self):
        """At how many gates the office PC waits, as it says itself and as the relay says, if there is one: of a gate that has just gone they hear one after
        the other."""
        try:
            status = self.agent_status()
            own = sum(gate["up"] for gate in status["gates"])
            if not own or not self.controller.alive:
                return own
            return min([own, *(len(agent["gates"]) for agent in self.agents() if agent["terminal_id"] == status["terminal_id"])])
        except Failed:
            return 0

    def gate_in_use(self):
        """The name of the gate that the newest session goes through, as the office PC has it."""
        return re.findall(r"session\.(?:knock|resuming) .*?gate=\"?([\w-]+)", (self.log_dir / "agent.log").read_text(errors="replace"))[-1]

    # --- used --------------------------------------------------------------------------------------------------------

    def grab(self):
        """The office PC's screen, as somebody in front of it sees it: a PIL image."""
        from PIL import ImageGrab
        os.environ["XAUTHORITY"] = self.desktop_env["XAUTHORITY"]
        return ImageGrab.grab(xdisplay=self.display)

    @property
    def terminal_id(self):
        return self.state["terminal_id"]

    @property
    def password(self):
        return self.password_file.read_text().strip()

    @property
    def url(self):
        return f"https://localhost:{self.port}/"

    def code_command(self):
        """For engawa connect: prints the code of the next mail to come."""
        return shlex.join(["/usr/bin/python3", "-B", __file__, "next-pin", str(self.mail.path), str(self.mail.count())])

    def settings_command(self):
        """Opens engawa-settings on the display of whoever runs it; only the office PC's person and root may ask the agent."""
        return shlex.join([str(BUILD / "src/settings/engawa-settings"), "--state-directory", str(self.agent_dir)])

    def connect_argv(self, *actions, terminal_id=None, code_command=None, password_file=None, org=None, device="device.key"):
        return [BUILD / "src/cli/engawa", "connect", "--json", "--org", org or self.org_file, "--org-fingerprint", self.fingerprint(), "--id", terminal_id or self.terminal_id,
            "--code-command", code_command or self.code_command(), "--password-file", password_file or self.password_file,
            "--device-key", self.dir / device, *actions]

    def client(self, *actions, **options):
        """A scripted session that goes on by itself."""
        return subprocess.Popen([str(a) for a in self.connect_argv(*actions, **options)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def connect(self, *actions, env=None, timeout_s=60, on_start=None, prefix=(), **options):
        """A scripted session to its end: what it printed as JSON, with its exit status and its words for people. on_start gets the process; prefix: a
        command that starts it."""
        with subprocess.Popen([str(a) for a in [*prefix, *self.connect_argv(*actions, **options)]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"} | (env or {})) as client:
            if on_start:
                on_start(client)
            try:
                out, err = client.communicate(timeout=timeout_s)
            except BaseException:
                client.kill()
                raise
        result = json.loads(out) if out.startswith("{") else {}
        return result | {"status": client.returncode, "stderr": err}


if __name__ == "__main__" and sys.argv[1] == "next-pin":
    print(Mail(sys.argv[2]).next_pin(int(sys.argv[3])))
