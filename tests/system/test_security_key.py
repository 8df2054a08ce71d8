"""Security keys with the native client, through the whole relay; the browser's side is in tests/browser/test_session.py."""
import subprocess

import pytest

import system

DRIVER = system.BUILD / "tests/system/key_driver"


def office(engawa, *argv, **options):
    return engawa.tool("engawa", "agent", *argv, "--state-directory", engawa.agent_dir, **options)


@pytest.fixture
def keys(engawa):
    """Nothing but security keys; none is left behind."""
    engawa.sign_policy(OTP_WEBAUTHN="only", WEBAUTHN_RP_ID="localhost")
    try:
        yield
    finally:
        while office(engawa, "key", "list"):
            office(engawa, "key", "remove", "1")
        office(engawa, "key", "cancel")
        office(engawa, "unlock")
        engawa.sign_policy()


def drive(engawa, code, *options):
    run = subprocess.run([DRIVER, engawa.org_file, engawa.terminal_id, engawa.dir / "security-key-device.key", code, engawa.password, *options],
        capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_register_and_use(engawa, keys):
    """With policy "only" and no key the login is refused before a mail; then a key is registered and is the code of the next login."""
    mails = engawa.mail.count()
    result = engawa.connect()
    assert (result["status"], result["code"]) == (1, 1100) and engawa.mail.count() == mails
    assert drive(engawa, office(engawa, "key", "add", "予備")) == ["4 6 5 2 started ENDED", "5 2 started ENDED"]
    assert "予備" in office(engawa, "key", "list")
    system.wait_for(lambda: engawa.mail.count() == mails + 1, "nobody is told of the new key")


def test_attack_copy_of_a_key(engawa, keys):
    """A key that was copied before its last use: its counter does not go forward."""
    first, second = drive(engawa, office(engawa, "key", "add", "copied"), "copy")
    assert first == "4 6 5 2 started ENDED"
    assert second.startswith("5 5 wrong=1101 ") and "started" not in second


def test_attack_stranger_registers(engawa, keys):
    """Without a registration code that the office PC gave out there is no question for a key at all; a wrong one is a wrong code."""
    office(engawa, "key", "add", "mine")
    first, second = drive(engawa, "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA")
    assert first.startswith("4 4 wrong=324 ") and "6" not in first.split() and "started" not in first + second
    assert office(engawa, "key", "list") == ""
