"""A gate that is besieged or runs out of something: who is in notices nothing, who comes later comes in when it is over."""
import contextlib
import os
import pathlib
import pwd
import re
import resource
import socket
import statistics
import threading
import time

from gate_driver import exchange, keys, messages, start_gate  # noqa: F401 (fixtures)

BESIEGERS, SOURCES = 10_000, 40


def round_trips(pair, count):
    """Milliseconds of small round trips through a session: their median and the longest."""
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
    return f"{statistics.median(times):.2f} ms, at most {max(times):.1f} ms"


class Siege(threading.Thread):
    """Ten thousand connections from forty addresses: a third says nothing, a third sends a byte of a handshake now and then, a third half of one."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.streams, self.going, self.begun = port, [], True, 0
        self.start()

    def run(self):
        hello = bytes.fromhex("160301010001000000fc0303") + os.urandom(100)
        while self.going:
            if self.begun < BESIEGERS:
                stream = socket.socket()
                stream.setblocking(False)
                stream.bind((f"127.0.3.{1 + self.begun % SOURCES}", 0))
                stream.connect_ex(("127.0.0.1", self.port))
                self.streams.append(stream)
                self.begun += 1
                if self.begun % 200:
                    continue
            for number, stream in enumerate(self.streams[-2000:]):
                with contextlib.suppress(OSError):
                    if number % 3 == 1:
                        stream.send(hello[:1])
                    if number % 3 == 2:
                        stream.send(hello[:60])
            time.sleep(0.01)

    def lift(self):
        self.going = False
        self.join(30)
        for stream in self.streams:
            stream.close()


def test_attack_ten_thousand_half_open(start_gate, capsys):  # noqa: F811
    """Tried: 10,000 connections that never finish a handshake, or send it a byte at a time. What comes of it: the gate holds no more of them than it
    is told to and lets the slowest go; sessions go on at their pace, and newcomers come in as soon as the siege is over."""
    gate = start_gate(WORKERS=1, CLIENT_RATE_BYTES_S=0, HALF_OPEN_MAX=1000)
    agent = gate.agent()
    pair, memory = gate.join(agent), gate.memory_kib()
    before = round_trips(pair, 300)
    siege = Siege(gate.port)
    try:
        end = time.monotonic() + 180
        while siege.begun < BESIEGERS:
            during = round_trips(pair, 100)
            assert time.monotonic() < end
        during = round_trips(pair, 300)
        assert gate.memory_kib() - memory < 1000 * 80 + 8192  # OpenSSL's handshakes, as many as may be half open
    finally:
        siege.lift()
    gate.wait_log("limit.half_open|limit.source")
    exchange(*(side.stream for side in pair), 200_000, 200_000)
    end = time.monotonic() + 60
    while True:  # the kernel's queue still has some
        try:
            exchange(*(side.stream for side in gate.join(agent)), 10_000, 10_000)
            break
        except (OSError, EOFError):
            assert time.monotonic() < end
    with capsys.disabled():
        print(f"\n  round trips before: {before}; during: {during}")


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
