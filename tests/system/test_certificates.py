"""Certificates of persons: what the agent's helper makes of them, with openssl's OCSP behind it, and logins through the whole relay."""
import contextlib
import hashlib
import os
import pathlib
import pty
import shutil
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

import system
from order import try_all
from certificates_driver import (DAY, GOOD, NO_ANSWER, NOT_ASKED, NOW, REVOKED, UNKNOWN, UPN, Authority, Person, Responder, der, judge, new_key, sign,
    signer)
from gate_driver import CODE
from persons_driver import forget_users, user

OK = 0
REFUSED, OUTDATED = CODE["CERTIFICATE_REFUSED"], CODE["CERTIFICATE_OUTDATED"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    # helpers without rights read the issuers' file
    path = tmp_path_factory.mktemp("certificates")
    for p in (path, *path.parents):
        if p.stat().st_uid == os.geteuid() and p != pathlib.Path("/"):
            p.chmod(p.stat().st_mode | 0o011)
    return path


@pytest.fixture(scope="module")
def ca(directory):
    return Authority(directory / "ca")


@pytest.fixture(scope="module")
def responder(ca, directory):
    responder = Responder(ca)
    responder.signer = responder.right = signer(ca, directory / "signer")
    yield responder
    responder.stop()


@pytest.fixture(autouse=True)
def as_it_was(request):
    yield
    if "responder" in request.fixturenames:
        r = request.getfixturevalue("responder")
        r.hang.set()
        r.signer, r.options, r.spoil, r.fake_time, r.crl_until = r.right, [], None, None, NOW + DAY


@pytest.fixture(scope="module")
def tanaka(ca):
    return ca.person("tanaka")


# --- whose it is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "2048", "4096"])
def test_keys(ca, kind):
    assert judge(ca.person("tanaka", kind), ca=ca.path) == (OK, NOT_ASKED, NOT_ASKED, "tanaka")


def test_names(ca):
    other = lambda value: x509.OtherName(UPN, b"\x0c" + bytes([len(value)]) + value.encode())
    mail = x509.RFC822Name
    person = ca.person("田中", alternative=[mail("tanaka@city.example"), other("tanaka@CITY.EXAMPLE")])
    for rule, expected in ("cn", "田中"), ("email", "tanaka@city.example"), ("upn", "tanaka@CITY.EXAMPLE"):
        assert judge(person, ca=ca.path, rule=rule) == (OK, NOT_ASKED, NOT_ASKED, expected)
    assert judge(ca.person("tanaka"), ca=ca.path, rule="email")[0] == REFUSED


@pytest.mark.parametrize("rule", ["cn", "email", "upn"])
def test_attack_two_names(ca, rule):
    """Which of two would be the person? Neither."""
    other = lambda value: x509.OtherName(UPN, b"\x0c" + bytes([len(value)]) + value.encode())
    person = ca.person(["tanaka", "suzuki"], alternative=[x509.RFC822Name("tanaka@x"), x509.RFC822Name("suzuki@x"), other("tanaka"), other("suzuki")])
    assert judge(person, ca=ca.path, rule=rule) == (REFUSED, NOT_ASKED, NOT_ASKED, "")


def test_attack_name_with_a_nul(ca):
    """tanaka\\0.attacker: C would stop reading in the middle."""
    person = ca.person("tanakaX.attacker")
    assert judge(person, ca=ca.path, certificate=person.der.replace(b"tanakaX", b"tanaka\0"))[0] == REFUSED  # and the signature breaks
    assert judge(ca.person("tanaka\0.attacker"), ca=ca.path)[0] == REFUSED


def test_attack_name_with_control_characters(ca):
    """Tried: a name that would begin a new line of the log, or turn a terminal's screen. Comes of it: refused like any other that is none, and
    nothing of it reaches the monitor, which would take the helper's answer for damaged."""
    other = x509.OtherName(UPN, b"\x0c\x08tanaka\x1b[")
    person = ca.person("tanaka\nadmin", alternative=[x509.RFC822Name("tanaka\r@x"), other])
    for rule in "cn", "email", "upn":
        assert judge(person, ca=ca.path, rule=rule) == (REFUSED, NOT_ASKED, NOT_ASKED, "")


def test_intermediate(ca, directory):
    """The issuers' file holds the root and what stands below it; the client sends its own certificate only."""
    below = Authority(directory / "below", "Engawa-shi Persons CA 2", ca)
    assert judge(below.person("tanaka"), ca=below.path) == (OK, NOT_ASKED, NOT_ASKED, "tanaka")
    assert judge(below.person("tanaka"), ca=ca.path)[0] == REFUSED


def test_attack_outdated_certificate(ca):
    """Tried: a certificate whose time is over, or has not come. Comes of it: it is refused as outdated, also where it is pinned."""
    for since, until in (NOW - 2 * DAY, NOW - DAY), (NOW + DAY, NOW + 2 * DAY):
        person = ca.person("tanaka", since=since, until=until)
        assert judge(person, ca=ca.path)[0] == OUTDATED
        assert judge(person, pinned=True)[0] == OUTDATED


def impostors(ca, directory):
    other = Authority(directory / "other", ca.common)  # the same name, another key
    return {
        "of another CA": Authority(directory / "third", "Another CA").person("tanaka"),
        "of a CA with the same name": other.person("tanaka"),
        "self-signed": Person(self_signed("tanaka"), KEY, directory),
        "without EKU": ca.person("tanaka", usage=()),
        "for servers": ca.person("tanaka", usage=(ExtendedKeyUsageOID.SERVER_AUTH,)),
        "for anything": ca.person("tanaka", usage=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
        "of an expired other CA": other.person("tanaka", until=NOW - DAY / 2),
        "SHA-1": ca.person("tanaka", digest=hashes.SHA1),
        "RSA 1024": ca.person("tanaka", "1024"),
        "strange curve": ca.person("tanaka", "secp256k1"),
    }


KEY = new_key()
IMPOSTORS = ["of another CA", "of a CA with the same name", "self-signed", "without EKU", "for servers", "for anything", "of an expired other CA", "SHA-1",
    "RSA 1024", "strange curve"]


def self_signed(common):
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, common)])
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(KEY.public_key()).serial_number(1)
        .not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False).sign(KEY, hashes.SHA256()))


