"""The units of packaging/: what systemd says of them, and what they rely on."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from gate_driver import BUILD, ROOT, exchange, keys, messages, start_gate  # noqa: F401 (fixtures)

UNITS = sorted((ROOT / "packaging").glob("*.service"))
PROGRAMS = {"engawa": "cli", "engawa-gate": "gate", "engawa-controller": "controller", "engawa-agent": "agent"}
EXPOSURE_MAX = {"engawa-gate@": 3.0, "engawa-controller": 3.0, "engawa-agent": 4.0}  # of 10; the agent starts a person's desktop


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The units with the programs of this build."""
    directory = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        text = re.sub(r"/usr/s?bin/([\w-]+)", lambda m: str(BUILD / "src" / PROGRAMS[m[1]] / m[1]), unit.read_text())
        (directory / unit.name).write_text(re.sub(r"(?m)^Documentation=.*\n", "", text))
    return directory


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_verify(installed):
    """Every option exists, every program is there."""
    names = [str(installed / unit.name) for unit in UNITS]
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True)
    ours = [line for line in run.stderr.splitlines() if re.search(r"engawa", line)]
    assert not ours, "\n".join(ours)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", [unit for unit in UNITS if not unit.stem.endswith("-user")], ids=lambda unit: unit.stem)
def test_security(unit):
    run = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True)
    level = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", run.stdout)[1])
    assert level <= EXPOSURE_MAX[unit.stem], run.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_paths_and_arguments(unit):
    """Without systemd: programs that are built, arguments that they take, directories that are theirs."""
    text = unit.read_text()
    installed_as = json.loads(subprocess.run(["meson", "introspect", "--installed", BUILD], capture_output=True, text=True, check=True).stdout)
    for command in re.findall(r"(?m)^Exec\w+=(.*)", text):
        program, *arguments = command.split()
        binary = BUILD / "src" / PROGRAMS[pathlib.Path(program).name] / pathlib.Path(program).name
        assert binary.exists() and pathlib.Path(program).parent.name == pathlib.Path(installed_as[str(binary)]).parent.name
        if arguments[0] == "--config":
            assert arguments[1].startswith("/etc/engawa/")
        else:
            usage = subprocess.run([binary, *arguments[:2], "--nonsense"], capture_output=True, text=True)
            for option in (a for a in arguments if a.startswith("--")):
                assert option in usage.stdout + usage.stderr, usage.stderr
    tmpfiles = (ROOT / "packaging/engawa.tmpfiles").read_text()
    for path in re.findall(r"(?m)^ReadWritePaths=(.*)", text):
        for one in path.split():
            assert f"d {one} " in tmpfiles or f"StateDirectory={one.removeprefix('/var/lib/')}\n" in text
    assert "NoNewPrivileges=yes" in text or unit.stem.startswith("engawa-agent")  # it starts the desktop's programs


def test_the_manager_hears_who_the_gate_is(start_gate, tmp_path, monkeypatch):  # noqa: F811
    """READY and MAINPID, and after an upgrade those of the new process: otherwise the manager takes the end of the old one for the end of all."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        gate = start_gate()
        assert manager.recv(1000).decode() == f"READY=1\nMAINPID={gate.process.pid}\n"
        pair = gate.join(gate.agent())
        gate.renew()
        assert manager.recv(1000).decode() == f"READY=1\nMAINPID={gate.pid}\n" and gate.pid != gate.process.pid
        exchange(*(side.stream for side in pair), 10_000, 10_000)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
def test_the_gate_works_with_the_rights_of_its_unit(start_gate, tmp_path):  # noqa: F811
    """The capabilities that the unit leaves, and no new privileges: it comes up, serves, is upgraded and drains."""
    text = (ROOT / "packaging/engawa-gate@.service").read_text()
    rights = [name.removeprefix("CAP_").lower() for name in re.search(r"(?m)^CapabilityBoundingSet=(.*)", text)[1].split()]
    sets = ",".join(["-all", *(f"+{name}" for name in rights)])
    wrapper = tmp_path / "gate"
    wrapper.write_text(f"#!/bin/sh\nexec setpriv --no-new-privs --inh-caps=-all --bounding-set={sets} {BUILD}/src/gate/engawa-gate \"$@\"\n")
    wrapper.chmod(0o755)
    gate = start_gate(program=wrapper, WORKERS=2)
    status = pathlib.Path(f"/proc/{gate.process.pid}/status").read_text()
    assert re.search(r"NoNewPrivs:\s+1", status) and not re.search(r"CapBnd:\s+0+1ffffffffff", status)
    pair = gate.join(gate.agent())
    gate.renew()
    exchange(*(side.stream for side in pair), 10_000, 10_000)
    assert "code=" not in "".join(line for line in gate.log().splitlines() if " error " in line)
