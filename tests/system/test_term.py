"""What ends a session: idleness, its longest time, working hours, and input that no person makes."""
import ctypes
import json
import os
import pathlib
import subprocess
import time

import pytest

import system
from gate_driver import CODE


@pytest.fixture(scope="module")
def office(own_engawa):
    return own_engawa


@pytest.fixture(autouse=True)
def clean(office):
    yield
    office.sign_policy()
    office.tool("engawa", "agent", "unlock", "--state-directory", office.agent_dir)
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "a session is left", 40)


def log(office, start=0):
    return (office.log_dir / "agent.log").read_bytes()[start:].decode(errors="replace")


def log_size(office):
    return (office.log_dir / "agent.log").stat().st_size


class Keyboard:
    """Keys that are down at the office PC, as its X server knows them."""

    def __init__(self, office):
        os.environ["XAUTHORITY"] = office.desktop_env["XAUTHORITY"]
        self.x = ctypes.CDLL("libX11.so.6")
        self.x.XOpenDisplay.restype = ctypes.c_void_p
        self.display = ctypes.c_void_p(self.x.XOpenDisplay(office.display.encode()))
        assert self.display

    def down(self):
        keys = (ctypes.c_char * 32)()
        self.x.XQueryKeymap(self.display, keys)
        return sum(byte.bit_count() for byte in bytes(keys))


def live(c, inner, seconds, each=lambda: None):
    """Pings, and what the test says beside them, until the session ends: its code and the notices on the way."""
    notices, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        c.input(inner.INNER_PING, inner.InnerPing(id=1))
        each()
        kind = None
        while kind != inner.INNER_PONG:
            kind, payload = c.hear_until(inner.INNER_PONG, inner.INNER_NOTICE, inner.INNER_END)
            if kind == inner.INNER_NOTICE:
                notices.append(inner.Notice.FromString(payload))
            if kind == inner.INNER_END:
                return inner.End.FromString(payload).code, notices
            assert kind is not None
        time.sleep(0.3)
    return 0, notices


def test_idle_releases_keys(office, client, inner):
    """Warned, then cut; what was held down at home is not held down at the office PC any more."""
    office.sign_policy(IDLE_TIMEOUT=4)
    keyboard = Keyboard(office)
    c = client().begin()
    assert c.log_in().idle_s == 4
    c.input(inner.INNER_KEY, inner.Key(usage=0xe1, keysym=0xffe1, down=True))

    def arrived():
        c.input(inner.INNER_PING, inner.InnerPing(id=1))  # a path is dead after three seconds
        return keyboard.down() == 1
    system.wait_for(arrived, "the key does not arrive", every_s=0.3)
    code, notices = live(c, inner, 15)
    assert code == CODE["IDLE"] and {n.code for n in notices} == {CODE["IDLE"]} and 0 < notices[-1].seconds <= 4
    # once, and once more where the key came after the warning and took it back
    assert [n.seconds > 0 for n in notices] in ([True], [True, False, True])
    system.wait_for(lambda: keyboard.down() == 0, "a key stays down")


def test_attack_kept_alive_without_a_person(office, client, inner):
    """Pings, a pointer that stays and Continue that nobody was asked for: idle as ever."""
    office.sign_policy(IDLE_TIMEOUT=64)
    c = client().begin()
    c.log_in()

    def fidget():
        c.input(inner.INNER_POINTER, inner.Pointer(x_px=0, y_px=0))
    c.input(inner.INNER_CONTINUE, inner.Continue())
    code, notices = live(c, inner, 8, fidget)
    assert code == 0 and [n.code for n in notices] == [CODE["IDLE"]] and 50 < notices[0].seconds <= 60
    c.input(inner.INNER_CONTINUE, inner.Continue())  # now somebody was asked
    code, notices = live(c, inner, 1)
    assert code == 0 and [(n.code, n.seconds) for n in notices] == [(CODE["IDLE"], 0)]


def test_longest_time(office, client, inner):
    """Whoever is active all the time is cut all the same."""
    office.sign_policy(MAX_SESSION=4)
    c = client().begin()
    c.log_in()
    x = iter(range(1000))
    code, notices = live(c, inner, 15, lambda: c.input(inner.INNER_POINTER, inner.Pointer(x_px=next(x), y_px=1)))
    assert code == CODE["SESSION_LONG"] and [n.code for n in notices] == [CODE["SESSION_LONG"]]


