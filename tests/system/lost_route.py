"""In a network namespace of its own (test_resume.py): a client at home, in another one, and two gates. The route between the home and
the gate in use becomes a black hole. Prints what came of it as JSON."""
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import system  # noqa: E402
import two_sites  # noqa: E402


def run(engawa, home):
    log = engawa.log_dir / "agent.log"
    argv = [*home.prefix, *engawa.connect_argv("--for", "12s", "--click", "300,300", "--type", "a", "--wait", "9s", "--type", "b")]
    client = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    system.wait_for(lambda: "session.heard" in log.read_text() or client.poll() is not None, "no session", 30)
    if client.poll() is not None:
        raise system.Failed(str(client.communicate()))
    gate = engawa.gate_in_use()
    time.sleep(1)
    home.lose(gate)
    lost = time.monotonic()
    system.wait_for(lambda: "session.resumed" in log.read_text(), "the session does not go on", 60)
    seconds = time.monotonic() - lost
    out, err = client.communicate(timeout=60)
    return {"lost_gate": gate, "seconds": seconds, "log": log.read_text(), "stderr": err} | json.loads(out)


def main():
    with two_sites.engawa_and_home() as (engawa, home):
        engawa.start()
        system.wait_for(engawa.agent_everywhere, "the agent is not at both gates")
        print(json.dumps(run(engawa, home)))


main()