@pytest.fixture(scope="module")
def made(ca, directory):
    return impostors(ca, directory)


@pytest.mark.parametrize("what", IMPOSTORS)
def test_attack_certificate(made, ca, what):
    """One that is not the organisation's, or not for this: refused, and nobody is told why."""
    assert set(made) == set(IMPOSTORS)
    assert judge(made[what], ca=ca.path) == (REFUSED, NOT_ASKED, NOT_ASKED, "")


def test_attack_the_authority_itself_as_person(ca):
    """Who has a CA's key makes certificates; the CA's own is no person's."""
    person = Person(ca.certificate, ca.key, ca.directory)
    assert judge(person, ca=ca.path)[0] == REFUSED


def test_attack_signature(ca, tanaka):
    """The certificate is public: without its key it is worth nothing."""
    digest = hashlib.sha256(b"this session").digest()
    thief = new_key()
    for bad in (b"", b"\0" * 72, sign(thief, digest), sign(tanaka.key, hashlib.sha256(b"another").digest()), sign(tanaka.key, digest)[:-1],
            sign(tanaka.key, digest) + b"\0"):
        assert judge(tanaka, digest, bad, ca=ca.path)[0] == REFUSED
    assert judge(tanaka, digest, sign(tanaka.key, digest), ca=ca.path)[0] == OK


@pytest.mark.parametrize("what", ["empty", "garbage", "cut", "longer", "two"])
def test_attack_no_certificate(ca, tanaka, what):
    """Tried: in place of a certificate nothing, random bytes, one that is cut, one with a byte behind it, two in a row. Comes of it: refused."""
    bad = {"empty": b"\x30", "garbage": os.urandom(900), "cut": tanaka.der[:-1], "longer": tanaka.der + b"\0", "two": tanaka.der * 2}[what]
    assert judge(tanaka, certificate=bad, ca=ca.path)[0] == REFUSED


def test_pinned_is_not_asked_for_its_issuer(directory):
    person = Person(self_signed("tanaka"), KEY, directory)
    assert judge(person, pinned=True) == (OK, NOT_ASKED, NOT_ASKED, "")
    assert judge(person)[0] == REFUSED  # and where no issuers are set


def test_issuers_that_cannot_be_read(tanaka, directory):
    empty = directory / "empty.pem"
    empty.write_text("no certificate\n")
    for path in empty, directory / "missing.pem":
        assert judge(tanaka, ca=path)[0] == CODE["PERSON_SERVICE"]


# --- OCSP ---------------------------------------------------------------------------------------------------------------


