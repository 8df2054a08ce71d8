"""agent.sock: who may ask, what an attacker on the same computer can do, the settings password, files that are damaged."""
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess

import pytest

import system

MSG = {}  # by name, as src/agent/message.h counts them
RESULT_LIMIT = 4096
LOCK = "kagi no kakaru hikidashi"


def numbers():
    """Of the messages, from the header."""
    if not MSG:
        text = (system.ROOT / "src/agent/message.h").read_text()
        text = text[text.index("enum message {"):]
        body = re.sub(r"/\*.*?\*/", "", text[:text.index("};")], flags=re.S)
        MSG.update({name: i for i, name in enumerate(re.findall(r"\bMSG_\w+", body))})
    return MSG


@pytest.fixture(scope="module")
def office(own_engawa):
    return own_engawa


@pytest.fixture(autouse=True)
def unlocked(office):
    yield
    if office.agent.alive:
        office.tool("engawa", "agent", "settings-password", "--remove", "--state-directory", office.agent_dir)


class Question:
    """A connection to agent.sock, maybe as somebody else."""

    def __init__(self, office, user=None, groups=()):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        entry = pwd.getpwnam(user) if user else None
        with as_user(entry, groups):
            self.s.connect(str(office.agent_dir / "agent.sock"))
        self.s.settimeout(20)

    def send(self, kind, text=b""):
        self.s.send(struct.pack("=H", numbers()[kind] if isinstance(kind, str) else kind) + (text.encode() if isinstance(text, str) else text))

    def receive(self):
        answer = self.s.recv(RESULT_LIMIT)
        if not answer:
            return None
        return struct.unpack(">I", answer[2:6])[0], answer[6:]

    def ask(self, kind, text=b""):
        self.send(kind, text)
        return self.receive()

    def close(self):
        self.s.close()


@contextlib.contextmanager
def as_user(entry, groups=()):
    """The effective user of this process for a moment: what the kernel tells the other end of a connection."""
    if not entry:
        yield
        return
    own = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(own)


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="other users need root")


def log_size(office):
    return office.agent.log.stat().st_size


def log(office, start=0):
    return office.agent.log.read_bytes()[start:].decode()


def engawa(office, *argv, **options):
    return office.tool("engawa", "agent", *argv, "--state-directory", office.agent_dir, **options)


def locked(office):
    engawa(office, "settings-password", input=LOCK + "\n")


@root_only
def test_owner_may(office):
    owner = Question(office, office.file_user)
    code, status = owner.ask("MSG_STATUS")
    assert code == 0 and json.loads(status)["terminal_id"] == office.terminal_id
    assert owner.ask("MSG_ADDRESSES", "allow 127.0.0.1")[0] == 0  # the next question on the same connection
    assert owner.ask("MSG_ADDRESSES", "remove 1")[0] == 0


@root_only
def test_attack_address_from_an_unlocked_pc(office):
    """Somebody sits down at the unlocked office PC: without the password he changes no address, guesses are counted
    and not forgotten because he asks for it, and even with a password of his own the codes go to the old address until a login has confirmed the new one."""
    owner = Question(office, office.file_user)
    evil = "evil@city.engawa.example"
    try:
        for text, code in [("set " + evil, 1104), ("reset " + evil, 1026), ("remove", 1104), (evil, 1023), (f"change {evil}", 1023)]:
            assert owner.ask("MSG_MAIL", text)[0] == code, text
        assert [owner.ask("MSG_MAIL", f"change {evil} guess")[0] for _ in range(6)] == [1013] * 5 + [330]
        assert owner.ask("MSG_UNLOCK")[0] == 0  # for logins from home; not for his own guesses here
        assert owner.ask("MSG_MAIL", f"change {evil} {office.password}")[0] == 330
        assert office.agent_status()["mail_next"] == ""
        engawa(office, "unlock")
        owner = Question(office, office.file_user)  # nobody may be silent for more than some seconds
        assert owner.ask("MSG_MAIL", f"change {evil} {office.password}")[0] == 0  # one who knows the password
        status = office.agent_status()
        assert status["mail"].startswith("t***@") and status["mail_next"] == "e***@city.engawa.example"
        mails = office.mail.count()
        assert office.connect(code_command="echo 0")["code"] == 324
        assert office.mail.messages()[-1]["To"] == system.ADDRESS and office.mail.count() == mails + 1
        assert office.agent_status()["mail"].startswith("t***@")
    finally:
        engawa(office, "unlock")
        engawa(office, "mail", "--cancel")


