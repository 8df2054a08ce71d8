"""Lists of MAC addresses: the office PC's own, the organisation's over HTTPS, and everything that can be wrong with a list."""
import http.server
import os
import random
import ssl
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519

import system
from gate_driver import CODE
from hostile_client import HostileClient
from test_devices import office, point, proof

LISTED, UNLISTED = bytes.fromhex("00163e112233"), bytes.fromhex("00163e445566")
CLOSED = {"DISABLE_MACCHECK": None, "ENFORCE_MACCHECK": "yes", "DISABLE_OTP": "yes", "ENFORCE_OTP": None, "ENFORCE_OTP_ENDWITH": None}


class Lists(http.server.ThreadingHTTPServer):
    """What the organisation's server may answer, honest or not, by path."""
    daemon_threads = True

    def __init__(self, cert, key):
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.asked = []
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def url(self, path):
        return f"https://localhost:{self.server_port}/{path}"

    def stop(self):
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass


def whole_list():
    """As a municipality keeps it: BOM, CRLF, comments, every way to write an address, ten thousand lines."""
    dice = random.Random(1)
    lines = ["# 自宅PC 一覧", "", "// 2026-11-22"]
    for i in range(10000):
        digits = f"{dice.getrandbits(46) & ~(1 << 40):012x}"
        pairs = [digits[j:j + 2] for j in range(0, 12, 2)]
        lines.append([":".join(pairs), "-".join(pairs).upper(), digits][i % 3] + ["", "  # 田中", " // 鈴木"][i % 3])
    lines[5000] = "00-16-3E-11-22-33   # the one"
    return b"\xef\xbb\xbf" + "\r\n".join(lines).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.asked.append(self.path)
        self.close_connection = True
        if self.path == "/list":
            self.answer(whole_list())
        elif self.path == "/redirect":
            self.answer(b"", 302, [("Location", self.server.url("list"))])
        elif self.path == "/error":
            self.answer(b"00-16-3E-11-22-33\n", 500)
        elif self.path == "/page":
            self.answer("<html>00-16-3E-11-22-33</html>".encode())
        elif self.path == "/slip":
            self.answer(b"00-16-3E-11-22-33\n00-16-3E-11-22\n")
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"00-16-3E-11-22-33\n")
        elif self.path == "/hang":
            self.server.closing.wait(30)
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            while not self.server.closing.wait(0.5):
                self.wfile.write(b"# \n")
        elif self.path == "/huge":
            self.send_response(200)
            self.end_headers()
            for _ in range(80):
                self.wfile.write(b"00-16-3E-11-22-33\n" * 4096)

    def log_message(self, *_):
        pass


def make_certificate(directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{name}.key", "-out", f"{name}.pem"], cwd=directory,
        check=True, capture_output=True)
    return directory / f"{name}.pem", directory / f"{name}.key"


@pytest.fixture(scope="module")
def lists(own_engawa):
    directory = own_engawa.dir / "lists"
    directory.mkdir()
    directory.chmod(0o755)
    server = Lists(*make_certificate(directory, "server"))
    impostor = Lists(*make_certificate(directory, "impostor"))
    own_engawa.agent.stop()
    own_engawa.agent_options["MAC_LIST_CA_FILE"] = directory / "server.pem"
    own_engawa.start_agent()
    server.impostor = impostor
    yield server
    server.stop()
    impostor.stop()


@pytest.fixture
def come(own_engawa, outer, inner, lists):
    """As a client with these addresses: the code of the refusal, 0 when it is asked for the password."""
    def come(*macs, device=None, **facts):
        client = HostileClient(own_engawa, outer, inner, device)
        client.stream.settimeout(30)  # the office PC gives a list's server some seconds
        try:
            client.ask().join().shake()
            kind, payload = client.facts(mac=macs, **{k: v(client) if callable(v) else v for k, v in facts.items()})
        finally:
            client.close()
        return 0 if kind == inner.INNER_PROMPT else inner.Refused.FromString(payload).code
    return come


def copies(engawa):
    return list(engawa.agent_dir.glob("maclist-*"))


@pytest.fixture(autouse=True)
def without_copies(own_engawa):
    for path in copies(own_engawa):
        path.unlink()


def policy(engawa, **keys):
    engawa.sign_policy(**CLOSED, **keys)


def test_own_list(own_engawa, come):
    engawa = own_engawa
    policy(engawa)
    assert come(LISTED) == CODE["MAC_DENIED"] and come() == CODE["MAC_DENIED"]
    office(engawa, "mac", "add", "00:16:3e:11:22:33", "田中")
    assert come(LISTED) == 0 and come(UNLISTED, LISTED) == 0 and come(UNLISTED) == CODE["MAC_DENIED"]
    assert office(engawa, "mac", "list") == "00-16-3E-11-22-33 # 田中"
    for bad in "00-16-3E-11-22", "01-00-5E-00-00-01", "00-00-00-00-00-00", "x":
        with pytest.raises(system.Failed):
            office(engawa, "mac", "add", bad)
    engawa.agent.stop()
    (engawa.agent_dir / "macs").write_bytes("\ufeff// 手で書いた\r\n00163e445566\r\n".encode())
    engawa.start_agent()
    assert come(UNLISTED) == 0 and come(LISTED) == CODE["MAC_DENIED"]
    office(engawa, "mac", "remove", "00-16-3e-44-55-66")
    assert come(UNLISTED) == CODE["MAC_DENIED"] and "手で書いた" in office(engawa, "mac", "list")
    assert "00-16-3E-44-55-66" in engawa.agent.log.read_text()  # for the administrator


