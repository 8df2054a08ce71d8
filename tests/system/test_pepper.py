"""The key behind the hashes of passwords, kept by a token (SoftHSM) at a real office PC."""
import json
import os
import subprocess

import pytest

import system
from gate_driver import CODE

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
LOCK = "tsuki no usagi 15"


if os.geteuid() != 0:
    pytest.skip("the person at the office PC is another user", allow_module_level=True)


@pytest.fixture(scope="module")
def office(own_engawa):
    """Passwords were kept with the key of a file so far; from now on there is a token."""
    directory = own_engawa.dir / "token"
    (directory / "tokens").mkdir(parents=True)
    (directory / "conf").write_text(f"directories.tokendir = {directory}/tokens\n")
    (directory / "pin").write_text("5678\n")
    (directory / "pin").chmod(0o600)
    own_engawa.tool("engawa", "agent", "settings-password", "--state-directory", own_engawa.agent_dir, input=LOCK + "\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(directory / "conf")
    own_engawa.tool("softhsm2-util", "--init-token", "--free", "--label", "office", "--so-pin", "1234", "--pin", "5678", env=os.environ)
    restart(own_engawa, PEPPER_TOKEN="pkcs11:token=office;object=pepper", PEPPER_MODULE=MODULE, PEPPER_PIN_FILE=directory / "pin")
    try:
        yield own_engawa
    finally:
        os.environ.pop("SOFTHSM2_CONF")
        if before:
            os.environ["SOFTHSM2_CONF"] = before


def restart(office, **options):
    office.agent.stop()
    office.agent_options = {key: value for key, value in (office.agent_options | options).items() if value is not None}
    office.start_agent()


def kept(office):
    return (office.agent_dir / "settings").read_text()


def warnings(office):
    return [warning["code"] for warning in office.agent_status()["warnings"]]


def change_here(office):
    """A change by the person at the office PC, who says the settings password."""
    path = office.dir / "home" / "lock"
    path.write_text(LOCK + "\n")
    path.chmod(0o600)
    office.give(path)
    return subprocess.run(["setpriv", f"--reuid={office.file_user}", "--clear-groups", system.BUILD / "src/cli/engawa", "agent", "totp", "--remove",
        "--settings-password-file", path, "--state-directory", office.agent_dir], capture_output=True, text=True, timeout=60,
        env=os.environ | {"LC_ALL": "ja_JP.UTF-8"})


def test_from_the_file_to_the_token(office):
    """Each password moves over when it is right the next time; then the file is not needed any more."""
    assert kept(office).count("$pepper$argon2id$") == 2 and warnings(office) == []
    assert office.connect("--for", "100ms")["code"] == 0
    here = change_here(office)
    assert here.returncode == 0, here
    system.wait_for(lambda: kept(office).count("$token$argon2id$") == 2, "a password stays with the file's key")
    (office.agent_dir / "pepper").unlink()
    restart(office)
    assert office.connect("--for", "100ms")["code"] == 0 and not (office.agent_dir / "pepper").exists()


def test_attack_office_pc_without_its_token(office):
    """Tried: the office PC's files on a computer without the token. Comes of it: no password is right or wrong there, and people are told what is missing;
    nothing is counted, and with the token in its place everything is as before."""
    tokens = office.dir / "token" / "tokens"
    log = office.log_dir / "agent.log"
    tokens.rename(office.dir / "token" / "gone")
    tokens.mkdir()
    try:
        restart(office)  # it starts without the token
        assert warnings(office) == [CODE["PEPPER_TOKEN"]]
        for _ in range(6):
            result = office.connect("--for", "100ms", env={"LC_ALL": "ja_JP.UTF-8"})
            assert result["code"] == CODE["PEPPER_TOKEN"] and "トークンが使えません" in result["stderr"], result
        here = change_here(office)
        assert here.returncode == 1 and f"EW-{CODE['PEPPER_TOKEN']}" in here.stderr, here
        assert "pepper.token" in log.read_text()
    finally:
        tokens.rmdir()
        (office.dir / "token" / "gone").rename(tokens)
    assert office.connect("--for", "100ms")["code"] == 0  # without a restart
    assert warnings(office) == []
    restart(office, PEPPER_TOKEN=None)
    try:
        assert office.connect("--for", "100ms")["code"] == CODE["PEPPER_TOKEN"]
    finally:
        restart(office, PEPPER_TOKEN="pkcs11:token=office;object=pepper")


def test_attack_wrong_pin_locks_the_token(office):
    """Tried: logins, while the PIN in the settings is wrong. Comes of it: the token hears it once, at the start; a right PIN and a restart mend it."""
    pin = office.dir / "token" / "pin"
    pin.write_text("1111\n")
    try:
        restart(office)
        for _ in range(3):
            assert office.connect("--for", "100ms")["code"] == CODE["PEPPER_TOKEN"]
        assert warnings(office) == [CODE["PEPPER_PIN"]]
    finally:
        pin.write_text("5678\n")
        restart(office)
    assert office.connect("--for", "100ms")["code"] == 0


@pytest.mark.parametrize("change", [{"PEPPER_MODULE": None}, {"PEPPER_TOKEN": "token=office"}, {"PEPPER_MODULE": "libsofthsm2.so"}])
def test_settings_that_do_not_fit(office, change):
    lines = {key: value for key, value in (office.agent_options | change).items() if value is not None}
    argv = [word for key, value in (lines | {"STATE_DIRECTORY": office.agent_dir}).items() for word in (f"--{key.lower().replace('_', '-')}", str(value))]
    run = subprocess.run([system.BUILD / "src/agent/engawa-agent", *argv, "run"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "PEPPER_TOKEN" in run.stderr, run
    assert json.loads(office.tool("engawa", "agent", "status", "--state-directory", office.agent_dir))["gates"]  # ours goes on
