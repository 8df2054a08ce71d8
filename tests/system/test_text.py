"""Text composed at home: engawa-desktop and a real IBus, with real programs in front; desktop_driver plays the agent."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from gi.repository import Gio, GLib

from test_desktop import CTRL, DRIVER, RETURN, USAGE, Desk, Driver, desk, start, typed, wait_for  # noqa: F401 (fixtures)

TEXT = "縁側のテレワーク：①髙﨑𠮷"
ENGINE = "xkb:jp::jpn"
TEXT_BURST, TEXT_PER_S = 64, 20  # src/desktop/input.c


@pytest.fixture
def session(start, desk):
    """A desk whose programs use IBus, as a desktop session sets them up; not so the window manager, which may crash when its input method ends."""
    desk.manager()
    bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address=1", "--nopidfile"], env=desk.env, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True)
    try:
        desk.env |= {"DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip(), "GTK_IM_MODULE": "ibus", "QT_IM_MODULE": "ibus",
            "XMODIFIERS": "@im=ibus"}
        desk.ibus = desk.home / ".config/ibus/bus"
        # its own choice is below the home directory here, which makes a name too long for the D-Bus library of Qt
        desk.daemon = desk.start("ibus-daemon", f"--address=unix:abstract=engawa-ibus-{os.getpid()}{desk.display}", "--xim", "--panel=disable",
            "--config=disable", "--emoji-extension=disable")
        wait_for(lambda: desk.ibus.exists() and any(f.read_text().count("IBUS_ADDRESS") for f in desk.ibus.iterdir()), "no IBus", 30)
        yield desk
    finally:
        bus.kill()
        bus.wait()
        bus.stdout.close()


def office(start, desk):
    d = start(Driver, desk, env={"DESKTOP_IBUS": str(desk.ibus)})
    wait_for(lambda: d("wait", 50) is not None and "desktop.ibus" in d.log(), "IBus does not take the engine", 30)
    return d


def engine(desk):
    return subprocess.run(["ibus", "engine"], env=desk.env, capture_output=True, text=True, timeout=20).stdout.strip()


def chosen(desk):
    """What gives the engines that are chosen from now on, as IBus tells everybody: ours is there for a moment only."""
    text = "".join(file.read_text() for file in desk.ibus.iterdir())
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    bus = Gio.DBusConnection.new_for_address_sync(re.search("(?m)^IBUS_ADDRESS=(.*)", text)[1], flags, None, None)
    names = []
    bus.signal_subscribe(None, "org.freedesktop.IBus", "GlobalEngineChanged", None, None, Gio.DBusSignalFlags.NONE, lambda *got: names.append(got[5][0]))
    bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", None, None, Gio.DBusCallFlags.NONE, -1, None)  # it listens

    def look():
        while GLib.MainContext.default().iteration(False):
            pass
        return names if not bus.is_closed() else []
    return look


def choose(desk):
    """The engine of the person at the office PC."""
    wait_for(lambda: subprocess.run(["ibus", "engine", ENGINE], env=desk.env, capture_output=True, timeout=20) and engine(desk) == ENGINE,
        "no engine", 30)


def ended(desk):
    """Ends the line once."""
    pressed = []
    return lambda d: (d.key(RETURN) if not pressed else None, pressed.append(1), typed(desk))[2]


def editor(desk, program):
    """A program in front that writes what it gets into a file, and how to read that."""
    if program == "xterm":
        # it asks its input method while it starts: ibus-x11 has to be there before
        wait_for(lambda: "@server=ibus" in desk.run("xprop", "-root", "XIM_SERVERS"), "no ibus-x11", 30)
        desk.terminal("cat >typed")
        return ended(desk)
    desk.manager()
    note = desk.home / "note.txt"
    note.write_text("")
    desk.start(program, *(["--disable-server"] if program == "mousepad" else ["--standalone"]), str(note))
    desk.window("--class", program)

    def saved(d):
        d("key", CTRL, 0, 1)
        d.key(USAGE["s"])
        d("key", CTRL, 0, 0)
        d("wait", 300)
        return note.read_text()
    return saved


def arrives(d, read, text, timeout_s=30):
    got = None

    def there():
        nonlocal got
        got = read(d)
        return got.strip() == text
    try:
        wait_for(lambda: d("wait", 100) is not None and there(), "", timeout_s)
    except AssertionError:
        raise AssertionError(f"{got!r} instead of {text!r}") from None


def counts(d):
    """What the log says at the end: characters by IBus, by keys, and lost."""
    d("close")
    d.gone()
    [line] = [line for line in d.log().splitlines() if "desktop.text" in line]
    return [int(word.partition("=")[2]) for word in line.split()[-3:]]


@pytest.mark.parametrize("program", ["mousepad", "featherpad", "xterm"])
def test_arrives_exactly(start, session, program):
    """In GTK, Qt and by XIM: by IBus, with the keyboard map never touched; the person's own engine comes back."""
    read = editor(session, program)
    choose(session)
    keys = session.run("xmodmap", "-pke")  # the command above sets the map of its engine, too
    d = office(start, session)
    engines = chosen(session)
    d("text", TEXT)
    wait_for(lambda: d("wait", 50) is not None and "engawa" in engines(), "our engine is not chosen")
    assert session.run("xmodmap", "-pke") == keys
    wait_for(lambda: engine(session) == ENGINE, "the engine of before does not come back")
    arrives(d, read, TEXT)
    assert session.run("xmodmap", "-pke") == keys
    assert counts(d) == [len(TEXT), 0, 0]


