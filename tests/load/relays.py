"""The relays that ./bench gate compares: ours, the floor, and what Debian has. Each takes two encrypted connections for a session, opens what
comes and seals it again; all are given TLS 1.3 with AES-256-GCM, one thread or process for data where they can be told, and processor 0."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

import system

RELAY_CPU, LOAD_CPU = 0, 1
LOAD = pathlib.Path("tests/load")


def program(name):
    return system.BUILD / LOAD / name


def quietly(*argv, **options):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, **options).stdout


def threads(pid):
    for process in system.family(pid):
        with contextlib.suppress(OSError):
            yield from map(int, os.listdir(f"/proc/{process}/task"))


def hurry(pid):
    """Before whatever else this machine does, if we may: the kernel weighs sessions, then processes."""
    with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{pid}/autogroup").write_text("-20")
    for thread in threads(pid):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, -20)


class Relay:
    """words: how the load generators reach it; legs: encrypted connections that it holds for a session."""
    legs = 2

    def __init__(self, name, words, parts):
        self.name, self.words, self.parts = name, [str(w) for w in words], parts
        for part in parts:
            for thread in threads(part.pid):  # what they start later inherits it
                os.sched_setaffinity(thread, {RELAY_CPU})
            hurry(part.pid)

    def pids(self):
        return [pid for part in self.parts for pid in system.family(part.pid)]

    def cpu_s(self):
        """Of all its processes; the clock of a process knows its threads, also those that ended."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
        return total

    def memory(self):
        """Bytes that only it has, written to."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_Dirty:")) * 1024
        return total


def load(*argv, first=()):
    """Starts a load generator on its own processor; it dies with us."""
    process = subprocess.Popen([*first, "taskset", "-c", str(LOAD_CPU), *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        bufsize=1, start_new_session=True, preexec_fn=lambda: system.libc.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL))
    hurry(process.pid)
    return process


def finish(process, told="", timeout=120):
    out = process.communicate(told, timeout=timeout)[0]
    if process.returncode != 0:
        raise system.Failed(f"{process.args}: status {process.returncode}")
    return out


class Bench:
    """A directory with keys, an organisation, and the relays that were started in it."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.engawa = system.Engawa(self.dir / "engawa")
        self.engawa.make_authority()
        self.pem = self.dir / "both.pem"
        quietly("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
            "-keyout", self.dir / "key.pem", "-out", self.dir / "cert.pem")
        self.pem.write_text((self.dir / "cert.pem").read_text() + (self.dir / "key.pem").read_text())

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def part(self, name, argv, ready):
        return system.Part(name, argv, self.dir / f"{name}.log", ready, user=None)

    @contextlib.contextmanager
    def serving(self, name, parts, words):
        started = []
        try:
            for part in parts:
                started.append(part.start())
            yield Relay(name, words, started)
        finally:
            for part in reversed(started):
                part.stop()

    # --- each of them ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def gate(self, **how):
        """The controller gives its keys and goes: it knows none of the agents to come. how: as system.Engawa.start_gate."""
        e = self.engawa
        e.smtp_url = f"smtp://localhost:{e.smtp_port}"  # nobody is there, nobody logs in
        e.start_controller()
        if not e.org_file.exists():
            e.make_organisation()
        try:
            log = e.log_dir / "gate.log"
            log.unlink(missing_ok=True)
            e.start_gate(**{"LOG_LEVEL": "info", "SOURCE_MAX": 65535, "CLIENT_RATE_BYTES_S": 0, "ORGANISATION_HANDSHAKES_S": 0,
                "AGENT_FAULTS_PER_MINUTE": 0, "WORKERS": 1} | how)
            system.wait_for(lambda: "link.up" in log.read_text(), "the gate does not reach the controller")
            e.controller.stop()
            relay = Relay("engawa", ["engawa", e.org_file, e.ca], [e.gate])
            relay.legs = 1  # of a waiting agent
            yield relay
        finally:
            e.stop()

    def floor(self, prefix=()):
        port = system.free_port()
        return self.serving("floor", [self.part("floor", [*prefix, program("floor"), port, self.pem], self.says_ready("floor"))], ["pair", port, self.pem])

    def bare(self, prefix=()):
        port, e = system.free_port(), self.engawa
        argv = [*prefix, program("bare"), port, e.ca / "gates/east-1.pem", e.ca / "gates/east-1.key", e.ca / "issuer.pem"]
        return self.serving("bare OpenSSL", [self.part("bare", argv, self.says_ready("bare"))], ["agent", port, e.org_file, e.ca])

    def says_ready(self, name):
        return lambda: "ready" in (self.dir / f"{name}.log").read_text()

    def tls(self, port, backend):
        return ["tls", port, backend, self.pem]

    def direct(self):
        """No relay: what the load generator itself needs."""
        port = system.free_port()
        return self.serving("direct", [], self.tls(port, port))

    def haproxy(self):
        port, backend = system.free_port(), system.free_port()
        conf = self.write("haproxy.cfg", f"""global
  maxconn 9000
  nbthread 1
  tune.ssl.cachesize 0
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384
  ssl-default-server-options ssl-min-ver TLSv1.3
  ssl-default-server-ciphersuites TLS_AES_256_GCM_SHA384
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen relay
  bind 127.0.0.1:{port} ssl crt {self.pem}
  server backend 127.0.0.1:{backend} ssl verify none no-ssl-reuse
""")
        return self.serving("haproxy", [self.part("haproxy", ["haproxy", "-db", "-f", conf], lambda: system.accepts(port))], self.tls(port, backend))

    def nginx(self):
        port, backend = system.free_port(), system.free_port()
        conf = self.write("nginx.conf", f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 1;
pid {self.dir}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 19000; }}
stream {{
  server {{
    listen 127.0.0.1:{port} ssl backlog=512;
    ssl_certificate {self.dir}/cert.pem;
    ssl_certificate_key {self.dir}/key.pem;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
    ssl_session_tickets off;
    ssl_session_cache off;
    proxy_ssl on;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_session_reuse off;
    proxy_timeout 1h;
    proxy_pass 127.0.0.1:{backend};
  }}
}}
""")
        return self.serving("nginx", [self.part("nginx", ["nginx", "-c", conf, "-e", "stderr"], lambda: system.accepts(port))], self.tls(port, backend))

    def stunnel(self):
        port, between, backend = (system.free_port() for _ in range(3))
        conf = self.write("stunnel.conf", f"""foreground = yes
