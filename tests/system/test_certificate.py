"""The office PC's own certificate: renewed by itself, and the ways back when that was not possible."""
import datetime
import hashlib
import os
import shutil
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

import system
from gate_driver import CODE, Frames, load_key, load_messages, point_of
from test_agent import clock

ENROL_BURST = 100  # of the controller, unless it is set
MINUTE, DAY = datetime.timedelta(minutes=1), datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def office(own_engawa):
    return own_engawa


@pytest.fixture(autouse=True)
def clean(office):
    """Every test begins and ends with one agent that is up."""
    yield
    for part, start in (("controller", office.start_controller), ("gate", office.start_gate)):
        if not getattr(office, part).alive:
            start()
    if not office.agent.alive:
        office.start_agent()
    office.agent.ready = office.agent_up
    system.wait_for(office.agent_up, "the agent does not come back", 60)


def certificate(office):
    return x509.load_pem_x509_certificate((office.agent_dir / "certificate").read_bytes())


def give(office, begin, end):
    """The agent, stopped, gets the certificate it has with another period."""
    office.agent.stop()
    old, issuer = certificate(office), x509.load_pem_x509_certificate((office.ca / "issuer.pem").read_bytes())
    issuer_key = serialization.load_pem_private_key((office.ca / "issuer.key").read_bytes(), None)
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(issuer.subject).public_key(old.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now + begin).not_valid_after(now + end))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    made = builder.sign(issuer_key, hashes.SHA256())
    (office.agent_dir / "certificate").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return made


def started(office):
    """Also one that no gate takes."""
    def status():
        try:  # the socket's file may still be that of the one before
            return office.agent_status()
        except system.Failed:
            return None
    office.start_agent(ready=status)
    return status()["certificate"]


def until(office):
    return office.agent_status()["certificate"]["until_s"]


def test_renewed_at_two_thirds(office):
    """A short-lived one is replaced while it is good; the new one is what the next connection shows."""
    before = give(office, -20 * MINUTE, 10 * MINUTE)
    office.start_agent()
    system.wait_for(lambda: certificate(office).serial_number != before.serial_number, "no new certificate", 30)
    fresh = certificate(office)
    assert fresh.public_key().public_numbers() == before.public_key().public_numbers() and fresh.subject == before.subject
    assert fresh.not_valid_after > datetime.datetime.utcnow() + 80 * DAY
    assert until(office) == int(fresh.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp())
    [agent] = office.agents()
    assert agent["cert_expires_s"] == until(office)
    assert office.connect("--for", "100ms")["code"] == 0
    office.gate.stop()
    office.start_gate()
    system.wait_for(office.agent_up, "the new certificate is not good for a connection", 60)
    assert office.connect("--for", "100ms")["code"] == 0
    office.agent.stop()
    assert "certificate.renewed" in office.agent.log.read_text()


def test_not_renewed_before(office):
    before = give(office, -15 * MINUTE, 15 * MINUTE)
    office.start_agent()
    assert office.connect("--for", "100ms")["code"] == 0
    assert certificate(office).serial_number == before.serial_number


def test_renewed_when_the_controller_is_back(office):
    """The relay cannot renew for a while: the office PC stays connected and asks again."""
    office.controller.kill()
    before = give(office, -20 * MINUTE, 1 * MINUTE)
    mark = len(office.agent.log.read_text())
    office.start_agent()
    system.wait_for(lambda: "certificate.renew code=NO_CONTROLLER" in office.agent.log.read_text()[mark:], "it does not ask", 30)
    assert office.agent_up() and certificate(office).serial_number == before.serial_number
    office.start_controller()
    system.wait_for(lambda: certificate(office).serial_number != before.serial_number, "no new certificate", 60)


def test_long_absence(office, tmp_path):
    """Away until it had expired: said so, and mended with a new code; the terminal ID stays."""
    give(office, -100 * DAY, -10 * DAY)
    assert started(office)["code"] == CODE["CERT_LAPSED"]
    text = office.agent.log.read_text()
    assert "certificate code=CERT_LAPSED" in text and "was away from the relay" in text
    assert office.connect("--for", "100ms")["code"] == CODE["UNREACHABLE"]
    office.agent.stop()

    def enrol(code):
        return office.tool("engawa", "agent", "enrol", "--org", office.org_file, "--org-fingerprint", office.fingerprint(), "--code", code,
            "--state-directory", office.agent_dir)
    with pytest.raises(system.Failed, match=f"EW-{CODE['ENROL_CODE_WRONG']}"):
        enrol("0000-0000-0000-0000")
    code = office.tool("engawa", "code", "new", "--org", system.ORGANISATION)
    assert enrol(code) == office.terminal_id
    with pytest.raises(system.Failed, match=f"EW-{CODE['EXISTS']}"):
        enrol(code)  # it has a good one again
    assert started(office)["code"] == 0
    system.wait_for(office.agent_up, "the agent does not come back", 60)
    assert len(office.agents()) == 1
    assert office.connect("--for", "100ms")["code"] == 0


def test_dead_clock(office):
    """The battery is empty and the clock begins anew: said so, and mended by setting it."""
    office.agent.stop()
    with pytest.raises(system.Failed, match=rf"(?s)before its own certificate was issued.*Set the date.*\(EW-{CODE['CERT_EARLY']}\)"):
        office.agent.start(env=clock("@2020-01-01 00:00:00"))
    office.start_agent()
    assert office.connect("--for", "100ms")["code"] == 0


