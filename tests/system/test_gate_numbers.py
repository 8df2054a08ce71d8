"""What the gate says of itself, and that one organisation's flood is not another one's drought."""
import json
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gate_driver import BUILD, CODE, ROOT, exchange, keys, messages, start_gate  # noqa: F401 (fixtures)


def wait(condition, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"nothing after {timeout_s} s"
        time.sleep(0.05)


def listens(path):
    """The file is there a moment before anybody listens."""
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(str(path)) == 0


@pytest.fixture
def gate(start_gate):
    # not below pytest's own directory, which is closed to other users
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-"))
    path = directory / "gate.sock"
    gate = start_gate(CLIENT_RATE_BYTES_S=0, METRICS_SOCKET=path, WORKERS=2, PREFECTURE_RATE_BYTES_S=2_000_000)
    gate.socket = path
    wait(lambda: listens(path))
    yield gate
    shutil.rmtree(directory)


def ask(path, request=b"GET /metrics HTTP/1.0\r\n\r\n"):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(path))
        s.sendall(request)
        answer = b""
        while data := s.recv(65536):
            answer += data
    return answer


def numbers(gate):
    head, body = ask(gate.socket).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.0 200 ") and f"Content-Length: {len(body)}".encode() in head
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def value(gate, name, **labels):
    family = numbers(gate)[f"engawa_gate_{name}"]
    return sum(s.value for s in family.samples if labels.items() <= s.labels.items())


def becomes(gate, expected, name, **labels):
    wait(lambda: value(gate, name, **labels) == expected)


def test_numbers(gate):
    agent = gate.agent()
    client, session = gate.join(agent)
    becomes(gate, 1, "agents")
    becomes(gate, 1, "sessions")
    exchange(client.stream, session.stream, 300_000, 20_000)
    becomes(gate, 300_000, "to_client_bytes")  # who has a byte may have it before it is counted
    becomes(gate, 20_000, "to_agent_bytes")
    becomes(gate, 300_000, "organisation_to_client_bytes", organisation="test-city")
    client.stream.close()
    becomes(gate, 0, "sessions")
    assert value(gate, "sessions_started") == 1
    becomes(gate, 1, "sessions_ended")  # each end has its reason
    wait(lambda: value(gate, "connections_closed") >= 1)


def test_documented(gate):
    """docs/operations.md names every number there is, and no other."""
    text = (ROOT / "docs/operations.md").read_text()
    assert set(re.findall(r"`engawa_gate_(\w+)`", text)) == {name.removeprefix("engawa_gate_") for name in numbers(gate)}


def test_status(gate):
    agent = gate.agent()  # noqa: F841 (stays connected)
    becomes(gate, 1, "agents")
    run = lambda *argv, **env: subprocess.run([BUILD / "src/cli/engawa", "gate", "status", "--socket", gate.socket, *argv], check=True,
        capture_output=True, text=True, env=os.environ | env).stdout
    assert json.loads(run("--json"))["agents"] == 1
    assert re.search(r"^1\s+office PCs waiting$", run(LC_ALL="C.UTF-8"), re.M)
    assert re.search(r"^office PCs waiting, by organisation\n  test-city +1$", run(LC_ALL="C.UTF-8"), re.M)


def test_nothing_personal(gate):
    """No address, no terminal, no id of an office PC or a session."""
    agent = gate.agent()
    client, _ = gate.join(agent)
    text = ask(gate.socket).decode()
    for secret in agent.id.hex(), client.session_id.hex(), "127.0.0.1", "192.0.2.1":
        assert secret not in text


def test_a_worker_dies(gate):
    """Counters never go back, and who was cut with it has a reason."""
    agent = gate.agent()
    client, session = gate.join(agent)
    gate.refused(gate.hello(gate.native(agent.cert), gate.outer.ROLE_CLIENT), "PROTOCOL")  # one that ended before, for another reason
    exchange(client.stream, session.stream, 100_000, 100)
    becomes(gate, 100_000, "to_client_bytes")
    before = value(gate, "connections_accepted")
    becomes(gate, 3, "connections")
    assert value(gate, "connections_closed", code=str(CODE["CLOSED"])) == 0
    for pid in gate.children("worker"):
        os.kill(pid, 9)
    gate.wait_log("worker.up", 4)
    assert value(gate, "to_client_bytes") == 100_000 and value(gate, "connections_accepted") >= before
    becomes(gate, 0, "sessions")
    becomes(gate, 0, "connections")
    assert value(gate, "connections_closed", code=str(CODE["CLOSED"])) == 3
    assert value(gate, "connections_accepted") == value(gate, "connections_closed") == before