NEW = "tsubame 9 no su"


@root_only
def test_attack_password_from_an_unlocked_pc(office):
    """Somebody sits down at the unlocked office PC: without the present password he sets and removes none, adds no person with one that he knows, and
    locks nobody's settings. Guesses are counted and not forgotten because he asks for it; a proof is good for one change, on its own connection."""
    owner = Question(office, office.file_user)
    try:
        for kind, text, code in [("MSG_PASSWORD", NEW, 1241), ("MSG_PASSWORD", "", 1241), ("MSG_LOCK", NEW, 1241), ("MSG_LOCK", "", 1241),
                ("MSG_USERS", f"add password - evil {NEW}", 1242), ("MSG_USERS", "add pam - *", 1242), ("MSG_PROVE", "", 1241)]:
            assert owner.ask(kind, text)[0] == code, (kind, text)
        assert [owner.ask("MSG_PROVE", " guess")[0] for _ in range(6)] == [1013] * 5 + [330]
        assert owner.ask("MSG_PROVE", f" {office.password}")[0] == 330
        assert owner.ask("MSG_UNLOCK")[0] == 0 and owner.ask("MSG_PROVE", f" {office.password}")[0] == 330
        engawa(office, "unlock")
        owner = Question(office, office.file_user)
        assert owner.ask("MSG_PROVE", f" {office.password}")[0] == 0
        assert Question(office, office.file_user).ask("MSG_PASSWORD", NEW)[0] == 1241
        assert owner.ask("MSG_PASSWORD", "short")[0] == 1080
        assert owner.ask("MSG_PASSWORD", NEW)[0] == 1241  # that was the one change
        status = office.agent_status()
        assert status["users"] == 0 and not status["locked"] and office.connect("--for", "100ms")["code"] == 0
    finally:
        engawa(office, "unlock")


@root_only
def test_password_with_the_present_one(office):
    """By the command, as the person at the office PC."""
    def by_owner(*words, text):
        return subprocess.run(["setpriv", f"--reuid={office.file_user}", "--clear-groups", system.BUILD / "src/cli/engawa", "agent", *words,
            "--state-directory", office.agent_dir], input=text, capture_output=True, text=True, timeout=60, env=os.environ | {"LC_ALL": "C.UTF-8"})
    wrong = by_owner("password", text=f"wrong\n{NEW}\n")
    assert wrong.returncode == 1 and "EW-1013" in wrong.stderr, wrong
    assert by_owner("password", text=f"{office.password}\n{NEW}\n").returncode == 0
    try:
        assert office.connect("--for", "100ms")["code"] == 1013
        assert by_owner("settings-password", text=f"{NEW}\n{LOCK}\n").returncode == 0
    finally:
        engawa(office, "settings-password", "--remove")
        engawa(office, "password", input=office.password_file.read_text())  # root is not asked
        engawa(office, "unlock")
    assert office.connect("--for", "100ms")["code"] == 0


@root_only
def test_attack_open_under_the_password_before(office):
    """Somebody left a window open that has said the settings password; then there is another one: it has to be said again."""
    locked(office)
    owner = Question(office, office.file_user)
    assert owner.ask("MSG_LOCK_OPEN", LOCK)[0] == 0 and owner.ask("MSG_TOTP", "begin")[0] == 0
    engawa(office, "settings-password", input=NEW + "\n")
    assert owner.ask("MSG_TOTP", "begin")[0] == 1191
    assert owner.ask("MSG_LOCK_OPEN", NEW)[0] == 0 and owner.ask("MSG_TOTP", "begin")[0] == 0
    engawa(office, "settings-password", "--remove")
    locked(office)
    assert owner.ask("MSG_TOTP", "begin")[0] == 1191


