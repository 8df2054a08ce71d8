"""engawa-desktop against real X servers, window managers and programs; desktop_driver plays the agent."""
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

from system import XORG

BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
DRIVER, DESKTOP = BUILD / "tests/system/desktop_driver", BUILD / "src/desktop/engawa-desktop"
MARK = ["端末 ****-K7QM  総務課 山田太郎", "接続元 HOME-PC 203.0.113.7", "2026-11-22 13:08  4F2A-91C0", "複製・撮影を禁じます"]
USAGE = {chr(97 + i): 4 + i for i in range(26)} | {c: 0x1E + i for i, c in enumerate("1234567890")} | {" ": 0x2C, "\n": 0x28}
SHIFT, CTRL, ALT, F1, RETURN = 0xE1, 0xE0, 0xE2, 0x3A, 0x28
DESKTOP_FAILED, PROTOCOL = 311, 1000
# types of proto/inner.proto
ACK, POINTER, KEY, TEXT, PING = 32, 33, 34, 35, 40


def wait_for(condition, what, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return value


class Desk:
    """An office PC: an X server, and what is started on it."""

    def __init__(self, directory, size="1280x800x24", *options, server="Xvfb"):
        self.directory, self.children, self.home = directory, [], directory / "home"
        self.home.mkdir()
        ours, theirs = os.pipe()
        if server == "Xvfb":
            options = ["-screen", "0", size, *options]
        self.server = subprocess.Popen([server, "-displayfd", str(theirs), "-nolisten", "tcp", "-noreset", *options],
            pass_fds=[theirs], stdout=subprocess.DEVNULL, stderr=open(directory / "server.log", "wb"))
        os.close(theirs)
        with open(ours) as number:
            self.display = ":" + number.readline().strip()
        assert self.display != ":", "the X server does not start"
        # keyboards and settings of whoever runs the tests stay out
        self.env = {"PATH": os.environ["PATH"], "DISPLAY": self.display, "HOME": str(self.home), "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.home), "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:"} | \
            {key: value for key, value in os.environ.items() if key.endswith("SAN_OPTIONS")}

    def start(self, *argv):
        log = open(self.directory / f"{pathlib.Path(argv[0]).name}.log", "ab")
        child = subprocess.Popen(argv, env=self.env, cwd=self.home, stdout=log, stderr=log, start_new_session=True)
        self.children.append(child)
        return child

    def run(self, *argv):
        return subprocess.run(argv, env=self.env, check=True, capture_output=True, text=True, timeout=20).stdout

    def window(self, *options):
        """The window in front, once it is there and has the keyboard."""
        found = wait_for(lambda: subprocess.run(["xdotool", "search", "--onlyvisible", *options], env=self.env,
            capture_output=True, text=True).stdout.split(), f"no window {options}", 20)[-1]
        self.run("xdotool", "windowactivate", "--sync", found)
        wait_for(lambda: self.run("xdotool", "getwindowfocus").strip() == found, f"{options} gets no keyboard")
        return found

    def manager(self):
        """The window manager first: a window that appears while it starts may stay hidden."""
        if any(c.args[0] == "openbox" for c in self.children):
            return
        self.start("openbox", "--startup", "touch managed")
        wait_for((self.home / "managed").exists, "no window manager", 20)

    def terminal(self, command="cat", *options):
        """xterm with a command that reads what is typed."""
        self.manager()
        self.start("xterm", "-fa", "Noto Sans Mono CJK JP", "-fs", "11", "-geometry", "80x24+40+40", *options, "-e", "sh", "-c", command)
        return self.window("--class", "xterm")

    def stop(self):
        for child in reversed(self.children):
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGCONT)
            self.server.kill()
        self.server.wait()


class Driver:
    def __init__(self, desk, mark=MARK, window_mib=32, env=None):
        self.log_path = desk.directory / "desktop.log"
        self.process = subprocess.Popen([DRIVER, DESKTOP, str(window_mib), *mark], env=desk.env | (env or {}), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log_path, "ab"), bufsize=1)
        self.first = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "the driver died"
        answer = json.loads(line)
        assert "error" not in answer, answer
        return answer

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        return self.answer()

    def key(self, usage, keysym=0):
        self("key", usage, keysym, 1)
        self("key", usage, keysym, 0)

    def type(self, text):
        for c in text:
            self.key(USAGE[c])
            self("wait", 10)

    def settled(self, quiet_ms=250, limit_ms=8000):
        self("settle", quiet_ms, limit_ms)

    def same(self):
        """The client's picture is the display with the watermark, once both stand still: a program may draw again just before the comparison."""
        for _ in range(5):
            self.settled()
            if self("compare")["differ"] == 0:
                return True
        return False

    def message(self, kind, payload):
        self("raw", (bytes([kind]) + len(payload).to_bytes(3, "big") + payload).hex())

    def becomes(self, so, what, timeout_s=30):
        """Messages are taken in until it is so."""
        return wait_for(lambda: self("wait", 30) is not None and so(), what, timeout_s)

    def gone(self, timeout_s=30):
        return wait_for(lambda: (s := self("stats"))["exited"] and s, "engawa-desktop goes on", timeout_s)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    """start(Desk or Driver, arguments): stopped after the test, the last first."""
    started = []

    def start(kind, *args, **options):
        started.append(kind(*([tmp_path] if kind is Desk else []), *args, **options))
        return started[-1]

    yield start
    for one in reversed(started):
        one.stop()


