"""The watermark's figures: what is read off simulated photographs, what forgers get, what it costs, and whether text stays legible."""
import json
import pathlib
import random
import subprocess
import tempfile
import time

from PIL import Image, ImageChops

import photographs
import system
from bench import result

import workloads

DESCRIPTION = """Simulated photographs (tests/load/photographs.py) of a full HD screen with the watermark on it. Documents and a dark theme: frames of the recordings of
`./bench screen`; photograph: a landscape that fills the screen. Every photograph is taken from aside at 3000x2000 pixels (but *screenshot*: none is taken) and then: *blur* of 2.5 pixels; *noise* of 14 steps in each colour; *gamma* 0.55 or 1.8;
*jpeg40*: quality 40; *half* of it missing; *all* of them (blur 1.5, noise 8, gamma 0.7 or 1.4, JPEG 40, half missing). *mark.read_rate*: part of them on which `engawa watermark read` names the session. Real cameras
and displays add moiré and reflections, which are not simulated. *mark.subtracted*: pairs of screenshots of two sessions with the lighter pixels of both: read as one of the two / named somebody else. *mark.forged*: a colleague's session drawn with a key of one's own, accepted.
*mark.cost_percent*: bytes of the recordings as they are sent (records padded to 256 bytes) with the mark to those without, from the second picture on. *mark.contrast_min*: the least contrast (WCAG 2) of
black text with its white ground, both marked or not, at any place of the marked picture."""
LINES = ["日向市 取扱注意", "K7QM-2345-6789-ABCD-EFGH  4F2A-91C0", "自宅PC yamada  203.0.113.7", "2026-11-22 13:08:22 JST"]
SESSION, STARTED = "4F2A-91C0", 1795300000
OTHER = "9ZZ0-0001"
TOOLS = system.BUILD / "tests"
RECORDED = ["typing", "scrolling", "switching"]
COSTS = [*RECORDED, "web", "sheet", "paper", "terminal", "dragging"]
QUICK_S = 270


class Office:
    """Keys of an organisation and of an office PC, and the list that a reader has."""

    def __init__(self, directory):
        self.dir = directory
        rng = random.Random(4)
        for name in "agent", "forger", "org":
            path = directory / f"{name}.key"
            path.write_text(rng.randbytes(32).hex() + "\n")
            path.chmod(0o600)
        public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], check=True, capture_output=True,
            input=bytes.fromhex("302e020100300506032b656e04220420" + (directory / "agent.key").read_text().strip())).stdout[-32:]
        (directory / "agents.json").write_text(json.dumps([{"id": "1", "terminal_id": "K7QM", "agent_key": public.hex()}]))

    def marked(self, screen, session=SESSION, key="agent"):
        out = subprocess.run([TOOLS / "browser/mark_screen", str(screen.width), str(screen.height), "--code", self.dir / f"{key}.key", self.dir / "org.key",
            session, str(STARTED), *LINES], input=screen.tobytes("raw", "BGRX"), capture_output=True, check=True).stdout
        return Image.frombytes("RGB", screen.size, out, "raw", "BGRX")

    def read(self, photo):
        """The session that is named, or None."""
        path = self.dir / "photo.png"
        photo.save(path, compress_level=1)
        run = subprocess.run([system.BUILD / "src/cli/engawa", "watermark", "read", path, "--key", self.dir / "org.key", "--agents", self.dir / "agents.json", "--json"],
            capture_output=True, text=True, timeout=300)
        return json.loads(run.stdout)["session"] if run.returncode == 0 else None

    def cost(self, recording):
        run = subprocess.run([TOOLS / "load/mark_cost", recording, self.dir / "agent.key", self.dir / "org.key", *LINES], capture_output=True, text=True, check=True)
        return [int(word) for word in run.stdout.split()]


