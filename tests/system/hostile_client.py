"""A client that says what it likes: the inner channel written apart from the C and the TypeScript, for attacks on an office PC."""
import contextlib
import hashlib
import hmac
import os
import socket
import ssl
import struct
import subprocess
import sys
import time

from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gate_driver import ROOT, Frames
from hostile import raw


def load_inner(directory):
    subprocess.run(["protoc", f"--python_out={directory}", "-I", ROOT / "proto", "inner.proto"], check=True)
    sys.path.insert(0, str(directory))
    import inner_pb2
    return inner_pb2


def hkdf(ck, data):
    temp = hmac.digest(ck, data, "sha256")
    one = hmac.digest(temp, b"\1", "sha256")
    return one, hmac.digest(temp, one + b"\2", "sha256")


class Initiator:
    """The client's side of Noise_IK_25519_AESGCM_SHA256, with a psk of Noise_IKpsk2 (revision 34, 5, 7 and 9), and of
    docs/protocol.md 5."""

    def __init__(self, static, remote, prologue, psk=None):
        self.s, self.rs, self.e, self.psk = static, remote, x25519.X25519PrivateKey.generate(), psk
        name = b"Noise_IKpsk2_25519_AESGCM_SHA256" if psk else b"Noise_IK_25519_AESGCM_SHA256"
        self.h = self.ck = name.ljust(32, b"\0")
        self.mix_hash(prologue)
        self.mix_hash(remote)

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def mix(self, data):
        self.ck, self.k = hkdf(self.ck, data)
        self.n = 0

    def mix_key(self, private, public):
        self.mix(private.exchange(x25519.X25519PublicKey.from_public_bytes(public)))

    def mix_ephemeral(self, public):
        self.mix_hash(public)
        if self.psk:
            self.mix(public)

    def mix_psk(self):
        temp = hmac.digest(self.ck, self.psk, "sha256")
        self.ck = hmac.digest(temp, b"\1", "sha256")
        middle = hmac.digest(temp, self.ck + b"\2", "sha256")
        self.mix_hash(middle)
        self.k, self.n = hmac.digest(temp, middle + b"\3", "sha256"), 0

    def encrypt(self, data):
        out = AESGCM(self.k).encrypt(b"\0\0\0\0" + struct.pack(">Q", self.n), data, self.h)
        self.n += 1
        self.mix_hash(out)
        return out

    def write(self):
        self.mix_ephemeral(raw(self.e))
        self.mix_key(self.e, self.rs)
        static = self.encrypt(raw(self.s))
        self.mix_key(self.s, self.rs)
        return raw(self.e) + static + self.encrypt(b"")

    def read(self, message):
        re = message[:32]
        self.mix_ephemeral(re)
        self.mix_key(self.e, re)
        self.mix_key(self.s, re)
        if self.psk:
            self.mix_psk()
        payload = AESGCM(self.k).decrypt(bytes(12), message[32:], self.h)
        self.mix_hash(message[32:])
        return payload

    def keys(self):
        """Login keys, then work keys: client's and agent's."""
        export = hmac.digest(self.ck, b"engawa export", "sha256")
        return (*hkdf(self.ck, b""), hmac.digest(export, b"work client" + self.h, "sha256"),
            hmac.digest(export, b"work agent" + self.h, "sha256"), hmac.digest(export, b"psk" + self.h, "sha256"))


class Direction:
    def __init__(self, key):
        self.key, self.n = AESGCM(key), 0

    def nonce(self):
        self.n += 1
        return b"\0\0\0\0" + struct.pack(">Q", self.n - 1)


class Refused(Exception):
    pass


