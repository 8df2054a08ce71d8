"""How much of a gate an organisation may hold, and that nobody is punished for somebody else who shares an address or an organisation."""
import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gate_driver import CODE, ROOT, exchange, keeps_pace, keys, messages, pace, start_gate  # noqa: F401 (fixtures)
from test_gate_numbers import listens, numbers, value, wait


@pytest.fixture
def make(start_gate):  # noqa: F811
    """Gates with their numbers: not below pytest's own directory, which is closed to other users."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-"))

    def make_gate(**settings):
        path = directory / "gate.sock"
        gate = start_gate(**({"CLIENT_RATE_BYTES_S": 0, "METRICS_SOCKET": path} | settings))
        gate.socket = path
        wait(lambda: listens(path))
        return gate
    yield make_gate
    shutil.rmtree(directory)


def agent_of(gate, organisation, **options):
    agent_id = os.urandom(16)
    return gate.agent(agent_id, gate.keys.agent(agent_id, organisation=organisation), **options)


def agent_refused(gate, code, cert=None, **options):
    """An office PC that says Hello and hears Bye."""
    frames = gate.native(cert or gate.keys.agent(os.urandom(16), **options))
    frames.send(gate.outer.OUTER_HELLO, gate.outer.Hello(version=1, role=gate.outer.ROLE_AGENT, instance=os.urandom(16)))
    gate.refused(frames, code)


def join_refused(gate, agent, code, **ticket):
    client = gate.client()
    _, data = gate.controller.ticket(agent.id, **ticket)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=data))
    gate.refused(client, code)


def holds(gate, name, organisation):
    return value(gate, name, organisation=organisation)


@pytest.mark.parametrize("workers", [1, 3])
def test_office_pcs_of_an_organisation(make, workers):
    gate = make(ORGANISATION_AGENTS_MAX=3, WORKERS=workers)
    agents = [agent_of(gate, "city") for _ in range(3)]
    agent_refused(gate, "ORGANISATION_FULL", organisation="city")
    assert gate.wait_log("limit.organisation_agents organisation=city")
    village = agent_of(gate, "village")
    assert (holds(gate, "organisation_agents", "city"), holds(gate, "organisation_agents", "village")) == (3, 1)
    assert value(gate, "organisation_refused", organisation="city") == 1
    assert value(gate, "limit_reached", limit="organisation_agents") == 1
    gate.join(village)
    gate.join(agents[0])
    agents[1].stream.close()
    wait(lambda: holds(gate, "organisation_agents", "city") == 2)
    agents.append(agent_of(gate, "city"))
    agent_refused(gate, "ORGANISATION_FULL", organisation="city")
    if workers == 1:  # whoever comes again takes its own place
        gate.join(gate.agent(agents[0].id, agents[0].cert))


@pytest.mark.parametrize("workers", [1, 3])
def test_sessions_of_an_organisation(make, workers):
    gate = make(ORGANISATION_SESSIONS_MAX=2, WORKERS=workers)
    city, village = agent_of(gate, "city"), agent_of(gate, "village")
    pairs = [gate.join(city, ticket={"organisation": "city"}) for _ in range(2)]
    join_refused(gate, city, "ORGANISATION_FULL", organisation="city")
    gate.join(village, ticket={"organisation": "village"})
    exchange(*(side.stream for side in pairs[0]), 100_000, 100_000)
    pairs[1][0].stream.close()
    wait(lambda: holds(gate, "organisation_sessions_now", "city") == 1)
    gate.join(city, ticket={"organisation": "city"})


def test_handshakes_of_an_organisation(make):
    """Ten seconds' worth at once, then one a second: the others are told to come later. Their sessions are not touched."""
    gate = make(ORGANISATION_HANDSHAKES_S=1, WORKERS=1)
    village = agent_of(gate, "village")
    agents = [agent_of(gate, "city") for _ in range(8)]
    cert = gate.keys.agent(os.urandom(16), organisation="city")
    end = time.monotonic() + 60
    while True:
        frames = gate.native(cert)
        frames.send(gate.outer.OUTER_HELLO, gate.outer.Hello(version=1, role=gate.outer.ROLE_AGENT, instance=os.urandom(16)))
        frames.expect(gate.outer.OUTER_HELLO)
        kind, payload = frames.recv()
        if kind == gate.outer.OUTER_BYE:
            assert gate.outer.Bye.FromString(payload).code == CODE["TOO_MANY"]
            break
        assert time.monotonic() < end
    assert gate.wait_log("limit.organisation_handshakes organisation=city")
    for agent in agents[:4]:
        gate.join(agent)  # each with a handshake of the same organisation
    gate.join(village)
    agent_of(gate, "village")


