"""./bench NAME [--quick]: runs tests/load/NAME.py and keeps what it measured.

A bench is a module with DESCRIPTION and measure(arguments), which yields results as result() below makes them; it may have its
own table(results), arguments(parser) for options of its own, and partial(arguments), true when they leave out what the page shows. They go to out/bench/NAME.json, to the terminal, and between the markers of NAME in docs/performance.md."""
import argparse
import datetime
import importlib
import json
import os
import pathlib
import platform
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOAD = ROOT / "tests" / "load"
DOCUMENT = ROOT / "docs" / "performance.md"


def result(metric, value, unit, n, conditions, peer="engawa"):
    return {"metric": metric, "value": round(value, 4), "unit": unit, "n": n, "peer": peer, "conditions": conditions}


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} × {model[1] if model else platform.machine()}, Linux {platform.release().split('-')[0]}"


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(results):
    lines = ["| what | value | unit | n | who | conditions |", "|---|---:|---|---:|---|---|"]
    lines += [f"| {r['metric']} | {number(r['value'])} | {r['unit']} | {r['n']} | {r['peer']} | {r['conditions']} |" for r in results]
    return "\n".join(lines)


def document(name, text):
    """Replaces the part of one bench, or adds it at the end."""
    begin, end = f"<!-- bench {name} -->", f"<!-- end {name} -->"
    part = f"{begin}\n{text}\n{end}"
    old = DOCUMENT.read_text()
    if begin in old:
        new = old[:old.index(begin)] + part + old[old.index(end) + len(end):]
    else:
        new = f"{old.rstrip()}\n\n{part}\n"
    DOCUMENT.write_text(new)


def main():
    names = sorted(path.stem for path in LOAD.glob("*.py") if "\ndef measure(" in path.read_text())
    parser = argparse.ArgumentParser(prog="./bench")
    parser.add_argument("name", choices=names)
    parser.add_argument("--quick", action="store_true", help="at most five minutes")
    known, _ = parser.parse_known_args()
    others = f"load average {os.getloadavg()[0]:.1f} before the run"
    sys.path[:0] = [str(LOAD), str(ROOT / "tools")]
    bench = importlib.import_module(known.name)
    getattr(bench, "arguments", lambda parser: None)(parser)
    arguments = parser.parse_intermixed_args()
    results = []
    for r in bench.measure(arguments):
        print(f"{r['metric']}: {number(r['value'])} {r['unit']} ({r['peer']}; {r['conditions']})", flush=True)
        results.append(r)
    text = getattr(bench, "table", table)(results)
    print("\n" + text)
    if getattr(bench, "partial", lambda arguments: False)(arguments):
        return
    path = ROOT / "out" / "bench" / f"{arguments.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    how = " with `--quick`" if arguments.quick else ""
    document(arguments.name, f"## {arguments.name}\n\n{bench.DESCRIPTION}\n\n{machine()}; {others}; {datetime.date.today()}{how}.\n\n{text}")


if __name__ == "__main__":
    sys.modules["bench"] = sys.modules["__main__"]  # what the benches import result from
    main()
