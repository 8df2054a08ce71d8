"""A photograph on a page over a slow line: when it is seen, when it is exact, and what typing waits meanwhile."""
import statistics
import subprocess

import system
from bench import number, result

import workloads

DESCRIPTION = """A photograph of 1280x800 (three of ./bench screen's `slides`, one after the other: median; letters: the longest of all) appears on a page of Writer, 1920x1080, while somebody types
below it, a letter every 150 ms. Pipeline of the desktop process, records and padding as they are sent, line and clock computed (tests/load/photo.c): coding takes no time. *seen_ms*: structural
similarity 0.95 (Y, 8x8); *exact_ms*: no differing pixel; *letter_ms*: from a letter on the office PC's screen to the same at home until then, *longest alone* before the photograph;
*mib*: over the line until it is exact; *pictures*: of H.264. Lines: `300kbit` with 30 ms each way, `1mbit` and `100mbit` with 5 ms. *no H.264*: a client that shows none."""
LINES = {"300kbit": (300, 30), "1mbit": (1000, 5), "100mbit": (100000, 5)}
PHOTOGRAPHS = [1, 2, 4]
KINDS = {"engawa": 1, "no H.264": 0}


def run(page, slides, number, kbit_s, delay_ms, film):
    argv = [system.BUILD / "tests/load/photo", page, slides, number, kbit_s, delay_ms, film]
    return list(map(int, subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True).stdout.split()))


def measure(options):
    files = dict(workloads.recordings(["typing", "slides"], system.ROOT / "out/recordings"))
    numbers = PHOTOGRAPHS[:1] if options.quick else PHOTOGRAPHS
    for name, (kbit_s, delay_ms) in LINES.items():
        for peer, film in KINDS.items():
            runs = [run(files["typing"], files["slides"], n, kbit_s, delay_ms, film) for n in numbers]
            seen, exact, letter, longest, size, pictures, alone = zip(*runs)
            for metric, value, unit in (
                    ("seen_ms", statistics.median(seen), "ms"), ("exact_ms", statistics.median(exact), "ms"), ("letter_ms.p50", statistics.median(letter), "ms"),
                    ("letter_ms.longest", max(longest), "ms"), ("letter_ms.longest_alone", max(alone), "ms"), ("mib", statistics.median(size) / 2 ** 20, "MiB"),
                    ("pictures", statistics.median(pictures), "")):
                yield result(f"photo.{name}.{metric}", value, unit, len(numbers), "computed line", peer)


def table(results):
    """A row for each line and client."""
    columns = list(dict.fromkeys(r["metric"].split(".", 2)[2] for r in results))
    values = {(r["metric"], r["peer"]): number(r["value"]) for r in results}
    lines = [f"| line | who | {' | '.join(columns)} |", "|---|---|" + "---:|" * len(columns)]
    lines += [f"| {line} | {peer} | {' | '.join(values[f'photo.{line}.{column}', peer] for column in columns)} |" for line in LINES for peer in KINDS]
    return "\n".join(lines)
