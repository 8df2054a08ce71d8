"""black_hole.py COUNT, in a network namespace of its own (two_sites.enter): the home's route to the gate under a session becomes a black hole. Prints, as
JSON, for how many milliseconds each client had no path: from the last that it heard to the first of the other gate."""
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import system  # noqa: E402
import two_sites  # noqa: E402


def one(engawa, home):
    log, lost = engawa.log_dir / "agent.log", []
    before = log.stat().st_size

    def cut():
        system.wait_for(lambda: b"session.start" in log.read_bytes()[before:], "no session", 60)
        time.sleep(1)
        lost.append(engawa.gate_in_use())
        home.lose(lost[0])
    system.wait_for(engawa.agent_everywhere, "the agent is not at both gates", 120)
    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    result = engawa.connect("--click", "300,300", "--wait", "14s", prefix=home.prefix)
    thread.join(60)
    home.find(lost[0])
    if result["status"] != 0 or result.get("resumes") != 1 or result["gate"] == lost[0]:
        raise system.Failed(f"{result}, without {lost}")
    return result["gap_ms"]


def main():
    with two_sites.engawa_and_home() as (engawa, home):
        engawa.start()
        print(json.dumps([one(engawa, home) for _ in range(int(sys.argv[1]))]))


main()