def test_central_list(own_engawa, come, lists, nobody_there):
    """Ten thousand lines; its copy serves for a minute, and while the server is away as long as policy says."""
    engawa = own_engawa
    policy(engawa, CLIENT_ALLOWED_MAC_LIST_URL=lists.url("list"), MAC_LIST_MAX_AGE=7200)
    asked = len(lists.asked)
    assert come(LISTED) == 0 and come(UNLISTED) == CODE["MAC_DENIED"]
    assert len(lists.asked) == asked + 1  # the second one had the copy
    [copy] = copies(engawa)
    os.utime(copy, (time.time() - 600, time.time() - 600))
    assert come(LISTED) == 0 and len(lists.asked) == asked + 2
    text = copy.read_bytes()
    assert text.startswith(f"#URL {lists.url('list')}\n".encode())
    away = f"https://localhost:{nobody_there}/list"
    copy.write_bytes(text.replace(lists.url("list").encode(), away.encode(), 1))
    policy(engawa, CLIENT_ALLOWED_MAC_LIST_URL=away, MAC_LIST_MAX_AGE=7200)
    for age, code in (600, 0), (7000, 0), (7300, CODE["MAC_DENIED"]), (-600, CODE["MAC_DENIED"]):
        os.utime(copy, (time.time() - age, time.time() - age))
        assert come(LISTED) == code, age


def test_no_local_list(own_engawa, come, lists):
    """NO_LOCAL_MAC_ADDRESS_LIST: only the organisation's list counts."""
    engawa = own_engawa
    office(engawa, "mac", "add", "00-16-3E-44-55-66")
    try:
        policy(engawa, CLIENT_ALLOWED_MAC_LIST_URL=lists.url("list"))
        assert come(UNLISTED) == 0 and come(LISTED) == 0
        policy(engawa, CLIENT_ALLOWED_MAC_LIST_URL=lists.url("list"), NO_LOCAL_MAC_ADDRESS_LIST="yes")
        assert come(UNLISTED) == CODE["MAC_DENIED"] and come(LISTED) == 0
    finally:
        office(engawa, "mac", "remove", "00-16-3E-44-55-66")
    with pytest.raises(system.Failed, match="NO_LOCAL_MAC_ADDRESS_LIST needs"):
        policy(engawa, NO_LOCAL_MAC_ADDRESS_LIST="yes")
    with pytest.raises(system.Failed, match="https://"):
        policy(engawa, CLIENT_ALLOWED_MAC_LIST_URL="http://localhost/list")


@pytest.mark.parametrize("path", ["redirect", "error", "page", "slip", "short", "hang", "drip", "huge"])
def test_attack_lists(own_engawa, come, lists, path):
    """Tried by whoever has the list's server or the way to it: a redirect, an error with a list in it, a page, a list with a slip, one that
    ends early, one that never comes, comes for ever, or is endless. Nobody gets in, in bounded time, and no copy is kept."""
    policy(own_engawa, CLIENT_ALLOWED_MAC_LIST_URL=lists.url(path))
    begin = time.monotonic()
    assert come(LISTED) == CODE["MAC_DENIED"]
    assert time.monotonic() - begin < 30
    assert copies(own_engawa) == [] and f"/{path}" in lists.asked
    assert {"code": CODE["MAC_LIST"], "list": "client"} in own_engawa.agent_status()["warnings"]


def test_attack_list_of_an_impostor(own_engawa, come, lists):
    """Tried: another server with a certificate of its own for the same name. Nobody gets in; it is not even asked for the list."""
    policy(own_engawa, CLIENT_ALLOWED_MAC_LIST_URL=lists.impostor.url("list"))
    assert come(LISTED) == CODE["MAC_DENIED"]
    assert lists.impostor.asked == [] and copies(own_engawa) == []


