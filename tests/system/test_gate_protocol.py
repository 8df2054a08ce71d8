"""What strangers send: wrong, late, slow, too much. The gate says why, closes, and goes on serving the others."""
import contextlib
import multiprocessing
import os
import pathlib
import select
import socket
import ssl
import subprocess
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gate_driver import BUILD, CODE, ROOT, exchange, gate, ignore, load_key, keys, messages, start_gate  # noqa: F401 (fixtures)


def serves(gate):
    exchange(*(side.stream for side in gate.join(gate.agent())), 10_000, 10_000)


def hello(gate, **fields):
    return gate.outer.Hello(**{"version": 1, "role": gate.outer.ROLE_CLIENT} | fields)


# TLS

@pytest.mark.parametrize("alpn", ["engawa/1", "http/1.1", None])
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1", "-tls1_2"])
def test_only_tls13(gate, alpn, version):
    run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gate.port}", version, "-cipher",
        "ALL:@SECLEVEL=0", *(["-alpn", alpn] if alpn else [])], input="", capture_output=True, text=True, timeout=20)
    assert "alert protocol version" in run.stderr


@pytest.mark.parametrize("alpn", [("h2",), ("h2", "spdy/1"), ("engawa/2",)])
def test_unknown_protocol(gate, alpn):
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        gate.tls(alpn)
    serves(gate)


def test_protocol_and_certificate_go_together(gate):
    def subject(alpn):
        with gate.tls(alpn) as stream:
            cert = x509.load_der_x509_certificate(stream.getpeercert(True))
            return cert.subject.rfc4514_string(), stream.selected_alpn_protocol(), stream.version()
    assert subject(("engawa/1",)) == ("CN=east", "engawa/1", "TLSv1.3")
    assert subject(("engawa/1", "http/1.1")) == ("CN=east", "engawa/1", "TLSv1.3")
    assert subject(("h2", "http/1.1")) == ("CN=localhost", "http/1.1", "TLSv1.3")
    assert subject(None)[0] == "CN=localhost"


def test_no_page_certificate_no_browsers(start_gate):
    gate = start_gate(PAGE_CERTIFICATE=None, PAGE_KEY=None)
    for alpn in ("http/1.1",), None:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            gate.tls(alpn)
    serves(gate)


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 4096,
    b"\x16\x03\x01\xff\xff" + b"\xff" * 4096, b"\x16\x03\x01\0\5\1\0\0\1\0", b"\x16\x03\x01\0\0", b"\x15\x03\x01\0\2\2\0"],
    ids=["http", "ssh", "zeroes", "long record", "short hello", "empty record", "alert"])
def test_foreign_protocol(gate, greeting):
    stream = gate.tcp()
    stream.sendall(greeting)
    ignore(lambda: stream.shutdown(socket.SHUT_WR))  # the gate may have hung up before
    try:
        while stream.recv(4096):
            pass
    except ConnectionResetError:
        pass
    serves(gate)


@pytest.mark.parametrize("kind", ["self-made", "expired", "server's", "not yet valid"])
def test_bad_client_certificate(gate, kind):
    agent_id = os.urandom(16)
    cert = gate.keys.agent(agent_id, **{"self-made": {"issuer_key": ec.generate_private_key(ec.SECP256R1())},
        "expired": {"days": (-30, -1)}, "not yet valid": {"days": (1, 30)},
        "server's": {"usage": x509.ExtendedKeyUsageOID.SERVER_AUTH}}[kind])
    # TLS 1.3: the client is done before the server has looked; the alert comes with the first read
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        stream = gate.native(cert)
        stream.send(gate.outer.OUTER_HELLO, hello(gate, role=gate.outer.ROLE_AGENT, instance=bytes(16)))
        stream.recv()
    gate.wait_log("state=handshake")
    assert "agent.up" not in gate.log()


# Hello

