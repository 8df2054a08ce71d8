"""engawa-guard: the people at the office PC. An X server with a keyboard and a mouse that can be touched; this test plays the
agent. No monitor hangs on it: that a real one is dark when its colour tables are zero is for docs/operations.md."""
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess

import pytest
from PIL import Image

from office_desk import A, ALT, CTRL, DELETE, KEYBOARD, MOUSE, Manager, Office, Saver, wait_for

BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
GUARD = BUILD / "src/desktop/engawa-guard"
RUN, STATE, END = 0x100, 0x101, 0x102
RESTORE_ONLY, SHOW_LOCKED = 1, 2
LOCKED, NO_DISPLAY, WAYLAND, VT_AWAY, DARK_FAILED, DARK_UNDONE, INPUT_FAILED, INPUT_UNDONE, BREAK, NO_LOCK, LOST, JOURNAL = \
    303, 1350, 1351, 1353, 1355, 1356, 1357, 1358, 1359, 1360, 1361, 1362
DAMAGED = 1190
LOCK = "204060"  # its colour

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Xorg takes a configuration file from root only")


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    office = Office(tmp_path_factory.mktemp("office"))
    office.run("xrandr", "--output", "DUMMY0", "--mode", "1024x768", "--gamma", "0.9:1:1.1")
    yield office
    office.stop()


@pytest.fixture(scope="module")
def manager(office):
    manager = Manager(office.directory, office.display, os.geteuid())
    yield manager
    manager.stop()


@pytest.fixture(scope="module")
def saver(office):
    saver = Saver(office.directory)
    yield saver
    saver.stop()


class Guard:
    def __init__(self, desk, flags=0, *options, env=None):
        self.desk = desk
        self.journal = desk.office.directory / "journal"
        self.log_path = desk.office.directory / "guard.log"
        self.start = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(20)
        x = socket.socket(socket.AF_UNIX)
        x.connect("/tmp/.X11-unix/X" + desk.office.display[1:])
        journal = os.open(self.journal, os.O_RDWR | os.O_CREAT, 0o600)
        fds = [os.dup2(fd, 100 + i) for i, fd in enumerate((theirs.fileno(), journal, x.fileno()))]

        def place():
            for i, fd in enumerate(fds):
                os.dup2(fd, 3 + i)
        self.process = subprocess.Popen([GUARD, "--log-level", "debug", "--display", desk.office.display, *options], preexec_fn=place,
            close_fds=False, env=desk.env | (env or {}), stderr=open(self.log_path, "ab"))
        for fd in fds:
            os.close(fd)
        theirs.close(), x.close(), os.close(journal)
        name = b"MIT-MAGIC-COOKIE-1"
        self.channel.send(struct.pack("<HBB", RUN, flags, len(name)) + name + bytes([len(desk.office.cookie)]) + desk.office.cookie)

    def state(self):
        message = self.channel.recv(64)
        kind, code = struct.unpack("<H", message[:2])[0], int.from_bytes(message[2:], "big")
        assert kind == STATE
        return code

    def end(self):
        self.channel.send(struct.pack("<H", END))
        return self.gone()

    def gone(self):
        return self.process.wait(20)

    def log(self):
        return self.log_path.read_bytes()[self.start:].decode(errors="replace")

    def stop(self):
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Desk:
    def __init__(self, office, manager, saver):
        self.office, self.manager, self.saver, self.guards = office, manager, saver, []
        self.env = office.env | {"DBUS_SYSTEM_BUS_ADDRESS": manager.address, "DBUS_SESSION_BUS_ADDRESS": saver.address}

    def guard(self, *args, **options):
        self.guards.append(Guard(self, *args, **options))
        return self.guards[-1]

    def on(self, *args, **options):
        guard = self.guard(*args, **options)
        assert guard.state() == 0, guard.log()
        return guard


@pytest.fixture
def desk(office, manager, saver):
    """Each test begins and ends with an unlocked desktop with everything in its place."""
    (office.directory / "journal").write_bytes(b"")
    saver.works()
    saver.set(False)
    manager.set(LockedHint=False, Active=True, Type="x11")
    desk = Desk(office, manager, saver)
    before = office.settings()
    yield desk
    for guard in desk.guards:
        guard.stop()
    if (office.directory / "journal").stat().st_size:
        saver.works()
        assert Guard(desk, RESTORE_ONLY).gone() == 0
    assert office.settings() == before


