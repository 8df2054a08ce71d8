"""Browsers at the gate: the WebSocket of RFC 6455, and requests that are spliced whole to the controller."""
import hashlib
import os
import socket
import struct
import time

import pytest

from gate_driver import CODE, Frames, exchange, gate, keys, messages, start_gate  # noqa: F401 (fixtures)


def hello(gate, ws, role=None):
    ws.frames.send(gate.outer.OUTER_HELLO, gate.outer.Hello(version=1, role=role or gate.outer.ROLE_CLIENT))
    return ws


def browser(gate):
    ws = hello(gate, gate.websocket())
    assert ws.frames.expect(gate.outer.OUTER_HELLO, gate.outer.Hello).role == gate.outer.ROLE_GATE
    return ws


def join(gate, agent=None):
    agent = agent or gate.agent()
    ws = browser(gate)
    session_id, ticket = gate.controller.ticket(agent.id)
    ws.frames.send(gate.outer.OUTER_JOIN, gate.outer.Join(ticket=ticket))
    agent.expect(gate.outer.OUTER_KNOCK)
    session = gate.answer(agent, session_id)
    for side in ws.frames, session:
        assert side.expect(gate.outer.OUTER_JOINED, gate.outer.Joined).session_id == session_id
    return ws, session


def test_session_through_a_websocket(gate):
    ws, session = join(gate)
    assert gate.controller.wait("LINK_SESSION_UP").browser
    exchange(ws, session.stream, 20_000_000, 2_000_000)
    session.stream.close()
    assert ws.recv() == b"" and ws.closed == 1000
    down = gate.controller.wait("LINK_SESSION_DOWN")
    assert (down.bytes_to_client, down.bytes_to_agent) == (20_000_000, 2_000_000)


def test_fragments_and_control_frames_between(gate):
    ws, session = join(gate)
    ws.send_frame(b"one ", fin=False)
    ws.send_frame(b"ping", op=9)
    ws.send_frame(b"two ", op=0, fin=False)
    ws.send_frame(b"", op=0, fin=False)
    ws.send_frame(b"unasked", op=10)
    ws.send_frame(b"three", op=0)
    assert Frames(session.stream).exactly(13) == b"one two three"
    session.stream.sendall(b"back")
    assert ws.recv() == b"back" and ws.pongs == [b"ping"]


def test_frames_cut_anywhere(gate):
    """Headers, masks and control frames in pieces of a byte; then everything at once."""
    ws, session = join(gate)
    data = ws.frame(b"a" * 5, fin=False) + ws.frame(b"p" * 125, op=9) + ws.frame(b"b" * 300, op=0) + ws.frame(b"c" * 70000)
    for at in range(600):
        ws.stream.sendall(data[at:at + 1])
    ws.stream.sendall(data[600:])
    assert Frames(session.stream).exactly(70305) == b"a" * 5 + b"b" * 300 + b"c" * 70000
    ws.stream.sendall(data + data)
    assert Frames(session.stream).exactly(140610) == (b"a" * 5 + b"b" * 300 + b"c" * 70000) * 2
    session.stream.sendall(b"!")
    assert ws.recv() == b"!" and ws.pongs == [b"p" * 125] * 3


def test_sizes_of_messages(gate):
    """Every length encoding in both directions."""
    ws, session = join(gate)
    for size in 1, 125, 126, 127, 4096, 16383, 16384, 16385, 65535, 65536, 100000:
        data = os.urandom(size)
        ws.sendall(data)
        assert Frames(session.stream).exactly(size) == data
        session.stream.sendall(data)
        assert Frames(ws).exactly(size) == data


@pytest.mark.parametrize("made", [
    lambda ws: ws.frame(b"x", masked=False),
    lambda ws: ws.frame(b"x", rsv=0x40),
    lambda ws: ws.frame(b"x", op=1),
    lambda ws: ws.frame(b"x", op=3),
    lambda ws: ws.frame(b"x", op=11),
    lambda ws: ws.frame(b"x", op=0),
    lambda ws: ws.frame(b"x", fin=False) + ws.frame(b"y"),
    lambda ws: ws.frame(b"x", op=9, fin=False),
    lambda ws: b"\x89\xfe\x00\x7e" + bytes(4) + b"p" * 126,
    lambda ws: b"\x82\xfe\x00\x05" + bytes(4) + b"short",
    lambda ws: b"\x82\xff" + struct.pack(">Q", 100) + bytes(4) + b"l" * 100,
    lambda ws: b"\x82\xff" + struct.pack(">Q", 1 << 63) + bytes(4),
    lambda ws: ws.frame(b"x", op=8),
    lambda ws: ws.frame(struct.pack(">H", 999), op=8),
    lambda ws: ws.frame(struct.pack(">H", 1005), op=8),
    lambda ws: ws.frame(struct.pack(">H", 1000) + b"\xff\xfe", op=8),
])
@pytest.mark.parametrize("joined", [False, True])
def test_broken_frames(gate, made, joined):
    ws, session = join(gate) if joined else (browser(gate), None)
    ws.stream.sendall(made(ws))
    while ws.recv():
        pass
    assert ws.closed == 1002
    if session:
        assert session.stream.recv(10) in (b"", b"x")