def frame(recording, ms):
    out = subprocess.run([TOOLS / "load/mark_cost", "--show", str(ms), recording], capture_output=True, check=True).stdout
    size, pixels = out.split(b"\n", 1)
    return Image.frombytes("RGB", tuple(map(int, size.split())), pixels, "raw", "BGRX")


def landscape():
    path = sorted(pathlib.Path("/usr/share/backgrounds/mate/nature").glob("*.jpg"))[0]
    return Image.open(path).convert("RGB").resize(workloads.SIZE)


def luminance(level):
    v = level / 255
    return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4


def contrast_min(office):
    """Black letters and white ground: the darkest ground against the lightest letter that the mark makes of them anywhere."""
    light = min(low for low, _ in office.marked(Image.new("RGB", workloads.SIZE, (255, 255, 255))).getextrema())
    dark = max(high for _, high in office.marked(Image.new("RGB", workloads.SIZE, (0, 0, 0))).getextrema())
    return (luminance(light) + 0.05) / (luminance(dark) + 0.05)


def arguments(parser):
    parser.add_argument("--workload", metavar="DIR", type=pathlib.Path, default=system.ROOT / "out/recordings", help="recordings of ./bench screen")


def read_rates(office, marks, times, end):
    """Results, and what there was no time for."""
    for condition in photographs.CONDITIONS:
        good = {}
        for name, picture in marks.items():
            if time.monotonic() < end:
                good[name] = sum(office.read(photographs.photograph(condition, picture, f"{name} {i}")) == SESSION for i in range(times))
        if good:
            yield result(f"mark.read_rate.{condition}", sum(good.values()) / (times * len(good)), "of 1", times * len(good),
                ", ".join(f"{name} {count}/{times}" for name, count in good.items()))
        if len(good) < len(marks):
            not_measured(f"{condition} ({', '.join(name for name in marks if name not in good)})" if good else condition)


def not_measured(what):
    global DESCRIPTION
    DESCRIPTION += f"\nNot measured, for lack of time: {what}."


def measure(options):
    end = time.monotonic() + (QUICK_S if options.quick else 10 ** 9)
    with tempfile.TemporaryDirectory() as directory:
        office = Office(pathlib.Path(directory))
        names = [name for name in RECORDED if (options.workload / f"{name}.rec").exists()]
        if not names:
            raise system.Failed("run ./bench screen first: it makes the recordings")
        yield result("mark.contrast_min", contrast_min(office), "to 1", 1, "black on white")
        for name in COSTS:
            if (options.workload / f"{name}.rec").exists():
                plain, _, coded, plain_sent, text_sent, sent = office.cost(options.workload / f"{name}.rec")
                yield result(f"mark.cost_percent.{name}", (sent - plain_sent) * 100 / plain_sent, "%", 1,
                    f"{plain_sent} bytes without a mark, {text_sent} with text only, {sent} with text and code; before padding {(coded - plain) * 100 / plain:.1f} %")
        screens = {name: frame(options.workload / f"{name}.rec", 10 ** 9) for name in names}
        screens |= {f"{names[0]} dark": photographs.dark(screens[names[0]]), "photograph": landscape()}
        times = 1 if options.quick else 4
        marks = {name: office.marked(screen) for name, screen in screens.items()}
        yield from read_rates(office, marks, times, end)
        if time.monotonic() > end:
            not_measured("subtracted, forged (tests/system/test_watermark.py has one of each)")
            return
        wrong = own = 0
        for name, screen in screens.items():
            named = office.read(ImageChops.lighter(marks[name], office.marked(screen, OTHER)))
            own += named in (SESSION, OTHER)
            wrong += named not in (SESSION, OTHER, None)
        yield result("mark.subtracted.own", own / len(screens), "of 1", len(screens), "named one of the two sessions")
        yield result("mark.subtracted.wrong", wrong / len(screens), "of 1", len(screens), "named another session")
        forged = sum(office.read(office.marked(screen, OTHER, "forger")) is not None for screen in screens.values())
        yield result("mark.forged", forged / len(screens), "of 1", len(screens), "accepted")
