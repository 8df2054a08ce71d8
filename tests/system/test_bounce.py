"""Mails that come back late: from the mail server to the office PC, and what somebody else makes of that way."""
import email.message
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess

import pytest

import postfix
import system
from controller_driver import ENGAWA, Controller, Mailbox, OfficePC, mail_code, mail_public, mailbox, open_session, seal, wait_for  # noqa: F401 (fixtures)
from gate_driver import BUILD, CODE, messages  # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("messages")
ROOT = os.geteuid() == 0
USER = "daemon" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
AGAIN = 75  # EX_TEMPFAIL


@pytest.fixture(scope="module")
def controller(mailbox):
    controller = Controller(SMTP_URL=f"smtp://localhost:{mailbox.port}", SMTP_FROM="engawa@relay.example", SMTP_STARTTLS="no",
        BOUNCE_ADDRESS="bounce@relay.example", BOUNCE_USER=USER, ENROL_BURST=100000)
    yield controller.start()
    assert controller.stop() == 0
    assert not re.search(r"role.died .*(status|signal)=[1-9]", controller.log_text())
    controller.close()


class Sent:
    """One mail with a code: its office PC, its way, its token."""

    def __init__(self, controller, messages, mailbox, mark=0x89abcdef):
        self.controller, self.messages = controller, messages
        self.link = controller.link()
        self.pc = OfficePC().enrol(controller, self.link, controller.org())
        self.link.up(self.pc)
        session = open_session(self.link, self.pc, messages)
        sealed = seal(mail_public(controller), session, mail_code(messages, address_mark=mark))
        assert self.link.send_code(self.pc, session, sealed) == 0
        self.sender = mailbox.envelopes[-1].mail_from
        self.token = re.fullmatch(r"bounce\+([a-z2-7]{56})@relay\.example", self.sender)[1]

    def told(self):
        """What the gate was told since: (code, mark) of each."""
        told = []
        self.link.send("PING", self.link.outer.Ping(id=7))
        while (frame := self.link.receive())[0] == self.link.messages.LINK_MAIL_STATE:
            state = self.link.messages.LinkMailState.FromString(frame[1])
            assert state.agent_id == self.pc.id and not state.status
            told.append((state.mail_state.code, state.mail_state.address_mark))
        assert frame[0] == self.link.messages.LINK_PONG
        return told

    def events(self):
        return [e for e in self.controller.must("GET", "/events?limit=1000") if e["subject"] == self.pc.id.hex() and e["event"].startswith("mail.")]


@pytest.fixture
def sent(controller, messages, mailbox):
    sent = Sent(controller, messages, mailbox)
    yield sent
    sent.link.close()


def dsn(action="failed", status="5.1.1", kind="delivery-status"):
    return (f'From: MAILER-DAEMON\nContent-Type: multipart/report; report-type={kind}; boundary="b1"\n\n--b1\n'
        f"Content-Type: message/delivery-status\n\nReporting-MTA: dns; town.example\n\n"
        f"Final-Recipient: rfc822; taro@city.example.lg.jp\nAction: {action}\nStatus: {status}\n\n--b1--\n").encode()


def program(controller):
    """Where other users can run it, wherever this checkout lies."""
    path = f"{controller.dir}/engawa"
    if not os.path.exists(path):
        shutil.copy(ENGAWA, path)
    return path


def bounce(controller, token, mail, user=USER):
    options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if ROOT else {}
    return subprocess.run([program(controller), "bounce", "--socket", f"{controller.run}/bounce.sock", "--", token], input=mail, capture_output=True,
        timeout=60, **options)


@pytest.mark.parametrize("action, status, name, event", [("failed", "5.1.1", "MAIL_CAME_BACK", "mail.came_back"),
    ("delayed", "4.4.1", "MAIL_DELAYED", "mail.delayed")])
def test_mail_comes_back(controller, sent, action, status, name, event):
    done = bounce(controller, sent.token, dsn(action, status))
    assert (done.returncode, done.stderr) == (0, b"")
    assert sent.told() == [(CODE[name], 0x89abcdef)]
    wait_for(lambda: [(e["event"], e["detail"]) for e in sent.events()] == [(event, status)], "the administrator's record")
    log = controller.log_text()
    assert re.search(rf"mail.returned agent={sent.pc.id.hex()} .*status={re.escape(status)}", log)
    assert "taro@" not in log and sent.token not in log