def test_attack_two_thousand_keys_in_a_second(office, client, inner):
    """What malware at home would type: the session ends, the log says so, and the office PC has typed at a human pace until then."""
    start, before = log_size(office), office.memo.read_text()
    office.xdotool("windowfocus", office.window("mousepad").split()[0])
    c = client().begin()
    c.log_in()
    strokes = b"".join(c.seal(inner.INNER_KEY, inner.Key(usage=4, keysym=0x61, down=down), size=64) for _ in range(2000) for down in (True, False))
    try:
        c.stream.sendall(strokes)
    except OSError:
        pass  # the other side has gone already
    kind, payload = c.hear_until(inner.INNER_END)
    assert kind is None or inner.End.FromString(payload).code == CODE["INPUT_BURST"]
    system.wait_for(lambda: "session.end" in log(office, start), "the session goes on")
    assert "input.burst kind=key" in log(office, start) and "code=INPUT_BURST" in log(office, start)
    window = office.window("mousepad").split()[0]
    office.xdotool("windowfocus", window, "key", "ctrl+s")
    time.sleep(1)
    assert len(office.memo.read_text()) - len(before) < 200


def hours(office, zone=None, **options):
    """The office PC again, in another time zone and with more settings."""
    office.agent.stop()
    office.agent_options = options
    (office.agent_dir / "agent.sock").unlink(missing_ok=True)
    conf = office.settings("agent", **dict(line.split(" ", 1) for line in (office.dir / "agent.conf").read_text().splitlines()
        if not line.startswith("SHUTDOWN_COMMAND")), **options)
    assert str(conf) in map(str, office.agent.argv)
    office.agent.start(env={"TZ": zone} if zone else None)
    system.wait_for(office.agent_up, "the agent does not come back", 90)


def zone_where_it_is(clock):
    """A time zone in which it is this time now: the office PC's clock need not be touched."""
    hour, minute, second = map(int, clock.split(":"))
    west_s = (int(time.time()) - (hour * 3600 + minute * 60 + second)) % 86400
    west_s -= 86400 if west_s > 43200 else 0
    return f"LOC{'-' if west_s < 0 else ''}{abs(west_s) // 3600:02}:{abs(west_s) // 60 % 60:02}:{abs(west_s) % 60:02}"


def test_working_hours(office, client, inner, tmp_path):
    """Warned in the last minute, cut at the end of the hours; the office PC does what its settings say, and lets nobody in any more."""
    done = pathlib.Path(office.dir / "switched-off")
    office.sign_policy(WORKING_HOURS="sun-sat 08:30-17:15")
    try:
        hours(office, zone_where_it_is("17:14:40"), SHUTDOWN_COMMAND=f"echo off > {done}")
        start = log_size(office)
        c = client().begin()
        c.log_in()
        code, notices = live(c, inner, 40)
        assert code == CODE["HOURS"] and [n.code for n in notices] == [CODE["HOURS"]] and notices[0].seconds <= 20
        system.wait_for(done.exists, "the command did not run")
        system.wait_for(lambda: "hours.shutdown" in log(office, start), "no word in the log")
        mails = office.mail.count()
        result = office.connect("--for", "100ms")
        assert result["code"] == CODE["HOURS"] and office.mail.count() == mails
    finally:
        hours(office)


def test_attack_changed_clock_at_home(office):
    """A home PC whose clock says it is office hours: the office PC goes by its own."""
    faketime = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    now = time.localtime(time.time() + 3 * 3600)
    office.sign_policy(WORKING_HOURS=f"sun-sat {now.tm_hour:02}:00-{now.tm_hour:02}:59")
    for env in {}, {"LD_PRELOAD": str(faketime), "FAKETIME": "+3h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}, {"TZ": "LOC-3"}:
        result = office.connect("--for", "100ms", env=env)
        assert result["status"] == 1 and result["code"] in (CODE["HOURS"], CODE["TICKET_EXPIRED"], CODE["CLOCK"]), (env, result)
        assert env.get("FAKETIME") or result["code"] == CODE["HOURS"]


def start_session(office, **options):
    process = subprocess.Popen([str(a) for a in office.connect_argv("--for", "60s", **options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    mark = log_size(office)
    system.wait_for(lambda: "session.heard" in log(office, mark), "no session", 30)
    return process


def test_same_device_again(office):
    """Who logs in again from the same device is told that, and not that it was another one."""
    first = start_session(office)
    assert office.connect("--for", "100ms")["code"] == 0
    assert json.loads(first.communicate(timeout=30)[0])["name"] == "CONNECTED_AGAIN"
    assert "session.taken_over" in log(office)


@pytest.mark.parametrize("padding", [128, 256, 512])
def test_attack_lengths_of_records(office, client, inner, padding):
    """A listener measures what the office PC sends: only multiples of what the policy says, but for the answer to a ping, which is always as long as
    the ping."""
    office.sign_policy(PICTURE_PADDING=None if padding == 256 else str(padding))
    c = client().begin()
    c.log_in()
    c.input(inner.INNER_PING, inner.InnerPing(id=1))
    seen = {}
    while not {inner.INNER_PONG, inner.INNER_FRAME} <= seen.keys():
        kind, _ = c.hear()
        assert kind is not None
        seen[kind] = max(seen.get(kind, 0), c.length - 16)  # without the tag
        assert (c.length - 16) % (64 if kind == inner.INNER_PONG else padding) == 0
    assert seen[inner.INNER_PONG] == 64 < padding < seen[inner.INNER_FRAME]
