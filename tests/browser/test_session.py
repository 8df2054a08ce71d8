"""A person with a browser, through the real relay, at the real desktop."""
import json
import re
import select
import subprocess
import time

import pytest
from PIL import ImageChops

import scene
import system
from chromium import Failed
from shown import Shown, played

EDITOR = (300, 300)  # a point in it


@pytest.fixture(autouse=True)
def leaves_no_session(engawa, home_pc):
    yield
    home_pc.own.open({})
    engawa.end_sessions()


def open_page(home_pc, engawa, language="ja"):
    home_pc.own.open({"viewport": {"width": 1400, "height": 1000}})
    home_pc.page.goto(engawa.url)
    if language != "ja":
        home_pc.page.click(f"button[lang={language}]")


def submit(home_pc, field, text):
    home_pc.wait(field)
    home_pc.page.fill(field, text)
    home_pc.page.click(".button-main")


def ask(home_pc, engawa):
    """Up to the code; the mail that has it."""
    mails = engawa.mail.count()
    submit(home_pc, "#terminal-id", engawa.terminal_id)
    home_pc.wait("#code")
    system.wait_for(lambda: engawa.mail.count() > mails, "no mail")
    return engawa.mail.messages()[-1]


def pin(mail):
    return re.search(r"(?<!\d)(\d{4}) ?(\d{4})(?!\d)", mail.get_content()).expand(r"\1\2")


def log_in(home_pc, engawa, language="ja"):
    open_page(home_pc, engawa, language)
    return submit_all(home_pc, engawa)


def submit_password(home_pc, engawa):
    """Returns when."""
    home_pc.wait("#password")
    began_s = time.time()
    submit(home_pc, "#password", engawa.password)
    return began_s


def submit_prompts(home_pc, engawa):
    submit(home_pc, "#code", pin(ask(home_pc, engawa)))
    return submit_password(home_pc, engawa)


def submit_all(home_pc, engawa):
    """Returns what is shown then."""
    began_s = submit_prompts(home_pc, engawa)
    home_pc.wait("canvas")
    return Shown(engawa, home_pc, began_s)


def click(home_pc, x, y):
    left, top, width, height = home_pc.page.evaluate(
        "(() => { const r = document.querySelector('canvas').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()")
    home_pc.mouse.click(left + (x + .5) * width / 1280, top + (y + .5) * height / 800)


def arrives(engawa, text):
    """Until the file has it that the editor writes, told by somebody at the office PC."""
    def saved():
        stands_still(engawa)
        engawa.xdotool("windowfocus", engawa.window("mousepad").split()[0], "key", "ctrl+s")
        time.sleep(0.5)
        return text in engawa.memo.read_text()
    system.wait_for(saved, "the text does not arrive", 60)


CARET_PX = 3


def stands_still(engawa):
    """Waits until nothing is typed there any more: it comes at human rates, and Ctrl+S must not come in between."""
    before, since = engawa.grab(), time.monotonic()
    end = since + 30
    while time.monotonic() - since < 1 and time.monotonic() < end:
        time.sleep(0.1)
        now = engawa.grab()
        box = ImageChops.difference(now.convert("RGB"), before.convert("RGB")).getbbox()
        if box and box[2] - box[0] > CARET_PX:
            since = time.monotonic()
        before = now


def test_whole_login_keys_and_picture(engawa, home_pc):
    open_page(home_pc, engawa)
    mail = ask(home_pc, engawa)
    words = home_pc.text(".words dd").split()
    assert len(words) == 2 and all(word in mail.get_content() for word in words)
    submit(home_pc, "#code", pin(mail))
    began_s = submit_password(home_pc, engawa)
    home_pc.wait("canvas")
    shown = Shown(engawa, home_pc, began_s)
    click(home_pc, *EDITOR)
    home_pc.keyboard.press("Control+End")
    home_pc.keyboard.press("Shift+KeyE")
    home_pc.keyboard.type("ngawa from a browser; 1")
    home_pc.keyboard.press("Shift+Digit1")
    arrives(engawa, "Engawa from a browser; 1!")

    # The picture is that of the office PC, bit for bit, watermark included.
    shown.wait()
    picture = home_pc.pixels()
    assert (picture.width, picture.height) == (1280, 800)
    assert picture.rgba != engawa.grab().convert("RGBA").tobytes()

    home_pc.page.click(".button-end")
    home_pc.see("接続を終了しました")
    assert home_pc.own.console() == []
    assert [url for url in home_pc.own.requests() if not re.match(f"(https|wss)://localhost:{engawa.port}/|data:|blob:", url)] == []


