"""The gate between agents, clients and the controller: who may come in, sessions, and what happens when somebody goes."""
import array
import contextlib
import fcntl
import os
import select
import signal
import socket
import ssl
import termios
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gate_driver import CODE, drink, exchange, gate, ignore, keeps_pace, keys, messages, pace, start_gate  # noqa: F401 (fixtures)


# Sessions

def test_session_is_byte_exact(gate):
    agent = gate.agent()
    client, session = gate.join(agent)
    up = gate.controller.wait("LINK_SESSION_UP")
    assert up.session_id == client.session_id and up.agent_id == agent.id and not up.browser
    assert up.client_address == "127.0.0.1" and up.organisation == "test-city"
    exchange(client.stream, session.stream, 50_000_000, 10_000_000)
    client.stream.close()
    assert session.stream.recv(1) == b""
    down = gate.controller.wait("LINK_SESSION_DOWN")
    assert (down.bytes_to_client, down.bytes_to_agent) == (50_000_000, 10_000_000)


def test_many_sessions_of_one_agent(gate):
    agent = gate.agent()
    pairs = [gate.join(agent) for _ in range(10)]
    for number, (client, session) in enumerate(pairs):
        client.stream.sendall(b"to agent %d" % number)
        session.stream.sendall(b"to client %d" % number)
    for number, (client, session) in enumerate(pairs):
        assert session.stream.recv(100) == b"to agent %d" % number
        assert client.stream.recv(100) == b"to client %d" % number


def test_half_close_goes_through(gate):
    client, session = gate.join(gate.agent())
    client.stream.sendall(b"last words")
    # close_notify of one side, bytes of the other afterwards
    closing = threading.Thread(target=lambda: ignore(client.stream.unwrap), daemon=True)
    closing.start()
    assert session.stream.recv(100) == b"last words"
    assert session.stream.recv(100) == b""
    session.stream.sendall(b"still here")
    gate.controller.wait("LINK_SESSION_UP")
    time.sleep(0.3)
    assert "session.down" not in gate.log()
    session.stream.close()
    assert gate.controller.wait("LINK_SESSION_DOWN").bytes_to_client == len(b"still here")


def arrived(stream, count):
    """So many bytes have come for a connection, which nobody has read."""
    unread, end = array.array("i", [0]), time.monotonic() + 20
    while unread[0] < count:
        assert time.monotonic() < end, f"{unread[0]} of {count} bytes"
        time.sleep(0.02)
        fcntl.ioctl(stream.fileno(), termios.FIONREAD, unread)


@pytest.mark.parametrize("side", [0, 1])
def test_side_vanishes(gate, side):
    """A reset of one side ends the other, which still gets what was on its way."""
    pair = gate.join(gate.agent())
    gone, stays = pair[side].stream, pair[1 - side].stream
    gone.sendall(b"x" * 1000)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    arrived(stays, 1000)  # what the gate has not read goes with a reset
    gone.close()
    got = b""
    while data := stays.recv(4096):
        got += data
    assert got == b"x" * 1000
    gate.controller.wait("LINK_SESSION_DOWN")


def test_agent_process_dies_session_goes_on(gate):
    """Control connection and session are apart."""
    agent = gate.agent()
    client, session = gate.join(agent)
    agent.stream.close()
    gate.controller.wait("LINK_AGENT_DOWN")
    exchange(client.stream, session.stream, 100_000, 100_000)


def test_silent_session_ends(start_gate):
    gate = start_gate(SESSION_SILENCE_S=1)
    agent, start = gate.agent(), time.monotonic()
    client, session = gate.join(agent)
    assert client.stream.recv(1) == b"" and session.stream.recv(1) == b""
    assert 0.5 < time.monotonic() - start < 15
    assert gate.controller.wait("LINK_SESSION_DOWN").code == CODE["TIMEOUT"]


