"""Who gets in through the whole relay, and what the others learn."""
import base64
import hmac
import json
import os
import pathlib
import pty
import re
import secrets
import select
import shlex
import statistics
import struct
import subprocess
import time
import urllib.parse

import pytest

import system
import two_sites
from gate_driver import CODE

HERE = pathlib.Path(__file__).parent
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def with_check_digit(digits):
    """The sixteenth digit: sum of a^i v_i over GF(32), polynomial x^5 + x^2 + 1 (docs/protocol.md 2)."""
    total, power = 0, 1
    for digit in digits:
        power = power << 1 ^ (0b100101 if power & 16 else 0)
        product, factor, value = 0, power, ALPHABET.index(digit)
        while value:
            product ^= factor if value & 1 else 0
            factor, value = factor << 1 ^ (0b100101 if factor & 16 else 0), value >> 1
        total ^= product
    return digits + ALPHABET[total]


def unknown_id():
    return with_check_digit("".join(secrets.choice(ALPHABET) for _ in range(15)))


def enrol(engawa, name):
    """One more office PC, which nobody has approved yet and whose agent does not run."""
    code = engawa.tool("engawa", "code", "new", "--org", system.ORGANISATION)
    return engawa.tool("engawa-agent", "enrol", "--org", engawa.org_file, "--org-fingerprint", engawa.fingerprint(), "--code", code, "--state-directory", engawa.dir / name)


def start_agent(engawa, name):
    """A second agent beside the first, in its own directory."""
    conf = engawa.dir / f"{name}.conf"
    conf.write_text((engawa.dir / "agent.conf").read_text().replace(f"STATE_DIRECTORY {engawa.agent_dir}", f"STATE_DIRECTORY {engawa.dir / name}"))
    return engawa.part(name, [system.BUILD / "src/agent/engawa-agent", "--config", conf, "run"],
        lambda: (engawa.dir / name / "agent.sock").exists()).start()


def test_check_digit(engawa):
    plain = engawa.terminal_id.replace("-", "")
    assert with_check_digit(plain[:15]) == plain


def test_unreachable_terminals_look_alike(own_engawa):
    """Unknown, offline, suspended and pending: one answer, in one time."""
    engawa = own_engawa
    ids = {name: enrol(engawa, name) for name in ("offline", "suspended", "pending")}
    ids["unknown"] = unknown_id()
    agents = {agent["terminal_id"]: agent["id"] for agent in engawa.agents()}
    for name in "offline", "suspended":
        engawa.tool("engawa", "agent", "approve", agents[ids[name]])
    for name in "suspended", "pending":
        start_agent(engawa, name)
    engawa.tool("engawa", "agent", "suspend", agents[ids["suspended"]])
    times, words = {name: [] for name in ids}, set()

    def alike():
        medians = [statistics.median(values) for values in times.values()]
        quartiles = statistics.quantiles(sum(times.values(), []), n=4)
        return max(medians) - min(medians) < max(0.02, quartiles[2] - quartiles[0])
    # chance makes some unlike now and then; with more of them it goes, and what is in the time itself stays
    for turn in range(4):
        for _ in range(12):
            for name, terminal_id in ids.items():
                begin = time.monotonic()
                result = engawa.connect(terminal_id=terminal_id, device=f"asks-{turn}.key")  # a gate takes only so many from one device
                times[name].append(time.monotonic() - begin)
                assert (result["status"], result["code"]) == (1, CODE["UNREACHABLE"]), (name, result)
                words.add(result["stderr"])
        if alike():
            break
    assert len(words) == 1
    assert alike(), times


def test_mistyped_id_is_told_at_home(engawa):
    plain = engawa.terminal_id.replace("-", "")
    swapped = plain[1] + plain[0] + plain[2:] if plain[0] != plain[1] else plain[:1] + ("0" if plain[1] != "0" else "1") + plain[2:]
    result = engawa.connect(terminal_id=swapped)
    assert result["status"] == 1 and f"EW-{CODE['TERMINAL_ID_BAD']}" in result["stderr"]


