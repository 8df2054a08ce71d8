"""A desk at the office for tests: an X server with a screen that can be dark, a keyboard and a mouse that somebody could touch
(Xorg's dummy and inputtest drivers), and the buses of a desktop with a session manager and a screen lock (dbusmock: there is
neither a seat nor a kernel that sleeps here)."""
import os
import pathlib
import re
import secrets
import select
import socket
import struct
import subprocess
import time

import dbus

import system

KEYBOARD, MOUSE = "Office keyboard", "Office mouse"
CTRL, ALT, DELETE, A = 37, 64, 119, 38
XORG = system.XORG + """
Section "InputDevice"
	Identifier "Office keyboard"
	Driver "inputtest"
	Option "DeviceType" "Keyboard"
	Option "SocketPath" "{dir}/keyboard"
EndSection
Section "InputDevice"
	Identifier "Office mouse"
	Driver "inputtest"
	Option "DeviceType" "Pointer"
	Option "SocketPath" "{dir}/mouse"
EndSection
Section "ServerLayout"
	Identifier "layout"
	Screen "screen"
	InputDevice "Office keyboard" "CoreKeyboard"
	InputDevice "Office mouse" "CorePointer"
EndSection
"""
LOGIN, MANAGER_PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
SAVER, SAVER_PATH = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
MOCK = "org.freedesktop.DBus.Mock"


