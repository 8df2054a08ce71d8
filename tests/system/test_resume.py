"""A session goes on over another connection: gates that die, routes that lead nowhere, and everybody who would like to have
somebody else's session."""
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image, ImageChops

import system
import two_sites
from gate_driver import CODE, holder, sockets, tcp_rows
from hostile_client import Refused
from whole import make, unmake

HERE = pathlib.Path(__file__).parent
EDITOR = "300,300"


@pytest.fixture(scope="module")
def office():
    whole = make(gates=("east-1", "west-1"))
    whole.agent_options["LOGINS_MAX"] = 8
    try:
        whole.start()
        whole.sign_policy(AUTH_LOCKOUT_COUNT=100)
        yield whole
    finally:
        unmake(whole)


@pytest.fixture(autouse=True)
def both_gates(office):
    for name, gate in office.gates.items():
        if not gate.alive:
            office.start_gate(name)
    system.wait_for(office.agent_everywhere, "the agent is not at both gates", 90)


def log(office, start=0):
    return (office.log_dir / "agent.log").read_text(errors="replace")[start:]


def log_size(office):
    return len(log(office))


def working(office, mark, event="session.start"):
    """The name of the gate that the newest session goes through."""
    system.wait_for(lambda: "session.heard" in log(office, mark).partition(event)[2], f"no {event} that the client knows of", 30)
    return office.gate_in_use()


def start(office, *actions):
    return subprocess.Popen([str(a) for a in office.connect_argv(*actions)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})


def finish(client):
    out, err = client.communicate(timeout=60)
    return json.loads(out) | {"stderr": err}


def save(office):
    before = office.memo.stat().st_mtime_ns
    office.xdotool("windowfocus", office.window("mousepad").split()[0], "key", "ctrl+s")
    system.wait_for(lambda: office.memo.stat().st_mtime_ns != before, "the editor does not save")
    return office.memo.read_text()