def test_full_width_and_lower_case(engawa):
    """As it comes out of a Japanese keyboard."""
    wide = "".join(chr(ord(c) + 0xfee0) if c != "-" else "ー" for c in engawa.terminal_id.lower())
    assert engawa.connect(terminal_id=wide)["status"] == 0


BOUNCE = """import email, mailbox, pathlib, subprocess, sys, time
box, engawa, run_dir, log, action, status = sys.argv[1:]
def wait(condition):
    for _ in range(600):
        if value := condition():
            return value
        time.sleep(0.05)
    sys.exit("nothing")
mails = lambda: sorted((m for m in mailbox.Maildir(box, factory=None)), key=lambda m: m["Date"] or "")
told = lambda: pathlib.Path(log).read_text(errors="replace").count("mail.returned ")
wait(mails)
token = [m["X-MailFrom"] for m in mails()][-1].partition("+")[2].partition("@")[0]
dsn = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\\n\\n--b\\nContent-Type: message/delivery-status\\n\\n\\n" \\
    f"Action: {action}\\nStatus: {status}\\n\\n--b--\\n"
before = told()
subprocess.run([engawa, "bounce", "--socket", run_dir + "/bounce.sock", "--", token], input=dsn.encode(), check=True)
wait(lambda: told() > before)
"""


@pytest.mark.parametrize("action, status, code, is_back", [("failed", "5.1.1", "MAIL_CAME_BACK", True), ("delayed", "4.4.1", "MAIL_DELAYED", False)])
def test_mail_comes_back_while_it_is_waited_for(engawa, action, status, code, is_back):
    """The person at the prompt learns that the code does not come, or comes late; the officer at the office PC and the administrator of the first, too. A code
    that comes after all is good, and ends it."""
    engawa.mail.clear()
    log = engawa.log_dir / "agent.log"
    begun = log.stat().st_size
    look = [str(system.BUILD / "src/cli/engawa"), "agent", "status", "--state-directory", str(engawa.agent_dir)]
    seen = engawa.dir / "seen-by-the-officer"
    bounce = shlex.join(["/usr/bin/python3", "-c", BOUNCE, str(engawa.mail.path), str(system.BUILD / "src/cli/engawa"), str(engawa.run_dir), str(log),
        action, status])
    result = engawa.connect(code_command=f"{bounce} && {shlex.join(look)} > {seen} && {engawa.code_command()}")
    assert result["status"] == 0, result
    assert f"EW-{CODE[code]}" in result["stderr"]
    assert (json.loads(seen.read_text())["mail_back_s"] > 0) == is_back
    assert json.loads(office(engawa, "status"))["mail_back_s"] == 0
    line = re.search("mail.returned.*", log.read_bytes()[begun:].decode(errors="replace"))[0]
    assert f"address=registered state={code} " in line and "@" not in line


def test_attack_code_of_an_earlier_session(engawa):
    """A recorded login is worth nothing: its code was good once."""
    assert engawa.connect()["status"] == 0
    old = engawa.mail.newest_pin()
    result = engawa.connect(code_command=f"echo {old}")
    assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"])
    assert engawa.connect()["status"] == 0


