"""./soak [MINUTES [SEED]]: sessions in a row through the whole relay with two gates, and byte streams through a gate of their own, while processes are killed,
hang, and are replaced by new versions, and the home's route to the gate in use is cut. What is not hit must not notice, what is hit must come back, what has lost
its gate must go on through the other one; memory and descriptors must come to rest. The route is cut only where root runs it, in network namespaces."""
import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import soak_streams
import system
import two_sites

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
WAITS = {None: [], "route": ["--wait", "13s"]}  # at work: a lost path is noticed after three to four seconds
INSIDE = "ENGAWA_SOAK_INSIDE"  # a namespace of our own


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
    """What happens beside a session. home: where its route can be cut; None: nowhere."""

    def __init__(self, engawa, chance, home):
        self.engawa, self.random, self.home, self.done, self.lost, self.number = engawa, chance, home, {}, {}, 0
        self.moved = 0  # sessions whose route was cut and that went on through the other gate
        self.starter = concurrent.futures.ThreadPoolExecutor(1)  # a program ends with the thread that started it
        self.gaps_ms = []  # of sessions that went on over another connection

    def kinds(self):
        return ["upgrade", "stall", "agent", "client", *(["route"] if self.home else []), *ROLES]

    def strike(self, name):
        if name != "route":
            time.sleep(self.random.random() * 6)  # in the login or at work
        self.done[name] = self.done.get(name, 0) + 1
        with (self.engawa.log_dir / "blows.log").open("a") as log:
            log.write(f"{time.strftime('%FT%T')} {name}\n")
        with contextlib.suppress(OSError):
            getattr(self, name, lambda: self.kill(name))()

    def upgrade(self):
        self.lossless = True
        if not self.engawa.renew_gate(150, self.random.choice(list(self.engawa.gates))):
            self.failure = "an upgrade was given up"

    def stall(self):
        """A worker does not run for a moment, as on a machine that is too busy: less than the three seconds after which a path counts as lost."""
        self.lossless = True
        pid = self.random.choice(list(victims(self.any_gate(), "worker")))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.random.random() * 1.5)
        os.kill(pid, signal.SIGCONT)

    def any_gate(self):
        return self.random.choice(list(self.engawa.gates.values()))

    def route(self):
        """Between the home and the gate in use, until the session has another one; once it works: a login does not survive its path."""
        log = self.engawa.log_dir / "agent.log"

        def seen(event):
            return event in log.read_bytes()[self.mark:] or self.ended.is_set()
        system.wait_for(lambda: seen(b"session.start"), "no session", 150)
        if self.ended.wait(self.random.random() * 3):
            return
        self.lossless, self.cut = True, self.engawa.gate_in_use()
        self.home.lose(self.cut)
        try:
            system.wait_for(lambda: seen(b"session.resumed"), "no other way", 150)
        finally:
            self.home.find(self.cut)

    def agent(self):
        """All of it, as when the office PC starts anew: a client waits ten minutes for one that does not."""
        self.engawa.agent.kill()
        self.starter.submit(self.engawa.agent.start).result()

    def client(self):
        self.client_process.kill()

    def kill(self, name):
        part, roles = ROLES[name]
        part = self.any_gate() if part == "gate" else getattr(self.engawa, part)
        os.kill(self.random.choice([pid for role in roles for pid in victims(part, role)]), signal.SIGKILL)

    def connect(self, *actions):
        """From the next home PC in turn."""
        device, self.number = f"device-{self.number % HOMES}.key", self.number + 1
        result = self.engawa.connect(*actions, timeout_s=200, device=device, on_start=lambda process: setattr(self, "client_process", process),
            prefix=self.home.prefix if self.home else ())
        if result.get("resumes"):
            self.gaps_ms.append(result["gap_ms"])
        return result

    def session(self, number):
        """One session; with a blow in two of three."""
        self.lossless, self.failure, self.cut, self.ended = True, None, None, threading.Event()
        self.mark = (self.engawa.log_dir / "agent.log").stat().st_size
        self.name = self.random.choice(self.kinds()) if number >= WARM_UP and self.random.random() < 0.67 else None
        thread = threading.Thread(target=self.strike, args=(self.name,), daemon=True)
        if self.name:
            self.lossless = False
            thread.start()
        result = self.connect("--click", "400,300", "--key", "Control+a", "--type", f"session {number}\n", *WAITS.get(self.name, ["--wait", "3s"]))
        self.ended.set()
        if self.name:
            thread.join(200)
        if self.cut and result["status"] == 0:
            if not result.get("resumes") or result["gate"] == self.cut:
                self.failure = f"the route to {self.cut} was cut, and the session ended with {result}"
            self.moved += 1
        if result["status"] != 0 and not self.lossless:
            self.lost[self.name] = self.lost.get(self.name, 0) + 1
        if self.failure:
            raise system.Failed(self.failure)
        return result


def back(engawa, blows):
    """Whatever was hit: soon sessions come about again."""
    system.wait_for(engawa.agent_everywhere, "the office PC does not come back", 120)
    end, names = time.monotonic() + 90, []
    while (result := blows.connect("--click", "400,300"))["status"] != 0:
        names.append(result.get("name", ""))
        if time.monotonic() > end:
            raise system.Failed(f"no session 90 s after a blow ({', '.join(names)}): {result['stderr'].strip()}")
        time.sleep(2)


def run(minutes, engawa, streams, chance, home):
    parts = {**engawa.gates, "controller": engawa.controller, "agent": engawa.agent}
    blows = Blows(engawa, chance, home)
    system.wait_for(engawa.agent_everywhere, "the office PC is not at both gates", 90)
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
    moved = f"; {blows.moved} went on through the other gate when the route to theirs was cut" if home else ""
    print(f"{sessions} sessions, {sum(blows.lost.values())} of them lost{gaps}{moved}; beside them (lost by it) {done}")
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
    if os.geteuid() == 0 and INSIDE not in os.environ:
        argv = two_sites.enter(sys.executable, "-B", *sys.argv)
        os.execvpe(argv[0], argv, os.environ | {INSIDE: "1"})
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    home = two_sites.Home() if os.geteuid() == 0 else None
    began = time.time()
    print(f"soak: {minutes:g} minutes, seed {seed}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-soak-"))
    directory.chmod(0o711)
    try:
        streams = soak_streams.Streams(seed)
        with system.Engawa(directory, gates=tuple(two_sites.GATES), hosts=two_sites.GATES if home else None) as engawa:
            engawa.start()
            (directory / "streams").mkdir(mode=0o755)
            try:
                run(minutes, engawa, streams.start(directory / "streams"), random.Random(seed), home)
            finally:
                streams.stop()
    except (system.Failed, subprocess.TimeoutExpired) as failure:
        kept = system.ROOT / "out/soak"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(directory / "log", kept)
        sys.exit(f"soak: {failure}\n(seed {seed}, after {(time.time() - began) / 60:.1f} minutes; what the programs have written is in {kept})")
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(directory)
        if home:
            home.close()


if __name__ == "__main__":
    main()