def ocsp(person, ca, responder, **options):
    code, said, listed, name = judge(person, **{"ca": ca.path, "ocsp": True, "url": responder.url} | options)
    assert (code, listed, name) == (OK, NOT_ASKED, "tanaka")
    return said


def test_attack_ocsp_revoked_or_unknown(ca, responder, tanaka):
    """Tried: a certificate that was revoked, and one that its authority never made known. Comes of it: the responder says so and each is refused
    by its own code; without a responder's address nobody vouches for one."""
    assert ocsp(tanaka, ca, responder) == GOOD
    revoked, unknown = ca.person("tanaka"), ca.person("tanaka", known=False)
    ca.revoke(revoked)
    assert ocsp(revoked, ca, responder) == REVOKED
    assert ocsp(unknown, ca, responder) == UNKNOWN
    named = ca.person("tanaka", ocsp=responder.url)
    assert ocsp(named, ca, responder, url="") == GOOD
    assert ocsp(tanaka, ca, responder, url="") == NO_ANSWER


def test_ocsp_by_the_authority_itself(ca, responder, tanaka, directory):
    itself = signer(ca, directory / "itself")
    shutil.copy(ca.path, itself.directory / "signer.pem")
    shutil.copy(ca.directory / "ca.key", itself.directory / "signer.key")
    responder.signer = itself
    assert ocsp(tanaka, ca, responder) == GOOD
    responder.options = ["-resp_no_certs"]
    assert ocsp(tanaka, ca, responder) == GOOD


def test_ocsp_outdated_certificate_is_not_asked_about(ca, responder):
    before = len(responder.requests)
    person = ca.person("tanaka", since=NOW - 2 * DAY, until=NOW - DAY)
    assert judge(person, ca=ca.path, ocsp=True, url=responder.url)[:2] == (OUTDATED, NOT_ASKED)
    assert len(responder.requests) == before


def test_attack_ocsp_unreachable(ca, responder, tanaka):
    """Tried: the responder is kept from answering: a closed port, an address that is none. Comes of it: no answer, which is not a good one."""
    assert ocsp(tanaka, ca, responder, url=f"http://127.0.0.1:{system.free_port()}/") == NO_ANSWER
    assert ocsp(tanaka, ca, responder, url="https://127.0.0.1/") == NO_ANSWER
    assert ocsp(tanaka, ca, responder, url="nonsense") == NO_ANSWER


def test_attack_ocsp_that_hangs(ca, responder, tanaka):
    """An answer that does not come ends in time, below the deadline at which the process would be killed."""
    responder.hang.clear()
    begin = time.monotonic()
    assert ocsp(tanaka, ca, responder) == NO_ANSWER
    assert time.monotonic() - begin < 11


def test_attack_ocsp_stale_answer(ca, responder, tanaka):
    """True once: from before it was revoked."""
    responder.fake_time = "-3d"
    assert ocsp(tanaka, ca, responder) == NO_ANSWER
    assert ocsp(tanaka, ca, responder, nonce=False) == NO_ANSWER


def test_attack_ocsp_wrong_signer(ca, responder, tanaka, directory):
    """Signed by another CA's responder, by a person of this CA, and by a CA of the same name."""
    others = [Authority(directory / "elsewhere", "Elsewhere"), Authority(directory / "namesake", ca.common)]
    for wrong in [signer(other, directory / f"wrong-{i}") for i, other in enumerate(others)] + [
            signer(ca, directory / "person", (ExtendedKeyUsageOID.CLIENT_AUTH,))]:
        responder.signer = wrong
        assert ocsp(tanaka, ca, responder) == NO_ANSWER


def test_attack_ocsp_replayed_answer(ca, responder, tanaka):
    """Good answers of before, put in the way of today's "revoked": with their nonce, and without any."""
    person = ca.person("tanaka")
    assert ocsp(person, ca, responder) == GOOD
    old = responder.answers[-1]
    bare = responder.ocsp(x509_ocsp.OCSPRequestBuilder().add_certificate(person.certificate, ca.certificate, hashes.SHA1()).build()
        .public_bytes(serialization.Encoding.DER))
    ca.revoke(person)
    responder.spoil = lambda answer: old
    assert ocsp(person, ca, responder) == NO_ANSWER
    assert ocsp(person, ca, responder, nonce=False) == NO_ANSWER  # a wrong one is never right
    responder.spoil = lambda answer: bare
    assert ocsp(person, ca, responder) == NO_ANSWER
    assert ocsp(person, ca, responder, nonce=False) == GOOD  # what policy's OCSP_NONCE 0 means, for a day