def test_every_busy_connection_has_its_turn(gate):
    """Six connections with more waiting than one turn moves, and one with a byte: all of it comes out, though no new event says so."""
    agent = gate.agent()
    pairs, quick = [gate.join(agent) for _ in range(6)], gate.join(agent)
    worker = gate.child("worker")
    os.kill(worker, signal.SIGSTOP)
    data, sent = os.urandom(1 << 16) * 100, []
    try:
        for _, session in pairs:
            session.stream.setblocking(False)
            count = 0
            while count < len(data) and select.select([], [session.stream], [], 0.2)[1]:
                with contextlib.suppress(ssl.SSLWantWriteError):
                    count += session.stream.send(data[count:count + (1 << 14)])
            sent.append(count)
        quick[1].stream.sendall(b"?")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert min(sent) >= 4 << 16, "not more than a turn was waiting"
    assert quick[0].exactly(1) == b"?"
    for (client, _), count in zip(pairs, sent):
        assert client.exactly(count) == data[:count]


def test_stalled_reader_is_bounded_and_alone(start_gate):
    gate = start_gate(CLIENT_RATE_BYTES_S=0, PIPE_HIGH_BYTES=131072)
    agent = gate.agent()
    others = gate.join(agent)
    quick = pace(others, 2_000_000)
    before = gate.memory_kib()
    stalled = []
    for _ in range(20):
        client, session = gate.join(agent, rcvbuf=8192)
        session.stream.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64_000_000:
                sent += session.stream.send(b"y" * 65536)
        stalled.append((client, session, sent))
    # 20 queues of 128 KiB and a chunk, and TLS's own for 41 connections
    assert gate.memory_kib() - before < 20 * (128 + 32) + 41 * 64
    keeps_pace(others, 2_000_000, quick)
    # and the stalled one goes on where it stopped
    client, session, sent = stalled[0]
    session.stream.settimeout(20)
    client.stream.settimeout(20)
    got = 0
    while got < sent - 65536:
        got += len(client.stream.recv(65536))


def test_memory_for_buffers_is_shared_out(start_gate):
    """Readers that stall together can't take more than there is, and new sessions still move."""
    gate = start_gate(CLIENT_RATE_BYTES_S=0, PIPE_HIGH_BYTES=8 << 20, MEMORY_MAX_MIB=4)
    agent = gate.agent()
    before = gate.memory_kib()
    held = []
    for _ in range(10):
        client, session = gate.join(agent, rcvbuf=8192)
        session.stream.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                session.stream.send(b"y" * 65536)
        held.append((client, session))
    assert gate.memory_kib() - before < 4096 + 21 * 64 + 2048
    assert "limit.memory" in gate.log()
    exchange(*(side.stream for side in gate.join(agent)), 1_000_000, 1_000_000)


def test_client_rate(start_gate):
    gate = start_gate(CLIENT_RATE_BYTES_S=20000, CLIENT_BURST_BYTES=20000)
    client, session = gate.join(gate.agent())
    start = time.monotonic()
    threading.Thread(target=client.stream.sendall, args=(b"k" * 100000,), daemon=True).start()
    drink(session.stream, 100000)
    took = time.monotonic() - start
    # the burst is free, and a record passes whole: its excess is owed and waited for
    assert (100000 - 20000 - 16384) / 20000 < took < 12
    assert "limit.client_rate" in gate.log()
    # the other direction is free
    start = time.monotonic()
    exchange(client.stream, session.stream, 3_000_000, 0)
    assert time.monotonic() - start < 30  # two minutes and a half at that rate


# Tickets

def join_refused(gate, ticket, code):
    client = gate.client()
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    gate.refused(client, code)


@pytest.mark.parametrize("changes,code", [
    ({"issued": -61}, "TICKET_EXPIRED"),
    ({"issued": -86400}, "TICKET_EXPIRED"),
    ({"issued": 60}, "CLOCK"),
    ({"issued": 86400}, "CLOCK"),
    ({"gates": ("west",)}, "TICKET_BAD"),
    ({"gates": ()}, "TICKET_BAD"),
    ({"gates": ("eastern", "eas", "EAST")}, "TICKET_BAD"),
    ({"key": ec.generate_private_key(ec.SECP256R1())}, "TICKET_BAD"),
    ({"purpose": b"engawa statement v1"}, "TICKET_BAD"),
    ({"session_id": b"short"}, "TICKET_BAD"),
])
def test_bad_ticket(gate, changes, code):
    agent = gate.agent()
    _, ticket = gate.controller.ticket(agent.id, **changes)
    join_refused(gate, ticket, code)
    agent.send(gate.outer.OUTER_PONG, gate.outer.Pong(id=1))
    agent.stream.settimeout(0.2)
    with pytest.raises(TimeoutError):  # nobody knocked
        agent.recv()