def kill_worker(office, gate, client):
    """The one worker of the gate that has this client's session."""
    port = office.gate_ports[gate]
    held = set().union(*map(sockets, system.family(client.pid)))
    [local] = {here for here, there, inode in tcp_rows() if there == port and inode in held}
    workers = [pid for pid in system.family(office.gates[gate].pid) if b"\0worker\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(holder(workers, port, local), signal.SIGKILL)


@pytest.mark.parametrize("dies", ["gate", "worker"])
def test_gate_dies(office, dies):
    """No login, no controller: the same desktop through the other gate, or another worker, and nothing stays pressed."""
    mark = log_size(office)
    mails = office.mail.count()
    client = start(office, "--for", "1s", "--click", EDITOR, "--type", f"{dies} before ", "--key", "Control+s", "--wait", "7s", "--type", "after\n")
    gate = working(office, mark)
    system.wait_for(lambda: f"{dies} before " in office.memo.read_text(), "the word is not typed", 30)  # and the next one is not
    office.controller.kill()
    try:
        if dies == "gate":
            office.gates[gate].kill()
        else:
            kill_worker(office, gate, client)
        result = finish(client)
    finally:
        office.controller.start()
    assert (result["code"], result["resumes"]) == (0, 1)
    assert result["gate"] != gate if dies == "gate" else office.gates[gate].alive
    assert office.mail.count() == mails + 1
    assert f"{dies} before after\n" in save(office)
    text = log(office, mark)
    assert f"session.resumed session={result['session']} " in text and text.count("session.start") == 1


@pytest.mark.parametrize("twice", [False, True])
def test_attack_damaged_picture(office, tmp_path, twice):
    """The office PC, or a fault there, sends pictures that cannot be taken apart: the session goes on with a new stream of pictures, what was
    typed before and after is there, and the picture is exact. One more within a minute ends the session: nobody comes back for ever."""
    mark, picture = log_size(office), tmp_path / "after.png"
    env = {"LD_PRELOAD": str(system.BUILD / "tests/system/libbroken_picture.so"), "LC_ALL": "C.UTF-8"} | ({"BROKEN_TWICE": "1"} if twice else {})
    typing = ["--type", "a", "--wait", "300ms"] * 24
    client = subprocess.Popen([str(a) for a in office.connect_argv("--click", EDITOR, *typing, "--type", "after\n", "--wait", "2s", "--screenshot", picture)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env)
    result = finish(client)
    assert "desktop.restart" in log(office, mark) and log(office, mark).count("session.start") == 1
    if twice:
        assert result["name"] == "PROTOCOL" and result["resumes"] == 1, result
        return
    assert (result["code"], result["resumes"]) == (0, 1), result
    assert "after\n" in save(office)
    assert Image.open(picture).size == office.grab().size and picture.stat().st_size > 10000


def test_gate_is_drained(office):
    """SIGTERM: the session has left before the gate ends, and the person is not told of anything."""
    mark = log_size(office)
    client = start(office, "--for", "1s", "--wait", "14s")
    gate = working(office, mark)
    office.gates[gate].process.terminate()
    system.wait_for(lambda: "session.resumed" in log(office, mark), "the session does not move", 30)
    result = finish(client)
    assert (result["code"], result["resumes"], result["stderr"]) == (0, 1, "") and result["gate"] != gate
    office.gates[gate].process.wait(30)
    system.wait_for(lambda: "code=DRAIN" in log(office, mark), "the agent does not say why")
    # the new path was there before the old one went, and it took one try
    assert "session.lost" not in log(office, mark)
    assert re.search(r"session.resumed .*lost_ms=", log(office, mark))


def test_route_is_lost():
    """A black hole instead of a route: noticed after three seconds of silence, by whichever side has heard nothing for longer."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    run = subprocess.run(two_sites.enter("/usr/bin/python3", "-B", HERE / "lost_route.py"), capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads(run.stdout)
    assert (result["code"], result["resumes"]) == (0, 1) and result["gate"] != result["lost_gate"]
    assert set(re.findall(r"session.lost .*code=(\w+)", result["log"])) <= {"TIMEOUT"}
    assert result["seconds"] > 2


def lose(office, client):
    """A session of this client that has lost its path: what it takes to go on."""
    c = client().begin()
    start = c.log_in()
    c.hear_until(c.inner.INNER_FRAME)
    mark = log_size(office)
    c.input(c.inner.INNER_PING, c.inner.InnerPing(id=1))
    c.hear_until(c.inner.INNER_PONG)
    c.stream.close()
    system.wait_for(lambda: "session.lost" in log(office, mark), "the loss is not noticed")
    return c, start


def refused(make, *argv, **options):
    with pytest.raises(Refused) as refusal:
        make().resume(*argv, **options)
    return refusal.value.args[0]


def go_on(client, device, ticket, psk, generation=1, has=None, **options):
    """has: what it says it has of the picture stream."""
    c = client(device=device, **options).resume(ticket, psk)
    c.shake(suite=2, generation=generation)
    return c, c.come_back(**(has or {}))


def stream_records(c, inner, count):
    """The next so many records of the picture stream, however long the office PC takes for them: a path is dead after three seconds."""
    records, end, said = [], time.monotonic() + 30, 0
    while len(records) < count:
        assert time.monotonic() < end, f"nothing more after {len(records)} records"
        came = c.frames.buffer or c.stream.pending() or select.select([c.stream], [], [], 0.5)[0]
        if time.monotonic() - said > 0.5:
            c.input(inner.INNER_PING, inner.InnerPing(id=1))
            said = time.monotonic()
        if not came:
            continue
        kind, payload = c.hear()
        assert kind is not None, f"the end after {len(records)} records"
        if kind in (inner.INNER_FRAME, inner.INNER_CURSOR, inner.INNER_LAYOUT):
            records.append((kind, payload))
    return records


def living(c, condition):
    """The condition, for a client that has to say something meanwhile: a path is dead after three seconds."""
    c.input(c.inner.INNER_PING, c.inner.InnerPing(id=1))
    return condition()


@contextlib.contextmanager
def noise(office, pictures=1, client=None):
    """Covers the office PC's screen with what takes many records, while this client waits for it; more than one picture: goes on while they are
    looked at."""
    argv = [system.BUILD / "tests/system/moving", 0, 0, 1280, 800, pictures, "noise"]
    with subprocess.Popen([str(a) for a in argv], env=office.desktop_env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if pictures == 1:
            still = lambda: select.select([process.stdout], [], [], 0.5)[0]
            system.wait_for(lambda: living(client, still), "no picture", 30)
            assert process.stdout.readline() == b"still\n"
        yield process
        process.stdin.close()


def test_honest_and_again(office, client, inner):
    """The attacker's client can do it: what fails below fails for what it says. Twice, each time with the newest ticket and key."""
    first, start = lose(office, client)
    second, again = go_on(client, first.device, start.resume_ticket, first.next_psk)
    assert again.session_code == start.session_code and again.resume_ticket != start.resume_ticket
    frame = inner.Frame.FromString(second.hear_until(inner.INNER_FRAME)[1])
    assert frame.seq == 1  # a whole picture, of a new stream
    second.input(inner.INNER_PING, inner.InnerPing(id=1))
    second.hear_until(inner.INNER_PONG)
    second.stream.close()
    third, _ = go_on(client, first.device, again.resume_ticket, second.next_psk, generation=2)
    third.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
    assert third.hear_until()[0] is None


def test_answer_that_is_lost(office, client, inner):
    """Start does not arrive: ticket and key of before still count, and then no more."""
    first, start = lose(office, client)
    second, _ = go_on(client, first.device, start.resume_ticket, first.next_psk)
    second.stream.close()  # and forgets what it heard
    third, again = go_on(client, first.device, start.resume_ticket, first.next_psk)
    third.input(inner.INNER_PING, inner.InnerPing(id=1))
    third.hear_until(inner.INNER_PONG)
    mark = log_size(office)
    third.stream.close()
    system.wait_for(lambda: "session.lost" in log(office, mark), "the loss is not noticed")
    assert refused(client, start.resume_ticket, first.next_psk) == CODE["RESUME_OVER"]
    fourth, _ = go_on(client, first.device, again.resume_ticket, third.next_psk, generation=2)
    fourth.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))