def test_session_is_dark_and_put_back(desk):
    before = desk.office.settings()
    guard = desk.on()
    assert desk.office.is_dark() and desk.office.floating() == [KEYBOARD, MOUSE]
    assert "gamma" in guard.journal.read_text() and guard.journal.read_text().count("device") == 2
    assert not desk.saver.locked, "a lock in the session would be in its picture"
    assert guard.end() == 0, guard.log()
    assert desk.saver.locked and guard.journal.read_bytes() == b""
    assert desk.office.settings() == before


def keys_seen(office, touch):
    """How many presses of A reach the desktop's keyboard."""
    xev = subprocess.Popen(["xinput", "test-xi2", "--root", "3"], env=office.env, stdout=subprocess.PIPE)
    seen = b""

    def sees(code):
        nonlocal seen
        if select.select([xev.stdout], [], [], 0.1)[0]:
            seen += os.read(xev.stdout.fileno(), 65536)
        return b"detail: %d\n" % code in seen

    def looks():
        office.run("xdotool", "key", "--clearmodifiers", "F9")  # XTest
        return sees(75)
    try:
        wait_for(looks, "xinput does not see a key")
        touch.press(A)
        office.run("xdotool", "key", "--clearmodifiers", "F10")  # after it nothing else comes
        wait_for(lambda: sees(76), "the last key does not come")
        return seen.count(b"detail: %d\n" % A)
    finally:
        xev.terminate()
        xev.wait(10)
        xev.stdout.close()


def test_attack_typing_at_the_office(desk):
    """Somebody at the office PC types while a colleague works from home: nothing of it reaches the desktop. What the person at
    home types, which is XTest, does."""
    touch = desk.office.touch()
    assert keys_seen(desk.office, touch) > 0, "the test's hand does not reach the keyboard"
    guard = desk.on()
    assert keys_seen(desk.office, touch) == 0
    guard.end()


def test_break_keys_end_and_lock(desk):
    touch = desk.office.touch()
    guard = desk.on()
    touch.press(CTRL, A)
    touch.press(ALT, DELETE)
    touch.press(CTRL, ALT, DELETE)
    assert guard.state() == BREAK
    assert guard.gone() == 0 and desk.saver.locked


def test_attack_light_the_screen(desk):
    """Who works from home wants people at the office to see the screen, or a program there changes the colours: it is dark again within
    a second, and the session ends."""
    guard = desk.on()
    desk.office.run("xrandr", "--output", "DUMMY0", "--gamma", "1:1:1", "--brightness", "0.9")
    assert guard.state() == DARK_UNDONE
    assert guard.gone() == 0 and desk.saver.locked and not desk.office.is_dark()


def test_attack_monitor_is_plugged_in(desk):
    """Somebody plugs another monitor into the office PC: it is dark like the others, and put back with them."""
    guard = desk.on()
    desk.office.run("xrandr", "--addmode", "DUMMY1", "1024x768")
    try:
        desk.office.run("xrandr", "--output", "DUMMY1", "--mode", "1024x768", "--right-of", "DUMMY0")
        wait_for(desk.office.is_dark, "the new monitor stays lit")
        assert len([line for line in desk.office.ramps() if "lit" in line]) == 2
        assert guard.process.poll() is None
    finally:
        guard.end()
        desk.office.run("xrandr", "--output", "DUMMY1", "--off")
        desk.office.run("xrandr", "--delmode", "DUMMY1", "1024x768")
    assert not desk.office.is_dark()