def test_every_bit_of_a_ticket_counts(gate):
    agent = gate.agent()
    _, ticket = gate.controller.ticket(agent.id)
    for at in range(0, len(ticket), 17):
        broken = bytearray(ticket)
        broken[at] ^= 1 << at % 8
        join_refused(gate, bytes(broken), "TICKET_BAD")
    for length in 0, 1, len(ticket) // 2, len(ticket) - 1:
        join_refused(gate, ticket[:length], "TICKET_BAD")


def test_ticket_of_unknown_agent(gate):
    _, ticket = gate.controller.ticket(os.urandom(16))
    join_refused(gate, ticket, "UNREACHABLE")


def test_ticket_twice_while_in_use(gate):
    agent = gate.agent()
    session_id, ticket = gate.controller.ticket(agent.id)
    client = gate.client()
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    join_refused(gate, ticket, "TICKET_BAD")
    session = gate.answer(agent, session_id)
    session.expect(gate.outer.OUTER_JOINED)
    join_refused(gate, ticket, "TICKET_BAD")


def test_only_the_agent_of_the_ticket_may_answer(gate):
    agent, thief = gate.agent(), gate.agent()
    session_id, ticket = gate.controller.ticket(agent.id)
    client = gate.client()
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    gate.refused(gate.answer(thief, session_id), "TICKET_BAD")
    gate.refused(gate.answer(agent, os.urandom(16)), "TICKET_BAD")
    # a stranger's refusal does not count either
    thief.send(gate.outer.OUTER_REFUSE, gate.outer.Refuse(session_id=session_id, code=CODE["LOCKED_OUT"]))
    session = gate.answer(agent, session_id)
    session.expect(gate.outer.OUTER_JOINED)
    client.expect(gate.outer.OUTER_JOINED)
    # and it is answered once
    gate.refused(gate.answer(agent, session_id), "TICKET_BAD")
    exchange(client.stream, session.stream, 1000, 1000)


def test_agent_refuses(gate):
    agent, client = gate.agent(), gate.client()
    session_id, ticket = gate.controller.ticket(agent.id)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    agent.send(gate.outer.OUTER_REFUSE, gate.outer.Refuse(session_id=session_id, code=CODE["TICKET_BAD"]))
    gate.refused(client, "TICKET_BAD")


def test_agent_does_not_answer(start_gate):
    gate = start_gate(ANSWER_S=1)
    agent, client = gate.agent(), gate.client()
    _, ticket = gate.controller.ticket(agent.id)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    gate.refused(client, "TIMEOUT")


# Presence

def test_agent_up_and_down(gate):
    instance, before_s = os.urandom(16), int(time.time())
    agent = gate.agent(instance=instance)
    assert agent.welcome.keepalive_s == 30 and agent.welcome.silence_s == 75 and before_s <= agent.welcome.time_s <= time.time()
    up = gate.controller.wait("LINK_AGENT_UP")
    assert (up.agent_id, up.instance, up.address, up.build) == (agent.id, instance, "127.0.0.1", 7)
    agent.stream.close()
    down = gate.controller.wait("LINK_AGENT_DOWN")
    assert (down.agent_id, down.instance) == (agent.id, instance)


def test_keepalive_and_silence(start_gate):
    gate = start_gate(KEEPALIVE_S=1, SILENCE_S=4)
    lively, mute = gate.agent(), gate.agent()
    start = time.monotonic()
    pings = 0
    while time.monotonic() - start < 5:
        ping = lively.expect(gate.outer.OUTER_PING, gate.outer.Ping)
        lively.send(gate.outer.OUTER_PONG, gate.outer.Pong(id=ping.id))
        pings += 1
    assert 3 <= pings <= 7
    assert gate.controller.wait("LINK_AGENT_DOWN").agent_id == mute.id
    while (frame := mute.recv())[0] == gate.outer.OUTER_PING:
        pass
    assert frame[0] == gate.outer.OUTER_BYE


