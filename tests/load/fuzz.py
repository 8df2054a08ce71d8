"""./bench fuzz [--minutes N] [NAME…]: the parsers under libFuzzer with the address and undefined-behaviour sanitizers, so many processor minutes each."""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from bench import DOCUMENT, LOAD, ROOT, result

DESCRIPTION = """Every parser (docs/parsers.md) under libFuzzer, with the address and undefined-behaviour sanitizers, from the corpus of `tests/corpus`.
*runs*: inputs tried; *edges*: what of the target they reached, as libFuzzer counts coverage; *findings*: crashes, leaks, and inputs of more than 25 s
or 2 GiB. A row stays until its target is run again."""
BUILD = ROOT / "build-fuzz"
OUT = ROOT / "out" / "fuzz"
JSON = ROOT / "out" / "bench" / "fuzz.json"
ROW = re.compile(r"^\| (\w+) \| ([\d.]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \| (\S+) \|$", re.M)
TICKS = os.sysconf("SC_CLK_TCK")


def names():
    return sorted(path.stem.removeprefix("fuzz_") for path in (LOAD.parent / "fuzz").glob("fuzz_*.c"))


def arguments(parser):
    parser.add_argument("--minutes", type=float, default=10, help="processor minutes for each")
    parser.add_argument("targets", nargs="*", metavar="NAME", help="some of: " + " ".join(names()))


def build(targets):
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, ROOT, "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"], check=True,
            env=os.environ | {"CC": "clang", "CC_LD": "lld"}, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", *(f"tests/fuzz/fuzz_{name}" for name in targets)], check=True)


def corpus(name):
    """The directory that tests/fuzz/meson.build gives to this target."""
    return LOAD.parent / "corpus" / name


def processor_s(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(name, minutes):
    """Minutes used, inputs tried, edges reached, findings."""
    grown = OUT / name
    grown.mkdir(parents=True, exist_ok=True)
    log = OUT / f"{name}.log"
    used = 0
    with log.open("w") as output:
        process = subprocess.Popen([BUILD / "tests/fuzz" / f"fuzz_{name}", "-print_final_stats=1", "-timeout=25", "-rss_limit_mb=2048",
            f"-artifact_prefix={OUT}/{name}-", grown, corpus(name)], stdout=output, stderr=subprocess.STDOUT, cwd=OUT)
        while process.poll() is None and used < minutes * 60:
            time.sleep(1)
            used = processor_s(process.pid) or used
        process.send_signal(signal.SIGINT)  # it tells its figures and goes
        process.wait(60)
    text = log.read_text(errors="replace")
    runs = re.findall(r"stat::number_of_executed_units: (\d+)", text)
    edges = re.findall(r"cov: (\d+)", text)
    found = len(re.findall(r"Test unit written to", text))
    return used / 60, int(runs[-1]) if runs else 0, int(edges[-1]) if edges else 0, found


def rows(name, used, runs, edges, found, when):
    return [result(f"fuzz.{name}.cpu_min", used, "min", 1, when), result(f"fuzz.{name}.runs", runs, "inputs", 1, when),
        result(f"fuzz.{name}.edges", edges, "edges", 1, when), result(f"fuzz.{name}.findings", found, "findings", 1, when)]


def reported():
    """By target, what docs/performance.md says and this machine may never have seen, and what is newer here."""
    text = DOCUMENT.read_text()
    part = text[text.find("<!-- bench fuzz -->"):text.find("<!-- end fuzz -->")]
    done = {name: rows(name, float(used), int(runs.replace(",", "")), int(edges.replace(",", "")), int(found), when)
        for name, used, runs, edges, found, when in ROW.findall(part)}
    new = collections.defaultdict(list)
    for r in json.loads(JSON.read_text()) if JSON.exists() else []:
        new[r["metric"].split(".")[1]].append(r)
    return done | {name: found for name, found in new.items() if name not in done or found[0]["conditions"] >= done[name][0]["conditions"]}


def measure(arguments):
    targets = arguments.targets or names()
    build(targets)
    minutes = 0.05 if arguments.quick else arguments.minutes
    done = reported()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, found in zip(targets, pool.map(run, targets, [minutes] * len(targets))):
            done[name] = rows(name, *found, time.strftime("%Y-%m-%d"))
            JSON.parent.mkdir(parents=True, exist_ok=True)
            JSON.write_text(json.dumps([r for found in done.values() for r in found], indent=1))  # a long run may be ended at any time
    for name in sorted(done):
        yield from done[name]


def table(results):
    targets = collections.defaultdict(dict)
    for r in results:
        _, name, what = r["metric"].split(".")
        targets[name][what] = r["value"]
        targets[name]["when"] = r["conditions"]
    lines = ["| target | processor minutes | runs | edges | findings | when |", "|---|---:|---:|---:|---:|---|"]
    return "\n".join(lines + [f"| {name} | {row['cpu_min']:.1f} | {row['runs']:,.0f} | {row['edges']:,.0f} | {row['findings']:.0f} | {row['when']} |"
        for name, row in sorted(targets.items())])