def test_roles_and_certificates(gate):
    outer, cert = gate.outer, gate.keys.agent(os.urandom(16))
    for role, given, instance, code in [
        (outer.ROLE_AGENT, None, bytes(16), "DENIED"),
        (outer.ROLE_AGENT_SESSION, None, b"", "DENIED"),
        (outer.ROLE_CLIENT, cert, b"", "PROTOCOL"),
        (outer.ROLE_ENROL, cert, b"", "PROTOCOL"),
        (outer.ROLE_GATE, None, b"", "PROTOCOL"),
        (outer.ROLE_NONE, None, b"", "PROTOCOL"),
        (99, None, b"", "PROTOCOL"),
        (outer.ROLE_AGENT, cert, b"", "PROTOCOL"),
        (outer.ROLE_AGENT, cert, b"short", "PROTOCOL"),
    ]:
        frames = gate.native(given)
        frames.send(outer.OUTER_HELLO, hello(gate, role=role, instance=instance))
        gate.refused(frames, code)
    assert "agent.up" not in gate.log()


@pytest.mark.parametrize("version", [0, 2, 4294967295])
def test_wrong_version(gate, version):
    frames = gate.native()
    frames.send(gate.outer.OUTER_HELLO, hello(gate, version=version))
    gate.refused(frames, "VERSION")


@pytest.mark.parametrize("payload", [b"\xff" * 20, b"\x08", b"\x2a\x7f" + b"x" * 20, b"\x22\x02\xff\xfe", b"\x22\x11" + b"a" * 17])
def test_undecodable_hello(gate, payload):
    frames = gate.native()
    frames.send(gate.outer.OUTER_HELLO, payload)
    gate.refused(frames, "PROTOCOL")


def test_out_of_order(gate):
    """Every type of frame in every state: what is not in the table ends the connection, and with a reason."""
    outer = gate.outer
    permitted = {"stranger": {outer.OUTER_HELLO, outer.OUTER_BYE},
        "client": {outer.OUTER_ASK, outer.OUTER_JOIN, outer.OUTER_BYE},
        "enrol": {outer.OUTER_ENROL, outer.OUTER_BYE},
        "session": {outer.OUTER_ANSWER, outer.OUTER_BYE},
        "agent": {outer.OUTER_PONG, outer.OUTER_REFUSE, outer.OUTER_SEND_CODE, outer.OUTER_ENROL, outer.OUTER_BYE}}
    agent = gate.agent()
    make = {"stranger": lambda: gate.native(), "client": lambda: gate.client(),
        "enrol": lambda: gate.hello(gate.native(), outer.ROLE_ENROL),
        "session": lambda: gate.hello(gate.native(agent.cert), outer.ROLE_AGENT_SESSION), "agent": lambda: gate.agent()}
    for who, types in permitted.items():
        for kind in [*range(0, 20), 64, 65, 77, 128, 255]:
            if kind not in types:
                frames = make[who]()
                frames.send(kind, b"")
                gate.refused(frames, "PROTOCOL")
    serves(gate)


def test_nothing_between_join_and_joined(gate):
    agent, client = gate.agent(), gate.client()
    _, ticket = gate.controller.ticket(agent.id)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    client.stream.sendall(b"\x01\x00\x00\x00\x00inner")
    gate.refused(client, "PROTOCOL")
    gate.wait_log("session.unanswered")


def test_nothing_behind_answer(gate):
    agent, client = gate.agent(), gate.client()
    session_id, ticket = gate.controller.ticket(agent.id)
    client.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    session = gate.hello(gate.native(agent.cert), gate.outer.ROLE_AGENT_SESSION)
    answer = gate.outer.Answer(session_id=session_id).SerializeToString()
    session.stream.sendall(bytes([gate.outer.OUTER_ANSWER, 0, 0, len(answer)]) + answer + b"early")
    gate.refused(session, "PROTOCOL")
    # the agent may try again
    gate.answer(agent, session_id).expect(gate.outer.OUTER_JOINED)


@pytest.mark.parametrize("kind,length", [(1, 16384), (1, 16385), (1, 65537), (1, 0xffffff)])
def test_frame_too_long_for_a_stranger(gate, kind, length):
    frames = gate.native()
    frames.stream.sendall(bytes([kind]) + length.to_bytes(3, "big"))
    gate.refused(frames, "TOO_LONG")


@pytest.mark.parametrize("length", [65537, 0xffffff, 5000])
def test_frame_too_long_for_a_client(gate, length):
    client = gate.client()
    client.stream.sendall(bytes([gate.outer.OUTER_JOIN]) + length.to_bytes(3, "big"))
    gate.refused(client, "TOO_LONG")


