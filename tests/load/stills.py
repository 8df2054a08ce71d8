"""What the browser's client shows whenever recorded work stands still, beside the office PC's own screen."""
import contextlib
import pathlib
import shutil
import sys
import tempfile
import time

import system
from bench import number, result

import workloads

sys.path.append(str(system.ROOT / "tests" / "browser"))
from chromium import Chromium  # noqa: E402
from shown import played  # noqa: E402
from test_session import log_in  # noqa: E402

DESCRIPTION = """The recordings of *screen* on the office PC's screen (1920x1080; the whole system, relay included, with watermark, padding and TLS), seen by the page in headless Chromium: its picture worker
with the decoder as WebAssembly, films through WebCodecs. A recording is held at its beginning, every three seconds and at its end, until page and office PC are equal or 20 s have gone.
*differing_pixels*: of all these stills, pixels of the page's canvas that are not the office PC's screen with the watermark that the desktop's own code puts on it, compared bit by bit; *stills*: how many they were.
*decode_ms*: processor time of the page's picture worker for each picture: decoder, canvas, and a film's pixels on their way from the browser's decoder (whose own time is not in it). How fast the machine is makes no difference to what is equal."""
HOLD_MS = 3000
STILL_S = 20
PICTURES_MIN = 10  # with fewer the worker's clock is what counts
QUICK = ["scrolling", "dragging", "slides", "video"]
COUNT = """(() => {
    const post = Worker.prototype.postMessage;
    window.pictures = 0;
    Worker.prototype.postMessage = function (message, transfer) {
        window.pictures += message.do === "frame" && message.last ? 1 : 0;
        return post.call(this, message, transfer);
    };
})()"""


def arguments(parser):
    workloads.arguments(parser)


def partial(options):
    """Not what the page shows."""
    return bool(options.only or options.workload)


def worker_ms(home_pc):
    """Processor time so far of each thread that is a worker of the page."""
    spent = {}
    for pid in system.family(home_pc.process.pid):
        with contextlib.suppress(OSError):  # gone meanwhile
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                if (task / "comm").read_text().startswith("DedicatedWorker"):
                    spent[task] = int((task / "schedstat").read_text().split()[0]) / 1e6
    if not spent:
        raise system.Failed("Chromium has no thread for the page's picture worker")
    return spent


def differing(shown):
    """Pixels, once they are none or time is up."""
    end = time.monotonic() + STILL_S
    while not shown.same():
        if time.monotonic() > end:
            return shown.differing()
        time.sleep(0.1)
    return 0


def look(office, home_pc, name, recording):
    replay = played(office, recording, HOLD_MS)
    with contextlib.closing(replay):
        next(replay)
        shown = log_in(home_pc, office)
        counts = [differing(shown)]
        home_pc.page.evaluate(COUNT)
        before = worker_ms(home_pc)
        counts += [differing(shown) for _ in replay]
        spent = sum(ms - before.get(task, 0) for task, ms in worker_ms(home_pc).items())
        pictures = home_pc.page.evaluate("window.pictures")
    yield result(f"stills.{name}.differing_pixels", sum(counts), "pixels", len(counts), "recorded work")
    if pictures >= PICTURES_MIN:
        yield result(f"stills.{name}.decode_ms", spent / pictures, "ms", pictures, "recorded work")


def tried(office, home_pc, name, recording):
    """Twice, for a machine that has other work is slow. What fails then is a row that says so."""
    for _ in range(2):
        try:
            return list(look(office, home_pc, name, recording))
        except Exception as failure:  # of any program that takes part
            words = " ".join(str(failure).split())[:160].replace("|", "/")
            print(f"{name}: {words}", file=sys.stderr, flush=True)
        finally:
            with contextlib.suppress(Exception):
                home_pc.own.open({})
                office.end_sessions()
    return [result(f"stills.{name}.failed", 1, "", 1, words)]


def look_at_all(files, directory):
    (directory / "home").mkdir()
    with system.Engawa(directory / "engawa", size=f"{workloads.SIZE[0]}x{workloads.SIZE[1]}") as office:
        office.start()
        with contextlib.closing(Chromium(directory / "home", trusted=office.page_ca)) as home_pc:
            for name, recording in files:
                print(f"{name} …", file=sys.stderr, flush=True)
                yield from tried(office, home_pc, name, recording)


def measure(options):
    files = workloads.chosen(options, QUICK if options.quick else workloads.WORKLOADS)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    directory.chmod(0o711)
    try:
        yield from look_at_all(files, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def table(results):
    """A row for each work."""
    lines = ["| work | stills | differing_pixels | pictures | decode_ms |", "|---|---:|---:|---:|---:|"]
    by = {r["metric"]: r for r in results}
    for name in dict.fromkeys(r["metric"].split(".")[1] for r in results):
        equal, decode, failed = (by.get(f"stills.{name}.{what}") for what in ("differing_pixels", "decode_ms", "failed"))
        cells = [equal["n"], number(equal["value"])] if equal else ["–", failed["conditions"]]
        cells += [decode["n"], number(decode["value"])] if decode else ["–", "–"]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