def test_attack_code_of_a_login_beside_this_one(engawa, tmp_path):
    """A code is good in the handshake that asked for it only."""
    stolen = tmp_path / "stolen"
    waiting = subprocess.Popen([str(a) for a in engawa.connect_argv(code_command=f"{engawa.code_command()} > {stolen}; sleep 8; echo 0")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        system.wait_for(lambda: stolen.exists() and stolen.read_text().strip(), "no code", 20)
        result = engawa.connect(code_command=f"cat {stolen}", device="other-device.key")
        assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"])
    finally:
        waiting.terminate()
        waiting.wait(20)
    engawa.tool("engawa", "agent", "unlock", "--state-directory", engawa.agent_dir)


def office(engawa, *argv, **options):
    """engawa agent ... at the office PC."""
    return engawa.tool("engawa", "agent", *argv, "--state-directory", engawa.agent_dir, **options)


def test_attack_from_a_forbidden_network(engawa):
    """Refused before a mail is sent or anything is counted, with the organisation's contact; the list is in force at once."""
    mails = engawa.mail.count()
    office(engawa, "addresses", "deny", "127.0.0.0/8")
    office(engawa, "addresses", "allow", "192.0.2.0/24", "1")
    try:
        assert office(engawa, "addresses", "list") == "1 allow 192.0.2.0/24\n2 deny 127.0.0.0/8"
        result = engawa.connect()
        assert (result["status"], result["code"]) == (1, CODE["ADDRESS_DENIED"])
        assert "情報政策課 内線 1234" in result["stderr"]
        assert engawa.mail.count() == mails
    finally:
        office(engawa, "addresses", "remove", "2")
        office(engawa, "addresses", "remove", "1")
    assert engawa.connect()["status"] == 0


@pytest.mark.parametrize("words", [["deny", "127.0.0.1/8"], ["permit", "127.0.0.1"], ["deny"], ["remove", "1"], ["deny", "::/0", "0"]])
def test_slips_in_the_address_list(engawa, words):
    with pytest.raises(system.Failed):
        office(engawa, "addresses", *words)
    assert office(engawa, "addresses", "list") == ""


def test_both_roles_on_one_pc():
    """Agent and client live on one PC, the relay and another office PC elsewhere: its person is refused there, before a mail goes out, and told why; works at
    the other office PC; and this PC is still one that can be worked at from elsewhere."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    run = subprocess.run(two_sites.enter("/usr/bin/python3", "-B", HERE / "both_roles.py"), capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads(run.stdout)
    itself = result["itself"]
    assert (itself["status"], itself["code"], itself["mails"]) == (1, CODE["SELF_CONNECT"], 0)
    assert "この端末自身には接続できません" in itself["stderr"] and "別の端末から" in itself["stderr"]
    assert (result["other"]["status"], result["other"]["code"], result["sessions"]) == (0, 0, 0), result["other"]
    assert result["elsewhere"]["status"] == 0, result["elsewhere"]


# --- authenticator apps and codes on paper ---------------------------------------------------------------------------


def app_code(secret, at_s=None):
    """RFC 6238, written apart from the program's library."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", int(at_s or time.time()) // 30), "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset:offset + 4], 'big') & 0x7fffffff) % 1000000:06}"


def earliest_s():
    """In the first step whose code is taken and will be for a while: one step before the present one is, until that ends."""
    now = time.time()
    return now // 30 * 30 - (30 if now % 30 < 15 else 0)


class App:
    def __init__(self, engawa):
        """Enrols as a person does: reads the QR code's text, types one code."""
        enrolling = subprocess.Popen([system.BUILD / "src/cli/engawa", "agent", "totp", "--state-directory", engawa.agent_dir],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.shown = ""
        while "otpauth://" not in self.shown:
            line = enrolling.stdout.readline()
            assert line, self.shown
            self.shown += line
        self.uri = self.shown[self.shown.index("otpauth://"):].strip()
        self.secret = urllib.parse.parse_qs(urllib.parse.urlsplit(self.uri).query)["secret"][0]
        self.used_s = earliest_s()  # leaves the steps after it to the test
        enrolling.communicate(app_code(self.secret, self.used_s) + "\n", timeout=20)
        assert enrolling.returncode == 0

    def code(self):
        """One that has not been used."""
        self.used_s = max(self.used_s // 30 * 30 + 30, earliest_s())
        while self.used_s > time.time() + 30:
            time.sleep(0.2)
        return app_code(self.secret, self.used_s)


@pytest.fixture
def app(engawa):
    try:
        yield App(engawa)
    finally:
        office(engawa, "totp", "--remove")
        office(engawa, "recovery", "--remove")
        office(engawa, "unlock")
        engawa.sign_policy()


def by_kind(**codes):
    """For --code-command: the code for each kind of prompt; an empty line for the others."""
    cases = "".join(f"{kind}) echo {code};; " for kind, code in codes.items())
    return f'case "$ENGAWA_PROMPT" in {cases}*) echo;; esac'


def test_authenticator_app(engawa, app):
    """No mail goes out any more."""
    mails = engawa.mail.count()
    assert "█" in app.shown and app.uri.startswith("otpauth://totp/") and "issuer=" in app.uri
    assert engawa.connect(code_command=f"echo {app.code()}")["status"] == 0
    assert engawa.mail.count() == mails
    assert engawa.agent_status()["totp"] is True


def test_attack_replay_of_an_app_code(engawa, app):
    """Seen over a shoulder and typed a second later, from the thief's or the owner's own device."""
    code = app.code()
    assert engawa.connect(code_command=f"echo {code}")["status"] == 0
    for device in "device.key", "thief.key":
        result = engawa.connect(code_command=f"echo {code}", device=device)
        assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"])


def test_attack_downgrade_to_mail(engawa, app):
    """Who has the mailbox and no phone: no mail, unless policy says recovery."""
    mails = engawa.mail.count()
    result = engawa.connect(code_command=by_kind())
    assert result["status"] == 1 and engawa.mail.count() == mails
    engawa.sign_policy(OTP_MAIL="recovery")
    assert engawa.connect(code_command=f'[ "$ENGAWA_PROMPT" = mail ] && {engawa.code_command()} || echo')["status"] == 0
    assert engawa.mail.count() == mails + 1


def oathtool(secret, at_s):
    """The code of an app that is none of ours."""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_s))
    return subprocess.run(["oathtool", "--totp", "-b", "-N", now, secret], capture_output=True, text=True, check=True).stdout.strip()


def test_attack_codes_of_another_time(engawa, app):
    """Tried, with codes that oathtool makes from the QR code's text: the right one a second time, one that was seen three minutes ago, and one made ahead.
    Comes of it: the right one lets in, once; all others are refused."""
    app.code()  # not the step of the enrolment
    right = oathtool(app.secret, app.used_s)
    assert engawa.connect(code_command=f"echo {right}")["status"] == 0
    for code in right, oathtool(app.secret, time.time() - 180), oathtool(app.secret, time.time() + 180):
        result = engawa.connect(code_command=f"echo {code}")
        assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"]), code


def test_first_policy_of_an_organisation(engawa):
    """What `engawa org create` wrote: mail alone lets nobody in and none is sent; who enrols an app at the office PC, where that is said, comes in with it."""
    first = dict(line.split(" ", 1) for line in (engawa.org_dir / "policy").read_text().splitlines() if line[0] != "#")
    engawa.sign_policy(OTP_MAIL=first["OTP_MAIL"])
    mails = engawa.mail.count()
    try:
        result = engawa.connect(env={"LC_ALL": "ja_JP.UTF-8"})
        assert (result["status"], result["code"], engawa.mail.count()) == (1, CODE["CODE_UNSET"], mails) and "認証アプリ" in result["stderr"]
        app = App(engawa)
        assert engawa.connect(code_command=f"echo {app.code()}")["status"] == 0 and engawa.mail.count() == mails
    finally:
        office(engawa, "totp", "--remove")
        engawa.sign_policy()


def test_mail_is_called_the_old_way(engawa):
    """Whoever meets a mailed code reads that it is the old way, and what is better: at the prompt at home, and where an address is set."""
    argv = [str(a) for a in engawa.connect_argv("--for", "100ms")]
    at = argv.index("--code-command")
    argv[at:at + 2] = []
    mails = engawa.mail.count()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, os.environ | {"LC_ALL": "ja_JP.UTF-8"})
    shown = b""
    while "確認コード (8桁): ".encode() not in shown:
        assert select.select([terminal], [], [], 30)[0], shown.decode(errors="replace")
        shown += os.read(terminal, 4096)
    assert "旧方式" in shown.decode() and "認証アプリやセキュリティキーのほうが安全です" in shown.decode()
    os.write(terminal, engawa.mail.next_pin(mails).encode() + b"\n")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    run = subprocess.run([system.BUILD / "src/cli/engawa", "agent", "mail", system.ADDRESS, "--reset", "--state-directory", engawa.agent_dir],
        capture_output=True, text=True, env=os.environ | {"LC_ALL": "ja_JP.UTF-8"})
    assert run.returncode == 0 and "旧方式" in run.stderr, run


def test_recovery_codes(engawa, app):
    """Ten, each once; and the emergency code of digits only, once."""
    codes = office(engawa, "recovery").split()
    assert len(set(codes)) == 10
    assert engawa.connect(code_command=by_kind(recovery=codes[4]))["status"] == 0
    told = lambda: engawa.mail.notices("recovery code was used")
    system.wait_for(lambda: len(told()) == 1, "the person is not told")
    assert told()[0]["To"] == system.ADDRESS and codes[4] not in told()[0].get_content()
    result = engawa.connect(code_command=by_kind(recovery=codes[4]))
    assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"])
    emergency = office(engawa, "emergency")
    assert len(emergency.replace("-", "")) == 30
    assert engawa.connect(code_command=f"echo {emergency}")["status"] == 0  # typed where the app's code is asked for
    system.wait_for(lambda: len(told()) == 2, "the person is not told")
    status = engawa.agent_status()
    assert (status["recovery"], status["emergency"]) == (9, False)


def test_mail_switched_off(engawa):
    """Policy OTP_MAIL off without an app: nobody comes in, and nothing is sent."""
    mails = engawa.mail.count()
    engawa.sign_policy(OTP_MAIL="off")
    try:
        result = engawa.connect()
        assert (result["status"], result["code"]) == (1, CODE["CODE_UNSET"])
        assert engawa.mail.count() == mails
    finally:
        engawa.sign_policy()


def test_attack_strangers_use_up_the_tries(engawa):
    """Who knows the terminal ID uses up the strangers' tries, and the owner's device comes in as ever."""
    assert engawa.connect()["status"] == 0  # known from now on
    try:
        codes = [engawa.connect(code_command="echo 0", device=f"stranger-{n}.key")["code"] for n in range(6)]
        assert codes == [CODE["CODE_WRONG"]] * 4 + [CODE["LOCKED_OUT"]] * 2
        assert engawa.connect()["status"] == 0
    finally:
        office(engawa, "unlock")


def test_attack_race_for_the_last_try(engawa):
    """Three logins at once, two tries left: the tries are charged before they are judged, and only those that were left are."""
    engawa.sign_policy(AUTH_LOCKOUT_COUNT=2)
    try:
        logins = [subprocess.Popen([str(a) for a in engawa.connect_argv(code_command="sleep 2; echo 0", device=f"racer-{n}.key")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for n in range(3)]
        codes = [json.loads(login.communicate(timeout=60)[0])["code"] for login in logins]
        assert sorted(codes) == sorted([CODE["CODE_WRONG"]] + [CODE["LOCKED_OUT"]] * 2)
    finally:
        engawa.sign_policy()
        office(engawa, "unlock")


def test_attack_lines_in_the_log(engawa):
    """Newlines and escapes at agent.sock: no line of the log is made by who asks."""
    for text in "192.0.2.1\nlevel=info event=login.passed", "192.0.2.1\x1b[2J":
        with pytest.raises(system.Failed):
            office(engawa, "addresses", "deny", text)
    log = (engawa.log_dir / "agent.log").read_text()
    assert "\x1b" not in log and not any(line.startswith("level=info event=login.passed") for line in log.splitlines())