def test_bytes_one_by_one(gate):
    """Frames do not depend on how TCP or TLS cuts them."""
    agent = gate.agent()
    session_id, ticket = gate.controller.ticket(agent.id)
    client = gate.native()
    messages = [(gate.outer.OUTER_HELLO, hello(gate)), (gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))]
    data = b"".join(bytes([k]) + len(m.SerializeToString()).to_bytes(3, "big") + m.SerializeToString() for k, m in messages)
    for byte in data:
        client.stream.sendall(bytes([byte]))
    agent.expect(gate.outer.OUTER_KNOCK)
    gate.answer(agent, session_id).expect(gate.outer.OUTER_JOINED)


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 5, 7])
def test_truncated(gate, cut):
    frames = gate.native()
    payload = hello(gate).SerializeToString()
    frames.stream.sendall((bytes([1, 0, 0, len(payload)]) + payload)[:cut])
    frames.stream.shutdown(socket.SHUT_WR)
    gate.wait_log("connection.end state=hello")
    serves(gate)


def test_random_frames(gate):
    """Anything at all after the handshake."""
    for seed in range(40):
        frames = gate.native()
        try:
            frames.stream.sendall(os.urandom(1 + seed * 97))
            frames.stream.settimeout(5)
            while frames.stream.recv(65536):
                pass
        except (OSError, EOFError):
            pass
    serves(gate)


# Slow ones and many

def test_deadlines(start_gate):
    gate = start_gate(HANDSHAKE_S=2, HELLO_S=2, FRAME_S=2)
    silent, greeting = gate.tcp(), gate.native()
    half = gate.native()
    half.stream.sendall(b"\x01\x00")
    client = gate.client()
    web = gate.web()
    web.sendall(b"GET / HTTP/1.1\r\n")
    start = time.monotonic()
    assert silent.recv(1) == b""
    gate.refused(greeting, "SLOW")
    gate.refused(half, "SLOW")
    gate.refused(client, "SLOW")
    assert b" 408 " in web.recv(100)
    assert time.monotonic() - start < 8  # and not ten or twenty, as it is when nothing is set


def crawl(gate, kind, stop):
    """Opens, says a little, then a byte now and then; comes back when it is thrown out."""
    openings = b"\x16\x03\x01\x02\x00", b"\x01\x00\x00\xff" + b"\0" * 200, b"GET / HTTP/1.1\r\nX-A: " + b"a" * 4000
    while not stop.is_set():
        try:
            stream = gate.tcp() if kind == 0 else gate.native().stream if kind == 1 else gate.web()
            stream.sendall(openings[kind])
            while not stop.wait(0.5):
                stream.sendall(b"\x01")
        except OSError:
            stop.wait(0.05)


def crawl_all(gate, count, stop):
    for number in range(count):
        threading.Thread(target=crawl, args=(gate, number % 3, stop), daemon=True).start()
    stop.wait()


def test_slow_loris(start_gate):
    """Many that send a byte now and then: memory stays bounded, who is quick gets in, the slowest give way."""
    gate = start_gate(HALF_OPEN_MAX=60, HANDSHAKE_S=60, HELLO_S=60)
    serves(gate)
    before = gate.memory_kib()
    forked = multiprocessing.get_context("fork")
    stop = forked.Event()
    crowd = forked.Process(target=crawl_all, args=(gate, 120, stop), daemon=True)
    crowd.start()
    try:
        gate.wait_log("limit.half_open", timeout=30)
        for _ in range(2):
            for attempt in range(5):  # on a busy machine we may be a slow one ourselves, and come back, as a client does
                try:
                    serves(gate)
                    break
                except (OSError, EOFError):
                    assert attempt < 4
        assert gate.memory_kib() - before < 60 * (64 + 24) + 4096
    finally:
        stop.set()
        crowd.join(10)
        crowd.kill()


def room_again(gate):
    """The gate hears of a closed connection a moment later than we close it."""
    end = time.monotonic() + 30
    while True:
        try:
            return gate.client()
        except (OSError, EOFError):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_limits_of_a_source(start_gate):
    gate = start_gate(SOURCE_MAX=5, SOURCE_HALF_OPEN_MAX=3)
    crowd = [gate.agent() for _ in range(5)]
    with pytest.raises((OSError, EOFError)):
        gate.client()
    gate.wait_log("limit.source address=127.0.0.1")
    gate.client(source="127.0.0.2")  # another source has its own
    crowd.pop().stream.close()
    room_again(gate)
    half = [gate.tcp(source="127.0.0.3") for _ in range(3)]
    end = time.monotonic() + 30
    with contextlib.suppress(OSError, EOFError):
        while True:  # one that a worker looks at before the last of them is let in, and that one turned away
            gate.client(source="127.0.0.3").stream.close()
            assert time.monotonic() < end, "all get in"
            half.append(gate.tcp(source="127.0.0.3"))
    gate.wait_log("limit.source_half_open address=127.0.0.3")
    end = time.monotonic() + 10
    while len(half) - len(select.select(half, [], [], 0)[0]) > 3 + int(gate.settings["WORKERS"]):  # each worker has a place for one in any case
        assert time.monotonic() < end, "more than there are places for"
        time.sleep(0.05)