@pytest.mark.parametrize("what", ["empty", "garbage", "cut", "flipped", "for another", "try later", "huge"])
def test_attack_ocsp_bad_answer(ca, responder, tanaka, what):
    """Tried: OCSP answers that are empty, random, cut, changed in the signature, about another certificate, "try later" or of 4 MiB. Comes of it:
    they count as no answer."""
    assert ocsp(tanaka, ca, responder) == GOOD
    other = ca.person("tanaka")
    ocsp(other, ca, responder)
    about_other = responder.answers[-1]
    flip = lambda answer: answer[:-20] + bytes([answer[-20] ^ 1]) + answer[-19:]
    responder.spoil = {"empty": lambda a: b"", "garbage": lambda a: os.urandom(500), "cut": lambda a: a[:-1], "flipped": flip,
        "for another": lambda a: about_other, "try later": lambda a: b"\x30\x03\x0a\x01\x03", "huge": lambda a: b"\x30\x83\x40\x00\x00" + b"\0" * 0x400000}[what]
    assert ocsp(tanaka, ca, responder) == NO_ANSWER


# --- CRL ----------------------------------------------------------------------------------------------------------------


def crl(person, ca, place, **options):
    code, said, listed, name = judge(person, ca=ca.path, crl=place, **options)
    assert code == OK
    return said, listed


@pytest.fixture(scope="module")
def revoked(ca):
    person = ca.person("tanaka")
    ca.revoke(person)
    return person


def test_crl(ca, responder, tanaka, revoked, directory):
    path = directory / "list.crl"
    for encoding in serialization.Encoding.PEM, serialization.Encoding.DER:
        path.write_bytes(ca.crl().public_bytes(encoding))
        for place in path, responder.crl_url:
            assert crl(tanaka, ca, place) == (NOT_ASKED, GOOD)
            assert crl(revoked, ca, place) == (NOT_ASKED, REVOKED)
    # both are asked; a list that says no has the last word, and saves the question
    assert crl(tanaka, ca, path, ocsp=True, url=responder.url) == (GOOD, GOOD)
    assert crl(revoked, ca, path, ocsp=True, url=responder.url) == (NOT_ASKED, REVOKED)
    assert crl(tanaka, ca, path, ocsp=True) == (NO_ANSWER, GOOD)


def test_attack_crl_stale_forged_or_missing(ca, responder, revoked, directory):
    """A list from before, one signed by somebody else, another CA's, none: no answer, never "good"."""
    path = directory / "bad.crl"
    bad = [ca.crl(NOW - DAY / 2), ca.crl(key=new_key()), Authority(directory / "unrelated", "Unrelated").crl()]
    for one in [b.public_bytes(serialization.Encoding.DER) for b in bad] + [b"", b"nonsense", ca.crl().public_bytes(serialization.Encoding.DER)[:-9]]:
        path.write_bytes(one)
        assert crl(revoked, ca, path) == (NOT_ASKED, NO_ANSWER)
    assert crl(revoked, ca, directory / "gone.crl") == (NOT_ASKED, NO_ANSWER)
    responder.crl_until = NOW - DAY / 2
    assert crl(revoked, ca, responder.crl_url) == (NOT_ASKED, NO_ANSWER)


