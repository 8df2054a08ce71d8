"""Clients that do not keep to the protocol, against a real office PC: no mail, no picture, and the next one comes in as ever."""
import collections
import os
import random
import secrets
import struct
import time

import pytest

import system
from gate_driver import CODE
from hostile_client import Refused


@pytest.fixture(scope="module")
def office(own_engawa):
    own_engawa.sign_policy(AUTH_LOCKOUT_COUNT=100)
    # here everybody leaves without a word, and nobody comes back (test_resume.py)
    own_engawa.agent_options["RESUME_S"] = 0
    own_engawa.agent.stop()
    own_engawa.start_agent()
    return own_engawa


@pytest.fixture(autouse=True)
def clean(office):
    yield
    office.tool("engawa", "agent", "unlock", "--state-directory", office.agent_dir)
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "a session is left", 40)


def log(office):
    return (office.log_dir / "agent.log").read_text(errors="replace")


def test_honest(office, client, inner):
    """The attacker's client works: what fails below fails for what it says."""
    c = client().begin()
    start = c.log_in()
    assert start.layout.width_px == 1280 and start.window_mib == 8
    assert c.hear_until(inner.INNER_FRAME)[0] == inner.INNER_FRAME
    c.input(inner.INNER_PING, inner.InnerPing(id=7))
    assert inner.InnerPong.FromString(c.hear_until(inner.INNER_PONG)[1]).id == 7
    c.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
    assert c.hear_until()[0] is None


@pytest.mark.parametrize("options", [{"suite": 2}, {"suite": 0}, {"generation": 1}, {"terminal_id": "0" * 16}])
def test_attack_handshake(office, client, options):
    """Tried: a hello with another cipher suite, another generation of keys or another terminal ID. Comes of it: the connection ends without a byte of
    an answer."""
    c = client().ask().join()
    c.stream.sendall(c.hello(**options))
    assert c.stream.recv(100) == b""


def test_attack_other_device(office, client):
    """A ticket for one device key, used with another."""
    c = client().ask(device_hash=os.urandom(32)).join()
    c.stream.sendall(c.hello())
    assert c.stream.recv(100) == b""
    assert "TICKET_BAD" in log(office)


def test_attack_message1_replayed(office, client):
    """Who recorded a session has message 1 and nothing that could follow it: no mail is sent. And a ticket works once."""
    mails = office.mail.count()
    c = client().begin()
    c.stream.sendall(struct.pack(">H", 1040) + os.urandom(1040))
    assert c.hear()[0] is None
    again = client()
    with pytest.raises(Refused):
        again.join(c.ticket)
    assert office.mail.count() == mails


def test_attack_first_record(office, client, inner):
    """Nothing but Facts opens a login."""
    mails = office.mail.count()
    for kind in 0, inner.INNER_REPLY, inner.INNER_PROMPT, inner.INNER_START, inner.INNER_FRAME, inner.INNER_KEY, inner.INNER_END, 255:
        c = client().begin()
        c.say(kind, b"\x08\x01")
        assert c.hear()[0] is None, kind
    assert office.mail.count() == mails


@pytest.mark.parametrize("bad", ["kind 0", "kind 9", "17 MACs", "MAC of 5", "name of 128", "control character", "no UTF-8", "window", "5 monitors",
    "padding", "length", "garbage", "empty", "deep"])
def test_attack_facts(office, client, inner, bad):
    """Tried: facts that are out of range, too many, of a wrong length, no UTF-8, made for the log or for a mail's header, padded, deep or random.
    Comes of it: the connection ends without a word, and no mail is sent."""
    mails = office.mail.count()
    c = client().begin()
    good = {"kind": inner.CLIENT_APP, "build": 1, "computer_name": "x"}
    facts = {"kind 0": {"kind": 0}, "kind 9": {"kind": 9}, "17 MACs": {"mac": [b"123456"] * 17}, "MAC of 5": {"mac": [b"12345"]},
        "name of 128": {"computer_name": "x" * 128}, "control character": {"computer_name": "x\r\nBcc: y"}, "window": {"window_mib": 4096},
        "5 monitors": {"monitors": [inner.Monitor(width_px=1)] * 5}}.get(bad, {})
    message = inner.Facts(**good | facts).SerializeToString()
    if bad == "padding":
        c.say(inner.INNER_FACTS, message, padding=b"\1")
    elif bad == "length":
        c.stream.sendall(c.seal_plain(bytes([inner.INNER_FACTS]) + (5000).to_bytes(3, "big") + message))
    elif bad == "garbage":
        c.say(inner.INNER_FACTS, os.urandom(60000))
    elif bad == "empty":
        c.stream.sendall(c.seal_plain(b""))
    elif bad == "no UTF-8":
        c.say(inner.INNER_FACTS, message + b"\x1a\x02\xff\xfe")
    elif bad == "deep":
        c.say(inner.INNER_FACTS, message + b"\x3b" * 20000)
    else:
        c.say(inner.INNER_FACTS, message)
    assert c.hear()[0] is None
    assert office.mail.count() == mails


