"""System mode: a real xrdp with sesman and xorgxrdp behind the agent, seen and used through the whole system; and an xrdp that is
missing, broken or hostile."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import dbus
import numpy
import pytest
from PIL import Image

import system
from system import wait_for
from office_desk import LOGIN, MANAGER_PATH, Manager
from between import Between, indication, is_fast, on_channel
from xrdp import ACCOUNT, PASSWORD, Xrdp, make_certificate

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="accounts and mounts of its own need root")

GREETER, BLUE = (0xDE, 0xDE, 0xDE), (0x34, 0x56, 0x78)
REFUSED, MISSING, CERTIFICATE, SECURITY, SILENT, BROKEN, LOST, ENDED, CHANNEL, CONSOLE = \
    307, 312, 1320, 1321, 1322, 1323, 1324, 1325, 1326, 1480
DESKTOP_START, DESKTOP_READY, DESKTOP_FAILED, END, FRAME, LAYOUT, WANT_LAYOUT = 128, 129, 130, 21, 16, 18, 36


class Office(system.Engawa):
    """Its office PC has no X display of its own."""

    def __init__(self, directory):
        super().__init__(directory)
        self.user = self.file_user  # it starts engawa-desktop-rdp, wherever that lies

    def start_desktop(self):
        self.display, self.desktop_env = ":0", {"XAUTHORITY": "/nonexistent"}


@pytest.fixture(scope="module")
def directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="engawa-rdp-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def xrdp(directory):
    server = Xrdp(directory / "xrdp")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def office(directory, xrdp):
    office = Office(directory / "office")
    office.agent_options = {"DESKTOP_SOURCE": "rdp", "RDP_PORT": xrdp.port, "RDP_CERTIFICATE": xrdp.certificate}
    try:
        yield office.start()
    finally:
        office.stop()


def share(picture, colour):
    """How much of a picture is nearly of this colour: it bears the watermark."""
    pixels = numpy.asarray(Image.open(picture).convert("RGB")).astype(int)
    return (abs(pixels - numpy.array(colour)).max(axis=2) <= 24).mean()


LOG_ON = ["--wait", "2s", "--type", f"{ACCOUNT}\t{PASSWORD}\n"]


def again(word, times=40):
    """What comes before the session is there is lost."""
    return ["--wait", "1s", "--click", "150,150", "--type", f"{word}\n"] * times


def stop(client):
    client.send_signal(signal.SIGTERM)
    client.wait(30)


def test_greeter_and_monitors(office, xrdp, directory):
    """The person sees xrdp's own prompt, in the size of the home PC's monitors."""
    picture = directory / "greeter.png"
    result = office.connect("--screenshot", picture)
    assert result["code"] == 0 and (result["screen"]["width"], result["screen"]["height"]) == (1920, 1080), result
    assert share(picture, GREETER) > 0.02
    for monitors, size in ("1366x768", (1366, 768)), ("1280x1024,1024x768", (2304, 1024)):
        result = office.connect("--layout", monitors, "--wait", "4s", "--screenshot", picture)
        assert result["code"] == 0 and Image.open(picture).size == size, result
        assert share(picture, GREETER) > 0.02, monitors
    assert xrdp.sessions() == 0


def test_session_at_xrdp(office, xrdp, directory):
    """Logged on at the prompt, a window manager and a terminal come; what is typed arrives. With the gate gone and back, it is the same
    connection of the same session; after a new login to the office PC, the same session again."""
    picture = directory / "session.png"
    first = office.client(*LOG_ON, *again("hello"), "--screenshot", picture)
    try:
        wait_for(lambda: "hello" in xrdp.typed(), "nothing arrives in the session", 90)
    finally:
        stop(first)
    assert share(picture, BLUE) > 0.2 and xrdp.sessions() == 1 and xrdp.monitors() == [(1920, 1080, 0, 0)]

    second = office.client("--layout", "1024x768,800x600", "--wait", "6s", *LOG_ON, *again("again", 80))
    try:
        wait_for(lambda: "again" in xrdp.typed(), "nothing arrives at the second time", 90)
        connections = xrdp.connections()
        office.gate.kill()
        office.start_gate()
        before = xrdp.typed()
        wait_for(lambda: "again" in xrdp.typed()[len(before):], "nothing arrives after the gate's end", 120)
        assert xrdp.connections() == connections and xrdp.sessions() == 1
        assert xrdp.monitors() == [(800, 600, 1024, 0), (1024, 768, 0, 0)]
    finally:
        stop(second)


def memory_mib(office):
    """Of engawa-desktop-rdp, its dialler with it; pages of libraries that others have mapped too are shared out among them (Pss)."""
    paths = [pathlib.Path(f"/proc/{pid}") for pid in system.family(office.agent.pid)]
    found = [(path / "smaps_rollup").read_text() for path in paths if (path / "exe").resolve().name == "engawa-desktop-rdp"]
    return sum(int(re.search(r"Pss:\s+(\d+) kB", text)[1]) for text in found) / 1024


def test_memory_of_a_session(office, xrdp):
    """At 1080p, with a window of 32 MiB that more pixels have passed through than it holds, the desktop process stays below 80 MiB."""
    client = office.client(*LOG_ON, *again("memory"))
    try:
        wait_for(lambda: "memory" in xrdp.typed(), "nothing arrives in the session", 90)
        before = memory_mib(office)
        xrdp.paint()
        after = memory_mib(office)
        print(f"{before:.1f} MiB, after painting {after:.1f} MiB")
        assert before < after < 80
    finally:
        stop(client)


def test_keys_and_signed_out(office, xrdp):
    """Keys that only Japanese keyboards have arrive as what is printed on them. Who signs out is told so."""
    line = ["--wait", "1s", "--click", "150,150", "--type", "bye", "--key", "Yen", "--key", "Shift+Yen", "--key", "Shift+2", "--type", "\n"]
    client = subprocess.Popen([str(a) for a in office.connect_argv(*LOG_ON, *(line * 28), "--for", "60s")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: 'bye\\|"' in xrdp.typed(), "the keys do not arrive", 90)
        xrdp.sign_out()
        out, err = client.communicate(timeout=60)
    finally:
        client.kill()
        client.wait()
    assert json.loads(out)["code"] == ENDED and "EW-1325" in err


# ---- the office PC's own screen, which no such session is on ----


@pytest.fixture
def console(office, tmp_path, monkeypatch):
    """Somebody's desktop stands open there, and a login screen beside it, as the session manager has them."""
    manager = Manager(tmp_path, ":0", 1000)
    manager.at(LOGIN, MANAGER_PATH).AddSession("c2", "seat1", dbus.UInt32(110), "greeter", True)
    manager.at(LOGIN, manager.session.replace("c1", "c2")).UpdateProperties(LOGIN + ".Session", {"Type": "x11", "Class": "greeter"})
    manager.obeys()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", manager.address)
    monkeypatch.setitem(office.agent_options, "SCREEN_GUARD", "yes")
    office.agent.stop()
    office.start_agent()
    yield manager
    monkeypatch.undo()
    office.agent.stop()
    office.start_agent()
    manager.stop()


