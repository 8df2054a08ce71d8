"""In a network namespace of its own (test_resume.py): a client at home, in another one, and two gates. The route between the home and
the gate in use becomes a black hole, in both directions, without a word to anybody. Prints what came of it as JSON."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import system  # noqa: E402

system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))
GATES = {"east-1": "10.1.0.1", "west-1": "10.2.0.1"}
HOME, OFFICE = "192.168.9.2", "192.168.9.1"


def ip(*argv, pid=None):
    enter = ["nsenter", "-t", str(pid), "-n"] if pid else []
    subprocess.run([*enter, "ip", *map(str, argv)], check=True)


def make_home():
    """The home's namespace, kept by a process that does nothing."""
    home = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    mine = os.readlink("/proc/self/ns/net")
    system.wait_for(lambda: os.readlink(f"/proc/{home.pid}/ns/net") != mine, "no namespace")
    ip("link", "add", "office", "type", "veth", "peer", "name", "home")
    ip("link", "set", "home", "netns", home.pid)
    ip("addr", "add", f"{OFFICE}/24", "dev", "office")
    ip("link", "set", "office", "up")
    ip("addr", "add", f"{HOME}/24", "dev", "home", pid=home.pid)
    ip("link", "set", "home", "up", pid=home.pid)
    ip("link", "set", "lo", "up", pid=home.pid)
    for address in GATES.values():
        ip("route", "add", address, "via", OFFICE, pid=home.pid)
    return home


def lose(home, address):
    ip("rule", "add", "from", address, "to", HOME, "blackhole")
    ip("route", "replace", "blackhole", address, pid=home.pid)


def run(engawa, home):
    log = engawa.log_dir / "agent.log"
    argv = ["nsenter", "-t", home.pid, "-n", *engawa.connect_argv("--for", "12s", "--click", "300,300", "--type", "a", "--wait", "9s", "--type", "b")]
    client = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    system.wait_for(lambda: "session.start" in log.read_text() or client.poll() is not None, "no session", 30)
    if client.poll() is not None:
        raise system.Failed(str(client.communicate()))
    gate = next(line for line in log.read_text().splitlines() if "session.knock" in line).split("gate=")[1].split()[0].strip('"')
    time.sleep(1)
    lose(home, GATES[gate])
    lost = time.monotonic()
    system.wait_for(lambda: "session.resumed" in log.read_text(), "the session does not go on", 60)
    seconds = time.monotonic() - lost
    out, err = client.communicate(timeout=60)
    return {"lost_gate": gate, "seconds": seconds, "log": log.read_text(), "stderr": err} | json.loads(out)


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-"))
    directory.chmod(0o711)
    ip("link", "set", "lo", "up")
    for address in GATES.values():
        ip("addr", "add", f"{address}/32", "dev", "lo")
    home = make_home()
    try:
        with system.Engawa(directory, gates=tuple(GATES), hosts=GATES) as engawa:
            engawa.start()
            system.wait_for(lambda: sum(gate["up"] for gate in engawa.agent_status()["gates"]) == 2, "the agent is not at both gates")
            print(json.dumps(run(engawa, home)))
    finally:
        home.kill()
        shutil.rmtree(directory)


main()
