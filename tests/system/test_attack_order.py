"""Every message at every step that asks something, generated from the login's table (src/agent/login.c) and from proto/inner.proto: skipped, repeated
and turned-round steps of a client that has each secret, and says it at the wrong time."""
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519

import system
from hostile_client import clients_of
from order import asking, try_all
from test_devices import office, point, proof
from test_login import App

# Stood at in test_certificates.py, which has persons with certificates.
ELSEWHERE = {"certificate"}
NEW = "hanako@city.engawa.example"


# What makes the step the first that asks. Before the facts nothing has asked yet.
FIRST = {
    "facts": {},
    "code": {"OTP_MAIL": "off"},
    "pair": {"ENFORCE_OTP": None, "DISABLE_OTP": "yes", "ENFORCE_OTP_ENDWITH": None, "DISABLE_DEVICECHECK": None, "ENFORCE_DEVICECHECK": "yes"},
    "inspection": {"ENFORCE_OTP": None, "DISABLE_OTP": "yes", "ENFORCE_OTP_ENDWITH": None, "DISABLE_INSPECTION": None, "ENFORCE_INSPECTION": "yes"},
    "password": {"ENFORCE_OTP": None, "DISABLE_OTP": "yes", "ENFORCE_OTP_ENDWITH": None},
}


def test_every_step_that_asks():
    """A new step that asks gets its place here."""
    assert {name for name, _ in asking()} == set(FIRST) - {"facts"} | ELSEWHERE | {"new_address"}


@pytest.fixture(scope="module")
def engawa(own_engawa):
    own_engawa.agent_options["RESUME_S"] = 0
    own_engawa.agent.stop()
    own_engawa.start_agent()
    App(own_engawa)
    return own_engawa


@pytest.mark.parametrize("step", FIRST)
def test_attack_any_message_at(engawa, outer, inner, step):
    """Tried: at this step, each message of the protocol but the one that is due, the right password among them, and then the one that is due. Comes of it:
    the session ends without a word, and never begins."""
    engawa.sign_policy(AUTH_LOCKOUT_COUNT=100, **FIRST[step])
    asked, key = dict(asking()), ec.generate_private_key(ec.SECP256R1())

    def stand(c):
        if step == "facts":
            return {"INNER_FACTS"}
        prompt = question(inner, c.facts(device_key=point(key), device_proof=proof(key, c.noise.h)))
        assert prompt in asked[step]
        return {f"reply to {prompt}", "INNER_POSTURE" if step == "inspection" else ""}
    if step == "pair":
        office(engawa, "pair")
    tried = try_all(engawa, outer, inner, stand)
    if step == "pair":
        office(engawa, "pair", "--remove")
    assert tried > 25
    none_is_left(engawa)


def question(inner, heard):
    """The name of what is asked."""
    kind, payload = heard
    assert kind == inner.INNER_PROMPT, (kind, inner.Refused.FromString(payload))
    return inner.PromptKind.Name(inner.Prompt.FromString(payload).kind)


def none_is_left(engawa):
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "a session is left", 40)


def test_attack_any_message_after_a_step(engawa, outer, inner):
    """Tried: where one step is passed and the next one asks, each message but the one that is due: what was right a moment ago once more, what comes
    later at once. Comes of it: the session ends without a word."""
    engawa.sign_policy(AUTH_LOCKOUT_COUNT=100, **FIRST["inspection"])

    def stand(c):
        assert question(inner, c.facts()) == "PROMPT_POSTURE"
        c.say(inner.INNER_POSTURE, c.report())
        assert question(inner, c.hear()) == "PROMPT_PASSWORD"
        return {"reply to PROMPT_PASSWORD"}
    assert try_all(engawa, outer, inner, stand) > 25
    none_is_left(engawa)


def test_attack_any_reply_where_mails_are_asked_for(engawa, outer, inner):
    """Tried: with every step on, after the mailed code that code again, the password before its time, the facts and the start once more; and where the
    new mail address is to return its code, a reply to each other question. Comes of it: the session ends without a word, and the address stays."""
    engawa.sign_policy(AUTH_LOCKOUT_COUNT=100, DISABLE_INSPECTION=None, ENFORCE_INSPECTION="yes", OTP_MAIL="legacy")
    office(engawa, "totp", "--remove")
    known = x25519.X25519PrivateKey.generate()  # the mails are charged to it
    with_code = lambda c: question(inner, (c.reply(inner.PROMPT_MAIL_CODE, engawa.mail.next_pin(c.mails)), c.hear())[1])

    def stand_after_code(c):
        c.mails = engawa.mail.count()
        assert question(inner, c.facts()) == "PROMPT_MAIL_CODE" and with_code(c) == "PROMPT_POSTURE"
        return {"reply to PROMPT_POSTURE", "INNER_POSTURE"}

    def stand_at_new_address(c):
        stand_after_code(c)
        c.say(inner.INNER_POSTURE, c.report())
        assert question(inner, c.hear()) == "PROMPT_PASSWORD"
        c.mails = engawa.mail.count()
        c.reply(inner.PROMPT_PASSWORD, engawa.password)
        assert question(inner, c.hear()) == "PROMPT_MAIL_CODE"
        system.wait_for(lambda: engawa.mail.count() > c.mails, "no mail to the new address")
        return {"reply to PROMPT_MAIL_CODE"}
    with clients_of(engawa, outer, inner) as client:
        client(device=known).begin().log_in()
    none_is_left(engawa)
    some = {"reply to PROMPT_MAIL_CODE", "reply to PROMPT_PASSWORD", "INNER_FACTS", "INNER_START"}
    assert try_all(engawa, outer, inner, stand_after_code, some.__contains__, device=known) == len(some)
    office(engawa, "mail", NEW, input=engawa.password + "\n")
    replies = {"reply to PROMPT_PASSWORD", "reply to PROMPT_TOTP", "reply to PROMPT_RECOVERY", "reply to PROMPT_POSTURE", "INNER_POSTURE"}
    assert try_all(engawa, outer, inner, stand_at_new_address, replies.__contains__, device=known) == len(replies)
    assert engawa.agent_status()["mail"].startswith(system.ADDRESS[0]) and engawa.agent_status()["mail_next"]
    office(engawa, "mail", system.ADDRESS, "--reset")
    none_is_left(engawa)
