"""The spine's figures: what a session costs on the wire and on the processors, how long a key takes, what a gate moves and holds."""
import contextlib
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import system
from bench import result

DESCRIPTION = """One machine, everything on the loopback: home PC, gate, controller and office PC (Xvfb 1920x1080, openbox, a GTK editor with Japanese
text, watermark on). Bytes are those of the client's TCP connection, both directions, TLS included; CPU is user and system time of all processes of a
program (*office*: agent and desktop). *typing*: five keys a second; *scrolling*: two pages a second through Japanese text; *idle*: a blinking text cursor. *key_to_pixel*: from a
key press at the client to the changed picture at the client."""
SIZE = "1920x1080"
EDITOR = "900,400"
TICK = os.sysconf("SC_CLK_TCK")
LINE = "庁内のネットワークと自宅のあいだを、画面と操作だけが行き来します。第{}条 業務の記録と文書の管理について {:05}\n"


@contextlib.contextmanager
def relay():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-bench-"))
    directory.chmod(0o711)
    engawa = system.Engawa(directory, size=SIZE)
    engawa.memo.write_text("".join(LINE.format(i // 7 + 1, i * 37 % 99991) for i in range(4000)))
    try:
        engawa.start()
        engawa.xdotool("search", "--onlyvisible", "--class", "mousepad", "windowsize", "--sync", 1700, 950)
        yield engawa
    finally:
        engawa.stop()
        shutil.rmtree(directory)


def cpu_s(part):
    """Of a program and its processes, now."""
    total = 0
    for pid in system.family(part.pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / TICK
    return total


def wire(pid):
    """Bytes sent and received so far by the TCP connection of a process."""
    lines = subprocess.run(["ss", "-tinpHO"], capture_output=True, text=True).stdout.splitlines()
    line = next(line for line in lines if f"pid={pid}," in line)
    return [int(found[1]) if (found := re.search(rf"bytes_{way}:(\d+)", line)) else 0 for way in ("sent", "received")]


class Home:
    def __init__(self, process):
        self.pid = process.pid


def minute(engawa, name, actions, seconds):
    """A session in which the actions go on; what an equal stretch of it cost."""
    argv = engawa.connect_argv("--click", EDITOR, "--key", "Control+Home", "--wait", "3s", *actions, "--wait", "20s")
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "a session is left", 30)
    client = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    programs = {"client": Home(client), "gate": engawa.gate, "office": engawa.agent}
    try:
        system.wait_for(lambda: engawa.agent_status()["working"], "no session", 30)
        time.sleep(4)
        begin, bytes_before, cpu_before = time.monotonic(), wire(client.pid), {name: cpu_s(part) for name, part in programs.items()}
        time.sleep(seconds)
        took, bytes_after, cpu_after = time.monotonic() - begin, wire(client.pid), {name: cpu_s(part) for name, part in programs.items()}
    finally:
        client.terminate()
        client.wait(30)
    conditions = f"{seconds} s of a session"
    yield result(f"spine.{name}.to_client", (bytes_after[1] - bytes_before[1]) / took, "B/s", 1, conditions)
    yield result(f"spine.{name}.to_office", (bytes_after[0] - bytes_before[0]) / took, "B/s", 1, conditions)
    for program in programs:
        yield result(f"spine.{name}.cpu.{program}", 100 * (cpu_after[program] - cpu_before[program]) / took, "% of one core", 1, conditions)


def minutes(engawa, seconds):
    words = "the quick brown officer writes a short memo about roads and taxes for the mayor".split()
    typing = []
    for i in range(seconds + 6):  # a word of n keys and a pause: five keys a second
        word = words[i % len(words)]
        typing += ["--type", word + ("\n" if i % 12 == 11 else " "), "--wait", f"{150 * (len(word) + 1)}ms"]
    scrolling = ["--key", "PageDown", "--wait", "450ms"] * (2 * seconds + 6)
    yield from minute(engawa, "idle", ["--wait", f"{seconds}s"], seconds)
    yield from minute(engawa, "typing", typing[:480], seconds)
    yield from minute(engawa, "scrolling", scrolling[:480], seconds)


def percentiles(metric, times, conditions, peer="engawa"):
    times = sorted(times)
    yield result(f"{metric}.p50", statistics.median(times), "ms", len(times), conditions, peer)
    yield result(f"{metric}.p99", times[-(len(times) // 100) - 1], "ms", len(times), conditions, peer)


def latency(engawa, presses):
    conditions = "plain editor, loopback; waiting for the 20 ms grid of input is in it"
    found = engawa.connect("--click", EDITOR, "--key", "Control+End", "--latency", presses, timeout_s=60 + presses)["latency_ms"]
    yield result("spine.key_to_pixel.p50", found["median"], "ms", found["n"], conditions)
    yield result("spine.key_to_pixel.p99", found["p99"], "ms", found["n"], conditions)
    run = subprocess.run([system.BUILD / "tests/load/local_latency", str(presses)], env=engawa.desktop_env, capture_output=True, text=True, check=True)
    yield from percentiles("spine.key_to_pixel", [float(line) for line in run.stdout.split()], "the same editor, on the office PC itself (XTEST, DAMAGE)", "floor")


def throughput(engawa, megabytes, n):
    """The controller is down: nobody but the gate needs to know this agent."""
    rates, costs = [], []
    for _ in range(n):
        pipe = subprocess.Popen([system.BUILD / "tests/load/pipe", engawa.org_file, engawa.ca, str(megabytes)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        assert pipe.stdout.readline() == "joined\n"
        before = cpu_s(engawa.gate)
        seconds = float(pipe.communicate("\n")[0])
        costs.append((cpu_s(engawa.gate) - before) / (megabytes / 1000))
        rates.append(megabytes * 8 / seconds)
    conditions = f"one session, {megabytes} MB, office PC to client; both ends are one process on the same machine"
    yield result("spine.session_throughput", statistics.median(rates), "Mbit/s", n, conditions)
    yield result("spine.gate_cpu", statistics.median(costs), "s/GB", n, conditions)
    speed = [float(re.search(r"AES-256-GCM\s+([\d.]+)k", subprocess.run(["openssl", "speed", "-evp", "aes-256-gcm", "-bytes", "16384", "-seconds", "1",
        *way], capture_output=True, text=True, check=True).stdout)[1]) / 1e6 for way in ([], ["-decrypt"])]  # GB/s
    yield result("spine.gate_cpu", sum(1 / s for s in speed), "s/GB", 1, "AES-256-GCM alone, opening and sealing records of 16 KiB (openssl speed)", "floor")


def idle_agents(engawa, totals):
    load = subprocess.Popen([system.BUILD / "tests/load/idle_agents", engawa.org_file, engawa.ca], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, bufsize=1)
    points = []
    for total in totals:
        load.stdin.write(f"{total}\n")
        assert load.stdout.readline() == f"up {total}\n"
        time.sleep(1)
        held = sum(int(re.search(r"^Pss:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
            for pid in system.family(engawa.gate.pid))
        points.append((total, held * 1024))
    load.stdin.close()
    load.wait(30)
    slope = statistics.linear_regression(*zip(*points)).slope
    yield result("spine.idle_agent_memory", slope, "B", len(points), f"slope from {totals[0]} to {totals[-1]} agents, all processes of the gate "
        "(Pss); the kernel's share of a connection is not in it")


def measure(arguments):
    quick = arguments.quick
    with relay() as engawa:
        yield from minutes(engawa, 10 if quick else 60)
        yield from latency(engawa, 60 if quick else 300)
        engawa.agent.stop()
        engawa.controller.stop()
        yield from throughput(engawa, 500 if quick else 2000, 3)
        yield from idle_agents(engawa, range(50, 301, 50) if quick else range(100, 1001, 100))
