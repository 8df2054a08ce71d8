"""Guessing at a real office PC as an attacker would: many connections at a time, many device keys, nothing waited for. What is looked at is
a handful, whatever is sent; the owner comes in all the while."""
import concurrent.futures
import functools
import os
import random
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519

import hostile_client
import system
from gate_driver import CODE
from hostile_client import HostileClient, Refused, clients_of
from test_devices import office, point, proof

GUESSES, DEVICES_OPEN = 10000, 3
ASKS, ASKS_PER_CONNECTION, BURST = 2000, 8, 200  # tools/system.py leaves the controller's ASK_BURST as it is


@pytest.fixture(scope="module")
def engawa(own_engawa):
    own_engawa.agent.stop()
    own_engawa.agent_options["RESUME_S"] = 0
    own_engawa.start_agent()
    assert own_engawa.connect("--for", "100ms")["code"] == 0  # the owner's device is known from now on
    return own_engawa


@pytest.fixture
def clients(engawa, outer, inner):
    with clients_of(engawa, outer, inner) as make:
        yield make
    office(engawa, "unlock")
    engawa.sign_policy()
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "a session is left", 60)


def judged(engawa):
    """How many failures the office PC has charged to strangers: it writes each one down before it looks at it."""
    lines = (engawa.agent_dir / "devices").read_text().splitlines()
    assert lines[0].startswith("STRANGERS ") and lines[1].startswith("ROW ")
    return int(lines[1].split()[1])


def guess(c, count):
    """So many guesses without waiting for an answer; the code of the refusal, None when the session ended without one."""
    replies = b"".join(c.seal(c.inner.INNER_REPLY, c.inner.Reply(kind=c.inner.PROMPT_MAIL_CODE, text=f"{random.randrange(10**8):08}"))
        for _ in range(count))
    try:
        c.stream.sendall(replies)
    except OSError:
        pass  # the other end has had enough
    try:
        kind, payload = c.hear_until(c.inner.INNER_REFUSED, c.inner.INNER_START)
    except OSError:
        return None
    assert kind != c.inner.INNER_START
    return None if kind is None else c.inner.Refused.FromString(payload).code


def knock(make):
    """One more device key: what it is told, or the prompt it gets."""
    try:
        c = make().begin()
        kind, payload = c.facts()
    except (Refused, OSError, EOFError, AssertionError) as refusal:
        return refusal.args[0] if isinstance(refusal, Refused) else None
    return c.inner.Refused.FromString(payload).code if kind == c.inner.INNER_REFUSED else kind and "prompt"


def test_attack_ten_thousand_codes(engawa, clients, inner):
    """Tried: 10,000 guesses at one-time codes from three sessions of three device keys at the same time, none of which waits for an answer, and
    forty more keys. Comes of it: five are looked at (AUTH_LOCKOUT_COUNT), everything else is refused unseen and without a mail; whoever tries is told
    to wait and for how long, and the owner gets in."""
    mails = engawa.mail.count()
    opened = []
    for _ in range(DEVICES_OPEN):
        c = clients().begin()
        kind, payload = c.facts()
        assert kind == inner.INNER_PROMPT and inner.Prompt.FromString(payload).kind == inner.PROMPT_MAIL_CODE
        opened.append(c)
    system.wait_for(lambda: engawa.mail.count() == mails + DEVICES_OPEN, "the codes are not mailed")
    with concurrent.futures.ThreadPoolExecutor(DEVICES_OPEN) as pool:
        heard = list(pool.map(lambda c: guess(c, GUESSES // DEVICES_OPEN + 1), opened))
    assert set(heard) <= {CODE["LOCKED_OUT"], None}, heard
    for c in opened:
        c.close()
    assert 1 <= judged(engawa) <= 5
    # one who waits for the prompts uses up what is left
    while judged(engawa) < 5:
        system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "a session is left", 60)
        c = clients().begin()
        assert c.facts()[0] == inner.INNER_PROMPT
        c.reply(inner.PROMPT_MAIL_CODE, "x")
        c.hear()
        c.close()
    mails = engawa.mail.count()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: knock(clients), range(40)))
    assert "prompt" not in told and CODE["LOCKED_OUT"] in told, told
    assert judged(engawa) == 5 and engawa.mail.count() == mails
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "those who were refused stay", 60)
    result = engawa.connect(device="another.key")
    assert result["code"] == CODE["LOCKED_OUT"] and f"EW-{CODE['LOCKED_OUT']}" in result["stderr"] and engawa.mail.count() == mails
    assert 0 < engawa.agent_status()["strangers_locked_s"] <= 60
    assert engawa.connect("--for", "100ms")["code"] == 0


