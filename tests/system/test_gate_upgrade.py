"""A new version of the program takes over the gate while it works: nobody is dropped, no byte is lost or comes twice."""
import os
import re
import signal
import threading
import time

import pytest

from gate_driver import CODE, exchange, keys, messages, start_gate  # noqa: F401 (fixtures)


class Talk(threading.Thread):
    """Bytes through a session without a pause, both ways in turn; ends with stop(), or fails."""

    def __init__(self, pair, size=3000):
        super().__init__(daemon=True)
        self.pair, self.size, self.rounds, self.longest, self.failure = pair, size, 0, 0, None
        self.going = True
        self.start()

    def run(self):
        client, session = self.pair
        try:
            while self.going:
                data = os.urandom(self.size)
                start = time.monotonic()
                session.stream.sendall(data)
                assert client.exactly(self.size) == data, "bytes lost, doubled or out of order"
                client.stream.sendall(data[:100])
                assert session.exactly(100) == data[:100], "bytes lost, doubled or out of order"
                self.longest = max(self.longest, time.monotonic() - start)
                self.rounds += 1
        except (OSError, EOFError, AssertionError) as e:
            self.failure = e

    def stop(self):
        self.going = False
        self.join(30)
        assert not self.is_alive() and self.failure is None, self.failure
        return self.rounds


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def gate(request, start_gate):  # noqa: F811
    return start_gate(WORKERS=request.param, CLIENT_RATE_BYTES_S=0)


def test_everything_crosses(gate):
    agents = [gate.agent() for _ in range(20)]
    talks = [Talk(gate.join(agent)) for agent in agents[:6]]
    reader = gate.client()
    socket = gate.websocket()
    gate.hello(socket.frames, gate.outer.ROLE_CLIENT)
    for _ in range(3):
        before = gate.pid
        gate.renew()
        assert gate.pid != before
        rounds = [talk.rounds for talk in talks]
        for agent in agents[6:9]:
            exchange(*(side.stream for side in gate.join(agent)), 100_000, 50_000)
        end = time.monotonic() + 20
        while any(talk.rounds <= old for talk, old in zip(talks, rounds)) and time.monotonic() < end:
            time.sleep(0.05)
    for talk in talks:
        assert talk.stop() > 10
    # those who had only said who they are go on where they were
    client, session = gate.join(agents[10], client=reader)
    exchange(client.stream, session.stream, 200_000, 100_000)
    assert gate.log().count("agent.down") == 0 and gate.log().count("session.down") >= 9