def test_console_is_locked(office, console):
    """When a session begins the desktop at the office PC's screen is locked; neither the session's end nor the next one unlocks it."""
    assert office.connect("--for", "1s")["code"] == 0
    assert console.locked and len(console.calls("Lock")) == 1
    assert office.connect("--for", "1s")["code"] == 0
    assert console.locked and len(console.calls("Lock")) == 1 and not console.calls("Unlock")
    assert not console.calls("Lock", "c2"), "a login screen needs no lock"
    assert office.agent_status()["screen"]["console_code"] == 0


def test_attack_console_that_stays_open(office, console):
    """Somebody has made the lock of the office PC's desktop fail, to have it at hand: the person at home hears of it, and with policy
    there is no session until it is locked."""
    console.obeys(False)
    result = office.connect("--for", "2s")
    assert result["code"] == 0 and f"EW-{CONSOLE}" in result["stderr"], result
    office.sign_policy(ENFORCE_SCREEN_GUARD="yes")
    try:
        assert office.connect("--for", "1s")["code"] == CONSOLE
        assert office.agent_status()["screen"]["last_code"] == CONSOLE
        console.obeys()
        assert office.connect("--for", "1s")["code"] == 0 and console.locked
    finally:
        office.sign_policy()


# ---- engawa-desktop-rdp by itself: the test is its agent ----


