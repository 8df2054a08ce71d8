"""The whole system with a virtual display and an input method at the office PC: its monitors are those of the home PC, and composed text arrives."""
import os
import subprocess
import time

import pytest

import system
from whole import make, unmake

TEXT = "縁側のテレワーク：①髙﨑𠮷"


@pytest.fixture(scope="module")
def office():
    if os.geteuid() != 0:
        pytest.skip("Xorg takes a configuration file from root only")
    whole = make(virtual=True, ibus=True)
    try:
        yield whole.start()
    finally:
        unmake(whole)


def outputs(office):
    """Monitors as programs at the office PC see them."""
    lines = subprocess.run(["xrandr", "--listmonitors"], env=office.desktop_env, capture_output=True, text=True, timeout=20).stdout.splitlines()[1:]
    return sorted(line.split()[2] for line in lines)


def test_monitors_from_the_first_picture_on(office, tmp_path):
    """Two monitors with different scales, all in the screenshot; then one is unplugged; at the end all is as it was."""
    from PIL import Image
    before = outputs(office)
    picture = tmp_path / "all.png"
    result = office.connect("--monitors", "1920x1080+0+0@100,1280x1024+1920+0@125", "--screenshot", picture)
    assert result["code"] == 0, result
    assert result["screen"] == {"width": 3200, "height": 1080, "monitors": [[0, 0, 1920, 1080], [1920, 0, 1280, 1024]], "own_display": True}
    assert Image.open(picture).size == (3200, 1080)
    put_back = lambda: system.wait_for(lambda: outputs(office) == before, "the monitors are not put back", 30)
    put_back()  # by the desktop's process, which may end after the session does
    result = office.connect("--monitors", "1024x768,800x600+1024+0", "--wait", "300", "--layout", "1366x768@150", "--screenshot", picture)
    assert result["code"] == 0 and result["screen"]["monitors"] == [[0, 0, 1366, 768]] and Image.open(picture).size == (1366, 768)
    put_back()


def test_attack_monitors_that_no_display_has(office):
    """A client asks for monitors with more pixels than a display may have, at login and in the session: they stay as they are, and it goes on."""
    before = outputs(office)
    huge = "16384x16384+0+0,16384x16384+16384+0"
    result = office.connect("--monitors", huge, "--wait", "200", "--layout", huge, "--wait", "200", "--layout", "800x600+0+0,800x600+16384+16384")
    assert result["code"] == 0 and len(result["screen"]["monitors"]) == len(before) and result["screen"]["width"] < 16384, result


def test_composed_text_arrives_by_ibus(office):
    """From engawa connect through agent and IBus into the editor."""
    office.xdotool("search", "--onlyvisible", "--class", "mousepad", "windowactivate", "--sync")
    log = lambda: (office.log_dir / "agent.log").read_text()
    mark = len(log())
    client = office.client("--monitors", "1280x800", "--wait", "300", "--key", "Control+End", "--type", TEXT, "--for", "60s")
    try:
        system.wait_for(lambda: "session.heard" in log()[mark:], "no session", 30)
        time.sleep(1)  # Ctrl+S is not to meet Ctrl+End

        def saved():
            office.xdotool("windowfocus", office.window("mousepad").split()[0], "key", "ctrl+s")
            return TEXT in office.memo.read_text()
        system.wait_for(saved, "the text does not arrive", 50, 0.5)
    finally:
        client.terminate()
        assert client.wait(30) == 0
    # written by the desktop's process, which may end after the session does
    system.wait_for(lambda: f"desktop.text committed={len(TEXT)} typed=0 lost=0" in log()[mark:], "not by IBus", 30)