def test_attack_hundred_and_no_more(engawa, clients, inner):
    """Tried: policy allows a hundred tries before the first delay, and all of them are used. Comes of it: whatever policy says, after a hundred in a
    row nothing of a stranger's is looked at any more, also not after a restart, until somebody at the office PC says so; the owner gets in."""
    engawa.sign_policy(AUTH_LOCKOUT_COUNT=100)
    while judged(engawa) < 100:
        c = clients().begin()
        kind, _ = c.facts()
        while kind == inner.INNER_PROMPT:
            c.reply(inner.PROMPT_MAIL_CODE, "x")
            kind, payload = c.hear()
        assert kind == inner.INNER_REFUSED
        c.close()
    assert knock(clients) == CODE["SHUT_OUT"]
    engawa.agent.stop()
    engawa.start_agent()
    assert knock(clients) == CODE["SHUT_OUT"] and judged(engawa) == 100
    result = engawa.connect(device="another.key")
    assert result["code"] == CODE["SHUT_OUT"] and "engawa agent unlock" in result["stderr"]
    assert engawa.connect("--for", "100ms")["code"] == 0
    office(engawa, "unlock")
    assert knock(clients) == "prompt"


def with_mail_burst(engawa, burst):
    engawa.mail_burst = burst
    engawa.controller.stop()
    engawa.start_controller()
    system.wait_for(lambda: engawa.connect("--for", "100ms")["status"] == 0, "no session after the controller came back", 60, 1)


def test_attack_codes_asked_for_and_left(engawa, clients, inner):
    """Tried: at a relay as it is delivered, which mails five codes in ten minutes for one office PC, and under a policy that says nothing of it, one
    device key after the other asks for a code and leaves without a failure. Comes of it: strangers get two, and are told to wait; the owner's login
    gets its code."""
    burst = engawa.mail_burst
    with_mail_burst(engawa, 5)
    try:
        engawa.sign_policy(OTP_MAIL_STRANGERS=None)
        office(engawa, "unlock")
        told = [knock(clients) for _ in range(8)]
        assert told.count("prompt") == 2 and set(told) == {"prompt", CODE["LIMIT"]}, told
        assert engawa.connect("--for", "100ms")["code"] == 0
    finally:
        with_mail_burst(engawa, burst)


def test_attack_race_for_the_counter(engawa, clients, inner):
    """Tried: three sessions at their prompts, and each of them says a wrong code in the same instant, again and again; two tries are left. Comes of
    it: each try is written down before it is looked at, so two are."""
    engawa.sign_policy(AUTH_LOCKOUT_COUNT=2)
    opened = [clients().begin() for _ in range(DEVICES_OPEN)]
    for c in opened:
        assert c.facts()[0] == inner.INNER_PROMPT
    with concurrent.futures.ThreadPoolExecutor(DEVICES_OPEN) as pool:
        heard = list(pool.map(lambda c: guess(c, 20), opened))
    assert set(heard) <= {CODE["LOCKED_OUT"], None}, heard
    assert 1 <= judged(engawa) <= 2


def test_attack_phished_code(engawa, clients, inner):
    """Tried: the owner is at his prompt and tells the code to somebody on the telephone, who types it at once in a login of his own, from another
    device and then with a copy of the owner's. Comes of it: it is wrong there, and good in the owner's own session still."""
    owner = clients().begin()
    seen = engawa.mail.count()
    assert owner.facts()[0] == inner.INNER_PROMPT
    code = engawa.mail.next_pin(seen)
    for device in x25519.X25519PrivateKey.generate(), owner.device:
        thief = clients(device=device).begin()
        seen = engawa.mail.count()
        assert thief.facts()[0] == inner.INNER_PROMPT
        assert engawa.mail.next_pin(seen) != code
        thief.reply(inner.PROMPT_MAIL_CODE, code)
        kind, payload = thief.hear()
        assert kind == inner.INNER_PROMPT and inner.Prompt.FromString(payload).wrong == CODE["CODE_WRONG"]
        thief.close()
    owner.reply(inner.PROMPT_MAIL_CODE, code)
    kind, payload = owner.hear()
    assert kind == inner.INNER_PROMPT and inner.Prompt.FromString(payload).kind == inner.PROMPT_PASSWORD