def test_newer_connection_replaces_older(gate):
    instance = os.urandom(16)
    first = gate.agent(instance=instance)
    second = gate.agent(first.id, first.cert, instance)
    gate.refused(first, "CLOSED")
    gate.wait_log("agent.replaced")
    assert "agent.clone" not in gate.log()
    clone = gate.agent(first.id, first.cert)
    gate.refused(second, "TAKEN_OVER")
    gate.wait_log("agent.clone")
    gate.join(clone)


def test_controller_sends_codes(gate):
    agent = gate.agent()
    session_id = os.urandom(16)

    def answer(frames, message):
        assert message.agent_id == agent.id and message.send_code.sealed == b"sealed"
        frames.send(gate.link.LINK_CODE_SENT, gate.link.LinkCodeSent(request=message.request,
            code_sent=gate.outer.CodeSent(session_id=session_id)))
    gate.controller.answers["LINK_SEND_CODE"] = answer
    agent.send(gate.outer.OUTER_SEND_CODE, gate.outer.SendCode(session_id=session_id, sealed=b"sealed"))
    sent = agent.expect(gate.outer.OUTER_CODE_SENT, gate.outer.CodeSent)
    assert sent.session_id == session_id and sent.code == 0


def ended(gate, agent, session_id, name):
    said = agent.expect(gate.outer.OUTER_ENDED, gate.outer.Ended)
    assert (said.session_id, said.code) == (session_id, CODE[name])


def test_deny_and_allow(gate):
    agent = gate.agent()
    client, session = gate.join(agent)
    gate.controller.send(gate.link.LINK_DENY, gate.link.Deny(agent_id=agent.id, code=CODE["SUSPENDED"]))
    ended(gate, agent, b"", "SUSPENDED")  # each of its sessions: it must not wait for their clients
    gate.refused(agent, "SUSPENDED")
    assert client.stream.recv(1) == b"" and session.stream.recv(1) == b""
    for role in gate.outer.ROLE_AGENT, gate.outer.ROLE_AGENT_SESSION:
        again = gate.native(agent.cert)
        again.send(gate.outer.OUTER_HELLO, gate.outer.Hello(version=1, role=role, instance=os.urandom(16)))
        gate.refused(again, "SUSPENDED")
    _, ticket = gate.controller.ticket(agent.id)
    join_refused(gate, ticket, "UNREACHABLE")
    gate.controller.send(gate.link.LINK_ALLOW, gate.link.Deny(agent_id=agent.id))
    gate.wait_log("agent.allow")
    gate.join(gate.agent(agent.id, agent.cert))


def test_end_session(gate):
    agent = gate.agent()
    client, session = gate.join(agent)
    other = gate.join(agent)
    gate.controller.send(gate.link.LINK_END_SESSION, gate.link.EndSession(session_id=client.session_id,
        agent_id=agent.id, code=CODE["ENDED_BY_ADMIN"]))
    ended(gate, agent, client.session_id, "ENDED_BY_ADMIN")
    assert client.stream.recv(1) == b"" and session.stream.recv(1) == b""
    assert gate.controller.wait("LINK_SESSION_DOWN").code == CODE["ENDED_BY_ADMIN"]
    exchange(other[0].stream, other[1].stream, 1000, 1000)


# The controller goes and comes back

def ask(gate, client=None):
    client = client or gate.client()
    client.send(gate.outer.OUTER_ASK, gate.outer.Ask(terminal_id="7K3M7K3M7K3M7K3M", device_hash=bytes(32)))
    return client


def test_ask_and_join(gate):
    agent = gate.agent()

    def answer(frames, message):
        assert message.ask.terminal_id == "7K3M7K3M7K3M7K3M" and message.address == "127.0.0.1"
        _, ticket = gate.controller.ticket(agent.id)
        frames.send(gate.link.LINK_GRANT, gate.link.LinkGrant(request=message.request,
            grant=gate.outer.Grant(ticket=ticket)))
    gate.controller.answers["LINK_ASK"] = answer
    client = ask(gate)
    grant = client.expect(gate.outer.OUTER_GRANT, gate.outer.Grant)
    assert grant.code == 0
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=grant.ticket))
    agent.expect(gate.outer.OUTER_KNOCK)


