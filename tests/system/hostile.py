"""A relay in hostile hands: it has every key of the relay, stands where the gate stands, and plays the office PC."""
import contextlib
import datetime
import hashlib
import hmac
import os
import socket
import ssl
import struct
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gate_driver import Frames, load_key, point_of

HOUR = datetime.timedelta(hours=1)


def signed(messages, key, purpose, body):
    """Signed{body} by a P-256 key (docs/protocol.md 2)."""
    data = body.SerializeToString()
    return messages.signed.Signed(body=data, key_id=hashlib.sha256(point_of(key)).digest()[:8],
        signature=key.sign(purpose + b"\0" + data, ec.ECDSA(hashes.SHA256()))).SerializeToString()


def certificate(path, subject, hosts, usage, issuer_key=None, issuer=None):
    """Certificate and key in one PEM file; self-signed without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject if issuer else name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - HOUR).not_valid_after(now + 24 * HOUR)
        .add_extension(x509.BasicConstraints(issuer is None, None), True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, issuer is None, False, False, False), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer_key or key).public_key()), False))
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
    cert = builder.sign(issuer_key or key, hashes.SHA256())
    path.write_bytes(cert.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return key, cert


class Responder:
    """The agent's side of Noise_IK_25519_AESGCM_SHA256 (revision 34, 5 and 7), written apart from the C and the TypeScript."""

    def __init__(self, static, prologue):
        self.s, self.e = static, x25519.X25519PrivateKey.generate()
        self.h = self.ck = b"Noise_IK_25519_AESGCM_SHA256".ljust(32, b"\0")
        self.mix_hash(prologue)
        self.mix_hash(raw(self.s))

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, private, public):
        temp = hmac.digest(self.ck, private.exchange(x25519.X25519PublicKey.from_public_bytes(public)), "sha256")
        self.ck = hmac.digest(temp, b"\1", "sha256")
        self.k, self.n = hmac.digest(temp, self.ck + b"\2", "sha256"), 0

    def crypt(self, call, data):
        out = call(AESGCM(self.k), b"\0\0\0\0" + struct.pack(">Q", self.n), data, self.h)
        self.n += 1
        self.mix_hash(out if call is AESGCM.encrypt else data)
        return out

    def read(self, message):
        self.re = message[:32]
        self.mix_hash(self.re)
        self.mix_key(self.s, self.re)
        self.rs = self.crypt(AESGCM.decrypt, message[32:80])
        self.mix_key(self.s, self.rs)
        return self.crypt(AESGCM.decrypt, message[80:])

    def write(self, payload):
        self.mix_hash(raw(self.e))
        self.mix_key(self.e, self.re)
        self.mix_key(self.e, self.rs)
        return raw(self.e) + self.crypt(AESGCM.encrypt, payload)


def raw(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class Relay:
    """Listens as the gate of an organisation file of its own making, and answers clients as `answer` says.

    answer(ticket fields) -> (the agent key that goes into the ticket, the key that answers, the statement)."""

    def __init__(self, messages, engawa, pem, answer):
        self.messages, self.engawa, self.answer = messages, engawa, answer
        self.ticket_key = load_key(engawa.ca / "ticket.key")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.context.set_alpn_protocols(["engawa/1"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = []  # what came after each handshake
        self.greeted = 0  # how many accepted us as their gate
        self.failure = None
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()

    def serve(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            with contextlib.suppress(ssl.SSLError, OSError, EOFError):
                stream.settimeout(20)
                self.session(self.context.wrap_socket(stream, server_side=True))

    def session(self, stream):
        outer, frames = self.messages.outer, Frames(stream)
        frames.expect(outer.OUTER_HELLO)
        self.greeted += 1
        frames.send(outer.OUTER_HELLO, outer.Hello(version=1, role=outer.ROLE_GATE))
        ask = frames.expect(outer.OUTER_ASK, outer.Ask)
        key_in_ticket, responder_key, statement = self.answer()
        now = int(time.time())
        body = self.messages.signed.TicketBody(session_id=os.urandom(16), agent_id=bytes.fromhex(self.engawa.state["agent_id"]),
            agent_key=key_in_ticket, device_hash=ask.device_hash, client_address="127.0.0.1", organisation="engawa-shi", gates=["east-1"],
            issued_s=now, not_after_s=now + 60)
        ticket = signed(self.messages, self.ticket_key, b"engawa ticket v1", body)
        frames.send(outer.OUTER_GRANT, outer.Grant(ticket=ticket))
        frames.expect(outer.OUTER_JOIN, outer.Join)
        frames.send(outer.OUTER_JOINED, outer.Joined(session_id=body.session_id))
        suite, generation, length = struct.unpack(">BIH", frames.exactly(7))
        message1 = frames.exactly(length)
        prologue = struct.pack(">BI", suite, generation) + hashlib.sha256(ticket).digest() + body.session_id + ask.terminal_id.encode()
        responder = Responder(responder_key, prologue)
        if raw(responder_key) == key_in_ticket:
            assert responder.read(message1) == b""
        else:  # cannot be read: all that is left is to answer anyhow
            responder.re, responder.rs, responder.k, responder.n = message1[:32], raw(responder_key), bytes(32), 0
        message2 = responder.write(statement)
        stream.sendall(struct.pack(">H", len(message2)) + message2)
        said = b""
        with contextlib.suppress(OSError):  # a client may hang up as it likes
            said = stream.recv(65536)
        self.heard.append(said)
