"""The gate's part of ./soak: byte streams through one gate while its workers, its keeper and its controller are killed, its clients and agents
vanish or stop reading, and new versions take over. Every byte that comes out is the next one of its stream."""
import contextlib
import os
import pathlib
import random
import re
import signal
import struct
import sys
import threading
import time

import system

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/system"))

STREAMS = 12
WORKERS = 3
KILLS_S = 3, 9         # between two blows
MEMORY_KIB = 8192      # what the gate may have grown at the end of it
FORGIVEN_S = 15        # after a blow a stream may need so long to be there again


class Stream(threading.Thread):
    """One agent and one client after the other, with random bytes both ways."""

    def __init__(self, soak, number):
        super().__init__(daemon=True)
        self.soak, self.random, self.rounds, self.bytes, self.ended = soak, random.Random(number), 0, 0, 0
        self.wrong, self.cut, self.gap_s = None, None, 0  # cut: since when it has no connection; gap_s: the longest time until bytes came again

    def talk(self, client, session):
        while not self.soak.over:
            size = self.random.choice([1, 60, 1400, 16384, 100_000])
            data = os.urandom(size)
            for a, b in (session, client), (client, session):
                writer = threading.Thread(target=lambda: self.quietly(a.stream.sendall, data), daemon=True)
                writer.start()
                got = b.exactly(size)
                writer.join(60)
                if got != data:
                    self.wrong = f"stream: {size} bytes came out otherwise"
                    return
            self.rounds, self.bytes = self.rounds + 1, self.bytes + 2 * size
            if self.cut:
                self.cut, self.gap_s = None, max(self.gap_s, time.monotonic() - self.cut)
            what = self.random.random()
            if what < 0.01:  # somebody vanishes without a word
                side = self.random.choice([client, session]).stream
                side.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
                side.close()
                return
            if what < 0.03:
                time.sleep(self.random.random() * 2)  # or stops reading for a while

    @staticmethod
    def quietly(call, *arguments):
        with contextlib.suppress(OSError, ValueError):
            call(*arguments)

    def run(self):
        gate = self.soak.gate
        agent = None
        while not self.soak.over and not self.wrong:
            try:
                agent = gate.agent(*((agent.id, agent.cert) if agent else ()))
                while not self.soak.over and not self.wrong:
                    client, session = gate.join(agent)
                    self.talk(client, session)
                    for side in client, session:
                        self.quietly(side.stream.close)
            except (OSError, EOFError, AssertionError):
                self.ended += 1
                self.cut = self.cut or time.monotonic()
                time.sleep(0.2 + self.random.random())