def test_enrol(gate):
    def answer(frames, message):
        frames.send(gate.link.LINK_ENROLLED, gate.link.LinkEnrolled(request=message.request,
            enrolled=gate.outer.Enrolled(agent_id=bytes(16), certificate=b"c" * 700, issuer=b"i" * 700, pending=True)))
    gate.controller.answers["LINK_ENROL"] = answer
    person = gate.hello(gate.native(), gate.outer.ROLE_ENROL)
    person.send(gate.outer.OUTER_ENROL, gate.outer.Enrol(code="1234", csr=b"r" * 500, computer_name="庁内PC"))
    enrolled = person.expect(gate.outer.OUTER_ENROLLED, gate.outer.Enrolled)
    assert enrolled.pending and len(enrolled.certificate) == 700
    assert person.stream.recv(1) == b""
    assert gate.controller.wait("LINK_ENROL").enrol.computer_name == "庁内PC"


def test_controller_does_not_answer(start_gate):
    gate = start_gate(CONTROLLER_S=1)
    client = ask(gate)
    assert client.expect(gate.outer.OUTER_GRANT, gate.outer.Grant).code == CODE["NO_CONTROLLER"]
    # a late answer meets nobody
    late = gate.controller.wait("LINK_ASK")
    gate.controller.send(gate.link.LINK_GRANT, gate.link.LinkGrant(request=late.request, grant=gate.outer.Grant(ticket=b"x")))
    ask(gate, client)
    assert client.expect(gate.outer.OUTER_GRANT, gate.outer.Grant).code == CODE["NO_CONTROLLER"]


def test_controller_killed_and_back(gate):
    agent = gate.agent()
    client, session = gate.join(agent)
    waiting = ask(gate)
    gate.controller.wait("LINK_ASK")
    gate.controller.stop()
    gate.wait_log("link.down")
    # who was waiting hears it at once, and so do those who come now
    assert waiting.expect(gate.outer.OUTER_GRANT, gate.outer.Grant).code == CODE["NO_CONTROLLER"]
    assert ask(gate).expect(gate.outer.OUTER_GRANT, gate.outer.Grant).code == CODE["NO_CONTROLLER"]
    person = gate.hello(gate.native(), gate.outer.ROLE_ENROL)
    person.send(gate.outer.OUTER_ENROL, gate.outer.Enrol(code="1234"))
    assert person.expect(gate.outer.OUTER_ENROLLED, gate.outer.Enrolled).code == CODE["NO_CONTROLLER"]
    agent.send(gate.outer.OUTER_SEND_CODE, gate.outer.SendCode(session_id=bytes(16), sealed=b"s"))
    assert agent.expect(gate.outer.OUTER_CODE_SENT, gate.outer.CodeSent).code == CODE["NO_CONTROLLER"]
    # sessions, waiting agents and offline tickets do not need it
    exchange(client.stream, session.stream, 100_000, 100_000)
    new_agent = gate.agent()
    joined = gate.join(agent), gate.join(new_agent)
    gate.controller.forget()
    gate.controller.start()
    gate.wait_log("link.up", 2)
    gate.controller.wait("LINK_SESSION_UP", 3)
    gate.controller.wait("LINK_AGENT_UP", 2)
    told = {message.agent_id for name, message in gate.controller.heard if name == "LINK_AGENT_UP"}
    assert told == {agent.id, new_agent.id}
    for pair in joined:
        exchange(pair[0].stream, pair[1].stream, 1000, 1000)


def test_worker_restart_without_controller(gate):
    """The parent keeps the ticket keys and what was denied."""
    agent, denied = gate.agent(), gate.agent()
    gate.controller.send(gate.link.LINK_DENY, gate.link.Deny(agent_id=denied.id, code=CODE["SUSPENDED"]))
    ended(gate, denied, b"", "SUSPENDED")
    gate.refused(denied, "SUSPENDED")
    gate.controller.stop()
    gate.wait_log("link.down")
    os.kill(gate.child("worker"), signal.SIGKILL)
    gate.wait_log("worker.up", 2)
    again = gate.native(denied.cert)
    again.send(gate.outer.OUTER_HELLO, gate.outer.Hello(version=1, role=gate.outer.ROLE_AGENT, instance=os.urandom(16)))
    gate.refused(again, "SUSPENDED")
    gate.join(gate.agent(agent.id, agent.cert))