def test_attack_mouse_is_plugged_in(desk):
    """Somebody plugs a mouse or a keyboard in during the session: it is disconnected as it comes. (A disabled one that is enabled looks the
    same to the X server as one that is new.)"""
    desk.office.run("xinput", "disable", MOUSE)
    try:
        guard = desk.on()
        assert guard.journal.read_text().count("device") == 1
        desk.office.run("xinput", "enable", MOUSE)
        wait_for(lambda: guard.journal.read_text().count("device") == 2, "the new mouse is not noticed")
        wait_for(lambda: desk.office.floating() == [KEYBOARD, MOUSE], "the new mouse stays connected")
        assert guard.process.poll() is None, "that is no reason to end"
        guard.end()
        assert desk.office.floating() == []
    finally:
        desk.office.run("xinput", "enable", MOUSE)


def test_attack_reconnect_the_keyboard(desk):
    """A program on the desktop connects the keyboard again, for a helper at the office: the session ends."""
    guard = desk.on()
    desk.office.run("xinput", "reattach", KEYBOARD, "Virtual core keyboard")
    assert guard.state() == INPUT_UNDONE
    assert guard.gone() == 0 and desk.saver.locked


def test_attack_kill_the_guard(desk):
    """SIGKILL of the guard: the next one locks, then puts everything back byte by byte, from the journal."""
    before = desk.office.settings()
    guard = desk.on()
    guard.process.kill()
    guard.gone()
    assert desk.office.is_dark() and desk.office.floating() == [KEYBOARD, MOUSE], "what it left stays closed"
    assert desk.guard(RESTORE_ONLY).gone() == 0
    assert desk.saver.locked and desk.office.settings() == before


def test_session_after_a_crash(desk):
    """Where the next one is for a session: put back first, and locked, so that the session is refused."""
    guard = desk.on()
    guard.process.kill()
    guard.gone()
    assert desk.guard().state() == LOCKED


def test_agent_is_killed(desk):
    """The channel ends: the same as the end of the session."""
    before = desk.office.settings()
    guard = desk.on()
    guard.channel.close()
    assert guard.gone() == 0 and desk.saver.locked and desk.office.settings() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_attack_end_the_guard(desk, number):
    """Who works from home ends the guard to have the screen lit: it locks before it puts anything back, and the session ends."""
    guard = desk.on()
    guard.process.send_signal(number)
    assert guard.state() == LOST
    assert guard.gone() == 0 and desk.saver.locked


def test_attack_lock_that_does_not_lock(desk):
    """Who works from home, or a broken program, makes the lock fail: the screen stays dark and the keyboard dead until one works."""
    desk.saver.fails()
    guard = desk.on()
    guard.channel.send(struct.pack("<H", END))
    wait_for(lambda: "guard.not_locked" in guard.log(), "nothing is said about it")
    assert desk.office.is_dark() and desk.office.floating() == [KEYBOARD, MOUSE] and guard.process.poll() is None
    desk.saver.works()
    desk.office.touch().press(CTRL, ALT, DELETE)  # its person, who has come to look
    assert guard.gone() == 0 and desk.saver.locked


def test_journal_is_lost(desk):
    """A journal that is gone leaves nobody with a dark screen for good."""
    guard = desk.on()
    guard.process.kill()
    guard.gone()
    guard.journal.unlink()
    assert desk.guard(RESTORE_ONLY).gone() == 0
    assert not desk.office.is_dark() and desk.office.floating() == []
    desk.office.run("xrandr", "--output", "DUMMY0", "--gamma", "0.9:1:1.1")


def test_journal_of_another_server(desk):
    (desk.office.directory / "journal").write_text("server " + "00" * 16 + "\ngamma 66 2 " + "0001" * 6 + "\n")
    guard = desk.on()
    assert "0001" * 6 not in guard.journal.read_text()
    guard.end()


def test_journal_is_damaged(desk):
    journal = desk.office.directory / "journal"
    journal.write_text("gamma 1 2 3\n")
    assert desk.guard().state() == DAMAGED
    journal.write_bytes(b"")


def test_journal_cannot_be_written(desk):
    """Nothing is changed that cannot be put back."""
    full = os.open("/dev/full", os.O_RDWR)
    real, os.open = os.open, lambda *args, **options: full
    try:
        guard = desk.guard()
    finally:
        os.open = real
    assert guard.state() == JOURNAL and not desk.office.is_dark() and desk.office.floating() == []