@root_only
def test_attack_another_persons_password(office):
    """Persons share the office PC: one changes his own password with the present one, and nobody else's; nobody but root, or who knows the settings
    password, adds, removes or enables one, and no right password of one's own clears the way for guesses at another's."""
    passwords = {"tanaka": "kawara yane 71", "suzuki": "momiji no ha 82"}
    for name, password in passwords.items():
        engawa(office, "user", "add", name, input=password + "\n")
    owner = Question(office, office.file_user)
    try:
        for text, code in [("enable tanaka", 1242), ("remove suzuki", 1242), ("expire tanaka 2031-01-01", 1242), (f"add password - evil {NEW}", 1242),
                (f"password tanaka {NEW}", 1241), (f"password nobody {NEW}", 1024)]:
            assert owner.ask("MSG_USERS", text)[0] == code, text
        assert owner.ask("MSG_PROVE", f" {office.password}")[0] == 0
        assert owner.ask("MSG_PASSWORD", NEW)[0] == 1242 and owner.ask("MSG_LOCK", NEW)[0] == 1242  # it lets nobody in now
        assert owner.ask("MSG_PROVE", f"suzuki {passwords['suzuki']}")[0] == 0
        assert owner.ask("MSG_USERS", f"password tanaka {NEW}")[0] == 1241
        assert owner.ask("MSG_PROVE", f"tanaka {passwords['tanaka']}")[0] == 0
        assert owner.ask("MSG_USERS", f"password tanaka {NEW}")[0] == 0
        guesses = []
        for _ in range(6):
            guesses.append(owner.ask("MSG_PROVE", "tanaka guess")[0])
            guesses.append(owner.ask("MSG_PROVE", f"suzuki {passwords['suzuki']}")[0])
        assert guesses == [1013, 0] * 4 + [1013, 330] + [330, 330]
        engawa(office, "unlock")
        locked(office)
        owner = Question(office, office.file_user)
        assert owner.ask("MSG_USERS", "remove suzuki")[0] == 1191
        assert owner.ask("MSG_LOCK_OPEN", LOCK)[0] == 0
        assert owner.ask("MSG_USERS", f"password tanaka {passwords['tanaka']}")[0] == 0
        assert owner.ask("MSG_USERS", "expire tanaka 2031-01-01")[0] == 0
        assert engawa(office, "user", "list").splitlines()[0] == "tanaka password 2031-01-01 on"
    finally:
        engawa(office, "unlock")
        for name in passwords:
            engawa(office, "user", "remove", name)


def test_address_changes_with_the_next_login(office):
    """Password at the office PC, the old code and the password from home, then the code that the new address got; the old one is told."""
    new = "hanako@city.engawa.example"
    assert "7" in engawa(office, "mail", new, input=office.password + "\n")
    mails = office.mail.count()
    seen = office.dir / "seen"
    seen.write_text(str(mails))
    next_pin = office.code_command().rsplit(" ", 1)[0]
    command = f"n=$(cat {seen}); echo $((n + 1)) > {seen}; {next_pin} $n"
    try:
        assert office.connect(code_command=command)["status"] == 0
        system.wait_for(lambda: office.mail.count() == mails + 3, "the old address is not told")
        first, second, told = office.mail.messages()[-3:]
        assert [m["To"] for m in (first, second, told)] == [system.ADDRESS, new, system.ADDRESS]
        assert "register this mail address" in second["Subject"] and "was changed" in told["Subject"]  # as the client said
        assert office.agent_status()["mail"] == "h***@city.engawa.example" and office.agent_status()["mail_next"] == ""
        assert office.connect()["status"] == 0
        assert office.mail.messages()[-1]["To"] == new
        assert "change=confirmed code=0" in log(office)
    finally:
        engawa(office, "mail", system.ADDRESS, "--reset")


@root_only
def test_attack_register_a_key_from_outside(office):
    """Another user of the office PC, and the owner while settings are locked, get no registration code."""
    assert Question(office, "daemon").ask("MSG_KEY", "add - x") == (1026, b"")
    locked(office)
    try:
        owner = Question(office, office.file_user)
        assert owner.ask("MSG_KEY", "list 1") == (0, b"")
        for text in "add - x", "remove 1", "cancel":
            assert owner.ask("MSG_KEY", text) == (1191, b"")
    finally:
        engawa(office, "settings-password", "--remove")


@root_only
def test_group_may(office):
    gid = pwd.getpwnam("games").pw_gid
    start_agent(office, SETTINGS_GROUP="games")
    try:
        assert Question(office, "daemon", [gid]).ask("MSG_STATUS")[0] == 0
        assert Question(office, "daemon").ask("MSG_STATUS")[0] == 1026
    finally:
        start_agent(office)


def start_agent(office, **options):
    office.agent.stop()
    office.agent_options, kept = options, office.agent_options
    try:
        office.start_agent()
    finally:
        office.agent_options = kept


