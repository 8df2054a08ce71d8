"""A real xrdp with its session manager and xorgxrdp, of the test's own: private mounts put its settings, accounts, PAM service and
temporary files in place of the computer's, a private process namespace ends everything with it. Both listen on free ports of the
loopback, or xrdp on another address of this computer."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess

import system

ACCOUNT, PASSWORD = "tanaka", "engawa-2026"
UID = 62345
# What the person's session is: a window manager, a terminal that writes down what is typed into it and what monitors there are then,
# and a program whose end is the end of the session.
STARTWM = """#!/bin/sh
xsetroot -solid '#345678'
echo started >> "$HOME/sessions"
openbox &
xterm -geometry 60x12+40+60 -T work -e sh -c 'while read -r line; do xrandr --listmonitors > "$HOME/monitors.new"; mv "$HOME/monitors.new" "$HOME/monitors"
    echo "$line" >> "$HOME/typed"; done' &
(until [ -e "$HOME/leave" ]; do sleep 0.2; if [ -e "$HOME/paint" ]; then rm "$HOME/paint"
    for i in 2 3 4 5 6 7 8 9 10 11 12 13; do xsetroot -mod $i $((i + 2)) -fg "#${i}a2" -bg '#ddd'; sleep 0.4; done
    touch "$HOME/painted"; fi; done) 2> /dev/null &