def test_attack_crl_of_what_is_new_only(ca, revoked, directory):
    """Tried: where a CA publishes what is new since its last list as well (Windows does), that one in place of the list, for somebody who was revoked
    before. Comes of it: no answer."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(ca.certificate.subject).last_update(NOW - DAY).next_update(NOW + DAY)
    path = directory / "new.crl"
    for changes, answer in ([], GOOD), ([x509.DeltaCRLIndicator(1)], NO_ANSWER):
        for one in changes:
            builder = builder.add_extension(one, True)
        path.write_bytes(builder.add_extension(x509.CRLNumber(2), False).sign(ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
        assert crl(revoked, ca, path) == (NOT_ASKED, answer)


# --- through the whole relay --------------------------------------------------------------------------------------------

POLICY = dict(ENFORCE_OTP="no", DISABLE_OTP="yes", AUTH_LOCKOUT_COUNT="50")


@pytest.fixture(scope="module")
def office(own_engawa, ca, responder):
    own_engawa.agent_options = {"CERTIFICATE_CA_FILE": ca.path, "OCSP_URL": responder.url}
    own_engawa.agent.stop()
    own_engawa.start_agent()
    own_engawa.sign_policy(**POLICY)
    return own_engawa


@pytest.fixture(autouse=True)
def no_users(request):
    yield
    if "office" in request.fixturenames:
        office = request.getfixturevalue("office")
        forget_users(office)
        office.sign_policy(**POLICY)


def connect(office, person=None, name=None, password="wrong"):
    """The code of a login with this certificate, name and password."""
    file = office.dir / "typed"
    file.write_text(password + "\n")
    file.chmod(0o600)
    result = office.connect(*(person.argv if person else []), *(["--user", name] if name else []), password_file=file)
    return result["status"] and result["code"]


def test_login(office, ca, tanaka):
    user(office, "add", "tanaka", "--method", "certificate", "--expires", "2099-12-31")
    user(office, "add", "suzuki", input="kawara to tsubame no su\n")
    assert user(office, "list").splitlines() == ["tanaka certificate 2099-12-31 on", "suzuki password - on"]
    assert connect(office, tanaka) == OK
    assert connect(office, tanaka, "Tanaka") == OK
    assert connect(office, None, "suzuki", "kawara to tsubame no su") == OK
    # a certificate is no password and the other way round
    assert connect(office, None, "tanaka", "kawara to tsubame no su") == CODE["PASSWORD_WRONG"]
    assert connect(office, tanaka, "suzuki", "kawara to tsubame no su") == REFUSED
    assert connect(office, ca.person("suzuki")) == REFUSED
    assert connect(office, ca.person("ito")) == REFUSED
    assert connect(office) == CODE["PERSON_NAME"]
    user(office, "disable", "tanaka")
    assert connect(office, tanaka) == CODE["PERSON_DENIED"]
    user(office, "enable", "tanaka")
    user(office, "expire", "tanaka", "--expires", "2026-01-01")
    assert connect(office, tanaka) == CODE["PERSON_EXPIRED"]


def test_everybody_of_the_authority(office, ca, made):
    user(office, "add", "*", "--method", "certificate")
    user(office, "add", "suzuki", input="kawara to tsubame no su\n")
    assert connect(office, ca.person("ito", "2048")) == OK
    assert connect(office, ca.person("suzuki")) == REFUSED  # a row of its own goes before
    assert connect(office, ca.person("*")) == REFUSED
    assert connect(office, made["of a CA with the same name"]) == REFUSED


def test_pinned(office, ca, directory, tanaka):
    mine = Person(self_signed("tanaka"), KEY, directory)
    user(office, "add", "tanaka", "--method", "certificate", "--certificate", mine.path)
    assert user(office, "list") == "tanaka pinned - on"
    assert connect(office, mine) == OK
    assert connect(office, mine, "tanaka") == OK
    assert connect(office, mine, "suzuki") == REFUSED
    with pytest.raises(system.Failed, match="EW-1025"):
        user(office, "add", "suzuki", "--method", "certificate", "--certificate", mine.path)


def test_attack_pinned_certificate_made_again(office, ca, directory, tanaka):
    """The same subject, serial number and dates with another key; one of the own CA with that name."""
    mine = Person(self_signed("tanaka"), KEY, directory)
    user(office, "add", "tanaka", "--method", "certificate", "--certificate", mine.path)
    thief = new_key()
    c = mine.certificate
    again = (x509.CertificateBuilder().subject_name(c.subject).issuer_name(c.issuer).public_key(thief.public_key()).serial_number(c.serial_number)
        .not_valid_before(c.not_valid_before).not_valid_after(c.not_valid_after).sign(thief, hashes.SHA256()))
    other = directory / "thief"
    other.mkdir(exist_ok=True)
    assert connect(office, Person(again, thief, other)) == REFUSED
    assert connect(office, tanaka) == REFUSED


def test_required(office, tanaka):
    office.sign_policy(**POLICY, REQUIRE_CERTIFICATE="yes")
    assert connect(office) == CODE["CERTIFICATE_NONE"]  # nobody with one is registered: told at once
    user(office, "add", "tanaka", "--method", "certificate")
    user(office, "add", "suzuki", input="kawara to tsubame no su\n")
    assert connect(office, tanaka) == OK
    assert connect(office, None, "suzuki", "kawara to tsubame no su") == CODE["CERTIFICATE_NEEDED"]


def test_attack_login_revoked_unknown_and_silent(office, ca, responder):
    """Tried: logins with an unknown certificate, and with a responder that gives no verdict. Comes of it: refused; where policy has grace, only a
    certificate that was found good before gets in, and the log says so."""
    user(office, "add", "*", "--method", "certificate")
    person, unknown = ca.person("ito"), ca.person("sato", known=False)
    assert connect(office, unknown) == OK  # nobody is asked
    office.sign_policy(**POLICY, ENABLE_OCSP="yes")
    assert connect(office, person) == OK
    assert connect(office, unknown) == CODE["CERTIFICATE_REVOKED"]
    responder.spoil = lambda answer: b"\x30\x03\x0a\x01\x06"  # unauthorized
    assert connect(office, person) == CODE["CERTIFICATE_UNCHECKED"]
    office.sign_policy(**POLICY, ENABLE_OCSP="yes", OCSP_FAILURE="grace")
    mark = len(office.agent.log.read_bytes())
    assert connect(office, person) == OK
    assert "certificate.let_in_unchecked" in office.agent.log.read_bytes()[mark:].decode()
    assert connect(office, ca.person("ito")) == CODE["CERTIFICATE_UNCHECKED"]  # never was good
    record = office.agent_dir / "certificates"
    word, fingerprint, at_s = record.read_text().split()[:3]
    record.write_text(f"{word} {fingerprint} {int(at_s) - 25 * 3600}\n")
    assert connect(office, person) == CODE["CERTIFICATE_UNCHECKED"]
    office.sign_policy(**POLICY, ENABLE_OCSP="yes", OCSP_FAILURE="open")
    assert connect(office, person) == OK
    responder.spoil = None
    ca.revoke(person)
    assert connect(office, person) == CODE["CERTIFICATE_REVOKED"]
    # and what was good before is forgotten with it
    office.sign_policy(**POLICY, ENABLE_OCSP="yes", OCSP_FAILURE="grace")
    responder.spoil = lambda answer: b""
    assert connect(office, person) == CODE["CERTIFICATE_UNCHECKED"]


def test_client_says_what_is_wrong(office, tanaka, directory):
    user(office, "add", "tanaka", "--method", "certificate")
    other = directory / "other.key"
    other.write_bytes(KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    other.chmod(0o600)
    for argv in (["--certificate", tanaka.path, "--certificate-key", other], ["--certificate", tanaka.key_path, "--certificate-key", tanaka.key_path]):
        assert f"EW-{CODE['CERTIFICATE_KEY']}" in office.connect(*argv)["stderr"]
    other.chmod(0o644)
    assert str(other) in office.connect("--certificate", tanaka.path, "--certificate-key", other)["stderr"]
    assert office.connect("--certificate", tanaka.path)["status"] == 2


# --- smart cards --------------------------------------------------------------------------------------------------------

MODULE = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture(scope="module")
def card(ca, directory):
    """Persons with their keys in SoftHSM: certificate, label."""
    home = directory / "card"
    home.mkdir()
    (home / "tokens").mkdir()
    (home / "conf").write_text(f"directories.tokendir = {home}/tokens\n")
    env = os.environ | {"SOFTHSM2_CONF": str(home / "conf")}
    run = lambda *argv: subprocess.run([str(a) for a in argv], env=env, check=True, capture_output=True, timeout=60)
    run("softhsm2-util", "--init-token", "--free", "--label", "card", "--so-pin", "12345678", "--pin", "5678")
    persons = {}
    for number, kind in enumerate(["P-256", "2048"], 1):
        person = persons[kind] = ca.person("tanaka", kind)
        run("softhsm2-util", "--import", person.key_path, "--token", "card", "--label", kind, "--id", f"0{number}", "--pin", "5678")
        person.key_path.unlink()  # only there from now on
    listed = run("pkcs11-tool", "--module", MODULE, "--token-label", "card", "--login", "--pin", "5678", "--list-objects", "--type", "privkey")
    assert listed.stdout.count(b"Private Key Object") == 2
    return persons, env


def by_card(office, card, kind, pin="5678", label=None, person=None):
    persons, env = card
    pin_file = office.dir / "pin"
    pin_file.write_text(f"{pin}\n")
    pin_file.chmod(0o600)
    result = office.connect("--certificate", (person or persons[kind]).path, "--certificate-key", f"pkcs11:token=card;object={label or kind}",
        "--certificate-module", MODULE, "--certificate-pin-file", pin_file, env=env)
    return result["status"] and result["code"]


@pytest.mark.parametrize("kind", ["P-256", "2048"])
def test_smart_card(office, card, kind):
    user(office, "add", "tanaka", "--method", "certificate")
    assert by_card(office, card, kind) == OK, office.agent.log_tail()


def test_smart_card_that_does_not_fit(office, card, ca):
    """Told at home, where it can be helped; the office PC hears of none of it and counts nothing."""
    user(office, "add", "tanaka", "--method", "certificate")
    assert by_card(office, card, "P-256", pin="9999") == CODE["TOKEN_PIN"]
    assert by_card(office, card, "P-256", label="nothing") == CODE["TOKEN_NONE"]
    assert by_card(office, card, "P-256", label="2048") == CODE["CERTIFICATE_KEY"]
    assert by_card(office, card, "P-256", person=ca.person("tanaka")) == CODE["CERTIFICATE_KEY"]
    assert by_card(office, card, "P-256") == OK


def test_pin_is_asked_for_here(office, card):
    """At a terminal, without echo."""
    user(office, "add", "tanaka", "--method", "certificate")
    persons, env = card
    argv = [str(a) for a in office.connect_argv("--certificate", persons["P-256"].path, "--certificate-key", "pkcs11:token=card;object=P-256",
        "--certificate-module", MODULE)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, env | {"LC_ALL": "C.UTF-8"})
    seen = b""
    while b"PIN" not in seen:
        seen += os.read(terminal, 4096)
    prompt = len(seen)
    os.write(terminal, b"5678\n")
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 4096):
            seen += more
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 and b"\"code\": 0" in seen, seen
    assert b"5678" not in seen[prompt:].partition(b"{")[0], seen  # the numbers of the result may be any


# --- a hostile client ---------------------------------------------------------------------------------------------------


def challenge(c, **facts):
    kind, payload = c.facts(**facts)
    prompt = c.inner.Prompt.FromString(payload)
    assert kind == c.inner.INNER_PROMPT and prompt.kind == c.inner.PROMPT_CERTIFICATE and len(prompt.challenge) == 32
    return prompt.challenge


def prove(c, person, asked, handshake=None, certificate=None):
    """The reply, and what comes of it."""
    certificate = certificate or person.der
    digest = hashlib.sha256(b"engawa certificate login v1\0" + (handshake or c.noise.h) + asked + hashlib.sha256(certificate).digest()).digest()
    return say(c, certificate, sign(person.key, digest))


def say(c, certificate, signature, text=""):
    c.say(c.inner.INNER_REPLY, c.inner.Reply(kind=c.inner.PROMPT_CERTIFICATE, certificate=certificate, signature=signature, text=text))
    kind, payload = c.hear_until(None, c.inner.INNER_REFUSED, c.inner.INNER_PROMPT, c.inner.INNER_START)
    return c.inner.Refused.FromString(payload).code if kind == c.inner.INNER_REFUSED else kind


def test_attack_any_message_at_certificate(office, outer, inner, tanaka):
    """Tried: where the certificate is asked for, each message of the protocol but the one that is due, the right password among them, and then the one
    that is due. Comes of it: the session ends without a word, and never begins."""
    user(office, "add", "tanaka", "--method", "certificate")
    assert try_all(office, outer, inner, lambda c: challenge(c) and {"reply to PROMPT_CERTIFICATE"}) > 25


def test_attack_signature_of_another_session(office, client, tanaka):
    """What the person signed for one connection, relayed into another: of the same moment, with the other's challenge or its own."""
    user(office, "add", "tanaka", "--method", "certificate")
    victim, thief = client().begin(), client().begin()
    of_victim, of_thief = challenge(victim), challenge(thief)
    assert of_victim != of_thief
    assert prove(thief, tanaka, of_thief, handshake=victim.noise.h) == REFUSED
    thief = client().begin()
    challenge(thief)
    assert prove(thief, tanaka, of_victim) == REFUSED
    thief = client().begin()
    challenge(thief)
    assert prove(thief, tanaka, of_victim, handshake=victim.noise.h) == REFUSED
    assert prove(victim, tanaka, of_victim) == victim.inner.INNER_START