def test_attack_one_organisation_takes_the_whole_gate(make):
    """Tried: an organisation without limits of its own fills the gate with office PCs. What comes of it: alone it may have most of it; when the
    gate gets full it is refused as soon as it has its part, and those who have less still come in."""
    gate = make(CONNECTIONS_MAX=40, ORGANISATION_RESERVE_PERCENT=50, ORGANISATION_HANDSHAKES_S=0, WORKERS=2)
    village = agent_of(gate, "village")
    city, refused = [], 0
    while not refused:
        agent_id = os.urandom(16)
        frames = gate.native(gate.keys.agent(agent_id, organisation="city"))
        gate.hello(frames, gate.outer.ROLE_AGENT, instance=os.urandom(16)) if len(city) < 19 else frames.send(gate.outer.OUTER_HELLO,
            gate.outer.Hello(version=1, role=gate.outer.ROLE_AGENT, instance=os.urandom(16)))
        if len(city) >= 19:
            kind, payload = frames.recv()
            assert kind == gate.outer.OUTER_HELLO
        kind, payload = frames.recv()
        if kind == gate.outer.OUTER_BYE:
            assert gate.outer.Bye.FromString(payload).code == CODE["ORGANISATION_FULL"]
            refused = 1
        else:
            city.append(frames)
            assert len(city) <= 21
    assert len(city) >= 19 and gate.wait_log("limit.organisation_part organisation=city")
    villagers = [agent_of(gate, "village") for _ in range(5)]
    for agent in [village, *villagers[:2]]:
        gate.join(agent, ticket={"organisation": "village"})


def test_attack_false_organisation(make):
    """Tried: to use up an organisation's place without belonging to it: a certificate with its name from another authority, a ticket with its name
    and another key, a good ticket that no office PC answers. What comes of it: nothing of it is counted."""
    gate = make(ORGANISATION_AGENTS_MAX=2, ORGANISATION_SESSIONS_MAX=1, WORKERS=2)
    stranger = ec.generate_private_key(ec.SECP256R1())
    agent = agent_of(gate, "city")
    for _ in range(3):
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            gate.hello(gate.native(gate.keys.agent(os.urandom(16), issuer_key=stranger, organisation="city")), gate.outer.ROLE_AGENT,
                instance=os.urandom(16))
        join_refused(gate, agent, "TICKET_BAD", organisation="city", key=stranger)
    waiting = []
    for _ in range(3):  # somebody who knows a terminal ID, and waits for an answer
        client = gate.client()
        client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=gate.controller.ticket(agent.id, organisation="city")[1]))
        agent.expect(gate.outer.OUTER_KNOCK)
        waiting.append(client)
    assert holds(gate, "organisation_agents", "city") == 1 and holds(gate, "organisation_sessions_now", "city") == 0
    gate.join(agent, ticket={"organisation": "city"})
    agent_of(gate, "city")