def test_order_of_keys_and_text(start, session):
    read = editor(session, "mousepad")
    choose(session)
    d = office(start, session)
    for text, key in ("縁", "a"), ("側", "b"), ("で", "c"):
        d("text", text)
        d.key(USAGE[key])
    arrives(d, read, "縁a側bでc")
    wait_for(lambda: engine(session) == ENGINE, "the engine of before does not come back")


@pytest.mark.parametrize("how", [["close"], ["signal", signal.SIGTERM.value]], ids=["agent", "signal"])
def test_an_end_in_the_middle(start, session, how):
    """The person's own engine is back, however the session ends."""
    editor(session, "mousepad")
    choose(session)
    d = office(start, session)
    engines = chosen(session)
    d("text", "縁側" * 8)
    wait_for(lambda: d("wait", 20) is not None and "engawa" in engines(), "our engine is not chosen")
    d(*how)
    d.gone()
    wait_for(lambda: engine(session) == ENGINE, "the engine of before does not come back")


def test_ibus_killed_in_the_middle(start, session):
    """What IBus did not deliver any more comes by keys: nothing is lost, nothing comes twice, and the map is as it was found."""
    keys = session.run("xmodmap", "-pke")
    read = editor(session, "mousepad")
    d = office(start, session)
    text = "".join(chr(0x4E00 + 37 * i) for i in range(105))
    for at in range(0, len(text), 15):
        d("text", text[at:at + 15])
    # the burst is 64 characters, which is four texts; the fifth waits for half a second, and nothing is under way
    wait_for(lambda: d("wait", 10) is not None and "desktop.input_limited" in d.log(), "no limit")
    os.kill(session.daemon.pid, signal.SIGKILL)
    arrives(d, read, text, 60)
    committed, by_keys, lost = counts(d)
    assert committed + by_keys == len(text) and by_keys > 0 and lost == 0
    assert session.run("xmodmap", "-pke") == keys


def test_program_without_input_method(start, session):
    """The window in front does not know IBus: keys, and not the window before it."""
    editor(session, "mousepad")
    session.env = {key: value for key, value in session.env.items() if key != "XMODIFIERS"}
    session.terminal("cat >typed")
    d = office(start, session)
    d("text", "縁側")
    arrives(d, ended(session), "縁側")
    assert counts(d) == [0, 2, 0] and (session.home / "note.txt").read_text() == ""


def test_attack_file_typed_as_text(start, session):
    """A client sends a document as composed text: it comes at the pace of a person, and the log has the count."""
    read = editor(session, "mousepad")
    d = office(start, session)
    text = "縁側で働く" * 18
    begin = time.monotonic()
    for at in range(0, len(text), 15):
        d("text", text[at:at + 15])
    arrives(d, read, text)
    assert time.monotonic() - begin > (len(text) - TEXT_BURST) / TEXT_PER_S
    assert "desktop.input_limited kind=text" in d.log()
    assert counts(d) == [len(text), 0, 0]


