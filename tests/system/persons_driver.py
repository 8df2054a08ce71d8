"""Services that know persons, on the loopback, and the agent's helpers asked directly."""
import os
import re
import shutil
import socket
import struct
import subprocess
import threading

import system
from programs import ROOT

FIELDS = ["USER", "PASSWORD", "SERVICE", "PLACE", "SECRET", "CA", "BIND", "FILTER", "ALLOW", "DENY", "NESTED", "CERTIFICATE", "KEY"]
SECRET = "shared-secret"
BASE = "dc=city,dc=example"

RADIUS = """
name = radiusd
prefix = /usr
logdir = {dir}
run_dir = {dir}
libdir = /usr/lib/freeradius
security {{
	reject_delay = 0
}}
thread pool {{
	start_servers = 1
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 2
}}
modules {{
	pap {{
	}}
	files {{
		filename = {dir}/users
	}}
}}
client office {{
	ipaddr = 127.0.0.1
	secret = {secret}
	require_message_authenticator = yes
}}
clients radsec {{
	client office_tls {{
		ipaddr = 127.0.0.1
		proto = tls
		secret = radsec
	}}
}}
server default {{
	listen {{
		type = auth
		ipaddr = 127.0.0.1
		port = {port}
	}}
	{tls}
	authorize {{
		files
		pap
	}}
	authenticate {{
		Auth-Type PAP {{
			pap
		}}
	}}
	post-auth {{
		{mark}
		Post-Auth-Type REJECT {{
			{mark}
		}}
	}}
}}
"""
RADSEC = """listen {{
		type = auth
		ipaddr = 127.0.0.1
		port = {port}
		proto = tcp
		clients = radsec
		limit {{
			max_connections = 16
			lifetime = 0
			idle_timeout = 30
		}}
		tls {{
			private_key_file = {dir}/server.key
			certificate_file = {dir}/server.pem
			ca_file = {dir}/ca.pem
			require_client_cert = yes
			tls_min_version = "1.2"
			tls_max_version = "1.2"
			fragment_size = 8192
		}}
	}}"""
# what releases before 3.2.5 need to send it in answers
MARK = """update reply {
			Message-Authenticator := 0x00
		}"""
RADIUS_USERS = """tanaka Cleartext-Password := "himitsu no kawara"
	Reply-Message = "OK"
"田中" Cleartext-Password := "瓦屋根と燕"
suzuki Auth-Type := Reject
	Reply-Message = "OK, Access-Accept"
"""

SLAPD = """
referral ldap://127.0.0.1:{referral}/
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {dir}/cert.pem
TLSCertificateKeyFile {dir}/key.pem
database mdb
suffix "{base}"
directory {dir}/db
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""


def ldif(referral):
    people = {"tanaka": "himitsu no kawara", "suzuki": "tsubame no su", "sato": "engawa de neko"}
    groups = {"telework": ["tanaka", "sato"], "retired": ["sato"]}
    yield f"dn: {BASE}\nobjectClass: organization\nobjectClass: dcObject\no: city\ndc: city\n"
    yield f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n"
    for name, password in people.items():
        yield f"dn: uid={name},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\nuserPassword: {password}\n"
    yield (f"dn: cn=elsewhere,ou=people,{BASE}\nobjectClass: referral\nobjectClass: extensibleObject\ncn: elsewhere\n"
        f"ref: ldap://127.0.0.1:{referral}/ou=people,{BASE}\n")
    for name, members in groups.items():
        rows = "".join(f"member: uid={member},ou=people,{BASE}\n" for member in members)
        yield f"dn: cn={name},{BASE}\nobjectClass: groupOfNames\ncn: {name}\n{rows}"


class Service:
    """A program that ends with its test."""

    def __init__(self, argv, directory, ready, pid=None):
        log = open(directory / "log", "wb")
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        if pid is not None:
            pid.append(self.process.pid)
        try:
            system.wait_for(ready, f"{argv[0]} does not start", 60)
        except system.Failed:
            self.stop()
            raise system.Failed((directory / "log").read_text(errors="replace")[-2000:])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def freeradius(directory, mark=True, tls_port=None):
    """Its address and the program. With tls_port the directory has server.key, server.pem and ca.pem."""
    directory.mkdir(exist_ok=True)
    port = udp_port()
    tls = RADSEC.format(dir=directory, port=tls_port) if tls_port else ""
    (directory / "radiusd.conf").write_text(RADIUS.format(dir=directory, port=port, secret=SECRET, mark=MARK if mark else "", tls=tls))
    (directory / "users").write_text(RADIUS_USERS)
    service = Service(["freeradius", "-f", "-l", "stdout", "-d", directory], directory, lambda: f"port {port}" in listening(port))
    return f"127.0.0.1:{port}", service


def listening(port):
    """UDP has nothing to connect to: the kernel's list."""
    rows = open("/proc/net/udp").read()
    return f"port {port}" if f":{port:04X} " in rows else ""


def slapd(directory, referral=1):
    """Its URL and the program. Groups in groups are not its own idea of them: plain groups only. What it does not have, and a part of
    what it has, it says is at another port."""
    directory.mkdir()
    (directory / "db").mkdir()
    run = lambda *argv, **options: subprocess.run([str(a) for a in argv], check=True, capture_output=True, timeout=60, **options)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=directory",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem", cwd=directory)
    shutil.copy(directory / "cert.pem", directory / "ca.pem")
    (directory / "slapd.conf").write_text(SLAPD.format(dir=directory, base=BASE, referral=referral))
    run("/usr/sbin/slapadd", "-f", directory / "slapd.conf", input="\n".join(ldif(referral)).encode())
    port = system.free_port()
    url = f"ldaps://127.0.0.1:{port}"
    return url, Service(["/usr/sbin/slapd", "-f", directory / "slapd.conf", "-h", f"{url}/", "-d", "0"], directory, lambda: system.accepts(port))


