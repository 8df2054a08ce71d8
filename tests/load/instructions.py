"""./bench instructions: how many instructions a byte, a handshake and a keepalive take, counted by callgrind; also a part of ./bench gate."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import bench
import system
from bench import result

system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))  # before relays looks at it

import relays  # noqa: E402
from relays import finish, load, program  # noqa: E402

RECORDS = {"16k": 16384, "1k": 1024}
MEGABYTES, HANDSHAKES, AGENTS, KEEPALIVE_S = 8, 20, 100, 2
WINDOW_S = {True: 6, False: 20}  # of keepalives; with --quick
SLOW_S = 600  # of anything: callgrind is a hundred times slower

DESCRIPTION = """Instructions of processes (not of the kernel) by valgrind's callgrind, which on any machine and under any load gives the same to a percent: what is to be
compared is engawa ÷ floor. The gate is the product's own objects linked without its sandbox, in which callgrind could not write (tests/load/counted_gate.c), with its keeper; *floor*
as in `./bench gate`: recv, open, seal and send and nothing else, for handshakes OpenSSL with the same certificates. Valgrind has no AVX-512, so OpenSSL's AES-GCM takes its AES-NI or AVX
way: the same at both, with more instructions for each byte than where it has VAES."""


class Counter:
    """What the processes of a relay under callgrind have executed since it was asked last."""

    def __init__(self, directory):
        self.directory = directory

    def prefix(self, name):
        return ["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={self.directory}/{name}.%p"]

    def counted(self, pid):
        """Callgrind runs there; it is known by its file, which it makes when it writes."""
        return "callgrind" in pathlib.Path(f"/proc/{pid}/exe").resolve().name

    def take(self, relay):
        for pid in filter(self.counted, relay.pids()):
            subprocess.run(["vgdb", f"--pid={pid}", "dump"], check=True, capture_output=True, timeout=SLOW_S)
        total = 0
        for path in list(self.directory.iterdir()):
            total += sum(map(int, re.findall(r"^totals: (\d+)", path.read_text(), re.M)))
            path.unlink()
        return total


def bytes_moved(counter, relay, name, record):
    flow = load(program("flow"), 1, record, 0, MEGABYTES * 1_000_000, SLOW_S, *relay.words)
    assert flow.stdout.readline() == "ready\n"
    counter.take(relay)
    received = int(finish(flow, "\n", SLOW_S).split()[0])
    return result(f"gate.instructions_per_kib.{name}", counter.take(relay) / (received / 1024), "instructions", 1,
        f"{MEGABYTES} MB in records of {record} bytes, one session", relay.name)


def handshakes(counter, relay, who, port, engawa):
    greet = [program("greet"), HANDSHAKES, "agent", port, engawa.org_file, engawa.ca]
    finish(load(*greet), timeout=SLOW_S)  # what is done once at the first
    counter.take(relay)
    finish(load(*greet), timeout=SLOW_S)
    return result("gate.instructions_per_handshake", counter.take(relay) / HANDSHAKES, "instructions", 1,
        f"{HANDSHAKES} full handshakes, certificates on both sides, with Hello and its answer; keeper included", who)


def keepalives(counter, relay, engawa, window_s):
    """Of a waiting agent, by the difference to a gate without any."""
    def window():
        counter.take(relay)
        start = time.monotonic()
        time.sleep(window_s)
        return counter.take(relay) / (time.monotonic() - start)
    alone = window()
    agents = load(program("idle_agents"), engawa.org_file, engawa.ca)
    try:
        agents.stdin.write(f"{AGENTS}\n")
        assert agents.stdout.readline() == f"up {AGENTS}\n"
        one = (window() - alone) / (AGENTS / KEEPALIVE_S)
    finally:
        agents.kill()
        agents.communicate()
    yield result("gate.instructions_per_keepalive", one, "instructions", 1, f"{AGENTS} agents, one ping and its answer every {KEEPALIVE_S} s each")
    yield result("gate.instructions_idle_s", alone, "instructions", 1, "each second of a worker and a keeper with nobody there")


def measure(arguments):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    directory.chmod(0o711)
    home, counts = relays.Bench(directory), directory / "counts"
    counts.mkdir()
    counter = Counter(counts)
    os.environ["COUNTS"] = str(counts)
    try:
        with contextlib.ExitStack() as stack:
            gate = stack.enter_context(home.gate(program="tests/load/counted_gate", HANDSHAKE_S=60, HELLO_S=60, KEEPALIVE_S=KEEPALIVE_S))
            floor, bare = (stack.enter_context(start(counter.prefix(start.__name__))) for start in (home.floor, home.bare))
            for name, record in RECORDS.items():
                for relay in gate, floor:
                    yield bytes_moved(counter, relay, name, record)
            yield handshakes(counter, gate, gate.name, home.engawa.port, home.engawa)
            yield handshakes(counter, bare, floor.name, bare.words[1], home.engawa)
            yield from keepalives(counter, gate, home.engawa, WINDOW_S[arguments.quick])
    finally:
        del os.environ["COUNTS"]
        shutil.rmtree(directory, ignore_errors=True)


def table(results):
    values = {}
    for r in results:
        values.setdefault(r["metric"], {})[r["peer"]] = r
    lines = ["| metric | engawa | floor | engawa ÷ floor | conditions |", "| --- | ---: | ---: | ---: | --- |"]
    for metric, of in values.items():
        ours, floor = of["engawa"], of.get("floor")
        cells = [bench.number(ours["value"]), bench.number(floor["value"]) if floor else "–", f"{ours['value'] / floor['value']:.3f}" if floor else "–"]
        lines.append(f"| {' | '.join([metric, *cells, ours['conditions']])} |")
    return "\n".join(lines)