def test_attack_stolen_certificate(office, client, ca, tanaka):
    """The certificate of one person with the signature of another who is let in too."""
    user(office, "add", "*", "--method", "certificate")
    c = client().begin()
    assert prove(c, ca.person("suzuki"), challenge(c), certificate=tanaka.der) == REFUSED


@pytest.mark.parametrize("what", ["too long", "no signature", "only a signature", "a password too", "answered twice"])
def test_attack_reply(office, client, tanaka, what):
    """Tried: a reply to the certificate's challenge that is too long, has no signature, only a signature, a password too, or comes twice. Comes of
    it: refused, or the session ends; without a certificate it is like somebody who has none."""
    user(office, "add", "tanaka", "--method", "certificate")
    c = client().begin()
    asked = challenge(c)
    inner = c.inner
    if what == "too long":
        assert say(c, os.urandom(3073), b"x") is None
    elif what == "no signature":
        assert say(c, tanaka.der, b"") == REFUSED
    elif what == "only a signature":  # no certificate: like somebody who has none
        assert say(c, b"", b"x" * 70) in (CODE["PERSON_NAME"], inner.INNER_PROMPT)
    elif what == "a password too":
        assert say(c, tanaka.der, b"x" * 70, office.password) == REFUSED
    else:
        for _ in range(2):
            c.say(inner.INNER_REPLY, inner.Reply(kind=inner.PROMPT_CERTIFICATE, certificate=tanaka.der, signature=b"x" * 70))
        # the second came before it was asked for
        assert c.hear_until(None, inner.INNER_REFUSED)[0] in (None, inner.INNER_REFUSED)
        assert "step=certificate" in office.agent.log_tail()
    assert asked