class Streams:
    def __init__(self, seed):
        self.random, self.over, self.resting, self.blows, self.why = random.Random(seed), False, False, {}, None

    def start(self, directory):
        import gate_driver
        keys, run = directory / "keys", directory / "run"
        for path in keys, run:
            path.mkdir(mode=0o755)
        self.gate = gate_driver.Gate(gate_driver.Keys(keys), gate_driver.load_messages(directory), run, WORKERS=WORKERS, CLIENT_RATE_BYTES_S=0,
            LOG_LEVEL="info").start()
        self.streams = [Stream(self, number) for number in range(STREAMS)]
        for stream in self.streams:
            stream.start()
        self.thread = threading.Thread(target=self.strike_on, daemon=True)
        return self

    def strike(self):
        """From now on."""
        self.thread.start()

    # --- blows ----------------------------------------------------------------------------------------------------------

    def worker(self):
        os.kill(self.random.choice(self.gate.children("worker")), signal.SIGKILL)

    def keeper(self):
        os.kill(self.gate.child("keeper"), signal.SIGKILL)

    def controller(self):
        self.gate.controller.stop()
        time.sleep(self.random.random() * 2)
        self.gate.controller.start()

    def stall(self):
        """A worker does not run for a moment, as on a machine that is too busy."""
        pid = self.random.choice(self.gate.children("worker"))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.random.random() * 1.5)
        os.kill(pid, signal.SIGCONT)

    def upgrade(self):
        before, log = self.gate.pid, self.gate.log()
        seen = log.count("by=upgrade"), log.count("given up")
        os.kill(before, signal.SIGUSR2)
        end = time.monotonic() + 150
        while time.monotonic() < end:
            log = self.gate.log()
            if log.count("by=upgrade") > seen[0]:
                self.gate.pid = int(re.findall(r"pid=(\d+) by=upgrade", log)[-1])
                return
            if log.count("given up") > seen[1]:
                raise system.Failed("an upgrade was given up")
            time.sleep(0.1)
        raise system.Failed("an upgrade did not come to an end")

    def upgrade_and_kill(self):
        """The new version, or a worker of the old one, dies somewhere on the way: either goes on."""
        log = self.gate.log()
        seen, started = (log.count("by=upgrade"), log.count("given up")), log.count("step=started")
        os.kill(self.gate.pid, signal.SIGUSR2)
        end = time.monotonic() + 150
        while self.gate.log().count("step=started") == started:
            if time.monotonic() > end:
                raise system.Failed("an upgrade did not begin")
            time.sleep(0.01)
        new = int(re.findall(r"step=started pid=(\d+)", self.gate.log())[-1])
        time.sleep(self.random.random() * 0.4)
        victims = [pid for pid in system.family(new) if pid != new] or [new]
        with contextlib.suppress(OSError):
            os.kill(self.random.choice(victims), signal.SIGKILL)
        while time.monotonic() < end:
            log = self.gate.log()
            if log.count("by=upgrade") > seen[0]:
                self.gate.pid = int(re.findall(r"pid=(\d+) by=upgrade", log)[-1])
                return
            if log.count("given up") > seen[1]:
                return
            time.sleep(0.1)
        raise system.Failed("an upgrade with a kill did not come to an end")

    def strike_on(self):
        blows = [self.worker, self.keeper, self.controller, self.stall, self.upgrade, self.upgrade, self.upgrade_and_kill]
        try:
            while not self.over and not self.resting:
                time.sleep(self.random.uniform(*KILLS_S))
                if self.over or self.resting:
                    return
                blow = self.random.choice(blows)
                blow()
                self.blows[blow.__name__] = self.blows.get(blow.__name__, 0) + 1
        except (system.Failed, OSError, IndexError, AssertionError) as failure:
            self.why = f"{failure}\n{self.gate.log()[-3000:]}"

    # --- what comes of it -------------------------------------------------------------------------------------------------

    def check(self):
        """Called now and then: Failed when something is wrong."""
        wrong = self.why or next((stream.wrong for stream in self.streams if stream.wrong), None)
        if wrong:
            raise system.Failed(wrong)

    def size_kib(self):
        total = 0
        for pid in system.family(self.gate.pid):
            with contextlib.suppress(OSError):
                total += sum(int(kib) for kib in re.findall(r"^Private_Dirty:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(),
                    re.M))
        return total

    def finish(self):
        """Everybody still talks after the last blow; then the sum."""
        self.resting = True
        self.thread.join(200)
        rounds = [stream.rounds for stream in self.streams]
        end = time.monotonic() + 4 * FORGIVEN_S
        while any(stream.rounds <= old for stream, old in zip(self.streams, rounds)):
            self.check()
            if time.monotonic() > end:
                raise system.Failed(f"streams that did not come back: {[s.rounds - old for s, old in zip(self.streams, rounds)]}\n{self.gate.log()[-3000:]}")
            time.sleep(0.2)
        self.over = True
        for stream in self.streams:
            stream.join(70)
        self.check()
        blows = ", ".join(f"{count} × {name.replace('_', ' ')}" for name, count in sorted(self.blows.items()))
        print(f"gate: {len(self.streams)} streams, {sum(s.rounds for s in self.streams)} rounds, {sum(s.bytes for s in self.streams) / 1e6:.0f} MB, "
            f"{sum(s.ended for s in self.streams)} cut by {blows or 'nothing'}, again after {max(s.gap_s for s in self.streams):.1f} s at most; every byte that came was right")

    def stop(self):
        self.over = True
        self.gate.stop()
