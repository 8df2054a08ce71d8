"""A new version of the program takes over the gate while it works: nobody is dropped, no byte is lost or comes twice."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from gate_driver import BUILD, CODE, exchange, ignore, keys, messages, start_gate  # noqa: F401 (fixtures)

GATE, MORTAL = BUILD / "src/gate/engawa-gate", BUILD / "tests/system/mortal-gate"
# What is half done here waits for several upgrades of a busy machine, and office PCs that answer no ping.
PATIENT = {"CLIENT_RATE_BYTES_S": 0, "HANDSHAKE_S": 60, "HELLO_S": 60, "FRAME_S": 300, "ANSWER_S": 60, "CONTROLLER_S": 60, "KEEPALIVE_S": 600,
    "SILENCE_S": 1200}


class Talk(threading.Thread):
    """Bytes through a session without a pause, both ways in turn; ends with stop(), or fails."""

    def __init__(self, pair, size=3000):
        super().__init__(daemon=True)
        self.pair, self.size, self.rounds, self.longest, self.failure = pair, size, 0, 0, None
        self.going = True
        self.start()

    def run(self):
        client, session = self.pair
        try:
            while self.going:
                data = os.urandom(self.size)
                start = time.monotonic()
                session.stream.sendall(data)
                assert client.exactly(self.size) == data, "bytes lost, doubled or out of order"
                client.stream.sendall(data[:100])
                assert session.exactly(100) == data[:100], "bytes lost, doubled or out of order"
                self.longest = max(self.longest, time.monotonic() - start)
                self.rounds += 1
        except (OSError, EOFError, AssertionError) as e:
            self.failure = e

    def stop(self):
        self.going = False
        self.join(30)
        assert not self.is_alive() and self.failure is None, self.failure
        return self.rounds


class Program:
    """Where an operator installs the program: what lies there is exchanged while the gate runs."""

    def __init__(self, directory):
        self.path = directory / "engawa-gate"
        self.directory = directory
        directory.chmod(0o755)
        self.install(GATE)

    def install(self, binary, dies=None):
        shutil.copy(binary, self.directory / "next")
        os.replace(self.directory / "next", self.path)
        fate = self.directory / "engawa-gate.dies"
        fate.unlink(missing_ok=True)
        if dies:
            fate.write_text(dies)


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


@pytest.fixture
def gate(start_gate):  # noqa: F811
    return start_gate(**PATIENT)


def given_up(gate, count=1):
    return gate.wait_log("step=.given up", count, timeout=90)


@pytest.mark.parametrize("workers", [1, 3])
def test_everything_crosses(start_gate, program, workers):  # noqa: F811
    """Again and again, forwards and back: sessions with bytes in them, agents, and whoever has only said who they are."""
    gate = start_gate(program=program.path, WORKERS=workers, **PATIENT)
    agents = [gate.agent() for _ in range(12)]
    talks = [Talk(gate.join(agent)) for agent in agents[:6]]
    early = gate.client()
    web = gate.websocket()
    gate.hello(web.frames, gate.outer.ROLE_CLIENT)
    for binary in MORTAL, GATE:
        program.install(binary)
        gate.renew()
        rounds = [talk.rounds for talk in talks]
        exchange(*(side.stream for side in gate.join(agents[6])), 100_000, 50_000)
        end = time.monotonic() + 20
        while any(talk.rounds <= old for talk, old in zip(talks, rounds)) and time.monotonic() < end:
            time.sleep(0.02)
    for talk in talks:
        assert talk.stop() > 3
    client, session = gate.join(agents[7], client=early)
    exchange(client.stream, session.stream, 200_000, 100_000)
    session_id, ticket = gate.controller.ticket(agents[8].id)
    web.frames.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agents[8].expect(gate.outer.OUTER_KNOCK)
    session = gate.answer(agents[8], session_id)
    for side in web.frames, session:
        side.expect(gate.outer.OUTER_JOINED)
    exchange(web, session.stream, 300_000, 100_000)
    assert "agent.down" not in gate.log() and "given up" not in gate.log()


@pytest.mark.parametrize("before, after", [(3, 5), (4, 2)])
def test_other_number_of_workers(start_gate, before, after):  # noqa: F811
    """Settings are read anew: more workers, or fewer that have room for all."""
    gate = start_gate(WORKERS=before, CLIENT_RATE_BYTES_S=0)
    agents = [gate.agent() for _ in range(8)]
    talks = [Talk(gate.join(agent)) for agent in agents]
    conf = gate.run / "gate.conf"
    conf.write_text(conf.read_text().replace(f"WORKERS {before}", f"WORKERS {after}"))
    gate.renew()
    assert len(gate.children("worker")) == after
    for agent in agents:
        gate.join(agent)
    for talk in talks:
        assert talk.stop() > 0
    assert "agent.down" not in gate.log()


def test_every_state_crosses(gate):
    """Half-done things: a knock that nobody has answered, half a frame, half a WebSocket message, an end of one direction, a full
    queue, a page under way, a ticket asked for, a handshake not begun."""
    agent = gate.agent()
    knocking = gate.client()
    session_id, ticket = gate.controller.ticket(agent.id)
    knocking.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)

    half = gate.client()
    _, other_ticket = other = gate.controller.ticket(agent.id)
    join = gate.outer.Join(ticket=other_ticket).SerializeToString()
    frame = bytes([gate.outer.OUTER_JOIN]) + len(join).to_bytes(3, "big") + join
    half.stream.sendall(frame[:50])

    web = gate.websocket()
    gate.hello(web.frames, gate.outer.ROLE_CLIENT)
    web_id, web_ticket = gate.controller.ticket(agent.id)
    web.frames.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=web_ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    web_session = gate.answer(agent, web_id)
    web.frames.expect(gate.outer.OUTER_JOINED), web_session.expect(gate.outer.OUTER_JOINED)
    message = web.frame(bytes(range(256)) * 8)
    web.stream.sendall(message[:1001])

    closing = gate.join(agent)
    closing[0].stream.sendall(b"last words")
    threading.Thread(target=lambda: ignore(closing[0].stream.unwrap), daemon=True).start()  # close_notify, one way
    assert closing[1].exactly(10) == b"last words"
    with pytest.raises(EOFError):
        closing[1].exactly(1)

    full = gate.join(agent, rcvbuf=8192)
    full[1].stream.settimeout(0.3)
    data, sent = os.urandom(1 << 16), 0
    with pytest.raises(TimeoutError):
        while sent < 64_000_000:
            sent += full[1].stream.send(data[sent % len(data):])

    page = gate.web()
    page.sendall(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n")
    with gate.controller.changed:
        assert gate.controller.changed.wait_for(lambda: gate.controller.requests, 30)
    head = gate.web()
    head.sendall(b"GET /index")

    asking = gate.client()
    asked = threading.Event()
    gate.controller.answers["LINK_ASK"] = lambda frames, message: (setattr(gate, "asked", (frames, message)), asked.set())
    asking.send(gate.outer.OUTER_ASK, gate.outer.Ask(terminal_id="A" * 16, device_hash=bytes(32)))
    assert asked.wait(30)
    tcp = gate.tcp()
    time.sleep(0.3)  # it is accepted: the handshake is the old program's

    gate.renew()

    session = gate.answer(agent, session_id)
    assert knocking.expect(gate.outer.OUTER_JOINED, gate.outer.Joined).session_id == session_id
    session.expect(gate.outer.OUTER_JOINED)
    exchange(knocking.stream, session.stream, 50_000, 50_000)

    half.stream.sendall(frame[50:])
    agent.expect(gate.outer.OUTER_KNOCK)
    session = gate.answer(agent, other[0])
    half.expect(gate.outer.OUTER_JOINED), session.expect(gate.outer.OUTER_JOINED)

    web.stream.sendall(message[1001:])
    assert web_session.exactly(2048) == bytes(range(256)) * 8
    web_session.stream.sendall(b"to the browser")
    assert web.recv() == b"to the browser"

    closing[1].stream.sendall(b"still heard")  # no error: the direction that is open stays open

    full[0].stream.settimeout(20)
    got = 0
    while got < sent - len(data):
        piece = full[0].stream.recv(65536)
        assert piece == (data * 3)[got % len(data):got % len(data) + len(piece)]
        got += len(piece)

    page.sendall(b"x" * 4000)
    assert b"hello" in page.recv(1000)
    end = time.monotonic() + 30
    while not gate.controller.requests[0][0].endswith(b"x" * 4000):
        assert time.monotonic() < end
        time.sleep(0.02)
    head.sendall(b".html HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"hello" in head.recv(1000)

    frames, message = gate.asked
    link = gate.link
    frames.send(link.LINK_GRANT, link.LinkGrant(request=message.request, grant=gate.outer.Grant(code=CODE["DENIED"])))
    assert asking.expect(gate.outer.OUTER_GRANT, gate.outer.Grant).code == CODE["DENIED"]
    # and the same connection joins at the new program, where its agent is
    exchange(*(side.stream for side in gate.join(agent, client=asking)), 10_000, 10_000)

    late = gate.hello(type(half)(gate.tls(stream=tcp)), gate.outer.ROLE_CLIENT)
    exchange(*(side.stream for side in gate.join(agent, client=late)), 10_000, 10_000)
    gate.wait_log("worker.left .*cut=0", timeout=60)
    assert "agent.down" not in gate.log()


def test_debt_crosses(start_gate):  # noqa: F811
    """A client that has used up its rate does not get a new allowance by an upgrade."""
    gate = start_gate(CLIENT_RATE_BYTES_S=1000, CLIENT_BURST_BYTES=50_000)
    client, session = gate.join(gate.agent())
    start = time.monotonic()
    client.stream.sendall(b"x" * 65_000)
    session.exactly(65_000)
    gate.renew()
    client.stream.sendall(b"y")
    session.exactly(1)
    assert time.monotonic() - start > 10  # 15,000 over, at 1,000 a second


def test_new_programs_that_can_not(start_gate, program):  # noqa: F811
    """A program that ends at once, one that speaks another version, and settings that are wrong: nobody notices."""
    gate = start_gate(program=program.path, **PATIENT)
    agent = gate.agent()
    talk = Talk(gate.join(agent))
    program.install("/bin/false")
    os.kill(gate.pid, signal.SIGUSR2)
    given_up(gate, 1)
    program.install(MORTAL, "version 0")
    os.kill(gate.pid, signal.SIGUSR2)
    given_up(gate, 2)
    assert "code=VERSION" in gate.log()
    program.install(GATE)
    conf = (gate.run / "gate.conf").read_text()
    (gate.run / "gate.conf").write_text(conf.replace("CERTIFICATE ", "CERTIFICATE /nonexistent"))
    os.kill(gate.pid, signal.SIGUSR2)
    given_up(gate, 3)
    (gate.run / "gate.conf").write_text(conf)
    gate.join(agent)
    gate.renew()
    gate.join(agent)
    assert talk.stop() > 3


def test_no_room_in_the_new_program(start_gate):  # noqa: F811
    """The new settings allow fewer descriptors than there are connections: all of it is taken back."""
    gate = start_gate(WORKERS=2, CLIENT_RATE_BYTES_S=0)
    agents = [gate.agent() for _ in range(30)]
    talk = Talk(gate.join(agents[0]))
    import resource
    resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (48, 48))
    conf = gate.run / "gate.conf"
    conf.write_text(conf.read_text().replace("WORKERS 2", "WORKERS 1"))
    os.kill(gate.pid, signal.SIGUSR2)
    given_up(gate)
    for agent in agents:
        gate.join(agent)
    assert talk.stop() > 3
    assert "agent.down" not in gate.log()


@pytest.mark.parametrize("role", ["worker", "parent"])
def test_new_program_is_killed_at_every_step(start_gate, program, role):  # noqa: F811
    """At every message that it gets or sends: until it is the gate, nothing is lost and nothing has two owners."""
    gate = start_gate(program=program.path, **PATIENT)
    agents = [gate.agent() for _ in range(3)]
    talks = [Talk(gate.join(agent), 500) for agent in agents[:2]]
    early, later = gate.client(), []  # those that join on the way stay, too
    points = 0
    while True:
        program.install(MORTAL, f"{role} {points + 1}")
        os.kill(gate.pid, signal.SIGUSR2)
        end = time.monotonic() + 60
        while gate.log().count("given up") == points and "handed over" not in gate.log():
            assert time.monotonic() < end, gate.log()[-3000:]
            time.sleep(0.01)
        if "handed over" in gate.log():
            break
        points += 1
        rounds = [talk.rounds for talk in talks]
        if points % 4 == 0:
            later.append(gate.join(agents[points // 4 % 3]))
        end = time.monotonic() + 20
        while any(talk.rounds <= old for talk, old in zip(talks, rounds)):
            assert time.monotonic() < end and not any(talk.failure for talk in talks), [talk.failure for talk in talks]
            time.sleep(0.01)
    # begin, sockets, channel, commit; or channel and every connection, there and back
    assert points >= {"parent": 10, "worker": 12}[role]
    assert "agent.down" not in gate.log() and "session.down" not in gate.log().split("given up")[-1].split("handed over")[0]
    assert early.stream.pending() == 0


@pytest.mark.parametrize("role", ["worker", "parent"])
@pytest.mark.parametrize("point", [2, 3, 5, 8, 12, 16])
def test_old_program_is_killed(start_gate, program, role, point):  # noqa: F811
    """What had crossed goes on in the new one, the rest is lost with its process; there is a gate in any case, or none is left."""
    program.install(MORTAL, f"{role} {point}")
    gate = start_gate(program=program.path, **PATIENT)
    agents = [gate.agent() for _ in range(3)]
    talks = [Talk(gate.join(agent), 500) for agent in agents[:2]]
    program.install(GATE)
    os.kill(gate.pid, signal.SIGUSR2)
    started = lambda: [pid for pid in re.findall(r"step=started pid=(\d+)", gate.log()) if pathlib.Path(f"/proc/{pid}/fd").exists()]
    end = time.monotonic() + 60
    while not re.search("by=upgrade|given up|gate.takeover code=|worker.up .*\n(.*\n)*.*worker.up", gate.log()) and (gate.lives() or started()):
        assert time.monotonic() < end, gate.log()[-4000:]
        time.sleep(0.02)
    time.sleep(0.5)
    for talk in talks:
        talk.going = False
        talk.join(30)
        assert not isinstance(talk.failure, AssertionError), talk.failure
    alive = started()
    if role == "parent" and "by=upgrade" not in gate.log():
        return  # killed before the new one had anything: it ends too, and a service manager starts the gate
    if "by=upgrade" in gate.log():
        gate.pid = int(alive[0])
    end = time.monotonic() + 60
    while True:  # as agents do: what came to a worker in its last moment comes back
        try:
            gate.join(gate.agent())
            return
        except Exception:
            assert time.monotonic() < end, gate.log()[-5000:]
            time.sleep(0.2)


def test_command(start_gate, program):  # noqa: F811
    """engawa gate upgrade says how far it is, and what became of it."""
    gate = start_gate(program=program.path, CLIENT_RATE_BYTES_S=0)
    agent = gate.agent()

    def run(*argv, language="C.UTF-8"):
        return subprocess.run([BUILD / "src/cli/engawa", "gate", "upgrade", "--run-directory", gate.run, *argv], capture_output=True, text=True,
            timeout=120, env=os.environ | {"LC_ALL": language})
    assert run().returncode == 2
    assert run("--name", "west").returncode == 1
    done = run("--name", "east")
    assert done.returncode == 0, done.stderr + gate.log()
    before, gate.pid = gate.pid, int(re.search(r"pid (\d+)\n$", done.stdout)[1])
    assert gate.pid != before and "Everything has crossed." in done.stdout
    gate.join(agent)
    program.install("/bin/false")
    failed = run("--name", "east")
    assert failed.returncode == 1 and "EW-1215" in failed.stderr, failed.stderr
    gate.join(agent)
    state = gate.run / "gate-east.state"
    os.chown(state, 65534, 65534)  # somebody else's: nobody gets a signal
    assert run("--name", "east").returncode == 1
    gate.join(agent)
