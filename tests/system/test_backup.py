"""engawa agent backup and restore."""
import json
import os
import shutil

import pytest

import system

PASSPHRASE = "縁側で瓦を数える夏の夕方\n"
IDENTITY = ["identity.key", "agent.key", "tls.key", "salt", "certificate", "organisation"]


@pytest.fixture(scope="module")
def office(own_engawa):
    return own_engawa


@pytest.fixture(scope="module")
def backups(office, tmp_path_factory):
    """Of the office PC as it was made: without and with its keys."""
    place = tmp_path_factory.mktemp("backups")
    for name, options in [("settings", []), ("identity", ["--with-identity", "yes"])]:
        backup(office, place / name, *options)
    return place


def backup(office, path, *options, directory=None, passphrase=PASSPHRASE):
    return office.tool("engawa", "agent", "backup", path, "--state-directory", directory or office.agent_dir, *options, input=passphrase)


def restore(office, path, *options, directory=None, passphrase=PASSPHRASE):
    return office.tool("engawa", "agent", "restore", path, "--state-directory", directory or office.agent_dir, *options, input=passphrase)


def fails(code, call, *args, **options):
    with pytest.raises(system.Failed, match=f"EW-{code}"):
        call(*args, **options)


def files(directory):
    """Content by name, but for what changes by itself or is no file."""
    return {name: (directory / name).read_bytes() for name in sorted(os.listdir(directory)) if (directory / name).is_file()}


@pytest.fixture
def stopped(office):
    office.agent.stop()
    before = files(office.agent_dir)
    yield before
    if not office.agent.alive:
        office.start_agent()


@pytest.fixture(scope="module")
def other(office, tmp_path_factory):
    """The state directory of another office PC of the same organisation."""
    directory = tmp_path_factory.mktemp("other") / "agent"
    code = office.tool("engawa", "code", "new", "--org", system.ORGANISATION)
    office.tool("engawa-agent", "enrol", "--org", office.org_file, "--org-fingerprint", office.fingerprint(), "--code", code, "--state-directory", directory)
    return directory


def test_there_and_back(office, backups):
    office.tool("engawa", "agent", "mail", "suzuki@city.engawa.example", "--reset", "--state-directory", office.agent_dir)
    office.tool("engawa", "agent", "user", "add", "suzuki", "--method", "pam", "--state-directory", office.agent_dir)
    fails(1200, restore, office, backups / "settings")  # while the agent runs
    assert office.agent_status()["users"] == 1
    office.agent.stop()
    restore(office, backups / "settings")
    office.start_agent()
    status = office.agent_status()
    assert status["mail"] == "t***@city.engawa.example" and status["users"] == 0
    assert not (office.agent_dir / "users").exists()  # it was not there when the backup was made
    assert office.connect("--for", "100ms")["code"] == 0  # with the old password
    assert (office.agent_dir / "settings").stat().st_mode & 0o777 == 0o600


def test_attack_backup_is_opaque(office, backups):
    """Who finds the backup sees nothing in it, and only its owner can read it."""
    for name in "settings", "identity":
        data = (backups / name).read_bytes()
        assert b"city.engawa" not in data and b"argon2id" not in data and b"identity" not in data and b"PRIVATE" not in data
        assert (backups / name).stat().st_mode & 0o777 == 0o600


def test_attack_backup_refused(office, backups, stopped, tmp_path):
    """Wrong passphrase, cut off, changed, of something else, of a newer version: refused each with its own words, and nothing changes."""
    good = (backups / "settings").read_bytes()
    fails(1196, restore, office, backups / "settings", passphrase="some other passphrase\n")
    bad = tmp_path / "bad"
    for code, data in [(1195, good[:40]), (1196, good[:-1]), (1196, good[:-20] + b"x" + good[-19:]), (1195, b""), (1195, os.urandom(500)),
            (1197, good[:8] + b"\0\2" + good[10:]), (1195, b"x" * (9 << 20))]:
        bad.write_bytes(data)
        fails(code, restore, office, bad)
    assert files(office.agent_dir) == stopped
    assert not [name for name in os.listdir(office.agent_dir) if name.startswith("restore")]


