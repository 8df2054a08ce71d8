"""The screen's figures: what work on a desktop costs on the wire, with us and with TigerVNC."""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import system
from bench import result

os.environ.setdefault("ENGAWA_BUILD", str(system.BUILD))
sys.path.append(str(system.ROOT / "tests" / "system"))
from test_desktop import DESKTOP, DRIVER, MARK, Desk, wait_for  # noqa: E402

DESCRIPTION = """The same script on the same programs (1920x1080, openbox, mousepad, xterm) once for each of us and the peer: pages of Japanese text,
different in every line, taken from the message catalogues of the packages installed (`/usr/share/locale/ja`). *typing*: six keys a second; *scrolling*: ten
wheel steps a second, ten seconds down, then up; *switching*: windows to the front, one a second; *dragging*: a window moved ten times a second; *idle*: a
blinking text cursor. The link is a socket without limits. engawa: Xvfb, watermark on, bytes of the desktop process before padding and TLS; CPU is that of the desktop
process, capture included. TigerVNC: Xtigervnc and its viewer on the loopback, Tight without JPEG, level 6, no watermark, bytes of the TCP connection. Each side does
the script itself: there is no recording, and a machine under load makes fewer steps of it."""
SIZE = 1920, 1080
LINES = 6000
SETTLE_S = 2


def texts():
    """Lines of Japanese, in an order that does not depend on the run."""
    found = set()
    for path in pathlib.Path("/usr/share/locale/ja/LC_MESSAGES").glob("*.mo"):
        for part in path.read_bytes().split(b"\0"):
            line = " ".join(part.decode(errors="ignore").split())
            if len(line) > 12 and re.search(r"[\u3041-\u9fff]", line):
                found.add(line[:110])
    lines = sorted(found)
    random.Random(7).shuffle(lines)
    return lines[:LINES]


class Work:
    """Programs on a desk, and what a person does with them."""

    def __init__(self, desk):
        self.desk = desk
        self.random = random.Random(11)
        (desk.home / "memo.txt").write_text("\n".join(texts()))
        desk.manager()
        desk.start("mousepad", str(desk.home / "memo.txt"))
        self.memo = desk.window("--class", "mousepad")
        desk.run("xdotool", "windowmove", self.memo, "60", "40", "windowsize", "--sync", self.memo, "1700", "960")
        self.terminal = desk.terminal()
        desk.run("xdotool", "windowmove", self.terminal, "300", "200")
        desk.window("--class", "mousepad")
        desk.run("xdotool", "mousemove", "900", "500")

    def every(self, period_s, seconds, step):
        begin = time.monotonic()
        for i in range(round(seconds / period_s)):
            step(i)
            time.sleep(max(0, begin + (i + 1) * period_s - time.monotonic()))

    def typing(self, seconds):
        self.every(1 / 6, seconds, lambda i: self.desk.run("xdotool", "key", self.random.choice([*"abcdefghijklmnopqrstuvwxyz", "space"])))

    def scrolling(self, seconds):
        self.every(0.1, seconds, lambda i: self.desk.run("xdotool", "click", "5" if i // 100 % 2 == 0 else "4"))

    def switching(self, seconds):
        self.every(1, seconds, lambda i: self.desk.run("xdotool", "windowactivate", [self.terminal, self.memo][i % 2]))

    def dragging(self, seconds):
        self.desk.run("xdotool", "windowactivate", "--sync", self.terminal)
        self.every(0.1, seconds, lambda i: self.desk.run("xdotool", "windowmove", self.terminal, str(300 + i * 17 % 600), str(200 + i * 9 % 400)))

    def idle(self, seconds):
        time.sleep(seconds)


class Ours:
    peer = "engawa"

    def __init__(self, directory):
        self.desk = Desk(directory, f"{SIZE[0]}x{SIZE[1]}x24")
        self.work = Work(self.desk)
        self.driver = subprocess.Popen([DRIVER, DESKTOP, "32", *MARK], env=self.desk.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1, stderr=subprocess.DEVNULL)
        self.driver.stdout.readline()
        self.tell("settle 500 10000")

    def tell(self, command):
        self.driver.stdin.write(command + "\n")
        return json.loads(self.driver.stdout.readline())

    def measure(self, name, seconds):
        """The driver takes pictures while the work goes on beside it."""
        before = self.tell("stats")
        begin = time.monotonic()
        work = threading.Thread(target=getattr(self.work, name), args=[seconds])
        work.start()
        while work.is_alive():
            self.tell("wait 200")
        self.tell(f"wait {SETTLE_S * 1000}")
        if name != "idle":
            self.tell("settle 1000 20000")  # programs on a loaded machine are behind
        took, after = time.monotonic() - begin, self.tell("stats")
        differ = self.tell("compare")["differ"]
        if after["broken"] or (differ and name != "idle"):
            raise RuntimeError(f"{name}: {differ} pixels differ, {after}")
        pictures = after["pictures"] - before["pictures"]
        yield "kbit_s", (after["bytes"] - before["bytes"]) * 8 / took / 1000, "kbit/s"
        yield "fps", pictures / took, "pictures/s"
        yield "mib", after["peak_kib"] / 1024, "MiB"
        if pictures:
            yield "encode_ms", (after["cpu_ms"] - before["cpu_ms"]) / pictures, "ms"

    def stop(self):
        self.driver.stdin.close()
        self.driver.wait(10)
        self.desk.stop()


class TigerVNC:
    peer = "TigerVNC"

    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (directory / "office").mkdir()
        (directory / "home-pc").mkdir()
        self.desk = Desk(directory / "office", "", "-geometry", f"{SIZE[0]}x{SIZE[1]}", "-depth", "24", "-SecurityTypes", "None", "-localhost",
            "-rfbport", str(port), server="Xtigervnc")
        self.work = Work(self.desk)
        self.home = Desk(directory / "home-pc", f"{SIZE[0]}x{SIZE[1]}x24")
        self.viewer = self.home.start("xtigervncviewer", "-AutoSelect=0", "-PreferredEncoding=Tight", "-NoJPEG=1", "-CompressLevel=6",
            "-FullColor=1", f"127.0.0.1::{port}")
        wait_for(lambda: self.received() > 10000, "no picture from TigerVNC", 30)
        time.sleep(3)

    def received(self):
        lines = subprocess.run(["ss", "-tinpHO"], capture_output=True, text=True).stdout.splitlines()
        line = next((line for line in lines if f"pid={self.viewer.pid}," in line), "")
        found = re.search(r"bytes_received:(\d+)", line)
        return int(found[1]) if found else 0

    def measure(self, name, seconds):
        before, begin = self.received(), time.monotonic()
        getattr(self.work, name)(seconds)
        time.sleep(SETTLE_S)
        yield "kbit_s", (self.received() - before) * 8 / (time.monotonic() - begin) / 1000, "kbit/s"

    def stop(self):
        self.home.stop()
        self.desk.stop()


@contextlib.contextmanager
def side(kind):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    found = kind(directory)
    try:
        yield found
    finally:
        found.stop()
        shutil.rmtree(directory)


def measure(quick):
    seconds = 10 if quick else 20
    for kind in (Ours, TigerVNC) if shutil.which("Xtigervnc") else (Ours,):
        with side(kind) as s:
            for name in ("typing", "scrolling", "switching", "dragging", "idle"):
                for metric, value, unit in s.measure(name, seconds):
                    yield result(f"screen.{name}.unlimited.{metric}", value, unit, 1, f"{seconds} s of work", s.peer)
