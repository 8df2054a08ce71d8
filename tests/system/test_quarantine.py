"""The home PC's state, judged by a real office PC: from a made-up home PC with the real client, and from a client that lies."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import dbus
import pytest

import system
from gate_driver import CODE

DAY_S = 86400
# The system's own programs in front of files of a test. Mounts end with the process.
INSIDE = """set -e
for d in usr lib lib64 bin sbin proc dev tmp; do [ -e /$d ] || continue; mkdir -p "$1/$d"; mount --rbind /$d "$1/$d"; done
mkdir -p "$1$2"; mount --bind "$2" "$1$2"
mount --bind "$1/programs" "$1/usr/local/bin"; mount --bind "$1/daemons" "$1/usr/sbin"
root=$1; shift 2; exec chroot "$root" "$@"
"""


@pytest.fixture(scope="module")
def office(own_engawa):
    own_engawa.sign_policy(DISABLE_INSPECTION=None, INSPECTION_GRACE_MINUTES=0)
    return own_engawa


@pytest.fixture(autouse=True)
def clean(office):
    yield
    office.tool("engawa", "agent", "unlock", "--state-directory", office.agent_dir)
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "a session is left", 40)


# --- a home PC made of files and a bus --------------------------------------------------------------------------------


class Clamd:
    """ClamAV's own, on a socket and with one pattern of this test."""
    PATTERN = b"engawa's own test of a virus"

    def __init__(self, home):
        database, self.socket = home.root / "patterns", home.root / "clamd.sock"
        database.mkdir()
        (database / "test.hdb").write_text(f"{hashlib.md5(self.PATTERN).hexdigest()}:{len(self.PATTERN)}:Engawa.Test\n")
        conf = home.root / "clamd.conf"
        conf.write_text(f"LocalSocket {self.socket}\nDatabaseDirectory {database}\nForeground yes\nLogFile {home.root}/clamd.log\nSelfCheck 0\n")
        self.process = home.start(["/usr/sbin/clamd", "--config-file", conf], stdout=subprocess.DEVNULL)
        home.put("daemons/clamd", "")
        system.wait_for(lambda: self.socket.exists() and self.ask(b"zPING\0") == b"PONG\0", "clamd does not answer", 60)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.socket))
            s.sendall(command)
            return s.recv(4096)

    def scan(self, data):
        return self.ask(b"zINSTREAM\0" + struct.pack(">I", len(data)) + data + bytes(4))

    def stop(self):
        self.process.kill()
        self.process.wait(10)


class Home:
    def __init__(self, root, start):
        self.root, self.start = root, start
        for name in "etc", "var", "run", "sys/class/net", "programs", "daemons":
            (root / name).mkdir(parents=True)
        self.put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        self.put("etc/hosts", "127.0.0.1 localhost\n")
        self.put("etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
        self.put("var/lib/dpkg/status", "")
        self.put("var/lib/apt/periodic/update-success-stamp", "")
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": "disabled:"}
        self.clamd = None
        self.network("eth0")

    def put(self, path, data):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data if isinstance(data, bytes) else data.encode())

    def network(self, name, wireless=False):
        self.put(f"sys/class/net/{name}/operstate", "up\n")
        self.put(f"sys/class/net/{name}/device", "")
        if wireless:
            self.put(f"sys/class/net/{name}/phy80211", "")

    def clamav(self, age_days):
        """Installed, running, with patterns of that age."""
        self.put("programs/clamscan", "")
        made = time.strftime("%d %b %Y %H-%M +0000", time.gmtime(time.time() - age_days * DAY_S))
        self.put("var/lib/clamav/daily.cvd", f"ClamAV-VDB:{made}:27700:355000:90:0:0:test:0".encode().ljust(512) + b"\x1f\x8b")
        if not self.clamd:
            self.clamd = Clamd(self)

    def run(self, *argv, env=None):
        inside = ["unshare", "-m", "sh", "-c", INSIDE, "sh", self.root, system.ROOT, *argv]
        return subprocess.run([str(a) for a in inside], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
            env=os.environ | {"LC_ALL": "C.UTF-8"} | self.env | (env or {}))

    def check(self):
        """engawa check: its JSON, with the codes of the findings."""
        run = self.run(system.BUILD / "src/cli/engawa", "check", "--json")
        assert run.returncode in (0, 1), run.stderr
        result = json.loads(run.stdout)
        assert result["passed"] == (run.returncode == 0) == (not result["findings"])
        return {finding["code"] for finding in result["findings"]}, result["facts"]


