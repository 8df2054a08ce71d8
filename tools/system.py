"""A whole Engawa on one machine, as ./demo, the system tests and ./bench start it: mail server, controller, gate, an office PC
with its own X server, and the agent. Everything is kept in one directory and listens on the loopback only."""
import ctypes
import email
import email.policy
import json
import mailbox
import os
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
ORGANISATION = "engawa-shi"
ADDRESS = "tanaka@city.engawa.example"
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """What went wrong, in words for the person who started us."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, timeout_s=15, every_s=0.05):
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: nothing after {timeout_s} s")
        time.sleep(every_s)


def accepts(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Part:
    """One program that keeps running; it dies with us, whatever happens to us."""

    def __init__(self, name, argv, log, ready, env=None, pass_fds=()):
        self.name, self.argv, self.log, self.ready, self.env, self.pass_fds = name, argv, log, ready, env, pass_fds
        self.process = None

    def start(self, env=None, prefix=()):
        out = open(self.log, "ab")
        start = out.tell()
        self.process = subprocess.Popen([*prefix, *map(str, self.argv)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=(self.env or os.environ) | (env or {}), pass_fds=self.pass_fds,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM))
        out.close()
        try:
            wait_for(lambda: self.running() and self.ready(), f"{self.name} does not start", 20)
        except Failed as failure:
            self.stop()
            raise Failed(f"{failure}\n{self.log_tail(start)}") from None
        return self

    def log_tail(self, start=0):
        return self.log.read_text(errors="replace").encode()[start:][-3000:].decode(errors="replace")

    def running(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} stopped with status {self.process.returncode}")
        return True

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def kill(self, number=signal.SIGKILL):
        if self.alive:
            self.process.send_signal(number)
            self.process.wait(10)

    def stop(self):
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


class Mail:
    """What the mail server took in."""

    def __init__(self, directory):
        self.box = mailbox.Maildir(directory, create=True, factory=None)

    def messages(self):
        """Newest last."""
        read = [(float(key.split(".")[0].split("M")[0]), key, self.box.get_bytes(key)) for key in self.box.keys()]
        return [email.message_from_bytes(text, policy=email.policy.default) for _, _, text in sorted(read)]

    def count(self):
        return len(self.box.keys())

    def newest_pin(self):
        for message in reversed(self.messages()):
            found = re.search(r"(?<!\d)(\d{4}) ?(\d{4})(?!\d)", message.get_content())
            if found:
                return found[1] + found[2]
        return None

    def clear(self):
        self.box.clear()
