"""engawa connect against the whole relay: what a person at home gets, and what nobody gets."""
import errno
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import system  # noqa: E402
from gate_driver import CODE  # noqa: E402

system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))
EDITOR = "300,300"  # a point in it
CANARY = "canary-word-5291"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with system.Engawa(tmp_path_factory.mktemp("connect")) as engawa:
        yield engawa.start()


@pytest.fixture
def own_mail(office):
    """A test that does not wait for its mail leaves none behind for the next test to read."""
    mails = office.mail.count()
    yield
    system.wait_for(lambda: office.mail.count() > mails, "no mail")


def save(office):
    """Has the editor write its file, as a person would; returns what is in it."""
    before = office.memo.stat().st_mtime_ns
    window = office.window("mousepad").split()[0]
    office.xdotool("windowfocus", window, "key", "ctrl+s")
    system.wait_for(lambda: office.memo.stat().st_mtime_ns != before, "the editor does not save")
    return office.memo.read_text()


def start(office, *actions, **options):
    return subprocess.Popen([str(a) for a in office.connect_argv(*actions, **options)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})


def start_and_wait(office, *actions):
    """A session that stays, when its login is through and its first pictures are there."""
    log = office.agent.log.stat().st_size
    process = start(office, "--for", "60", *actions)
    system.wait_for(lambda: "session.heard" in office.agent.log_tail(log) or process.poll() is not None, "no session", 30)
    time.sleep(1)
    assert process.poll() is None, process.communicate()
    return process


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def test_session(office, tmp_path):
    picture = tmp_path / "out.png"
    result = office.connect("--click", EDITOR, "--type", "Engawa: {x}~ ", "--type", "縁側で、お茶。\n", "--key", "Shift+a", "--wait", "200",
        "--screenshot", picture)
    assert (result["status"], result["code"], result["name"], result["stderr"]) == (0, 0, "OK", "")
    assert "Engawa: {x}~ 縁側で、お茶。\nA" in save(office)
    assert png_size(picture) == (1280, 800) == (result["screen"]["width"], result["screen"]["height"])
    assert picture.stat().st_mode & 0o777 == 0o600
    assert result["gate"] == "east-1" and re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}", result["session"])
    assert all(isinstance(ms, int) and 0 <= ms < 20000 for ms in result["times_ms"].values())
    assert set(result["times_ms"]) == {"dial", "ticket", "handshake", "login", "first_picture"}
    assert result["pictures"] > 3 and result["bytes_in"] > 5000 and 3000 < result["bytes_out"] < 200000
    assert result["latency_ms"] is None


def test_screenshot_that_cannot_be_written(office, tmp_path):
    result = office.connect("--screenshot", tmp_path / "none" / "out.png")
    assert (result["status"], result["name"]) == (1, "ENOENT") and "out.png" in result["stderr"]
    assert result["pictures"] >= 1


def test_latency(office):
    result = office.connect("--click", EDITOR, "--latency", "20")
    latency = result["latency_ms"]
    assert latency["n"] + latency["lost"] == 20 and latency["lost"] <= 1
    assert 0 < latency["median"] <= latency["p99"] < 2000


def test_stays_as_long_as_asked(office):
    begin = time.monotonic()
    assert office.connect("--for", "3s")["status"] == 0
    assert 3 <= time.monotonic() - begin < 20


def test_words_are_those_of_the_mail(office, tmp_path):
    seen = tmp_path / "seen"
    command = f'printf "%s\\n" "$ENGAWA_WORD1" "$ENGAWA_WORD2" "$ENGAWA_ADDRESS" > {seen}; {office.code_command()}'
    assert office.connect(code_command=command)["status"] == 0
    word1, word2, address = seen.read_text().split()
    mail = office.mail.messages()[-1].get_content()
    assert word1 in mail and word2 in mail
    assert address.endswith("@city.engawa.example") and address != system.ADDRESS and "*" in address