def test_attack_login_out_of_order(office, client, inner):
    """Tried: password, key, start or facts where the code is asked for, an answer that is too long, and an answer before the question. Comes of it:
    the session ends without a word."""
    def to_prompt():
        c = client().begin()
        assert c.facts()[0] == inner.INNER_PROMPT
        return c
    for say in (lambda c: c.reply(inner.PROMPT_PASSWORD, office.password), lambda c: c.reply(inner.PROMPT_NONE, ""),
            lambda c: c.say(inner.INNER_FACTS, inner.Facts(kind=inner.CLIENT_APP)), lambda c: c.say(inner.INNER_KEY, inner.Key(usage=4, down=True)),
            lambda c: c.say(inner.INNER_START, inner.Start(idle_s=1)), lambda c: c.reply(inner.PROMPT_MAIL_CODE, "x" * 600)):
        c = to_prompt()
        say(c)
        assert c.hear()[0] is None
    # an answer before the question
    c = client().begin()
    c.stream.sendall(c.seal(inner.INNER_FACTS, inner.Facts(kind=inner.CLIENT_APP, build=1)) +
        c.seal(inner.INNER_REPLY, inner.Reply(kind=inner.PROMPT_MAIL_CODE, text="00000000")))
    kind, _ = c.hear()
    assert kind is None


def test_attack_record_replayed(office, client, inner):
    """Tried: the same record sent twice. Comes of it: the second one does not open, and the session ends."""
    c = client().begin()
    record = c.seal(inner.INNER_FACTS, inner.Facts(kind=inner.CLIENT_APP, build=1))
    c.stream.sendall(record + record)
    assert c.hear()[0] in (None, inner.INNER_PROMPT)
    assert c.hear()[0] is None


def test_attack_work_before_start(office, client, inner):
    """The work keys before the agent has said Start: the bytes go to the login process, which cannot read them."""
    c = client().begin()
    seen = office.mail.count()
    c.facts()
    c.reply(inner.PROMPT_MAIL_CODE, office.mail.next_pin(seen))
    c.hear()
    login = c.out
    c.out = type(login)(c.work[0])
    c.input(inner.INNER_KEY, inner.Key(usage=4, keysym=97, down=True))
    assert c.hear()[0] is None


def test_attack_guesses(office, client, inner):
    """As many guesses as the agent takes, from as many sessions as it takes."""
    office.sign_policy(AUTH_LOCKOUT_COUNT=5)
    try:
        guesses, mails, refused = 0, office.mail.count(), 0
        for _ in range(12):
            c = client().begin()
            kind, payload = c.facts()
            while kind == inner.INNER_PROMPT:
                c.reply(inner.PROMPT_MAIL_CODE, f"{random.randrange(10**8):08}")
                guesses += 1
                kind, payload = c.hear()
            assert kind == inner.INNER_REFUSED
            refused += inner.Refused.FromString(payload).code == CODE["LOCKED_OUT"]
            c.close()
        assert guesses == 5 and refused == 12
        assert office.mail.count() <= mails + 1
    finally:
        office.sign_policy(AUTH_LOCKOUT_COUNT=100)


BAD_INPUT = {
    "posture nobody asked for": lambda i: (i.INNER_POSTURE, i.Posture(version=1)),
    "firewall nobody asked for": lambda i: (i.INNER_FIREWALL_ALIVE, i.FirewallAlive(id=1)),
    "login again": lambda i: (i.INNER_REPLY, i.Reply(kind=2, text="x")),
    "a picture": lambda i: (i.INNER_FRAME, i.Frame(seq=1, data=b"x")),
    "a layout": lambda i: (i.INNER_LAYOUT, i.Layout(width_px=1, height_px=1)),
    "start": lambda i: (i.INNER_START, i.Start(idle_s=1)),
    "unknown type": lambda i: (200, b""),
    "desktop's own type": lambda i: (128, b""),
    "escape in text": lambda i: (i.INNER_TEXT, i.Text(text="\x1b[31m")),
    "no text": lambda i: (i.INNER_TEXT, i.Text()),
    "long text": lambda i: (i.INNER_TEXT, i.Text(text="x" * 49)),
    "tenth button": lambda i: (i.INNER_POINTER, i.Pointer(buttons=512)),
    "usage": lambda i: (i.INNER_KEY, i.Key(usage=65536, down=True)),
    "keysym": lambda i: (i.INNER_KEY, i.Key(keysym=2**31, down=True)),
    "no monitors": lambda i: (i.INNER_WANT_LAYOUT, i.WantLayout()),
    "5 monitors": lambda i: (i.INNER_WANT_LAYOUT, i.WantLayout(monitors=[i.Monitor(width_px=9, height_px=9)] * 5)),
    "huge monitor": lambda i: (i.INNER_WANT_LAYOUT, i.WantLayout(monitors=[i.Monitor(width_px=2**31, height_px=9)])),
    "garbage": lambda i: (i.INNER_KEY, b"\xff" * 50),
}