def wait_for(condition, what, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return value


class Bus:
    """A bus of our own, with one mocked service on it."""

    def __init__(self, directory, name, prefix=()):
        self.path = directory / name
        self.address = f"unix:path={self.path}"
        conf = directory / f"{name}.conf"
        conf.write_text(f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>{self.address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>""")
        self.children = [subprocess.Popen([*prefix, "dbus-daemon", "--nofork", "--nosyslog", f"--config-file={conf}"], umask=0)]
        self.connection = wait_for(self.connect, "no bus")

    def connect(self):
        try:
            return dbus.bus.BusConnection(self.address)
        except dbus.exceptions.DBusException:
            return None

    def mock(self, *arguments, name):
        env = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": self.address, "DBUS_SESSION_BUS_ADDRESS": self.address}
        self.children.append(subprocess.Popen(["/usr/bin/python3", "-m", "dbusmock", *arguments], env=env, stdout=subprocess.DEVNULL))
        wait_for(lambda: self.connection.name_has_owner(name), f"{name} does not come")

    def at(self, name, path, interface=MOCK):
        return dbus.Interface(self.connection.get_object(name, path), interface)

    def stop(self):
        self.connection.close()
        for child in reversed(self.children):
            child.terminate()
            child.wait(10)


class Manager(Bus):
    """logind as dbusmock has it, with the one session of this desktop."""

    def __init__(self, directory, display, uid, kind="x11", prefix=()):
        super().__init__(directory, "system-bus", prefix)
        self.mock("--template", "logind", name=LOGIN)
        mock = self.at(LOGIN, MANAGER_PATH)
        mock.AddSession("c1", "seat0", dbus.UInt32(uid), "tanaka", True)
        self.session = "/org/freedesktop/login1/session/c1"
        self.set(Type=kind, Display=display, Class="user")

    def set(self, **properties):
        self.at(LOGIN, self.session).UpdateProperties(LOGIN + ".Session", properties)

    def inhibitors(self):
        return [tuple(map(str, i[:4])) for i in self.at(LOGIN, MANAGER_PATH, LOGIN + ".Manager").ListInhibitors()]

    def refuse(self):
        """No lock is given to anybody any more."""
        self.at(LOGIN, MANAGER_PATH).AddMethod(LOGIN + ".Manager", "Inhibit", "ssss", "h",
            'raise dbus.exceptions.DBusException("no", name="org.freedesktop.DBus.Error.AccessDenied")')

    def prepare_for_sleep(self, going=True):
        self.at(LOGIN, MANAGER_PATH).EmitSignal(LOGIN + ".Manager", "PrepareForSleep", "b", [going])

    def obeys(self, locks=True):
        """Whether the desktop locks when it is told to, and says so."""
        self.at(LOGIN, self.session).AddMethod(LOGIN + ".Session", "Lock", "", "",
            'self.UpdateProperties("org.freedesktop.login1.Session", {"LockedHint": True})' if locks else "")

    @property
    def locked(self):
        return bool(self.at(LOGIN, self.session, "org.freedesktop.DBus.Properties").Get(LOGIN + ".Session", "LockedHint"))

    def calls(self, method, session="c1"):
        return [c for c in self.at(LOGIN, self.session.replace("c1", session)).GetCalls() if str(c[1]) == method]


class Saver(Bus):
    """A desktop's screen lock."""

    def __init__(self, directory, prefix=()):
        super().__init__(directory, "session-bus", prefix)
        self.mock("--session", SAVER, SAVER_PATH, SAVER, name=SAVER)
        self.mocked = self.at(SAVER, SAVER_PATH)
        self.mocked.AddMethod(SAVER, "GetActive", "", "b", 'ret = getattr(self, "locked", False)')
        self.works()

    def works(self):
        self.mocked.AddMethod(SAVER, "Lock", "", "", 'self.locked = True; self.EmitSignal("", "ActiveChanged", "b", [True])')

    def fails(self):
        self.mocked.AddMethod(SAVER, "Lock", "", "", "")

    def set(self, locked):
        self.mocked.AddMethod(SAVER, "Set", "b", "", 'self.locked = args[0]; self.EmitSignal("", "ActiveChanged", "b", [args[0]])')
        self.at(SAVER, SAVER_PATH, SAVER).Set(locked)

    @property
    def locked(self):
        return bool(self.at(SAVER, SAVER_PATH, SAVER).GetActive())

    @property
    def asked(self):
        return len([c for c in self.mocked.GetCalls() if str(c[1]) == "Lock"])


class Touch:
    """Somebody's hand on the keyboard at the office (Xorg's inputtest driver)."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.settimeout(20)
        self.socket.send(struct.pack("=IIHH", 12, 0, 1, 0))
        assert self.socket.recv(12)[4:8] == bytes(4)

    def key(self, key, press):
        self.socket.send(struct.pack("=IIiI", 16, 5, key, press))
        self.socket.send(struct.pack("=II", 8, 1))  # until the server has it
        assert select.select([self.socket], [], [], 20)[0]
        self.socket.recv(64)

    def press(self, *keys):
        for key in keys:
            self.key(key, 1)
        for key in reversed(keys):
            self.key(key, 0)

    def close(self):
        self.socket.close()


class Office:
    """The X server and what one sees of it."""

    def __init__(self, directory, uid=0, server="Xorg", options=()):
        self.directory, self.touches = pathlib.Path(directory), []
        (self.directory / "xorg.conf").write_text(XORG.format(dir=self.directory))
        self.authority = self.directory / "Xauthority"
        self.cookie = secrets.token_bytes(16)
        ours, theirs = os.pipe()
        subprocess.run(["xauth", "-f", str(self.authority), "add", ":0", "MIT-MAGIC-COOKIE-1", self.cookie.hex()], check=True, capture_output=True)
        own = ["-config", str(self.directory / "xorg.conf"), "-logfile", str(self.directory / "Xorg.log"), "-sharevts", "-novtswitch"] \
            if server == "Xorg" else ["-screen", "0", "1024x768x24"]
        self.server = subprocess.Popen([server, "-displayfd", str(theirs), "-nolisten", "tcp", "-noreset", "-auth", str(self.authority), *own, *options],
            pass_fds=[theirs], stdout=subprocess.DEVNULL, stderr=open(self.directory / "server.log", "wb"))
        os.close(theirs)
        with open(ours) as number:
            self.display = ":" + number.readline().strip()
        assert self.display != ":", (self.directory / "server.log").read_text()
        subprocess.run(["xauth", "-f", str(self.authority), "add", self.display, "MIT-MAGIC-COOKIE-1", self.cookie.hex()], check=True, capture_output=True)
        os.chown(self.authority, uid, -1)
        self.env = {"PATH": os.environ["PATH"], "DISPLAY": self.display, "XAUTHORITY": str(self.authority), "LANG": "C.UTF-8",
            "HOME": str(self.directory)} | {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}

    def run(self, *argv):
        return subprocess.run(argv, env=self.env, check=True, capture_output=True, text=True, timeout=30).stdout

    def settings(self):
        """Everything that is changed during a session, byte by byte."""
        ramps = subprocess.run(["/usr/bin/python3", str(pathlib.Path(__file__).with_name("office_gamma.py"))], env=self.env, check=True,
            capture_output=True, text=True, timeout=30).stdout
        devices = self.run("xinput", "list", "--short")
        props = "".join(self.run("xinput", "list-props", name) for name in (KEYBOARD, MOUSE) if name in devices)
        return ramps, devices, props, self.run("xset", "q"), "_ENGAWA_GUARD" in self.run("xprop", "-root")

    def ramps(self):
        return self.settings()[0].splitlines()

    def is_dark(self):
        lit = [line.split()[-1] for line in self.ramps() if "lit" in line]
        return bool(lit) and all(set(line) == {"0"} for line in lit)

    def floating(self):
        return sorted(re.findall(r"∼ (.*?)\s*id=", self.run("xinput", "list", "--short")))

    def touch(self):
        """The driver takes one connection, once."""
        if not self.touches:
            self.touches.append(Touch(self.directory / "keyboard"))
        return self.touches[0]

    def stop(self):
        for touch in self.touches:
            touch.close()
        if self.server.poll() is None:
            self.server.terminate()
        self.server.wait(20)
