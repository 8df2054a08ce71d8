"""From a photograph of the screen to session, office PC and time; and what those who do not want that can do."""
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest
from PIL import Image, ImageChops

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/load")]
import photographs  # noqa: E402
import system  # noqa: E402

LINES = [system.POLICY["WATERMARK_MESSAGE"], "K7QM-2345-6789-ABCD-EFGH  4F2A-91C0", "自宅PC yamada  203.0.113.7", "2026-11-22 13:08:22 JST"]
system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with system.Engawa(tmp_path_factory.mktemp("watermark")) as engawa:
        engawa.start()
        (engawa.dir / "agents.json").write_text(json.dumps(engawa.agents()))
        yield engawa


class Session:
    """One session's screenshot, and when it was."""

    def __init__(self, office, path):
        self.began = int(time.time())
        result = office.connect("--screenshot", path)
        assert result["status"] == 0, result
        self.code, self.path, self.ended = result["session"], path, int(time.time())
        self.picture = Image.open(path).convert("RGB")


@pytest.fixture(scope="module")
def sessions(office, tmp_path_factory):
    directory = tmp_path_factory.mktemp("screenshots")
    return [Session(office, directory / f"{i}.png") for i in range(2)]


def read(office, picture, *options, key=None, agents=None, env=None):
    """engawa watermark read, on a computer that knows no relay: status, what it says as JSON, words."""
    path = picture
    if isinstance(picture, Image.Image):
        path = office.dir / "photo.png"
        picture.save(path, compress_level=1)
    run = subprocess.run([system.BUILD / "src/cli/engawa", "watermark", "read", path, "--key", key or office.org_dir / "watermark.key",
        "--agents", agents or office.dir / "agents.json", *options], capture_output=True, text=True, timeout=300, env=os.environ | {"LC_ALL": "C.UTF-8"} | (env or {}))
    return run.returncode, json.loads(run.stdout) if run.stdout.startswith("{") else run.stdout, run.stderr


def marked(office, screen, agent_key, org_key, session, started_s):
    width, height = screen.size
    out = subprocess.run([system.BUILD / "tests/browser/mark_screen", str(width), str(height), "--code", agent_key, org_key, session, str(started_s), *LINES],
        input=screen.tobytes("raw", "BGRX"), capture_output=True, check=True).stdout
    return Image.frombytes("RGB", screen.size, out, "raw", "BGRX")


def own_key(directory, name):
    path = directory / name
    path.write_text(random.Random(name).randbytes(32).hex() + "\n")
    path.chmod(0o600)
    return path


def test_photograph_names_session_terminal_and_time(office, sessions):
    rng = random.Random(1)
    photo = photographs.jpeg(photographs.noisy(photographs.from_aside(sessions[0].picture, rng, (2000, 1300), 0.04), 4, rng), 60)
    status, said, words = read(office, photo, "--json", "--log", office.log_dir / "agent.log")
    assert status == 0, words
    assert said["session"] == sessions[0].code and sessions[0].began <= said["started_s"] <= sessions[0].ended
    [agent] = office.agents()
    assert (said["terminal_id"], said["agent"], said["org"]) == (office.terminal_id, agent["id"], system.ORGANISATION)
    assert any("session.start" in line for line in said["log"]) and all(sessions[0].code in line for line in said["log"])


def test_words_for_people_in_both_languages(office, sessions):
    status, said, _ = read(office, sessions[1].path)
    assert status == 0 and f"Session: {sessions[1].code}" in said and f"Terminal ID: {office.terminal_id}" in said
    status, said, _ = read(office, sessions[1].path, "--log", os.devnull, env={"LC_ALL": "ja_JP.UTF-8", "TZ": "Asia/Tokyo"})
    assert status == 0 and f"接続コード: {sessions[1].code}" in said and " JST" in said and "この接続はありません" in said