SAMBA = """[global]
	netbios name = DC
	realm = CITY.EXAMPLE
	workgroup = CITY
	server role = active directory domain controller
	server services = ldap
	private dir = {dir}/private
	state directory = {dir}/state
	cache directory = {dir}/cache
	lock directory = {dir}
	binddns dir = {dir}/bind-dns
	pid directory = {dir}
	ncalrpc dir = {dir}/ncalrpc
	interfaces = lo
	bind interfaces only = yes
	logging = file
	log file = {dir}/samba.log
	tls enabled = yes
	tls keyfile = {dir}/key.pem
	tls certfile = {dir}/cert.pem
	tls cafile = {dir}/cert.pem
"""
SAMBA_PASSWORD = "Himitsu-no-kawara-1"
SAMBA_PERSONS = """
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
lp = LoadParm()
lp.load(sys.argv[1] + "/etc/smb.conf")
db = SamDB(url=sys.argv[1] + "/private/sam.ldb", session_info=system_session(), lp=lp)
for name in "tanaka", "suzuki", "sato", "left":
    db.newuser(name, sys.argv[2])
db.disable_account("(sAMAccountName=left)")
for name in "telework", "division", "section", "retired", "gone":
    db.newgroup(name)
for group, members in ("section", ["tanaka", "sato", "left"]), ("division", ["section"]), ("telework", ["division"]), ("gone", ["sato"]), ("retired", ["gone"]):
    db.add_remove_group_members(group, members)
"""


def samba(directory):
    """A Samba domain controller in a network namespace of its own, where 389 and 636 are free: how to get in there, and the program.
    Groups in groups: telework has division has section has tanaka and sato; retired has gone has sato."""
    directory.mkdir()
    run = lambda *argv: subprocess.run([str(a) for a in argv], check=True, capture_output=True, timeout=120, cwd=directory)
    run("samba-tool", "domain", "provision", f"--targetdir={directory}", "--realm=CITY.EXAMPLE", "--domain=CITY", "--server-role=dc",
        "--dns-backend=NONE", f"--adminpass={SAMBA_PASSWORD}", "--host-name=dc", "--host-ip=127.0.0.1", "--option=ldb:nosync=true")
    (directory / "etc/smb.conf").write_text(SAMBA.format(dir=directory))
    (directory / "cache").mkdir(exist_ok=True)
    run("/usr/bin/python3", "-c", SAMBA_PERSONS, directory, SAMBA_PASSWORD)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=dc", "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem")
    (directory / "key.pem").chmod(0o600)
    (directory / "cert.pem").chmod(0o644)
    inside = lambda pid: ["nsenter", f"--net=/proc/{pid}/ns/net"]
    argv = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec samba --foreground --debug-stdout -M single -s "$0"', directory / "etc/smb.conf"]

    def listens():
        listed = subprocess.run([*inside(service_pid()), "ss", "-Hltn"], capture_output=True, text=True).stdout
        return ":636 " in listed and ":389 " in listed
    started = []
    service_pid = lambda: started[0]
    service = Service(argv, directory, listens, started)
    return inside(service.process.pid), service


def message_number(name):
    head = (ROOT / "src/agent/message.h").read_text()
    head = head[head.index("enum message"):]
    head = re.sub(r"/\*.*?\*/", "", head[:head.index("};")], flags=re.S)
    return re.findall(r"\bMSG_\w+", head).index(name)


def ask_helper(method, message, payload, timeout_s=20, prefix=()):
    """One question to `engawa-agent role check-…`, as the monitor asks it: the answer as it stands."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def become():
        os.dup2(theirs.fileno(), 3)
        os.set_inheritable(3, True)
    agent = system.BUILD / "src/agent/engawa-agent"
    child = subprocess.Popen([*prefix, agent, "role", f"check-{method}", "--user", "nobody"], preexec_fn=become, pass_fds=[3])
    theirs.close()
    try:
        ours.send(struct.pack("=H", message_number(message)) + payload)
        ours.settimeout(timeout_s)
        answer = ours.recv(4096)
        child.wait(30)
    finally:
        child.kill()
        child.wait()
        ours.close()
    assert child.returncode == 0
    return answer


def ask(method, timeout_s=20, prefix=(), **fields):
    """One question about a password: the code."""
    texts = [fields.get(field, "").encode() for field in FIELDS]
    answer = ask_helper(method, "MSG_CHECK", b"".join(struct.pack(">H", len(t)) + t for t in texts), timeout_s, prefix)
    kind, code = struct.unpack("=H", answer[:2])[0], struct.unpack(">I", answer[2:])[0]
    assert kind == message_number("MSG_CHECKED")
    return code


class FakeRadius:
    """A UDP server that answers every packet as it is told to: answers(request) gives packets."""

    def __init__(self, answers):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.answers, self.requests, self.peer = answers, [], None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if packet == b"end":
                return
            self.requests.append(packet)
            self.peer = peer
            for answer in self.answers(packet):
                self.socket.sendto(answer, peer)

    def stop(self):
        self.socket.sendto(b"end", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()


def user(office, *argv, **options):
    """engawa agent user ... at the office PC."""
    return office.tool("engawa", "agent", "user", *argv, "--state-directory", office.agent_dir, **options)


def forget_users(office):
    """Nobody is registered any more, and nobody locked out."""
    for row in user(office, "list").splitlines():
        user(office, "remove", row.split()[0])
    office.tool("engawa", "agent", "unlock", "--state-directory", office.agent_dir)