def test_keeper_restart(gate):
    client, session = gate.join(gate.agent())
    os.kill(gate.child("keeper"), signal.SIGKILL)
    gate.wait_log("keeper.died")
    gate.join(gate.agent())
    exchange(client.stream, session.stream, 1000, 1000)


def test_no_welcome_no_join(start_gate):
    gate = start_gate(controller=False)
    agent = gate.agent()
    _, ticket = gate.controller.ticket(agent.id)
    join_refused(gate, ticket, "NO_CONTROLLER")


# The end

def test_drain(start_gate):
    gate = start_gate(DRAIN_S=30)
    agent = gate.agent()
    client, session = gate.join(agent)
    gate.process.send_signal(signal.SIGTERM)
    goaway = agent.expect(gate.outer.OUTER_GOAWAY, gate.outer.Goaway)
    assert goaway.code == CODE["DRAIN"] and goaway.after_ms <= 10000
    with pytest.raises(ConnectionRefusedError):
        end = time.monotonic() + 20
        while time.monotonic() < end:  # several workers do not close in the same moment
            gate.tcp().close()
            time.sleep(0.01)
    exchange(client.stream, session.stream, 100_000, 10_000)
    time.sleep(1.5)
    assert gate.process.poll() is None
    client.stream.close()
    gate.refused(agent, "DRAIN")
    assert gate.process.wait(30) == 0
    assert "worker.died" not in gate.log()


def test_drain_has_an_end(start_gate):
    gate = start_gate(DRAIN_S=1)
    client, session = gate.join(gate.agent())
    gate.process.send_signal(signal.SIGTERM)
    assert client.stream.recv(1) == b"" and session.stream.recv(1) == b""
    assert gate.process.wait(30) == 0


def test_reload(gate):
    """New certificates on SIGHUP: for new connections; sessions that live do not notice."""
    agent = gate.agent()
    client, session = gate.join(agent)

    def serial():
        with gate.tls() as stream:
            return x509.load_der_x509_certificate(stream.getpeercert(True)).serial_number
    before = serial()
    (gate.keys.dir / "gates/north.key").unlink(missing_ok=True)
    (gate.keys.dir / "gates/north.pem").unlink(missing_ok=True)
    gate.keys.engawa("gate", "add", "--dir", gate.keys.dir, "--name", "north", "--host", "localhost")
    saved = {}
    try:
        for kind in "pem", "key":
            path = gate.keys.dir / f"gates/east.{kind}"
            saved[path] = path.read_bytes()
            path.write_bytes((gate.keys.dir / f"gates/north.{kind}").read_bytes())
        gate.process.send_signal(signal.SIGHUP)
        gate.wait_log("gate.reload result=ok")
        gate.wait_log("worker.certificates", 2)
        assert serial() != before
        exchange(client.stream, session.stream, 10_000, 10_000)
        gate.join(agent)
        # a broken file changes nothing
        (gate.keys.dir / "gates/east.pem").write_text("nonsense")
        gate.process.send_signal(signal.SIGHUP)
        gate.wait_log("the old certificates stay")
        gate.join(agent)
    finally:
        for path, data in saved.items():
            path.write_bytes(data)


def test_idle_memory(start_gate):
    gate = start_gate()
    agents = [gate.agent() for _ in range(10)]
    before = gate.memory_kib()
    agents += [gate.agent() for _ in range(100)]
    per_agent = (gate.memory_kib() - before) / 100
    print(f"{per_agent:.1f} KiB for each idle agent")
    assert per_agent < 64


def test_nothing_secret_in_the_log(gate):
    agent = gate.agent()
    session_id, ticket = gate.controller.ticket(agent.id)
    client = ask(gate)
    gate.controller.wait("LINK_ASK")
    gate.join(agent)
    log = gate.log()
    assert "7K3M" not in log and ticket.hex()[:40] not in log
    assert agent.id.hex() not in log and agent.id.hex()[:8] in log
