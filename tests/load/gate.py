"""./bench gate: what a waiting agent, a byte, a round trip and a handshake cost, beside the floor and other relays in the same run."""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import bench
import system
import two_sites
from bench import result

system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))  # before relays looks at it

import instructions  # noqa: E402
import relays  # noqa: E402
from relays import finish, load, program  # noqa: E402

ROUNDS = 3
OURS, FLOOR = "engawa", "floor"
NEAREST = {"cpu": "nginx", "rtt": "haproxy", "idle": "haproxy"}  # of the peers, in whole runs: what --quick compares with
NOT_MANY = "OpenSSH -R", "hitch, two chained"  # a second for each session, or one connection for all: not asked for hundreds
# How much of each: bytes at full speed, seconds of desktops, round trips, the same beside load, handshakes, waiting agents and sessions of
# others (from, to), seconds and number of windows of idle CPU
WHOLE = {"bytes": 3_200_000_000, "seconds": 8, "trips": 10000, "busy": 1000, "handshakes": 2000, "agents": (1000, 15000), "sessions": (500, 4000),
    "window": 60, "windows": 3, "upgrade": (15000, 50, 20)}
QUICK = {"bytes": 400_000_000, "seconds": 2, "trips": 2000, "busy": 200, "handshakes": 500, "agents": (200, 2000), "sessions": (100, 500), "window": 30,
    "windows": 1, "upgrade": (2000, 50, 8)}
PATTERNS = {  # sessions, bytes of a record, bytes a second of each session (0 = as fast as it goes)
    "16k": (1, 16384, 0, "one session, records of 16 KiB, as fast as it goes"),
    "1k": (1, 1024, 0, "one session, records of 1 KiB, as fast as it goes"),
    "desktop": (200, 16384, 500_000, "200 sessions of 0.5 MB/s in bursts of 16 KiB"),
}
# reference/original-gate-figures: another run, on another machine of the same kind
ORIGINAL = {"gate.idle_user_bytes": 155 * 1024, "gate.idle_kernel_bytes": 26 * 1024, "gate.idle_cpu_percent_per_1000": 7.5, "gate.cpu_s_per_gb.16k": 1.34,
    "gate.cpu_s_per_gb.1k": 1.70, "gate.cpu_s_per_gb.desktop": 4.7, "gate.rtt_added_us.p50": 29, "gate.rtt_added_us.p99": 53,
    "gate.rtt_busy_us.p99": 7000, "gate.handshake_cpu_ms": 1.41}
SLABS = "TCP", "sock_inode_cache", "filp", "eventpoll_epi"  # and a dentry for each socket

DESCRIPTION = f"""Relays on processor {relays.RELAY_CPU}, load generators on processor {relays.LOAD_CPU}, loopback, TLS 1.3 with AES-256-GCM on both sides of every
relay; medians of {ROUNDS} runs that take turns. CPU is that of all processes of a relay, kernel included; GB = 10⁹ payload bytes counted once.
*floor* does recv, open, seal and send for the same traffic and nothing else (tests/load/floor.c); for handshakes it is OpenSSL with the gate's
certificates. Memory is the slope between two numbers of connections, for each encrypted connection held (a waiting agent is one at the gate, a
waiting session is two at the others): user = private and written to; kernel = estimate from the growth of the socket, file and epoll slabs, both ends
being on this machine, without buffers in use and page tables. Round trips are 64 bytes there and back, *added* = less what the ends need without a relay;
*busy* = the whole round trip beside 8 sessions at full speed, the pinging process before all others on its processor. OpenSSH: its sessions
share one SSH connection on each side; it makes packets of its own and has no records of 1 KiB. hitch as a client takes its time for each session: it is left out where there are many. *original*:
published figures of the original gate on such a machine, quoted: memory as RSS, and kernel stack with slabs; round trips on one core, which
leaves out the waking of another. Half a million agents: `./bench crowd`. *instructions*: as in `./bench instructions`, below."""


class Sample:
    """Values of a metric by who and round."""

    def __init__(self, metric, unit, conditions):
        self.metric, self.unit, self.conditions, self.values = metric, unit, conditions, {}

    def add(self, who, value):
        self.values.setdefault(who, []).append(value)

    def results(self):
        for who, values in self.values.items():
            yield result(self.metric, statistics.median(values), self.unit, len(values), self.conditions, who)


