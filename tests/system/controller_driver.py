"""Drives a real controller: its keys and database, a gate's link, an office PC that enrols, browsers behind a PROXY header."""
import base64
import contextlib
import email
import email.policy
import hashlib
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gate_driver import BUILD, CODE, load_key, point_of

PROGRAM = BUILD / "src/controller/engawa-controller"
ENGAWA = BUILD / "src/cli/engawa"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def wait_for(condition, what, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: nothing after {timeout_s} s"
        time.sleep(0.02)
    return value


class Controller:
    """Everything in one short directory: sockets have short names. As root the roles become nobody."""

    def __init__(self, ca_prefix=(), **settings):
        self.dir = tempfile.mkdtemp(prefix="ec.")
        os.chmod(self.dir, 0o755)
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.ca, self.run, self.data, self.web = (f"{self.dir}/{name}" for name in ("ca", "run", "data", "web"))
        self.database, self.log = f"{self.data}/c.db", f"{self.dir}/log"
        os.mkdir(self.data)
        os.mkdir(self.web)
        if os.geteuid() == 0:
            os.chown(self.data, pwd.getpwnam(self.user).pw_uid, -1)
        subprocess.run([*ca_prefix, ENGAWA, "ca", "init", "--dir", self.ca], check=True, capture_output=True)
        self.settings = {"RUN_DIRECTORY": self.run, "DATABASE": self.database, "CA_DIRECTORY": self.ca,
            "WEB_DIRECTORY": self.web, "USER": self.user, "LOG_LEVEL": "debug"} | settings
        self.process = None
        self.orgs = 0

    def start(self, prefix=()):
        with open(f"{self.dir}/conf", "w") as conf:
            conf.writelines(f"{key} {value}\n" for key, value in self.settings.items())
        with open(self.log, "ab") as log:
            before = len(self.log_text())  # of an earlier start
            self.process = subprocess.Popen([*prefix, PROGRAM, "--config", f"{self.dir}/conf"], stdout=log, stderr=log)
        roles = ["parent", "core", "web"] + ["mailer"] * ("SMTP_URL" in self.settings)
        wait_for(lambda: all(f"role={role}" in self.log_text()[before:] for role in roles), "roles")
        wait_for(lambda: self.answers(), "admin.sock")
        return self

    def answers(self):
        try:
            return self.admin("GET", "/gates")[0] == 200
        except OSError:
            return False

    def log_text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def role(self, name):
        """Process id of a role."""
        for line in subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout.splitlines():
            pid, parent, args = line.split(None, 2)
            if args.endswith(f"{self.dir}/conf {name}"):
                return int(pid)
        return None

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)
        return self.process.returncode if self.process else None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir)

    def admin(self, method, path, body=None):
        connection = UnixHTTP(f"{self.run}/admin.sock")
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        reply = json.loads(response.read())
        connection.close()
        return response.status, reply

    def must(self, method, path, body=None):
        status, reply = self.admin(method, path, body)
        assert status == 200, reply
        return reply

    def org(self, quota=100, **more):
        self.orgs += 1
        name = f"org-{self.orgs}"
        self.must("POST", "/orgs", {"id": name, "name": "緑町", "quota": quota, "prefecture": 13} | more)
        return name

    def code(self, org, **more):
        return self.must("POST", "/codes", {"org": org} | more)

    def link(self, gate="east"):
        return Link(self, gate)

    def ticket_point(self):
        return point_of(load_key_file(f"{self.ca}/ticket.key"))

    def integrity(self):
        run = subprocess.run(["/usr/bin/python3", "-c", "import sqlite3, sys\n"
            "print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall())", self.database],
            capture_output=True, text=True, check=True)
        return run.stdout.strip()


def load_key_file(path):
    with open(path, "rb") as file:
        return serialization.load_pem_private_key(file.read(), None)


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, before=b""):
        super().__init__("localhost", timeout=20)
        self.path, self.before = path, before

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)
        if self.before:
            self.sock.sendall(self.before)


def proxy_header(address="192.0.2.1"):
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(address) + b"\x7f\0\0\x01\x04\xd2\x01\xbb"


def browser(controller, address="192.0.2.1"):
    return UnixHTTP(f"{controller.run}/http.sock", proxy_header(address))