def test_attack_server_list_closed(own_engawa, come, lists):
    """Tried: the list of office PCs does not name this one, or cannot be had. Refused (329) whatever the client is; an unreachable list lets in
    only where policy says so by name, and a list without this office PC never."""
    engawa = own_engawa
    keys = {"DISABLE_MACCHECK": "yes", "ENFORCE_MACCHECK": None}
    for path in "list", "hang", "error":
        engawa.sign_policy(**{**CLOSED, **keys, "SERVER_ALLOWED_MAC_LIST_URL": lists.url(path)})
        assert come(LISTED) == CODE["SERVER_MAC_DENIED"], path
    engawa.sign_policy(**{**CLOSED, **keys, "SERVER_ALLOWED_MAC_LIST_URL": lists.url("error"), "SERVER_ALLOWED_MAC_LIST_FAIL_OPEN": "yes"})
    assert come(LISTED) == 0
    assert engawa.agent_status()["warnings"] == [{"code": CODE["MAC_LIST"], "list": "server"}]
    engawa.sign_policy(**{**CLOSED, **keys, "SERVER_ALLOWED_MAC_LIST_URL": lists.url("list"), "SERVER_ALLOWED_MAC_LIST_FAIL_OPEN": "yes"})
    assert come(LISTED) == CODE["SERVER_MAC_DENIED"] and engawa.agent_status()["warnings"] == []


@pytest.fixture
def card(own_engawa, lists):
    """Gives the office PC this network card; it has its own again afterwards."""
    def put(mac):
        own_engawa.agent.stop()
        own_engawa.agent.start(env={"LD_PRELOAD": system.BUILD / "tests/system/libcard.so", "CARD": mac.hex()})
        system.wait_for(own_engawa.agent_up, "the office PC does not reach the relay", 90)
    yield put
    own_engawa.agent.stop()
    own_engawa.start_agent()


def test_attack_office_pc_that_is_not_listed(own_engawa, come, lists, card):
    """Tried: SERVER_ALLOWED_MAC_LIST_URL names the organisation's office PCs, and an agent is taken to another computer, where the person connects with
    the right device. Comes of it: the office PC that is in the list lets in, one with another card lets nobody in and says 329 to whoever is at home;
    the list of the clients is another one, and one does not stand in for the other."""
    engawa = own_engawa
    keys = {**CLOSED, "DISABLE_MACCHECK": "yes", "ENFORCE_MACCHECK": None}
    card(LISTED)
    engawa.sign_policy(**keys, SERVER_ALLOWED_MAC_LIST_URL=lists.url("list"))
    asked = len(lists.asked)
    assert come(UNLISTED) == 0 and len(lists.asked) == asked + 1
    assert [path.name for path in copies(engawa)] == ["maclist-server"]
    result = engawa.connect("--for", "100ms")
    assert result["code"] == 0, result
    card(UNLISTED)
    assert come(LISTED) == CODE["SERVER_MAC_DENIED"] and come(UNLISTED) == CODE["SERVER_MAC_DENIED"]
    result = engawa.connect("--for", "100ms")
    assert result["code"] == CODE["SERVER_MAC_DENIED"] and f"EW-{CODE['SERVER_MAC_DENIED']}" in result["stderr"]
    assert "login.server_mac" in engawa.agent.log.read_text()
    # what a client says of itself does not help, and the office PC's own list is for clients
    office(engawa, "mac", "add", "00-16-3E-44-55-66")
    try:
        assert come(UNLISTED) == CODE["SERVER_MAC_DENIED"]
    finally:
        office(engawa, "mac", "remove", "00-16-3E-44-55-66")


def test_attack_listed_address_alone(own_engawa, come):
    """Tried: a stranger's device tells an address that is on the list. Comes of it: an address opens nothing by itself: the device is refused as
    unknown."""
    policy(own_engawa, DISABLE_DEVICECHECK=None, ENFORCE_DEVICECHECK="yes")
    office(own_engawa, "mac", "add", "00-16-3E-11-22-33")
    try:
        assert come(LISTED) == CODE["DEVICE_UNKNOWN"]
    finally:
        office(own_engawa, "mac", "remove", "00-16-3E-11-22-33")


def test_attack_exempt_name_claimed(own_engawa, come):
    """Tried: a device calls itself as one that need not close its network. Only the name it was registered with counts: the claimant, registered
    or not, is refused; the exempt device comes in under whatever name it has today."""
    engawa = own_engawa
    keys = {"DISABLE_LIMITED_FIREWALL": None, "ENFORCE_LIMITED_FIREWALL": "yes", "DISABLE_MACCHECK": "yes", "ENFORCE_MACCHECK": None,
        "ENFORCE_LIMITED_FIREWALL_COMPUTERNAME_STARTWITH": "KIOSK-, lgwan-"}
    engawa.sign_policy(**{**CLOSED, **keys})
    held = {}
    for name in "kiosk-7", "HOME-PC":
        device, key = x25519.X25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
        facts = {"device": device, "device_key": point(key), "device_proof": lambda c, key=key: proof(key, c.noise.h)}
        come(LISTED, computer_name=name, apply=name, **facts)
        office(engawa, "device", "approve", next(line.split()[0] for line in office(engawa, "device", "list").splitlines()
            if line.rstrip().endswith(f"  {name}")))
        held[name] = facts
    assert come(LISTED, computer_name="KIOSK-1") == CODE["FIREWALL_REQUIRED"]
    assert come(LISTED, computer_name="KIOSK-1", **held["HOME-PC"]) == CODE["FIREWALL_REQUIRED"]
    assert come(LISTED, computer_name="renamed", **held["kiosk-7"]) == 0
