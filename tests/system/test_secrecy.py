"""The relay reads nothing: what only home and office may know is searched for in the memory and the logs of everything else."""
import contextlib
import os
import pathlib
import re
import secrets
import subprocess
import time

import numpy
import pytest

import system

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reading the memory of other users' processes needs root")
EDITOR = "400,300"


def memory(pid):
    """Everything a process has in memory and could write to a core dump, mapping by mapping."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:  # of one that has ended there is nothing
            first, last, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if mode[0] != "r" or "[vvar" in line or "[vsyscall" in line:
                continue
            try:
                mem.seek(int(first, 16))
                yield mem.read(int(last, 16) - int(first, 16))
            except OSError:
                pass


def found(part, needles):
    """Names of the needles that are in the memory of a program."""
    return {name for pid in system.family(part.pid) for block in memory(pid) for name, needle in needles.items() if needle in block}


def forms(name, text):
    """A text as it might lie about: as it is, and as wide characters."""
    return {name: text.encode(), f"{name}, UTF-16": text.encode("utf-16-le"), f"{name}, UTF-32": text.encode("utf-32-le")}


def pieces(image, width=24):
    """Pieces of pixel rows that nothing else looks like, as they are in a framebuffer (B G R X) and in the stream of pictures (B G R):
    many, because the watermark crosses some of them."""
    pixels = numpy.asarray(image.convert("RGB"))[75:200, 45:890, ::-1]
    changes = (numpy.diff(pixels.astype(int), axis=1) != 0).any(axis=2)
    scores = numpy.lib.stride_tricks.sliding_window_view(changes, width, axis=1).sum(axis=2)
    best = [row for row in range(len(scores)) if scores[row].max() > width // 2]
    assert len(best) > 4, "nothing is written there"
    needles = {}
    for row in best:
        start = int(scores[row].argmax())
        piece = pixels[row, start:start + width]
        needles[f"picture {row}"] = piece.tobytes()
        for fourth in 0, 255:
            padded = numpy.concatenate([piece, numpy.full((width, 1), fourth, numpy.uint8)], axis=1)
            needles[f"framebuffer {row}, {fourth}"] = padded.tobytes()
    return needles


@pytest.fixture(scope="module")
def session(engawa):
    """A session that lives while we look, with canaries typed, shown and sent."""
    word = "canary" + "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(12))
    kana = "かなりあ" + "".join(secrets.choice("あいうえおかきくけこさしすせそ") for _ in range(8))
    argv = engawa.connect_argv("--click", EDITOR, "--key", "Control+a", "--type", f"{word} {kana}\n", "--key", "Control+s", "--for", "300s")
    live = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    system.wait_for(lambda: engawa.agent_status()["working"], "no session", 30)
    system.wait_for(lambda: f"{word} {kana}" in engawa.memo.read_text(), "the words are not typed", 60)
    time.sleep(1)  # drawn
    pin = engawa.mail.newest_pin()
    picture = pieces(engawa.grab())
    system.wait_for(lambda: {name.split()[0] for name in found(Client(live), picture)} >= {"framebuffer"}, "the picture is not sent", 60, 0.5)
    needles = forms("word", word) | forms("kana", kana) | forms("password", engawa.password) | picture
    yield {"needles": needles, "pin": pin, "client": live, "engawa": engawa}
    live.terminate()
    live.wait(20)


class Client:
    def __init__(self, process):
        self.pid = process.pid


def test_search_finds_what_is_there(session):
    """The control: the same search, where these things have to be."""
    engawa, needles = session["engawa"], session["needles"]
    kinds = {name.split()[0] for name in found(engawa.agent, needles) | found(Client(session["client"]), needles)}
    assert kinds >= {"word", "kana", "framebuffer", "picture"}


def test_gate_memory(session):
    engawa = session["engawa"]
    plain = engawa.terminal_id.replace("-", "")
    needles = session["needles"] | forms("code", session["pin"]) | forms("terminal", engawa.terminal_id) | forms("terminal, plain", plain)
    assert found(engawa.gate, needles) == set()


def test_controller_memory(session):
    """It mails the code and knows the terminal, and nothing else of it."""
    assert found(session["engawa"].controller, session["needles"]) == set()


def test_agent_forgets(session):
    """Typed secrets of the login are gone from every process of the agent once work has begun."""
    engawa = session["engawa"]
    assert found(engawa.agent, forms("password", engawa.password) | forms("code", session["pin"])) == set()


def test_logs(session):
    engawa = session["engawa"]
    plain = engawa.terminal_id.replace("-", "")
    secret = session["needles"] | {"code": session["pin"].encode()}
    for log in pathlib.Path(engawa.log_dir).glob("*.log"):
        text = log.read_bytes()
        assert not [name for name, needle in secret.items() if needle in text], log
        assert engawa.terminal_id.encode() not in text and plain.encode() not in text, log


def test_nothing_on_disk(session):
    """Neither the relay's files nor the agent's keep anything of a session or the password itself."""
    engawa = session["engawa"]
    for path in [p for name in ("ca", "controller", "run", "agent") for p in (engawa.dir / name).rglob("*") if p.is_file()]:
        content = path.read_bytes()
        assert not [name for name, needle in session["needles"].items() if needle in content], path