def in_mid_picture(office, client, inner, records=8):
    """A session that has lost its path in the middle of a large picture: client, Start, all records that it got, of which none is confirmed, and the last
    picture that it acknowledged: small ones come before, of a caret that blinks."""
    c = client().begin()
    start = c.log_in()
    got = stream_records(c, inner, 1)
    while got[-1][0] != inner.INNER_FRAME or not inner.Frame.FromString(got[-1][1]).last:
        got += stream_records(c, inner, 1)
    acked = 1
    c.input(inner.INNER_ACK, inner.Ack(seq=acked))
    with noise(office, client=c):
        under_way = 0
        while under_way < records:
            got += stream_records(c, inner, 1)
            frame = inner.Frame.FromString(got[-1][1]) if got[-1][0] == inner.INNER_FRAME else None
            under_way = under_way + 1 if not frame or not frame.last else 0
            if frame and frame.last:
                acked = frame.seq
                c.input(inner.INNER_ACK, inner.Ack(seq=acked))
        mark = log_size(office)
        c.stream.close()
        system.wait_for(lambda: "session.lost" in log(office, mark), "the loss is not noticed")
    return c, start, got, acked


def test_picture_goes_on_in_its_middle(office, client, inner):
    """What was under way when the path broke comes again, from the record that the client names, to the byte; twice, the second time after
    it has confirmed more than it claims; and then new pictures follow in the same stream."""
    first, start, records, acked = in_mid_picture(office, client, inner)
    assert start.stream == 1 and not inner.Frame.FromString(records[-1][1]).last
    mark = log_size(office)
    has = len(records) - 5
    second, again = go_on(client, first.device, start.resume_ticket, first.next_psk, has={"stream": 1, "received": has})
    assert (again.stream, getattr(again, "from")) == (1, has)
    assert stream_records(second, inner, 5) == records[has:]
    assert 'picture="goes on"' in log(office, mark) and "desktop.restart" not in log(office, mark)
    second.input(inner.INNER_ACK, inner.Ack(seq=acked, received=has + 1))  # the word about the last picture once more
    second.input(inner.INNER_PING, inner.InnerPing(id=1))
    second.hear_until(inner.INNER_PONG)
    second.stream.close()
    system.wait_for(lambda: log(office, mark).count("session.lost") == 1, "the loss is not noticed")
    third, last = go_on(client, first.device, again.resume_ticket, second.next_psk, generation=2, has={"stream": 1, "received": 1})
    assert (last.stream, getattr(last, "from")) == (1, has + 1)
    assert stream_records(third, inner, 4) == records[has + 1:]
    seq = next(inner.Frame.FromString(payload).seq for kind, payload in reversed(records) if kind == inner.INNER_FRAME)
    # two pictures may be under way: all of them, and then one more
    received, newest = len(records), seq
    while newest == seq:
        kind, payload = stream_records(third, inner, 1)[0]
        received += 1
        if kind == inner.INNER_FRAME:
            frame = inner.Frame.FromString(payload)
            assert frame.seq in (seq, seq + 1)
            newest = frame.seq
            if frame.last:
                third.input(inner.INNER_ACK, inner.Ack(seq=frame.seq, received=received))
    third.leave()