@pytest.mark.parametrize("mail", [b"", b"Subject: =?x?=\n\nI am on holiday.\n", dsn(kind="disposition-notification"), dsn("delivered", "2.0.0"),
    dsn("relayed", "2.0.0"), b"\xff\x00" * 1000, b"Content-Type: multipart/report; boundary=b1\n" * 200000],
    ids=["empty", "absence", "receipt", "delivered", "relayed", "bytes", "huge"])
def test_what_is_no_bounce(controller, sent, mail):
    """Absence notices go to the envelope's sender as well."""
    assert bounce(controller, sent.token, mail).returncode == 0
    assert sent.told() == [] and sent.events() == []


def test_attack_forged_bounces(controller, sent, messages, mailbox):
    """Who knows the address and the office PC's id, and has a token of another office PC, makes up bounces. None is believed, none is
    answered with a mail, and nothing of them is written into a log."""
    other = Sent(controller, messages, mailbox)
    flip = lambda s, at: s[:at] + ("a" if s[at] != "a" else "b") + s[at + 1:]
    forged = ["", "a" * 56, sent.token[:-1], flip(sent.token, 0), flip(sent.token, 30), flip(sent.token, 40), flip(sent.token, 55),
        other.token[:26] + sent.token[26:], sent.token[:26] + other.token[26:], "taro@city.example.lg.jp", "x\n level=error"]
    for token in forged:
        assert bounce(controller, token, dsn()).returncode == 0, token
    assert sent.told() == other.told() == [] and sent.events() == other.events() == []
    assert "level=error" not in controller.log_text()
    assert bounce(controller, "a" * 57, dsn()).returncode == 0
    assert bounce(controller, "--help", dsn()).returncode == 0  # no option, but a token that is none
    other.link.close()


def test_attack_one_token_again_and_again(controller, sent):
    """The person's own mail has a good token: it is taken no oftener than mails go out, then the mail server has to wait."""
    results = [bounce(controller, sent.token, dsn()).returncode for _ in range(9)]
    assert results == [0] * 5 + [AGAIN] * 4
    assert len(sent.told()) == 5
    wait_for(lambda: len(sent.events()) == 5, "the trail")


@pytest.mark.skipif(not ROOT, reason="needs other users")
def test_attack_by_other_users(controller, sent):
    """Others on the relay have no way in, and the mail server's user has none to anything else."""
    assert bounce(controller, sent.token, dsn(), user="games").returncode == AGAIN
    os.chmod(f"{controller.run}/bounce.sock", 0o666)  # an administrator's mistake: the kernel's word counts all the same
    try:
        assert bounce(controller, sent.token, dsn(), user="games").returncode == AGAIN
    finally:
        os.chmod(f"{controller.run}/bounce.sock", 0o660)
    assert f"uid={pwd.getpwnam('games').pw_uid}" in controller.log_text()
    for name in "admin.sock", "link.sock", "http.sock":
        code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({controller.run + '/' + name!r})"
        run = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, user=USER, group=pwd.getpwnam(USER).pw_gid, extra_groups=[])
        assert b"PermissionError" in run.stderr
    assert sent.told() == [] and sent.events() == []


def test_attack_broken_words(controller, sent):
    """What the mail server's user may say is one packet of one form; the mail sender outlives every other."""
    for packet in b"", b"\1", b"\1\0", b"\1\0" + b"\0" * 255, b"\1\0" + b"x" * 60000, b"\2\0\0\0\0\0", b"\1\0\0\xff\xff" + b"a" * 60:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(20)
            s.connect(f"{controller.run}/bounce.sock")
            s.send(packet)
            assert s.recv(100) == b""
    held = []
    for _ in range(40):  # more than it takes at once
        held.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        held[-1].connect(f"{controller.run}/bounce.sock")
    for s in held:
        s.close()
    wait_for(lambda: bounce(controller, sent.token, dsn()).returncode == 0, "it is there again", 30)
    assert sent.told()


def test_office_pc_is_off(controller, sent):
    """The mail server keeps the bounce and comes again."""
    sent.link.send("AGENT_DOWN", sent.link.messages.AgentDown(agent_id=sent.pc.id, instance=bytes(16), code=0))
    sent.link.close()
    wait_for(lambda: bounce(controller, sent.token, dsn()).returncode == AGAIN, "nobody to tell")
    sent.link = controller.link()
    sent.link.up(sent.pc)
    sent.link.settle()
    assert bounce(controller, sent.token, dsn()).returncode == 0
    assert sent.told() == [(CODE["MAIL_CAME_BACK"], 0x89abcdef)]


