"""The login or the pump process of a real office PC is an attacker's, and says to the monitor what it likes. The policy is the one people
work with, with the home PC's inspection on."""
import contextlib
import os
import pathlib
import re
import shutil
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519

import system
from gate_driver import CODE
from hostile_client import Refused
from test_local import numbers

# Everything that a session's processes are told or tell, and the words of others.
TYPES = ["MSG_NONE", "MSG_JOINED", "MSG_FIRST", "MSG_HELD", "MSG_SWITCHED", "MSG_PUMP_ENDED", "MSG_SECOND", "MSG_ATTACH", "MSG_KEYS",
    "MSG_PROMPT", "MSG_REFUSED", "MSG_START", "MSG_FACTS", "MSG_REPLY", "MSG_POSTURE", "MSG_NOTICE", "MSG_READY", "MSG_LOST", "MSG_HEARD",
    "MSG_ENDED", "MSG_BEGIN", "MSG_END", "MSG_MOVE", "MSG_DISPLAY", "MSG_SIGN", "MSG_KNOCK", "MSG_DIALED", "MSG_CODE_SENT", "MSG_CHECKED",
    "MSG_CERTIFICATE_CHECKED", "MSG_MACLIST_CHECKED", "MSG_UNLOCK", "MSG_PASSWORD", "MSG_RESULT"]
FIRST_BYTES = 103
CODE_REPLY, PASSWORD_REPLY = 1, 2  # engawa.PromptKind