def test_picture_goes_on_in_a_program(office):
    """The same with the real client, and a gate that is killed in the middle of pictures: no new stream, and in the end its picture is the
    screen."""
    mark = log_size(office)
    shot = office.dir / "shot.png"
    client = start(office, "--for", "1s", "--wait", "9s", "--screenshot", shot)
    gate = working(office, mark)
    with noise(office, 20) as pictures:
        office.gates[gate].kill()
        assert pictures.stdout.readline() == b"still\n"
        system.wait_for(lambda: "session.resumed" in log(office, mark), "it does not go on", 30)
        result = finish(client)
        screen = office.grab()
    assert (result["code"], result["resumes"]) == (0, 1), result
    assert 'picture="goes on"' in log(office, mark) and "desktop.restart" not in log(office, mark)
    with Image.open(shot) as picture:
        unlike = ImageChops.difference(picture.convert("RGB"), screen.convert("RGB")).convert("L").histogram()
    # the strokes of the watermark differ, and nothing else
    assert picture.size == screen.size and sum(unlike[1:]) < sum(unlike) / 4


def test_attack_confirms_nothing(office, client, inner):
    """Tried: a client takes pictures that cannot be compressed and confirms no record of them, so that the office PC keeps them all; then it
    comes back and wants them. Comes of it: the office PC keeps 4 MiB, and what is older is answered with a new stream."""
    c = client().begin()
    start = c.log_in()
    got, taken = 0, 0
    [work] = [pid for pid in system.family(office.agent.pid) if b"\0work\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    with noise(office, 60):
        while taken < 8 << 20:
            kind, payload = stream_records(c, inner, 1)[0]
            got += 1
            taken += len(payload)
            frame = inner.Frame.FromString(payload) if kind == inner.INNER_FRAME else None
            if frame and frame.last:
                c.input(inner.INNER_ACK, inner.Ack(seq=frame.seq))
            elif got % 8 == 0:
                c.input(inner.INNER_PING, inner.InnerPing(id=got))  # a path is dead after three seconds
        memory = sum(map(int, re.findall(r"^Private_\w+:\s+(\d+) kB", pathlib.Path(f"/proc/{work}/smaps_rollup").read_text(), re.M)))
        mark = log_size(office)
        c.stream.close()
        system.wait_for(lambda: "session.lost" in log(office, mark), "the loss is not noticed")
    assert memory < 12 * 1024, f"{memory} KiB"
    again, answer = go_on(client, c.device, start.resume_ticket, c.next_psk, has={"stream": 1, "received": 1})
    assert (answer.stream, getattr(answer, "from")) == (2, 0)
    assert inner.Frame.FromString(again.hear_until(inner.INNER_FRAME)[1]).seq == 1
    assert 'picture="new"' in log(office, mark) or "picture=new" in log(office, mark)
    again.leave()


def test_attack_claims_of_a_stream(office, client, inner):
    """Tried: who comes back says that it has records that were never sent, or some of another stream; later it confirms more than there is.
    Comes of it: a new stream, whole from its beginning; and the end of the session, for the broken rule."""
    first, start, _, _ = in_mid_picture(office, client, inner)
    ticket, psk = start.resume_ticket, first.next_psk
    for generation, claim in enumerate([{"stream": 1, "received": 2**63}, {"stream": 7, "received": 0}, {"stream": 0, "received": 5}], 1):
        c, again = go_on(client, first.device, ticket, psk, generation=generation, has=claim)
        assert (again.stream, getattr(again, "from")) == (generation + 1, 0)
        assert inner.Frame.FromString(c.hear_until(inner.INNER_FRAME)[1]).seq == 1
        ticket, psk = again.resume_ticket, c.next_psk
        if generation < 3:
            mark = log_size(office)
            c.input(inner.INNER_PING, inner.InnerPing(id=1))
            c.hear_until(inner.INNER_PONG)
            c.stream.close()
            system.wait_for(lambda: "session.lost" in log(office, mark), "the loss is not noticed")
    c.input(inner.INNER_PING, inner.InnerPing(id=1, received=10**6))
    kind, payload = c.hear_until(inner.INNER_END)
    assert inner.End.FromString(payload).code == CODE["PROTOCOL"]
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "it does not end")