@pytest.fixture
def desk(start):
    return start(Desk)


# ---- pictures ----


def test_picture_is_the_display_with_the_mark(start, desk):
    desk.terminal("cat")
    d = start(Driver, desk)
    assert d.first["ready"] and d.same()
    d.type("hello\nworld\n")
    assert d.same()
    desk.start("mousepad")
    desk.window("--class", "mousepad")
    assert d.same()
    desk.start("xterm", "-e", "sh", "-c", "seq 1 3000; sleep 60")
    d("wait", 1500)
    assert d.same()
    desk.run("xdotool", "search", "--class", "mousepad", "windowmove", "300", "200")
    assert d.same()
    assert not d("stats")["broken"]


def test_mark_is_there_and_faint(start, desk, tmp_path):
    from PIL import Image, ImageChops
    desk.terminal("cat")
    d = start(Driver, desk)
    bare = start(Driver, desk, mark=[])
    d.settled(), bare.settled()
    d("save", tmp_path / "marked.ppm"), bare("save", tmp_path / "bare.ppm")
    marked, plain = Image.open(tmp_path / "marked.ppm"), Image.open(tmp_path / "bare.ppm")
    difference = ImageChops.difference(marked, plain).convert("L").point(lambda v: 255 if v else 0)
    share = difference.histogram()[255] / (marked.width * marked.height)
    assert 0.003 < share <= 0.013
    # wherever one photographs, some of it is seen
    for x in range(0, marked.width - 400, 100):
        for y in range(0, marked.height - 250, 100):
            assert difference.crop((x, y, x + 400, y + 250)).getbbox()
    # and some of its text, which is higher than the code's one pixel, in any quarter of a full HD screen
    text = ImageChops.multiply(difference, ImageChops.offset(difference, 0, 1))
    for x in range(0, marked.width - 960, 64):
        for y in range(0, marked.height - 540, 64):
            assert text.crop((x, y, x + 960, y + 540)).getbbox()


def test_nothing_moves_nothing_is_sent(start, desk):
    desk.terminal("sleep 60")
    d = start(Driver, desk)
    for attempt in range(3):  # a window manager that is late may still have drawn something
        d.settled(500)
        before = d("stats")
        d("wait", 4000)
        after = d("stats")
        if after["bytes"] == before["bytes"]:
            break
    assert after["bytes"] == before["bytes"]
    assert after["cpu_ms"] - before["cpu_ms"] <= 10


def test_without_shared_memory(start):
    desk = start(Desk, "1024x768x24", "-extension", "MIT-SHM")
    desk.terminal("cat")
    d = start(Driver, desk)
    d.type("abc\n")
    assert d.same() and "shm=0" in d.log()