def test_retired_office_pc(controller, sent):
    controller.must("POST", f"/agents/{sent.pc.id.hex()}/retire", {})
    assert bounce(controller, sent.token, dsn()).returncode == 0
    assert sent.events() == []


def test_mailer_dies(controller, sent):
    """The next one knows the tokens of the one before."""
    before = controller.role("mailer")
    os.kill(before, signal.SIGTERM)
    wait_for(lambda: controller.role("mailer") not in (None, before), "another mailer")
    wait_for(lambda: bounce(controller, sent.token, dsn()).returncode == 0, "it listens", 30)
    assert sent.told()


def test_settings(controller):
    for settings in {"BOUNCE_ADDRESS": "bouncing@relay.example"}, {"BOUNCE_ADDRESS": "bounce@relay.example", "BOUNCE_USER": "no-such-user"}:
        if "BOUNCE_USER" in settings and not ROOT:
            continue
        argv = [str(x) for key, value in (controller.settings | {"RUN_DIRECTORY": f"{controller.dir}/other"} | settings).items()
            for x in (f"--{key.lower().replace('_', '-')}", value)]
        run = subprocess.run([BUILD / "src/controller/engawa-controller", *argv], capture_output=True, text=True, timeout=30)
        assert run.returncode != 0 and re.search("BOUNCE_ADDRESS needs|no-such-user", run.stderr), run.stderr


@postfix.needed
def test_through_postfix(messages, tmp_path):
    """A real mail server brings the code to the town's; then the town's server refuses one that it has taken, and the bounce finds its office PC."""
    town = Mailbox()
    controller = Controller(SMTP_FROM="engawa@relay.example", SMTP_STARTTLS="no", BOUNCE_ADDRESS="bounce@relay.example", BOUNCE_USER=USER)
    server = postfix.Postfix(tmp_path, "city.example.lg.jp", town.port, (USER, program(controller), f"{controller.run}/bounce.sock"))
    controller.settings["SMTP_URL"] = f"smtp://127.0.0.1:{server.port}"
    try:
        with server:
            server.start()
            controller.start()
            link = controller.link()
            pc = OfficePC().enrol(controller, link, controller.org())
            link.up(pc)
            session = open_session(link, pc, messages)
            assert link.send_code(pc, session, seal(mail_public(controller), session, mail_code(messages))) == 0
            wait_for(lambda: town.mails, "the mail", 60)
            assert "48151623" in town.mails[0].get_content()
            town.refusal = "550 5.1.1 no such user"
            session = open_session(link, pc, messages)
            sealed = seal(mail_public(controller), session, mail_code(messages, address_mark=77))
            assert link.send_code(pc, session, sealed) == 0
            link.sock.settimeout(90)
            state = link.expect("MAIL_STATE", link.messages.LinkMailState)
            assert (state.agent_id, state.mail_state.code, state.mail_state.address_mark) == (pc.id, CODE["MAIL_CAME_BACK"], 77)
            wait_for(server.empty, "an empty queue", 60)
    finally:
        controller.close()
        town.close()


@postfix.needed
def test_login_through_postfix(own_engawa, tmp_path):
    """A whole login with the code that a real mail server brought, over TLS on both its sides."""
    engawa, keys = own_engawa, own_engawa.dir / "smtp"
    tool = engawa.dir / "engawa"  # where the mail server's user can run it, wherever this checkout lies
    shutil.copy(ENGAWA, tool)
    conf = pathlib.Path(engawa.controller.argv[-1])
    with postfix.Postfix(tmp_path, system.ADDRESS.partition("@")[2], engawa.smtp_port, (USER, tool, engawa.run_dir / "bounce.sock"),
            (keys / "cert.pem", keys / "key.pem")) as server:
        server.start()
        lines = re.sub("(?m)^SMTP_URL .*$", f"SMTP_URL smtp://localhost:{server.port}", conf.read_text())
        conf.write_text(re.sub("(?m)^BOUNCE_USER .*$", f"BOUNCE_USER {USER}", lines))
        engawa.controller.stop()
        engawa.controller.start()
        system.wait_for(engawa.agent_up, "the office PC does not come back", 60)
        result = engawa.connect("--for", "100ms", timeout_s=120)
        assert result["status"] == 0, (result, server.log())
        received = " ".join(" ".join(engawa.mail.messages()[-1].get_all("Received", [])).split())
        assert "by relay.example (Postfix)" in received and "with ESMTPS" in received, received
        wait_for(server.empty, "an empty queue", 60)