def test_attack_another_device(office, client, inner):
    """Somebody has the ticket and even the key of the next handshake, but not the device: refused in the handshake, and the
    session still waits for its own."""
    first, start = lose(office, client)
    thief = client().resume(start.resume_ticket, first.next_psk)
    thief.stream.sendall(thief.hello(suite=2, generation=1))
    assert thief.stream.recv(100) == b""
    c, _ = go_on(client, first.device, start.resume_ticket, first.next_psk)
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))


def test_attack_ticket_without_the_key(office, client, inner):
    """The device and its ticket, but not the key of the handshake before: the channel cannot be read, and nothing changes."""
    first, start = lose(office, client)
    thief = client(device=first.device).resume(start.resume_ticket, os.urandom(32))
    with pytest.raises(Exception) as failure:
        thief.shake(suite=2, generation=1)
    assert "InvalidTag" in repr(failure)
    c, _ = go_on(client, first.device, start.resume_ticket, first.next_psk)
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))


def test_attack_replayed_attempt(office, client, inner):
    """A gate plays back what it has seen, to the byte: one attempt, one handshake."""
    first, start = lose(office, client)
    attempt = os.urandom(16)
    c = client(device=first.device).resume(start.resume_ticket, first.next_psk, attempt)
    c.shake(suite=2, generation=1)
    c.come_back()
    other = next(port for port in office.gate_ports.values() if port != office.port)
    assert refused(lambda: client(port=other), start.resume_ticket, first.next_psk, attempt) == CODE["TICKET_BAD"]
    c.input(inner.INNER_PING, inner.InnerPing(id=1))
    assert c.hear_until(inner.INNER_PONG)[0] == inner.INNER_PONG
    # and with another attempt the old ticket is no better
    assert refused(client, start.resume_ticket, first.next_psk) == CODE["RESUME_OVER"]
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))


def test_attack_knocks_with_a_stolen_ticket(office, client, inner):
    """Whoever has only seen the ticket knocks as often as he likes, also while the session works: nobody is disturbed."""
    c = client().begin()
    start = c.log_in()
    for _ in range(12):
        c.input(inner.INNER_PING, inner.InnerPing(id=1))  # a path is dead after three seconds
        try:
            client().resume(start.resume_ticket, bytes(32))
        except Refused as refusal:
            assert refusal.args[0] in (CODE["TOO_MANY"], CODE["TIMEOUT"], CODE["UNREACHABLE"])
    c.input(inner.INNER_PING, inner.InnerPing(id=1))
    assert c.hear_until(inner.INNER_PONG)[0] == inner.INNER_PONG
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))