class Desktop:
    def __init__(self, port, certificate, **options):
        ours, theirs = socket.socketpair()
        argv = [system.BUILD / "src/desktop/engawa-desktop-rdp", "--rdp-port", port, "--rdp-certificate", certificate, "--log-level", "debug"]
        for key, value in options.items():
            argv += ["--" + key.replace("_", "-"), value]
        self.socket, self.buffer = ours, bytearray()
        ours.settimeout(60)
        self.process = subprocess.Popen(["/bin/bash", "-c", f'exec "$0" "$@" 3<&{theirs.fileno()}', *map(str, argv)], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={})
        theirs.close()
        self.send(DESKTOP_START, b"\x18\x20")  # window_mib 32

    def send(self, kind, payload=b""):
        self.socket.sendall(bytes([kind]) + len(payload).to_bytes(3, "big") + payload)

    def next(self):
        """Type and payload; None at the end."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + int.from_bytes(self.buffer[1:4], "big"):
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        size = int.from_bytes(self.buffer[1:4], "big")
        kind, payload = self.buffer[0], bytes(self.buffer[4:4 + size])
        del self.buffer[:4 + size]
        return kind, payload

    def wait(self, kind):
        while message := self.next():
            if message[0] == kind:
                return message[1]
        raise AssertionError(f"no {kind}: {self.log()}")

    def failure(self):
        """The code that it ends with, said in DesktopFailed or End."""
        while message := self.next():
            if message[0] in (DESKTOP_FAILED, END):
                assert message[1][0] == 8
                return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(message[1][1:]))
        raise AssertionError(f"it said nothing: {self.log()}")

    def log(self):
        self.process.wait(20)
        return self.process.stderr.read().decode()

    def stop(self):
        self.socket.close()
        self.process.wait(20)


@pytest.fixture
def desktop():
    started = []

    def start(*args, **options):
        started.append(Desktop(*args, **options))
        return started[-1]
    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def between(xrdp):
    started = []

    def start(change=lambda number, pdu: [pdu]):
        started.append(Between(xrdp.port, xrdp.conf / "cert.pem", xrdp.conf / "key.pem", change))
        return started[-1]
    yield start
    for one in started:
        with contextlib.suppress(OSError):
            one.close()


class Server:
    """Accepts, and answers the first message with these bytes, or with nothing."""

    def __init__(self, answer=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.answer, self.called = self.listener.getsockname()[1], answer, threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        self.connection, _ = self.listener.accept()
        self.connection.recv(4096)
        self.called.set()
        if self.answer is not None:
            self.connection.sendall(self.answer)
            self.connection.close()


def test_xrdp_missing_or_not_running(desktop, xrdp, nobody_there):
    port = nobody_there
    assert desktop(port, xrdp.certificate).failure() == REFUSED
    assert desktop(port, xrdp.certificate, rdp_program="/nonexistent/xrdp").failure() == MISSING
    assert desktop(port, "/nonexistent/cert.pem", rdp_program="/nonexistent/xrdp").failure() == MISSING
    assert desktop(port, "/nonexistent/cert.pem").failure() == CERTIFICATE
    assert desktop(port, "/etc/passwd").failure() == CERTIFICATE


def test_xrdp_is_said_to_be_missing(office, xrdp, nobody_there):
    """In words, to the person at home."""
    office.agent.stop()
    before = dict(office.agent_options)
    office.agent_options |= {"RDP_PORT": nobody_there}
    try:
        office.start_agent()
        result = office.connect()
        assert result["code"] == REFUSED and "xrdp" in result["stderr"] and "EW-307" in result["stderr"]
    finally:
        office.agent.stop()
        office.agent_options = before
        office.start_agent()


def test_xrdp_without_tls(desktop, xrdp):
    """Its settings allow RDP's old encryption only: SSL_NOT_ALLOWED_BY_SERVER."""
    server = Server(bytes.fromhex("030000130ed000001234000300080002000000"))
    assert desktop(server.port, xrdp.certificate).failure() == SECURITY