def test_frame_too_big(gate):
    ws, session = join(gate)
    ws.stream.sendall(b"\x82\xff" + struct.pack(">Q", (1 << 20) + 1) + bytes(4))
    assert ws.recv() == b"" and ws.closed == 1009
    assert session.stream.recv(1) == b""


def test_close_handshake(gate):
    ws, session = join(gate)
    ws.sendall(b"last")
    ws.send_frame(struct.pack(">H", 1001) + "さようなら".encode(), op=8)
    assert ws.recv() == b"" and ws.closed == 1000
    assert session.stream.recv(10) == b"last" and session.stream.recv(10) == b""
    assert ws.stream.recv(1) == b""  # close_notify: the server closes first (RFC 6455 7.1.1)


def test_browser_may_only_join(gate):
    for role in gate.outer.ROLE_AGENT, gate.outer.ROLE_AGENT_SESSION, gate.outer.ROLE_ENROL, gate.outer.ROLE_GATE:
        ws = hello(gate, gate.websocket(), role)
        assert ws.frames.expect(gate.outer.OUTER_HELLO, gate.outer.Hello)
        assert ws.frames.expect(gate.outer.OUTER_BYE, gate.outer.Bye).code == CODE["PROTOCOL"]
    ws = browser(gate)
    ws.frames.send(gate.outer.OUTER_ASK, gate.outer.Ask(terminal_id="7" * 16, device_hash=bytes(32)))
    assert ws.frames.expect(gate.outer.OUTER_BYE, gate.outer.Bye).code == CODE["PROTOCOL"]
    assert ws.recv() == b"" and ws.closed == 1002


def test_stalled_browser_is_bounded(start_gate):
    gate = start_gate(PIPE_HIGH_BYTES=131072)
    agent = gate.agent()
    ws, session = join(gate, agent)
    before = gate.memory_kib()
    session.stream.settimeout(1)
    with pytest.raises(TimeoutError):
        while True:
            session.stream.send(b"z" * 65536)
    assert gate.memory_kib() - before < 1024
    # pings of a browser that reads nothing do not pile up either
    ws.stream.settimeout(1)
    try:
        for _ in range(2000):
            ws.send_frame(b"p" * 125, op=9)
    except OSError:
        pass
    assert gate.memory_kib() - before < 1536


@pytest.mark.parametrize("headers,status", [
    ({"Origin": None}, 403), ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Origin": "http://localhost"}, 403), ({"Origin": "https://localhost"}, 403), ({"Host": "evil.example"}, 403),
    ({"Upgrade": None}, 400), ({"Upgrade": "h2c"}, 400), ({"Connection": "keep-alive"}, 400),
    ({"Sec-WebSocket-Version": "8"}, 400), ({"Sec-WebSocket-Version": None}, 400), ({"Sec-WebSocket-Key": None}, 400),
    ({"Sec-WebSocket-Key": "AAAA"}, 400), ({"Sec-WebSocket-Key": "!" * 24}, 400), ({"Sec-WebSocket-Protocol": None}, 400),
    ({"Sec-WebSocket-Protocol": "chat"}, 400), ({"Content-Length": "5"}, 400), ({"Transfer-Encoding": "chunked"}, 400),
    ({"Host": None}, 400),
])
def test_bad_upgrade(gate, headers, status):
    answer, stream, _ = gate.upgrade(**headers)
    assert answer.startswith(f"HTTP/1.1 {status} ") and "Connection: close" in answer
    while stream.recv(100):
        pass
    assert not gate.controller.requests


def test_upgrade_variants(gate):
    assert gate.upgrade(**{"Sec-WebSocket-Protocol": "other, engawa.1", "Upgrade": "WebSocket"})[0].startswith("HTTP/1.1 101 ")
    origin = f"https://LOCALHOST:{gate.port}"
    assert gate.upgrade(Origin=origin.replace("LOCALHOST", "localhost"), **{"Content-Length": "0"})[0].startswith("HTTP/1.1 101 ")