def test_attack_recorded_login(engawa, clients, inner):
    """Tried: every byte that a client said in a login that got through, from the handshake to the password, is played again: with its ticket, and on a
    new connection with a ticket of its own for the same device. Comes of it: the ticket counts once; the bytes belong to the other handshake, nothing
    answers them, no mail is sent and nobody's tries are used."""
    first = clients().ask().join()
    said, send = [], first.stream.sendall
    first.stream.sendall = lambda data: (said.append(bytes(data)), send(data))[1]
    first.shake()
    first.log_in()
    first.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
    first.hear_until()
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "the session stays", 60)
    mails, tries = engawa.mail.count(), judged(engawa)
    with pytest.raises(Refused):
        clients(device=first.device).join(first.ticket)
    again = clients(device=first.device).ask().join()
    for part in said:
        try:
            again.stream.sendall(part)
        except OSError:
            break
    try:
        assert again.stream.recv(100) == b""
    except OSError:
        pass
    assert (engawa.mail.count(), judged(engawa)) == (mails, tries)


def test_attack_two_thousand_devices(engawa, clients, outer, inner, monkeypatch):
    """Tried: from one address, 2,000 device keys ask for a ticket as fast as they can, and those that get one apply to be registered. Comes of it: the
    relay hands out what one address may have, four applications wait at the office PC, no mail is sent, and the owner, elsewhere, gets in meanwhile."""
    engawa.sign_policy(DISABLE_DEVICECHECK=None, ENFORCE_DEVICECHECK="yes")
    key = functools.partial(hostile_client.socket.create_connection, source_address=("127.0.0.2", 0))
    terminal_id = engawa.terminal_id.replace("-", "")
    mails, begin = engawa.mail.count(), time.monotonic()

    class Elsewhere:
        create_connection = staticmethod(key)
    monkeypatch.setattr(hostile_client, "socket", Elsewhere)

    def ask(_):
        """One connection with all that it may ask: the answers' codes."""
        try:
            c = HostileClient(engawa, outer, inner)
        except (OSError, EOFError, AssertionError):
            return []
        codes = []
        try:
            for _ in range(ASKS_PER_CONNECTION):
                c.frames.send(outer.OUTER_ASK, outer.Ask(terminal_id=terminal_id, device_hash=os.urandom(32)))
                codes.append(c.frames.expect(outer.OUTER_GRANT, outer.Grant).code)
        except (OSError, EOFError, AssertionError):
            pass
        c.close()
        return codes
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = [code for part in pool.map(ask, range(ASKS // ASKS_PER_CONNECTION)) for code in part]
    granted = codes.count(0)
    assert 0 < granted <= BURST + (time.monotonic() - begin) * 10 + 1, granted
    assert set(codes) <= {0, CODE["LIMIT"], CODE["TOO_MANY"]}, set(codes)

    anybody = ec.generate_private_key(ec.SECP256R1())

    def apply(n):
        try:
            c = HostileClient(engawa, outer, inner).begin()
            kind, payload = c.facts(apply=f"flood {n}", device_key=point(anybody), device_proof=proof(anybody, c.noise.h))
            c.close()
        except (Refused, OSError, EOFError, AssertionError):
            return None
        return inner.Refused.FromString(payload).code if kind == inner.INNER_REFUSED else kind
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        told = set(pool.map(apply, range(24)))
    assert told <= {CODE["DEVICE_APPLIED"], CODE["LIMIT"], None}, told
    status = engawa.agent_status()
    assert status["applications"] <= 4 and status["registered"] == 0 and engawa.mail.count() == mails
    monkeypatch.undo()
    assert engawa.connect("--pairing-code", office(engawa, "pair"), "--for", "100ms")["code"] == 0