exec xterm -geometry 30x5+600+400 -T leave -e sh -c 'until [ -e "$HOME/leave" ]; do sleep 0.2; done'
"""
XRDP_INI = """[Globals]
ini_version=1
fork=true
port=tcp://{address}:{port}
use_vsock=false
tcp_nodelay=true
tcp_keepalive=true
security_layer={security}
crypt_level=high
certificate=/etc/xrdp/cert.pem
key_file=/etc/xrdp/key.pem
ssl_protocols=TLSv1.2, TLSv1.3
autorun={autorun}
allow_channels=true
allow_multimon=true
bitmap_cache=true
bitmap_compression=true
bulk_compression=true
max_bpp=32
new_cursors=true
use_fastpath=both
blue=009cb5
grey=dedede
ls_top_window_bg_color=009cb5
ls_width=350
ls_height=430
ls_bg_color=dedede
ls_logo_x_pos=55
ls_logo_y_pos=50
ls_label_x_pos=30
ls_label_width=65
ls_input_x_pos=110
ls_input_width=210
ls_input_y_pos=220
ls_btn_ok_x_pos=142
ls_btn_ok_y_pos=370
ls_btn_ok_width=85
ls_btn_ok_height=30
ls_btn_cancel_x_pos=237
ls_btn_cancel_y_pos=370
ls_btn_cancel_width=85
ls_btn_cancel_height=30
[Logging]
LogFile=/mnt/xrdp.log
LogLevel=DEBUG
EnableSyslog=false
[Channels]
rdpdr=true
rdpsnd=true
drdynvc=true
cliprdr=true
rail=true
xrdpvr=true
tcutils=true
[Xorg]
name=Xorg
lib=libxup.so
username=ask
password=ask
ip=127.0.0.1
port=-1
code=20
"""
SESMAN_INI = """[Globals]
ListenAddress=127.0.0.1
ListenPort={sesman}
EnableUserWindowManager=false
DefaultWindowManager=/etc/xrdp/startwm.sh
[Security]
AllowRootLogin=false
MaxLoginRetry=4
AlwaysGroupCheck=false
RestrictOutboundClipboard=all
RestrictInboundClipboard=all
[Sessions]
X11DisplayOffset=10
MaxSessions=5
KillDisconnected=false
DisconnectedTimeLimit=0
IdleTimeLimit=0
Policy=Default
[Logging]
LogFile=/mnt/sesman.log
LogLevel=DEBUG
EnableSyslog=false
[Xorg]
param=/usr/lib/xorg/Xorg
param=-config
param=xrdp/xorg.conf
param=-noreset
param=-nolisten
param=tcp
param=-logfile
param=/mnt/home/Xorg.log
[Chansrv]
FuseMountName=thinclient_drives
[ChansrvLogging]
LogLevel=INFO
EnableSyslog=false
[SessionVariables]
"""
PAM = """auth required pam_unix.so
account required pam_unix.so
session required pam_permit.so
password required pam_deny.so
"""


class Namespace(system.Part):
    """unshare takes no SIGTERM; what runs in it is killed with it."""

    def become(self):
        system.libc.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)


class Xrdp:
    def __init__(self, directory, security="tls", port=None, address="127.0.0.1", desktop=STARTWM, autorun=""):
        self.address, self.desktop, self.autorun = address, desktop, autorun
        self.dir = pathlib.Path(directory)
        self.conf, self.home = self.dir / "etc", self.dir / "home"
        self.conf.mkdir(parents=True)
        self.home.mkdir()
        os.chown(self.home, UID, UID)
        self.port, self.sesman = port or system.free_port(), system.free_port()
        self.certificate = self.dir / "cert.pem"
        self.security = security
        self.part = None
        self.settings()

    def settings(self):
        for path in pathlib.Path("/etc/xrdp").glob("*.ini"):
            if path.name not in ("xrdp.ini", "sesman.ini", "rsakeys.ini"):
                shutil.copy(path, self.conf)
        values = {"port": self.port, "sesman": self.sesman, "security": self.security, "address": self.address, "autorun": self.autorun}
        (self.conf / "xrdp.ini").write_text(XRDP_INI.format(**values))
        (self.conf / "sesman.ini").write_text(SESMAN_INI.format(**values))
        start = self.conf / "startwm.sh"
        start.write_text(self.desktop)
        start.chmod(0o755)
        subprocess.run(["xrdp-keygen", "xrdp", str(self.conf / "rsakeys.ini")], check=True, capture_output=True)
        make_certificate(self.conf / "cert.pem", self.conf / "key.pem")
        shutil.copy(self.conf / "cert.pem", self.certificate)
        self.certificate.chmod(0o644)
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
        accounts = {"passwd": f"{ACCOUNT}:x:{UID}:{UID}::/mnt/home:/bin/sh\n", "group": f"{ACCOUNT}:x:{UID}:\n",
            "shadow": f"{ACCOUNT}:{hashed}:20000:0:99999:7:::\n"}
        for name, line in accounts.items():
            (self.dir / name).write_text(pathlib.Path("/etc", name).read_text() + line)
        (self.dir / "pam").write_text(PAM)

    def start(self):
        place = [(self.conf, "/etc/xrdp"), (self.dir / "pam", "/etc/pam.d/xrdp-sesman"),
            *((self.dir / name, f"/etc/{name}") for name in ("passwd", "group", "shadow"))]
        script = "; ".join(["set -e", *(f"mount --bind {shlex.quote(str(a))} {b}" for a, b in place), f"mount --bind {shlex.quote(str(self.dir))} /mnt",
            "mount -t tmpfs tmpfs /run", "mount -t tmpfs -o mode=1777 tmpfs /tmp", "cd /mnt", "mkdir -p /run/xrdp/sockdir", "chmod 3777 /run/xrdp/sockdir", "xrdp-sesman --nodaemon &", "exec xrdp --nodaemon"]).replace("&;", "&")
        self.part = Namespace("xrdp", ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
            "/bin/sh", "-c", script], self.dir / "out.log", lambda: system.accepts(self.port, self.address) and self.sesman_up()).start()
        return self

    def sesman_up(self):
        """It takes 127.0.0.1 for ::1."""
        with socket.socket(socket.AF_INET6) as s:
            s.settimeout(1)
            return s.connect_ex(("::1", self.sesman)) == 0

    def stop(self):
        if self.part:
            self.part.kill()
            system.wait_for(lambda: not system.accepts(self.port, self.address), "xrdp's port stays open")

    def typed(self):
        path = self.home / "typed"
        return path.read_text() if path.exists() else ""

    def monitors(self):
        """Width, height and place of each, as programs in the session see them."""
        return sorted(tuple(map(int, m)) for m in re.findall(r"(\d+)/\d+x(\d+)/\d+\+(\d+)\+(\d+)", (self.home / "monitors").read_text()))

    def sessions(self):
        path = self.home / "sessions"
        return path.read_text().count("started") if path.exists() else 0

    def connections(self):
        return (self.dir / "xrdp.log").read_text().count("TLS connection established")

    def paint(self):
        """Twelve patterns over the whole screen, 75 MB of pixels."""
        (self.home / "paint").touch()
        system.wait_for((self.home / "painted").exists, "the session does not paint", 60)

    def sign_out(self):
        (self.home / "leave").touch()


def make_certificate(cert, key, name="xrdp"):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", str(key),
        "-out", str(cert)], check=True, capture_output=True)