def test_device_key(office, tmp_path):
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    key = tmp_path / "config" / "engawa" / "device.key"
    argv = [str(a) for a in office.connect_argv()]
    at = argv.index("--device-key")

    def run():
        return subprocess.run(argv[:at] + argv[at + 2:] + ["--code-command", office.code_command()], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, env=os.environ | {"LC_ALL": "C.UTF-8"} | env)

    assert run().returncode == 0
    made = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600 and key.parent.stat().st_mode & 0o777 == 0o700
    assert run().returncode == 0 and key.read_bytes() == made
    key.chmod(0o640)
    refused = run()
    assert refused.returncode == 1 and str(key) in refused.stderr
    assert key.read_bytes() == made


@pytest.mark.parametrize("arguments", [["--type", "a\x01"], ["--key", "NoSuchKey"], ["--key", "Control+"], ["--click", "5"],
    ["--click", "5,5,0"], ["--click", "5,5,10"], ["--wait", "x"], ["--for", "1h"], ["--latency", "0"], ["--sideways"], ["word"]])
def test_usage(office, arguments):
    mails = office.mail.count()
    result = office.connect(*arguments)
    assert result["status"] == 2 and "engawa connect --org" in result["stderr"]
    assert office.mail.count() == mails


def test_terminal_id_with_a_mistake(office):
    wrong = office.terminal_id[:-1] + ("0" if office.terminal_id[-1] != "0" else "1")
    result = office.connect(terminal_id=wrong)
    assert result["status"] == 1 and "EW-212" in result["stderr"]


def test_unknown_terminal(office):
    result = office.connect(terminal_id="0000-0000-0000-0000", code_command="touch /nonexistent/never; false")
    assert (result["status"], result["code"], result["name"]) == (1, 202, "UNREACHABLE")
    assert "EW-202" in result["stderr"] and "内線 1234" in result["stderr"]
    assert result["times_ms"]["ticket"] is None


def test_changed_organisation_file(office, tmp_path):
    changed = tmp_path / "changed.engawa"
    changed.write_text(office.org_file.read_text().replace("内線 1234", "内線 6666"))
    result = office.connect(org=changed)
    assert result["status"] == 1 and "EW-1005" in result["stderr"]


def test_organisation_file_is_confirmed_once(office, tmp_path):
    """Nothing is asked of anybody before the fingerprint was confirmed; afterwards only newer files of the same key are taken."""
    newer = tmp_path / "newer"
    shutil.copytree(office.org_dir, newer)
    office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", newer)

    def run(org, fingerprint=None):
        argv = [str(a) for a in office.connect_argv(org=org, device=tmp_path / "device.key")]
        at = argv.index("--org-fingerprint")
        argv[at:at + 2] = ["--org-fingerprint", fingerprint] if fingerprint else []
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=os.environ | {"LC_ALL": "C.UTF-8"})
        return done.returncode, done.stderr
    mails = office.mail.count()
    status, words = run(office.org_file)
    assert status == 1 and "EW-1055" in words and office.fingerprint() in words
    status, words = run(office.org_file, "ffff" + office.fingerprint()[4:] if office.fingerprint()[:4] != "ffff" else "0" * 40)
    assert status == 1 and "EW-1056" in words
    assert office.mail.count() == mails and not list(tmp_path.glob("*.known"))
    assert run(office.org_file, office.fingerprint().replace(" ", "").upper())[0] == 0
    assert run(office.org_file)[0] == 0
    assert run(newer / "organisation.engawa")[0] == 0
    status, words = run(office.org_file)
    assert status == 1 and "EW-1058" in words
    office.tool("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", newer / "signing.key")
    (newer / "signing.key").chmod(0o600)
    office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", newer)
    changed = newer / "organisation.engawa"
    for fingerprint in None, office.tool("engawa", "org", "fingerprint", changed):
        status, words = run(changed, fingerprint)
        assert status == 1 and "EW-1057" in words and str(tmp_path / f"{system.ORGANISATION}.known") in words