def test_attack_which_names_have_a_certificate(office, client):
    """The question is the same for all names, known or not."""
    user(office, "add", "tanaka", "--method", "certificate")
    user(office, "add", "suzuki", input="kawara to tsubame no su\n")
    for who in "tanaka", "suzuki", "nobody":
        c = client().begin()
        challenge(c, user=who)
        c.say(c.inner.INNER_REPLY, c.inner.Reply(kind=c.inner.PROMPT_CERTIFICATE))
        kind, payload = c.hear()
        assert kind == c.inner.INNER_PROMPT and c.inner.Prompt.FromString(payload).kind == c.inner.PROMPT_PASSWORD


def test_browser_is_told(office, client):
    """Certificates need the native client: told at once where nothing else lets in, and never by name."""
    html5 = lambda c, **facts: c.facts(kind=c.inner.CLIENT_HTML5, **facts)
    user(office, "add", "tanaka", "--method", "certificate")
    c = client().begin()
    kind, payload = html5(c, user="tanaka")
    assert kind == c.inner.INNER_REFUSED and c.inner.Refused.FromString(payload).code == CODE["CERTIFICATE_NATIVE"]
    user(office, "add", "suzuki", input="kawara to tsubame no su\n")
    for who in "tanaka", "suzuki":
        c = client().begin()
        kind, payload = html5(c, user=who)
        assert kind == c.inner.INNER_PROMPT and c.inner.Prompt.FromString(payload).kind == c.inner.PROMPT_PASSWORD
    office.sign_policy(**POLICY, REQUIRE_CERTIFICATE="yes")
    c = client().begin()
    kind, payload = html5(c, user="suzuki")
    assert kind == c.inner.INNER_REFUSED and c.inner.Refused.FromString(payload).code == CODE["CERTIFICATE_NATIVE"]


