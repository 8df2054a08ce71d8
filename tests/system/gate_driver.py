"""Drives a real gate: its keys, a peer on its controller sockets, and connections of every kind."""
import base64
import contextlib
import datetime
import hashlib
import os
import pathlib
import random
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", ROOT / "build"))
ORGANISATION = "test-city"


def load_messages(directory):
    """The messages of proto/, made for Python here and now."""
    names = ["outer.proto", "link.proto", "signed.proto"]
    subprocess.run(["protoc", f"--python_out={directory}", "-I", ROOT / "proto", *names], check=True)
    sys.path.insert(0, str(directory))
    import link_pb2, outer_pb2, signed_pb2
    return outer_pb2, link_pb2, signed_pb2


def load_codes():
    text = (ROOT / "src/base/err.def").read_text()
    return {name: int(number) for name, number in re.findall(r"^ERR\((\w+), (\d+),", text, re.M)}


CODE = load_codes()


def point_of(key):
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def load_key(path):
    return serialization.load_pem_private_key(path.read_bytes(), None)


class Keys:
    """A relay's keys, as an operator makes them, and agents' certificates, as the controller issues them."""

    def __init__(self, directory):
        self.dir = directory
        self.engawa("ca", "init", "--dir", directory)
        self.engawa("ca", "page", "--dir", directory, "--host", "localhost")
        self.engawa("gate", "add", "--dir", directory, "--name", "east", "--host", "localhost", "--host", "127.0.0.1")
        self.ticket_key = load_key(directory / "ticket.key")
        self.issuer_key = load_key(directory / "issuer.key")
        self.issuer = x509.load_pem_x509_certificate((directory / "issuer.pem").read_bytes())

    def engawa(self, *arguments):
        subprocess.run([BUILD / "src/cli/engawa", *arguments], check=True, capture_output=True)

    def agent(self, agent_id, issuer_key=None, days=(-1, 30), usage=x509.ExtendedKeyUsageOID.CLIENT_AUTH,
            organisation=ORGANISATION):
        """Certificate and key of an agent in one PEM file."""
        path = self.dir / f"agent-{agent_id.hex()}-{os.urandom(3).hex()}.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, agent_id.hex()),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organisation)])
        now = datetime.datetime.utcnow()
        signer = issuer_key or self.issuer_key
        cert = (x509.CertificateBuilder().subject_name(name).issuer_name(self.issuer.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .add_extension(x509.KeyUsage(True, *[False] * 8), True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuer_key.public_key()), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(signer, hashes.SHA256()))
        path.write_bytes(cert.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return path


class Frames:
    """Frames over anything with sendall and recv."""

    def __init__(self, stream):
        self.stream, self.buffer = stream, b""

    def send(self, kind, message=b""):
        payload = message if isinstance(message, bytes) else message.SerializeToString()
        self.stream.sendall(bytes([kind]) + len(payload).to_bytes(3, "big") + payload)

    def exactly(self, count):
        while len(self.buffer) < count:
            data = self.stream.recv(65536)
            if not data:
                raise EOFError(f"{len(self.buffer)} bytes left over")
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def recv(self):
        header = self.exactly(4)
        return header[0], self.exactly(int.from_bytes(header[1:], "big"))

    def expect(self, kind, message_type=None):
        got, payload = self.recv()
        assert got == kind, f"frame {got} where {kind} was expected: {payload.hex()}"
        return message_type.FromString(payload) if message_type else payload


class Controller:
    """A peer on link.sock and http.sock. What gates say is kept in `heard`; `answers` are the reactions."""

    def __init__(self, run, messages, keys, welcome=None):
        self.run, self.keys, self.welcome = run, keys, welcome or {}
        self.outer, self.link, self.signed = messages
        self.heard, self.changed = [], threading.Condition()
        self.denied, self.answers, self.links, self.listeners, self.requests, self.workers = [], {}, [], [], [], []
        self.welcomed = 0

    def start(self):
        for name, serve in (("link.sock", self.serve_link), ("http.sock", self.serve_http)):
            path = self.run / name
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen(64)
            self.listeners.append(listener)
            threading.Thread(target=self.accept, args=(listener, serve), daemon=True).start()

    def stop(self):
        """As if it had been killed."""
        for one in self.listeners + self.links:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.listeners, self.links, self.workers = [], [], []
        for name in "link.sock", "http.sock":
            (self.run / name).unlink(missing_ok=True)

    def accept(self, listener, serve):
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            self.links.append(stream)
            threading.Thread(target=serve, args=(stream,), daemon=True).start()

    def serve_link(self, stream):
        link, frames = self.link, Frames(stream)
        names = {value: name for name, value in link.LinkType.items()}
        types = {"LINK_HELLO": link.LinkHello, "LINK_AGENT_UP": link.AgentUp, "LINK_AGENT_DOWN": link.AgentDown,
            "LINK_ASK": link.LinkAsk, "LINK_ENROL": link.LinkEnrol, "LINK_SEND_CODE": link.LinkSendCode,
            "LINK_SESSION_UP": link.SessionUp, "LINK_SESSION_DOWN": link.SessionDown, "LINK_PING": self.outer.Ping, "LINK_SESSION_WAITS": link.LinkSessionWaits,
            "LINK_PONG": self.outer.Pong, "LINK_DEMAND": link.LinkDemand}
        try:
            while True:
                kind, payload = frames.recv()
                name = names[kind]
                message = types[name].FromString(payload)
                if name == "LINK_HELLO":
                    self.frames = frames
                    self.workers.append(frames)
                    point = point_of(self.keys.ticket_key)
                    frames.send(link.LINK_WELCOME, link.LinkWelcome(denied=self.denied, ticket_keys=[
                        link.TicketKey(key_id=hashlib.sha256(point).digest()[:8], public_key=point)], **self.welcome))
                    self.welcomed += 1
                if name == "LINK_PING":
                    frames.send(link.LINK_PONG, self.outer.Pong(id=message.id))
                if name in self.answers:
                    self.answers[name](frames, message)
                with self.changed:
                    self.heard.append((name, message))
                    self.changed.notify_all()
        except (EOFError, OSError):
            pass

    def wait(self, name, count=1, timeout=30):
        """The last of at least count messages of this name."""
        def found():
            return [message for kind, message in self.heard if kind == name]
        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, timeout), f"no {name}: {self.heard}"
            return found()[-1]

    def forget(self):
        with self.changed:
            self.heard.clear()

    def send(self, kind, message):
        """Denials go to each worker, like a controller's, and the end of a session, which a controller tells those who have a part in it; the rest
        goes to the one that came last."""
        if kind not in (self.link.LINK_DENY, self.link.LINK_ALLOW, self.link.LINK_END_SESSION):
            return self.frames.send(kind, message)
        for frames in self.workers:
            with contextlib.suppress(OSError):
                frames.send(kind, message)

    def serve_http(self, stream):
        """Keeps everything up to the gate's end of the connection, then answers with its length."""
        data = b""
        try:
            while b"\r\n\r\n" not in data[16:]:
                data += stream.recv(65536)
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            with self.changed:
                self.requests.append([data])
                mine = self.requests[-1]
                self.changed.notify_all()
            while more := stream.recv(65536):
                mine[0] += more
        except OSError:
            pass
        stream.close()

    def ticket(self, agent_id, session_id=None, gates=("east",), issued=0, life=60, key=None, purpose=b"engawa ticket v1",
            organisation=ORGANISATION, prefecture=0, rate_class=0, device=None):
        session_id = session_id or os.urandom(16)
        now = int(time.time()) + issued
        body = self.signed.TicketBody(session_id=session_id, agent_id=agent_id, agent_key=os.urandom(32),
            device_hash=device or os.urandom(32), client_address="192.0.2.1", organisation=organisation, prefecture=prefecture,
            rate_class=rate_class, gates=gates, issued_s=now,
            not_after_s=now + life).SerializeToString()
        key = key or self.keys.ticket_key
        signature = key.sign(purpose + b"\0" + body, ec.ECDSA(hashes.SHA256()))
        key_id = hashlib.sha256(point_of(self.keys.ticket_key)).digest()[:8]
        return session_id, self.signed.Signed(body=body, key_id=key_id, signature=signature).SerializeToString()


def end_program(pid, run):
    """Ends a gate that an older one has started, and no other process that has its number by now."""
    with contextlib.suppress(OSError):
        if str(run) in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 10
            while pathlib.Path(f"/proc/{pid}/cmdline").read_text() and time.monotonic() < end:
                time.sleep(0.01)


def tcp_rows():
    """Local port, remote port and inode of all connections over IPv4."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        row = line.split()
        yield int(row[1][-4:], 16), int(row[2][-4:], 16), f"socket:[{row[9]}]"


def sockets(pid):
    found = set()
    with contextlib.suppress(OSError):  # it is gone
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(fd))
    return found


def holder(pids, local, remote):
    """Which of these processes has the end of a connection that has these ports."""
    for _ in range(20):  # the kernel's list of a busy machine is never of one moment
        inodes = {inode for here, there, inode in tcp_rows() if (here, there) == (local, remote)}
        for pid in pids:
            if inodes & sockets(pid):
                return pid
        time.sleep(0.05)
    raise AssertionError("no process has it")


class Gate:
    """A gate process of its own with its controller."""

    program = BUILD / "src/gate/engawa-gate"

    def __init__(self, keys, messages, run, program=None, welcome=None, **settings):
        self.program = program or self.program
        self.keys, self.run, self.messages = keys, run, messages
        self.outer, self.link, self.signed = messages
        self.log_path = run / "gate.log"
        self.controller = Controller(run, messages, keys, welcome)
        defaults = {"LISTEN": "127.0.0.1:0", "NAME": "east", "CERTIFICATE": keys.dir / "gates/east.pem",
            "KEY": keys.dir / "gates/east.key", "ISSUER": keys.dir / "issuer.pem", "PAGE_CERTIFICATE": keys.dir / "page.pem",
            "PAGE_KEY": keys.dir / "page.key", "RUN_DIRECTORY": run, "USER": "nobody",
            "WORKERS": os.environ.get("ENGAWA_GATE_WORKERS", 1)}
        self.settings = defaults | settings
        (run / "gate.conf").write_text("".join(f"{key} {value}\n" for key, value in self.settings.items() if value is not None))

    def start(self, controller=True):
        if controller:
            self.controller.start()
        self.log_file = open(self.log_path, "w")
        self.process = subprocess.Popen([self.program, "--config", self.run / "gate.conf"], stderr=self.log_file)
        self.pid = self.process.pid  # of the parent that is the gate
        self.wait_log("gate.up")
        self.port = int(re.search(r"gate.listen address=\S*:(\d+)", self.log())[1])
        if controller:
            self.wait_log("link.up", int(self.settings["WORKERS"]))
        return self

    def stop(self):
        self.process.kill()  # its children end with it; draining has tests of its own
        self.process.wait()
        for pid in map(int, re.findall(r"gate.upgrade step=started pid=(\d+)", self.log())):
            end_program(pid, self.run)
        self.controller.stop()
        self.log_file.close()
        for crash in signal.SIGSEGV, signal.SIGABRT, signal.SIGSYS, signal.SIGBUS:
            assert f"signal={crash.value} " not in self.log(), self.log()[-4000:]

    def log(self):
        return self.log_path.read_text()

    def wait_log(self, pattern, count=1, timeout=30):
        end = time.monotonic() + timeout
        while len(found := re.findall(pattern, self.log())) < count:
            assert time.monotonic() < end, f"no {pattern} in the log:\n{self.log()[-4000:]}"
            assert self.lives() or re.search(pattern, self.log()), f"the gate ended:\n{self.log()[-4000:]}"
            time.sleep(0.02)
        return found

    def lives(self):
        return self.process.poll() is None if self.pid == self.process.pid else pathlib.Path(f"/proc/{self.pid}").exists()

    def renew(self):
        """The program at our path takes over; waits until it is the gate."""
        ups = self.log().count("by=upgrade")
        os.kill(self.pid, signal.SIGUSR2)
        self.pid = int(self.wait_log(r"gate.up .*pid=(\d+) by=upgrade", ups + 1, timeout=60)[-1])

    def child(self, role):
        pids = subprocess.run(["pgrep", "-P", str(self.pid), "-f", f"engawa-gate {role}"], capture_output=True,
            text=True).stdout.split()
        return int(pids[-1])

    def children(self, role):
        return [int(pid) for pid in subprocess.run(["pgrep", "-P", str(self.pid), "-f", f"engawa-gate {role}"],
            capture_output=True, text=True).stdout.split()]

    def memory_kib(self, role="worker"):
        status = pathlib.Path(f"/proc/{self.child(role)}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def tcp(self, rcvbuf=None, source=None):
        stream = socket.socket()
        if rcvbuf:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            stream.bind((source, 0))
        stream.settimeout(20)
        stream.connect(("127.0.0.1", self.port))
        return stream

    def context(self, alpn=("engawa/1",), cert=None):
        native = alpn and "engawa/1" in alpn
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.keys.dir / ("issuer.pem" if native else "page-ca.pem"))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if cert:
            context.load_cert_chain(cert)
        return context

    def tls(self, alpn=("engawa/1",), cert=None, stream=None, **options):
        context = self.context(alpn, cert)
        return context.wrap_socket(stream or self.tcp(**options), server_hostname="localhost", suppress_ragged_eofs=False)

    def native(self, cert=None, **options):
        return Frames(self.tls(cert=cert, **options))

    def hello(self, frames, role, **fields):
        frames.send(self.outer.OUTER_HELLO, self.outer.Hello(**{"version": 1, "role": role, "build": 7} | fields))
        answer = frames.expect(self.outer.OUTER_HELLO, self.outer.Hello)
        assert answer.version == 1 and answer.role == self.outer.ROLE_GATE
        return frames

    def client(self, **options):
        return self.hello(self.native(**options), self.outer.ROLE_CLIENT)

    def agent(self, agent_id=None, cert=None, instance=None, **options):
        """A waiting agent: its Frames, with .id and .cert."""
        agent_id = agent_id or os.urandom(16)
        cert = cert or self.keys.agent(agent_id)
        frames = self.native(cert, **options)
        self.hello(frames, self.outer.ROLE_AGENT, instance=instance or os.urandom(16))
        frames.welcome = frames.expect(self.outer.OUTER_WELCOME, self.outer.Welcome)
        frames.id, frames.cert = agent_id, cert
        return frames

    def answer(self, agent, session_id, cert=None, **options):
        """The agent's second connection, for one session."""
        frames = self.hello(self.native(cert or agent.cert, **options), self.outer.ROLE_AGENT_SESSION)
        frames.send(self.outer.OUTER_ANSWER, self.outer.Answer(session_id=session_id))
        return frames

    def join(self, agent, client=None, ticket=None, **options):
        """A session: the streams of client and agent."""
        client = client or self.client(**options)
        session_id, ticket = self.controller.ticket(agent.id, **(ticket or {}))
        client.send(self.outer.OUTER_JOIN, self.outer.Join(ticket=ticket))
        while (frame := agent.recv())[0] == self.outer.OUTER_PING:
            pass  # a machine with much to do takes longer than a keepalive
        assert frame[0] == self.outer.OUTER_KNOCK, f"frame {frame[0]}: {frame[1].hex()}"
        knock = self.outer.Knock.FromString(frame[1])
        assert knock.ticket == ticket
        session = self.answer(agent, session_id)
        for side in client, session:
            assert side.expect(self.outer.OUTER_JOINED, self.outer.Joined).session_id == session_id
        client.session_id = session_id
        return client, session

    def refused(self, frames, code):
        """A Bye with this code, then the end."""
        kind, payload = frames.recv()
        if kind == self.outer.OUTER_HELLO:
            kind, payload = frames.recv()
        assert kind == self.outer.OUTER_BYE, (kind, payload)
        assert self.outer.Bye.FromString(payload).code == CODE[code], self.log()[-2000:]
        assert frames.stream.recv(1) == b""

    def web(self, **options):
        return self.tls(("http/1.1",), **options)

    def upgrade(self, stream=None, **headers):
        """The response head and the stream of a WebSocket request."""
        stream = stream or self.web()
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": f"localhost:{self.port}", "Origin": f"https://localhost:{self.port}", "Upgrade": "websocket",
            "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "engawa.1"} | headers
        head = "GET /v1/ws HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None) + "\r\n"
        stream.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += stream.recv(1)
        return answer.decode(), stream, key

    def websocket(self):
        answer, stream, key = self.upgrade()
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert answer.startswith("HTTP/1.1 101 ") and f"Sec-WebSocket-Accept: {accept}\r\n" in answer
        assert "Sec-WebSocket-Protocol: engawa.1\r\n" in answer
        return WebSocket(stream)


class WebSocket:
    """A client's end: masks, fragments, and gives what comes as a byte stream."""

    def __init__(self, stream):
        self.stream, self.pongs, self.closed = stream, [], None
        self.frames, self.raw = Frames(self), Frames(stream)

    def frame(self, data, op=2, fin=True, masked=True, rsv=0):
        if len(data) < 126:
            size = bytes([len(data)])
        else:
            size = b"\x7e" + struct.pack(">H", len(data)) if len(data) < 65536 else b"\x7f" + struct.pack(">Q", len(data))
        head = bytes([fin << 7 | rsv | op, size[0] | masked << 7]) + size[1:]
        if not masked:
            return head + data
        mask = os.urandom(4)
        repeated = int.from_bytes(mask * (len(data) // 4 + 1), "big") >> (32 - len(data) % 4 * 8 if len(data) % 4 else 32)
        return head + mask + (int.from_bytes(data, "big") ^ repeated).to_bytes(len(data), "big")

    def send_frame(self, *args, **options):
        self.stream.sendall(self.frame(*args, **options))

    def sendall(self, data):
        self.send_frame(data)

    def recv_frame(self):
        first, second = self.raw.exactly(2)
        assert not second & 0x80, "a server does not mask"
        size = second
        if size >= 126:
            size = int.from_bytes(self.raw.exactly(2 if size == 126 else 8), "big")
        return first, self.raw.exactly(size)

    def decode(self, data):
        """What is left of data, and the payload of the whole binary messages in it."""
        payload = []
        while len(data) >= 2:
            at, size = 2, data[1]
            if size >= 126:
                at, width = (4, 2) if size == 126 else (10, 8)
                size = int.from_bytes(data[2:2 + width], "big")
            if len(data) < at + size:
                break
            assert data[0] == 0x82
            payload.append(data[at:at + size])
            data = data[at + size:]
        return data, b"".join(payload)

    def recv(self, _size=0):
        """Payload of the next binary message, b"" after Close."""
        while True:
            first, data = self.recv_frame()
            if first == 0x82:
                return data
            if first == 0x8a:
                self.pongs.append(data)
            if first == 0x88:
                self.closed = int.from_bytes(data[:2], "big")
                return b""


def drink(stream, total):
    got = 0
    while got < total:
        data = stream.recv(65536)
        assert data, f"the end after {got} of {total} bytes"
        got += len(data)


class Side:
    """One end of an exchange: sends so many random bytes in pieces of random sizes and takes so many, both at once. One thread only: Python
    does not lock an SSL object between a reader and a writer."""

    def __init__(self, stream, to_send, to_take, seed):
        self.websocket = stream if isinstance(stream, WebSocket) else None
        self.stream = stream.stream if self.websocket else stream
        self.left, self.take, self.random = to_send, to_take, random.Random(seed)
        self.sent, self.taken, self.block = hashlib.sha256(), hashlib.sha256(), os.urandom(1 << 20)
        self.pending, self.raw = b"", b""

    def refill(self):
        start = self.random.randrange(len(self.block) // 2)
        size = min(self.random.choice([1, 7, 100, 1460, 4096, 16384, 65536, 300000]), self.left)
        piece = self.block[start:start + size]
        self.sent.update(piece)
        self.left -= size
        self.pending = self.websocket.frame(piece) if self.websocket else piece

    def write(self):
        if not self.pending and self.left:
            self.refill()
        if not self.pending:
            return False
        try:
            self.pending = self.pending[self.stream.send(self.pending[:65536]):]
            return True
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False

    def read(self):
        try:
            data = self.stream.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        assert data, f"the end, {self.take} bytes before it was due"
        if self.websocket:
            self.raw, data = self.websocket.decode(self.raw + data)
        self.taken.update(data)
        self.take -= len(data)
        return True

    def run(self):
        self.stream.setblocking(False)
        end = time.monotonic() + 120
        while self.left or self.pending or self.take > 0:
            assert time.monotonic() < end, f"{self.left} to send, {self.take} to take"
            wrote, read = self.write(), self.take > 0 and self.read()
            if not wrote and not read:
                select.select([self.stream], [self.stream] if self.left or self.pending else [], [], 1)
        self.stream.settimeout(20)


def exchange(client, session, to_client, to_agent):
    """Both directions at once; the hashes must be the same at both ends."""
    sides = Side(client, to_agent, to_client, 1), Side(session, to_client, to_agent, 2)
    other = threading.Thread(target=sides[1].run, daemon=True)
    other.start()
    sides[0].run()
    other.join(120)
    assert sides[0].take == sides[1].take == 0
    assert sides[0].sent.digest() == sides[1].taken.digest() and sides[1].sent.digest() == sides[0].taken.digest()


def pace(pair, size):
    """Seconds that a session needs for so many bytes each way."""
    start = time.monotonic()
    exchange(*(side.stream for side in pair), size, size)
    return time.monotonic() - start


def keeps_pace(pair, size, before):
    """It is not several times slower than before, in one of three tries: other programs may take a machine's time once, a gate does it each time."""
    during = [pace(pair, size)]
    while during[-1] > 5 * before + 1:
        assert len(during) < 3, f"{during} s, where it was {before} s"
        during.append(pace(pair, size))


def ignore(call):
    try:
        call()
    except (OSError, ValueError):
        pass


@pytest.fixture(scope="session")
def messages(tmp_path_factory):
    return load_messages(tmp_path_factory.mktemp("pb"))


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def start_gate(messages, keys, tmp_path_factory):
    gates = []

    def start(controller=True, **settings):
        gate = Gate(keys, messages, tmp_path_factory.mktemp("gate"), **settings)
        gates.append(gate)
        return gate.start(controller)
    yield start
    for gate in gates:
        gate.stop()


@pytest.fixture
def gate(start_gate):
    return start_gate(CLIENT_RATE_BYTES_S=0)
