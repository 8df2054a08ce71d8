"""Certificates of persons: a CA, what it says about them (openssl ocsp and CRLs over HTTP on the loopback), and the agent's helper
asked directly."""
import contextlib
import datetime
import hashlib
import http.server
import secrets
import struct
import subprocess
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from persons_driver import ask_helper, message_number

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.utcnow()
UPN = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
NOT_ASKED, GOOD, REVOKED, UNKNOWN, NO_ANSWER = range(5)


def name(common):
    names = [common] if isinstance(common, str) else common
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names])


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def new_key(kind="P-256"):
    curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1, "secp256k1": ec.SECP256K1}.get(kind)
    return ec.generate_private_key(curve()) if curve else rsa.generate_private_key(65537, int(kind))


def sign(key, digest):
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    return key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


class Person:
    """A certificate and its key, also as files."""

    def __init__(self, certificate, key, directory):
        self.certificate, self.key, self.der = certificate, key, der(certificate)
        self.path = directory / f"{certificate.serial_number:x}.pem"
        self.key_path = self.path.with_suffix(".key")
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key_path.write_bytes(pem(key))
        self.key_path.chmod(0o600)

    @property
    def argv(self):
        return ["--certificate", self.path, "--certificate-key", self.key_path]


class Authority:
    def __init__(self, directory, common="Engawa-shi Persons CA", issuer=None):
        directory.mkdir(exist_ok=True)
        self.directory, self.key, self.common = directory, new_key(), common
        self.path = directory / "ca.pem"
        self.certificate = self.build(common, self.key.public_key(), issuer, ca=True)
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM) + (issuer.path.read_bytes() if issuer else b""))
        (directory / "ca.key").write_bytes(pem(self.key))
        self.rows = {}  # serial -> line of openssl's index

    def build(self, common, public, issuer=None, ca=False, since=NOW - DAY, until=NOW + 30 * DAY, usage=(ExtendedKeyUsageOID.CLIENT_AUTH,),
            alternative=(), ocsp=None, digest=hashes.SHA256, signing=False):
        by = issuer or self
        builder = (x509.CertificateBuilder().subject_name(name(common)).issuer_name(by.certificate.subject if issuer or not ca else name(common))
            .public_key(public).serial_number(secrets.randbits(100)).not_valid_before(since).not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), False)
            .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), True))
        if not ca and usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), False)
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), False)
        if ocsp:
            builder = builder.add_extension(x509.AuthorityInformationAccess([x509.AccessDescription(
                x509.oid.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))]), False)
        return builder.sign(by.key, digest())

    def person(self, common, kind="P-256", known=True, key=None, **options):
        key = key or new_key(kind)
        person = Person(self.build(common, key.public_key(), **options), key, self.directory)
        if known:
            self.rows[person.certificate.serial_number] = "V"
        return person

    def revoke(self, person):
        self.rows[person.certificate.serial_number] = "R"

    def index(self):
        """As openssl ca keeps it."""
        path = self.directory / "index.txt"
        stamp = lambda t: t.strftime("%y%m%d%H%M%SZ")
        lines = [f"{state}\t{stamp(NOW + DAY)}\t{stamp(NOW - DAY) if state == 'R' else ''}\t{self.hex(serial)}\tunknown\t/CN={serial}\n"
            for serial, state in self.rows.items()]
        path.write_text("".join(lines))
        return path

    @staticmethod
    def hex(serial):
        text = f"{serial:X}"
        return text.zfill(len(text) + len(text) % 2)

    def crl(self, until=NOW + DAY, key=None):
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject).last_update(NOW - DAY).next_update(until)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        builder = builder.add_extension(x509.CRLNumber(1), False)
        for serial, state in self.rows.items():
            if state == "R":
                builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build())
        return builder.sign(key or self.key, hashes.SHA256())


class Responder:
    """Answers with what `openssl ocsp` says about the CA's index, at /ocsp, and with its CRL at /crl; `spoil` may put something else
    in its place. On the loopback, which `openssl ocsp -port` alone is not."""

    def __init__(self, authority):
        self.authority, self.signer, self.options, self.spoil, self.hang = authority, authority, [], None, threading.Event()
        self.hang.set()
        self.requests, self.answers, self.fake_time, self.crl_until = [], [], None, NOW + DAY
        responder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                request = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(responder.ocsp(request), "application/ocsp-response")

            def do_GET(self):
                crl = responder.authority.crl(responder.crl_until).public_bytes(serialization.Encoding.DER)
                self.answer(crl, "application/pkix-crl")

            def answer(self, body, kind):
                responder.hang.wait(30)
                with contextlib.suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{self.server.server_port}"
        self.url, self.crl_url = f"{base}/ocsp", f"{base}/crl"

    def ocsp(self, request):
        directory = self.authority.directory
        (directory / "request.der").write_bytes(request)
        argv = ["openssl", "ocsp", "-index", self.authority.index(), "-CA", self.authority.path, "-rsigner", self.signer.directory / "signer.pem",
            "-rkey", self.signer.directory / "signer.key", "-reqin", directory / "request.der", "-respout", directory / "answer.der", "-ndays", "1",
            *self.options]
        if self.fake_time:
            argv = ["faketime", "-f", self.fake_time, *argv]
        subprocess.run(argv, check=True, capture_output=True, timeout=20)
        answer = (directory / "answer.der").read_bytes()
        self.requests.append(request)
        self.answers.append(answer)
        return self.spoil(answer) if self.spoil else answer

    def stop(self):
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()


def signer(authority, directory, usage=(ExtendedKeyUsageOID.OCSP_SIGNING,)):
    """Who answers for the CA: its own certificate, entitled by the CA."""
    directory.mkdir(exist_ok=True)
    key = new_key()
    certificate = authority.build("ocsp", key.public_key(), usage=usage)
    (directory / "signer.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "signer.key").write_bytes(pem(key))
    signer = type("Signer", (), {})()
    signer.directory = directory
    return signer


def text(value):
    value = str(value).encode()
    return struct.pack(">H", len(value)) + value


def judge(person, digest=None, signature=None, certificate=None, pinned=False, ocsp=False, nonce=True, ca="", crl="", url="", rule="cn", **options):
    """What `engawa-agent role check-certificate` says: code, OCSP, CRL and the name."""
    digest = digest or secrets.token_bytes(32)
    proof = certificate or person.der, signature if signature is not None else sign(person.key, digest)
    question = b"".join(struct.pack(">H", len(part)) + part for part in proof) + digest + bytes([pinned, ocsp, nonce])
    answer = ask_helper("certificate", "MSG_CHECK_CERTIFICATE", question + text(ca) + text(crl) + text(url) + text(rule), **options)
    kind, payload = struct.unpack("=H", answer[:2])[0], answer[2:]
    assert kind == message_number("MSG_CERTIFICATE_CHECKED")
    code, said, listed, size = struct.unpack(">IBBH", payload[:8])
    assert len(payload) == 8 + size
    return code, said, listed, payload[8:].decode()


def fingerprint(person):
    return hashlib.sha256(person.der).hexdigest()