def test_corners_help(office, sessions):
    rng = random.Random(5)
    photo, corners = photographs.from_aside(sessions[0].picture, rng, (1600, 1200), 0.1, corners=True)
    status, said, words = read(office, photo, "--json", "--corners", ",".join(f"{v:.0f}" for point in corners for v in point))
    assert status == 0 and said["session"] == sessions[0].code, words


@pytest.mark.parametrize("corners", ["1,2,3", "0,0,1,0,1,1,0,nan", "5,5,5,5,5,5,5,5", "a,b,c,d,e,f,g,h"])
def test_bad_corners(office, sessions, corners):
    status, _, words = read(office, sessions[0].path, "--corners", corners)
    assert status == 1 and "EW-" in words


def test_what_is_no_photograph(office, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    for path in broken, tmp_path, pathlib.Path("/dev/null"):
        status, _, words = read(office, path)
        assert status == 1 and "EW-1281" in words
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate((64 << 20) + 1)
    status, _, words = read(office, huge)
    assert status == 1 and "EW-1282" in words
    status, _, words = read(office, tmp_path / "none.png")
    assert status == 1 and "none.png" in words


def test_no_mark_is_said_in_words(office):
    status, said, words = read(office, Image.new("RGB", (640, 400), (250, 250, 250)))
    assert status == 1 and said == "" and "EW-1280" in words


def test_attack_forged_colleague(office, sessions, tmp_path):
    """A person with a key of their own draws a colleague's session onto a picture without a mark, for the organisation's watermark key: it names nobody."""
    screen = office.grab().convert("RGB")
    forged = marked(office, screen, own_key(tmp_path, "forger.key"), office.org_dir / "watermark.key", sessions[0].code, sessions[0].began)
    status, said, words = read(office, forged)
    assert status == 1 and said == "" and "EW-1280" in words
    # the same with the office PC's own key is read: what was missing is the key
    genuine = marked(office, screen, office.agent_dir / "agent.key", office.org_dir / "watermark.key", sessions[0].code, sessions[0].began)
    status, said, words = read(office, genuine, "--json")
    assert status == 0 and said["session"] == sessions[0].code, words


def test_attack_read_with_another_organisations_key(office, sessions, tmp_path):
    """Somebody who has the list of office PCs and a watermark key of another organisation learns nothing from a photograph."""
    status, said, _ = read(office, sessions[0].path, key=own_key(tmp_path, "other.key"))
    assert status == 1 and said == ""


def test_attack_two_screenshots_subtracted(office, sessions):
    """A person lays the screenshots of two sessions over each other and keeps the lighter pixels, which takes most strokes off paper-white ground: the picture names
    one of the person's own sessions or nobody, never somebody else."""
    cleaned = ImageChops.lighter(sessions[0].picture, sessions[1].picture)
    status, said, _ = read(office, cleaned, "--json")
    if status == 0:
        assert said["session"] in [s.code for s in sessions] and said["terminal_id"] == office.terminal_id


def test_list_without_keys(office, sessions, tmp_path):
    agents = tmp_path / "agents.json"
    for text in "[]", '[{"agent_key": "zz"}]', "{}", '[{"agent_key": "' + "00" * 32 + '"}]', "[7, null]":
        agents.write_text(text)
        status, _, words = read(office, sessions[0].path, agents=agents)
        assert status == 1 and "EW-1284" in words
    agents.write_text("no json")
    status, _, words = read(office, sessions[0].path, agents=agents)
    assert status == 1 and "EW-" in words


def test_an_organisation_from_before_gets_a_key(office, tmp_path):
    """engawa watermark key makes one, once."""
    argv = [system.BUILD / "src/cli/engawa", "watermark", "key", "--dir", tmp_path]
    assert subprocess.run(argv, capture_output=True).returncode == 0
    key = (tmp_path / "watermark.key").read_text()
    assert len(key.strip()) == 64 and (tmp_path / "watermark.key").stat().st_mode & 0o777 == 0o600
    again = subprocess.run(argv, capture_output=True, text=True)
    assert again.returncode == 1 and (tmp_path / "watermark.key").read_text() == key
