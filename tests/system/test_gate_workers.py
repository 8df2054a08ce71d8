"""Several workers behind one port: connections find each other, and one worker's death is its own."""
import ctypes
import os
import re
import signal
import socket
import struct
import threading
import time

import pytest

from gate_driver import CODE, ROOT, exchange, holder, keys, messages  # noqa: F401 (fixtures)
from gate_driver import start_gate as start_any  # noqa: F401
# the same with three workers
from test_gate import (test_agent_does_not_answer, test_agent_process_dies_session_goes_on, test_agent_refuses,  # noqa: F401
    test_ask_and_join, test_bad_ticket, test_client_rate, test_controller_killed_and_back, test_deny_and_allow, test_drain,
    test_drain_has_an_end, test_end_session, test_half_close_goes_through, test_keeper_restart, test_many_sessions_of_one_agent,
    test_newer_connection_replaces_older, test_only_the_agent_of_the_ticket_may_answer, test_session_is_byte_exact,
    test_side_vanishes, test_ticket_of_unknown_agent, test_ticket_twice_while_in_use)
from test_gate_protocol import (test_bytes_one_by_one, test_connections_in_all, test_limits_of_a_source,  # noqa: F401
    test_nothing_behind_answer, test_nothing_between_join_and_joined)
from test_gate_web import (test_close_handshake, test_fragments_and_control_frames_between, test_frames_cut_anywhere,  # noqa: F401
    test_frames_right_behind_the_head, test_session_through_a_websocket, test_sizes_of_messages)

PIDFD_GETFD, WORKER_CHANNEL = 438, 3
TELL = re.findall(r"^\tTELL_(\w+),", re.search(r"enum tell \{(.*?)\n\};", (ROOT / "src/gate/tell.h").read_text(), re.S)[1], re.M)
SESSION = 1  # enum tell_kind


@pytest.fixture
def start_gate(start_any):  # noqa: F811
    return lambda *args, **settings: start_any(*args, **({"WORKERS": 3} | settings))


@pytest.fixture
def gate(start_gate):
    return start_gate(CLIENT_RATE_BYTES_S=0)


def alive(stream):
    """Nothing has come, not even the end."""
    stream.settimeout(0.3)
    try:
        assert stream.recv(1) == b""
        return False
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        stream.settimeout(20)


def test_every_pair_of_workers(gate):
    """Thirty sessions of six agents: the kernel spreads connections, so every pair of workers has its joins."""
    agents = [gate.agent() for _ in range(6)]
    pairs = [gate.join(agents[i % 6]) for i in range(30)]
    for number, (client, session) in enumerate(pairs):
        client.stream.sendall(b"to agent %d" % number)
        session.stream.sendall(b"to client %d" % number)
    for number, (client, session) in enumerate(pairs):
        assert session.stream.recv(100) == b"to agent %d" % number
        assert client.stream.recv(100) == b"to client %d" % number
    assert len(gate.children("worker")) == 3
    exchange(pairs[7][0].stream, pairs[7][1].stream, 5_000_000, 5_000_000)


def test_bytes_behind_the_handover(gate):
    """What is sent while a connection crosses comes out whole: by a client of the agent's side at once after Joined, in pieces."""
    agent = gate.agent()
    for _ in range(10):
        client = gate.client()
        session_id, ticket = gate.controller.ticket(agent.id)
        client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
        agent.expect(gate.outer.OUTER_KNOCK)
        session = gate.answer(agent, session_id)
        client.expect(gate.outer.OUTER_JOINED)
        client.stream.sendall(b"x" * 30000)
        session.expect(gate.outer.OUTER_JOINED)
        assert session.exactly(30000) == b"x" * 30000