def test_pictures_unacknowledged(start, desk):
    """Never more than src/screen/pace.h allows, also to a client that was quick before it stopped."""
    desk.terminal("while :; do date +%N; sleep 0.02; done")
    d = start(Driver, desk)
    d.settled(100, 1000)
    d("ack", 0)
    d("wait", 1000)
    for attempt in range(5):  # on a busy machine it takes longer until all that may be on its way is
        d("wait", 1000)
        before = d("stats")
        d("wait", 1000)
        after = d("stats")
        if after["pictures"] == before["pictures"]:
            break
    assert after["pictures"] - before["pictures"] == 0 and 2 <= after["open"] <= 16
    assert after["cpu_ms"] - before["cpu_ms"] < 300
    d("ack", 1)
    d.becomes(lambda: d("stats")["pictures"] > after["pictures"] + 5, "it does not go on")


def test_slow_agent_gets_newest_picture(start, desk):
    desk.terminal("i=0; while [ $i -lt 200 ]; do seq $i $((i+50)); i=$((i+1)); sleep 0.01; done; sleep 60")
    d = start(Driver, desk)
    d("read", 0)
    d("wait", 4000)
    held = d("stats")["peak_kib"]
    d("read", 1)
    assert d.same() and not d("stats")["broken"]
    assert d("stats")["peak_kib"] - held < 8000


def test_memory(start):
    desk = start(Desk, "1920x1080x24")
    desk.terminal("while :; do head -c 3000 /dev/urandom | base64; done")
    d = start(Driver, desk)
    # until the window is full of pictures, however slow this machine is
    for _ in range(60):
        d("wait", 1000)
        if (stats := d("stats"))["area_px"] * 3 > 64 << 20:
            break
    assert stats["area_px"] * 3 > 64 << 20 and stats["peak_kib"] < 80 * 1024


def test_cursor(start, desk):
    desk.terminal("cat")
    d = start(Driver, desk)
    d("pointer", 300, 200, 0)
    d.becomes(lambda: (d("keys")["x"], d("keys")["y"]) == (300, 200), "the pointer does not move")
    d("wait", 300)
    in_text = d("stats")["cursor"]
    d("pointer", 1200, 700, 0)
    d.becomes(lambda: d("stats")["cursor"] != in_text, "the cursor stays as it was over text")
    outside = d("stats")["cursor"]
    assert 0 < in_text[0] <= 96 and 0 < outside[0] <= 96


# ---- layouts ----


def mode(desk, width, height):
    name = f"{width}x{height}"
    desk.run("xrandr", "--newmode", name, "60", str(width), *[str(width + i) for i in (8, 16, 24)], str(height),
        *[str(height + i) for i in (1, 2, 3)])
    desk.run("xrandr", "--addmode", "screen", name)
    return lambda: desk.run("xrandr", "--output", "screen", "--mode", name)


def test_resize(start, desk):
    small, odd = mode(desk, 1024, 768), mode(desk, 801, 603)
    desk.terminal("while :; do date; sleep 0.03; done")
    d = start(Driver, desk)
    d("wait", 300)
    changes = small, odd, lambda: desk.run("xrandr", "--output", "screen", "--mode", "1280x800"), small
    for number, change in enumerate(changes, 2):
        change()
        d.becomes(lambda: d("stats")["layouts"] >= number, "no new layout")
        d("wait", 100)
    stats = d("stats")
    assert stats["layouts"] == 5 and not stats["broken"] and not stats["end"]
    desk.children[-1].kill()
    assert d.same() and d("compare")["width"] == 1024


@pytest.fixture
def xorg(start, tmp_path):
    """The X server of real computers, without a graphics card. It numbers keys otherwise than Xvfb."""
    if os.geteuid() != 0:
        pytest.skip("Xorg takes a configuration file from root only")
    (tmp_path / "xorg.conf").write_text(XORG)
    desk = start(Desk, "", "-config", str(tmp_path / "xorg.conf"), "-logfile", str(tmp_path / "Xorg.log"), server="Xorg")
    desk.run("xrandr", "--output", "DUMMY0", "--mode", "1024x768")
    return desk


def test_monitors(start, xorg):
    xorg.terminal("cat")
    d = start(Driver, xorg)
    assert d("layout")["monitors"] == [[0, 0, 1024, 768]] and d.same()
    for output, size, where in ("DUMMY1", "1280x720", "--right-of"), ("DUMMY2", "800x600", "--below"):
        xorg.run("xrandr", "--addmode", output, size)
        xorg.run("xrandr", "--output", output, "--mode", size, where, "DUMMY0")
        d("wait", 100)
    all_three = [[0, 0, 1024, 768], [1024, 0, 1280, 720], [0, 768, 800, 600]]
    d.becomes(lambda: d("layout")["monitors"] == all_three, f"not {all_three}")
    assert d.same() and d("compare")["width"] == 2304 and d("compare")["height"] == 1368
    xorg.run("xrandr", "--output", "DUMMY1", "--off")
    d.becomes(lambda: len(d("layout")["monitors"]) == 2, "the monitor stays")
    assert d.same() and not d("stats")["broken"]


