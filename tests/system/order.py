"""Messages at the wrong time: all there are, tried one after the other where a client stands in its login."""
import re
import pathlib

import steps
from hostile_client import clients_of

AGENT = pathlib.Path(steps.AGENT)


def asking():
    """The login table's steps that ask, in its order, and what they ask."""
    for name, *_ in steps.ROW.findall((AGENT / "login.c").read_text()):
        path = AGENT / f"step_{name}.c"
        kinds = re.findall(r"engawa_PromptKind_(PROMPT_\w+)", path.read_text()) if path.exists() else []
        if kinds:
            yield name, kinds


def messages(client, engawa, inner):
    """By name, what says it: each type of the protocol, and a reply to each question there is, right wherever it can be."""
    bodies = {inner.INNER_FACTS: inner.Facts(kind=inner.CLIENT_APP, build=1, computer_name="again", locale="ja", window_mib=8),
        inner.INNER_START: inner.Start(idle_s=600), inner.INNER_POSTURE: client.report(), inner.INNER_KEY: inner.Key(usage=4, keysym=97, down=True),
        inner.INNER_PROMPT: inner.Prompt(kind=inner.PROMPT_PASSWORD), inner.INNER_CONTINUE: b"", inner.INNER_PING: inner.InnerPing(id=1)}
    texts = {inner.PROMPT_PASSWORD: engawa.password, inner.PROMPT_MAIL_CODE: engawa.mail.newest_pin() or "00000000"}
    for name, kind in inner.InnerType.items():
        if kind != inner.INNER_REPLY:
            yield name, lambda kind=kind: client.say(kind, bodies.get(kind, b""))
    for name, kind in inner.PromptKind.items():
        yield f"reply to {name}", lambda kind=kind: client.reply(kind, texts.get(kind, "00000000"))


def try_all(engawa, outer, inner, stand, which=lambda name: True, **options):
    """A client for each message (of those that which takes): stand brings it to where it is said and gives the names of what is due there, which it
    says after it. The session has to end without a word. How many were tried."""
    tried = 0
    with clients_of(engawa, outer, inner) as client:
        while True:
            c = client(**options)
            due = stand(c.begin())
            wrong = [(name, say) for name, say in messages(c, engawa, inner) if name not in due and which(name)]
            if tried == len(wrong):
                return tried
            name, say = wrong[tried]
            try:
                say()
                for other, say in messages(c, engawa, inner):
                    if other in due:
                        say()
            except OSError:
                pass  # it has ended already
            assert c.hear() == (None, b""), name
            c.close()
            tried += 1