def test_attack_input(office, client, inner):
    """Tried: after the login, messages that are not a client's, of the login, unknown, or with values out of range. Comes of it: the session ends as
    a fault of the protocol, each time."""
    for name, make in BAD_INPUT.items():
        c = client().begin()
        c.log_in()
        c.input(*make(inner))
        kind, payload = c.hear_until(inner.INNER_END)
        assert kind == inner.INNER_END and inner.End.FromString(payload).code == CODE["PROTOCOL"], name
        assert c.hear_until()[0] is None
        c.close()


def test_attack_wire_audit(office, client, inner):
    """Tried: a client takes down all that it gets while somebody at the office PC copies a secret to the clipboard, selects it and rings the
    bell. Comes of it: pictures, shapes of the pointer, sizes, notices and answers to pings, with no field that is not in their table; the secret
    is in none of them, neither as it is nor as wide characters."""
    tables = {inner.INNER_FRAME: inner.Frame, inner.INNER_CURSOR: inner.Cursor, inner.INNER_LAYOUT: inner.Layout, inner.INNER_NOTICE: inner.Notice,
        inner.INNER_PONG: inner.InnerPong}
    secret = f"secret{secrets.token_hex(8)}"
    needles = [secret.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")]
    c = client().begin()
    c.log_in()
    office.xdotool("windowfocus", office.window("mousepad").split()[0], "key", "ctrl+End", "Return", "type", secret)
    office.xdotool("key", "ctrl+a", "ctrl+c", "ctrl+x", "ctrl+v")
    heard = collections.Counter()
    for number in range(1, 41):
        c.input(inner.INNER_PING, inner.InnerPing(id=number))
        kind = None
        while kind != inner.INNER_PONG:
            kind, payload = c.hear()
            assert kind in tables, kind
            message = tables[kind].FromString(payload)
            assert message.SerializeToString(deterministic=True) == payload and not any(needle in payload for needle in needles)
            heard[kind] += 1
            if kind == inner.INNER_FRAME and message.last:
                c.input(inner.INNER_ACK, inner.Ack(seq=message.seq))
        time.sleep(0.05)
    assert heard[inner.INNER_FRAME] and heard[inner.INNER_PONG] == 40
    office.xdotool("key", "ctrl+s")
    system.wait_for(lambda: secret in office.memo.read_text(), "it was not copied and pasted")
    c.leave()


def test_silent_client(office, client, inner):
    c = client().begin()
    begin = time.monotonic()  # before the silence
    c.log_in()
    kind, payload = c.hear_until(inner.INNER_END)
    assert kind == inner.INNER_END and inner.End.FromString(payload).code == CODE["TIMEOUT"]
    assert 3 <= time.monotonic() - begin < 25


def test_attack_ack_of_the_future(office, client, inner):
    """A client that acknowledges what it never got gets no more in flight, and nothing breaks."""
    c = client().begin()
    c.log_in()
    c.input(inner.INNER_ACK, inner.Ack(seq=2**32 - 1))
    c.input(inner.INNER_PING, inner.InnerPing(id=1))
    kind, _ = c.hear_until(inner.INNER_PONG, inner.INNER_END)
    assert kind in (inner.INNER_PONG, inner.INNER_END)


def test_attack_client_that_does_not_read(office, client, inner):
    """Pictures stop at the acknowledgements; the office PC keeps nothing for it, and goes on when it is gone."""
    c = client().begin()
    c.log_in()
    for i in range(20):
        c.input(inner.INNER_PING, inner.InnerPing(id=i))
        time.sleep(0.1)
    c.close()
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "the session stays", 30)
    assert office.connect("--for", "100ms")["code"] == 0