def test_backup_is_careful(office, backups):
    fails(1201, backup, office, backups / "short", passphrase="short\n")
    assert not (backups / "short").exists()
    before = (backups / "settings").read_bytes()
    with pytest.raises(system.Failed, match="File exists"):
        backup(office, backups / "settings")
    assert (backups / "settings").read_bytes() == before


def test_attack_one_terminal_twice(office, backups, stopped, other, tmp_path):
    """A backup with keys is put on another office PC, and on one that is not enrolled; one without keys on another office PC: a terminal that
    is somebody stays who it is, and settings go to another one only when that was asked for."""
    before = files(other)
    fails(1199, restore, office, backups / "identity", directory=other)
    fails(1199, restore, office, backups / "identity", "--other-terminal", "yes", directory=other)
    fails(1198, restore, office, backups / "settings", directory=other)
    assert files(other) == before
    fails(1053, restore, office, backups / "settings", directory=tmp_path / "empty")
    restore(office, backups / "settings", "--other-terminal", "yes", directory=other)
    after = files(other)
    assert {name: after[name] for name in IDENTITY} == {name: before[name] for name in IDENTITY}
    assert after["settings"] == stopped["settings"] and after["pepper"] == stopped["pepper"]


def test_moved_to_a_new_computer(office, backups, stopped, tmp_path):
    restore(office, backups / "identity", directory=tmp_path / "new")
    new = files(tmp_path / "new")
    assert {name: new[name] for name in IDENTITY} == {name: stopped[name] for name in IDENTITY}
    assert "policy" not in new and "policy-revision" not in new
    kept = office.agent_dir.with_name("agent-kept")
    office.agent_dir.rename(kept)
    shutil.move(tmp_path / "new", office.agent_dir)
    shutil.copy(kept / "policy", office.agent_dir / "policy")
    office.start_agent()
    assert office.connect("--for", "100ms")["code"] == 0  # the same terminal ID, keys and password


def test_passphrase_from_a_file(office, tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o644)
    with pytest.raises(system.Failed, match="not permitted"):
        backup(office, tmp_path / "b", "--passphrase-file", secret, passphrase="")
    secret.chmod(0o600)
    backup(office, tmp_path / "b", "--passphrase-file", secret, passphrase="")
    office.agent.stop()
    restore(office, tmp_path / "b")
    office.start_agent()


def test_copied_computer(office):
    """A disk image with the agent on it is started twice: the relay notices. As the manual says, the copy forgets who it is and enrols anew: another
    terminal ID, the same settings, and both let their person in."""
    copy, conf = office.dir / "copy", office.dir / "copy.conf"
    if not office.agent.alive:
        office.start_agent()
    shutil.copytree(office.agent_dir, copy, ignore=lambda _, names: [name for name in names if name.endswith(".sock")])
    conf.write_text("".join(line for line in (office.dir / "agent.conf").read_text().splitlines(True) if not line.startswith("STATE_DIRECTORY ")) +
        f"STATE_DIRECTORY {copy}\n")
    mine = office.agent_status()["terminal_id"]

    def copy_is_up():
        try:
            return any(gate["up"] for gate in json.loads(office.tool("engawa", "agent", "status", "--state-directory", copy))["gates"])
        except system.Failed:  # the socket's file is there a moment before the agent listens
            return False
    part = office.part("copy", [system.BUILD / "src/agent/engawa-agent", "--config", conf, "run"], lambda: (copy / "agent.sock").exists())
    gate = office.log_dir / "gate.log"
    part.start()
    system.wait_for(lambda: "agent.clone" in gate.read_text(), "the relay does not notice", 60)
    part.stop()
    for name in IDENTITY:
        (copy / name).unlink()
    code = office.tool("engawa", "code", "new", "--org", system.ORGANISATION, "--approve")
    terminal_id = office.tool("engawa-agent", "enrol", "--org", office.org_file, "--org-fingerprint", office.fingerprint(), "--code", code,
        "--state-directory", copy)
    assert terminal_id != mine
    part.start()
    system.wait_for(lambda: copy_is_up() and office.agent_up(), "not both are there", 60)
    for own in mine, terminal_id:
        assert office.connect("--for", "100ms", terminal_id=own)["code"] == 0, own
    part.stop()