def test_an_organisation_crosses_an_upgrade(make):
    """Its weight and what it holds: after the upgrade its limits are where they were."""
    gate = make(ORGANISATION_AGENTS_MAX=3, ORGANISATION_SESSIONS_MAX=1, WORKERS=2)
    agents = [agent_of(gate, "city") for _ in range(3)]
    pair = gate.join(agents[0], ticket={"organisation": "city", "prefecture": 13, "rate_class": 5})
    agent_of(gate, "village")
    for _ in range(2):
        gate.renew()
        wait(lambda: listens(gate.socket) and value(gate, "organisation_weight", organisation="city") == 5)
        assert value(gate, "organisation_weight", organisation="city", prefecture="13") == 5
        wait(lambda: holds(gate, "organisation_agents", "city") == 3 and holds(gate, "organisation_sessions_now", "city") == 1)
        agent_refused(gate, "ORGANISATION_FULL", organisation="city")
        join_refused(gate, agents[1], "ORGANISATION_FULL", organisation="city", prefecture=13, rate_class=5)
        exchange(*(side.stream for side in pair), 100_000, 100_000)
    pair[0].stream.close()
    wait(lambda: holds(gate, "organisation_sessions_now", "city") == 0)
    gate.join(agents[2], ticket={"organisation": "city"})


# ---- faults


def bad_hello(gate, source=None):
    """A TLS connection that says nonsense. False when it was not even let in."""
    try:
        frames = gate.native(source=source)
        frames.send(200, b"nonsense")
        with contextlib.suppress(EOFError):
            while True:
                frames.recv()
        return True
    except (OSError, EOFError):
        return False


class Bad(threading.Thread):
    """Some of the bad clients: one after the other, a third stops in the middle of a handshake, a third sends no TLS at all, a third nonsense."""

    def __init__(self, gate, count, source):
        super().__init__(daemon=True)
        self.gate, self.count, self.source, self.let_in, self.tried, self.going = gate, count, source, 0, 0, True
        self.start()

    def run(self):
        hello = bytes.fromhex("160301010001000000fc0303") + os.urandom(100)
        while self.going:
            for number in range(self.count):
                self.tried += 1
                if number % 3 == 0:
                    self.let_in += bad_hello(self.gate, self.source)
                    continue
                with contextlib.suppress(OSError), self.gate.tcp(source=self.source) as stream:
                    stream.settimeout(5)
                    stream.sendall(b"GET / HTTP/1.0\r\n\r\n" if number % 3 == 1 else hello)
                    if number % 3 == 1:
                        stream.recv(100)

    def stop(self):
        self.going = False
        self.join(60)
        assert not self.is_alive()


class Silent(threading.Thread):
    """One host that holds so many connections and says nothing on them. What is closed it opens again, some fifty in a second."""

    def __init__(self, gate, count, source):
        super().__init__(daemon=True)
        self.gate, self.count, self.source, self.opened, self.going = gate, count, source, 0, True
        self.streams, self.events = {}, select.epoll()
        self.start()

    def open(self):
        stream = self.gate.tcp(source=self.source)
        self.streams[stream.fileno()] = stream
        self.events.register(stream, select.EPOLLIN)
        self.opened += 1

    def run(self):
        while self.going:
            for number, _ in self.events.poll(0.02):
                self.events.unregister(number)
                self.streams.pop(number).close()
            if len(self.streams) < self.count:
                with contextlib.suppress(OSError):
                    self.open()
                if self.opened > self.count:
                    time.sleep(0.02)

    def stop(self):
        self.going = False
        self.join(60)
        assert not self.is_alive()
        for stream in self.streams.values():
            stream.close()
        self.events.close()


def in_the_end(come, seconds=30):
    """Whoever was turned away tries again, as programs do."""
    end = time.monotonic() + seconds
    while True:
        try:
            return come()
        except (OSError, EOFError):
            assert time.monotonic() < end
            time.sleep(0.1)


