"""The screen's figures: what recorded work costs on the wire, and when it is seen, with us and with others."""
import contextlib
import math
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import system
from bench import number, result

import workloads
from xrdp import ACCOUNT, PASSWORD, Xrdp

DESCRIPTION = """Work recorded once on a real desktop (1920x1080, openbox; LibreOffice, Chromium, MuPDF, xterm, mpv; Japanese text of the Debian Reference,
photographs of mate-backgrounds; tests/load/workloads.py) and played, picture by picture at its own pace, to us and to each peer over the same line: two TUN devices
with a queue between them. *kbit_s*: TCP payload towards home, TLS and padding and retransmissions included, from the first picture played to two seconds after the last;
*up_kbit_s* the other way. *pixel_ms*: from a picture on the office PC to the first whole one at home that is not older; *exact_ms*: from the last picture to no
differing pixel. *fps*: different pictures seen at home in a second of work. *encode_ms*, *decode_ms*: processor time per picture of the desktop process (capture included) and of the client;
*ssim*: of pictures seen once a second to the frame played that is most like it, where anything moves (Y, 8x8, strokes of the watermark left out). *mib*: the desktop process at its largest. engawa: the whole system, relay included, with watermark, padding and TLS. TigerVNC: Xtigervnc and its viewer,
Tight, without TLS and watermark; *lossless* without JPEG, *JPEG* quality 8. x11vnc likewise, with TigerVNC's viewer, lossless. xrdp: with xorgxrdp and FreeRDP 2's viewer, TLS,
bitmaps of 32 bits. A played picture is painted whole: no peer is told of moved areas by the programs. *failed*: why there is no figure. Lines: `unlimited`, `1mbit`, `300kbit` with 30 ms each way,
`512kbit` with 80 ms each way and 1 % of the packets lost; a queue of 200 ms, as a router has (tests/load/link.c; kernels of small virtual machines have no netem).
The whole run takes about two hours; `--peer`, `--link` and `--only` measure a part and leave this page as it is."""
LINKS = {"unlimited": (0, 0, 0), "1mbit": (1000, 0, 0), "300kbit": (300, 30, 0), "512kbit": (512, 80, 10)}  # kbit/s, ms one way, ‰ lost
NAMED = ["typing", "scrolling", "switching", "video", "idle"]
OFFICE, HOME = "10.66.0.1", "10.66.0.2"
SETTLE_S = 2
EXACT_S = 20
TOOLS = system.BUILD / "tests/load"


def arguments(parser):
    workloads.arguments(parser)
    parser.add_argument("--link", choices=LINKS, action="append", help="only this line; again for more")
    parser.add_argument("--peer", metavar="NAME", action="append", help="only this one (engawa, …); again for more")


def partial(options):
    """Not what the page shows."""
    return bool(options.only or options.link or options.peer or options.workload)