def listen(directory, answer):
    """Something that is no IBus, where IBus would be."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(directory / "socket"))
    server.listen()

    def serve():
        connection, _ = server.accept()
        with connection:
            answer(connection)
    threading.Thread(target=serve, daemon=True).start()
    return server


def address_file(desk, how="path"):
    """Named as ibus-daemon would name it."""
    machine = next((p for p in ("/var/lib/dbus/machine-id", "/etc/machine-id") if os.path.exists(p)), None)
    name = open(machine).read().strip() if machine else "machine-id"
    directory = desk.directory / "bus"
    directory.mkdir(exist_ok=True)
    (directory / f"{name}-unix-{desk.display[1:]}").write_text(f"IBUS_ADDRESS=unix:{how}={desk.directory}/socket,guid=0\n")
    return directory


@pytest.mark.parametrize("answer", [b"", b"OK 0123456789abcdef0123456789abcdef\r\n" + b"l\x04\x01\x01" + b"\xff" * 400, b"\0" * 70000],
    ids=["silence", "no D-Bus", "zeros"])
def test_attack_something_else_where_ibus_was(start, desk, answer):
    """It hangs, or sends what no bus sends: text comes by keys, and the session goes on."""
    done = threading.Event()
    server = listen(desk.directory, lambda c: (c.sendall(answer), done.wait(60)))
    desk.terminal("cat >typed")
    d = start(Driver, desk, env={"DESKTOP_IBUS": str(address_file(desk))})
    d("text", "縁側")
    arrives(d, ended(desk), "縁側")
    done.set()
    server.close()
    assert not d("stats")["end"] and d.same()


def test_attack_address_taken_by_another_user(desk):
    """IBus has ended, and somebody else on this computer listens at its old address: what is typed does not go there."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    other = subprocess.Popen(["/usr/bin/python3", "-c", "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[1]);"
        " s.listen(); print(flush=True); c, _ = s.accept(); sys.stdout.write(repr(c.recv(10)))", str(desk.directory / "socket")], stdout=subprocess.PIPE, text=True)
    try:
        other.stdout.readline()
        answer = subprocess.run([DRIVER, "/bin/true", "8"], env=desk.env | {"DESKTOP_IBUS": str(address_file(desk, "abstract"))}, input="", capture_output=True,
            text=True, timeout=20)
        assert "ibus" in answer.stdout
        assert other.wait(20) == 0 and other.stdout.read() == "b''"
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_spare_keys_after_a_kill(start, desk):
    """Last resort, and killed: the next process gives the keys back, and nobody else's."""
    before = desk.run("xmodmap", "-pke")
    desk.terminal("cat")
    d = start(Driver, desk)
    d("text", "漢字")
    wait_for(lambda: d("wait", 50) is not None and desk.run("xmodmap", "-pke") != before, "no key was used")
    d("signal", signal.SIGKILL)
    d.gone()
    free = re.findall(r"^keycode +(\d+) =$", before, re.M)[0]  # spares are taken from the other end
    desk.run("xmodmap", "-e", f"keycode {free} = XF86Launch9")
    assert start(Driver, desk).first["ready"]
    after = desk.run("xmodmap", "-pke")
    assert "XF86Launch9" in after
    desk.run("xmodmap", "-e", f"keycode {free} =")
    assert desk.run("xmodmap", "-pke") == before


def test_spare_keys_are_not_kept(start, desk):
    """Some seconds after the last character the map is as it was found, though the session goes on."""
    before = desk.run("xmodmap", "-pke")
    desk.terminal("cat")
    d = start(Driver, desk)
    d("text", "漢字")
    wait_for(lambda: d("wait", 50) is not None and desk.run("xmodmap", "-pke") != before, "no key was used")
    wait_for(lambda: d("wait", 200) is not None and desk.run("xmodmap", "-pke") == before, "the keys are kept", 30)
