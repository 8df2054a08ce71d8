"""Two gates and a home in another network, whose route to either gate can become a black hole: nobody hears a word, in both directions. For root, in a
network namespace of its own (enter)."""
import contextlib
import os
import pathlib
import subprocess
import tempfile

import system

GATES = {"east-1": "10.1.0.1", "west-1": "10.2.0.1"}
HOME, OFFICE = "192.168.9.2", "192.168.9.1"
# displays of another network have their own sockets too: an X server sees who has a number by the network's names only
OWN = 'mkdir -p -m 1777 /tmp/.X11-unix && mount -t tmpfs -o mode=1777 none /tmp/.X11-unix && exec "$@"'


def enter(*argv):
    """A command in a namespace of its own."""
    return ["unshare", "-n", "-m", "sh", "-c", OWN, "sh", *map(str, argv)]


def ip(*argv, pid=None):
    inside = ["nsenter", "-t", str(pid), "-n"] if pid else []
    subprocess.run([*inside, "ip", *map(str, argv)], check=True)


class Home:
    """Its namespace, kept by a process that does nothing, which ends with us."""

    def __init__(self):
        ip("link", "set", "lo", "up")
        for address in GATES.values():
            ip("addr", "add", f"{address}/32", "dev", "lo")
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], preexec_fn=lambda: system.libc.prctl(system.PR_SET_PDEATHSIG, 9))
        pid, mine = self.process.pid, os.readlink("/proc/self/ns/net")
        system.wait_for(lambda: os.readlink(f"/proc/{pid}/ns/net") != mine, "no namespace")
        ip("link", "add", "office", "type", "veth", "peer", "name", "home")
        ip("link", "set", "home", "netns", pid)
        ip("addr", "add", f"{OFFICE}/24", "dev", "office")
        ip("link", "set", "office", "up")
        ip("addr", "add", f"{HOME}/24", "dev", "home", pid=pid)
        ip("link", "set", "home", "up", pid=pid)
        ip("link", "set", "lo", "up", pid=pid)
        self.prefix = ["nsenter", "-t", str(pid), "-n"]  # of a command that runs at home
        for gate in GATES:
            self.find(gate)

    def lose(self, gate):
        ip("rule", "add", "from", GATES[gate], "to", HOME, "blackhole")
        ip("route", "replace", "blackhole", GATES[gate], pid=self.process.pid)

    def find(self, gate):
        """Again, or at first."""
        subprocess.run(["ip", "rule", "del", "from", GATES[gate], "to", HOME, "blackhole"], stderr=subprocess.DEVNULL)
        subprocess.run([*self.prefix, "ip", "route", "del", "blackhole", GATES[gate]], stderr=subprocess.DEVNULL)
        ip("route", "replace", GATES[gate], "via", OFFICE, pid=self.process.pid)

    def close(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def engawa_and_home():
    """Everything for a program of its own in here (not started yet, in a directory that goes away), and the home."""
    system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))
    with tempfile.TemporaryDirectory(prefix="engawa-") as directory:
        os.chmod(directory, 0o711)
        home = Home()
        try:
            with system.Engawa(directory, gates=tuple(GATES), hosts=GATES) as engawa:
                yield engawa, home
        finally:
            home.close()