def test_locked(desk):
    desk.saver.set(True)
    assert desk.guard().state() == LOCKED
    assert not desk.office.is_dark()


def test_locked_as_the_manager_says(desk):
    desk.manager.set(LockedHint=True)
    assert desk.guard().state() == LOCKED


def test_locked_in_the_session(desk):
    guard = desk.on()
    desk.saver.set(True)
    assert guard.state() == LOCKED
    assert guard.gone() == 0


def test_locked_desktop_is_shown(desk):
    """LOCKED_DESKTOP: the person unlocks it from home."""
    desk.saver.set(True)
    guard = desk.on(SHOW_LOCKED)
    desk.saver.set(False)
    assert desk.office.is_dark() and guard.end() == 0 and desk.saver.locked


def test_another_terminal(desk):
    """As Xorg says it when somebody switches the console: the property of its root window."""
    desk.office.run("xprop", "-root", "-f", "XFree86_has_VT", "32i", "-set", "XFree86_has_VT", "0")
    try:
        assert desk.guard().state() == VT_AWAY
        desk.office.run("xprop", "-root", "-f", "XFree86_has_VT", "32i", "-set", "XFree86_has_VT", "1")
        guard = desk.on()
        desk.office.run("xprop", "-root", "-f", "XFree86_has_VT", "32i", "-set", "XFree86_has_VT", "0")
        assert guard.state() == VT_AWAY and guard.gone() == 0 and desk.saver.locked
    finally:
        desk.office.run("xprop", "-root", "-f", "XFree86_has_VT", "32i", "-set", "XFree86_has_VT", "1")


def test_another_user(desk):
    """As the session manager says it when somebody else has the seat."""
    desk.manager.set(Active=False)
    assert desk.guard().state() == VT_AWAY
    desk.manager.set(Active=True)
    guard = desk.on()
    desk.manager.set(Active=False)
    assert guard.state() == VT_AWAY and guard.gone() == 0


def test_wayland_as_the_environment_says(desk):
    assert desk.guard(env={"XDG_SESSION_TYPE": "wayland"}).state() == WAYLAND
    assert desk.guard(env={"WAYLAND_DISPLAY": "wayland-0"}).state() == WAYLAND


def test_wayland_as_the_manager_says(desk):
    desk.manager.set(Type="wayland")
    assert desk.guard().state() == WAYLAND


def test_no_lock(desk):
    assert desk.guard(env={"DBUS_SESSION_BUS_ADDRESS": "disabled:"}).state() == NO_LOCK


def test_lock_command(desk, tmp_path):
    guard = desk.on(0, "--lock-command", f"touch {tmp_path}/locked", env={"DBUS_SESSION_BUS_ADDRESS": "disabled:"})
    assert guard.end() == 0 and (tmp_path / "locked").exists()


def test_lock_command_that_fails(desk, tmp_path):
    guard = desk.on(0, "--lock-command", f"test -e {tmp_path}/may", env={"DBUS_SESSION_BUS_ADDRESS": "disabled:"})
    guard.channel.send(struct.pack("<H", END))
    wait_for(lambda: "guard.not_locked" in guard.log(), "nothing is said about it")
    assert desk.office.is_dark()
    (tmp_path / "may").touch()
    assert guard.gone() == 0