@pytest.fixture
def home(tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        pytest.skip("no mounts here")
    started = []

    def start(argv, **options):
        started.append(subprocess.Popen(argv, **options))
        return started[-1]
    yield Home(tmp_path / "home", start)
    for process in started:
        process.terminate()
        process.wait(10)


def mock(address, home, name, path):
    """A service of the system on the test's own bus."""
    bus = dbus.bus.BusConnection(address)
    home.start(["/usr/bin/python3", "-m", "dbusmock", "--system", name, path, name], env=os.environ | home.env, stdout=subprocess.DEVNULL)
    system.wait_for(lambda: bus.name_has_owner(name), f"{name} does not start")
    return dbus.Interface(bus.get_object(name, path), "org.freedesktop.DBus.Mock")


@pytest.fixture
def bus(home):
    address = f"unix:path={home.root}/bus"
    home.start(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address", address], stderr=subprocess.DEVNULL)
    system.wait_for(lambda: socket.socket(socket.AF_UNIX).connect_ex(str(home.root / "bus")) == 0, "no bus")
    home.env["DBUS_SYSTEM_BUS_ADDRESS"] = address
    return lambda name, path: mock(address, home, name, path)


def test_patterns(home):
    codes, facts = home.check()
    assert CODE["NO_ANTIVIRUS"] in codes and facts["networks"] == ["wired"]
    home.clamav(age_days=2)
    codes, facts = home.check()
    assert not codes & {CODE["NO_ANTIVIRUS"], CODE["ANTIVIRUS_STOPPED"], CODE["PATTERNS_OLD"]}
    assert facts["antivirus"][0]["name"] == "ClamAV" and facts["antivirus"][0]["running"] is True
    home.clamav(age_days=30)
    assert CODE["PATTERNS_OLD"] in home.check()[0]


def test_updates_and_system(home):
    assert not home.check()[0] & {CODE["UPDATES_OLD"], CODE["OS_ENDED"]}
    old = time.time() - 91 * DAY_S
    os.utime(home.root / "var/lib/dpkg/status", (old, old))
    home.put("etc/os-release", "ID=debian\nVERSION_ID=10\n")
    home.put("run/reboot-required", "")
    os.utime(home.root / "run/reboot-required", (old, old))
    home.put("etc/gdm3/daemon.conf", "[daemon]\nAutomaticLoginEnable=true\n")
    assert home.check()[0] >= {CODE[name] for name in ("UPDATES_OLD", "OS_ENDED", "REBOOT_PENDING", "NO_LOGIN_PASSWORD")}


def test_words_for_people(home):
    """What it says in Japanese, and that the next step is there."""
    run = home.run(system.BUILD / "src/cli/engawa", "check", env={"LC_ALL": "ja_JP.UTF-8"})
    assert run.returncode == 1 and "ウイルス対策ソフトが見つかりません" in run.stdout and "(EW-326)" in run.stdout and "ネットワーク: 有線" in run.stdout


@pytest.mark.parametrize("flags, name, passes", [((0, 0, 0), "open", False), ((1, 0, 0), "wep", False), ((1, 0x144, 0), "wpa", False),
    ((1, 0, 0x188), "wpa2", True), ((1, 0, 0x488), "wpa3", True), (None, "unknown", False)])
def test_wifi(home, bus, flags, name, passes):
    """NetworkManager's answers; without it, what is not known is not fine."""
    home.network("wlan0", wireless=True)
    if flags:
        manager = "org.freedesktop.NetworkManager"
        nm = bus(manager, "/org/freedesktop/NetworkManager")
        nm.AddMethod(manager, "GetDeviceByIpIface", "s", "o", "ret = dbus.ObjectPath('/org/freedesktop/NetworkManager/Devices/' + args[0])")
        nm.AddObject("/org/freedesktop/NetworkManager/Devices/wlan0", f"{manager}.Device.Wireless",
            {"ActiveAccessPoint": dbus.ObjectPath("/org/freedesktop/NetworkManager/AccessPoint/1")}, [])
        nm.AddObject("/org/freedesktop/NetworkManager/AccessPoint/1", f"{manager}.AccessPoint",
            dict(zip(("Flags", "WpaFlags", "RsnFlags"), map(dbus.UInt32, flags))), [])
    codes, facts = home.check()
    assert sorted(facts["networks"]) == sorted(["wired", name])
    assert (CODE["WIFI_WEAK"] not in codes) == passes


@pytest.mark.parametrize("mode, automatic, told", [(0, False, True), (2, False, False), (0, True, False)])
def test_login_password(home, bus, mode, automatic, told):
    accounts = bus("org.freedesktop.Accounts", "/org/freedesktop/Accounts")
    accounts.AddMethod("org.freedesktop.Accounts", "FindUserById", "x", "o", "ret = dbus.ObjectPath('/org/freedesktop/Accounts/User0')")
    accounts.AddObject("/org/freedesktop/Accounts/User0", "org.freedesktop.Accounts.User",
        {"PasswordMode": dbus.Int32(mode), "AutomaticLogin": dbus.Boolean(automatic)}, [])
    codes, facts = home.check()
    assert facts["login_password"] is told and (CODE["NO_LOGIN_PASSWORD"] in codes) == (not told)


KDE = "kscreenlockerrc"
KEYS = "glib-2.0/settings/keyfile"
# Of the desktops, which need not be installed here: the keys with the types that theirs have.
SCHEMAS = """<schemalist>
<schema id="org.gnome.desktop.screensaver" path="/org/gnome/desktop/screensaver/"><key name="lock-enabled" type="b"><default>true</default></key>
<key name="idle-activation-enabled" type="b"><default>true</default></key><key name="lock-delay" type="u"><default>0</default></key></schema>
<schema id="org.gnome.desktop.session" path="/org/gnome/desktop/session/"><key name="idle-delay" type="u"><default>300</default></key></schema>
<schema id="org.mate.screensaver" path="/org/mate/screensaver/"><key name="lock-enabled" type="b"><default>true</default></key>
<key name="idle-activation-enabled" type="b"><default>true</default></key><key name="lock-delay" type="i"><default>0</default></key></schema>
<schema id="org.mate.session" path="/org/mate/session/"><key name="idle-delay" type="i"><default>5</default></key></schema>
<schema id="org.cinnamon.desktop.screensaver" path="/org/cinnamon/desktop/screensaver/"><key name="lock-enabled" type="b"><default>true</default></key>
<key name="lock-delay" type="u"><default>2</default></key></schema>
<schema id="org.cinnamon.desktop.session" path="/org/cinnamon/desktop/session/"><key name="idle-delay" type="u"><default>900</default></key></schema>
</schemalist>"""
MATE, GNOME, CINNAMON = "org/mate", "org/gnome/desktop", "org/cinnamon/desktop"
LOCKS = [  # the desktop, its file of settings, and after how many seconds the screen locks: 0 never, None not known
    ("KDE", None, "", 300),
    ("KDE", KDE, "[Daemon]\nTimeout=10\nLockGrace=5\n", 600),
    ("KDE", KDE, "[Daemon]\nTimeout=10\nLockGrace=3600\n", 4200),
    ("KDE", KDE, "[Daemon]\nAutolock=false\n", 0),
    ("KDE", KDE, "[Daemon]\nTimeout=0\n", 0),
    ("KDE", KDE, "[Daemon]\nTimeout=-1\nLockGrace=-300\n", 0),
    ("KDE", KDE, "no settings at all\n", 300),
    ("GNOME", None, "", 300),
    ("ubuntu:GNOME", KEYS, f"[{GNOME}/session]\nidle-delay=uint32 1200\n[{GNOME}/screensaver]\nlock-delay=uint32 30\n", 1200),
    ("GNOME", KEYS, f"[{GNOME}/session]\nidle-delay=uint32 60\n[{GNOME}/screensaver]\nlock-delay=uint32 3600\n", 3660),
    ("GNOME", KEYS, f"[{GNOME}/screensaver]\nlock-enabled=false\n", 0),
    ("GNOME", KEYS, f"[{GNOME}/session]\nidle-delay=uint32 0\n", 0),
    ("GNOME", KEYS, f"[{GNOME}/screensaver]\nidle-activation-enabled=false\n", 300),  # not looked at there any more
    ("MATE", None, "", 300),
    ("MATE", KEYS, f"[{MATE}/session]\nidle-delay=45\n[{MATE}/screensaver]\nlock-delay=1\n", 2760),
    ("MATE", KEYS, f"[{MATE}/session]\nidle-delay=-1\n", 0),
    ("MATE", KEYS, f"[{MATE}/screensaver]\nidle-activation-enabled=false\n", 0),
    ("X-Cinnamon", None, "", 900),
    ("X-Cinnamon", KEYS, f"[{CINNAMON}/session]\nidle-delay=uint32 2400\n", 2400),
    ("X-Cinnamon", KEYS, f"[{CINNAMON}/screensaver]\nlock-enabled=false\n", 0),
    ("sway", None, "", None),
]


def test_screen_lock(home):
    """What each desktop's settings say about its lock, in its own file; a lock that comes late is a finding like none, one that nobody tells of is not."""
    schemas, settings = home.root / "schemas", home.root / "settings"
    schemas.mkdir()
    (schemas / "test.gschema.xml").write_text(SCHEMAS)
    subprocess.run(["glib-compile-schemas", "--strict", schemas], check=True, timeout=60)
    home.env |= {"GSETTINGS_SCHEMA_DIR": "/schemas", "GSETTINGS_BACKEND": "keyfile", "XDG_CONFIG_HOME": "/settings"}
    for desktop, file, text, after_s in LOCKS:
        shutil.rmtree(settings, ignore_errors=True)
        if file:
            home.put(f"settings/{file}", text)
        home.env["XDG_CURRENT_DESKTOP"] = desktop
        codes, facts = home.check()
        told = None if after_s is None else after_s > 0
        assert (facts["screen_lock"], facts["lock_after_s"]) == (told, after_s or 0), (desktop, text)
        assert (CODE["NO_SCREEN_LOCK"] in codes) == (told is False or (after_s or 0) > 1800), (desktop, text)


def connect(office, home, *actions, env=None):
    run = home.run(*office.connect_argv(*actions), env=env)
    return json.loads(run.stdout) | {"stderr": run.stderr}


def test_connect_from_a_home_pc(office, home):
    """Refused with all that is wrong, before the password; let in when it is put right."""
    result = connect(office, home, "--for", "100ms")
    assert result["code"] != 0 and "EW-326" in result["stderr"] and {f["code"] for f in result["findings"]} >= {CODE["NO_ANTIVIRUS"]}
    home.clamav(age_days=30)
    home.put("etc/os-release", "ID=debian\nVERSION_ID=10\n")
    result = connect(office, home, "--for", "100ms")
    assert result["name"] == "INSPECTION" and {f["code"] for f in result["findings"]} >= {CODE["PATTERNS_OLD"], CODE["OS_ENDED"]}
    assert "freshclam" in result["stderr"]
    home.clamav(age_days=1)
    home.put("etc/os-release", "ID=debian\nVERSION_ID=12\n")
    result = connect(office, home, "--for", "100ms")
    assert result["code"] == 0, result
    log = (office.log_dir / "agent.log").read_text()
    assert "login.inspection" in log and "ClamAV" not in log  # numbers of ours, nothing of what it said


def test_clamd_dies_in_the_session(office, home):
    """A real clamd, that finds what it should, lets the real client in; killed while the session works, it is a finding, a warning with the time that
    is left, and then the end. The client's clock is set forward then, so that its next report comes soon."""
    home.clamav(age_days=1)
    assert b"Engawa.Test.UNOFFICIAL FOUND" in home.clamd.scan(Clamd.PATTERN) and b"OK" in home.clamd.scan(b"a letter")
    faketime = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    log = office.log_dir / "agent.log"
    office.sign_policy(DISABLE_INSPECTION=None, INSPECTION_REPEAT_MINUTES=1, INSPECTION_GRACE_MINUTES=0)
    try:
        begun = len(log.read_text())
        with ThreadPoolExecutor() as pool:
            home.put("ahead", "+0\n")
            session = pool.submit(connect, office, home, "--for", "20m",
                env={"LD_PRELOAD": str(faketime), "FAKETIME_TIMESTAMP_FILE": "/ahead", "FAKETIME_NO_CACHE": "1"})
            system.wait_for(lambda: "session.heard" in log.read_text()[begun:] or session.done(), "nobody works", 60)
            assert not session.done(), session.result()
            home.clamd.stop()
            home.put("later", "+65\n")
            (home.root / "later").rename(home.root / "ahead")
            result = session.result(timeout=90)
        assert result["code"] == CODE["ANTIVIRUS_STOPPED"] and "freshclam" in result["stderr"], result
        told = re.search("session.notice .*", log.read_text()[begun:])
        assert told and str(CODE["ANTIVIRUS_STOPPED"]) in told[0]
    finally:
        office.sign_policy(DISABLE_INSPECTION=None, INSPECTION_GRACE_MINUTES=0)


def test_attack_a_process_called_clamd(home):
    """Tried: clamd is ended, and something else runs under its name. Comes of it: the finding that ClamAV does not run."""
    home.clamav(age_days=1)
    assert CODE["ANTIVIRUS_STOPPED"] not in home.check()[0]
    home.clamd.stop()
    shutil.copy("/usr/bin/sleep", home.root / "clamd")
    home.start([home.root / "clamd", "600"])
    assert CODE["ANTIVIRUS_STOPPED"] in home.check()[0]


# --- a client that lies -----------------------------------------------------------------------------------------------


def refusal(c, inner):
    """Findings and code of what comes after a report."""
    findings = []
    while True:
        kind, payload = c.hear()
        if kind == inner.INNER_NOTICE:
            findings += inner.Notice.FromString(payload).findings
        elif kind == inner.INNER_REFUSED:
            return findings, inner.Refused.FromString(payload).code
        else:
            return findings, kind


def test_attack_posture_replayed(client, inner):
    """A good report, recorded in a session of its own, said in another one: it belongs to that handshake, and is refused."""
    first, second = client().begin(), client().begin()
    assert first.prove().kind == inner.PROMPT_POSTURE
    assert second.prove().kind == inner.PROMPT_POSTURE
    second.say(inner.INNER_POSTURE, first.report())
    assert refusal(second, inner) == ([CODE["POSTURE_BAD"]], CODE["POSTURE_BAD"])


LIES = {
    "format of the future": lambda c: c.report(version=2),
    "no format": lambda c: c.report(version=0),
    "nothing": lambda c: b"",
    "garbage": lambda c: b"\xff" * 200,
    "dates of the future": lambda c: c.report(updates_done_s=2**63),
    "contradiction": lambda c: c.report(reboot_since_s=1),
    "a system that does not exist": lambda c: c.report(system=77),
    "hundred antivirus programs": lambda c: c.report(antivirus=[c.inner.Antivirus(name="x", running=2, patterns_s=1)] * 100),
    "huge": lambda c: c.report(os="x" * 50000),
    "escape in a name": lambda c: c.report(os="\x1b[31mdebian\nevent=login.passed"),
    "deep": lambda c: b"\x3b" * 20000 + b"\x3c" * 20000,
}


def test_attack_postures_that_lie(office, client, inner):
    """Another version, huge, deep, contradictory, text that would forge the log: one answer, the same code, and no password is asked for."""
    for name, make in LIES.items():
        c = client().begin()
        assert c.prove().kind == inner.PROMPT_POSTURE
        c.say(inner.INNER_POSTURE, make(c))
        assert refusal(c, inner) == ([CODE["POSTURE_BAD"]], CODE["POSTURE_BAD"]), name
        c.close()
    log = (office.log_dir / "agent.log").read_text()
    assert "\x1b" not in log and "process.crash" not in log


def test_attack_posture_skipped(client, inner):
    """The password instead of the report, the report before its turn, two of them: the session ends without a word."""
    c = client().begin()
    c.prove()
    c.reply(inner.PROMPT_PASSWORD, c.engawa.password)
    assert c.hear()[0] is None
    c = client().begin()
    c.say(inner.INNER_FACTS, inner.Facts(kind=inner.CLIENT_APP, build=1, window_mib=8, locale="ja"))
    c.say(inner.INNER_POSTURE, c.report())
    assert c.hear_until(inner.INNER_START, inner.INNER_REFUSED)[0] is None
    c = client().begin()
    c.prove()
    c.say(inner.INNER_POSTURE, c.report())
    c.say(inner.INNER_POSTURE, c.report())
    assert c.hear_until(inner.INNER_START, inner.INNER_REFUSED)[0] is None


def live(c, inner, seconds, *until):
    """Pings until one of these records comes; its payload."""
    c.stream.settimeout(15)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        c.input(inner.INNER_PING, inner.InnerPing(id=1))
        kind, payload = c.hear_until(inner.INNER_PONG, *until)
        if kind != inner.INNER_PONG:
            assert kind in until
            return kind, payload
        time.sleep(0.3)
    raise AssertionError("nothing came")


def test_becomes_bad_in_the_session(office, client, inner):
    """A finding in the middle: told at once with its code, and the session ends with it when the grace (none here) is over."""
    c = client().begin()
    c.log_in()
    c.input(inner.INNER_POSTURE, c.report())
    c.input(inner.INNER_POSTURE, c.report(networks=[inner.NETWORK_OPEN]))
    kind, payload = c.hear_until(inner.INNER_NOTICE, inner.INNER_END)
    notice = inner.Notice.FromString(payload)
    assert kind == inner.INNER_NOTICE and notice.code == CODE["INSPECTION"] and list(notice.findings) == [CODE["WIFI_WEAK"]]
    kind, payload = live(c, inner, 10, inner.INNER_END)
    assert inner.End.FromString(payload).code == CODE["WIFI_WEAK"]


def test_put_right_in_the_session(office, client, inner):
    office.sign_policy(DISABLE_INSPECTION=None)
    try:
        c = client().begin()
        c.log_in()
        for networks, findings in ([inner.NETWORK_WEP], [CODE["WIFI_WEAK"]]), ([inner.NETWORK_WPA3], []):
            c.input(inner.INNER_POSTURE, c.report(networks=networks))
            kind, payload = live(c, inner, 10, inner.INNER_NOTICE, inner.INNER_END)
            notice = inner.Notice.FromString(payload)
            assert kind == inner.INNER_NOTICE and list(notice.findings) == findings and notice.seconds == (600 if findings else 0)
        c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
        assert c.hear_until()[0] is None
    finally:
        office.sign_policy(DISABLE_INSPECTION=None, INSPECTION_GRACE_MINUTES=0)


def test_attack_flood_of_postures(client, inner):
    """A report every millisecond: the session ends, the monitor gets six of them."""
    c = client().begin()
    c.log_in()
    with contextlib.suppress(OSError):  # the other side may have gone before all of them are out
        c.stream.sendall(b"".join(c.seal(inner.INNER_POSTURE, c.report(), size=64) for _ in range(50)))
    kind, payload = c.hear_until(inner.INNER_END)
    assert inner.End.FromString(payload).code == CODE["INPUT_BURST"]