class Line:
    """The home PC's namespace, and the line to it."""

    def __init__(self, directory):
        self.name = f"engawa-{os.getpid()}"
        (directory / "hosts").write_text(f"{OFFICE} localhost\n")
        self.hosts = directory / "hosts"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.process = subprocess.Popen([TOOLS / "link", self.name, OFFICE, HOME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.process.stdout.readline() != "ready\n":
            self.stop()
            raise system.Failed("no line: the machine has no TUN devices, or another bench has them")

    def tell(self, words=""):
        self.process.stdin.write(words + "\n")
        return [int(number) for number in self.process.stdout.readline().split()]

    def argv(self, *argv):
        """The command at home, where the office's relay is localhost."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(self.hosts),
            *map(str, argv)]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(5)
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


class Lines:
    """The lines that a program prints, as they come: time and digest of pictures."""

    def __init__(self, process):
        self.process, self.pictures, self.last = process, [], ""
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 2:
                self.pictures.append((int(words[0]), words[1]))
            self.last = line.strip()


def start(argv, **options):
    return subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, **options)


class Office(system.Engawa):
    def start_gate(self, name=None, **changes):
        super().start_gate(name, LISTEN=[f"{address}:{self.port}" for address in ("127.0.0.1", OFFICE)], **changes)


def finish(process):
    if process and process.poll() is None:
        process.kill()
        process.wait(10)


class Ours:
    peer, lossless, home = "engawa", True, None

    def __init__(self, directory, line):
        self.line, self.kept = line, directory / "kept.rec"
        self.office = Office(directory / "engawa", size=f"{workloads.SIZE[0]}x{workloads.SIZE[1]}").start_or_stop()
        self.office.sign_policy(ENFORCE_OTP="no", DISABLE_OTP="yes")
        self.env = self.office.desktop_env

    def begin(self, recording):
        self.home = start(self.line.argv(TOOLS / "home", self.office.org_file, self.office.terminal_id, self.office.password_file, self.office.dir / "home.key",
            recording, self.kept))
        self.seen = Lines(self.home)
        system.wait_for(lambda: self.seen.pictures or self.home.poll() is not None, "no picture", 60)
        self.desktop = next(pid for pid in system.family(self.office.agent.pid)
            if pathlib.Path(f"/proc/{pid}/exe").resolve().name == "engawa-desktop")
        return self.seen

    def cpu_ms(self):
        fields = pathlib.Path(f"/proc/{self.desktop}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def peak_mib(self):
        return int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path(f"/proc/{self.desktop}/status").read_text())[1]) / 1024

    def end(self):
        self.home.stdin.close()
        if self.home.wait(20) != 0:
            raise system.Failed("the session failed")
        self.seen.thread.join(5)
        words = self.seen.last.split()
        return int(words[1]) / 1000 / max(1, int(words[3]))

    def stop(self):
        finish(self.home)
        self.office.stop()


class Viewed:
    """A peer with a viewer in an X server of its own at home."""
    desk = home = viewer = watch = None

    def __init__(self, directory, line):
        self.line, self.directory = line, directory / self.peer.replace(" ", "-")
        (self.directory / "office").mkdir(parents=True)
        (self.directory / "home").mkdir()
        with socket.socket() as free:
            free.bind((OFFICE, 0))
            self.port = free.getsockname()[1]
        try:
            self.home = workloads.Desk(self.directory / "home", f"{workloads.SIZE[0]}x{workloads.SIZE[1]}x24")
            self.env = self.serve()
        except BaseException:
            self.stop()
            raise

    def begin(self, recording):
        self.kept = self.directory / "kept.rec" if recording.stem == "video" else None
        self.viewer = subprocess.Popen(self.line.argv(*self.view()), env=self.home.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.watch = start([TOOLS / "watch", *([self.kept] if self.kept else [])], env=self.home.env)
        self.seen = Lines(self.watch)
        time.sleep(6)
        if self.viewer.poll() is not None:
            raise system.Failed(f"its viewer ends with {self.viewer.returncode}")
        return self.seen

    def end(self):
        self.watch.stdin.close()
        self.watch.wait(20)
        self.viewer.terminate()
        self.viewer.wait(5)

    def stop(self):
        for part in self.watch, self.viewer:
            finish(part)
        for part in self.home, self.desk:
            if part:
                part.stop()


class TigerVNC(Viewed):
    peer, lossless, options = "TigerVNC lossless", True, ["-NoJPEG=1"]

    def serve(self):
        self.desk = workloads.Desk(self.directory / "office", "", "-geometry", f"{workloads.SIZE[0]}x{workloads.SIZE[1]}", "-depth", "24", "-SecurityTypes", "None",
            "-interface", OFFICE, "-rfbport", str(self.port), server="Xtigervnc")
        return self.desk.env

    def view(self):
        return ["xtigervncviewer", "-FullScreen=1", "-MenuKey=", "-AutoSelect=0", "-PreferredEncoding=Tight", "-CompressLevel=6", "-FullColor=1", *self.options,
            f"{OFFICE}::{self.port}"]


class TigerJPEG(TigerVNC):
    peer, lossless, options = "TigerVNC JPEG", False, ["-NoJPEG=0", "-QualityLevel=8"]


class X11vnc(TigerVNC):
    peer = "x11vnc"

    def serve(self):
        self.desk = workloads.Desk(self.directory / "office", f"{workloads.SIZE[0]}x{workloads.SIZE[1]}x24")
        self.desk.start("x11vnc", "-display", self.desk.display, "-listen", OFFICE, "-rfbport", str(self.port), "-forever", "-shared", "-nopw", "-noxdamage", "-quiet")
        system.wait_for(lambda: socket.socket().connect_ex((OFFICE, self.port)) == 0, "x11vnc does not start", 20)
        return self.desk.env


XRDP_DESKTOP = """#!/bin/sh
xsetroot -solid '#345678'
echo "$DISPLAY" > "$HOME/display"
exec sleep infinity
"""


class RDP(Viewed):
    peer, lossless = "xrdp", True

    def serve(self):
        """The session is there from the first viewer on."""
        self.desk = Xrdp(self.directory / "xrdp", port=self.port, address=OFFICE, desktop=XRDP_DESKTOP, autorun="Xorg").start()
        shown = self.desk.home / "display"
        self.viewer = subprocess.Popen(self.line.argv(*self.view()), env=self.home.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        system.wait_for(shown.exists, "no session at xrdp", 60)
        time.sleep(2)
        finish(self.viewer)
        return {"PATH": os.environ["PATH"], "DISPLAY": shown.read_text().strip().removesuffix(".0"), "XAUTHORITY": str(self.desk.home / ".Xauthority")}

    def view(self):
        return ["xfreerdp", f"/v:{OFFICE}:{self.port}", f"/u:{ACCOUNT}", f"/p:{PASSWORD}", "/cert:ignore", "/sec:tls", "/bpp:32",
            f"/size:{workloads.SIZE[0]}x{workloads.SIZE[1]}", "/f", "/log-level:ERROR"]


def latencies(played, seen):
    """Milliseconds from each picture played to the first at home that is not older; exact: from the last to the same at home, or None."""
    newest, when = {}, []  # by digest; (time seen, index played)
    following = iter(enumerate(played))
    pending = next(following, None)
    for at, digest in seen:
        while pending and pending[1][0] <= at:
            newest[pending[1][1]] = pending[0]
            pending = next(following, None)
        if digest in newest:
            when.append((at, newest[digest]))
    found, place = [], 0
    for index, (at, _) in enumerate(played):
        while place < len(when) and (when[place][1] < index or when[place][0] < at):
            place += 1
        if place == len(when):
            break
        found.append((when[place][0] - at) / 1000)
    exact = next(((at - played[-1][0]) / 1000 for at, index in when if index == len(played) - 1), None)
    return found, exact


def play(side, line, recording, link):
    """One run; yields metric, value, unit."""
    line.tell("0 0 0")
    replay = start([TOOLS / "replay", recording], env=side.env)
    try:
        yield from played_to(side, line, recording, link, replay)
    finally:
        finish(replay)


def played_to(side, line, recording, link, replay):
    if replay.stdout.readline() != "ready\n":
        raise system.Failed("nothing to play")
    seen = side.begin(recording)
    time.sleep(1)
    line.tell(" ".join(map(str, LINKS[link])))
    first, cpu = len(seen.pictures), side.cpu_ms() if side.peer == "engawa" else 0
    before, began = line.tell(), time.monotonic()
    replay.stdin.write("\n")
    played = []
    while (words := replay.stdout.readline().split()) and words[0] != "end":
        played.append((int(words[0]), words[1]))
    time.sleep(SETTLE_S)
    after, took = line.tell(), time.monotonic() - began
    end = time.monotonic() + EXACT_S
    while side.lossless and seen.pictures and seen.pictures[-1][1] != played[-1][1] and len(played) > 1 and time.monotonic() < end:
        time.sleep(0.1)
    pictures = seen.pictures[first:]
    yield "kbit_s", (after[0] - before[0]) * 8 / took / 1000, "kbit/s"
    yield "up_kbit_s", (after[1] - before[1]) * 8 / took / 1000, "kbit/s"
    if pictures and len(played) > 1:
        yield "fps", len(pictures) * 1e6 / (played[-1][0] - played[0][0]), "pictures/s"
    if side.lossless and len(played) > 1:
        # the first picture of a recording is on the screen already
        found, exact = latencies(played[1:], pictures)
        if exact is not None:
            yield "exact_ms", exact, "ms"
        if len(found) > 1:
            yield "pixel_ms.p50", statistics.median(found), "ms"
            yield "pixel_ms.p95", statistics.quantiles(found, n=20)[-1], "ms"
    if side.peer == "engawa":
        if pictures:
            yield "encode_ms", (side.cpu_ms() - cpu) / len(pictures), "ms"
        yield "mib", side.peak_mib(), "MiB"
    line.tell("0 0 0")
    decode = side.end()
    if side.peer == "engawa" and pictures:
        yield "decode_ms", decode, "ms"
    if recording.stem == "video":
        times = "\n".join(str(at // 1000 % 2 ** 32) for at, _ in played)
        like = subprocess.run([TOOLS / "ssim", recording, side.kept], input=times, check=True, capture_output=True, text=True)
        yield "ssim", float(like.stdout.split()[0]), ""


@contextlib.contextmanager
def stopping(made):
    try:
        yield made
    finally:
        made.stop()


def kinds(options):
    for kind in Ours, TigerVNC, TigerJPEG, X11vnc, RDP:
        if kind.peer in options.peer if options.peer else not options.quick or kind in (Ours, TigerVNC):
            yield kind


def runs(options, files):
    for link in options.link or (["unlimited"] if options.quick else LINKS):
        for name, path in files:
            if link == "unlimited" or name in NAMED or options.only or options.workload:
                yield name, path, link


def started(kind, directory, line):
    """At the second try where the first one fails: a machine that has other work is slow."""
    for last in False, True:
        place = pathlib.Path(tempfile.mkdtemp(dir=directory))
        place.chmod(0o755)
        try:
            return kind(place, line)
        except Exception as failure:
            if last:
                raise
            print(f"{kind.peer}: {failure}", file=sys.stderr, flush=True)


def measure_kind(kind, directory, line, wanted):
    """A peer that does not start, or a run that breaks, is a row that says so; the next run has it started anew."""
    with contextlib.ExitStack() as stack:
        side = None
        for name, path, link in wanted:
            print(f"{kind.peer}: {name}, {link} …", file=sys.stderr, flush=True)
            try:
                side = side or stack.enter_context(stopping(started(kind, directory, line)))
                for metric, value, unit in play(side, line, path, link):
                    yield result(f"screen.{name}.{link}.{metric}", value, unit, 1, "recorded work", kind.peer)
            except Exception as failure:  # of any program that takes part
                words = " ".join(f"{type(failure).__name__}: {failure}".split())
                yield result(f"screen.{name}.{link}.failed", 1, "", 1, words[-160:].replace("|", "/"), kind.peer)
                with contextlib.suppress(Exception):
                    stack.close()
                side = None
                line.tell("0 0 0")


def measure(options):
    files = workloads.chosen(options, NAMED if options.quick else workloads.WORKLOADS)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    directory.chmod(0o755)
    try:
        with stopping(Line(directory)) as line:
            for kind in kinds(options):
                yield from measure_kind(kind, directory, line, list(runs(options, files)))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def table(results):
    """For each figure a row for each work and line, a column for each peer; first the bytes as bars."""
    peers = list(dict.fromkeys(r["peer"] for r in results))
    values = {(r["metric"], r["peer"]): r["value"] for r in results}
    failed = [r for r in results if r["metric"].endswith(".failed")]
    parts = [bars(results, peers)]
    for what, unit in dict.fromkeys((r["metric"].split(".", 3)[3], r["unit"]) for r in results if r not in failed):
        rows = dict.fromkeys(r["metric"] for r in results if r["metric"].split(".", 3)[3] == what)
        having = [peer for peer in peers if any((row, peer) in values for row in rows)]
        lines = [f"**{what}**" + (f", {unit}" if unit else ""), "", f"| work | line | {' | '.join(having)} |", "|---|---|" + "---:|" * len(having)]
        for row in rows:
            _, name, link, _ = row.split(".", 3)
            cells = [number(values[row, peer]) if (row, peer) in values else "–" for peer in having]
            lines.append(f"| {name} | {link} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    parts += [f"* {r['peer']}, `{r['metric'].removesuffix('.failed')}`: {r['conditions']}" for r in failed]
    return "\n\n".join(part for part in parts if part)


def bars(results, peers):
    """kbit/s towards home on the unlimited line; each step of a bar is a doubling."""
    rows = [(r["metric"].split(".")[1], r["peer"], r["value"]) for r in results if r["metric"].endswith(".unlimited.kbit_s")]
    if not rows:
        return ""
    wide = max(len(peer) for peer in peers)
    lines = [f"{name:>10} {peer:<{wide}} {'█' * round(2 * math.log2(1 + value))} {number(value)}"
        for name in dict.fromkeys(name for name, _, _ in rows) for n, peer, value in rows if n == name]
    return "kbit/s towards home, line `unlimited`; two steps of a bar are a doubling:\n\n```\n" + "\n".join(lines) + "\n```"