def test_attack_after_the_end(office, client, inner):
    """The person has ended it."""
    c = client().begin()
    start = c.log_in()
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
    assert c.hear_until()[0] is None
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "it does not end")
    assert refused(client, start.resume_ticket, c.next_psk) == CODE["RESUME_OVER"]


def test_attack_ended_by_the_administrator(office, client, inner):
    """The relay's administrator ends it while it works: within two seconds nothing comes any more, and the broken path is no reason to come back."""
    c = client().begin()
    start = c.log_in()
    listed = lambda: json.loads(office.tool("engawa", "session", "list", "--json"))
    system.wait_for(lambda: living(c, lambda: [session["state"] for session in listed()] == ["up"]), "an earlier one is still seen", 20)
    office.tool("engawa", "session", "end", listed()[0]["id"])
    told = time.monotonic()
    assert c.hear_until(inner.INNER_END)[0] in (inner.INNER_END, None) and c.hear_until()[0] is None
    assert time.monotonic() - told < 2
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "it does not end")
    assert refused(client, start.resume_ticket, c.next_psk) == CODE["ENDED_BY_ADMIN"]


def test_between_two_connections(office, client, inner):
    """The administrator sees a session that waits for its client, sees it go on, and ends it while it waits again: nobody comes back to it."""
    listed = lambda: json.loads(office.tool("engawa", "session", "list", "--json"))
    states = lambda: [(session["state"], session["gate"] != "") for session in listed()]
    first, start = lose(office, client)
    system.wait_for(lambda: states() == [("waiting", False)], "it is not seen waiting", 20)
    [waiting] = listed()
    assert waiting["client_address"] == "127.0.0.1" and waiting["org"] == system.ORGANISATION and time.time() - waiting["started_s"] < 300
    second, again = go_on(client, first.device, start.resume_ticket, first.next_psk)
    second.input(inner.INNER_PING, inner.InnerPing(id=1))
    second.hear_until(inner.INNER_PONG)
    system.wait_for(lambda: living(second, lambda: states() == [("up", True)]), "it is not seen to go on", 20)
    second.stream.close()
    system.wait_for(lambda: states() == [("waiting", False)], "it is not seen waiting again", 20)
    # of a control process that is new the relay hears it too
    [control] = [pid for pid in system.family(office.agent.pid) if b"\0control\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    office.controller.kill()
    office.controller.start()
    os.kill(control, signal.SIGKILL)
    system.wait_for(lambda: states() == [("waiting", False)], "a new controller does not hear of it", 60)
    assert "waiting" in office.tool("engawa", "session", "list")
    office.tool("engawa", "session", "end", listed()[0]["id"])
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "it does not end")
    system.wait_for(lambda: states() == [], "it is still seen", 20)
    system.wait_for(office.agent_everywhere, "the agent is not at both gates", 90)
    assert refused(client, again.resume_ticket, second.next_psk) == CODE["ENDED_BY_ADMIN"]


def test_attack_suspended_between_two_connections(office, client):
    """The office PC is suspended while nobody is connected, and taken back later: that session is over."""
    first, start = lose(office, client)
    agent = office.state["agent_id"]
    office.tool("engawa", "agent", "suspend", agent)
    try:
        system.wait_for(lambda: office.agent_status()["sessions"] == 0, "it does not end")
        assert refused(client, start.resume_ticket, first.next_psk) == CODE["UNREACHABLE"]
    finally:
        office.tool("engawa", "agent", "resume", agent)
    system.wait_for(office.agent_everywhere, "the agent does not come back", 90)
    assert refused(client, start.resume_ticket, first.next_psk) in (CODE["SUSPENDED"], CODE["ENDED_BY_ADMIN"])