def test_killed_worker_costs_only_its_own(gate):
    agents = [gate.agent() for _ in range(12)]
    pairs = [gate.join(agent) for agent in agents]
    # bytes are moving in all of them while it happens
    stop, broken, sent = threading.Event(), set(), [0] * 12

    def talk(number):
        client, session = pairs[number]
        try:
            while not stop.is_set():
                data = os.urandom(5000)
                session.stream.sendall(data)
                assert client.exactly(5000) == data, "bytes lost, doubled or out of order"
                sent[number] += 1
        except (OSError, EOFError):
            broken.add(number)
    threads = [threading.Thread(target=talk, args=(number,), daemon=True) for number in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    victim = worker_of(gate, pairs[0][0].stream)
    os.kill(victim, signal.SIGKILL)
    gate.wait_log("worker.up", 4)
    before, end = list(sent), time.monotonic() + 20
    while any(sent[number] <= before[number] for number in set(range(12)) - broken) and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    # the kernel spread the agents; that one worker had all of twelve is one in a hundred thousand
    assert 0 < len(broken) < 12
    for number in set(range(12)) - broken:
        assert sent[number] > before[number]
        exchange(pairs[number][0].stream, pairs[number][1].stream, 100_000, 100_000)
        gate.join(agents[number])
    gate.wait_log("link.up", 4)
    for number in broken:
        gate.join(gate.agent(agents[number].id, agents[number].cert))
    assert gate.log().count("worker.died") == 1


def test_kill_while_connections_cross(gate):
    """Joins under way while workers die one after the other: each ends well or with the connection's end, and no descriptor stays."""
    end = time.monotonic() + 6
    failed, done = [], []

    def join_on():
        while time.monotonic() < end or len(done) <= 20 and time.monotonic() < end + 60:
            try:
                agent = gate.agent()
                for _ in range(5):
                    client, session = gate.join(agent)
                    session.stream.sendall(b"y" * 2000)
                    assert client.exactly(2000) == b"y" * 2000
                    done.append(1)
            except (OSError, EOFError):
                failed.append(1)
            except AssertionError as e:
                if "frame" not in str(e):
                    raise
                failed.append(1)  # Bye: its other half died
    threads = [threading.Thread(target=join_on, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(1.5)
        os.kill(gate.children("worker")[0], signal.SIGKILL)
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert len(done) > 20
    gate.wait_log("worker.up", 6)
    gate.wait_log("link.up", 6)
    gate.join(gate.agent())
    # nothing of it is left: listeners, channels, link, and the two connections of the last join at the most
    until = time.monotonic() + 20
    while any(len(os.listdir(f"/proc/{pid}/fd")) >= 20 for pid in gate.children("worker")):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert len(os.listdir(f"/proc/{gate.process.pid}/fd")) < 30


def test_attack_channel_outlives_its_worker(gate):
    """A hostile worker gives its end of the parent's channel to a process that lives on, and dies. The parent waits for no word
    from there: the next worker comes, and the gate serves."""
    victim, ups = gate.children("worker")[0], gate.log().count("worker.up")
    process, libc = os.pidfd_open(victim), ctypes.CDLL(None, use_errno=True)
    kept = libc.syscall(PIDFD_GETFD, process, WORKER_CHANNEL, 0)
    assert kept >= 0, os.strerror(ctypes.get_errno())
    try:
        os.kill(victim, signal.SIGKILL)
        gate.wait_log("worker.up", ups + 1)
        assert gate.log().count("worker.died") >= 1
    finally:
        os.close(kept)
        os.close(process)


class Mad:
    """A worker that was taken over, as far as the parent can tell: what is said here comes over its channel."""

    def __init__(self, pid):
        libc, process = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
        fd = libc.syscall(PIDFD_GETFD, process, WORKER_CHANNEL, 0)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        os.close(process)
        self.channel = socket.socket(fileno=fd)

    def say(self, name, *fields):
        self.channel.send(struct.pack("=H", TELL.index(name)) + b"".join(f if isinstance(f, bytes) else struct.pack("=I", f) for f in fields))

    def close(self):
        self.channel.detach()  # without shutdown: it is the worker's too


def worker_of(gate, stream):
    """Which worker has the other end of this connection."""
    return holder(gate.children("worker"), gate.port, stream.getsockname()[1])


def test_attack_worker_ends_sessions_of_another(gate):
    """A worker that was taken over names a session of another one: as refused by its office PC, as given back, as its own, and as ended. The
    client that waits gets its session all the same, and goes on with it."""
    agent, client = gate.agent(), gate.client()
    session_id, ticket = gate.controller.ticket(agent.id)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    mad = Mad(next(pid for pid in gate.children("worker") if pid != worker_of(gate, agent.stream)))

    def try_all():
        mad.say("REFUSE", session_id, agent.id, CODE["DENIED"])
        mad.say("END", session_id, CODE["ENDED_BY_ADMIN"])
        for serial in range(20):
            mad.say("DROP", session_id, bytes(16), serial, SESSION)
        mad.say("PUT", session_id, bytes(16), 1, SESSION)
        mad.say("REFUSE", session_id, agent.id, CODE["DENIED"])
    try_all()
    gate.wait_log("worker.tell")  # it has been read as far as END
    session = gate.answer(agent, session_id)
    for side in client, session:
        assert side.expect(gate.outer.OUTER_JOINED, gate.outer.Joined).session_id == session_id
    try_all()
    exchange(client.stream, session.stream, 100_000, 100_000)
    mad.close()


def test_attack_worker_answers_for_another(start_gate):
    """A worker that was taken over confirms or refuses every hand-over between two others, before they do. Each connection arrives all the same."""
    gate = start_gate(KEEPALIVE_S=600, SILENCE_S=1200)
    victim, stop, outer = gate.children("worker")[0], threading.Event(), gate.outer

    def elsewhere(make):
        """What becomes of its own connections is its own affair."""
        while True:
            frames = make()
            if worker_of(gate, frames.stream) != victim:
                return frames
    agents = [elsewhere(gate.agent) for _ in range(4)]
    mad = Mad(victim)

    def answer():
        while not stop.is_set():
            try:
                for number in range(1, 20):
                    for worker in range(1, 4):
                        for name in "ACK", "BACK", "COMMIT":
                            mad.say(name, number, worker)
            except BlockingIOError:
                pass
            stop.wait(0.001)
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        for agent in 3 * agents:
            client = elsewhere(gate.client)
            session_id, ticket = gate.controller.ticket(agent.id)
            client.send(outer.OUTER_JOIN, outer.Join(ticket=ticket))
            agent.expect(outer.OUTER_KNOCK)
            session = elsewhere(lambda cert=agent.cert: gate.hello(gate.native(cert), outer.ROLE_AGENT_SESSION))
            session.send(outer.OUTER_ANSWER, outer.Answer(session_id=session_id))
            for side in client, session:
                assert side.expect(outer.OUTER_JOINED, outer.Joined).session_id == session_id
            session.stream.sendall(b"here")
            assert client.exactly(4) == b"here"
    finally:
        stop.set()
        thread.join(10)
        mad.close()


def test_agent_moves_between_workers(gate):
    """Again and again the same agent: always one connection, the newest, wherever it is."""
    agent = gate.agent()
    for _ in range(12):
        older, agent = agent, gate.agent(agent.id, agent.cert)
        kind, payload = older.recv()
        assert kind == gate.outer.OUTER_BYE and gate.outer.Bye.FromString(payload).code == CODE["TAKEN_OVER"]
        client, session = gate.join(agent)
        session.stream.sendall(b"here")
        assert client.exactly(4) == b"here"


def test_ticket_twice_at_different_workers(gate):
    agent = gate.agent()
    session_id, ticket = gate.controller.ticket(agent.id)
    first = gate.client()
    first.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    for _ in range(6):
        other = gate.client()
        other.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
        gate.refused(other, "TICKET_BAD")
    session = gate.answer(agent, session_id)
    first.expect(gate.outer.OUTER_JOINED)
    session.expect(gate.outer.OUTER_JOINED)


def test_counts_of_a_dead_worker_are_given_back(start_gate):
    gate = start_gate(SOURCE_MAX=12, FRAME_S=300)
    held = [gate.client() for _ in range(12)]
    with pytest.raises(OSError):
        gate.client()
    gate.wait_log("limit.source")
    os.kill(worker_of(gate, held[0].stream), signal.SIGKILL)
    gate.wait_log("worker.up", 4)
    lost = sum(not alive(client.stream) for client in held)
    assert lost > 0
    again = [gate.client() for _ in range(lost)]
    with pytest.raises(OSError):
        gate.client()
    assert len(again) == lost