def test_attack_two_hundred_bad_ones_behind_the_same_address(make):
    """Tried: clients that do nothing right, and one host that keeps 600 silent connections (more than the address may have) open, behind the address
    from which 200 office PCs and their sessions work (a town has one). What comes of it: the good ones notice nothing, and new ones come in: the
    slowest of the silent ones give way to them."""
    town = "127.0.9.1"
    gate = make(WORKERS=2, SOURCE_FAULTS_PER_MINUTE=30, ORGANISATION_HANDSHAKES_S=0, KEEPALIVE_S=600, SILENCE_S=1200, HANDSHAKE_S=60)
    cert_id = [os.urandom(16) for _ in range(200)]
    agents = [gate.agent(one, source=town) for one in cert_id]
    pairs = [gate.join(agent, source=town) for agent in agents[:10]]
    silent = Silent(gate, 600, town)
    wait(lambda: value(gate, "half_open") >= 500, 60)
    bad = [Bad(gate, 20, town) for _ in range(10)]
    try:
        gate.wait_log("limit.source_faults address=127.0.9.1", timeout=60)
        gate.wait_log("limit.source_half_open address=127.0.9.1", timeout=60)
        for number in range(10):
            exchange(*(side.stream for side in pairs[number]), 20_000, 20_000)
            pairs.append(in_the_end(lambda: gate.join(agents[10 + number], client=in_the_end(lambda: gate.client(source=town)))))
            agents.append(in_the_end(lambda: gate.agent(source=town)))
        assert value(gate, "half_open") >= 400
        wait(lambda: sum(thread.tried for thread in bad) >= 200, 120)
    finally:
        for thread in [*bad, silent]:
            thread.stop()
    assert sum(thread.let_in for thread in bad) > 0
    assert value(gate, "agents") >= 200 and "agent.down" not in gate.log()
    for pair in pairs:
        exchange(*(side.stream for side in pair), 20_000, 20_000)


@pytest.mark.parametrize("workers", [1, 2])
def test_attack_one_host_behind_an_address_where_nobody_is_known(make, workers):
    """Tried: one host takes all the half-open places of its address with silent connections, in the morning, when nobody else of the town has come
    yet. What comes of it: office PCs and clients of the town come in."""
    town = "127.0.9.4"
    gate = make(WORKERS=workers, SOURCE_FAULTS_PER_MINUTE=30, HANDSHAKE_S=60, SOURCE_HALF_OPEN_MAX=64)
    silent = Silent(gate, 70, town)
    try:
        wait(lambda: value(gate, "half_open") >= 64, 60)
        gate.wait_log(f"limit.source_half_open address={town}", timeout=60)
        agent = in_the_end(lambda: gate.agent(source=town))
        pair = gate.join(agent, client=in_the_end(lambda: gate.client(source=town)))
        assert value(gate, "half_open") >= 50 and value(gate, "half_open") <= 64 + 16 + workers
    finally:
        silent.stop()
    exchange(*(side.stream for side in pair), 20_000, 20_000)


def test_attack_one_bad_one_where_nobody_is_known(make):
    """Tried: a client that makes ten faults in a second, and then holds as much as it gets, at an address of which nobody has come in yet; others hold
    three quarters of the gate's half-open places. What comes of it: nobody there is refused for its faults; while places are short that address has few
    of them, and who comes takes the place of its slowest."""
    town, others = "127.0.9.2", []
    gate = make(WORKERS=2, SOURCE_FAULTS_PER_MINUTE=10, HALF_OPEN_MAX=80, SOURCE_HALF_OPEN_MAX=64, HANDSHAKE_S=60)
    assert all([bad_hello(gate, town) for _ in range(30)])  # a minute's worth beyond the limit
    assert f"limit.source_faults address={town}" in gate.log()
    agent = gate.agent(source=town)
    pair = gate.join(agent, source=town)
    exchange(*(side.stream for side in pair), 20_000, 20_000)
    for stream in [agent.stream, *(side.stream for side in pair)]:
        stream.close()
    wait(lambda: value(gate, "connections") == 0)
    others = [gate.tcp(source=f"127.0.9.{20 + number % 4}") for number in range(62)]
    wait(lambda: value(gate, "half_open") >= 62)
    assert bad_hello(gate, town)
    greedy = [gate.tcp(source=town) for _ in range(30)]
    wait(lambda: len(select.select(greedy, [], [], 0)[0]) >= 30 - 4 - 2)
    assert value(gate, "half_open") <= 62 + 4 + 2
    pair = in_the_end(lambda: gate.join(gate.agent(source=town), source=town))
    exchange(*(side.stream for side in pair), 20_000, 20_000)
    assert not select.select(others, [], [], 0)[0]