def test_organisation_that_trusts_others(office, tmp_path):
    """A gate of somebody else's authority at the same place: the way is not trusted, and nothing is said on it."""
    other = tmp_path / "ca"
    office.tool("engawa", "ca", "init", "--dir", other)
    office.tool("engawa", "gate", "add", "--dir", other, "--name", "east-1", "--host", "localhost")
    office.gate.stop()
    office.start_gate(CERTIFICATE=other / "gates" / "east-1.pem", KEY=other / "gates" / "east-1.key", ISSUER=other / "issuer.pem")
    try:
        result = office.connect()
        assert (result["status"], result["code"]) == (1, 203)
        assert result["times_ms"]["dial"] is None
    finally:
        office.gate.stop()
        office.start_gate()
        system.wait_for(office.agent_up, "the office PC does not come back", 90)


def test_wrong_code_is_tried_once(office, own_mail, tmp_path):
    count = tmp_path / "count"
    result = office.connect(code_command=f"echo x >> {count}; echo 00000000", device="other.key")
    assert (result["status"], result["code"]) == (1, 324)
    assert count.read_text() == "x\n"
    assert result["session"] == "" and result["screen"] is None


def test_wrong_password_is_tried_once(office, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    result = office.connect(password_file=wrong, device="other.key")
    assert (result["status"], result["code"]) == (1, 1013)


def test_password_file_that_others_may_read(office, tmp_path):
    loose = tmp_path / "loose"
    loose.write_text(office.password + "\n")
    loose.chmod(0o644)
    result = office.connect(password_file=loose)
    assert result["status"] == 1 and result["session"] == ""


@pytest.mark.parametrize("command", ["exit 3", "true", "yes 1 | head -c 5000"])
def test_code_command_that_fails(office, own_mail, command):
    result = office.connect(code_command=command)
    assert (result["status"], result["code"]) == (1, 1042)


def test_interrupt_ends_politely(office):
    process = start_and_wait(office)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(out)["pictures"] >= 1


def test_interrupt_while_a_code_is_awaited(office, own_mail, tmp_path):
    started = tmp_path / "started"
    process = start(office, code_command=f"touch {started}; sleep 60")
    system.wait_for(started.exists, "the code command does not run", 20)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and json.loads(out)["name"] == "ENDED"


def test_dead_path_is_noticed(office):
    process = start_and_wait(office)
    workers = [int(pid) for pid in subprocess.run(["pgrep", "-P", str(office.gate.pid)], capture_output=True, text=True).stdout.split()]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        assert select.select([process.stderr], [], [], 20)[0]
        assert 2 < time.monotonic() - begin < 15
        assert "made again" in process.stderr.readline()
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        system.wait_for(office.agent_up, "the office PC does not come back", 90)
    assert select.select([process.stderr], [], [], 60)[0] and "is back" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert json.loads(process.communicate(timeout=30)[0])["resumes"] == 1


def memory_holds(pid, needles):
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            if "w" not in access or "[v" in line:
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            memory.seek(begin)
            data = memory.read(end - begin)
            found |= {needle for needle in needles if needle in data}
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="reading another program's memory needs root")
def test_secrets_are_wiped_after_the_login(office):
    process = start_and_wait(office)
    code, password = office.mail.newest_pin().encode(), office.password.encode()
    assert memory_holds(process.pid, [b"--password-file"])  # we look in the right place
    assert memory_holds(process.pid, [code, password]) == set()
    for name in "cmdline", "environ":
        text = pathlib.Path(f"/proc/{process.pid}/{name}").read_bytes()
        assert password not in text and code not in text
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


def test_person_at_a_terminal(office, tmp_path):
    """No command and no file: questions on the terminal, the organisation's fingerprint first, the password without echo, the words of the mail."""
    argv = [str(a) for a in office.connect_argv("--for", "1", device=tmp_path / "device.key")]
    for option in "--code-command", "--password-file", "--org-fingerprint":
        at = argv.index(option)
        del argv[at:at + 2]
    mails = office.mail.count()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, os.environ | {"LC_ALL": "C.UTF-8"})
    shown = b""

    def until(what):
        nonlocal shown
        end = time.monotonic() + 60
        while what not in shown:
            assert time.monotonic() < end, shown
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    shown += os.read(terminal, 4096)
                except OSError:
                    break

    try:
        until(b"(yes/no)? ")
        assert office.fingerprint().encode() in shown and office.mail.count() == mails
        os.write(terminal, b"yes\n")
        until(b"Code (8 digits): ")
        code = office.mail.next_pin(mails)
        words = re.search(r'words are "(.+) (.+)"', shown.decode())
        mail = office.mail.messages()[-1].get_content()
        assert words[1] in mail and words[2] in mail
        os.write(terminal, code.encode() + b"\n")
        until(b"Password: ")
        os.write(terminal, office.password.encode() + b"\n")
        until(b'"pictures"')
        assert office.password.encode() not in shown
        status = os.waitpid(pid, 0)[1]
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