def test_xrdp_is_silent(desktop, xrdp):
    server = Server()
    d = desktop(server.port, xrdp.certificate)
    assert server.called.wait(60)
    d.process.send_signal(signal.SIGALRM)  # as its alarm does after 20 seconds
    assert d.failure() == SILENT


def test_xrdp_is_something_else(desktop, xrdp):
    server = Server(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert desktop(server.port, xrdp.certificate).failure() in (SECURITY, BROKEN, LOST)


def test_attack_another_certificate(desktop, xrdp, directory):
    """Another program has taken xrdp's port and shows a certificate of its own with the same name. It is refused before anything is said
    to it, and the person is told."""
    make_certificate(directory / "other.pem", directory / "other.key")
    other = Between(xrdp.port, directory / "other.pem", directory / "other.key", lambda number, pdu: [pdu])
    try:
        assert desktop(other.port, xrdp.certificate).failure() == CERTIFICATE
        assert other.said == []
    finally:
        other.close()


def test_no_channel_is_asked_for(desktop, between, xrdp):
    """What libfreerdp says, without its encryption: no list of channels, none joined but the user's and the picture's; and nothing of
    libfreerdp's plug-ins is loaded."""
    middle = between()
    d = desktop(middle.port, xrdp.certificate)
    d.wait(FRAME)
    maps = pathlib.Path(f"/proc/{d.process.pid}/maps").read_text()
    assert "libfreerdp2" in maps and "libfreerdp-client" not in maps
    first, joined = middle.said[0], [pdu for pdu in middle.said if pdu[:1] == b"\x03" and pdu[7] == 0x38]
    assert b"\x01\xc0" in first and b"\x03\xc0" not in first, "CS_CORE and no CS_NET"
    assert not any(name in b"".join(middle.said) for name in (b"cliprdr", b"rdpdr", b"rdpsnd", b"drdynvc"))
    assert len(joined) == 2
    d.stop()


HOSTILE = {
    "clipboard": bytes.fromhex("0100000000000000"),
    "drives, printers, ports and cards": bytes.fromhex("72446e4901000c0001000000"),
    "sound": bytes.fromhex("070014000000000000000000000000000100ff00060000"),
    "USB": b"\x10\x01URBDRC\0",
    "camera": b"\x10\x02RDCamera_Device_Enumerator\0",
    "microphone": b"\x10\x03AUDIO_INPUT\0",
}


def not_answered(middle):
    """The client has said nothing on any channel but the picture's."""
    return all(pdu[10:12] == (1003).to_bytes(2, "big") for pdu in middle.said if pdu[:1] == b"\x03" and pdu[7] == 0x64)


@pytest.mark.parametrize("what", HOSTILE)
def test_attack_channels(desktop, between, xrdp, what):
    """A hostile xrdp speaks on channels that nobody asked for: clipboard, drives, sound, USB, camera, microphone. The connection ends in
    words, and nothing was answered there."""
    middle = between()
    d = desktop(middle.port, xrdp.certificate)
    d.wait(FRAME)
    middle.say(b"".join(on_channel(channel, HOSTILE[what]) for channel in range(1004, 1008)))
    assert d.failure() == CHANNEL
    assert d.process.wait(20) in (0, 1) and not_answered(middle)


def test_attack_early_channel(desktop, between, xrdp):
    """The same before the session is complete."""
    middle = between(lambda number, pdu: [on_channel(1004, HOSTILE["clipboard"]), pdu] if number == 4 else [pdu])
    d = desktop(middle.port, xrdp.certificate)
    assert d.failure() in (CHANNEL, BROKEN, LOST, SILENT) and not_answered(middle)


def test_attack_redirection(desktop, between, xrdp):
    """A hostile xrdp sends the client to another computer: it has no way there."""
    target = "127.0.0.2".encode("utf-16-le") + b"\0\0"
    packet = struct.pack("<HHII", 0x0400, 16 + len(target), 0, 1) + struct.pack("<I", len(target)) + target
    control = struct.pack("<HHHH", 8 + len(packet), 0x1A, 1002, 0) + packet
    middle = between()
    d = desktop(middle.port, xrdp.certificate)
    d.wait(FRAME)
    middle.say(indication(1003, control))
    assert d.failure() in (BROKEN, LOST, SECURITY)
    assert d.process.wait(20) == 1 and middle.connections == 1


def test_attack_size(desktop, between, xrdp):
    """A hostile xrdp has a screen of 65535 x 65535: refused before memory is taken for it."""
    def change(number, pdu):
        at = pdu.find(b"\x02\x00\x1c\x00")
        return [pdu[:at + 12] + b"\xff\xff\xff\xff" + pdu[at + 16:] if at > 0 and not is_fast(pdu) else pdu]
    d = desktop(between(change).port, xrdp.certificate)
    assert d.failure() == BROKEN and d.process.wait(20) == 1


def test_attack_orders(desktop, between, xrdp):
    """A hostile xrdp draws with orders that were not offered (a MemBlt out of a cache that does not exist), or sends noise."""
    body = bytes.fromhex("010009" + "0d" + "ffffffff" * 4)
    order = bytes([0, 0x80 | (len(body) + 6) >> 8, (len(body) + 6) & 0xFF]) + b"\x00" + struct.pack("<H", len(body)) + body
    noise = bytes([0, 0x81, 0]) + bytes(i * 7 & 0xFF for i in range(253))
    for hostile in (order, noise):
        middle = between()
        d = desktop(middle.port, xrdp.certificate)
        d.wait(FRAME)
        middle.say(hostile)
        assert d.failure() == BROKEN and d.process.wait(20) == 1


def test_xrdp_dies(desktop, between, xrdp):
    middle = between()
    d = desktop(middle.port, xrdp.certificate)
    d.wait(FRAME)
    middle.close()
    assert d.failure() == LOST


@pytest.mark.parametrize("kind", [50, 200])
def test_attack_client(desktop, xrdp, kind):
    """There is no message for a clipboard, a file, a printer, sound, USB or a camera: whatever else a hostile client sends ends the
    session."""
    d = desktop(xrdp.port, xrdp.certificate)
    d.wait(DESKTOP_READY)
    d.send(kind, b"canary")
    assert d.failure() == 1000


def test_memory(desktop, xrdp):
    """At 1080p, with the greeter shown, below 80 MiB."""
    d = desktop(xrdp.port, xrdp.certificate)
    d.wait(DESKTOP_READY)
    monitor = b"\x18\x80\x0f\x20\xb8\x08\x28\x64"  # 1920 x 1080
    d.send(WANT_LAYOUT, b"\x0a" + bytes([len(monitor)]) + monitor)
    d.wait(LAYOUT)
    d.wait(FRAME)
    status = pathlib.Path(f"/proc/{d.process.pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 80 * 1024, status
    d.stop()