def test_attack_another_user(gate):
    """Somebody else on this machine asks the management socket: the file is closed to him, and the gate asks who it is as well."""
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    assert gate.socket.stat().st_mode & 0o777 == 0o600
    for opened in False, True:
        if opened:  # as if somebody had opened the way
            gate.socket.chmod(0o777)
            gate.socket.parent.chmod(0o755)
        run = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c",
            f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{gate.socket}'); s.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n'); "
            "print(s.recv(100))"], capture_output=True, text=True)
        assert "200" not in run.stdout
    assert "metrics.refused" in gate.log() and value(gate, "workers") == 2


def test_attack_requests(gate):
    """Anything but the one question: refused; one that never ends has five seconds, and the gate serves meanwhile."""
    assert b" 404 " in ask(gate.socket, b"GET /etc/passwd HTTP/1.0\r\n\r\n")
    assert b" 404 " in ask(gate.socket, b"POST /metrics HTTP/1.0\r\n\r\n")
    for bad in b"x" * 5000, b"\0" * 3000:
        try:
            assert b"200" not in ask(gate.socket, bad)
        except OSError:
            pass  # cut while we spoke
    slow = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for s in slow:
        s.connect(str(gate.socket))
        s.sendall(b"GET ")
    assert value(gate, "workers") == 2
    gate.join(gate.agent())
    for s in slow:
        s.settimeout(20)
        assert s.recv(1) == b""


def test_attack_names(gate):
    """An organisation whose name would end a label; a tree of organisations too many is in unit/test_fair.c."""
    gate.join(gate.agent(), ticket={"organisation": 'evil"} 1\\'})
    [sample] = [sample for sample in numbers(gate)["engawa_gate_organisation_sessions"].samples if sample.value]
    assert (sample.labels["organisation"], sample.value) == ("evil?} 1?", 1)


def pump(streams, totals, stop):
    """Reads whatever comes and counts it by name."""
    byfd = {client.stream.fileno(): (name, client.stream) for name, client in streams}
    while not stop.is_set():
        for fd in select.select(list(byfd), [], [], 0.2)[0]:
            name, stream = byfd[fd]
            try:
                totals[name] += len(stream.recv(65536))
            except OSError:
                return


def feed(stream, stop):
    data = bytes(16384)
    try:
        while not stop.is_set():
            stream.sendall(data)
    except OSError:
        pass


def test_attack_flood_of_one_organisation(gate):
    """One city sends through six sessions all it can, a village of the same prefecture through one: each has half of the rate. The city's sessions
    have the same part of theirs, whichever came first."""
    streams, feeders, stop = [], [], threading.Event()
    totals = {}
    for name, count in ("city", 6), ("village", 1):
        agent = gate.agent()
        for number in range(count):
            client, session = gate.join(agent, ticket={"organisation": name, "prefecture": 13})
            streams.append(((name, number), client))
            totals[name, number] = 0
            feeders.append(threading.Thread(target=feed, args=(session.stream, stop), daemon=True))
    reader = threading.Thread(target=pump, args=(streams, totals, stop), daemon=True)
    for thread in [reader, *feeders]:
        thread.start()
    wait(lambda: sum(totals.values()) > 6_000_000, 60)  # what buffers and bursts gave is over
    start = dict(totals)
    wait(lambda: sum(totals.values()) - sum(start.values()) > 8_000_000, 60)
    got = {name: totals[name] - start[name] for name in totals}
    stop.set()
    assert got["village", 0] > 0.35 * sum(got.values()), got
    city = [size for (name, _), size in got.items() if name == "city"]
    assert min(city) > 0.3 * sum(city) / len(city), got
    assert value(gate, "limit_reached", limit="prefecture") > 0 and "limit.prefecture" in gate.log()
    assert value(gate, "organisation_throttled", organisation="city") > 0
