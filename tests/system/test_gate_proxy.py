"""The PROXY protocol in front of TLS: from the load balancer that is configured always, from anybody else never."""
import select
import socket
import struct

import pytest

from gate_driver import Frames, keys, messages, start_gate  # noqa: F401 (fixtures)
from test_gate_quota import in_the_end

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(source="198.51.100.7", command=0x21):
    if command == 0x20:
        return SIGNATURE + struct.pack(">BBH", command, 0, 0)
    return SIGNATURE + struct.pack(">BBH", command, 0x11, 12) + socket.inet_aton(source) + bytes(4) + struct.pack(">HH", 1234, 443)


@pytest.fixture
def gate(start_gate):
    return start_gate(PROXY_FROM="127.0.0.2/32", SOURCE_MAX=3)


def connect(gate, first, source="127.0.0.2", parts=1):
    """A client whose connection begins with these bytes."""
    stream = gate.tcp(source=source)
    for i in range(parts):
        stream.sendall(first[len(first) * i // parts:len(first) * (i + 1) // parts])
    return stream


def greet(gate, stream):
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["engawa/1"])
    frames = Frames(context.wrap_socket(stream))
    frames.send(gate.outer.OUTER_HELLO, gate.outer.Hello(version=1, role=gate.outer.ROLE_CLIENT))
    frames.expect(gate.outer.OUTER_HELLO)
    return frames


def fails(gate, stream):
    with pytest.raises((OSError, EOFError)):
        greet(gate, stream)


def test_address_of_the_header_counts(gate):
    kept = [greet(gate, connect(gate, header())) for _ in range(3)]
    fails(gate, connect(gate, header()))
    gate.wait_log("limit.source address=198.51.100.7")
    kept.append(greet(gate, connect(gate, header("198.51.100.8"))))  # the load balancer itself has no count
    kept.append(greet(gate, connect(gate, header(command=0x20))))  # and asks for itself


def test_header_in_pieces(gate):
    greet(gate, connect(gate, header(), parts=7))


def test_attack_header_from_somebody_else(gate):
    """Another source claims to be a load balancer: its header is no TLS, and no address is taken from it."""
    fails(gate, connect(gate, header("203.0.113.1"), source="127.0.0.3"))
    assert "203.0.113.1" not in gate.log()
    greet(gate, connect(gate, b"", source="127.0.0.3"))


@pytest.mark.parametrize("first", [b"", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 60000),
    SIGNATURE + struct.pack(">BBH", 0x31, 0x11, 12) + bytes(12), SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 4) + bytes(4)])
def test_attack_bad_headers(gate, first):
    """The load balancer's address with no header, the old version's, one that is too long or too short: nothing goes on."""
    fails(gate, connect(gate, first))


@pytest.mark.parametrize("source", ["198.51.100.9", "127.0.0.2"])
def test_attack_silent_ones_behind_a_load_balancer(start_gate, source):
    """Tried: one host takes all the half-open places of its address through a load balancer, or the load balancer says that it is all of them. What
    comes of it: the slowest of that address gives way to the next one from there; others do not notice."""
    gate = start_gate(PROXY_FROM="127.0.0.2/32", SOURCE_HALF_OPEN_MAX=3, HANDSHAKE_S=60)
    silent = [connect(gate, header(source)) for _ in range(3)]
    in_the_end(lambda: greet(gate, connect(gate, header("198.51.100.10"))), 60)
    kept = [in_the_end(lambda: greet(gate, connect(gate, header(source))), 60)]
    gate.wait_log(f"limit.source_half_open address={source}")
    assert select.select(silent, [], [], 20)[0]
    kept.append(greet(gate, gate.tcp(source="127.0.0.5")))