def test_connections_in_all(start_gate):
    gate = start_gate(CONNECTIONS_MAX=6)
    agent = gate.agent()
    pair = gate.join(agent)
    crowd = [gate.client() for _ in range(3)]
    with pytest.raises((OSError, EOFError)):
        gate.client()
    gate.wait_log("limit.connections")
    exchange(pair[0].stream, pair[1].stream, 1000, 1000)  # the old ones stay
    del crowd[:]
    room_again(gate)


def test_asks_of_one_connection(start_gate):
    gate = start_gate(ASKS_MAX=3)
    gate.controller.answers["LINK_ASK"] = lambda frames, message: frames.send(gate.link.LINK_GRANT,
        gate.link.LinkGrant(request=message.request, grant=gate.outer.Grant(code=CODE["UNREACHABLE"])))
    client = gate.client()
    for _ in range(3):
        client.send(gate.outer.OUTER_ASK, gate.outer.Ask(terminal_id="7" * 16, device_hash=bytes(32)))
        assert client.expect(gate.outer.OUTER_GRANT, gate.outer.Grant).code == CODE["UNREACHABLE"]
    client.send(gate.outer.OUTER_ASK, gate.outer.Ask(terminal_id="7" * 16, device_hash=bytes(32)))
    gate.refused(client, "LIMIT")


def test_agent_that_does_not_read(start_gate):
    """Answers for it do not pile up."""
    gate = start_gate(controller=False)
    agent = gate.agent(rcvbuf=4096)
    before = gate.memory_kib()
    request = gate.outer.SendCode(session_id=bytes(16), sealed=b"s").SerializeToString()
    flood = (bytes([gate.outer.OUTER_SEND_CODE, 0, 0, len(request)]) + request) * 2000
    with pytest.raises(OSError):
        for _ in range(500):
            agent.stream.sendall(flood)
    gate.wait_log("limit.queue")
    gate.wait_log("agent.down")
    assert gate.memory_kib() - before < 2048


def test_one_agent_can_not_keep_the_controller_busy(gate):
    """Its requests have a limit of their own: others are served meanwhile."""
    gate.controller.answers["LINK_ASK"] = lambda frames, message: frames.send(gate.link.LINK_GRANT,
        gate.link.LinkGrant(request=message.request, grant=gate.outer.Grant(code=CODE["UNREACHABLE"])))
    agent = gate.agent()
    for _ in range(100):
        agent.send(gate.outer.OUTER_SEND_CODE, gate.outer.SendCode(session_id=bytes(16), sealed=b"s"))
    codes = [agent.expect(gate.outer.OUTER_CODE_SENT, gate.outer.CodeSent).code for _ in range(92)]
    assert set(codes) == {CODE["LIMIT"]}
    client = gate.client()
    client.send(gate.outer.OUTER_ASK, gate.outer.Ask(terminal_id="7" * 16, device_hash=bytes(32)))
    assert client.expect(gate.outer.OUTER_GRANT, gate.outer.Grant).code == CODE["UNREACHABLE"]


# What the processes may do

