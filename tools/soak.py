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

HOMES = 25         # home PCs. The office PC sends all that it does not know yet 30 codes an hour, and each that has logged in as many
WARM_UP = HOMES    # sessions before anything is hit and growth counts: each home PC logs in once, caches fill, the allocator finds its size
ROLES = {
    "gate worker": ("gate", ["worker"]),
    "gate keeper": ("gate", ["keeper"]),
    "controller part": ("controller", ["core", "web", "mailer"]),
    "agent part": ("agent", ["control", "pump", "login", "work"]),
}
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
        self.engawa, self.random, self.done, self.lost, self.number = engawa, chance, {}, {}, 0
        self.gaps_ms = []  # of sessions that went on over another connection

    def strike(self):
        time.sleep(self.random.random() * 6)  # in the login or at work
        name = self.random.choice(["upgrade", "stall", "agent", "client", *ROLES])
        self.done[name] = self.done.get(name, 0) + 1
        self.name = name
        with (self.engawa.log_dir / "blows.log").open("a") as log:
            log.write(f"{time.strftime('%FT%T')} {name}\n")
        with contextlib.suppress(OSError):
            getattr(self, name, lambda: self.kill(name))()

    def upgrade(self):
        self.lossless = True
        if not self.engawa.renew_gate(150):
            self.failure = "an upgrade was given up"

    def stall(self):
        """A worker does not run for a moment, as on a machine that is too busy: less than the three seconds after which a path counts as lost."""
        self.lossless = True
        pid = self.random.choice(list(victims(self.engawa.gate, "worker")))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.random.random() * 1.5)
        os.kill(pid, signal.SIGCONT)

    def agent(self):
        """All of it, as when the office PC starts anew."""
        self.engawa.agent.kill()  # back starts it: a program ends with the thread that started it

    def client(self):
        self.client_process.kill()

    def kill(self, name):
        part, roles = ROLES[name]
        os.kill(self.random.choice([pid for role in roles for pid in victims(getattr(self.engawa, part), role)]), signal.SIGKILL)

    def connect(self, *actions):
        """From the next home PC in turn."""
        device, self.number = f"device-{self.number % HOMES}.key", self.number + 1
        result = self.engawa.connect(*actions, timeout_s=200, device=device, on_start=lambda process: setattr(self, "client_process", process))
        if result.get("resumes"):
            self.gaps_ms.append(result["gap_ms"])
        return result

    def session(self, number):
        """One session; with a blow in two of three."""
        self.lossless, self.failure = True, None
        thread = threading.Thread(target=self.strike, daemon=True)
        if number >= WARM_UP and self.random.random() < 0.67:
            self.lossless = False
            thread.start()
        result = self.connect("--click", "400,300", "--key", "Control+a", "--type", f"session {number}\n", *(["--wait", "3s"] if thread.ident else []))
        if thread.ident:
            thread.join(200)
        if result["status"] != 0 and not self.lossless:
            self.lost[self.name] = self.lost.get(self.name, 0) + 1
        if self.failure:
            raise system.Failed(self.failure)
        return result


def back(engawa, blows):
    """Whatever was hit: soon sessions come about again."""
    if not engawa.agent.alive:
        engawa.agent.start()
    system.wait_for(engawa.agent_up, "the office PC does not come back", 90)
    end, names = time.monotonic() + 90, []
    while (result := blows.connect("--click", "400,300"))["status"] != 0:
        names.append(result.get("name", ""))
        if time.monotonic() > end:
            raise system.Failed(f"no session 90 s after a blow ({', '.join(names)}): {result['stderr'].strip()}")
        time.sleep(2)


def run(minutes, engawa, streams, chance):
    parts = {"gate": engawa.gate, "controller": engawa.controller, "agent": engawa.agent}
    blows = Blows(engawa, chance)
    end, sessions, first = None, 0, {}
    while not end or time.monotonic() < end:
        streams.check()
        result = blows.session(sessions)
        if result["status"] != 0 and blows.lossless:
            raise system.Failed(f"session {sessions + 1}: {result['stderr'].strip()}")
        if not blows.lossless:
            back(engawa, blows)
        system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "the session stays at the office PC", 90)
        sessions += 1
        if sessions == WARM_UP:
            end = time.monotonic() + 60 * minutes
            streams.strike()
            first = {name: size(part) for name, part in parts.items()} | {"streams": (streams.size_kib(), 0)}
    streams.finish()
    grown = []
    done = ", ".join(f"{count} × {name} ({blows.lost.get(name, 0)})" for name, count in sorted(blows.done.items())) or "nothing"
    gaps = f"; {len(blows.gaps_ms)} went on over another connection, the longest gap {max(blows.gaps_ms)} ms" if blows.gaps_ms else ""
    print(f"{sessions} sessions, {sum(blows.lost.values())} of them lost{gaps}; beside them (lost by it) {done}")
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
    began = time.time()
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
        kept = system.ROOT / "out/soak"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(directory / "log", kept)
        sys.exit(f"soak: {failure}\n(seed {seed}, after {(time.time() - began) / 60:.1f} minutes; what the programs have written is in {kept})")
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