def test_frames_right_behind_the_head(gate):
    """A client that does not wait for the answer loses nothing."""
    stream = gate.web()
    sent = []

    class Together:
        def sendall(self, data):
            sent.append(data)

        def recv(self, count):
            if sent:
                frame = hello_frame(gate)
                stream.sendall(b"".join(sent) + frame)
                sent.clear()
            return stream.recv(count)
    answer, _, _ = gate.upgrade(Together())
    assert answer.startswith("HTTP/1.1 101 ")
    raw = Frames(stream)
    first, second = raw.exactly(2)
    assert first == 0x82 and raw.exactly(second)[0] == gate.outer.OUTER_HELLO


def hello_frame(gate):
    payload = gate.outer.Hello(version=1, role=gate.outer.ROLE_CLIENT).SerializeToString()
    data = bytes([gate.outer.OUTER_HELLO, 0, 0, len(payload)]) + payload
    return bytes([0x82, 0x80 | len(data), 0, 0, 0, 0]) + data


# Requests for the controller

def fetch(gate, request, **options):
    stream = gate.web(**options)
    stream.sendall(request)
    return stream


def status_of(stream):
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = stream.recv(4096)
        if not data:
            break
        answer += data
    return int(answer.split()[1]), answer


def wait_request(gate, count=1):
    with gate.controller.changed:
        assert gate.controller.changed.wait_for(lambda: len(gate.controller.requests) >= count, 30)
        return gate.controller.requests[-1][0]


def test_splice_with_proxy_header(gate):
    request = b"POST /v1/connect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody"
    stream = fetch(gate, request)
    assert status_of(stream) == (200, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    local, port = stream.getsockname()
    assert wait_request(gate) == (b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\x00\x0c" + socket.inet_aton(local) * 2 +
        struct.pack(">HH", port, gate.port) + request)


def test_spliced_stays_spliced(gate):
    """A second request on the connection is the controller's, whatever it says."""
    stream = fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status_of(stream)[0] == 200
    second = b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x82\x80"
    stream.sendall(second)
    end = time.monotonic() + 20
    while not wait_request(gate).endswith(second) and time.monotonic() < end:
        wait_request(gate)
        time.sleep(0.02)
    assert gate.controller.requests[-1][0].endswith(second) and len(gate.controller.requests) == 1


SMUGGLED = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    b"GET /\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /\xe3\x81\x82 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", SMUGGLED)
def test_ambiguous_heads_are_refused(gate, request_bytes):
    status, answer = status_of(fetch(gate, request_bytes))
    assert status == 400 and b"Connection: close" in answer and not gate.controller.requests


def test_target_must_be_exact_for_the_websocket(gate):
    """What only looks like /v1/ws is the controller's business, whole."""
    targets = [b"/v1/ws/", b"//v1/ws", b"/v1/WS", b"/v1/%77s", b"/v1/../v1/ws", b"https://localhost/v1/ws", b"/v1/ws#x", b"/v1/ws;a"]
    for number, target in enumerate(targets):
        stream = fetch(gate, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert status_of(stream)[0] == 200
        assert target in wait_request(gate, number + 1)


def test_long_heads(gate):
    assert status_of(fetch(gate, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"))[0] == 431
    assert status_of(fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n"))[0] == 431
    assert status_of(fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000))[0] == 431
    assert status_of(fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 7000 + b"\r\n\r\n"))[0] == 200


def test_body_goes_through_whole(gate):
    body = os.urandom(3_000_000)
    stream = fetch(gate, b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
    stream.sendall(body)
    end = time.monotonic() + 20
    while len(wait_request(gate)) < len(body) and time.monotonic() < end:
        time.sleep(0.05)
    assert hashlib.sha256(wait_request(gate)[-len(body):]).digest() == hashlib.sha256(body).digest()


def test_no_controller(gate):
    gate.controller.stop()
    status, answer = status_of(fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert status == 503 and answer.endswith(b'{"code":%d}\n' % CODE["NO_CONTROLLER"])
    # the browser's session needs none
    gate.wait_log("link.down")
    ws, session = join(gate)
    session.stream.sendall(b"hello")
    assert ws.recv() == b"hello"


def test_pages_have_their_own_limit(start_gate):
    gate = start_gate(SPLICE_MAX=2)
    held = [fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(2)]
    assert [status_of(stream)[0] for stream in held] == [200, 200]
    status, answer = status_of(fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert status == 503 and answer.endswith(b'{"code":%d}\n' % CODE["TOO_MANY"])
    ws, session = join(gate)
    session.stream.sendall(b"hello")
    assert ws.recv() == b"hello"
    held.pop().close()
    end = time.monotonic() + 20
    while (status := status_of(fetch(gate, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))[0]) != 200:  # it hears of the end a moment later
        assert status == 503 and time.monotonic() < end
        time.sleep(0.02)
