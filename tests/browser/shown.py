"""What the page shows, beside what stands on the office PC's screen, bit for bit; and recorded work on that screen."""
import datetime
import functools
import hashlib
import re
import subprocess
import time

import numpy

import system


def marked(engawa, mark):
    """R G B A of the office PC's screen now, with this watermark, computed at the office PC's side."""
    screen = engawa.grab().convert("RGB")
    width, height = screen.size
    code, second, lines = mark
    out = subprocess.run([system.BUILD / "tests/browser/mark_screen", str(width), str(height), "--code", engawa.agent_dir / "agent.key",
        engawa.org_dir / "watermark.key", code, str(second), *lines],
        input=screen.tobytes("raw", "BGRX"), capture_output=True, check=True).stdout
    rgba = bytearray(b"\xff") * len(out)
    rgba[0::4], rgba[1::4], rgba[2::4] = out[2::4], out[1::4], out[0::4]
    return bytes(rgba)


def watermark_of(engawa, home_pc, second):
    """Code, start and lines of the session whose page is open, if it started then."""
    shown = home_pc.page.evaluate("navigator.userAgent")
    version = re.search(r"Chrome/(\d+)", shown)[1]
    code = home_pc.text(".toolbar-code").split()[-1]
    when = datetime.datetime.fromtimestamp(second).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    return code, second, [system.POLICY["WATERMARK_MESSAGE"], f"{engawa.terminal_id}  {code}", f"Chrome {version}   127.0.0.1", when]


class Shown:
    """Of a session that has its first picture, and whose password was given not before began_s."""

    def __init__(self, engawa, home_pc, began_s):
        self.engawa, self.home_pc = engawa, home_pc
        self.seconds = range(int(began_s), int(time.time()) + 1)

    @functools.cached_property
    def marks(self):
        """One of them is the session's."""
        return [watermark_of(self.engawa, self.home_pc, second) for second in self.seconds]

    def same(self):
        digest = self.home_pc.own.digest()
        for mark in self.marks:
            if hashlib.sha256(marked(self.engawa, mark)).hexdigest() == digest:
                self.marks = [mark]
                return True
        return False

    def wait(self, timeout_s=60):
        try:
            system.wait_for(self.same, "the pictures differ", timeout_s, 0.2)
        except system.Failed as failure:
            raise system.Failed(f"{failure}; {self.differing()} pixels are not the office PC's") from None

    def differing(self):
        """How many pixels are not the office PC's."""
        shown = numpy.frombuffer(self.home_pc.pixels().rgba, "u4")
        screens = [numpy.frombuffer(marked(self.engawa, mark), "u4") for mark in self.marks]
        return min(int(numpy.count_nonzero(screen != shown)) if screen.size == shown.size else screen.size for screen in screens)


def played(engawa, recording, hold_ms):
    """Plays it on the office PC's screen, which has its size. Yields whenever nothing moves there: at its beginning, after each hold_ms of it, and at
    its end; it goes on with the next one."""
    replay = subprocess.Popen([system.BUILD / "tests/load/replay", recording, str(hold_ms)], env=engawa.desktop_env, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        for line in replay.stdout:
            if line in ("ready\n", "hold\n"):
                yield
                replay.stdin.write("\n")
            elif line == "end\n":
                yield
                return
        raise system.Failed(f"{recording} is not played to its end")
    finally:
        replay.stdin.close()
        replay.stdout.close()
        replay.kill()
        replay.wait(10)