@root_only
def test_attack_other_user(office):
    """Another user of the office PC asks for the status, changes the address, removes passwords: refused, logged, nothing changes."""
    before, start = office.agent_status(), log_size(office)
    for kind, text in [("MSG_STATUS", ""), ("MSG_MAIL", "set evil@city.engawa.example"), ("MSG_PASSWORD", ""), ("MSG_LOCK", ""), ("MSG_UNLOCK", ""),
            ("MSG_TOTP", "begin"), ("MSG_USERS", "list 1"), ("MSG_LOCK_OPEN", "guess"), ("MSG_FIT", " guess")]:
        assert Question(office, "daemon").ask(kind, text) == (1026, b"")
    assert office.agent_status() == before
    assert "settings.denied" in log(office, start) and f"uid={pwd.getpwnam('daemon').pw_uid}" in log(office, start)


@root_only
def test_attack_thousand_connections(office):
    """A thousand connections by a stranger, and as many by the owner's own runaway program: root still gets an answer, and the owner one
    when the stranger floods. Nobody's memory grows."""
    for user, others in [("daemon", [office.file_user, None]), (office.file_user, [None])]:
        flood = []
        try:
            for _ in range(1000):
                flood.append(Question(office, user))
            for other in others:
                assert Question(office, other).ask("MSG_STATUS")[0] == 0
            open_fds = len(os.listdir(f"/proc/{office.agent.pid}/fd"))
            assert open_fds < 64
        finally:
            for connection in flood:
                connection.close()
    def answered():
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # sent away before it could ask
            return Question(office, office.file_user).ask("MSG_STATUS")
    system.wait_for(answered, "the owner's places do not come back")


def test_attack_malformed_questions(office):
    """Requests that are huge, empty, of one byte, with NUL, control characters, broken UTF-8, unknown types, internal types, or with a
    descriptor: the connection is closed, the agent lives and changes nothing."""
    before = office.agent_status()
    packets = [b"", b"x", struct.pack("=H", numbers()["MSG_MAIL"]) + b"a" * 60000, struct.pack("=H", numbers()["MSG_MAIL"]) + b"a@b\0c",
        struct.pack("=H", numbers()["MSG_MAIL"]) + b"a@b\nMAIL x@y", struct.pack("=H", numbers()["MSG_PASSWORD"]) + b"\xff\xfe\xfd",
        struct.pack("=H", 65535), struct.pack("=H", 0), struct.pack("=H", numbers()["MSG_KNOCK"]) + b"x" * 100,
        struct.pack("=H", numbers()["MSG_RESULT"]) + b"\0\0\0\0"]
    for packet in packets:
        question = Question(office)
        question.s.send(packet)
        assert question.receive() is None, packet[:20]
    question = Question(office)
    with open("/dev/null") as null:
        socket.send_fds(question.s, [struct.pack("=H", numbers()["MSG_STATUS"])], [null.fileno()])
    assert question.receive() in (None, ) or office.agent_status() == before
    assert office.agent_status() == before


def test_attack_silent_connections(office):
    """Connections that say nothing, and one that never reads its answers: they are dropped, and keep no other question waiting."""
    silent = [Question(office) for _ in range(5)]
    greedy = Question(office)
    greedy.s.setblocking(False)
    try:
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            for _ in range(5000):
                greedy.send("MSG_STATUS")
        assert office.agent_status()["password"]
        assert [s.receive() for s in silent] == [None] * 5  # within the agent's patience
    finally:
        for connection in [*silent, greedy]:
            connection.close()


@root_only
def test_attack_forged_socket(office, tmp_path):
    """Another user puts a socket of his own where somebody is told to look, or a link to it: no password is said to it."""
    fake = tmp_path / "fake"
    fake.mkdir()
    shutil.chown(fake, "daemon")
    for parent in tmp_path.parents:
        if str(parent).startswith(str(office.dir.parent)) and parent != office.dir.parent:
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o711)
    open_place = tmp_path / "tmp"
    open_place.mkdir()
    open_place.chmod(0o1777)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with as_user(pwd.getpwnam("daemon")):
        server.bind(str(fake / "agent.sock"))
        server.listen(5)
        (open_place / "agent.sock").symlink_to(fake / "agent.sock")
    rooted = tmp_path / "rooted"
    rooted.mkdir()
    (rooted / "agent.sock").symlink_to(fake / "agent.sock")
    server.settimeout(5)
    for place in open_place, rooted:
        with pytest.raises(system.Failed, match="EW-1026"):
            office.tool("engawa", "agent", "password", "--state-directory", place, input="kawara to engawa 7\n")
        connection, _ = server.accept()
        assert connection.recv(100) == b""