pid =
syslog = no
debug = 3
sessionCacheSize = 1
[in]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{between}
cert = {self.pem}
sslVersionMin = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
socket = r:TCP_NODELAY=1
socket = l:TCP_NODELAY=1
[out]
client = yes
accept = 127.0.0.1:{between}
connect = 127.0.0.1:{backend}
sslVersionMin = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
socket = r:TCP_NODELAY=1
socket = l:TCP_NODELAY=1
""")
        return self.serving("stunnel4", [self.part("stunnel", ["stunnel4", conf], lambda: system.accepts(between))], self.tls(port, backend))

    def hitch(self):
        port, between, backend = (system.free_port() for _ in range(3))
        common = """workers = 1
daemon = off
backlog = 512
user = "nobody"
tls-protos = TLSv1.3
ciphersuites = "TLS_AES_256_GCM_SHA384"
"""
        incoming = self.write("hitch-in.conf", f'{common}frontend = "[127.0.0.1]:{port}"\nbackend = "[127.0.0.1]:{between}"\npem-file = "{self.pem}"\n')
        outgoing = self.write("hitch-out.conf", f'{common}frontend = "[127.0.0.1]:{between}"\nbackend = "[127.0.0.1]:{backend}"\npem-file = "{self.pem}"\n')
        parts = [self.part(name, ["hitch", *way, f"--config={conf}"], lambda at=at: system.accepts(at))
            for name, way, conf, at in [("hitch-out", ["--client"], outgoing, between), ("hitch-in", [], incoming, port)]]
        return self.serving("hitch, two chained", parts, self.tls(port, backend))

    def sshd(self):
        """Its server and what is needed to reach it; sessions share one SSH connection on each side."""
        if os.geteuid() != 0:
            raise system.Failed("sshd is started by root only")
        port, local, remote, backend = (system.free_port() for _ in range(4))
        os.makedirs("/run/sshd", exist_ok=True)
        for name in "host", "user":
            if not (self.dir / name).exists():
                quietly("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / name)
        conf = self.write("sshd.conf", f"""ListenAddress 127.0.0.1:{port}
HostKey {self.dir}/host
AuthorizedKeysFile {self.dir}/user.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
LogLevel ERROR
MaxStartups 100
Ciphers aes256-gcm@openssh.com
""")
        ssh = ["taskset", "-c", LOAD_CPU, "ssh", "-N", "-p", port, "-i", self.dir / "user", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR", "root@127.0.0.1"]
        server = self.part("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", conf], lambda: system.accepts(port))
        ends = [self.part("ssh-agent-side", [*ssh, "-R", f"127.0.0.1:{remote}:127.0.0.1:{backend}"], lambda: system.accepts(remote)),
            self.part("ssh-client-side", [*ssh, "-L", f"127.0.0.1:{local}:127.0.0.1:{remote}"], lambda: system.accepts(local))]
        return self.ssh_serving(server, ends, ["plain", local, backend])

    @contextlib.contextmanager
    def ssh_serving(self, server, ends, words):
        with self.serving("OpenSSH -R", [server], words) as relay, contextlib.ExitStack() as stack:
            for end in ends:
                stack.callback(end.start().stop)
            yield relay


PEERS = {"haproxy": ("haproxy", "haproxy"), "nginx": ("nginx", "nginx"), "stunnel4": ("stunnel", "stunnel4"), "hitch, two chained": ("hitch", "hitch"),
    "OpenSSH -R": ("sshd", "/usr/sbin/sshd")}


def installed():
    """Peers that are here: name to what starts them."""
    return {name: method for name, (method, path) in PEERS.items() if shutil.which(path)}
