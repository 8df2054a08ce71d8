"""./soak [MINUTES [SEED]]: sessions in a row through the whole relay, and byte streams through a gate of their own, while processes are killed, hang,
and are replaced by new versions. What is not hit must not notice, what is hit must come back; memory and descriptors must come to rest."""
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

import soak_streams
import system

WARM_UP = 5        # sessions before growth counts: caches fill, the allocator finds its size
MEMORY_KIB = 2048  # what a program may have grown since then, whatever the number of sessions
DESCRIPTORS = 3


def size(part):
    """Memory that is its own (KiB) and descriptors of a program, all its processes."""
    memory = descriptors = 0
    for pid in system.family(part.pid):
        proc = pathlib.Path(f"/proc/{pid}")
        try:
            memory += sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", (proc / "smaps_rollup").read_text(), re.M))
            descriptors += len(list((proc / "fd").iterdir()))
        except OSError:
            pass
    return memory, descriptors


def victims(part, role):
    for pid in system.family(part.pid):
        with contextlib.suppress(OSError):
            if role in pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:]:
                yield pid


class Blows:
    """What happens beside a session. True when the session has to come through it."""

    def __init__(self, engawa, chance):
        self.engawa, self.random, self.done = engawa, chance, {}

    def strike(self):
        time.sleep(self.random.random() * 2)
        name = self.random.choice(["upgrade", "gate worker", "gate keeper", "controller"])
        self.done[name] = self.done.get(name, 0) + 1
        if name == "upgrade":
            if not self.engawa.renew_gate(150):
                self.failure = "an upgrade was given up"
            self.lossless = True
            return
        part = self.engawa.controller if name == "controller" else self.engawa.gate
        roles = {"gate worker": ["worker"], "gate keeper": ["keeper"], "controller": ["core", "web", "mailer"]}[name]
        found = [pid for role in roles for pid in victims(part, role)]
        with contextlib.suppress(OSError):
            os.kill(self.random.choice(found), signal.SIGKILL)

    def session(self, number):
        """One session; with a blow in two of three."""
        self.lossless, self.failure = True, None
        thread = threading.Thread(target=self.strike, daemon=True)
        if number > WARM_UP and self.random.random() < 0.67:
            self.lossless = False
            thread.start()
        result = self.engawa.connect("--click", "400,300", "--key", "Control+a", "--type", f"session {number}\n", timeout_s=200, device=device(number))
        if thread.ident:
            thread.join(200)
        if self.failure:
            raise system.Failed(self.failure)
        return result


def device(number):
    """Of one of 20 home PCs in turn: the office PC sends each of them 30 codes an hour and no more, and all that it does not know yet together as many."""
    return f"device-{number % 20}.key"


def back(engawa, number):
    """Whatever was hit: soon sessions come about again."""
    system.wait_for(engawa.agent_up, "the office PC does not come back", 90)
    end, names = time.monotonic() + 90, []
    while (result := engawa.connect("--click", "400,300", timeout_s=200, device=device(number)))["status"] != 0:
        names.append(result.get("name", ""))
        if time.monotonic() > end:
            raise system.Failed(f"no session 90 s after a blow ({', '.join(names)}): {result['stderr'].strip()}")
        time.sleep(2)


def run(minutes, engawa, streams, chance):
    parts = {"gate": engawa.gate, "controller": engawa.controller, "agent": engawa.agent}
    blows = Blows(engawa, chance)
    end, sessions, lost, first = time.monotonic() + 60 * minutes, 0, 0, {}
    while time.monotonic() < end or sessions <= WARM_UP:
        streams.check()
        result = blows.session(sessions)
        if result["status"] != 0 and blows.lossless:
            raise system.Failed(f"session {sessions + 1}: {result['stderr'].strip()}")
        lost += result["status"] != 0
        if not blows.lossless:
            back(engawa, sessions)
        system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "the session stays at the office PC", 90)
        sessions += 1
        if sessions == WARM_UP:
            first = {name: size(part) for name, part in parts.items()} | {"streams": (streams.size_kib(), 0)}
    streams.finish()
    grown = []
    done = ", ".join(f"{count} × {name}" for name, count in sorted(blows.done.items())) or "nothing"
    print(f"{sessions} sessions, {lost} of them lost; beside them {done}")
    for name in first:
        memory_before, descriptors_before = first[name]
        memory, descriptors = (streams.size_kib(), 0) if name == "streams" else size(parts[name])
        print(f"{name}: {memory_before} -> {memory} KiB, {descriptors_before} -> {descriptors} descriptors")
        limit = soak_streams.MEMORY_KIB if name == "streams" else MEMORY_KIB
        # a process that was killed meanwhile has its caches still to fill
        if memory > memory_before + limit or descriptors > descriptors_before + DESCRIPTORS:
            grown.append(name)
    if grown:
        raise system.Failed(f"keeps growing: {', '.join(grown)}")


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"soak: {minutes:g} minutes, seed {seed}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-soak-"))
    directory.chmod(0o711)
    try:
        streams = soak_streams.Streams(seed)
        with system.Engawa(directory) as engawa:
            engawa.start()
            (directory / "streams").mkdir(mode=0o755)
            try:
                run(minutes, engawa, streams.start(directory / "streams"), random.Random(seed))
            finally:
                streams.stop()
    except system.Failed as failure:
        sys.exit(f"soak: {failure}")
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