class Office:
    """A real one, but for the program of its two processes at the network."""

    def __init__(self, engawa):
        self.engawa, self.device, self.known = engawa, x25519.X25519PrivateKey.generate(), False
        directory = engawa.dir / "taken-over"
        directory.mkdir(mode=0o755)
        program = directory / "engawa-agent"
        shutil.copy(system.BUILD / "tests/system/taken-over-agent", program)
        self.file = pathlib.Path(f"{program}.forged")
        self.forge()
        engawa.agent.stop()
        engawa.agent.argv[0] = program
        engawa.agent.start()
        self.pid = engawa.agent.pid

    def forge(self, *lines):
        self.file.write_text("".join(f"{line}\n" for line in lines))

    def log(self, start=0):
        return self.engawa.agent.log.read_bytes()[start:].decode(errors="replace")

    def descriptors(self):
        """Of the monitor; others than root are not told."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            return 0

    def quiet(self):
        """No session is left."""
        system.wait_for(lambda: self.engawa.agent_status()["sessions"] == 0, "a session is left", 60)


@pytest.fixture(scope="module")
def taken(own_engawa):
    own_engawa.sign_policy(DISABLE_INSPECTION=None)
    return Office(own_engawa)


@pytest.fixture
def office(taken):
    return taken.engawa


@pytest.fixture(autouse=True)
def clean(taken):
    yield
    taken.forge()
    taken.engawa.tool("engawa", "agent", "unlock", "--state-directory", taken.engawa.agent_dir)


def desktops(taken):
    """Numbers of the processes that see the desktop, below the monitor."""
    found = []
    for pid in system.family(taken.pid):
        with contextlib.suppress(OSError):
            program = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(bytes(1))[0]
            found += [pid] if program.endswith(b"/engawa-desktop") else []
    return found


def works(taken, client, inner):
    """An honest login, to the first picture and out again."""
    taken.forge()
    c = client(device=taken.device).begin()
    c.log_in()
    assert c.hear_until(inner.INNER_FRAME)[0] == inner.INNER_FRAME and desktops(taken)
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
    assert c.hear_until()[0] is None
    c.close()
    taken.quiet()
    taken.known = True


def attempt(taken, client, inner, lines, facts=False):
    """One session with them; the codes with which it ended. Nothing but questions and a refusal is heard of it."""
    begun, mails = len(taken.engawa.agent.log.read_bytes()), taken.engawa.mail.count()
    taken.forge(*lines)
    c = client(**({"device": taken.device} if facts else {}))
    heard = []
    with contextlib.suppress(EOFError, ConnectionError, ssl.SSLError, Refused):
        c.begin()
        if facts:
            c.say(inner.INNER_FACTS, inner.Facts(kind=inner.CLIENT_APP, build=1, computer_name="taken over", locale="ja", window_mib=8))
        while (record := c.hear())[0] is not None:
            heard.append(record[0])
    c.close()
    ended = system.wait_for(lambda: re.findall(r"session\.end .*?code=(\S+)", taken.log(begun)), f"{lines}: the session goes on", 60)
    log = taken.log(begun)
    assert "test.forged" in log, lines
    assert "test.started" not in log and "session.start " not in log, (lines, log)
    assert "process.crash" not in log, (lines, log)
    assert set(heard) <= {inner.INNER_PROMPT, inner.INNER_REFUSED, inner.INNER_NOTICE}, (lines, heard)
    assert taken.engawa.mail.count() - mails <= (1 if facts else 0), lines
    return ended, log


def test_attack_network_process_says_anything(taken, client, inner):
    """Tried: the login process, before its client has said anything, or the pump, before it brings the client's first bytes, says each
    message there is, empty or with rubbish, and with a descriptor. Comes of it: the session ends without a word; no process that could make
    a picture is started, no mail goes out, and the monitor keeps nothing of it. The next honest person works."""
    works(taken, client, inner)
    before = taken.descriptors()
    for i, name in enumerate(TYPES + [65535]):
        number = numbers()[name] if isinstance(name, str) else name
        for role, when, at in ("login", "recv", 1), ("pump", "send", 2):
            payload = "-" if (i + (role == "pump")) % 2 else "*60000" if i % 3 == 0 else "*4"
            ended, log = attempt(taken, client, inner, [f"{role} {when} {at} 1 {number} {payload}"])
            own = {"login": {"MSG_FACTS", "MSG_REPLY", "MSG_POSTURE"}, "pump": {"MSG_PUMP_ENDED"}}[role]
            assert len(ended) == 1 and (name in own or ended == ["PROTOCOL"] and "session.violation" in log), (role, name, log)
    assert taken.engawa.agent.alive and taken.engawa.agent.pid == taken.pid
    works(taken, client, inner)
    system.wait_for(lambda: taken.descriptors() <= before, "descriptors are left", 60)


PUMP = {  # out of order, before the gate has joined anybody, and with the handshake of nobody
    "joined twice": ["pump send 1 1 MSG_JOINED -"],
    "first without joined": [f"pump send 1 1 MSG_FIRST *{FIRST_BYTES}"],
    "first of nobody": [f"pump send 2 1 MSG_FIRST *{FIRST_BYTES}"],
    "the whole way": ["pump send 2 1 MSG_HELD -", "pump send 2 1 MSG_SWITCHED -"],
    "held": ["pump recv 5 1 MSG_HELD -", "pump recv 5 1 MSG_SWITCHED -"],
    "half a digest to sign": ["sign send 2 1 MSG_SIGN *31"],
    "no question to the signer": ["sign send 2 1 MSG_JOINED -"],
}
LOGIN = {  # where the code is asked for
    "password in its place": [f"login recv 2 1 MSG_REPLY reply:{PASSWORD_REPLY}:PASSWORD"],
    "desktop is there": ["login recv 2 1 MSG_DISPLAY *80", "login recv 2 1 MSG_READY *40"],
    "facts again": ["login recv 2 3 MSG_FACTS again"],
    "facts for ever": ["login recv 2 500 MSG_FACTS again"],
    "guesses": [f"login recv 2 200 MSG_REPLY reply:{CODE_REPLY}:00000000"],
    "guesses, then the password": [f"login recv 2 5 MSG_REPLY reply:{CODE_REPLY}:12345678", f"login recv 2 5 MSG_REPLY reply:{PASSWORD_REPLY}:PASSWORD"],
    "answer of any kind": ["login recv 2 1 MSG_REPLY reply:255:x"],
    "a report of its own": ["login recv 2 1 MSG_POSTURE -", f"login recv 2 1 MSG_REPLY reply:{PASSWORD_REPLY}:PASSWORD"],
    "start": ["login recv 2 1 MSG_START *1000", "login recv 2 1 MSG_BEGIN -"],
}


def fill(taken, line):
    return re.sub(r"MSG_\w+", lambda m: str(numbers()[m[0]]), line).replace("PASSWORD", taken.engawa.password)


@pytest.mark.parametrize("lines", [pytest.param(lines, id=name) for name, lines in PUMP.items()])
def test_attack_pump_out_of_order(taken, client, inner, lines):
    """Tried: the pump says what it may say, at other times, or with a handshake of nobody. Comes of it: the session ends; no picture, no
    mail, and the monitor goes on."""
    ended, log = attempt(taken, client, inner, [fill(taken, line) for line in lines])
    assert ended == ["CLOSED" if "sign" in lines[0] else "PROTOCOL"]  # the pump is killed, or the session ends with EW-1000


@pytest.mark.parametrize("lines", [pytest.param(lines, id=name) for name, lines in LOGIN.items()])
def test_attack_login_process_answers_itself(taken, client, inner, lines):
    """Tried: the login process answers in the person's place where the code is asked for: with the right password, guesses, a second
    beginning, or as if the desktop stood already. Comes of it: the session ends or is refused, guesses count as ever, and not a second mail
    goes out."""
    if not taken.known:
        works(taken, client, inner)  # strangers get fewer mails than there are attacks here
    ended, log = attempt(taken, client, inner, [fill(taken, line) for line in lines], facts=True)
    assert ended == ["LOCKED_OUT" if "reply:1:" in lines[0] else "PROTOCOL"]


def test_attack_pump_hurries(taken, client, inner):
    """Tried: the person has passed, the desktop is being started, and the pump says that the client has Start already. Comes of it: the
    session ends, nothing of the desktop is sent, and its process goes."""
    begun = len(taken.engawa.agent.log.read_bytes())
    taken.forge(fill(taken, "pump recv 6 1 MSG_SWITCHED -"))
    c = client(device=taken.device).begin()
    assert c.prove().kind == inner.PROMPT_POSTURE
    c.say(inner.INNER_POSTURE, c.report())
    assert c.hear()[0] == inner.INNER_PROMPT
    c.reply(inner.PROMPT_PASSWORD, taken.engawa.password)
    assert c.hear()[0] is None
    ended = system.wait_for(lambda: re.search(r"session\.end .*?code=(\S+)", taken.log(begun)), "the session goes on", 60)
    log = taken.log(begun)
    assert ended[1] == "PROTOCOL" and "test.forged role=pump" in log and "test.started role=desktop" in log and "session.start " not in log
    system.wait_for(lambda: not desktops(taken), "the desktop goes on", 60)


def test_honest_after_all_that(taken, client, inner):
    taken.engawa.tool("engawa", "agent", "unlock", "--state-directory", taken.engawa.agent_dir)
    works(taken, client, inner)
    assert taken.engawa.agent.alive and taken.engawa.agent.pid == taken.pid