@root_only
def test_attack_link_in_place_of_the_socket(office, tmp_path):
    """agent.sock is a link to another file when the agent starts: the link goes, the file keeps its mode and its content."""
    victim = tmp_path / "victim"
    victim.write_text("kept\n")
    victim.chmod(0o600)
    office.agent.stop()
    (office.agent_dir / "agent.sock").unlink(missing_ok=True)
    (office.agent_dir / "agent.sock").symlink_to(victim)
    office.start_agent()
    assert victim.read_text() == "kept\n" and victim.stat().st_mode & 0o777 == 0o600
    assert (office.agent_dir / "agent.sock").is_socket()


@root_only
def test_settings_password(office, tmp_path):
    locked(office)
    owner = Question(office, office.file_user)
    assert json.loads(owner.ask("MSG_STATUS")[1])["locked"] is True
    for kind, text in [("MSG_MAIL", "set x@city.engawa.example"), ("MSG_PASSWORD", ""), ("MSG_LOCK", ""), ("MSG_LOCK", "an other password"),
            ("MSG_UNLOCK", ""), ("MSG_TOTP", "begin"), ("MSG_RECOVERY", "make"), ("MSG_ADDRESSES", "deny 0.0.0.0/0"),
            ("MSG_USERS", "add pam - tanaka")]:
        assert owner.ask(kind, text)[0] == 1191
    assert owner.ask("MSG_ADDRESSES", "list 1")[0] == 0
    assert owner.ask("MSG_FIT", " kawara to engawa 7")[0] == 0
    assert owner.ask("MSG_LOCK_OPEN", LOCK + "x")[0] == 1192
    assert owner.ask("MSG_TOTP", "begin")[0] == 1191
    assert owner.ask("MSG_LOCK_OPEN", LOCK)[0] == 0
    assert owner.ask("MSG_TOTP", "begin")[0] == 0
    assert Question(office, office.file_user).ask("MSG_TOTP", "begin")[0] == 1191  # every connection for itself
    # the command, with a file
    secret = tmp_path / "lock"
    secret.write_text(LOCK + "\n")
    secret.chmod(0o600)
    shutil.chown(secret, office.file_user)
    for parent in list(tmp_path.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o711)
    entry = pwd.getpwnam(office.file_user)
    become = dict(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], start_new_session=True)
    engawa(office, "totp", "--remove", "--settings-password-file", secret, **become)
    with pytest.raises(system.Failed, match="EW-1191"):
        engawa(office, "totp", "--remove", **become)
    # root is not asked, and that is written down
    start = log_size(office)
    engawa(office, "totp", "--remove")
    assert "settings.root" in log(office, start)
    text = (office.agent_dir / "settings").read_text()
    assert LOCK not in text and "LOCK $pepper$argon2id$" in text
    assert LOCK not in log(office)


@root_only
def test_attack_settings_password_guessed(office):
    """The settings password is guessed: after five wrong ones none is looked at, not even the right one, on any connection and after a
    restart; another user of this computer is not kept out by it, and root opens it again."""
    gid = pwd.getpwnam("games").pw_gid
    start_agent(office, SETTINGS_GROUP="games")
    locked(office)
    try:
        owner = Question(office, office.file_user)
        assert [owner.ask("MSG_LOCK_OPEN", f"guess number {i}")[0] for i in range(7)] == [1192] * 5 + [330] * 2
        assert Question(office, office.file_user).ask("MSG_LOCK_OPEN", LOCK)[0] == 330
        start_agent(office, SETTINGS_GROUP="games")
        assert Question(office, office.file_user).ask("MSG_LOCK_OPEN", LOCK)[0] == 330
        assert Question(office, "daemon", [gid]).ask("MSG_LOCK_OPEN", LOCK)[0] == 0
        engawa(office, "unlock")
        assert Question(office, office.file_user).ask("MSG_LOCK_OPEN", LOCK)[0] == 0
    finally:
        start_agent(office)