def test_attack_issuer_that_hangs_keeps_nobody_waiting(office, ca, responder, client):
    """While one login waits for an answer that does not come, another is asked, judged and let in."""
    user(office, "add", "*", "--method", "certificate")
    user(office, "add", "suzuki", input="kawara to tsubame no su\n")
    office.sign_policy(**POLICY, ENABLE_OCSP="yes")
    responder.hang.clear()
    waiting = client().begin()
    asked = challenge(waiting)
    person = ca.person("ito")
    digest = hashlib.sha256(b"engawa certificate login v1\0" + waiting.noise.h + asked + hashlib.sha256(person.der).digest()).digest()
    waiting.say(waiting.inner.INNER_REPLY, waiting.inner.Reply(kind=waiting.inner.PROMPT_CERTIFICATE, certificate=person.der,
        signature=sign(person.key, digest)))
    system.wait_for(lambda: helpers(office), "no helper")
    assert connect(office, None, "suzuki", "kawara to tsubame no su") == OK
    kind, payload = waiting.hear_until(None, waiting.inner.INNER_REFUSED)
    assert waiting.inner.Refused.FromString(payload).code == CODE["CERTIFICATE_UNCHECKED"]
    system.wait_for(lambda: not helpers(office), "a helper is left")


def helpers(office):
    paths = [pathlib.Path(f"/proc/{pid}/comm") for pid in system.family(office.agent.pid)]
    return [path for path in paths if path.exists() and "check" in path.read_text()]