def status(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return line.split()[1:]


@pytest.mark.parametrize("role", ["worker", "keeper"])
def test_processes_have_no_rights(gate, role):
    pid = gate.child(role)
    assert status(pid, "Seccomp") == ["2"] and status(pid, "NoNewPrivs") == ["1"]
    assert set(status(pid, "Uid")) == {"65534"} and status(pid, "CapEff") == ["0000000000000000"]
    assert status(pid, "Groups") in ([], None)
    opened = {os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd")}
    assert opened <= {"socket", "anon_inode", "/dev/null", str(gate.log_path)}


def test_key_is_in_the_keeper_only(gate):
    """The bytes of the private keys, searched in the memory of each process."""
    serves(gate)
    secrets = []
    for name in "gates/east.key", "page.key":
        number = load_key(gate.keys.dir / name).private_numbers().private_value
        secrets += [number.to_bytes(32, "big"), number.to_bytes(32, "little")]

    def holds(pid):
        found = set()
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                if "r" not in rights or "[v" in line:
                    continue
                start, end = (int(x, 16) for x in span.split("-"))
                memory.seek(start)
                try:
                    data = memory.read(end - start)
                except OSError:
                    continue
                found |= {secret for secret in secrets if secret in data}
        return found
    assert holds(gate.child("keeper"))
    assert not holds(gate.child("worker")) and not holds(gate.process.pid)


# Settings

def run_gate(*arguments):
    return subprocess.run([BUILD / "src/gate/engawa-gate", *arguments], capture_output=True, text=True, timeout=20)


def test_dump_config_is_a_config(gate, tmp_path):
    dumped = run_gate("--config", gate.run / "gate.conf", "--dump-config")
    assert dumped.returncode == 0
    (tmp_path / "dumped.conf").write_text(dumped.stdout)
    assert run_gate("--config", tmp_path / "dumped.conf", "--dump-config").stdout == dumped.stdout
    assert run_gate("--config", tmp_path / "dumped.conf", "--check-config").returncode == 0


def test_gate_add(keys):
    cert = x509.load_pem_x509_certificate((keys.dir / "gates/east.pem").read_bytes())
    assert cert.issuer == keys.issuer.subject
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    key = keys.dir / "gates/east.key"
    before = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600

    def add(*arguments):
        return subprocess.run([BUILD / "src/cli/engawa", "gate", "add", "--dir", keys.dir, *arguments], capture_output=True)
    assert add("--name", "east", "--host", "localhost").returncode == 1 and key.read_bytes() == before
    for name in "", "../east", "East", "-x", "a" * 64, "a b":
        assert add("--name", name, "--host", "localhost").returncode == 2
    assert add("--name", "north-2").returncode == 2


def test_manual_has_every_setting():
    manual = " ".join((ROOT / "docs/man/engawa-gate.8.scd").read_text().replace("_link.sock_", "link.sock").replace("_http.sock_",
        "http.sock").split())
    for entry in run_gate("--man-options").stdout.strip().split("\n\n"):
        assert " ".join(entry.split()) in manual


@pytest.mark.parametrize("settings,words", [
    ({"NAME": None}, "NAME"), ({"CERTIFICATE": None}, "CERTIFICATE"), ({"ISSUER": None}, "ISSUER"),
    ({"PAGE_KEY": None}, "PAGE_KEY"), ({"SILENCE_S": "5", "KEEPALIVE_S": "5"}, "SILENCE_S"), ({"WORKERS": "65"}, "WORKERS"),
    ({"NONSENSE": "1"}, "NONSENSE"), ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"), ({"KEY": "/nowhere/key"}, "keeper"),
    ({"CERTIFICATE": "/nowhere/cert"}, "/nowhere/cert"), ({"USER": "nobody-at-all"}, "nobody-at-all"),
    ({"KEY": "{issuer}/issuer.key"}, "keeper.key"), ({"PAGE_KEY": "{issuer}/issuer.key"}, "page.pem"),
    ({"LISTEN": "localhost:443"}, "localhost"), ({"LISTEN": "127.0.0.1:99999"}, "99999"),
    ({"LISTEN": "192.0.2.1:0"}, "EADDRNOTAVAIL"),
])
def test_bad_settings(keys, tmp_path, settings, words):
    good = {"LISTEN": "127.0.0.1:0", "NAME": "east", "CERTIFICATE": keys.dir / "gates/east.pem",
        "KEY": keys.dir / "gates/east.key", "ISSUER": keys.dir / "issuer.pem", "PAGE_CERTIFICATE": keys.dir / "page.pem",
        "PAGE_KEY": keys.dir / "page.key", "RUN_DIRECTORY": tmp_path, "USER": "nobody"} | settings
    config = tmp_path / "gate.conf"
    config.write_text("".join(f"{key} {value}\n".replace("{issuer}", str(keys.dir)) for key, value in good.items() if value is not None))
    run = run_gate("--config", config)
    assert run.returncode in (1, 2) and words in run.stderr