def test_attack_forged_tickets(office, client):
    """Bent, cut, of nobody, and one of a certificate that no authority of ours has signed: the gate does not even knock."""
    first, start = lose(office, client)
    ticket = start.resume_ticket
    mark = log_size(office)
    for bad in [b"", os.urandom(300), ticket[:-1], ticket + b"\0", ticket[:40] + bytes([ticket[40] ^ 1]) + ticket[41:],
            ticket[:-5] + bytes([ticket[-5] ^ 1]) + ticket[-4:], first.ticket]:
        assert refused(client, bad, first.next_psk) in (CODE["TICKET_BAD"], CODE["PROTOCOL"])
    assert refused(client, ticket, first.next_psk, attempt=b"short") == CODE["PROTOCOL"]
    assert "session.resuming" not in log(office, mark)
    c, _ = go_on(client, first.device, ticket, first.next_psk)
    c.input(c.inner.INNER_END, c.inner.End(code=CODE["ENDED"]))


def test_attack_policy_has_changed(office, client, inner):
    """Between loss and return the organisation forbids this network: the list is asked again."""
    first, start = lose(office, client)
    office.tool("engawa", "agent", "addresses", "deny", "127.0.0.0/8", "--state-directory", office.agent_dir)
    try:
        c = client(device=first.device).resume(start.resume_ticket, first.next_psk)
        c.shake(suite=2, generation=1)
        with pytest.raises(Refused) as refusal:
            c.come_back()
        assert refusal.value.args[0] == CODE["ADDRESS_DENIED"]
    finally:
        office.tool("engawa", "agent", "addresses", "remove", "1", "--state-directory", office.agent_dir)


@pytest.mark.parametrize("keys, code", [({"ENFORCE_INSPECTION": "yes"}, "POLICY_CHANGED"), ({"ENFORCE_MACCHECK": "yes"}, "MAC_DENIED"),
    ({"ENFORCE_LIMITED_FIREWALL": "yes"}, "FIREWALL_REQUIRED"), ({"ENFORCE_DEVICECHECK": "yes"}, "DEVICE_UNKNOWN"), ({"DENY_CLIENTS_APP": "yes"}, "APP_DENIED")])
def test_attack_policy_asks_for_more(office, client, inner, keys, code):
    """Between loss and return the organisation asks for a report, a listed MAC address, a closed network, a registered device, or another
    program: a session that did not show it is not gone on with, also not as another kind of client. When policy is as before, it is."""
    first, start = lose(office, client)
    office.sign_policy(AUTH_LOCKOUT_COUNT=100, **keys)
    try:
        c = client(device=first.device).resume(start.resume_ticket, first.next_psk)
        c.shake(suite=2, generation=1)
        with pytest.raises(Refused) as refusal:
            c.come_back()
        assert refusal.value.args[0] == CODE[code]
        disguised = client(device=first.device).resume(start.resume_ticket, first.next_psk)
        disguised.shake(suite=2, generation=1)
        assert disguised.facts(kind=inner.CLIENT_HTML5)[0] is None
    finally:
        office.sign_policy(AUTH_LOCKOUT_COUNT=100)
    c, _ = go_on(client, first.device, start.resume_ticket, first.next_psk)
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))


def test_attack_race(office, client, inner):
    """Two connections of the same device come back at the same time: one of them has the desktop, the other one has nothing."""
    first, start = lose(office, client)
    other = next(port for port in office.gate_ports.values() if port != office.port)
    one = client(device=first.device).resume(start.resume_ticket, first.next_psk)
    two = client(device=first.device, port=other).resume(start.resume_ticket, first.next_psk)
    one.shake(suite=2, generation=1)
    two.shake(suite=2, generation=1)
    one.come_back()
    with pytest.raises((Refused, AssertionError)):
        two.come_back()
    one.input(inner.INNER_PING, inner.InnerPing(id=1))
    assert one.hear_until(inner.INNER_PONG)[0] == inner.INNER_PONG
    one.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
