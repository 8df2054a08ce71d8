"""TLS as the real gate speaks it after the handshake, where its own record layer is at work: how keys are renewed."""
import os
import shutil
import ssl

import pytest

from gate_driver import BUILD, Frames, gate, keys, messages, start_gate  # noqa: F401 (fixtures)

KEY_UPDATE = 24
RENEWED_AFTER, USED_UP = 64, 181  # records, of short-keys-gate


class Bare:
    """A TLS client whose records pass through our hands: OpenSSL makes them and reads what has come. `asked` and `renewed`: the gate's KeyUpdates
    with and without a wish for ours; `answers`: ours."""

    def __init__(self, gate, cert=None):
        context = gate.context(cert=cert)
        self.asked = self.renewed = self.answers = 0
        context._msg_callback = self.watch
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls, self.socket = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost"), gate.tcp()
        self.until(self.tls.do_handshake)

    def watch(self, _connection, direction, _version, _content, kind, data):
        if kind == KEY_UPDATE and direction == "write":
            self.answers += 1
        elif kind == KEY_UPDATE:
            self.asked += data[-1] == 1
            self.renewed += data[-1] == 0

    def until(self, call):
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(65536)
                self.incoming.write(data) if data else self.incoming.write_eof()
            finally:
                self.flush()

    def flush(self):
        self.socket.sendall(self.outgoing.read())

    def record(self, data):
        """What would go to the gate."""
        self.tls.write(data)
        return self.outgoing.read()

    def sendall(self, data):
        self.socket.sendall(self.record(data))

    def recv(self, size):
        return self.until(lambda: self.tls.read(size))

    def taste(self):
        """Reads what is there, which is no data."""
        self.socket.setblocking(False)
        try:
            self.recv(65536)
            raise AssertionError("data")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self.socket.settimeout(20)

    def alert(self):
        """The name of the alert that comes after any data."""
        with pytest.raises(ssl.SSLError) as failure:
            while self.recv(65536):
                pass
        return failure.value.reason.partition("ALERT_")[2]


def sends_codes(gate):
    """What an office PC wishes for is answered."""
    gate.controller.answers["LINK_SEND_CODE"] = lambda frames, message: frames.send(gate.link.LINK_CODE_SENT,
        gate.link.LinkCodeSent(request=message.request, code_sent=gate.outer.CodeSent(session_id=message.send_code.session_id)))


@pytest.fixture
def short_keys(start_gate, tmp_path):
    program = tmp_path / "engawa-gate"
    tmp_path.chmod(0o755)
    shutil.copy(BUILD / "tests/system/short-keys-gate", program)
    return start_gate(program=program, CLIENT_RATE_BYTES_S=0, WORKERS=2)


def pass_on(sender, receiver):
    data = os.urandom(100)
    sender.stream.sendall(data)
    assert receiver.exactly(len(data)) == data


def test_keys_are_renewed_both_ways(short_keys):
    """Sessions whose keys are used up all the time, a browser's too: the gate renews its own and asks for its peer's, and every byte arrives, also
    behind an upgrade."""
    gate = short_keys
    sends_codes(gate)
    agent = gate.agent()
    bare = Bare(gate)
    client, session = gate.join(agent, gate.hello(Frames(bare), gate.outer.ROLE_CLIENT))
    page, other = gate.join(agent, gate.hello(Frames(gate.websocket()), gate.outer.ROLE_CLIENT))
    for upgraded in range(2):
        before = bare.asked
        for _ in range(3 * USED_UP):
            for a, b in (client, session), (page, other):
                pass_on(a, b)
                pass_on(b, a)
        assert bare.asked - before >= 3 * USED_UP // RENEWED_AFTER - 1 and bare.answers >= bare.asked - 1
        for _ in range(USED_UP + 10):  # one that waits speaks much too
            code = os.urandom(16)
            agent.send(gate.outer.OUTER_SEND_CODE, gate.outer.SendCode(session_id=code, sealed=b"s"))
            while (answer := agent.recv())[0] == gate.outer.OUTER_PING:
                pass
            assert answer == (gate.outer.OUTER_CODE_SENT, gate.outer.CodeSent(session_id=code).SerializeToString())
        if not upgraded:
            gate.renew()


def test_who_gets_nothing_is_asked(short_keys):
    """A client that only sends: the wish for its next key does not wait for something to say to it."""
    gate, bare = short_keys, Bare(short_keys)
    client, session = gate.join(gate.agent(), gate.hello(Frames(bare), gate.outer.ROLE_CLIENT))
    for _ in range(3 * USED_UP):
        pass_on(client, session)
        bare.taste()
    assert bare.asked >= 3 and bare.answers >= bare.asked - 1


def test_attack_key_is_never_renewed(short_keys):
    """A peer takes no notice of the gate's wish and goes on with a key that is used up: not one record more is opened, it gets an alert, and the
    reason is in the log; the other side hears of an orderly end."""
    gate, bare = short_keys, Bare(short_keys)
    agent = gate.agent()
    client, session = gate.join(agent, gate.hello(Frames(bare), gate.outer.ROLE_CLIENT))
    bare.socket.sendall(b"".join(bare.record(b"%100d" % number) for number in range(USED_UP + 10)))
    before = 2  # Hello, Join
    assert session.exactly(100 * (USED_UP - before)) == b"".join(b"%100d" % number for number in range(USED_UP - before))
    assert session.stream.recv(1) == b""
    assert bare.alert() == "UNEXPECTED_MESSAGE" and bare.asked == 1
    gate.wait_log("session.down .*code=KEY_WORN")
    gate.join(agent)