class HostileClient:
    """From the socket to the inner channel; then whatever a test wants to say."""

    psk = None

    def __init__(self, engawa, outer, inner, device=None, port=None):
        self.engawa, self.outer, self.inner = engawa, outer, inner
        self.device = device or x25519.X25519PrivateKey.generate()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["engawa/1"])
        self.stream = context.wrap_socket(socket.create_connection(("127.0.0.1", port or engawa.port), 30))
        self.stream.settimeout(30)
        self.frames = Frames(self.stream)
        self.frames.send(outer.OUTER_HELLO, outer.Hello(version=1, role=outer.ROLE_CLIENT, build=1, locale="ja"))
        self.frames.expect(outer.OUTER_HELLO)

    def close(self):
        self.stream.close()

    def leave(self):
        """Says so at work, where the office PC would wait for it to come back."""
        try:
            self.input(self.inner.INNER_END, self.inner.End())
        except (AttributeError, OSError):
            pass
        self.close()

    def ask(self, device_hash=None):
        terminal_id = self.engawa.terminal_id.replace("-", "")
        self.frames.send(self.outer.OUTER_ASK, self.outer.Ask(terminal_id=terminal_id,
            device_hash=device_hash or hashlib.sha256(raw(self.device)).digest()))
        grant = self.frames.expect(self.outer.OUTER_GRANT, self.outer.Grant)
        if grant.code:
            raise Refused(grant.code)
        self.ticket = grant.ticket
        return self

    def join(self, ticket=None):
        self.frames.send(self.outer.OUTER_JOIN, self.outer.Join(ticket=ticket or self.ticket))
        kind, payload = self.frames.recv()
        if kind != self.outer.OUTER_JOINED:
            raise Refused(self.outer.Bye.FromString(payload).code)
        self.session_id = self.outer.Joined.FromString(payload).session_id
        return self

    def resume(self, ticket, psk, attempt=None):
        """In place of ask and join."""
        attempt = os.urandom(16) if attempt is None else attempt
        self.ticket, self.psk = ticket, psk
        self.frames.send(self.outer.OUTER_RESUME, self.outer.Resume(ticket=ticket, attempt=attempt))
        kind, payload = self.frames.recv()
        if kind != self.outer.OUTER_JOINED:
            raise Refused(self.outer.Bye.FromString(payload).code)
        self.session_id = self.outer.Joined.FromString(payload).session_id
        assert self.session_id == hashlib.sha256(b"engawa resume\0" + ticket + attempt).digest()[:16]
        return self

    def office_key(self):
        secret = bytes.fromhex((self.engawa.agent_dir / "agent.key").read_text().strip())
        return raw(x25519.X25519PrivateKey.from_private_bytes(secret))

    def hello(self, suite=1, generation=0, terminal_id=None):
        """The bytes before and with message 1."""
        head = struct.pack(">BI", suite, generation)
        terminal_id = terminal_id or self.engawa.terminal_id.replace("-", "")
        self.noise = Initiator(self.device, self.office_key(), head + hashlib.sha256(self.ticket).digest() + self.session_id + terminal_id.encode(),
            self.psk)
        message1 = self.noise.write()
        return head + struct.pack(">H", len(message1)) + message1

    def shake(self, **options):
        self.stream.sendall(self.hello(**options))
        self.noise.read(self.frames.exactly(int.from_bytes(self.frames.exactly(2), "big")))
        keys = self.noise.keys()
        self.out, self.back = Direction(keys[0]), Direction(keys[1])
        self.work, self.next_psk = keys[2:4], keys[4]
        return self

    def begin(self):
        return self.ask().join().shake()

    # --- records -----------------------------------------------------------------------------------------------------

    def seal(self, kind, message=b"", size=1024, padding=b"\0"):
        payload = message if isinstance(message, bytes) else message.SerializeToString()
        plain = bytes([kind]) + len(payload).to_bytes(3, "big") + payload
        return self.seal_plain(plain + padding * (-len(plain) % size))

    def seal_plain(self, plain):
        sealed = self.out.key.encrypt(self.out.nonce(), plain, b"")
        return struct.pack(">H", len(sealed)) + sealed

    def say(self, kind, message=b"", **options):
        self.stream.sendall(self.seal(kind, message, **options))

    def hear(self):
        """Type and payload of the next record; (None, b"") at the end."""
        try:
            self.length = int.from_bytes(self.frames.exactly(2), "big")  # what a listener sees of it
            sealed = self.frames.exactly(self.length)
        except (EOFError, ConnectionError, ssl.SSLError):
            return None, b""
        plain = self.back.key.decrypt(self.back.nonce(), sealed, b"")
        return plain[0], plain[4:4 + int.from_bytes(plain[1:4], "big")]

    def hear_until(self, *kinds):
        while True:
            kind, payload = self.hear()
            if kind is None or kind in kinds:
                return kind, payload

    # --- the honest way ----------------------------------------------------------------------------------------------

    def facts(self, **options):
        self.say(self.inner.INNER_FACTS, self.inner.Facts(**({"kind": self.inner.CLIENT_APP, "build": 1, "computer_name": "hostile",
            "locale": "ja", "window_mib": 8} | options)))
        return self.hear()

    def reply(self, kind, text):
        self.say(self.inner.INNER_REPLY, self.inner.Reply(kind=kind, text=text))

    def report(self, **options):
        """Of a home PC that is in order, but for what options say."""
        now = int(time.time())
        return self.inner.Posture(**({"version": 1, "channel": self.noise.h[:16], "system": self.inner.SYSTEM_LINUX, "os": "debian", "os_version": "12",
            "antivirus": [self.inner.Antivirus(name="ClamAV", running=self.inner.KNOWN_YES, patterns_s=now - 86400)],
            "updates_looked_s": now - 86400, "updates_done_s": now - 86400, "networks": [self.inner.NETWORK_WPA2]} | options))

    def prove(self):
        """To the prompt after the code."""
        seen = self.engawa.mail.count()
        kind, payload = self.facts()
        assert kind == self.inner.INNER_PROMPT, (kind, payload)
        self.reply(self.inner.PROMPT_MAIL_CODE, self.engawa.mail.next_pin(seen))
        kind, payload = self.hear()
        assert kind == self.inner.INNER_PROMPT, (kind, payload)
        return self.inner.Prompt.FromString(payload)

    def log_in(self):
        """To the work keys."""
        prompt = self.prove()
        if prompt.kind == self.inner.PROMPT_POSTURE:
            self.say(self.inner.INNER_POSTURE, self.report())
            kind, payload = self.hear()
            assert kind == self.inner.INNER_PROMPT, (kind, payload)
            prompt = self.inner.Prompt.FromString(payload)
        assert prompt.kind == self.inner.PROMPT_PASSWORD
        self.reply(self.inner.PROMPT_PASSWORD, self.engawa.password)
        kind, payload = self.hear()
        assert kind == self.inner.INNER_START, (kind, payload)
        self.out, self.back = Direction(self.work[0]), Direction(self.work[1])
        return self.inner.Start.FromString(payload)

    def come_back(self, **options):
        """After resume and shake: to the new work keys."""
        kind, payload = self.facts(**options)
        if kind == self.inner.INNER_REFUSED:
            raise Refused(self.inner.Refused.FromString(payload).code)
        assert kind == self.inner.INNER_START, (kind, payload)
        self.out, self.back = Direction(self.work[0]), Direction(self.work[1])
        return self.inner.Start.FromString(payload)

    def input(self, kind, message=b""):
        self.say(kind, message, size=64)


@contextlib.contextmanager
def clients_of(engawa, outer, inner):
    """Makes clients that say what they like; in the end all leave."""
    clients = []

    def make(**options):
        clients.append(HostileClient(engawa, outer, inner, **options))
        return clients[-1]
    try:
        yield make
    finally:
        for client in clients:
            client.leave()
