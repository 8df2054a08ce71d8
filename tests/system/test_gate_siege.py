"""A gate that is besieged or runs out of something: who is in notices nothing, who comes during a siege comes in, who finds no room comes in later."""
import contextlib
import os
import pathlib
import pwd
import re
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time

import pytest

from gate_driver import ROOT, exchange, keys, messages, start_gate  # noqa: F401 (fixtures)
from test_gate_numbers import value, wait
from test_gate_quota import in_the_end, make  # noqa: F401 (fixture)

BESIEGERS, SOURCES = 10_000, 40


def round_trips(pair, count):
    """Milliseconds of small round trips through a session."""
    client, session = pair
    times = []
    for number in range(count):
        data = number.to_bytes(8, "big")
        start = time.monotonic()
        session.stream.sendall(data)
        assert client.exactly(8) == data
        client.stream.sendall(data)
        assert session.exactly(8) == data
        times.append(1000 * (time.monotonic() - start))
    return times


def round_trips_as(before, pair, count):
    """Not far longer than before, in one of three tries: far above what other programs on the machine do to them all the time, far below what a gate
    does that looks at everybody for each."""
    for _ in range(3):
        during = round_trips(pair, count)
        if statistics.median(during) < 20 * statistics.median(before) + 50 and max(during) < 20 * max(before) + 1000:
            return during
    raise AssertionError(f"{words(during)}, where it was {words(before)}")


def joins(gate, agent, count):
    """Milliseconds that it takes somebody at another address to come in, from the first attempt to bytes that went through. Who is turned away tries
    again."""
    def come():
        try:
            return gate.join(agent, source="127.0.4.1")
        except AssertionError as error:  # the office PC hears of an attempt that was given up
            raise OSError("too late") from error

    times = []
    for _ in range(count):
        start = time.monotonic()
        pair = in_the_end(come, 120)
        exchange(*(side.stream for side in pair), 1000, 1000)
        times.append(1000 * (time.monotonic() - start))
        for side in pair:
            side.stream.close()
    return times


def words(times):
    return f"{statistics.median(times):.2f} ms, at most {max(times):.1f} ms"


class Siege:
    """Ten thousand connections from forty addresses: besieger.py."""

    def __init__(self, port):
        self.process = subprocess.Popen([sys.executable, "-B", ROOT / "tests/system/besieger.py", str(port), str(BESIEGERS), str(SOURCES)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.now = self.most = self.closed = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.now, self.most, self.closed = map(int, line.split())

    def lift(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.reader.join(10)


@pytest.mark.parametrize("places", [BESIEGERS + 2000, 2048])
def test_attack_ten_thousand_half_open(make, capsys, places):
    """Tried: 10,000 connections at once that never finish a handshake, or send it a byte at a time. What comes of it: the gate holds no more of them
    than it is told to, all or a fifth (as by default), and lets the slowest go; sessions go on at their pace, and whoever comes meanwhile comes in."""
    gate = make(WORKERS=1, HALF_OPEN_MAX=places, HANDSHAKE_S=60, HELLO_S=60, ANSWER_S=60, KEEPALIVE_S=600, SILENCE_S=1200)
    agent = gate.agent()
    pair, memory = gate.join(agent), gate.memory_kib()
    before, came_before = round_trips(pair, 300), joins(gate, agent, 5)
    siege = Siege(gate.port)
    held = min(places, BESIEGERS)
    try:
        wait(lambda: value(gate, "half_open") >= held and siege.most >= held, 120)
        during = round_trips_as(before, pair, 300)
        came_during = joins(gate, agent, 3)
        during += round_trips_as(before, pair, 300)
        wait(lambda: value(gate, "half_open") >= 0.9 * held, 60)  # it goes on
        used = gate.memory_kib() - memory
        assert used < held * 80 + 8192  # OpenSSL's handshakes, as many as may be half open
    finally:
        siege.lift()
    with capsys.disabled():
        print(f"\n  {held} half open, {siege.now} connected, at most {siege.most}; {siege.closed} closed; {used} KiB. Round trips before: {words(before)};"
            f" during: {words(during)}. To come in before: {words(came_before)}; during: {words(came_during)}")
    assert statistics.median(came_during) < 60_000
    if places < BESIEGERS:
        assert siege.closed > 0 and "limit.half_open" in gate.log()
    exchange(*(side.stream for side in pair), 200_000, 200_000)
    joins(gate, agent, 1)


def test_attack_no_descriptors_left(start_gate):  # noqa: F811
    """Tried: so many connections that the worker has no descriptor for another. What comes of it: they wait outside, sessions go on, and when some
    leave the others come in."""
    gate = start_gate(WORKERS=1, CLIENT_RATE_BYTES_S=0, USER=pwd.getpwuid(os.geteuid()).pw_name)  # ours: its limits are set from here
    agent = gate.agent()
    pair, held = gate.join(agent), [gate.client() for _ in range(5)]
    worker = gate.child("worker")
    used = max(int(name) for name in os.listdir(f"/proc/{worker}/fd")) + 1
    limit = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (used, limit[1]))
    outside = [gate.tcp() for _ in range(20)]
    gate.wait_log("limit.connections")
    exchange(*(side.stream for side in pair), 500_000, 100_000)
    for stream in outside:
        stream.close()
    for client in held[:3]:
        client.stream.close()
    end = time.monotonic() + 30
    while True:
        try:
            client = gate.client()
            break
        except (OSError, EOFError):
            assert time.monotonic() < end
    exchange(*(side.stream for side in pair), 100_000, 100_000)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, limit)
    exchange(*(side.stream for side in gate.join(agent, client=client)), 10_000, 10_000)


def test_attack_no_memory_left(start_gate):  # noqa: F811
    """Tried: connections until the worker gets no more memory. What comes of it: the new ones are turned away one by one; the process lives, and the
    sessions that were there go on."""
    gate = start_gate(WORKERS=1, CLIENT_RATE_BYTES_S=0, USER=pwd.getpwuid(os.geteuid()).pw_name)  # ours: its limits are set from here
    agent = gate.agent()
    pair = gate.join(agent)
    exchange(*(side.stream for side in pair), 500_000, 100_000)
    worker = gate.child("worker")
    data = int(re.search(r"VmData:\s+(\d+)", pathlib.Path(f"/proc/{worker}/status").read_text())[1]) * 1024
    resource.prlimit(worker, resource.RLIMIT_DATA, (data + (6 << 20), resource.RLIM_INFINITY))
    streams, refused = [], 0
    try:
        for _ in range(300):
            stream = gate.tcp()
            streams.append(stream)
            stream.sendall(bytes.fromhex("160301010001000000fc0303"))
        exchange(*(side.stream for side in pair), 500_000, 100_000)
        end = time.monotonic() + 20
        while refused == 0:  # the last of them may still wait to be looked at
            assert time.monotonic() < end, "there was enough"
            for stream in streams:
                stream.settimeout(0)
                try:
                    refused += stream.recv(1) == b""
                except BlockingIOError:
                    pass
                except ConnectionResetError:
                    refused += 1
    finally:
        resource.prlimit(worker, resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for stream in streams:
            stream.close()
    assert gate.child("worker") == worker and gate.wait_log("limit.memory")
    end = time.monotonic() + 30
    while True:
        try:
            exchange(*(side.stream for side in gate.join(agent)), 10_000, 10_000)
            break
        except (OSError, EOFError):
            assert time.monotonic() < end
    exchange(*(side.stream for side in pair), 100_000, 100_000)
