"""A real mail server between the relay and a town's, with a way back for bounces."""
import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from controller_driver import wait_for

needed = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/usr/sbin/postfix"), reason="postfix is not installed, or not root")
MAIN = """compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example
mydestination =
mynetworks = 127.0.0.0/8
recipient_delimiter = +
transport_maps = inline:{{ bounce@relay.example=engawa-bounce: , {domain}=smtp:[127.0.0.1]:{next} }}
relay_domains = relay.example, {domain}
smtpd_relay_restrictions = permit_mynetworks, reject
engawa-bounce_destination_recipient_limit = 1
smtp_tls_security_level = may
{tls}maillog_file = {dir}/log/mail.log
maillog_file_prefixes = {dir}
alias_maps =
"""
MASTER = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
engawa-bounce unix - n n - - pipe
  flags= user={user} argv={engawa} bounce --socket {socket} -- ${{extension}}
"""
TLS = """smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
"""


class Postfix:
    """domain: the town's, whose own server is at this port; bounce: what takes what comes back, with its user and socket; tls: certificate and key."""

    def __init__(self, tmp_path, domain, port, bounce, tls=None):
        self.home = "/tmp/" + os.path.basename(str(tmp_path)) + f".{os.getpid()}"  # short, and others may pass
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        user, engawa, back = bounce
        self.names = dict(dir=self.home, port=self.port, domain=domain, next=port, user=user, engawa=engawa, socket=back,
            tls=TLS.format(cert=tls[0], key=tls[1]) if tls else "")

    def command(self, word):
        return subprocess.run(["/usr/sbin/postfix", "-c", f"{self.home}/conf", word], capture_output=True, text=True, timeout=60)

    def start(self):
        for name, mode, owner in ("", 0o755, "root"), ("conf", 0o755, "root"), ("queue", 0o755, "root"), ("data", 0o700, "postfix"), ("log", 0o755, "root"):
            os.makedirs(f"{self.home}/{name}", exist_ok=True)
            os.chmod(f"{self.home}/{name}", mode)
            shutil.chown(f"{self.home}/{name}", owner)
        for name, text in ("main.cf", MAIN), ("master.cf", MASTER):
            with open(f"{self.home}/conf/{name}", "w") as file:
                file.write(text.format(**self.names))
        started = self.command("start")
        assert started.returncode == 0, started.stderr
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0, "postfix", 30)

    def empty(self):
        """Nothing waits any more."""
        return not subprocess.run(["/usr/sbin/postqueue", "-c", f"{self.home}/conf", "-j"], capture_output=True, text=True).stdout.strip()

    def log(self):
        with contextlib.suppress(FileNotFoundError), open(f"{self.home}/log/mail.log") as file:
            return file.read()
        return ""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.log())
        self.command("stop")
        shutil.rmtree(self.home, ignore_errors=True)