class Proxy(threading.Thread):
    """An HTTP proxy that knows CONNECT, one connection at a time, with or without a password. way_out: its own address, and the gate's."""

    def __init__(self, authorization=None, way_out=None):
        super().__init__(daemon=True)
        self.authorization, self.requests, self.way_out = authorization, [], way_out
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            while True:
                request = b""
                while b"\r\n\r\n" not in request:
                    more = client.recv(4096)
                    if not more:
                        return
                    request += more
                self.requests.append(request.decode())
                if self.authorization and self.authorization not in request:
                    client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                        b"Content-Length: 0\r\n\r\n")
                    continue
                host, port = request.split()[1].decode().rsplit(":", 1)
                source, host = self.way_out or ("", host)
                with socket.create_connection((host, int(port)), source_address=(source, 0)) as gate:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    self.splice(client, gate)
                return

    @staticmethod
    def splice(a, b):
        while True:
            for s in select.select([a, b], [], [])[0]:
                data = s.recv(65536)
                if not data:
                    return
                (b if s is a else a).sendall(data)


def test_through_a_proxy(office):
    proxy = Proxy(b"Authorization: Basic dGFuYWthOnNha3VyYQ==")  # tanaka:sakura
    result = office.connect("--proxy", f"http://tanaka:sakura@127.0.0.1:{proxy.port}")
    assert result["status"] == 0
    assert proxy.requests[0].startswith(f"CONNECT localhost:{office.port} HTTP/1.")
    result = office.connect("--proxy", f"http://tanaka:momiji@127.0.0.1:{proxy.port}")
    assert (result["status"], result["code"], result["name"]) == (1, 1041, "PROXY_LOGIN")
    assert "momiji" not in result["stderr"]
    proxy.listener.close()


@pytest.mark.parametrize("address, gate, network", [("127.0.0.2", "127.0.0.1", "127.0.0.2"), ("::1", "::1", "::/64")])
def test_attack_network_behind_a_proxy(office, address, gate, network):
    """Tried: a home PC of a forbidden network, or one that hides in a proxy. Comes of it: what counts is the address from which the relay is reached,
    of either kind: refused through the proxy there, let in directly."""
    if gate == "::1":
        with socket.socket(socket.AF_INET6) as s:
            if s.connect_ex(("::1", 9)) == errno.EADDRNOTAVAIL:
                pytest.skip("this machine has no IPv6")
        office.gate.stop()
        office.start_gate(LISTEN=[f"127.0.0.1:{office.port}", f"[::1]:{office.port}"])
        system.wait_for(office.agent_up, "the office PC does not come back", 90)
    proxy = Proxy(way_out=(address, gate))
    through = lambda: office.connect("--for", "100ms", "--proxy", f"http://127.0.0.1:{proxy.port}")
    own = ["--state-directory", office.agent_dir]
    try:
        assert through()["status"] == 0
        office.tool("engawa", "agent", "addresses", "deny", network, *own)
        try:
            assert through()["code"] == CODE["ADDRESS_DENIED"]
            assert office.connect("--for", "100ms")["status"] == 0
        finally:
            office.tool("engawa", "agent", "addresses", "remove", "1", *own)
    finally:
        proxy.listener.close()
        if gate == "::1":
            office.gate.stop()
            office.start_gate()
            system.wait_for(office.agent_up, "the office PC does not come back", 90)


def test_no_gate(office):
    office.gate.stop()
    try:
        result = office.connect()
        assert (result["status"], result["code"]) == (1, 216)
        assert "EW-216" in result["stderr"]
    finally:
        office.start_gate()
        system.wait_for(office.agent_up, "the office PC does not come back", 90)
