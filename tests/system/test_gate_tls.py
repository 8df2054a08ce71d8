"""TLS as the real gate speaks it after the handshake, where its own record layer is at work: what a peer gets for a bent record, and how keys are
renewed."""
import os
import shutil
import ssl
import subprocess
import time

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


def flipped(record, at):
    record = bytearray(record)
    record[at] ^= 1
    return bytes(record)


BENT = {
    "a byte of the text": (lambda record: flipped(record, 5), "BAD_RECORD_MAC"),
    "a byte of the tag": (lambda record: flipped(record, -1), "BAD_RECORD_MAC"),
    "twice": (lambda record: record + record, "BAD_RECORD_MAC"),
    "nothing but a tag": (lambda record: bytes((23, 3, 3, 0, 16)) + bytes(16), "BAD_RECORD_MAC"),
    "less than a tag": (lambda record: bytes((23, 3, 3, 0, 15)) + bytes(15), "BAD_RECORD_MAC"),
    "too long": (lambda record: bytes((23, 3, 3, 0x41, 1)), "RECORD_OVERFLOW"),
    "in plain text": (lambda record: bytes((22, 3, 3, 0, 5, KEY_UPDATE, 0, 0, 1, 0)), "UNEXPECTED_MESSAGE"),
}


def test_attack_bent_record(gate):
    """Somebody on the way, or the peer itself, changes records of a waiting office PC and of a session: each gets the alert that RFC 8446 names on
    the wire, nothing of the record arrives, and the other side of the session hears of an orderly end."""
    for count, (name, (bend, alert)) in enumerate(BENT.items(), 1):
        agent_id = os.urandom(16)
        cert = gate.keys.agent(agent_id)
        bare = Bare(gate, cert)
        agent = gate.hello(Frames(bare), gate.outer.ROLE_AGENT, instance=os.urandom(16))
        agent.expect(gate.outer.OUTER_WELCOME)
        bare.socket.sendall(bend(bare.record(bytes((gate.outer.OUTER_PONG, 0, 0, 0)))))
        assert bare.alert() == alert, name
        gate.wait_log("agent.down .*code=CRYPTO", count)

        client = gate.hello(Frames(Bare(gate)), gate.outer.ROLE_CLIENT)
        client, session = gate.join(gate.agent(), client)
        client.stream.socket.sendall(bend(client.stream.record(b"a word")))
        assert client.stream.alert() == alert, name
        assert session.buffer == b"" and b"".join(iter(lambda: session.stream.recv(100), b"")) == (b"a word" if name == "twice" else b"")
        gate.wait_log("session.down .*code=CRYPTO", count)


class SClient:
    """openssl s_client as an office PC."""

    def __init__(self, gate, directory):
        cert = gate.keys.agent(os.urandom(16))
        self.said, self.heard, self.messages = directory / "err", directory / "out", directory / "messages"
        with self.heard.open("wb") as out, self.said.open("wb") as err:
            self.process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{gate.port}", "-servername", "localhost", "-alpn",
                "engawa/1", "-cert", cert, "-key", cert, "-CAfile", gate.keys.dir / "issuer.pem", "-partial_chain", "-verify_return_error", "-msg",
                "-msgfile", self.messages], stdin=subprocess.PIPE, stdout=out, stderr=err, bufsize=0)

    def say(self, data, path, expected):
        """What is written, and what is in the file then."""
        self.process.stdin.write(data)
        end = time.monotonic() + 30
        while expected not in path.read_bytes():
            assert self.process.poll() is None and time.monotonic() < end, path.read_bytes()[-2000:] + self.said.read_bytes()[-500:]
            time.sleep(0.02)


def sends_codes(gate):
    """What an office PC wishes for is answered."""
    gate.controller.answers["LINK_SEND_CODE"] = lambda frames, message: frames.send(gate.link.LINK_CODE_SENT,
        gate.link.LinkCodeSent(request=message.request, code_sent=gate.outer.CodeSent(session_id=message.send_code.session_id)))


def frame(kind, message):
    payload = message.SerializeToString()
    return bytes((kind,)) + len(payload).to_bytes(3, "big") + payload


def test_key_update_of_openssl(gate, tmp_path):
    """A program that renews its key, and wishes the gate to renew its own, as its user says (K), or its own only (k): both go on."""
    outer, peer = gate.outer, SClient(gate, tmp_path)
    hello = frame(outer.OUTER_HELLO, outer.Hello(version=1, role=outer.ROLE_AGENT, build=7, instance=os.urandom(16)))

    sends_codes(gate)

    def speak():
        code = os.urandom(16)
        peer.say(frame(outer.OUTER_SEND_CODE, outer.SendCode(session_id=code, sealed=b"s")), peer.heard,
            frame(outer.OUTER_CODE_SENT, outer.CodeSent(session_id=code)))
    try:
        peer.say(hello, peer.heard, bytes((outer.OUTER_WELCOME,)))
        speak()
        for count, (letter, answers) in enumerate([(b"K", 1), (b"k", 1), (b"K", 2)], 1):
            peer.say(letter + b"\n", peer.said, count * b"KEYUPDATE\n")
            speak()
            messages = peer.messages.read_text()
            assert messages.count(">>> TLS 1.3, Handshake [length 0005], KeyUpdate") == count
            assert messages.count("<<< TLS 1.3, Handshake [length 0005], KeyUpdate") == answers
        peer.process.stdin.write(b"Q\n")
        assert peer.process.wait(30) == 0
        gate.wait_log("agent.down .*code=CLOSED")
    finally:
        peer.process.kill()
        peer.process.wait()


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