@root_only
def test_attack_guess_and_leave(office):
    """Who guesses and closes before the answer comes is charged all the same."""
    locked(office)
    for i in range(5):
        question = Question(office, office.file_user)
        question.send("MSG_LOCK_OPEN", f"guess number {i}")
        question.close()
    assert Question(office, office.file_user).ask("MSG_LOCK_OPEN", LOCK)[0] == 330, "guesses are not counted"


def test_fit(office):
    question = Question(office)
    assert [question.ask("MSG_FIT", f" {text}")[0] for text in ("short", "password1234", "abcdefghijkl", "kawara to engawa 7")] == [
        1080, 1081, 1082, 0]
    assert question.ask("MSG_FIT", "tanakasan tanakasan12")[0] == 1082
    assert question.ask("MSG_FIT", "nothing")[0] != 0


@pytest.mark.parametrize("name, line", [("settings", "MAIL a b"), ("users", "USER x"), ("devices", "DEVICE 00"), ("factors", "TOTP x"),
    ("addresses", "permit all"), ("local", "nonsense")])
def test_damaged_file(office, name, line):
    """A file that cannot be read is never taken for an empty one: the agent does not start, and says which line and how to get back."""
    path = office.agent_dir / name
    kept = path.read_bytes() if path.exists() else None
    office.agent.stop()
    path.write_text(f"# first\n{line}\n")
    path.chmod(0o600)
    try:
        run = subprocess.run([str(a) for a in office.agent.argv], capture_output=True, text=True, timeout=20, env=os.environ | {"LC_ALL": "C.UTF-8"})
        assert run.returncode == 1
        assert f"{path}:2" in run.stderr or "line 2" in run.stderr, run.stderr
        assert "engawa agent restore" in run.stderr and "EW-1190" in run.stderr
        assert path.read_text() == f"# first\n{line}\n"
    finally:
        path.unlink()
        if kept is not None:
            path.write_bytes(kept)
            path.chmod(0o600)
        office.start_agent()


def test_leftovers_are_swept(office):
    office.agent.stop()
    left = office.agent_dir / "settings.new-AbC123"
    left.write_text("half a")
    office.start_agent()
    assert not left.exists() and office.agent_status()["password"]


CHANGES = {  # the file, what changes it, and what shows the change
    "addresses": (lambda n: ("addresses", "deny", f"192.0.2.{n}"), lambda office: engawa(office, "addresses", "list")),
    "macs": (lambda n: ("mac", "add", f"00-11-22-33-44-{n:02}"), lambda office: engawa(office, "mac", "list")),
    "settings": (lambda n: ("mail", "--reset", f"{'abcdefgh'[n]}@city.engawa.example"), lambda office: office.agent_status()["mail"]),
}
POINTS = ["temporary file", "mode", "write", "sync", "rename", "sync of the directory"]


@pytest.mark.parametrize("name", CHANGES)
def test_attack_crash_in_a_settings_write(office, name):
    """Tried: the power goes at each call of a settings write of the running office PC, asked for by its person. Comes of it: the person is not told that it
    was done; the next start finds the settings from before, or the new ones once they are in place, and nothing half written beside them."""
    change, show = CHANGES[name]
    agent, ready, kept = office.agent, office.agent.ready, office.agent_dir / name
    before = kept.read_bytes() if kept.exists() else None

    def listens():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            return s.connect_ex(str(office.agent_dir / "agent.sock")) == 0

    def start(**env):
        agent.start(env=env)
        assert not list(office.agent_dir.glob("*.new-*"))
    agent.ready = listens  # the relay need not hear of each of them
    try:
        agent.stop()
        for n in range(1, len(POINTS) + 2):
            start(LD_PRELOAD=str(system.BUILD / "tests/system/libdying_write.so"), DIE_FILE=name, DIE_AT=str(n))
            if n > 1:
                assert (show(office) != shown) == (n - 2 > POINTS.index("rename")), POINTS[n - 2]
            if n > len(POINTS):
                break
            shown = show(office)
            with pytest.raises(system.Failed):
                engawa(office, *change(n))
            assert agent.process.wait(20) == -signal.SIGKILL, POINTS[n - 1]
        engawa(office, *change(n))  # there is no further point
    finally:
        agent.ready = ready
        agent.stop()
        kept.unlink(missing_ok=True)
        if before is not None:
            kept.write_bytes(before)
            kept.chmod(0o600)
        agent.start()
