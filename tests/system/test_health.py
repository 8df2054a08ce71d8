"""Room on the office PC: who is told when there is little of it."""
import os
import shutil
import subprocess

import pytest

import system


@pytest.fixture(scope="module")
def small_disk(own_engawa, tmp_path_factory):
    """The state directory on a file system of 4 MiB."""
    place = tmp_path_factory.mktemp("disk")
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "none", place]).returncode != 0:
        pytest.skip("no mount here")
    kept = own_engawa.agent_dir.with_name("agent-kept")
    own_engawa.agent.stop()
    shutil.copytree(own_engawa.agent_dir, place / "state", ignore=shutil.ignore_patterns("agent.sock"))
    own_engawa.agent_dir.rename(kept)
    own_engawa.agent_dir.symlink_to(place / "state")
    try:
        yield place
    finally:
        own_engawa.agent.stop()
        subprocess.run(["umount", "-l", place])


def restart(office, **options):
    office.agent.stop()
    office.agent_options = options
    office.start_agent()


def log(office, start=0):
    return office.agent.log.read_bytes()[start:].decode()


def log_size(office):
    return office.agent.log.stat().st_size


def fill(place, mib):
    (place / "full").write_bytes(b"x" * (mib << 20))


def codes(office):
    return [warning["code"] for warning in office.agent_status()["warnings"]]


def session(office, *actions):
    return subprocess.Popen([str(a) for a in office.connect_argv(*actions)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})


def test_disk_low(own_engawa, small_disk):
    office = own_engawa
    restart(office, DISK_WARN_MIB=2, MEMORY_WARN_MIB=0)
    assert codes(office) == []
    start = log_size(office)
    client = session(office, "--for", "60s")
    try:
        system.wait_for(lambda: "session.heard" in log(office, start), "no session", 30)
        fill(small_disk, 3)
        system.wait_for(lambda: codes(office) == [1193], "the status does not say so", 30)
        [warning] = office.agent_status()["warnings"]
        assert warning["free_mib"] == 0
        # once, however long it lasts
        assert log(office, start).count("health.disk.low") == 1 and "free_mib=0" in log(office, start)
        # another one, that begins while it lasts, hears of it; the first is ended by it
        other = office.connect("--for", "1s")
        assert other["code"] == 0 and "EW-1193" in other["stderr"] and "running out of disk space" in other["stderr"]
        assert "EW-1193" in client.communicate(timeout=30)[1]
    finally:
        client.kill()
    (small_disk / "full").unlink()
    system.wait_for(lambda: codes(office) == [], "it stays low", 30)
    assert "health.disk.well" in log(office, start)
    assert "EW-1193" not in office.connect("--for", "1s")["stderr"]


def test_disk_full_keeps_the_old(own_engawa, small_disk):
    """A setting that cannot be written is refused in words, the old one stays in force and on the disk, and nothing is left beside it."""
    office = own_engawa
    restart(office, DISK_WARN_MIB=2, MEMORY_WARN_MIB=0)
    before = (office.agent_dir / "settings").read_bytes()
    names = sorted(os.listdir(office.agent_dir))
    with open(small_disk / "full", "wb", buffering=0) as full:
        try:
            while True:
                full.write(b"x" * 4096)
        except OSError:
            pass
    try:
        for argv, given in [(("mail", "suzuki@city.engawa.example", "--reset"), ""), (("password",), "kawara to engawa 7\n"), (("settings-password",), "kawara 8 engawa\n"),
                (("recovery",), ""), (("addresses", "deny", "192.0.2.0/24"), ""), (("unlock",), "")]:
            with pytest.raises(system.Failed, match="EW-1027"):
                office.tool("engawa", "agent", *argv, "--state-directory", office.agent_dir, input=given)
        assert sorted(os.listdir(office.agent_dir)) == names
        assert (office.agent_dir / "settings").read_bytes() == before
        status = office.agent_status()
        assert status["mail"].startswith("t***@") and not status["locked"] and status["recovery"] == 0 and status["addresses"] == 0
    finally:
        (small_disk / "full").unlink()
    assert office.connect("--for", "100ms")["code"] == 0


def test_memory_low(own_engawa, small_disk):
    office = own_engawa
    start = log_size(office)
    restart(office, DISK_WARN_MIB=0, MEMORY_WARN_MIB=1000000000)
    assert codes(office) == [1194]
    assert office.agent_status()["warnings"][0]["free_mib"] > 0
    assert log(office, start).count("health.memory.low") == 1
    assert "EW-1194" in office.connect("--for", "1s")["stderr"]
    restart(office, DISK_WARN_MIB=0, MEMORY_WARN_MIB=0)
    assert codes(office) == []