def run_flow(relay, sessions, record, rate, size, seconds):
    """CPU seconds for each GB."""
    flow = load(program("flow"), sessions, record, rate, size, seconds, *relay.words)
    assert flow.stdout.readline() == "ready\n"
    before = relay.cpu_s()
    received, took = finish(flow, "\n").split()
    cost = (relay.cpu_s() - before) / (int(received) / 1e9)
    print(f"  {relay.name}: {sessions} × {record}: {int(received) / 1e6 / float(took):.0f} MB/s, {cost:.3f} s/GB", flush=True)
    return cost


def resume_gap(count):
    """From the death of a gate under a session to the moment when the session goes on through the other one."""
    gaps = []
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    directory.chmod(0o711)
    try:
        with system.Engawa(directory, gates=("east-1", "west-1")) as engawa:
            engawa.start()
            log = engawa.log_dir / "agent.log"
            client = engawa.client("--for", "600s")
            system.wait_for(lambda: "session.start" in log.read_text(), "no session", 30)
            while len(gaps) < count:
                system.wait_for(engawa.agent_everywhere, "the agent is not at both gates", 120)
                text = log.read_text()
                gate = engawa.gate_in_use()
                engawa.gates[gate].kill()
                begin = time.monotonic()
                system.wait_for(lambda: log.read_text().count("session.resumed") > text.count("session.resumed"), "no way back", 30, 0.002)
                gaps.append(1000 * (time.monotonic() - begin))
                engawa.start_gate(gate)
            client.terminate()
            client.wait(20)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    yield result("gate.resume_gap_ms", statistics.median(gaps), "ms", len(gaps), "a gate is killed under a session; until the office PC sends it its picture "
        f"through another gate, loopback; longest {max(gaps):.0f} ms")


def black_hole_gap(count):
    """The same when nobody dies: the route is gone, without a word."""
    if os.geteuid() != 0:
        return  # network namespaces
    argv = two_sites.enter("/usr/bin/python3", "-B", pathlib.Path(__file__).parent / "black_hole.py", count)
    gaps = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, timeout=120 + 60 * count).stdout)
    yield result("gate.resume_gap_ms.black_hole", statistics.median(gaps), "ms", len(gaps), "the home's route to the gate under a session becomes a black hole; "
        f"from the last that the client heard to the first of the other gate; longest {max(gaps):.0f} ms")