def test_film(engawa, home_pc):
    """What moves like a film is decoded by the browser, and what it leaves is that of the office PC, bit for bit."""
    shown = log_in(home_pc, engawa)
    argv = [str(system.BUILD / "tests/system/moving"), "100", "80", "640", "360", "120"]
    seen, films = set(), []
    try:
        while len(seen) <= 3 and len(films) < 5:  # a busy computer sees little of one
            for film in films:
                film.stdin.close()
                film.wait(10)
            films.append(subprocess.Popen(argv, env=engawa.desktop_env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            while not select.select([films[-1].stdout], [], [], 0)[0]:
                seen.add(hash(home_pc.pixels().rgba))
        assert len(seen) > 3
        shown.wait()
    finally:
        film = films[-1]
        film.stdin.close()
        film.wait(10)
    assert "desktop.film " in engawa.agent.log.read_text()
    assert home_pc.own.console() == []


def test_recorded_work(engawa, home_pc, tmp_path):
    """Text scrolls, a window is dragged, photographs and a film play: whenever the office PC's screen stands still, the page shows the same, bit for bit.
    ./bench stills does it with the recordings of real work."""
    scene.record(tmp_path / "scene.rec", (1280, 800))
    shown, mark, stills = log_in(home_pc, engawa), len(engawa.agent.log.read_text()), []
    for _ in played(engawa, tmp_path / "scene.rec", scene.PART_MS):
        shown.wait()
        stills.append(home_pc.own.digest())
        if len(stills) == 2:  # with the mark of a session that began later it is another picture
            assert shown.differing() == 0 < Shown(engawa, home_pc, time.time()).differing()
    assert len(set(stills)) == len(stills) == scene.PARTS + 1
    assert "desktop.film " in engawa.agent.log.read_text()[mark:]
    assert home_pc.own.console() == []


DAMAGE = """(() => {
    const post = Worker.prototype.postMessage;
    let left = 1;
    Worker.prototype.postMessage = function (message, transfer) {
        return post.call(this, message.do === "frame" && left-- > 0 ? { ...message, data: message.data.map((byte) => byte ^ 0x5a) } : message, transfer);
    };
})()"""


def test_attack_damaged_picture(engawa, home_pc):
    """A picture comes that cannot be taken apart: the session goes on with a new stream of pictures, bit for bit that of the office PC."""
    shown = log_in(home_pc, engawa)
    mark = len(engawa.agent.log.read_text())
    home_pc.page.evaluate(DAMAGE)
    click(home_pc, *EDITOR)
    home_pc.keyboard.press("Control+End")
    home_pc.keyboard.type("before ")
    system.wait_for(lambda: "desktop.restart" in engawa.agent.log.read_text()[mark:], "the stream does not begin anew", 30)
    # what is typed before the page has the new stream is typed by nobody
    system.wait_for(lambda: "session.heard" in engawa.agent.log.read_text()[mark:], "the page does not come back", 30)
    shown.wait()
    click(home_pc, *EDITOR)
    home_pc.keyboard.type("after the damage")
    arrives(engawa, "after the damage")
    shown.wait()
    assert "session.start" not in engawa.agent.log.read_text()[mark:]


def test_composed_text(engawa, home_pc):
    log_in(home_pc, engawa)
    click(home_pc, *EDITOR)
    home_pc.keyboard.press("Control+End")
    home_pc.page.click("text=この端末の日本語入力を使う")
    home_pc.own.compose("縁側で、お茶。")
    arrives(engawa, "縁側で、お茶。")


def test_wrong_code_then_wrong_password(engawa, home_pc):
    open_page(home_pc, engawa)
    mail = ask(home_pc, engawa)
    submit(home_pc, "#code", "00000000" if pin(mail) != "00000000" else "00000001")
    home_pc.see("確認コードが違います。")
    assert "EW-324" in home_pc.text()
    submit(home_pc, "#code", pin(engawa.mail.messages()[-1]))
    submit(home_pc, "#password", "not the password")
    home_pc.see("パスワードが違います。")
    assert "EW-1013" in home_pc.text()
    submit(home_pc, "#password", engawa.password)
    home_pc.wait("canvas")


def test_unknown_terminal_in_english(engawa, home_pc):
    open_page(home_pc, engawa, "en")
    submit(home_pc, "#terminal-id", "0000-0000-0000-0000")
    home_pc.wait(".banner-error")
    text = home_pc.text("main")
    assert "EW-202" in text and "The terminal ID is not right, or the office PC cannot be reached." in text


def test_accessible_with_the_real_relay(engawa, home_pc):
    log_in(home_pc, engawa, "en")
    assert home_pc.own.axe() == []


def test_ended_by_the_administrator(engawa, home_pc):
    log_in(home_pc, engawa)
    [session] = json.loads(engawa.tool("engawa", "session", "list", "--json"))
    engawa.tool("engawa", "session", "end", session.get("id") or session["session_id"])
    home_pc.wait(".banner")
    assert re.search(r"EW-(1017|1003)", home_pc.text("main"))


def test_two_sessions_one_after_another_without_a_reload(engawa, home_pc):
    log_in(home_pc, engawa)
    home_pc.page.click(".button-end")
    home_pc.wait(".banner")
    home_pc.page.click(".button-main")
    submit_all(home_pc, engawa)


WATCH_THE_NOTICE = """(() => {
    window.noticeGone = false;
    new MutationObserver(() => { window.noticeGone ||= document.querySelector(".notice") === null; }).observe(document.body, { subtree: true, childList: true });
})()"""


def test_idle_warning_and_end(engawa, home_pc):
    """Warned a minute before; the button, or any input, takes the warning away; who does neither is out."""
    engawa.sign_policy(IDLE_TIMEOUT=62)
    try:
        log_in(home_pc, engawa)
        home_pc.see("操作がないため、あと")
        home_pc.page.evaluate(WATCH_THE_NOTICE)  # it may be back before anybody has looked
        home_pc.page.click("text=接続を続ける")
        system.wait_for(lambda: home_pc.page.evaluate("window.noticeGone"), "the warning stays")
        home_pc.see("操作がないため、あと")
        home_pc.page.evaluate(WATCH_THE_NOTICE)
        home_pc.keyboard.press("Shift")
        system.wait_for(lambda: home_pc.page.evaluate("window.noticeGone"), "the warning stays")
        home_pc.page.click(".button-end")
        home_pc.wait(".banner")
        engawa.sign_policy(IDLE_TIMEOUT=3)
        home_pc.page.click(".button-main")
        submit_prompts(home_pc, engawa)
        home_pc.wait(".banner")  # the screen is there for three seconds only
        assert "EW-1019" in home_pc.text("main") and "接続を終了しました" in home_pc.text("h1")
    finally:
        engawa.sign_policy()


def wait_until_present(engawa):
    def present():
        [agent] = json.loads(engawa.tool("engawa", "agent", "list", "--json"))
        return agent["gates"]
    system.wait_for(present, "the office PC does not come back", 30)


def test_controller_down(engawa, home_pc):
    """The session goes on; who asks anew is told."""
    log_in(home_pc, engawa)
    engawa.controller.stop()
    try:
        before = home_pc.pixels()
        click(home_pc, *EDITOR)
        home_pc.keyboard.type("goes on")
        system.wait_for(lambda: home_pc.pixels() != before, "the picture does not change")
        home_pc.page.click(".button-end")
        home_pc.wait(".banner")
        home_pc.page.click(".button-main")
        submit(home_pc, "#terminal-id", engawa.terminal_id)
        home_pc.wait(".banner-error")
        assert "EW-257" in home_pc.text("main")
    finally:
        engawa.controller.start()
        wait_until_present(engawa)


def test_agent_killed(engawa, home_pc):
    log_in(home_pc, engawa)
    engawa.agent.kill()
    engawa.agent.start()  # and knows nothing of the session
    wait_until_present(engawa)
    home_pc.wait(".banner-error")
    assert "EW-1220" in home_pc.text("main") and "接続が切れました" in home_pc.text("h1")


# --- security keys ---------------------------------------------------------------------------------------------------


def office(engawa, *argv, **options):
    return engawa.tool("engawa", "agent", *argv, "--state-directory", engawa.agent_dir, **options)


@pytest.fixture
def keys(engawa):
    """Policy takes security keys; none is left behind."""
    engawa.sign_policy(OTP_WEBAUTHN="on", WEBAUTHN_RP_ID="localhost", WEBAUTHN_ORIGIN=f"https://localhost:{engawa.port}")
    try:
        yield
    finally:
        while office(engawa, "key", "list"):
            office(engawa, "key", "remove", "1")
        office(engawa, "key", "cancel")
        office(engawa, "unlock")
        engawa.sign_policy()


def use_key(home_pc):
    home_pc.wait("#elsewhere")
    home_pc.page.click(".button-main")


def register_key(home_pc, engawa, label="家の鍵"):
    """As a person does it: the code from the office PC, a key at home, the whole login."""
    code = office(engawa, "key", "add", label)
    open_page(home_pc, engawa)
    key = home_pc.own.plugIn({})
    ask(home_pc, engawa)
    submit(home_pc, "#code", code)
    home_pc.see("登録コードを確認しました")
    use_key(home_pc)
    home_pc.see("今登録したキーを使ってください")
    assert office(engawa, "key", "list") == ""  # not before the whole login
    use_key(home_pc)
    submit(home_pc, "#password", engawa.password)
    home_pc.wait("canvas")
    return home_pc.own.keys(key)[0]


def test_security_key_from_registration_to_removal(engawa, home_pc, keys):
    mails = engawa.mail.count()
    credential = register_key(home_pc, engawa)
    assert "家の鍵" in office(engawa, "key", "list") and engawa.agent_status()["keys"] == 1
    system.wait_for(lambda: engawa.mail.count() == mails + 2, "no mail about the key")
    assert "セキュリティキーを登録しました" in engawa.mail.messages()[-1]["Subject"]
    home_pc.page.click(".button-end")
    home_pc.wait(".banner")
    home_pc.page.click(".button-main")
    submit(home_pc, "#terminal-id", engawa.terminal_id)
    use_key(home_pc)
    submit(home_pc, "#password", engawa.password)
    home_pc.wait("canvas")
    assert engawa.mail.count() == mails + 2
    office(engawa, "key", "remove", "1")
    open_page(home_pc, engawa)
    home_pc.own.copyKey(home_pc.own.plugIn({}), credential)
    ask(home_pc, engawa)  # a mail again, as before


def test_attack_copy_of_a_key(engawa, home_pc, keys):
    """Whoever read the private key out of it signs with a counter that was seen: refused, and the owner's key still works."""
    credential = register_key(home_pc, engawa)
    home_pc.page.click(".button-end")
    home_pc.wait(".banner")
    open_page(home_pc, engawa)
    thief = home_pc.own.plugIn({})
    home_pc.own.copyKey(thief, credential | {"signCount": 0})
    submit(home_pc, "#terminal-id", engawa.terminal_id)
    use_key(home_pc)
    home_pc.see("EW-1101")
    assert "why=counter" in (engawa.log_dir / "agent.log").read_text()
    home_pc.page.click("text=中止する")
    open_page(home_pc, engawa)
    home_pc.own.copyKey(home_pc.own.plugIn({}), credential | {"signCount": 7})
    submit(home_pc, "#terminal-id", engawa.terminal_id)
    use_key(home_pc)
    home_pc.wait("#password")


def test_attack_key_without_its_pin(engawa, home_pc, keys):
    """Somebody else's touch: the browser gets no signature without the PIN that policy demands."""
    credential = register_key(home_pc, engawa)
    open_page(home_pc, engawa)
    home_pc.own.copyKey(home_pc.own.plugIn({"isUserVerified": False}), credential)
    submit(home_pc, "#terminal-id", engawa.terminal_id)
    use_key(home_pc)
    home_pc.see("EW-1103")


def test_a_page_of_an_unknown_authority_is_refused(engawa, chromium):
    chromium.own.open({})
    with pytest.raises(Failed, match="ERR_CERT_AUTHORITY_INVALID"):
        chromium.page.goto(engawa.url)


def test_gate_dies(engawa, home_pc):
    """The page goes on by itself when the relay is back: no login, the same desktop, and meanwhile nothing to look at."""
    log_in(home_pc, engawa)
    mails = engawa.mail.count()
    code = home_pc.text(".toolbar-code")
    engawa.gate.kill()
    try:
        home_pc.see("再接続しています")
        assert home_pc.page.evaluate("getComputedStyle(document.querySelector('canvas')).visibility") == "hidden"
    finally:
        engawa.gate.start()
    home_pc.see("庁内PCに接続しました")
    assert home_pc.text(".toolbar-code") == code and engawa.mail.count() == mails
    click(home_pc, *EDITOR)
    home_pc.keyboard.press("Control+End")
    home_pc.keyboard.type("the page came back")
    arrives(engawa, "the page came back")


WATCH_FOR_BREAKS = """(() => {
    const canvas = document.querySelector("canvas");
    window.breaks = [];
    const look = () => {
        const now = document.querySelector("canvas");
        const why = now !== canvas ? "another canvas" : getComputedStyle(canvas).visibility === "hidden" ? "hidden" : null;
        if (why && !window.breaks.includes(why)) window.breaks.push(why);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
})()"""


def test_gate_is_drained(engawa, home_pc):
    """A gate that goes, and another one at the same host: what is typed meanwhile arrives, and nothing is to be seen of it. And then the path
    breaks after all: the picture, which was kept, is there again without a new one."""
    log_in(home_pc, engawa)
    log = lambda: (engawa.log_dir / "agent.log").read_text()
    mails, since = engawa.mail.count(), len(log())
    home_pc.page.evaluate(WATCH_FOR_BREAKS)
    click(home_pc, *EDITOR)
    home_pc.keyboard.press("Control+End")
    old = engawa.gate
    old.process.terminate()
    system.wait_for(lambda: not system.accepts(engawa.port), "the gate still takes connections")
    engawa.start_gate()
    end = time.monotonic() + 60
    for number in range(1000):
        home_pc.keyboard.type(f"{number},")
        if "session.resumed" in log()[since:]:
            break
        assert time.monotonic() < end, "the session does not move"
        time.sleep(0.5)
    typed = "".join(f"{n}," for n in range(number + 2))
    home_pc.keyboard.type(f"{number + 1},")
    arrives(engawa, typed)
    assert home_pc.page.evaluate("window.breaks") == []
    assert "session.lost" not in log()[since:] and 'picture="goes on"' in log()[since:] and engawa.mail.count() == mails
    old.process.wait(30)
    since = len(log())
    engawa.gate.kill()
    engawa.gate.start()
    # only then is what is typed for somebody
    system.wait_for(lambda: "session.heard" in log()[since:].partition("session.resumed")[2], "the session does not come back", 60)
    home_pc.see("庁内PCに接続しました")
    assert 'picture="goes on"' in log()[since:] and "desktop.restart" not in log()[since:]
    click(home_pc, *EDITOR)
    home_pc.keyboard.type("once more")
    arrives(engawa, "once more")
