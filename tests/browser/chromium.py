"""Chromium and the test office (web/tests/office.ts) for tests in Python."""
import base64
import collections
import contextlib
import json
import os
import pathlib
import queue
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WEB = ROOT / "web"
Picture = collections.namedtuple("Picture", "width height rgba")


class Failed(Exception):
    pass


class Program:
    """A program that speaks lines of JSON."""

    def __init__(self, argv, log, env=None):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=os.environ | (env or {}))
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def write(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def read(self, timeout_s=30):
        try:
            line = self.lines.get(timeout=timeout_s)
        except queue.Empty:
            raise Failed(f"{self.process.args[1]}: nothing after {timeout_s} s") from None
        if line is None:
            raise Failed(f"{self.process.args[1]} stopped, see {self.log.name}")
        return line

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)  # Chromium's many processes end one after another; killed, they would stay
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Target:
    """Calls pass on to Playwright's object of this name."""

    def __init__(self, driver, name):
        self._driver, self._name = driver, name

    def __getattr__(self, call):
        return lambda *args: self._driver.call(self._name, call, args)


class Chromium(Program):
    """trusted: the authority of pages, beside those of Debian."""

    def __init__(self, home, trusted=None):
        if trusted:
            store = home / ".pki/nssdb"
            store.mkdir(parents=True)
            certutil = lambda *args: subprocess.run(["certutil", "-d", f"sql:{store}", *map(str, args)], check=True)
            certutil("-N", "--empty-password")
            certutil("-A", "-t", "C,,", "-n", "page", "-i", trusted)
        super().__init__(["node", ROOT / "tests/browser/driver.mjs", json.dumps({"home": str(home)})], home / "driver.log")
        self.page, self.mouse, self.keyboard, self.context = (Target(self, name) for name in ("page", "mouse", "keyboard", "context"))
        self.own, self.clock = Target(self, "own"), Target(self, "clock")
        self.calls = 0

    def call(self, on, call, args):
        self.calls += 1
        self.write({"id": self.calls, "on": on, "call": call, "args": args})
        answer = self.read(60)
        assert answer["id"] == self.calls
        if "error" in answer:
            raise Failed(f"{on}.{call}{args}: {answer['error']}")
        return answer["value"]

    def wait(self, selector, timeout_ms=30000):
        """Until it is on the page."""
        try:
            self.page.waitForSelector(selector, {"timeout": timeout_ms})
        except Failed:
            raise Failed(f"no {selector} after {timeout_ms} ms; {self.page.url()} says: {self.text()}\n{self.own.console()}") from None

    def see(self, text):
        self.wait(f"text={text}")

    def text(self, selector="body"):
        return self.page.innerText(selector)

    def pixels(self):
        got = self.own.pixels()
        return Picture(got["width"], got["height"], base64.b64decode(got["rgba"]))

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.page.screenshot({"fullPage": True})))


class Office(Program):
    """The other side of the page; `behave` says what it does from the next session on."""

    def __init__(self, directory):
        bundle = directory / "office.mjs"
        subprocess.run(["node", WEB / "bundle.mjs", WEB / "tests/office.ts", bundle], check=True)
        super().__init__(["node", bundle, WEB / "dist"], directory / "office.log")
        ready = self.read()["ready"]
        self.url, self.terminal_id = ready["url"], ready["terminal_id"]

    def behave(self, **behaviour):
        self.write(behaviour)
        while "behaviour" not in self.read():
            pass

    def next(self, kind, timeout_s=30):
        """The next event of this kind; others before it are dropped."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            event = self.read(left)
            if kind in event:
                return event[kind]
        raise Failed(f"no {kind} event")

    def gather(self, enough, timeout_s=30):
        """Events until enough(those so far), and what still comes after them."""
        events, end = [], time.monotonic() + timeout_s
        while not enough(events):
            left = end - time.monotonic()
            if left <= 0:
                raise Failed(f"not enough events: {events}")
            with contextlib.suppress(Failed):
                events.append(self.read(left))
        return events + self.drain()

    def drain(self, wait_s=0.3):
        """Everything that came, and comes until nothing does for a while."""
        events = []
        while True:
            try:
                events.append(self.read(wait_s))
            except Failed:
                return events