class Link:
    """A gate's worker."""

    def __init__(self, controller, gate="east", hello=True):
        import link_pb2, outer_pb2
        self.messages, self.outer = link_pb2, outer_pb2
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(f"{controller.run}/link.sock")
        self.buffer, self.requests = b"", 0
        if hello:
            self.send("HELLO", link_pb2.LinkHello(version=1, gate=gate, worker=1, build=1))
            self.welcome = self.expect("WELCOME", link_pb2.LinkWelcome)
            self.denied = set()
            self.send("PING", outer_pb2.Ping(id=1))
            while (frame := self.receive())[0] == link_pb2.LINK_DENY:
                self.denied.add(link_pb2.Deny.FromString(frame[1]).agent_id)

    def send(self, name, message):
        self.send_raw(self.messages.LinkType.Value("LINK_" + name), message.SerializeToString())

    def send_raw(self, kind, payload):
        self.sock.sendall(bytes([kind]) + len(payload).to_bytes(3, "big") + payload)

    def receive(self):
        """Next frame: type, payload; None at the end."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + int.from_bytes(self.buffer[1:4], "big"):
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        size = int.from_bytes(self.buffer[1:4], "big")
        frame = self.buffer[0], self.buffer[4:4 + size]
        self.buffer = self.buffer[4 + size:]
        return frame

    def expect(self, name, message_class):
        frame = self.receive()
        assert frame and frame[0] == self.messages.LinkType.Value("LINK_" + name), frame
        return message_class.FromString(frame[1])

    def ended(self):
        """The code of the Bye with which the controller cut us."""
        kind, payload = self.receive()
        assert kind == self.outer.OUTER_BYE
        assert self.receive() is None
        return self.outer.Bye.FromString(payload).code

    def up(self, agent, instance=None):
        instance = instance or os.urandom(16)
        self.send("AGENT_UP", self.messages.AgentUp(agent_id=agent.id, instance=instance, address="10.0.0.5", build=1))
        return instance

    def down(self, agent, instance):
        self.send("AGENT_DOWN", self.messages.AgentDown(agent_id=agent.id, instance=instance, code=0))

    def ask(self, terminal_id, address="192.0.2.1", device_hash=b"\x11" * 32):
        """Grant and how long it took."""
        self.requests += 1
        start = time.perf_counter()
        self.send("ASK", self.messages.LinkAsk(request=self.requests, address=address,
            ask=self.outer.Ask(terminal_id=terminal_id, device_hash=device_hash)))
        reply = self.expect("GRANT", self.messages.LinkGrant)
        took = time.perf_counter() - start
        assert reply.request == self.requests
        return reply.grant, took

    def enrol(self, pc, code, address="10.1.2.3", **wrong):
        self.requests += 1
        self.send("ENROL", self.messages.LinkEnrol(request=self.requests, address=address,
            enrol=pc.enrolment(self.outer, code, **wrong)))
        reply = self.expect("ENROLLED", self.messages.LinkEnrolled)
        assert reply.request == self.requests
        if reply.enrolled.code == 0:
            pc.take(reply.enrolled)
        return reply.enrolled

    def send_code(self, agent, session_id, sealed):
        self.requests += 1
        self.send("SEND_CODE", self.messages.LinkSendCode(request=self.requests, agent_id=agent.id,
            send_code=self.outer.SendCode(session_id=session_id, sealed=sealed)))
        reply = self.expect("CODE_SENT", self.messages.LinkCodeSent)
        assert reply.request == self.requests and reply.code_sent.session_id == session_id
        return reply.code_sent.code

    def session_up(self, agent, session_id, org):
        self.send("SESSION_UP", self.messages.SessionUp(session_id=session_id, agent_id=agent.id, organisation=org,
            client_address="192.0.2.1", started_s=int(time.time())))

    def settle(self):
        """Everything sent before has been worked on."""
        self.send("PING", self.outer.Ping(id=7))
        assert self.expect("PONG", self.outer.Pong).id == 7

    def close(self):
        self.sock.close()


class OfficePC:
    """What an agent has when it enrols, and after."""

    def __init__(self, name="PC-1"):
        self.name = name
        self.anchor, self.tls_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.agent_key, self.salt = x25519.X25519PrivateKey.generate(), os.urandom(16)
        self.id = self.certificate = self.issuer = self.terminal_id = None

    def enrolment(self, outer, code, **wrong):
        csr = (x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
            .sign(self.tls_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
        fields = {"code": code, "csr": csr, "anchor_key": point_of(self.anchor), "salt": self.salt,
            "agent_key": self.agent_key.public_key().public_bytes_raw() if hasattr(self.agent_key.public_key(),
                "public_bytes_raw") else self.agent_key.public_key().public_bytes(serialization.Encoding.Raw,
                serialization.PublicFormat.Raw), "computer_name": self.name}
        text = (b"engawa enrol v1\0" + code.encode() + b"\0" + hashlib.sha256(csr).digest() + self.salt + fields["agent_key"])
        fields["proof"] = self.anchor.sign(text, ec.ECDSA(hashes.SHA256()))
        return outer.Enrol(**fields | wrong)

    def take(self, enrolled):
        self.id = enrolled.agent_id
        self.certificate = x509.load_der_x509_certificate(enrolled.certificate)
        self.issuer = x509.load_der_x509_certificate(enrolled.issuer)

    def enrol(self, controller, link, org, approve=True):
        enrolled = link.enrol(self, controller.code(org, approve=approve)["code"])
        assert enrolled.code == 0
        self.terminal_id = controller.must("GET", f"/agents/{self.id.hex()}")["terminal_id"].replace("-", "")
        return self


def seal(mail_public, session_id, plain):
    """docs/protocol.md 3.2"""
    esk = x25519.X25519PrivateKey.generate()
    epk = esk.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    shared = esk.exchange(x25519.X25519PublicKey.from_public_bytes(mail_public))
    key = HKDF(hashes.SHA256(), 32, b"engawa seal v1", epk + mail_public + session_id).derive(shared)
    return epk + AESGCM(key).encrypt(bytes(12), plain, session_id)


def mail_public(controller):
    with open(f"{controller.ca}/mail.key") as file:
        secret = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(file.read().strip()))
    return secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def mail_code(messages, **changes):
    fields = {"address": "taro@city.example.lg.jp", "code": "48151623", "device": "自宅PC", "client_address": "192.0.2.1",
        "time_s": int(time.time()), "words": ["さくら", "とんぼ"], "locale": "ja", "terminal_tail": "8SQR"}
    return messages[2].MailCode(**fields | changes).SerializeToString()


def open_session(link, pc, messages):
    grant, _ = link.ask(pc.terminal_id)
    return messages[2].TicketBody.FromString(messages[2].Signed.FromString(grant.ticket).body).session_id


class Mailbox:
    """aiosmtpd on the loopback, with what it took."""

    def __init__(self, **options):
        from aiosmtpd.controller import Controller as Server
        self.mails, self.envelopes, self.refusal = [], [], None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.server = Server(self, hostname="localhost", port=self.port, ready_timeout=30, **options)
        self.server.start()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.envelopes.append(envelope)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def close(self):
        self.server.stop()


@pytest.fixture(scope="module")
def mailbox():
    box = Mailbox()
    yield box
    box.close()