class Locker:
    """i3lock, with a password of its own, in a mount namespace of its own."""

    def __init__(self, office, directory):
        self.office = office
        hashed = subprocess.run(["openssl", "passwd", "-6", "sakura"], check=True, capture_output=True, text=True).stdout.strip()
        (directory / "shadow").write_text(f"root:{hashed}:20000:0:99999:7:::\n")
        (directory / "pam").write_text("auth required pam_unix.so\naccount required pam_unix.so\n")
        (directory / "lock").write_text(f"""#!/bin/sh
exec unshare --mount sh -c 'mount --bind {directory}/shadow /etc/shadow && mount --bind {directory}/pam /etc/pam.d/i3lock && exec i3lock --color={LOCK}'
""")
        self.options = "--lock-command", f"sh {directory}/lock"

    def running(self):
        return [int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/comm") if self.is_ours(path)]

    def is_ours(self, comm):
        try:
            return comm.read_text() == "i3lock\n" and f"DISPLAY={self.office.display}\0".encode() in comm.with_name("environ").read_bytes()
        except OSError:
            return False

    def share_seen(self):
        """How much of the screen shows the lock."""
        picture = self.office.directory / "screen.png"
        self.office.run("/usr/bin/python3", "-c", f"from PIL import ImageGrab; ImageGrab.grab(xdisplay='{self.office.display}').save('{picture}')")
        pixels = Image.open(picture).convert("RGB").getdata()
        return sum(pixel == tuple(bytes.fromhex(LOCK)) for pixel in pixels) / len(pixels)

    def covers(self):
        """It has the keyboard at once, and draws what it shows a moment later."""
        wait_for(lambda: self.share_seen() > 0.9, "the lock does not cover the screen")

    def unlock(self):
        """By XTest, as the person at home types."""
        self.office.run("xdotool", "type", "sakura")
        self.office.run("xdotool", "key", "Return")
        wait_for(lambda: not self.running(), "the password does not unlock")

    def stop(self):
        for pid in self.running():
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.running(), "the lock does not go")


@pytest.fixture
def locker(desk, tmp_path):
    locker = Locker(desk.office, tmp_path)
    yield locker
    for guard in desk.guards:
        guard.stop()
    locker.stop()


NO_BUS = {"DBUS_SESSION_BUS_ADDRESS": "disabled:"}


def test_real_lock(desk, locker):
    """i3lock, which tells nobody that it is on. The session ends under it, nobody unlocks it, a further session is refused; with
    LOCKED_DESKTOP the person at home types the password, and at the end it is locked anew."""
    desk.office.run("xsetroot", "-solid", "#345678")
    guard = desk.on(0, *locker.options, env=NO_BUS)
    assert not locker.running()
    assert guard.end() == 0, guard.log()
    locker.covers()
    assert not desk.office.is_dark()
    first = locker.running()
    assert desk.guard(0, *locker.options, env=NO_BUS).state() == LOCKED
    assert locker.running() == first and locker.share_seen() > 0.9

    guard = desk.on(SHOW_LOCKED, *locker.options, env=NO_BUS)
    locker.unlock()
    wait_for(lambda: locker.share_seen() == 0, "the lock is still to be seen")
    assert desk.office.is_dark()
    assert guard.end() == 0 and locker.running() != first
    locker.covers()


def test_real_lock_that_stays_on(desk, locker):
    """Nobody unlocks it in the session, and the command fails the second time: it is locked all the same, and everything is put back."""
    assert desk.on(0, *locker.options, env=NO_BUS).end() == 0
    first = locker.running()
    guard = desk.on(SHOW_LOCKED, *locker.options, env=NO_BUS)
    assert guard.end() == 0, guard.log()
    assert locker.running() == first and not desk.office.is_dark()


def test_attack_lock_command_of_before(desk, locker):
    """A guard is killed; the next one locks and puts back, then shows the locked desktop, which is unlocked: that the command had locked
    it before does not count at the end."""
    guard = desk.on(0, *locker.options, env=NO_BUS)
    guard.process.kill()
    guard.gone()
    guard = desk.on(SHOW_LOCKED, *locker.options, env=NO_BUS)
    assert locker.running()
    locker.unlock()
    assert guard.end() == 0 and locker.running()
    locker.covers()


def test_x_server_ends(tmp_path, saver, manager):
    office = Office(tmp_path)
    office.run("xrandr", "--output", "DUMMY0", "--mode", "1024x768")
    guard = Desk(office, manager, saver).on(SHOW_LOCKED)
    office.stop()
    assert guard.state() == NO_DISPLAY
    guard.gone()
    guard.stop()


def test_screen_that_cannot_be_dark(tmp_path, saver, manager):
    """No session, rather than one that people can watch."""
    office = Office(tmp_path, server="Xvfb", options=["-extension", "RANDR"])
    try:
        guard = Desk(office, manager, saver).guard(SHOW_LOCKED)
        assert guard.state() == DARK_FAILED
        guard.stop()
        assert office.floating() == []
    finally:
        office.stop()