@contextlib.contextmanager
def moving(env, *place, pictures=90):
    process = subprocess.Popen([DRIVER.parent / "moving", *map(str, place), str(pictures)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(10)


@pytest.mark.parametrize("place", [[100, 80, 640, 360], [0, 0, 1280, 800], [701, 433, 579, 367]])
def test_film(start, desk, place):
    """A film goes as H.264, and what it leaves is exact."""
    desk.terminal("cat")
    d = start(Driver, desk, env={"DESKTOP_FILM": "1"})
    assert d.same()
    before = d("stats")
    with moving(desk.env, *place) as film:
        while not select.select([film.stdout], [], [], 0)[0]:
            d("wait", 100)
        middle = d("stats")
        wait_for(d.same, "what stands still is not exact")  # a film ends when nothing came for a while
        assert not d("stats")["broken"]
    assert middle["films"] - before["films"] > 5
    # lossless, these pictures have a hundred times as many bytes
    assert (middle["bytes"] - before["bytes"]) / (middle["films"] - before["films"]) < place[2] * place[3] / 4
    assert d.same()


def test_no_film_for_who_shows_none(start, desk):
    desk.manager()
    d = start(Driver, desk)
    with moving(desk.env, 100, 80, 320, 240, pictures=30) as film:
        while not select.select([film.stdout], [], [], 0)[0]:
            d("wait", 100)
        assert d.same() and d("stats")["films"] == 0


def test_typing_beside_a_film(start, desk):
    """Keys are not behind pictures of a film, and moves beside it are still found."""
    desk.terminal("cat")
    d = start(Driver, desk, env={"DESKTOP_FILM": "1"})
    assert d.same()
    with moving(desk.env, 700, 400, 500, 360, pictures=150) as film:
        d("wait", 1000)
        for usage in (0x04, 0x05, 0x06):
            d("key", usage, 0, 1)
            d("key", usage, 0, 0)
            d("wait", 100)
        while not select.select([film.stdout], [], [], 0)[0]:
            d("wait", 100)
        wait_for(d.same, "what stands still is not exact")
        assert d("stats")["films"] > 10


GTK_SEES = """
import gi; gi.require_version("Gdk", "3.0")
from gi.repository import Gdk
d = Gdk.Display.get_default()
print(sorted([g.x, g.y, g.width, g.height] for g in (d.get_monitor(i).get_geometry() for i in range(d.get_n_monitors()))))
"""
SDL_SEES = """
import ctypes
sdl, box = ctypes.CDLL("libSDL2-2.0.so.0"), (ctypes.c_int * 4)()
assert sdl.SDL_Init(0x20) == 0
print(sorted([list(box) for i in range(sdl.SDL_GetNumVideoDisplays()) if sdl.SDL_GetDisplayBounds(i, box) == 0]))
"""


def want(*monitors, scale=100):
    return ["want", *(number for monitor in monitors for number in (*monitor, scale))]


def seen(desk, program):
    return json.loads(desk.run("/usr/bin/python3", "-c", program))


@pytest.mark.parametrize("monitors", [
    [[0, 0, 1366, 768]], [[0, 0, 1024, 768]],
    [[0, 0, 1920, 1080], [1920, 0, 1280, 1024]],
    [[-1080, -200, 1080, 1920], [0, 0, 2560, 1440], [2560, 0, 1366, 768]],
    [[0, 0, 1280, 720], [1280, 0, 1280, 720], [0, 720, 1280, 720], [1280, 720, 1280, 720]]])
def test_virtual_monitors(start, xorg, monitors):
    """The home PC's monitors are real ones for programs, where a picture of the desktop was smaller before; all is put back at the end."""
    xorg.terminal("cat")
    d = start(Driver, xorg, env={"DESKTOP_OWN": "1"})
    d(*want(*monitors))
    left, top = min(m[0] for m in monitors), min(m[1] for m in monitors)
    expected = sorted([x - left, y - top, w, h] for x, y, w, h in monitors)
    wait_for(lambda: d("wait", 100) is not None and sorted(d("layout")["monitors"]) == expected, f"not {expected}")
    assert seen(xorg, GTK_SEES) == seen(xorg, SDL_SEES) == expected
    assert d.same() and not d("stats")["broken"]
    d("close")
    d("wait", 500)
    wait_for(lambda: xorg.run("xdotool", "getdisplaygeometry").split() == ["1024", "768"], "the monitors are not put back")


def test_monitors_change_while_pictures_go(start, xorg):
    xorg.terminal("while :; do date +%N; done")
    d = start(Driver, xorg, env={"DESKTOP_OWN": "1"})
    for i in range(6):
        d(*want([0, 0, 1280, 800 + 40 * i], *([[1280, 0, 800, 600]] if i % 2 else [])))
        d("wait", 150)
    xorg.children[-1].kill()
    wait_for(lambda: d("wait", 100) is not None and d("layout")["monitors"] == [[0, 0, 1280, 1000], [1280, 0, 800, 600]], "the last wish does not count")
    assert d.same() and not d("stats")["broken"] and not d("stats")["end"]


def test_attack_monitors_beyond_limits(start, xorg):
    """Sizes that no display has, five monitors in one, all of the memory: refused, and the display stays as it is."""
    d = start(Driver, xorg, env={"DESKTOP_OWN": "1"})
    before = d("layout")["monitors"]
    for monitors in [[0, 0, 1, 1]], [[0, 0, 70000, 768]], [[0, 0, 16384, 16384]], [[0, 0, 1280, 720], [-2 ** 31, 0, 1280, 720]], \
            [[0, 0, 8192, 8192], [8192, 8192, 8192, 8192]]:
        d(*want(*monitors))
        d("wait", 300)
        assert d("layout")["monitors"] == before and d.same() and not d("stats")["end"]


@pytest.mark.parametrize("scale", [1, 4_000_000_000])
def test_attack_scale_of_millions(start, xorg, scale):
    """Facts of a client ask for text that fills the sky: it stays as it is, and the monitor is as it was asked for."""
    d = start(Driver, xorg, env={"DESKTOP_OWN": "1", "DESKTOP_MONITORS": f"0 0 800 600 {scale}"})
    assert d("layout")["monitors"] == [[0, 0, 800, 600]]
    assert "Xft.dpi" not in xorg.run("xprop", "-root", "RESOURCE_MANAGER") and d.same()


def test_scale_of_text(start, xorg):
    """Programs that start find the dots per inch of the home PC, and the person's resources come back."""
    (xorg.home / "resources").write_text("Xft.dpi: 96\nXTerm*foreground: red\n")
    xorg.run("xrdb", "-load", str(xorg.home / "resources"))
    before = xorg.run("xrdb", "-query")
    d = start(Driver, xorg, env={"DESKTOP_OWN": "1"})
    d(*want([0, 0, 1920, 1080], scale=150))
    dpi = "import gi; gi.require_version('Gdk', '3.0'); from gi.repository import Gdk; print(Gdk.Screen.get_default().get_resolution())"
    wait_for(lambda: d("wait", 100) is not None and float(xorg.run("/usr/bin/python3", "-c", dpi)) == 144, "GTK is not told")
    assert "XTerm*foreground:\tred" in xorg.run("xrdb", "-query")
    d("close")
    wait_for(lambda: xorg.run("xrdb", "-query") == before, "the person's resources are lost")


def test_keys_numbered_otherwise(start, xorg):
    xorg.terminal("cat >typed")
    d = start(Driver, xorg)
    table = xorg.run("xmodmap", "-pke")
    for usage, name in (0x52, "Up"), (0x4F, "Right"), (0x4C, "Delete"), (0x58, "KP_Enter"), (0xE4, "Control_R"), (0x45, "F12"), (0x04, "a"):
        d("key", usage, 0, 1)
        [code] = wait_for(lambda: d("wait", 30) is not None and d("keys")["keys"], "no key is down")
        d("key", usage, 0, 0)
        wait_for(lambda: d("wait", 30) is not None and not d("keys")["keys"], "the key stays down")
        assert re.search(rf"^keycode +{code} = {name}\b", table, re.M), (hex(usage), code)


def test_pointer_stays_inside(start, desk):
    d = start(Driver, desk)
    d("pointer", 70000, 4000000000, 0)
    d.becomes(lambda: (d("keys")["x"], d("keys")["y"]) == (1279, 799), "the pointer is not in the corner")


# ---- input ----


def typed(desk, name="typed"):
    return (desk.home / name).read_text() if (desk.home / name).exists() else ""


def test_keys_arrive(start, desk):
    desk.terminal("cat >typed")
    d = start(Driver, desk)
    d.type("the quick brown fox 0123456789\n")
    d("key", SHIFT, 0, 1)
    d.type("abc1")
    d("key", SHIFT, 0, 0)
    d.key(RETURN)
    wait_for(lambda: typed(desk) == "the quick brown fox 0123456789\nABC!\n", typed(desk))


def test_keys_by_keysym(start, desk):
    """Keyboards on a glass tell no physical key."""
    desk.terminal("cat >typed")
    d = start(Driver, desk)
    for c in "aZ?9é漢":
        d.key(0, ord(c) if ord(c) < 256 else 0x1000000 | ord(c))
        d("wait", 60)
    d.key(0, 0xFF0D)
    wait_for(lambda: typed(desk) == "aZ?9é漢\n", typed(desk))


def test_japanese_keyboard(start, desk):
    """Keys that only a JIS keyboard has, at their places."""
    desk.run("setxkbmap", "-layout", "jp", "-model", "jp106")
    desk.terminal("cat")
    d = start(Driver, desk)
    for usage, name in (0x87, "backslash"), (0x88, "Hiragana_Katakana"), (0x89, "yen|backslash"), (0x8A, "Henkan_Mode|Henkan"), \
            (0x8B, "Muhenkan"), (0x35, "Zenkaku_Hankaku"):
        d("key", usage, 0, 1)
        [code] = wait_for(lambda: d("wait", 30) is not None and d("keys")["keys"], "no key is down")
        d("key", usage, 0, 0)
        wait_for(lambda: d("wait", 30) is not None and not d("keys")["keys"], "the key stays down")
        table = desk.run("xmodmap", "-pke")
        assert re.search(rf"^keycode +{code} = ({name})\b", table, re.M), (hex(usage), code)


def test_japanese_text(start, desk):
    desk.terminal("cat >typed")
    d = start(Driver, desk)
    lines = ["縁側で漢字かな交じり", "市役所の総務課です。", "Straße, naïve ¥100", "(A+b)*{C}~\\|\"'"]
    for line in lines:
        d("text", line)
        d.key(RETURN)
    want = "".join(line + "\n" for line in lines)
    wait_for(lambda: typed(desk) == want or len(typed(desk)) > len(want), typed(desk), 60)
    assert typed(desk) == want


def test_japanese_text_into_gtk(start, desk):
    desk.manager()
    (desk.home / "note.txt").write_text("")
    desk.start("mousepad", "note.txt")
    desk.window("--class", "mousepad")
    d = start(Driver, desk)
    d("text", "議事録:縁側を試す。")
    d("text", "了解 ok")
    d("wait", 4000)
    d("key", CTRL, 0, 1)
    d.key(USAGE["s"])
    d("key", CTRL, 0, 0)
    wait_for(lambda: typed(desk, "note.txt").strip(), "not saved")
    assert typed(desk, "note.txt").strip() == "議事録:縁側を試す。了解 ok"


def test_buttons_and_wheel(start, desk):
    desk.manager()
    desk.start("xev", "-geometry", "600x400+100+100", "-event", "button")
    desk.window("--name", "Event Tester")
    d = start(Driver, desk)
    d("pointer", 300, 300, 0)
    for button in range(1, 10):
        d("pointer", 300, 300, 1 << (button - 1))
        d("pointer", 300, 300, 0)
        d("wait", 30)
    seen = lambda: re.findall(r"button (\d)", (desk.directory / "xev.log").read_text())
    wait_for(lambda: len(seen()) >= 18, "buttons")
    assert seen() == [str(b) for b in range(1, 10) for _ in (0, 1)]


def test_human_rates(start, desk):
    """A thousand keys at once are slowed down, not lost, and order stays."""
    desk.terminal("cat >typed")
    d = start(Driver, desk)
    d("wait", 300)
    begin = time.monotonic()
    text = "abcdefghij" * 10
    for c in text:
        d.key(USAGE[c])
    d.key(RETURN)
    wait_for(lambda: typed(desk) == text + "\n", "typed")
    # 40 at once, then 30 a second
    assert time.monotonic() - begin > (len(text) - 40) / 30 - 0.3
    assert "desktop.input_limited" in d.log()


def test_flood_of_input(start, desk):
    desk.terminal("cat")
    d = start(Driver, desk)
    d("wait", 300)
    many = b"".join(bytes([POINTER, 0, 0, 4, 8, i % 100, 16, i % 90]) for i in range(1000))
    for _ in range(20):
        d("raw", many.hex())
        d("wait", 5)
    stats = d("stats")
    assert not stats["exited"] and not stats["end"]


# ---- nothing stays held ----


def hold(d):
    for usage in SHIFT, USAGE["a"], USAGE["q"]:
        d("key", usage, 0, 1)
    d("pointer", 600, 400, 0b10000001)
    d.becomes(lambda: len((held := d("keys"))["keys"]) == 3 and held["mask"] & 0x1F00, "not all is held")


def released(d):
    keys = d("keys")
    return keys["keys"] == [] and keys["mask"] & 0x1FFF == 0


def test_released_when_the_agent_goes(start, desk):
    desk.terminal("cat")
    d = start(Driver, desk)
    hold(d)
    d("close")
    assert d.gone()["status"] == 0
    assert released(d)


def test_released_on_sigterm(start, desk):
    desk.terminal("cat")
    d = start(Driver, desk)
    hold(d)
    d("signal", signal.SIGTERM)
    assert d.gone()["status"] == 0
    assert released(d)


def test_released_by_the_next_one_after_a_kill(start, desk):
    desk.terminal("cat")
    d = start(Driver, desk)
    hold(d)
    d("signal", signal.SIGKILL)
    d.gone()
    assert not released(d)
    assert start(Driver, desk).first["ready"]
    assert released(d)


def test_spare_keys_are_given_back(start, desk):
    before = desk.run("xmodmap", "-pke")
    desk.terminal("cat")
    d = start(Driver, desk)
    d("text", "漢字縁側")
    d.becomes(lambda: desk.run("xmodmap", "-pke") != before, "no spare key is used")
    d("close")
    d.gone()
    assert desk.run("xmodmap", "-pke") == before


def test_no_way_to_another_console(start, desk):
    d = start(Driver, desk)
    for modifier in CTRL, ALT:
        d("key", modifier, 0, 1)
    d("key", F1, 0, 1)
    d("key", USAGE["a"], 0, 1)
    assert len(d.becomes(lambda: len(held := d("keys")["keys"]) >= 3 and held, "the keys are not down")) == 3


# ---- refusals ----


@pytest.mark.parametrize("options", [("1024x768x16",), ("1024x768x24", "-extension", "DAMAGE"), ("1024x768x24", "-extension", "XTEST"),
    ("1024x768x24", "-extension", "RANDR"), ("1024x768x24", "-extension", "XFIXES"), ("1024x768x8",)])
def test_display_that_cannot(start, options):
    d = start(Driver, start(Desk, *options))
    assert d.first["failed"] == DESKTOP_FAILED and not d.first["ready"]
    assert d.gone()["status"] != 0 and "desktop.display_refused" in d.log()


def test_no_display(start, desk):
    desk.env["DISPLAY"] = ":987"
    d = start(Driver, desk)
    assert d.first["failed"] == DESKTOP_FAILED


def test_authorization(start, tmp_path):
    cookie = bytes(range(16))
    entry = lambda *parts: b"".join(struct.pack(">H", len(p)) + p for p in parts)
    (tmp_path / "auth").write_bytes(struct.pack(">H", 0xFFFF) + entry(b"", b"", b"MIT-MAGIC-COOKIE-1", cookie))
    desk = start(Desk, "640x480x24", "-auth", str(tmp_path / "auth"))
    desk.env["XAUTHORITY"] = str(tmp_path / "auth")
    assert start(Driver, desk).first["failed"] == DESKTOP_FAILED
    assert start(Driver, desk, env={"DESKTOP_COOKIE": bytes(16).hex()}).first["failed"] == DESKTOP_FAILED
    d = start(Driver, desk, env={"DESKTOP_COOKIE": cookie.hex()})
    assert d.first["ready"] and d.same()
    assert cookie.hex() not in d.log()


def test_window_not_offered(start, desk):
    assert start(Driver, desk, window_mib=0).first["failed"]


@pytest.mark.parametrize("kind,payload", [(0, b""), (16, b""), (PING, b""), (128, b""), (255, b"x" * 100), (KEY, b"\xff"),
    (KEY, bytes([8, 0xFF, 0xFF, 0xFF, 0xFF, 15])), (KEY, bytes([16, 0xFF, 0xFF, 0xFF, 0xFF, 15])), (POINTER, bytes([24, 0x80, 4])),
    (TEXT, b"\n\x04\xff\xfeab"), (TEXT, b"\n\x31" + b"a" * 49), (ACK, bytes([8, 100])), (ACK, b""), (ACK, b"\x08\x01\x08")])
def test_bad_messages_end_it(start, desk, kind, payload):
    d = start(Driver, desk)
    d.settled(100, 2000)
    d.message(kind, payload)
    d("wait", 300)
    stats = d.gone()
    assert stats["end"] == PROTOCOL and os.WIFEXITED(stats["status"])


def test_bad_start(start, desk):
    """No rights are needed, and none are held, when the first message is wrong."""
    for first in b"\x80\xff\xff\xff", b"\x00\x00\x00\x00", b"\x80\x00\x00\x01\xff", b"\x80\x00\x00\x10abc":
        ours, theirs = socket.socketpair()
        ours.sendall(first)
        ours.shutdown(socket.SHUT_WR)
        run = subprocess.Popen([DESKTOP], stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=lambda: (os.dup2(theirs.fileno(), 3), os.close(4) if theirs.fileno() != 4 else None))
        theirs.close()
        assert run.wait(10) == 1
        ours.close()


def test_sandbox(start, desk):
    d = start(Driver, desk)
    status = pathlib.Path(f"/proc/{d.first['pid']}/status").read_text()
    assert re.search(r"^NoNewPrivs:\s1$", status, re.M) and re.search(r"^Seccomp:\s2$", status, re.M)
    assert re.search(r"^Threads:\s1$", status, re.M)
    if os.geteuid() == 0:
        assert not re.search(r"^Uid:\s0", status, re.M)
    descriptors = {os.readlink(f.path) for f in os.scandir(f"/proc/{d.first['pid']}/fd")}
    assert all(t.startswith(("socket:", "pipe:", "/dev/null")) or t.endswith("desktop.log") for t in descriptors), descriptors


# ---- displays that die and hang ----


def test_display_dies(start, desk):
    desk.terminal("cat")
    d = start(Driver, desk)
    d.settled()
    desk.server.kill()
    d("wait", 500)
    stats = d.gone()
    assert stats["end"] == DESKTOP_FAILED and os.WIFEXITED(stats["status"])


def test_display_hangs_and_the_agent_goes(start, desk):
    desk.terminal("while :; do date +%N; sleep 0.02; done")
    d = start(Driver, desk)
    d("wait", 500)
    desk.server.send_signal(signal.SIGSTOP)
    d("wait", 300)
    begin = time.monotonic()
    d("close")
    d.gone()
    assert time.monotonic() - begin < 12


def test_display_hangs(start, desk):
    desk.terminal("while :; do date +%N; sleep 0.02; done")
    d = start(Driver, desk)
    d("wait", 500)
    desk.server.send_signal(signal.SIGSTOP)
    d("pointer", 10, 10, 0)
    stats = d.gone(60)
    assert stats["end"] == DESKTOP_FAILED


def test_display_pauses(start, desk):
    desk.terminal("while :; do date +%N; sleep 0.02; done")
    d = start(Driver, desk)
    d("wait", 500)
    desk.server.send_signal(signal.SIGSTOP)
    d("wait", 2000)
    desk.server.send_signal(signal.SIGCONT)
    before = d("stats")["pictures"]
    d.becomes(lambda: d("stats")["pictures"] > before + 10, "it does not go on")
