"""Parts of the whole system fail: what goes on, what stops cleanly, and what people are told."""
import json
import os
import signal
import subprocess

import pytest

import system
from gate_driver import CODE
from whole import make, unmake


@pytest.fixture(scope="module")
def own_engawa():
    """One whose office PC waits only a moment for a client that is lost."""
    whole = make()
    whole.agent_options["RESUME_S"] = 5
    try:
        yield whole.start()
    finally:
        unmake(whole)


@pytest.fixture
def engawa(own_engawa):
    """Whatever a test broke is mended for the next."""
    yield own_engawa
    for part, start in (("smtp", "start_smtp"), ("controller", "start_controller"), ("gate", "start_gate"), ("agent", "start_agent")):
        if not getattr(own_engawa, part).alive:
            getattr(own_engawa, start)()
    system.wait_for(own_engawa.agent_up, "the office PC does not come back", 60)
    system.wait_for(lambda: own_engawa.agent_status()["sessions"] == 0, "a session is left", 30)


class Session:
    """A session in the background."""

    def __init__(self, engawa, *actions, **options):
        self.client = subprocess.Popen([str(a) for a in engawa.connect_argv(*actions, **options)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
        system.wait_for(lambda: engawa.agent_status()["working"] or self.client.poll() is not None, "no session", 30)
        assert self.client.poll() is None, self.client.communicate()

    def end(self, timeout_s=60):
        out, err = self.client.communicate(timeout=timeout_s)
        return (json.loads(out) if out.startswith("{") else {}) | {"status": self.client.returncode, "stderr": err}


def test_controller_down(engawa):
    """Sessions and waiting agents survive, who asks anew is told, and everything is well when it is back."""
    session = Session(engawa, "--for", "12s", "--wait", "4000", "--type", "after the controller")
    workers = len(json.loads(engawa.tool("engawa", "gate", "list", "--json")))
    mark = len(engawa.gate.log.read_text())
    engawa.controller.kill()
    system.wait_for(lambda: engawa.gate.log.read_text()[mark:].count("link.down") >= workers, "the gate does not notice")
    assert engawa.agent_up()
    result = engawa.connect()
    assert result["status"] == 1 and result["code"] == CODE["NO_CONTROLLER"], result
    result = session.end()
    assert result["status"] == 0 and result["pictures"] > 3, result
    assert engawa.agent_up()
    engawa.start_controller()
    system.wait_for(lambda: engawa.connect()["status"] == 0, "no session after the controller came back", 60, 1)


def test_gate_restarts(engawa):
    """A gate that is asked to stop lets sessions end; agents come to the next one by themselves."""
    engawa.gate.process.terminate()
    engawa.gate.process.wait(60)
    result = engawa.connect()
    assert result["status"] == 1 and result["code"] == CODE["NO_GATE"], result
    engawa.start_gate()
    system.wait_for(engawa.agent_up, "the agent does not come back", 60)
    assert engawa.connect()["status"] == 0


def test_gate_killed_in_a_session(engawa):
    session = Session(engawa, "--for", "60s")
    engawa.gate.kill()
    result = session.end(60)
    assert result["status"] == 1 and result["code"] in (CODE["CLOSED"], CODE["TIMEOUT"], CODE["PATH_LOST"]), result
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "the session stays at the office PC", 30)


def test_client_vanishes(engawa):
    """Killed at home: the office PC notices, lets go of the keys, and takes the next one."""
    session = Session(engawa, "--for", "60s")
    session.client.kill()
    session.client.wait()
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "the session stays", 30)
    assert engawa.connect()["status"] == 0


def test_client_freezes(engawa):
    """No end of the connection, just silence."""
    session = Session(engawa, "--for", "60s")
    session.client.send_signal(signal.SIGSTOP)
    try:
        system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "the session stays", 30)
    finally:
        session.client.kill()
        session.client.wait()


def test_agent_killed(engawa):
    session = Session(engawa, "--for", "60s")
    engawa.agent.kill()
    result = session.end(30)
    assert result["status"] == 1 and result["code"] in (CODE["CLOSED"], CODE["TIMEOUT"], CODE["UNREACHABLE"]), result
    assert engawa.connect()["code"] == CODE["UNREACHABLE"]
    engawa.start_agent()
    assert engawa.connect()["status"] == 0


def test_mail_server_down(engawa):
    engawa.smtp.kill()
    result = engawa.connect(code_command="sleep 60")
    assert result["status"] == 1 and result["code"] == CODE["MAIL_FAILED"], result


@pytest.mark.parametrize("shift", ["-1d", "+1d"])
def test_clock_at_home(engawa, shift):
    """A day off at home: it works, or the clock is what the person is told of."""
    argv = ["faketime", "-f", shift, *engawa.connect_argv()]
    run = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8"})
    if shift == "-1d":
        assert run.returncode == 1 and f"EW-{CODE['CERT_EXPIRED']}" in run.stderr and "date and time" in run.stderr
    else:
        assert run.returncode == 0, run.stderr


CLOCK_OFF = """set -e
cp -a /etc "$1/etc"
echo "$2" > "$1/etc/ld.so.preload"
echo "$3" > "$1/etc/clock-shift"
mount --bind "$1/etc" /etc
shift 3; exec "$@"
"""


@pytest.mark.parametrize("shift_s, code", [(-86400, "UNREACHABLE"), (86400, "TICKET_EXPIRED")])
def test_clock_of_the_gate(engawa, tmp_path, shift_s, code):
    """A day off in all processes of the gate: nobody comes in, its operator is told why, and all is well again with the right time."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        pytest.skip("no mounts here")
    log = engawa.log_dir / "gate.log"
    mark = log.stat().st_size
    library = system.BUILD / "tests/system/libclock_shift.so"
    engawa.gate.stop()
    engawa.start_gate(prefix=["unshare", "-m", "sh", "-c", CLOCK_OFF, "sh", tmp_path, library, shift_s])
    try:
        def said():
            return log.read_bytes()[mark:].decode()
        system.wait_for(lambda: f"gate.clock ahead_s={shift_s}" in said(), "the gate does not see that its clock is wrong", 30)
        if shift_s > 0:
            system.wait_for(engawa.agent_up, "the office PC does not come", 60)
        else:
            system.wait_for(lambda: "certificate is not yet valid" in said(), "the office PC does not come", 60)
        result = engawa.connect()
        assert (result["status"], result["name"]) == (1, code), result
    finally:
        engawa.gate.stop()
        engawa.start_gate()
    system.wait_for(engawa.agent_up, "the office PC does not come back", 60)
    assert engawa.connect()["status"] == 0
