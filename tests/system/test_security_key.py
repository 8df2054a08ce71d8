"""Security keys with the native client, through the whole relay; the browser's side is in tests/browser/test_session.py."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

import system

DRIVER = system.BUILD / "tests/system/key_driver"


def office(engawa, *argv, **options):
    return engawa.tool("engawa", "agent", *argv, "--state-directory", engawa.agent_dir, **options)


@pytest.fixture
def keys(engawa):
    """Nothing but security keys; none is left behind."""
    engawa.sign_policy(OTP_WEBAUTHN="only", WEBAUTHN_RP_ID="localhost")
    try:
        yield
    finally:
        while office(engawa, "key", "list"):
            office(engawa, "key", "remove", "1")
        office(engawa, "key", "cancel")
        office(engawa, "unlock")
        engawa.sign_policy()


def drive(engawa, code, *options):
    run = subprocess.run([DRIVER, engawa.org_file, engawa.terminal_id, engawa.dir / "security-key-device.key", code, engawa.password, *options],
        capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_register_and_use(engawa, keys):
    """With policy "only" and no key the login is refused before a mail; then a key is registered and is the code of the next login."""
    mails = engawa.mail.count()
    result = engawa.connect()
    assert (result["status"], result["code"]) == (1, 1100) and engawa.mail.count() == mails
    assert drive(engawa, office(engawa, "key", "add", "予備")) == ["4 6 5 2 started ENDED", "5 2 started ENDED"]
    assert "予備" in office(engawa, "key", "list")
    system.wait_for(lambda: engawa.mail.count() == mails + 1, "nobody is told of the new key")


def test_attack_copy_of_a_key(engawa, keys):
    """A key that was copied before its last use: its counter does not go forward."""
    first, second = drive(engawa, office(engawa, "key", "add", "copied"), "copy")
    assert first == "4 6 5 2 started ENDED"
    assert second.startswith("5 5 wrong=1101 ") and "started" not in second


def test_attack_stranger_registers(engawa, keys):
    """Without a registration code that the office PC gave out there is no question for a key at all; a wrong one is a wrong code."""
    office(engawa, "key", "add", "mine")
    first, second = drive(engawa, "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA")
    assert first.startswith("4 4 wrong=324 ") and "6" not in first.split() and "started" not in first + second
    assert office(engawa, "key", "list") == ""


class Terminal:
    """engawa connect as a person at a terminal has it, with a security key plugged in, or none."""

    def __init__(self, engawa, pin):
        argv = [str(a) for a in engawa.connect_argv("--for", "100ms", device="terminal-key-device.key")]
        at = argv.index("--code-command")
        del argv[at:at + 2]
        env = os.environ | {"LC_ALL": "C.UTF-8"}
        if pin is not None:
            env |= {"LD_PRELOAD": str(system.BUILD / "tests/system/libsoft_key.so"), "SOFT_KEY_PIN": pin}
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, env)

    def until(self, words):
        """What is shown up to these words, since the last time."""
        end = time.monotonic() + 60
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.fd, 4096).decode()
                except OSError:
                    assert words in self.shown, self.shown
        before, _, self.shown = self.shown.partition(words)
        return before

    def type(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def close(self):
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(engawa):
    opened = []

    def open_one(*args, **options):
        opened.append(Terminal(engawa, *args, **options))
        return opened[-1]
    yield open_one
    for one in opened:
        one.close()


ASKED = '("-" for none, empty when the key is not at hand): '


def test_key_at_a_terminal(engawa, keys, terminal):
    """Registration code, then the key: its PIN is not shown, a wrong one is told as such and asked for again, and counts at the key only."""
    code = office(engawa, "key", "add", "at the terminal")
    t = terminal("2468")
    t.until("(empty for another way): ")
    t.type(code)
    assert "Plug in the security key to register." in t.until(ASKED)
    t.type("1357")
    assert "1357" not in t.until("Touch the security key.")
    assert "The PIN of the security key is wrong" in t.until("Plug in the security key to register.")
    t.until(ASKED)
    t.type("2468")
    t.until("Touch the security key.")
    assert "Plug in your registered security key." in t.until(ASKED)
    t.type("-")
    assert "or none was given" in t.until("Plug in your registered security key.")  # policy wants it; nothing went to the office PC
    t.until(ASKED)
    t.type("2468")
    assert '"code":0' in re.sub(r"\s", "", t.until('"pictures"')) and "2468" not in t.shown
    assert "at the terminal" in office(engawa, "key", "list")


def test_no_key_at_a_terminal(engawa, keys, terminal):
    """A key is registered and not at hand: that is said, and an empty line goes on to the codes on paper."""
    drive(engawa, office(engawa, "key", "add", "left at work"))
    t = terminal(None)
    assert "Plug in your registered security key." in t.until(ASKED)
    t.type("-")
    t.until("Touch the security key.")
    assert "No security key was found" in t.until("Plug in your registered security key.")
    t.until(ASKED)
    t.type("")
    t.until("(empty for another way): ")