def pings(relay, count):
    """Median and 99th percentile in µs."""
    urgent = ["chrt", "-f", "10"] if os.geteuid() == 0 else []
    times = sorted(map(float, finish(load(program("ping"), count, *relay.words, first=urgent)).split()))
    return statistics.median(times), times[len(times) * 99 // 100]


@contextlib.contextmanager
def busy(relay):
    flow = load(program("flow"), 8, 16384, 0, 10**15, 60, *relay.words)
    try:
        assert flow.stdout.readline() == "ready\n"
        flow.stdin.write("\n")
        time.sleep(0.5)
        yield
    finally:
        flow.kill()
        flow.communicate()


class Moving:
    """Relays that are all up at the same time, measured in turns."""

    def __init__(self, relays_up, direct, quick, sizes):
        self.relays, self.direct, self.quick, self.sizes = relays_up, direct, quick, sizes

    def rounds(self, nearest, without=()):
        for _ in range(ROUNDS):
            for relay in self.relays:
                if relay.name not in without and (not self.quick or relay.name in (OURS, FLOOR, nearest)):
                    yield relay

    def throughput(self):
        for name, (sessions, record, rate, words) in PATTERNS.items():
            size = rate * sessions * self.sizes["seconds"] or self.sizes["bytes"] * min(record, 4096) // 4096
            sample = Sample(f"gate.cpu_s_per_gb.{name}", "s/GB", f"{words}; {size / 1e9:.2g} GB")
            without = NOT_MANY[1:] if sessions > 1 else () if record > 4096 else NOT_MANY[:1]
            for relay in self.rounds(NEAREST["cpu"], without):
                sample.add(relay.name, run_flow(relay, sessions, record, rate, size, 30))
            yield from sample.results()

    def latency(self):
        count = self.sizes["trips"]
        samples = [Sample(f"gate.rtt_added_us.{p}", "µs", f"64 bytes, {count} one after the other") for p in ("p50", "p99")]
        alone = [pings(self.direct, count) for _ in range(ROUNDS)]
        base = [statistics.median(values) for values in zip(*alone)]
        for relay in self.rounds(NEAREST["rtt"]):
            for sample, value, less in zip(samples, pings(relay, count), base):
                sample.add(relay.name, value - less)
        for sample in samples:
            yield from sample.results()

    def latency_busy(self):
        count = self.sizes["busy"]
        sample = Sample("gate.rtt_busy_us.p99", "µs", f"64 bytes, {count} one after the other, beside 8 sessions of 16 KiB records at full speed")
        for relay in self.rounds(NEAREST["rtt"]):
            with busy(relay):
                sample.add(relay.name, pings(relay, count)[1])
        yield from sample.results()


def handshakes(ours, bare, engawa, count):
    sample = Sample("gate.handshake_cpu_ms", "ms", f"{count} full handshakes, certificates on both sides, with Hello and its answer; log on")
    for _ in range(ROUNDS):
        for who, relay, port in (OURS, ours, engawa.port), (FLOOR, bare, bare.words[1]):
            before = relay.cpu_s()
            finish(load(program("greet"), count, "agent", port, engawa.org_file, engawa.ca))
            sample.add(who, (relay.cpu_s() - before) / count * 1000)
    yield from sample.results()


def upgrade(home, agents, sessions, seconds):
    """The program takes over from itself in the middle of seconds of desktops and beside one session that asks without a pause. The
    sessions' ends compare every byte: one that is lost or comes twice is a failure."""
    dropped, pause = Sample("gate.upgrade.dropped", "connections", ""), Sample("gate.upgrade.pause_ms", "ms", "")
    dropped.conditions = f"{agents} waiting agents and {sessions} sessions of 0.5 MB/s, each byte of which is compared"
    pause.conditions = f"the longest round trip of a session beside them; {dropped.conditions}"
    with home.gate() as relay:
        idlers = load(program("idle_agents"), home.engawa.org_file, home.engawa.ca)
        flow = load(program("flow"), "check", sessions, 16384, 500_000, 500_000 * sessions * seconds, 4 * seconds, *relay.words)
        ping = load(program("ping"), 2000 * seconds, *relay.words)
        try:
            idlers.stdin.write(f"{agents}\n")
            assert idlers.stdout.readline() == f"up {agents}\n"
            assert flow.stdout.readline() == "ready\n"
            flow.stdin.write("\n")
            time.sleep(seconds / 4)
            started = time.monotonic()
            if not home.engawa.renew_gate():
                raise system.Failed("the upgrade was given up")
            took = time.monotonic() - started
            if flow.poll() is not None:
                finish(flow)  # has its own words for what went wrong
                raise system.Failed("the sessions had said all before the upgrade was done")
            longest = max(map(float, finish(ping).split())) / 1000
            moved = int(finish(flow).split()[0])
            if moved < 500_000 * sessions * seconds:
                raise system.Failed(f"{moved} bytes of the sessions came")
            idlers.stdin.write("?\n")
            held, ended = map(int, idlers.stdout.readline().split()[1::2])
            if held + ended != agents and not ended:
                raise system.Failed(f"{held} of {agents} agents")
            dropped.add(OURS, ended)
            pause.add(OURS, longest)
            print(f"  upgrade: {took:.2f} s in all, longest round trip {longest:.1f} ms, {ended} agents dropped, {moved} bytes as they were sent", flush=True)
        finally:
            for process in idlers, flow, ping:
                process.kill()
                process.communicate()
    yield from dropped.results()
    yield from pause.results()


def slab_bytes():
    """Of sockets; None where we may not look."""
    try:
        rows = [line.split()[:4] for line in pathlib.Path("/proc/slabinfo").read_text().splitlines()[2:]]
    except OSError:
        return None
    objects = {name: (int(count), int(size)) for name, count, _, size in rows}
    return sum(objects[name][0] * objects[name][1] for name in SLABS) + objects["TCP"][0] * objects["dentry"][1]


class Waiting:
    def __init__(self):
        self.user, self.kernel = Sample("gate.idle_user_bytes", "B", ""), Sample("gate.idle_kernel_bytes", "B", "")
        self.cpu = Sample("gate.idle_cpu_percent_per_1000", "% of a core", "")

    def measure(self, relay, holder, totals, seconds, windows):
        """holder: argv of what holds connections; seconds: of one window of idle CPU."""
        held = load(*holder)
        points = []
        try:
            for total in totals:
                held.stdin.write(f"{total}\n")
                assert held.stdout.readline() == f"up {total}\n"
                time.sleep(1)
                points.append((relay.memory(), slab_bytes()))
            more = (totals[1] - totals[0]) * relay.legs
            self.user.add(relay.name, (points[1][0] - points[0][0]) / more)
            if points[0][1]:
                self.kernel.add(relay.name, (points[1][1] - points[0][1]) / more / 2)
            for _ in range(windows):
                before = relay.cpu_s()
                time.sleep(seconds)
                self.cpu.add(relay.name, 100 * (relay.cpu_s() - before) / seconds / (totals[1] * relay.legs / 1000))
        finally:
            held.kill()
            held.communicate()
        print(f"  {relay.name}: {totals}: {self.user.values[relay.name][-1]:.0f} B user", flush=True)

    def results(self):
        for sample in self.user, self.kernel, self.cpu:
            yield from sample.results()


def idle(home, peers, sizes):
    """Every run starts its relay anew."""
    w, ours, others = Waiting(), sizes["agents"], sizes["sessions"]
    w.user.conditions = w.kernel.conditions = f"engawa {ours[0]} and {ours[1]} agents, others {others[0]} and {others[1]} sessions"
    w.cpu.conditions = f"engawa {ours[1]} agents that are pinged every 30 s; others {others[1]} sessions without any"
    for number in range(ROUNDS):
        with home.gate() as relay:
            argv = [program("idle_agents"), home.engawa.org_file, home.engawa.ca]
            w.measure(relay, argv, ours, sizes["window"], 1 if number < sizes["windows"] else 0)
        for name, method in peers.items():
            with getattr(home, method)() as relay:
                w.measure(relay, [program("hold"), *relay.words], others, sizes["window"] / 10, 1)
    yield from w.results()


def measure(arguments):
    quick = arguments.quick
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    directory.chmod(0o711)
    home, peers = relays.Bench(directory), relays.installed()
    wanted, sizes = (set(NEAREST.values()), QUICK) if quick else (set(peers), WHOLE)
    try:
        with contextlib.ExitStack() as stack:
            ours, floor, bare, direct = (stack.enter_context(start()) for start in (home.gate, home.floor, home.bare, home.direct))
            others = [stack.enter_context(getattr(home, method)()) for name, method in peers.items() if name in wanted]
            moving = Moving([ours, floor, *others], direct, quick, sizes)
            yield from moving.throughput()
            yield from moving.latency()
            yield from moving.latency_busy()
            yield from handshakes(ours, bare, home.engawa, sizes["handshakes"])
        yield from upgrade(home, *sizes["upgrade"])
        idlers = {name: method for name, method in peers.items() if name == NEAREST["idle"] or not quick and name not in NOT_MANY}
        yield from idle(home, idlers, sizes)
        yield from resume_gap(3 if quick else 10)
        yield from black_hole_gap(1 if quick else 10)
        yield from instructions.measure(arguments)
        for metric, value in ORIGINAL.items():
            yield result(metric, value, "as above", 0, "quoted", "original")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def table(results):
    """One row for each metric."""
    values, units, conditions = {}, {}, {}
    for r in results:
        values.setdefault(r["metric"], {})[r["peer"]] = r["value"]
        if r["peer"] == OURS:
            units[r["metric"]], conditions[r["metric"]] = r["unit"], f"{r['conditions']}; n = {r['n']}"
    names = [name for name in relays.PEERS if any(name in v for v in values.values())]
    head = ["metric", "unit", OURS, FLOOR, "÷ floor", "best peer", "÷ best peer", *names, "original"]
    rows = []
    for metric, v in sorted(values.items()):
        best = min((v[name], name) for name in names if name in v) if any(name in v for name in names) else None
        ratio = {FLOOR: v.get(FLOOR), "best": best and best[0]}
        rows.append([metric, units.get(metric, ""), v.get(OURS), v.get(FLOOR), v[OURS] / ratio[FLOOR] if ratio[FLOOR] else None,
            best and best[1].split(",")[0], v[OURS] / ratio["best"] if ratio["best"] else None, *(v.get(name) for name in names), v.get("original")])
    cells = [[bench.number(c) if isinstance(c, (int, float)) else c or "–" for c in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---", "---", *["---:"] * (len(head) - 2)], *cells]]
    notes = [f"* `{metric}`: {words}" for metric, words in sorted(conditions.items())]
    return "\n".join([*lines, "", *notes])