def test_revoked(office, tmp_path):
    """Retired by the operator: cut at once, said so, no renewal; it comes back as a new office PC."""
    other, code = tmp_path / "other", office.tool("engawa", "code", "new", "--org", system.ORGANISATION, "--count", "2", "--approve")

    def enrol():
        return office.tool("engawa", "agent", "enrol", "--org", office.org_file, "--org-fingerprint", office.fingerprint(), "--code", code,
            "--state-directory", other)
    first = enrol()
    [agent] = [a for a in office.agents() if a["terminal_id"].replace("-", "") == first.replace("-", "")]
    kept = office.agent_dir, office.agent
    office.agent.stop()
    office.agent_dir = other
    try:
        office.start_agent()
        office.tool("engawa", "agent", "retire", agent["id"])
        system.wait_for(lambda: office.agent_status()["gates"][0]["code"] == CODE["AGENT_RETIRED"], "nothing is said", 30)
        assert office.connect("--for", "100ms", terminal_id=first)["code"] == CODE["UNREACHABLE"]
        give(office, -20 * MINUTE, -10 * MINUTE)
        with pytest.raises(system.Failed, match=f"EW-{CODE['AGENT_RETIRED']}"):
            enrol()
        shutil.rmtree(other)
        assert enrol() != first
        office.start_agent()
        system.wait_for(office.agent_up, "the new one does not come up", 60)
    finally:
        office.agent.stop()
        office.agent_dir, office.agent = kept


def hello(office, messages):
    """Somebody with the agent's TLS key and certificate, at the gate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["engawa/1"])
    context.load_cert_chain(office.agent_dir / "certificate", office.agent_dir / "tls.key")
    stream = context.wrap_socket(socket.create_connection(("127.0.0.1", office.port), 15))
    frames = Frames(stream)
    frames.send(messages.OUTER_HELLO, messages.Hello(version=1, role=messages.ROLE_AGENT, build=1, locale="ja", instance=os.urandom(16)))
    frames.expect(messages.OUTER_HELLO)
    frames.expect(messages.OUTER_WELCOME)
    return frames


def request(office, anchor, proof_key, code=""):
    """Enrol for a key of our own, for the office PC whose public values everybody can see who has had a session with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = (x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER))
    salt = bytes.fromhex((office.agent_dir / "salt").read_text().strip())
    secret = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex((office.agent_dir / "agent.key").read_text().strip()))
    agent_key = secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    body = code.encode() + b"\0" + hashlib.sha256(csr).digest() + salt + agent_key
    return {"code": code, "csr": csr, "anchor_key": point_of(anchor), "salt": salt, "agent_key": agent_key, "computer_name": "pc",
        "proof": proof_key.sign(b"engawa enrol v1\0" + body, ec.ECDSA(hashes.SHA256()))}


def test_attack_renewal_without_the_anchor(office, tmp_path):
    """A gate, or who stole an office PC's TLS key, asks for a certificate in its name for a key of his own. Without the anchor's
    signature there is none, and what the office PC has stays good."""
    office.agent.stop()  # it would come back, and take the place of who says it is this office PC
    messages = load_messages(tmp_path)[0]
    anchor, own = load_key(office.agent_dir / "identity.key"), ec.generate_private_key(ec.SECP256R1())
    [before] = [agent["serial"] for agent in office.agents() if agent["id"] == office.state["agent_id"]]
    for public, signer, code in [(anchor, own, "SIGNATURE"), (own, own, "EXISTS")]:
        frames = hello(office, messages)
        frames.send(messages.OUTER_ENROL, messages.Enrol(**request(office, public, signer)))
        answer = frames.expect(messages.OUTER_ENROLLED, messages.Enrolled)
        assert answer.code == CODE[code] and answer.certificate == b""
        frames.stream.close()
    frames = hello(office, messages)
    frames.send(messages.OUTER_ENROL, messages.Enrol(**request(office, anchor, own, code="0000-0000-0000-0000")))
    kind, payload = frames.recv()
    assert kind == messages.OUTER_BYE and messages.Bye.FromString(payload).code == CODE["PROTOCOL"]
    frames.stream.close()
    assert [agent["serial"] for agent in office.agents() if agent["id"] == office.state["agent_id"]] == [before]
    office.start_agent()


def test_attack_renewals_used_up(office, tmp_path):
    """Who has an office PC's connection and no anchor asks for its renewal over and over, with signatures of his own. What he asks
    is not charged to the office PC: its own request is answered."""
    office.agent.stop()
    messages = load_messages(tmp_path)[0]
    anchor, own = load_key(office.agent_dir / "identity.key"), ec.generate_private_key(ec.SECP256R1())
    frames = hello(office, messages)
    for _ in range(ENROL_BURST + 10):
        frames.send(messages.OUTER_ENROL, messages.Enrol(**request(office, anchor, own)))
        assert frames.expect(messages.OUTER_ENROLLED, messages.Enrolled).code == CODE["SIGNATURE"]
    frames.send(messages.OUTER_ENROL, messages.Enrol(**request(office, anchor, anchor)))
    assert frames.expect(messages.OUTER_ENROLLED, messages.Enrolled).code == 0
    frames.stream.close()
