"""Somebody active in the middle, with everything the relay has: found before the client has said a word."""
import collections
import json
import os
import shutil

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, x25519

import hostile
import system
from gate_driver import CODE, load_key, load_messages, point_of
from hostile import certificate, raw, signed

Messages = collections.namedtuple("Messages", "outer link signed")
SERVER, CLIENT = x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    return Messages(*load_messages(tmp_path_factory.mktemp("pb")))


@pytest.fixture(scope="module")
def issuer(engawa):
    return load_key(engawa.ca / "issuer.key"), x509.load_pem_x509_certificate((engawa.ca / "issuer.pem").read_bytes())


@pytest.fixture
def relay(engawa, messages, issuer, tmp_path):
    """start(answer, pem): a hostile relay, and an organisation file that leads to it."""
    relays = []

    def start(answer=None, pem=None):
        if pem is None:
            pem = tmp_path / "gate.pem"
            certificate(pem, "east-1", ["localhost"], SERVER, *issuer)
        made = hostile.Relay(messages, engawa, pem, answer)
        relays.append(made)
        directory = tmp_path / f"org{made.port}"
        shutil.copytree(engawa.org_dir, directory)
        engawa.tool("engawa", "org", "file", "--ca", engawa.ca, "--dir", directory, "--gate", f"east-1=localhost:{made.port}")
        made.org = directory / "organisation.engawa"
        return made
    yield start
    for made in relays:
        made.close()


def attempt(engawa, relay, **options):
    return engawa.connect(org=relay.org, code_command="echo 00000000", device=relay.org.parent / "device.key", **options)


def office_keys(engawa):
    """What only the office PC has: its anchor, salt and key."""
    secret = (engawa.agent_dir / "agent.key").read_text().strip()
    return (load_key(engawa.agent_dir / "identity.key"), bytes.fromhex((engawa.agent_dir / "salt").read_text().strip()),
        x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(secret)))


def statement(messages, engawa, signer, anchor, salt, agent_key):
    return signed(messages, signer, b"engawa statement v1", messages.signed.StatementBody(anchor_key=point_of(anchor), salt=salt,
        agent_key=agent_key, agent_id=bytes.fromhex(engawa.state["agent_id"]), not_after_s=2**31))


def test_relay_with_the_office_keys_is_believed(engawa, messages, relay):
    """The control: this relay is taken for the office PC when it has that PC's own keys, and only then."""
    anchor, salt, key = office_keys(engawa)
    proof = statement(messages, engawa, anchor, anchor, salt, raw(key))
    there = relay(lambda: (raw(key), key, proof))
    attempt(engawa, there)
    system.wait_for(lambda: there.heard, "it heard nothing")
    assert len(there.heard) == 1 and len(there.heard[0]) > 1024  # Facts


def swapped_key(messages, engawa):
    """The ticket has the attacker's key, the statement is the office PC's own."""
    (anchor, salt, key), evil = office_keys(engawa), x25519.X25519PrivateKey.generate()
    return raw(evil), evil, statement(messages, engawa, anchor, anchor, salt, raw(key))


def own_anchor(messages, engawa):
    """Everything consistent, with an anchor that the terminal ID does not commit to."""
    (_, salt, _), evil, anchor = office_keys(engawa), x25519.X25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    return raw(evil), evil, statement(messages, engawa, anchor, anchor, salt, raw(evil))


def forged_statement(messages, engawa):
    """The right anchor is named, another key signed."""
    (anchor, salt, _), evil, signer = office_keys(engawa), x25519.X25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    return raw(evil), evil, statement(messages, engawa, signer, anchor, salt, raw(evil))


def no_statement(messages, engawa):
    evil = x25519.X25519PrivateKey.generate()
    return raw(evil), evil, b""


def without_the_key(messages, engawa):
    """The ticket is right, and whoever answers cannot read the handshake."""
    (anchor, salt, key), evil = office_keys(engawa), x25519.X25519PrivateKey.generate()
    return raw(key), evil, statement(messages, engawa, anchor, anchor, salt, raw(key))


@pytest.mark.parametrize("attack,codes", [(swapped_key, ["TERMINAL_FORGED"]), (own_anchor, ["TERMINAL_FORGED"]),
    (forged_statement, ["TERMINAL_FORGED", "SIGNATURE"]), (no_statement, ["TERMINAL_FORGED", "PROTOCOL"]), (without_the_key, ["CRYPTO"])])
def test_substituted_keys(engawa, messages, relay, attack, codes):
    there = relay(lambda: attack(messages, engawa))
    result = attempt(engawa, there)
    assert result["status"] == 1 and result["name"] in codes, result
    system.wait_for(lambda: there.heard, "the relay did not come to its end")
    assert there.heard == [b""], "it said something to a stranger"


@pytest.mark.parametrize("subject,hosts,usage,ours", [
    ("east-1", ["localhost"], SERVER, False),  # an authority of the attacker's own, in the system's store
    ("east-1", ["localhost"], CLIENT, True),   # an office PC's certificate, used to play the gate
    ("east-1", ["localhost"], None, True),
    ("east-1", ["other.example"], SERVER, True),
    ("localhost", [], SERVER, True),           # a name in the subject is no name
])
def test_false_gate(engawa, relay, issuer, tmp_path, subject, hosts, usage, ours):
    pem, root = tmp_path / "false.pem", tmp_path / "root.pem"
    signer = issuer if ours else certificate(root, "Rogue Root", [], None)
    if ours:
        shutil.copy(engawa.ca / "root.pem", root)
    certificate(pem, subject, hosts, usage, *signer)
    there = relay(pem=pem)
    result = attempt(engawa, there, env={"SSL_CERT_FILE": str(root), "CURL_CA_BUNDLE": str(root)})
    assert (result["status"], result["code"]) == (1, CODE["CERT_UNTRUSTED"]), result
    assert there.greeted == 0 and there.heard == []


def test_agent_and_false_gate(engawa, relay, tmp_path):
    """An office PC does not even say hello to a gate that the organisation's authority did not make."""
    root, pem = tmp_path / "root.pem", tmp_path / "false.pem"
    certificate(pem, "east-1", ["localhost"], SERVER, *certificate(root, "Rogue Root", [], None))
    there = relay(pem=pem)
    state = tmp_path / "agent"
    shutil.copytree(engawa.agent_dir, state, ignore=shutil.ignore_patterns("*.sock"))
    shutil.copy(there.org, state / "organisation")
    conf = tmp_path / "agent.conf"
    conf.write_text((engawa.dir / "agent.conf").read_text().replace(str(engawa.agent_dir), str(state)))
    part = system.Part("agent", [system.BUILD / "src/agent/engawa-agent", "--config", conf, "run"], tmp_path / "agent.log",
        lambda: "CERT_UNTRUSTED" in (tmp_path / "agent.log").read_text(), env={"SSL_CERT_FILE": str(root), "PATH": os.environ["PATH"]})
    try:
        part.start()
        assert there.greeted == 0
        [gate] = json.loads(engawa.tool("engawa", "agent", "status", "--state-directory", state))["gates"]
        assert (gate["up"], gate["code"]) == (False, CODE["CERT_UNTRUSTED"])
    finally:
        part.stop()
