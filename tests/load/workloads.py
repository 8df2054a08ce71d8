"""Work on a desktop, recorded for ./bench screen: real programs, Japanese text and photographs from Debian packages, a script for the hands.
Each is made once, into out/recordings/, and looks the same to everybody it is played to."""
import gzip
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

import system

os.environ.setdefault("ENGAWA_BUILD", str(system.BUILD))
sys.path.append(str(system.ROOT / "tests" / "system"))
from test_desktop import Desk, wait_for  # noqa: E402

SIZE = 1920, 1080
SECONDS = 20
FPS = 30
SETTLE_S = 2
REFERENCE = pathlib.Path("/usr/share/debian-reference")
PHOTOS = pathlib.Path("/usr/share/backgrounds/mate/nature")
RECORD = system.BUILD / "tests/load/record"
OFFICE_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="ShowTipOfTheDay" oor:op="fuse"><value>false</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="FirstRun" oor:op="fuse"><value>false</value></prop></item>
<item oor:path="/org.openoffice.Setup/Product"><prop oor:name="ooSetupLastVersion" oor:op="fuse"><value>7.4</value></prop></item>
</oor:items>
"""


def text():
    """Paragraphs of Japanese, none twice."""
    lines = gzip.open(REFERENCE / "debian-reference.ja.txt.gz", "rt").read().split("\n")
    lines = lines[600:]  # what comes before is a table of contents
    return list(dict.fromkeys(line.strip() for line in lines if len(re.findall(r"[\u3041-\u9fff]", line)) > 8))


class Stage:
    """A desk with what the work needs, and hands."""

    def __init__(self, directory):
        self.desk = Desk(directory, f"{SIZE[0]}x{SIZE[1]}x24")
        self.home = self.desk.home
        self.random = random.Random(11)
        self.desk.manager()

    def do(self, *argv):
        return self.desk.run("xdotool", *map(str, argv))

    def every(self, period_s, seconds, step):
        begin = time.monotonic()
        for i in range(round(seconds / period_s)):
            step(i)
            time.sleep(max(0, begin + (i + 1) * period_s - time.monotonic()))

    def place(self, window, x, y, w, h):
        """There and of that size, also when the program has its own idea of it at first."""
        def placed():
            self.do("windowsize", window, w, h)
            self.do("windowmove", window, x, y)
            time.sleep(0.5)
            return f"WIDTH={w}\nHEIGHT={h}\n" in self.do("getwindowgeometry", "--shell", window)
        for _ in range(3):
            wait_for(placed, f"the window does not take {w}x{h}", 20)

    def area(self, window):
        geometry = dict(line.split("=") for line in self.do("getwindowgeometry", "--shell", window).split())
        return int(geometry["WIDTH"]) * int(geometry["HEIGHT"])

    def show(self, *search, x=60, y=30, w=1780, h=1010):
        windows = wait_for(lambda: subprocess.run(["xdotool", "search", "--onlyvisible", *search], env=self.desk.env,
            capture_output=True, text=True).stdout.split(), f"no window {search}", 60)
        window = max(windows, key=self.area)  # some have little ones of the same name
        self.do("windowactivate", "--sync", window)
        self.place(window, x, y, w, h)
        self.do("mousemove", x + w // 2, y + h // 2)
        return window

    def office(self, kind, source):
        """LibreOffice with a document made from a text file."""
        profile = self.home / "office"
        (profile / "user").mkdir(parents=True)
        (profile / "user" / "registrymodifications.xcu").write_text(OFFICE_SETTINGS)
        options = [f"-env:UserInstallation=file://{profile}", "--norestore", "--nologo"]
        made = {"writer": "odt", "calc": "ods"}[kind]
        subprocess.run(["soffice", *options, "--headless", "--infilter=" + ("Text (encoded):UTF8" if kind == "writer" else "CSV:44,34,76"),
            "--convert-to", made, "--outdir", str(self.home), str(source)], env=self.desk.env, check=True, capture_output=True, timeout=120)
        self.desk.start("soffice", *options, f"--{kind}", str(source.with_suffix("." + made)))
        time.sleep(4)  # it moves its window after it is there, and goes on drawing
        window = self.show("--name", source.stem)
        time.sleep(2)
        self.do("click", "1")
        return window

    def stop(self):
        self.desk.stop()


def document(stage):
    source = stage.home / "kikaku.txt"
    source.write_text("\n".join(text()))
    return stage.office("writer", source)


def sheet(stage):
    words = text()
    rows = ["番号,件名,担当,金額,前年度,増減,備考"]
    for i in range(1, 1500):
        now, before = stage.random.randrange(10**7), stage.random.randrange(10**7)
        rows.append(f"{i},{words[i % len(words)][:14].replace(',', ' ')},{words[(i * 7) % len(words)][:5].replace(',', ' ')},{now},{before},"
            f"{now - before},{words[(i * 3) % len(words)][:20].replace(',', ' ')}")
    source = stage.home / "yosan.csv"
    source.write_text("\n".join(rows).replace('"', ""))
    return stage.office("calc", source)


def wheel(stage, seconds):
    stage.every(0.1, seconds, lambda i: stage.do("click", "5" if i // 100 % 2 == 0 else "4"))


class Typing:
    """A paragraph of Japanese goes into a Writer document, six characters a second."""
    def start(self, stage):
        document(stage)
        stage.do("key", "ctrl+End")
        time.sleep(2)

    def act(self, stage, seconds):
        words = "".join(text()[40:60])
        stage.every(1 / 6, seconds, lambda i: stage.do("type", "--delay", "0", words[i]) if words[i] != " " else stage.do("key", "space"))


class Scrolling:
    """A Writer document, ten wheel steps a second, down, then up."""
    def start(self, stage):
        document(stage)

    act = staticmethod(wheel)


class Sheet(Scrolling):
    """A Calc sheet, likewise."""
    def start(self, stage):
        sheet(stage)


class Web(Scrolling):
    """A page in Chromium, likewise."""
    def start(self, stage):
        stage.desk.start("chromium", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={stage.home}/chromium",
            f"--app=file://{REFERENCE}/ch02.ja.html")
        stage.show("--class", "chromium")
        time.sleep(3)


class Paper:
    """A PDF, a page every two seconds, then wheel steps."""
    def start(self, stage):
        stage.desk.start("mupdf", "-r", "110", str(REFERENCE / "debian-reference.ja.pdf"))
        stage.show("--class", "mupdf")
        stage.do("key", "3", "0", "g")
        time.sleep(2)

    def act(self, stage, seconds):
        stage.every(2, seconds / 2, lambda i: stage.do("key", "Page_Down"))
        stage.every(0.2, seconds / 2, lambda i: stage.do("key", "j"))


class Terminal:
    """A log in a terminal, eight lines a second."""
    def start(self, stage):
        (stage.home / "log.txt").write_text("\n".join(text()[200:]))
        stage.desk.start("xterm", "-fa", "Noto Sans Mono CJK JP", "-fs", "11", "-geometry", "150x45+60+40", "-e", "sh", "-c",
            "read go; while read -r line; do echo \"$(date +%T.%N) $line\"; sleep 0.125; done < log.txt")
        stage.desk.window("--class", "xterm")
        time.sleep(1)

    def act(self, stage, seconds):
        stage.do("key", "Return")
        time.sleep(seconds)


class Switching:
    """Three windows, one after the other to the front, one a second."""
    def start(self, stage):
        self.windows = [document(stage)]
        stage.desk.start("chromium", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={stage.home}/chromium",
            f"--app=file://{REFERENCE}/ch05.ja.html")
        self.windows.append(stage.show("--class", "chromium", x=200, y=60, w=1500, h=900))
        self.windows.append(stage.desk.terminal("cat /etc/services | head -40; cat"))
        stage.place(self.windows[-1], 400, 200, 1000, 600)
        time.sleep(3)

    def act(self, stage, seconds):
        stage.every(1, seconds, lambda i: stage.do("windowactivate", self.windows[i % 3]))


class Dragging:
    """A terminal dragged over a document, ten steps a second."""
    def start(self, stage):
        document(stage)
        self.window = stage.desk.terminal("cat /etc/services | head -30; cat")
        time.sleep(1)

    def act(self, stage, seconds):
        stage.every(0.1, seconds, lambda i: stage.do("windowmove", self.window, 200 + i * 17 % 700, 150 + i * 9 % 400))


class Slides:
    """Photographs over the whole screen, one every two seconds."""
    def start(self, stage):
        photos = sorted(PHOTOS.glob("*.jpg"))
        stage.desk.start("mpv", "--no-audio", "--vo=x11", "--really-quiet", "--no-osc", "--no-osd-bar", "--osd-level=0", "--fs",
            "--image-display-duration=inf", *map(str, photos))
        stage.desk.window("--class", "mpv")
        time.sleep(2)

    def act(self, stage, seconds):
        stage.every(2, seconds, lambda i: stage.do("key", "Return"))


class Video:
    """A film of 854x480 at 30 pictures a second beside a document: slow moves over photographs, cuts."""
    def start(self, stage):
        document(stage)
        film = stage.home / "film.mp4"
        photos = sorted(PHOTOS.glob("*.jpg"))[:5]
        inputs = [a for photo in photos for a in ("-loop", "1", "-framerate", "30", "-t", "5", "-i", str(photo))]
        moves = "".join(f"[{i}:v]scale=1708:960:force_original_aspect_ratio=increase,crop=1708:960,zoompan=z='1+0.002*on':x='iw/8+{i}*on/3':y='ih/8':"
            f"d=1:s=854x480:fps=30,setsar=1[v{i}];" for i in range(len(photos)))
        subprocess.run(["ffmpeg", "-y", *inputs, "-filter_complex", moves + "".join(f"[v{i}]" for i in range(len(photos))) +
            f"concat=n={len(photos)}[out]", "-map", "[out]", "-t", "25", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "20", str(film)], check=True,
            capture_output=True, timeout=300)
        stage.desk.start("mpv", "--no-audio", "--vo=x11", "--really-quiet", "--no-osc", "--osd-level=0", "--pause", "--geometry=854x480+900+500", "--loop",
            str(film))
        stage.desk.window("--class", "mpv")
        time.sleep(1)

    def act(self, stage, seconds):
        stage.do("key", "p")
        time.sleep(seconds)
        stage.do("key", "p")


class Caret:
    """A document, untouched; its text cursor blinks."""
    def start(self, stage):
        document(stage)

    def act(self, stage, seconds):
        time.sleep(seconds)


class Idle(Caret):
    """Nothing moves."""
    def start(self, stage):
        document(stage)
        stage.desk.terminal()


WORKLOADS = {"typing": Typing, "scrolling": Scrolling, "switching": Switching, "video": Video, "idle": Idle, "caret": Caret, "sheet": Sheet, "web": Web, "paper": Paper,
    "terminal": Terminal, "dragging": Dragging, "slides": Slides}


def record(name, path):
    """Does the work on a real desktop and keeps what its screen showed."""
    with tempfile.TemporaryDirectory(prefix="engawa-bench-") as directory:
        stage, work = Stage(pathlib.Path(directory)), WORKLOADS[name]()
        part = path.with_suffix(".part")
        try:
            work.start(stage)
            time.sleep(SETTLE_S)
            recorder = subprocess.Popen([RECORD, part, str(FPS)], env=stage.desk.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            recorder.stdout.readline()
            work.act(stage, SECONDS)
            time.sleep(SETTLE_S)
            recorder.stdin.close()
            if recorder.wait(20) != 0:
                raise system.Failed(f"recording {name} failed")
            part.rename(path)
        finally:
            stage.stop()


def recordings(names, directory):
    """Their files; what is not there yet is recorded."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = directory / f"{name}.rec"
        if not path.exists():
            print(f"recording {name} …", file=sys.stderr, flush=True)
            record(name, path)
        yield name, path


def arguments(parser):
    parser.add_argument("--workload", metavar="DIR", type=pathlib.Path, help="recordings to play (DIR/NAME.rec) instead of our own")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this recording; again for more")


def chosen(options, names):
    """Names and files: those of the options, or else of these names."""
    if options.workload:
        files = ((path.stem, path) for path in sorted(options.workload.glob("*.rec")))
    else:
        files = recordings(options.only or names, system.ROOT / "out/recordings")
    return [(name, path) for name, path in files if not options.only or name in options.only]


if __name__ == "__main__":
    for _ in recordings(sys.argv[2:] or WORKLOADS, pathlib.Path(sys.argv[1])):
        pass