def test_keeper_that_does_not_sign_is_nobodys_fault(make):
    """The keeper is at its limit, and then does not answer at all: handshakes fail at our side, and who came is not refused for it afterwards."""
    gate = make(WORKERS=1, SIGNS_MAX_S=1, SOURCE_FAULTS_PER_MINUTE=5, HANDSHAKE_S=20)
    source = "127.0.9.9"

    def comes_in():
        try:
            gate.native(source=source).stream.close()
            return True
        except (OSError, EOFError):
            return False
    while gate.log().count("code=NO_SIGNATURE") < 8:
        comes_in()
    assert "limit.signs" in gate.log()
    refused = value(gate, "limit_reached", limit="signs")
    assert refused >= 8 and value(gate, "limit", limit="signs") == 1
    wait(comes_in, 30)
    refused = value(gate, "limit_reached", limit="signs")
    keeper = gate.child("keeper")
    os.kill(keeper, signal.SIGSTOP)
    try:
        before = gate.log().count("code=NO_SIGNATURE")
        threads = [threading.Thread(target=comes_in, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait(lambda: gate.log().count("code=NO_SIGNATURE") > before, 60)
        assert value(gate, "limit_reached", limit="signs") == refused  # it does not answer: that is no limit
    finally:
        os.kill(keeper, signal.SIGCONT)
    for thread in threads:
        thread.join(60)
    wait(comes_in, 30)
    assert "source_faults" not in gate.log() and value(gate, "limit_reached", limit="source_faults") == 0


def test_attack_one_bad_office_pc(make):
    """Tried: one office PC that sends nonsense as often as it can, at the address and in the organisation of others. What comes of it: it alone is
    refused, by its certificate, from wherever it comes."""
    gate = make(WORKERS=2, AGENT_FAULTS_PER_MINUTE=5, SOURCE_FAULTS_PER_MINUTE=5, ORGANISATION_HANDSHAKES_S=0)
    good, bad_id = gate.agent(), os.urandom(16)
    cert = gate.keys.agent(bad_id)
    end = time.monotonic() + 60
    while "limit.agent_faults" not in gate.log():
        with contextlib.suppress(OSError, EOFError, AssertionError):
            frames = gate.hello(gate.native(cert), gate.outer.ROLE_AGENT, instance=os.urandom(16))
            frames.send(gate.outer.OUTER_JOIN, b"")
            while True:
                frames.recv()
        assert time.monotonic() < end
    assert gate.wait_log(f"limit.agent_faults agent={bad_id.hex()[:8]} ")
    agent_refused(gate, "TOO_OFTEN", cert)
    with pytest.raises(AssertionError):
        gate.agent(bad_id, cert, source="127.0.9.7")
    gate.join(good)
    for _ in range(8):
        gate.join(gate.agent())
    assert value(gate, "limit_reached", limit="source_faults") == 0


def test_attack_says_all_the_time_that_a_session_waits(make):
    """Tried: an office PC tells the relay without end that a session of it waits, each time as another one, to keep the controller busy. What
    comes of it: a few are passed on, then it is refused; another office PC's word still arrives."""
    gate = make(WORKERS=1, AGENT_FAULTS_PER_MINUTE=10, ORGANISATION_HANDSHAKES_S=0)
    good, bad = gate.agent(), gate.agent()
    waits = lambda: gate.outer.SessionWaits(session_id=os.urandom(16), client_address="192.0.2.1", wait_s=600)
    with contextlib.suppress(OSError):
        for _ in range(200):
            bad.send(gate.outer.OUTER_SESSION_WAITS, waits())
    gate.wait_log(f"limit.agent_faults agent={bad.id.hex()[:8]} ")
    good.send(gate.outer.OUTER_SESSION_WAITS, waits())
    wait(lambda: any(told.agent_id == good.id for name, told in gate.controller.heard if name == "LINK_SESSION_WAITS"), 20)
    told = [message for name, message in gate.controller.heard if name == "LINK_SESSION_WAITS" and message.agent_id == bad.id]
    assert 0 < len(told) <= 12
    with contextlib.suppress(EOFError, OSError):
        while True:
            bad.recv()
    # and what is none ends the connection
    good.send(gate.outer.OUTER_SESSION_WAITS, gate.outer.SessionWaits(session_id=b"short"))
    gate.refused(good, "PROTOCOL")


def test_attack_one_bad_device(make):
    """Tried: a device that guesses terminal IDs, connection after connection. What comes of it: the controller is asked no more for it, and other
    devices at the same address are answered."""
    gate = make(WORKERS=1, DEVICE_FAULTS_PER_MINUTE=5)
    asked = []

    def answer(frames, message):
        asked.append(message)
        frames.send(gate.link.LINK_GRANT, gate.link.LinkGrant(request=message.request,
            grant=gate.outer.Grant(code=CODE["UNREACHABLE"])))
    gate.controller.answers["LINK_ASK"] = answer

    def ask(device):
        client = gate.client()
        client.send(gate.outer.OUTER_ASK, gate.outer.Ask(terminal_id="0" * 16, device_hash=device))
        grant = client.expect(gate.outer.OUTER_GRANT, gate.outer.Grant)
        client.stream.close()
        return grant.code
    guesser, other = os.urandom(32), os.urandom(32)
    assert [ask(guesser) for _ in range(8)] == [CODE["UNREACHABLE"]] * 6 + [CODE["TOO_OFTEN"]] * 2
    assert len(asked) == 6
    assert ask(other) == CODE["UNREACHABLE"]
    # with a ticket too, and only this device
    agent = gate.agent()
    join_refused(gate, agent, "TOO_OFTEN", device=guesser)
    gate.join(agent, ticket={"device": other})


def test_attack_have_an_office_pc_blamed(make):
    """Tried: somebody who knows a terminal ID, and no more, knocks again and again and goes before the office PC answers, or keeps it waiting. What
    comes of it: its answers come to nothing, which is not the office PC's fault: it is let in as before."""
    gate = make(WORKERS=1, AGENT_FAULTS_PER_MINUTE=3)
    agent = gate.agent()
    for _ in range(8):
        client = gate.client()
        session_id, ticket = gate.controller.ticket(agent.id)
        client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
        agent.expect(gate.outer.OUTER_KNOCK)
        client.stream.close()
        gate.wait_log(f"session.unanswered session={session_id.hex()[:8]}")
        gate.refused(gate.answer(agent, session_id), "TICKET_BAD")
    gate.join(agent)
    assert value(gate, "limit_reached", limit="agent_faults") == 0


def test_attack_have_a_device_blamed_from_elsewhere(make):
    """Tried: somebody who has seen a device's ticket uses it again and again at another address. What comes of it: he is refused there, and the
    device where it is is not."""
    gate = make(WORKERS=1, DEVICE_FAULTS_PER_MINUTE=3)
    agent, device = gate.agent(), os.urandom(32)
    client = gate.client()
    session_id, ticket = gate.controller.ticket(agent.id, device=device)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    session = gate.answer(agent, session_id)
    client.expect(gate.outer.OUTER_JOINED), session.expect(gate.outer.OUTER_JOINED)
    for code in ["TICKET_BAD"] * 4 + ["TOO_OFTEN"]:
        thief = gate.client(source="127.0.9.9")
        thief.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
        gate.refused(thief, code)
    gate.join(agent, ticket={"device": device})


def test_attack_ticket_of_a_session_that_lives(make):
    """Tried: to use one ticket again and again while its session lives. What comes of it: the session goes on, the device of the ticket is refused for
    a while, and nobody else at its address."""
    gate = make(WORKERS=1, DEVICE_FAULTS_PER_MINUTE=3, SOURCE_FAULTS_PER_MINUTE=3)
    agent = gate.agent()
    client = gate.client()
    session_id, ticket = gate.controller.ticket(agent.id)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    session = gate.answer(agent, session_id)
    client.expect(gate.outer.OUTER_JOINED), session.expect(gate.outer.OUTER_JOINED)
    for code in ["TICKET_BAD"] * 4 + ["TOO_OFTEN"] * 2:
        again = gate.client()
        again.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
        gate.refused(again, code)
    exchange(client.stream, session.stream, 50_000, 50_000)
    gate.join(agent)
    assert value(gate, "limit_reached", limit="source_faults") == 0


def test_attack_strangers_that_say_they_are_clients(make):
    """Tried: connections that finish the handshake, say that they are clients, and then nothing. What comes of it: they count as half open, and
    the slowest of them makes room; who has a ticket comes in."""
    gate = make(WORKERS=2, HALF_OPEN_MAX=20, FRAME_S=60, HELLO_S=60)
    agent = gate.agent()
    strangers = []
    deadline = time.monotonic() + 60
    while "limit.half_open" not in gate.log():
        with contextlib.suppress(OSError, EOFError):
            strangers.append(gate.client())
        assert time.monotonic() < deadline
    assert value(gate, "half_open") <= 22  # workers that count at the same moment may pass by one each
    end = time.monotonic() + 60
    while True:
        try:
            exchange(*(side.stream for side in gate.join(agent)), 10_000, 10_000)
            break
        except (OSError, EOFError):
            assert time.monotonic() < end


# ---- across several workers


def test_half_open_of_all_workers_together(make):
    """HALF_OPEN_MAX is the gate's: three workers together hold no more, whoever accepts them; when they go there is room again."""
    gate = make(WORKERS=3, HALF_OPEN_MAX=30, HANDSHAKE_S=60, SOURCE_HALF_OPEN_MAX=1000)
    agent = gate.agent()
    streams = []
    for _ in range(90):
        stream = socket.socket()
        stream.setblocking(False)
        stream.connect_ex(("127.0.0.1", gate.port))
        streams.append(stream)
    wait(lambda: value(gate, "half_open") >= 28)
    gate.wait_log("limit.half_open")
    most = 0
    end = time.monotonic() + 3
    while time.monotonic() < end:
        most = max(most, value(gate, "half_open"))
    assert most <= 30 + 3
    for stream in streams:
        stream.close()
    wait(lambda: value(gate, "half_open") <= 5)
    exchange(*(side.stream for side in gate.join(agent)), 10_000, 10_000)


def test_memory_of_all_workers_together(make):
    """MEMORY_MAX_MIB is the gate's: readers that stop, at three workers, make the gate hold no more than that, and the others do not wait for them."""
    limit = 4
    gate = make(WORKERS=3, MEMORY_MAX_MIB=limit, PIPE_HIGH_BYTES=1 << 20)
    agents = [gate.agent() for _ in range(12)]
    fast = gate.join(gate.agent())
    before = pace(fast, 1_000_000)
    stopped = []
    for agent in agents:
        client, session = gate.join(agent, rcvbuf=4096)
        session.stream.settimeout(0.05)
        stopped.append((client, session))

    def push():
        data = bytes(1 << 16)
        for _, session in stopped:
            with contextlib.suppress(TimeoutError):
                while True:
                    session.stream.send(data)
    push()
    wait(lambda: "limit.memory" in gate.log() or value(gate, "memory_mib") > 0)
    push()
    assert value(gate, "memory_mib") <= limit + 3  # each worker's least part is its own
    keeps_pace(fast, 1_000_000, before)
    for client, session in stopped:
        client.stream.close()
        session.stream.close()
    wait(lambda: value(gate, "memory_mib") == 0)


# ---- reasons


def test_no_close_without_a_reason():
    """Every place in the source that ends a connection says why. 0 is for what goes on elsewhere (another worker, a new version) and is not counted."""
    calls = {}
    for path in sorted((ROOT / "src/gate").glob("*.c")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        for match in re.finditer(r"\b(leg_close|leg_end|leg_bye|session_end)\((w, (?:[^()]|\([^()]*\))*)\);", text):
            calls.setdefault(match[2].split(",")[-1].strip(), []).append(path.stem)
    assert sum(map(len, calls.values())) > 50  # the pattern finds them
    assert sorted(calls.pop("0")) == ["leave", "move"]
    # an enrolment that is done is the one orderly end that a gate makes by itself
    assert [code for code in calls if re.search(r"\b0$", code)] == ["msg.enrolled.code ? -(int)msg.enrolled.code : 0"]
    # and every connection that is accepted and cannot be served is counted too
    assert "tally_code" in (ROOT / "src/gate/door.c").read_text()


def test_every_close_has_its_reason(make):
    """Whatever ends a connection counts once, with a reason: as many ends as connections that came and are gone."""
    gate = make(WORKERS=3, HANDSHAKE_S=3, HELLO_S=3, FRAME_S=3, ANSWER_S=3)
    agent = gate.agent()
    stays = gate.join(agent)  # noqa: F841
    client, session = gate.join(agent)
    client.stream.close()
    with contextlib.suppress(EOFError, OSError):
        session.exactly(1)
    quiet, silent, said = gate.tcp(), gate.native(), gate.client()  # closed by their deadlines
    bad_hello(gate)
    with gate.tcp() as stream, contextlib.suppress(OSError):
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        stream.recv(10)
    join_refused(gate, agent, "TICKET_BAD", key=ec.generate_private_key(ec.SECP256R1()))
    unanswered = gate.client()
    unanswered.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=gate.controller.ticket(agent.id)[1]))
    agent.expect(gate.outer.OUTER_KNOCK)
    gate.refused(unanswered, "TIMEOUT")
    replaced = gate.agent(agent.id, agent.cert)  # noqa: F841 (stays)
    page = gate.web()
    page.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert page.recv(100)
    page.close()
    bad_page = gate.web()
    bad_page.sendall(b"\0\0\0\r\n\r\n")
    bad_page.recv(1000)
    web = gate.websocket()
    web.send_frame(b"x" * 10, rsv=4)
    for stream in quiet, silent.stream, said.stream:
        stream.settimeout(30)
        with contextlib.suppress(OSError):
            while stream.recv(1000):
                pass

    def balanced():
        return value(gate, "connections_accepted") == value(gate, "connections_closed") + value(gate, "connections")
    wait(lambda: balanced() and value(gate, "connections") == 3)
    reasons = {sample.labels["name"]: sample.value for sample in numbers(gate)["engawa_gate_connections_closed"].samples}
    assert value(gate, "handshakes_failed") >= 2  # one of them was silent until its deadline
    assert value(gate, "connections_accepted") == value(gate, "handshakes") + value(gate, "handshakes_failed")
    assert "OK" not in reasons and {"SLOW", "PROTOCOL", "TICKET_BAD", "TIMEOUT"} <= set(reasons), reasons
