"""./bench crowd: as many waiting agents as the original has users, at one gate on this machine; and a city's worth coming back at once."""
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import gate
import relays
import system
from bench import result
from relays import program

WHOLE, QUICK = (497_000, 67_485, 120), (50_000, 5_000, 60)
EACH = 18_500         # connections of one process, which may have 20,000 descriptors here
CLONE_NEWNET = 0x40000000

DESCRIPTION = f"""One gate, its workers and all agents on this machine, in a network namespace of their own (no connection tracking, all ports), one source
address for each load generator of {EACH:,} agents. Every agent has a certificate of its own and is pinged every 30 s. *user* = what the gate's processes
have written to; *kernel* = growth of the socket, file and epoll slabs, half of it, both ends being here; *machine* = what the machine had less, with both
ends and the load generators. *back*: all workers are killed with so many agents, and each agent tries again once a second; *join* = a new client's
whole way to a session with a waiting agent meanwhile, or a failure when there is none within ten seconds. The next doubling is a matter of processor
time: keepalives of the whole crowd take a third of one processor and its handshakes the better part of an hour of both ends' time, while a machine of this
size has memory for several times as many."""


def own_network():
    """From here on this process, and what it starts, has a loopback of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise system.Failed("no network namespace: ./bench crowd needs root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65535")
    with contextlib.suppress(OSError):  # a queue of connections to accept as long as the gate asks for
        pathlib.Path("/proc/sys/net/core/somaxconn").write_text("4096")


def available():
    return int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) * 1024


class Crowd:
    """Load generators with so many agents in all."""

    def __init__(self, engawa, total):
        count = -(-total // EACH)
        self.shares = [total // count + (i < total % count) for i in range(count)]
        self.processes = [subprocess.Popen([program("idle_agents"), engawa.org_file, engawa.ca, f"127.0.1.{i + 1}"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1,
            preexec_fn=lambda: system.libc.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)) for i in range(count)]

    def start(self):
        for process, share in zip(self.processes, self.shares):
            process.stdin.write(f"{share}\n")

    def wait(self):
        for process, share in zip(self.processes, self.shares):
            line = process.stdout.readline()
            if line != f"up {share}\n":
                raise system.Failed(f"a load generator said {line!r}")

    def ask(self):
        """How many are welcome, and how many connections have ended so far."""
        held = ended = 0
        for process in self.processes:
            process.stdin.write("?\n")
            words = process.stdout.readline().split()
            held, ended = held + int(words[1]), ended + int(words[3])
        return held, ended

    def stop(self):
        for process in self.processes:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def gate_for(home, total):
    """The gate with room for so many; its controller gives its keys and goes."""
    e = home.engawa
    e.smtp_url = f"smtp://localhost:{e.smtp_port}"
    e.start_controller()
    if not e.org_file.exists():
        e.make_organisation()
    settings = {"LOG_LEVEL": "warn", "SOURCE_MAX": 65535, "SOURCE_HALF_OPEN_MAX": 65535, "CONNECTIONS_MAX": total + 2000,
        "CLIENT_RATE_BYTES_S": 0, "SILENCE_S": 300, "HANDSHAKE_S": 60, "HELLO_S": 60}
    try:
        (e.log_dir / "gate.log").unlink(missing_ok=True)
        e.start_gate(**settings)
        time.sleep(2)  # every worker has the ticket keys: it says so only at a lower level of the log
        e.controller.stop()  # it knows none of these agents
        yield
    finally:
        e.stop()


def usage(pids):
    """Bytes that only these have written to, and their CPU seconds."""
    memory = cpu = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            memory += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_Dirty:")) * 1024
            cpu += time.clock_gettime(~pid << 3 | 2)
    return memory, cpu


def waiting(home, total, window_s):
    with gate_for(home, total):
        e = home.engawa
        pids = system.family(e.gate.pid)
        before, slabs, free = usage(pids), gate.slab_bytes(), available()
        crowd, start = Crowd(e, total), time.monotonic()
        try:
            crowd.start()
            crowd.wait()
            up_s = time.monotonic() - start
            after = usage(pids)
            print(f"  {total} agents after {up_s:.0f} s, {len(pids)} processes of the gate", flush=True)
            time.sleep(5)
            idle, kernel = usage(pids), gate.slab_bytes()
            time.sleep(window_s)
            cpu_s = usage(pids)[1] - idle[1]
            held, ended = crowd.ask()
            if held != total or ended:
                raise system.Failed(f"{held} of {total} agents wait, {ended} connections ended")
            conditions = f"{total} agents, {len(pids) - 2} workers"
            yield result("gate.crowd.agents", total, "agents", 1, f"held for {window_s} s with keepalive, none lost")
            yield result("gate.crowd.user_bytes", (idle[0] - before[0]) / total, "B/agent", 1, conditions)
            yield result("gate.crowd.user_total_mib", idle[0] / 2**20, "MiB", 1, conditions)
            yield result("gate.crowd.kernel_bytes", (kernel - slabs) / total / 2, "B/agent", 1, conditions)
            yield result("gate.crowd.machine_mib", (free - available()) / 2**20, "MiB", 1, f"{conditions}; both ends and the generators")
            yield result("gate.crowd.idle_cpu_percent_per_1000", 100 * cpu_s / window_s / (total / 1000), "% of a core", 1, conditions)
            yield result("gate.crowd.up_s", up_s, "s", 1, f"{conditions}; generators on the same {os.cpu_count()} cores")
            yield result("gate.crowd.handshake_cpu_ms", (after[1] - before[1]) / total * 1000, "ms", 1, conditions)
        finally:
            crowd.stop()


class Joins(threading.Thread):
    """New clients, one after the other, while the crowd comes back: seconds that each took, None for a failure."""

    def __init__(self, words):
        super().__init__(daemon=True)
        self.words, self.took, self.going = words, [], True

    def run(self):
        while self.going:
            start = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run([program("ping"), "1", *self.words], capture_output=True, timeout=10)
                self.took.append(time.monotonic() - start if done.returncode == 0 else None)
                continue
            self.took.append(None)


def back(home, total):
    with gate_for(home, total):
        e = home.engawa
        crowd = Crowd(e, total)
        joins = Joins(["engawa", e.org_file, e.ca])
        try:
            crowd.start()
            crowd.wait()
            for pid in system.family(e.gate.pid):
                if "worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
            start, peak = time.monotonic(), 0
            joins.start()
            while (held := crowd.ask()[0]) < total:
                peak = max(peak, usage(system.family(e.gate.pid))[0])
                if time.monotonic() - start > 1800:
                    raise system.Failed(f"{held} of {total} agents are back")
                time.sleep(0.5)
            took = time.monotonic() - start
            joins.going = False
            joins.join(15)
        finally:
            joins.going = False
            crowd.stop()
        good = sorted(t for t in joins.took if t is not None)
        conditions = f"{total} agents; load generators on the same {os.cpu_count()} cores"
        yield result(f"gate.reconnect_s.{total}", took, "s", 1, conditions)
        yield result("gate.reconnect.peak_mib", peak / 2**20, "MiB", 1, conditions)
        yield result("gate.reconnect.joins", len(good), "joins", len(joins.took), f"meanwhile, of {len(joins.took)}")
        if good:
            yield result("gate.reconnect.join_s.p50", good[len(good) // 2], "s", len(good), conditions)
            yield result("gate.reconnect.join_s.max", good[-1], "s", len(good), conditions)


def arguments(parser):
    parser.add_argument("--agents", type=int, metavar="N", help=f"instead of {WHOLE[0]}; 0 = none")
    parser.add_argument("--back", type=int, metavar="N", help=f"that come back, instead of {WHOLE[1]}; 0 = none")


def measure(options):
    agents, returning, window_s = QUICK if options.quick else WHOLE  # seconds of idle CPU: several keepalives
    agents = agents if options.agents is None else options.agents
    returning = returning if options.back is None else options.back
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < EACH + 1000:
        raise system.Failed("this needs 20,000 descriptors for each process: ulimit -Hn")
    own_network()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    directory.chmod(0o711)
    try:
        home = relays.Bench(directory)
        if agents:
            yield from waiting(home, agents, window_s)
        if returning:
            yield from back(home, returning)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
