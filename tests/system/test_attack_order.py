"""Every message at every step that asks something, generated from the login's table (src/agent/login.c) and from proto/inner.proto: skipped, repeated
and turned-round steps of a client that has each secret, and says it at the wrong time."""
import pathlib
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import steps
import system
from hostile_client import clients_of
from test_devices import office, point, proof
from test_login import App

AGENT = pathlib.Path(steps.AGENT)
# Stood at in tests of their own, which need a person's certificate, and a change of address under way.
ELSEWHERE = {"certificate", "new_address"}


def asking():
    """The table's steps that ask, in its order, and what they ask."""
    for name, *_ in steps.ROW.findall((AGENT / "login.c").read_text()):
        path = AGENT / f"step_{name}.c"
        kinds = re.findall(r"engawa_PromptKind_(PROMPT_\w+)", path.read_text()) if path.exists() else []
        if kinds:
            yield name, kinds


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
    assert {name for name, _ in asking()} == set(FIRST) - {"facts"} | ELSEWHERE


@pytest.fixture(scope="module")
def engawa(own_engawa):
    own_engawa.agent_options["RESUME_S"] = 0
    own_engawa.agent.stop()
    own_engawa.start_agent()
    App(own_engawa)
    return own_engawa


def messages(client, engawa, inner):
    """By name, what says it: each type of the protocol, and a reply to each question there is."""
    bodies = {inner.INNER_FACTS: inner.Facts(kind=inner.CLIENT_APP, build=1, computer_name="again", locale="ja", window_mib=8),
        inner.INNER_START: inner.Start(idle_s=600), inner.INNER_POSTURE: client.report(), inner.INNER_KEY: inner.Key(usage=4, keysym=97, down=True),
        inner.INNER_PROMPT: inner.Prompt(kind=inner.PROMPT_PASSWORD), inner.INNER_CONTINUE: b"", inner.INNER_PING: inner.InnerPing(id=1)}
    texts = {inner.PROMPT_PASSWORD: engawa.password}
    for name, kind in inner.InnerType.items():
        if kind != inner.INNER_REPLY:
            yield name, lambda kind=kind: client.say(kind, bodies.get(kind, b""))
    for name, kind in inner.PromptKind.items():
        yield f"reply to {name}", lambda kind=kind: client.reply(kind, texts.get(kind, "00000000"))


@pytest.mark.parametrize("step", FIRST)
def test_attack_any_message_at(engawa, outer, inner, step):
    """Tried: at this step, each message of the protocol but the one that is due, the right password among them, and then the one that is due. Comes of it:
    the session ends without a word, and never begins."""
    engawa.sign_policy(AUTH_LOCKOUT_COUNT=100, **FIRST[step])
    asked, key, tried = dict(asking()), ec.generate_private_key(ec.SECP256R1()), 0
    if step == "pair":
        office(engawa, "pair")
    with clients_of(engawa, outer, inner) as client:
        while True:
            c = client().begin()
            due = {"INNER_FACTS"}
            if step != "facts":
                kind, payload = c.facts(device_key=point(key), device_proof=proof(key, c.noise.h))
                assert kind == inner.INNER_PROMPT, (kind, inner.Refused.FromString(payload))
                prompt = inner.PromptKind.Name(inner.Prompt.FromString(payload).kind)
                assert prompt in asked[step]
                due = {f"reply to {prompt}", "INNER_POSTURE" if step == "inspection" else ""}
            wrong = [say for name, say in messages(c, engawa, inner) if name not in due]
            if tried == len(wrong):
                break
            try:
                wrong[tried]()
                for name, say in messages(c, engawa, inner):
                    if name in due:
                        say()
            except OSError:
                pass  # it has ended already
            assert c.hear() == (None, b""), f"message {tried} at {step}"
            c.close()
            tried += 1
    if step == "pair":
        office(engawa, "pair", "--remove")
    assert tried > 25
    system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "a session is left", 40)
