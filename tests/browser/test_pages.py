"""Every page against a relay and an office PC that do what the test says (web/tests/office.ts)."""
import json
import time

import pytest

import system
from chromium import Failed

CODE = "12345678"
LANGUAGES = ["ja", "en"]
KEY = {"webauthn": {"rpId": "localhost", "userVerification": True}, "digits": 0, "expiresS": 0, "maskedAddress": ""}
LOOKS = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "narrow": {"viewport": {"width": 320, "height": 640}},
}


@pytest.fixture(autouse=True)
def clean_console(chromium):
    """No page may say anything to the console, the content security policy least of all."""
    yield
    assert chromium.own.console() == []


@pytest.fixture(autouse=True)
def good_office(office):
    office.drain(0.01)
    office.behave()


def open_page(chromium, office, language="ja", **options):
    chromium.own.open(options or LOOKS["wide"])
    chromium.page.goto(office.url)
    if language != "ja":
        chromium.page.click(f"button[lang={language}]")


def ask(chromium, office, terminal_id=None):
    chromium.page.fill("#terminal-id", terminal_id or office.terminal_id)
    chromium.page.click(".button-main")


def type_code(chromium, code=CODE):
    chromium.wait("#code")
    chromium.page.fill("#code", code)
    chromium.page.click(".button-main")


def type_password(chromium, password="ひみつ"):
    chromium.wait("#password")
    chromium.page.fill("#password", password)
    chromium.page.click(".button-main")


def log_in(chromium, office, **options):
    open_page(chromium, office, **options)
    ask(chromium, office)
    type_code(chromium)
    type_password(chromium)
    chromium.wait("canvas")


def outcome(chromium):
    chromium.wait(".banner")
    return chromium.text("main")


def expected_picture(width, height):
    """desktopPixel of office.ts."""
    rgba = bytearray()
    for y in range(height):
        for x in range(width):
            if y < 28:
                rgba += b"\x26\x2a\x2e\xff"
            elif (x >> 6) % 4 == 1 and (y >> 5) % 3 == 1:
                rgba += b"\xe8\xf1\xfd\xff"
            else:
                rgba += bytes(((x ^ y) & 255, y * 5 & 255, x * 3 & 255, 255))
    return bytes(rgba)


class TestAccessibility:
    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("look", LOOKS)
    def test_axe_and_reflow(self, chromium, office, language, look):
        def check(page):
            assert chromium.own.axe() == [], page
            assert chromium.page.evaluate("document.documentElement.lang") == language
            width = chromium.page.evaluate("document.documentElement.scrollWidth")
            assert width <= LOOKS[look]["viewport"]["width"], f"{page} scrolls sideways"
            small = chromium.page.evaluate("""[...document.querySelectorAll('button, input:not([hidden]), a[href]:not(.skip)')]
                .map(e => [e.outerHTML, e.getBoundingClientRect()]).filter(([, r]) => r.width < 24 || r.height < 24).map(([h]) => h)""")
            assert small == [], page

        office.behave(wrongCodes=1, wrongPasswords=1, message="規則", notice={"code": 1019, "seconds": 60})
        open_page(chromium, office, language, **LOOKS[look])
        check("terminal ID")
        ask(chromium, office, "ABCD-EFGH-JKMN-PQRS")
        chromium.wait(".error")
        check("terminal ID, wrong")
        ask(chromium, office)
        chromium.wait("#code")
        check("code")
        type_code(chromium, "00000000")
        chromium.wait("#code-error .error")
        check("code, wrong")
        type_code(chromium)
        chromium.wait("#password")
        check("password")
        type_password(chromium)
        chromium.wait("#password-error .error")
        check("password, wrong")
        type_password(chromium)
        chromium.wait(".notice button >> nth=1")
        check("desktop")
        chromium.page.click(".button-end")
        chromium.wait(".banner")
        check("ended")
        office.behave(refused={"code": 330, "support": "内線1234", "retryS": 600})
        chromium.page.click(".button-main")
        ask(chromium, office)
        chromium.wait(".banner-error")
        check("refused")
        office.behave(hold=True)
        chromium.page.click(".button-main")
        ask(chromium, office)
        chromium.wait(".spinner")
        check("progress")
        chromium.page.click("text=中止する" if language == "ja" else "text=Cancel")
        chromium.wait("#terminal-id")

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("look", LOOKS)
    @pytest.mark.parametrize("name, behaviour, field", [
        ("app", {"promptKind": 3, "prompt": {"digits": 6, "expiresS": 0}}, "#code"),
        ("paper", {"promptKind": 4, "prompt": {"digits": 0, "expiresS": 0}}, "#code"),
        ("key", {"promptKind": 5, "prompt": KEY}, "#elsewhere"),
        ("new key", {"promptKind": 6, "prompt": KEY}, "#elsewhere"),
        ("new address", {"prompt": {"newAddress": True}}, "#code"),
        ("persons", {"person": True}, "#user"),
    ])
    def test_axe_of_every_prompt(self, chromium, office, language, look, name, behaviour, field):
        office.behave(**behaviour)
        open_page(chromium, office, language, **LOOKS[look])
        ask(chromium, office)
        if name == "persons":
            type_code(chromium)
        chromium.wait(field)
        assert chromium.own.axe() == []
        assert chromium.page.evaluate("document.documentElement.scrollWidth") <= LOOKS[look]["viewport"]["width"]
        if name == "persons":
            type_password(chromium)  # and no name
            chromium.wait("#user-error .error")
            assert chromium.own.axe() == []

    def test_whole_login_by_keyboard(self, chromium, office):
        open_page(chromium, office)
        chromium.wait("#terminal-id:focus")
        chromium.keyboard.type(office.terminal_id)
        chromium.keyboard.press("Enter")
        chromium.wait("#code:focus")
        assert chromium.page.getAttribute("#code", "autocomplete") == "one-time-code"
        chromium.keyboard.type("1234-5678")
        chromium.keyboard.press("Enter")
        chromium.wait("#password:focus")
        chromium.keyboard.type("secret")
        chromium.keyboard.press("Tab")
        chromium.keyboard.press("Space")
        chromium.wait("#password[type=text]")
        chromium.keyboard.press("Tab")
        chromium.keyboard.press("Enter")
        chromium.wait("textarea:focus")
        assert office.next("ack") == 1
        chromium.keyboard.press("Control+Alt+Home")  # the only way out of the screen, and it says so
        chromium.wait(".toolbar button:focus")
        assert "Ctrl+Alt+Home" in chromium.page.getAttribute("textarea", "aria-label")
        for _ in range(4):
            chromium.keyboard.press("Tab")
            if chromium.page.evaluate("document.activeElement.className").endswith("button-end"):
                break
            if chromium.page.evaluate("document.activeElement.tagName") == "TEXTAREA":
                raise AssertionError("the end button cannot be reached")
        chromium.keyboard.press("Enter")
        assert "接続を終了しました" in outcome(chromium)

    def test_language_changes_in_place(self, chromium, office):
        open_page(chromium, office)
        chromium.page.fill("#terminal-id", "half typed")
        chromium.page.click("button[lang=en]")
        chromium.see("Connect to your office PC")
        assert chromium.page.inputValue("#terminal-id") == "half typed"
        system.wait_for(lambda: "Terminal ID" in chromium.page.title(), "the title stays Japanese")
        chromium.page.reload()
        chromium.see("Connect to your office PC")  # remembered

    def test_large_text_and_forced_colors(self, chromium, office):
        open_page(chromium, office, viewport={"width": 640, "height": 450}, deviceScaleFactor=2, forcedColors="active",
            reducedMotion="reduce")  # 1280x900 at 200 %
        assert chromium.own.axe() == []
        assert chromium.page.evaluate("document.documentElement.scrollWidth") <= 640


class TestLogin:
    def test_facts_and_replies(self, chromium, office):
        log_in(chromium, office)
        facts = office.next("facts")
        assert facts["kind"] == 2 and facts["windowMib"] in (8, 32) and facts["locale"] == "ja"
        assert "Linux" in facts["os"] and not facts["mac"]
        assert office.next("reply") == {"kind": 1, "text": CODE}
        assert office.next("reply") == {"kind": 2, "text": "ひみつ"}

    def test_words_are_of_the_handshake(self, chromium, office):
        seen = set()
        for _ in range(3):
            open_page(chromium, office)
            ask(chromium, office)
            chromium.wait(".words")
            seen.add(chromium.text(".words dd"))
        assert len(seen) == 3

    @pytest.mark.parametrize("typed", ["１２３４５６７８", "1234 5678", " 12345678\n"])
    def test_forms_of_the_code(self, chromium, office, typed):
        open_page(chromium, office)
        ask(chromium, office)
        type_code(chromium, typed)
        chromium.wait("#password")

    def test_incomplete_code_is_not_sent(self, chromium, office):
        open_page(chromium, office)
        ask(chromium, office)
        type_code(chromium, "1234567")
        chromium.see("8桁の数字を入力してください。")
        type_code(chromium)
        assert office.next("reply") == {"kind": 1, "text": CODE}

    @pytest.mark.parametrize("language, wrong_code, wrong_password", [
        ("ja", "確認コードが違います。", "パスワードが違います。"), ("en", "The code is wrong.", "The password is wrong.")])
    def test_wrong_code_and_password(self, chromium, office, language, wrong_code, wrong_password):
        office.behave(wrongCodes=1, wrongPasswords=1)
        open_page(chromium, office, language)
        ask(chromium, office)
        type_code(chromium, "00000000")
        chromium.see(wrong_code)
        assert "EW-324" in chromium.text()
        assert chromium.page.inputValue("#code") == ""
        type_code(chromium)
        type_password(chromium)
        chromium.see(wrong_password)
        assert "EW-1013" in chromium.text()
        type_password(chromium)
        chromium.wait("canvas")

    def test_name_of_the_person(self, chromium, office):
        """Asked for with the password, where the office PC says so; it stays when the password was wrong."""
        office.behave(person=True, wrongPasswords=1)
        open_page(chromium, office)
        ask(chromium, office)
        type_code(chromium)
        chromium.wait("#user:focus")
        chromium.page.fill("#user", " tanaka ")
        type_password(chromium)
        office.next("reply")
        assert office.next("reply") == {"kind": 2, "text": "ひみつ", "user": "tanaka"}
        chromium.wait("#password-error .error")
        assert chromium.page.inputValue("#user") == "tanaka"
        type_password(chromium)
        assert office.next("reply") == {"kind": 2, "text": "ひみつ", "user": "tanaka"}

    @pytest.mark.parametrize("kind, typed, sent", [
        (3, "123456", "123456"), (4, "abcde-fghjk-mnpqr-stvwx", "abcdefghjkmnpqrstvwx"), (1, "ABCDE-FGHJK-MNPQR-STVWX-YZ012", "ABCDEFGHJKMNPQRSTVWXYZ012")])
    def test_codes_of_every_kind(self, chromium, office, kind, typed, sent):
        office.behave(promptKind=kind, prompt={"digits": 6 if kind == 3 else 8})
        open_page(chromium, office)
        ask(chromium, office)
        type_code(chromium, typed)
        assert office.next("reply") == {"kind": kind, "text": sent}

    @pytest.mark.parametrize("behaviour, kind", [
        ({"promptKind": 3, "prompt": {"digits": 6}}, 3), ({"promptKind": 4}, 4), ({"promptKind": 5, "prompt": KEY}, 5), ({"promptKind": 6, "prompt": KEY}, 6),
        ({"prompt": {"newAddress": True}}, 1)])
    def test_another_way(self, chromium, office, behaviour, kind):
        office.behave(**behaviour)
        open_page(chromium, office)
        ask(chromium, office)
        chromium.wait("#elsewhere")
        chromium.page.click("#elsewhere")
        assert office.next("reply") == {"kind": kind, "text": ""}

    @pytest.mark.parametrize("code, text", [(1400, "届かずに戻ってきました"), (1401, "配送が遅れている")])
    def test_mail_that_came_back(self, chromium, office, code, text):
        """Said beside the field, which works as before: a code from paper may be typed there."""
        office.behave(news=code)
        open_page(chromium, office)
        ask(chromium, office)
        chromium.see(text)
        assert f"EW-{code}" in chromium.text()
        chromium.page.fill("#code", "12345678")
        chromium.page.press("#code", "Enter")
        assert office.next("reply") == {"kind": 1, "text": "12345678"}

    def test_mail_that_does_not_come(self, chromium, office):
        """What to do is said, and a new mail can be asked for after a while, not at once."""
        chromium.own.open(LOOKS["wide"])
        chromium.clock.install()
        chromium.page.goto(office.url)
        ask(chromium, office)
        chromium.wait("#resend[disabled]")
        assert "旧方式" in chromium.text() and "迷惑メール" in chromium.text() and "送り直しても届かないときは、管理者に連絡" in chromium.text()
        chromium.clock.runFor(31000)
        chromium.wait("#resend:not([disabled])")
        chromium.page.click("#resend")
        assert office.next("reply") == {"kind": 1, "text": ""}
        chromium.wait("#resend[disabled]")

    @pytest.mark.parametrize("language, failure", [("ja", "操作が完了しませんでした"), ("en", "not used in time")])
    def test_security_key(self, chromium, office, language, failure):
        """Without one the page says what to do and asks again; with one it signs."""
        office.behave(promptKind=5, prompt=KEY)
        open_page(chromium, office, language)
        key = chromium.own.plugIn({"automaticPresenceSimulation": True})
        ask(chromium, office)
        chromium.wait("#elsewhere")
        chromium.page.click(".button-main")  # no key of this site is on it
        chromium.see(failure)
        assert "EW-1103" in chromium.text() and chromium.own.axe() == []
        office.behave(promptKind=6, prompt=KEY)
        open_page(chromium, office, language)
        key = chromium.own.plugIn({})
        ask(chromium, office)
        chromium.wait("#elsewhere")
        chromium.page.click(".button-main")
        assert office.next("reply") == {"kind": 6, "text": "", "key": True}
        [made] = chromium.own.keys(key)
        assert made["rpId"] == "localhost" and made["isResidentCredential"]
        chromium.wait("#password")

    def test_attack_key_prompt_for_another_site(self, chromium, office):
        """An office PC that asks for a signature for another site: the browser refuses, nothing is sent."""
        office.behave(promptKind=5, prompt=KEY | {"webauthn": {"rpId": "bank.example", "userVerification": True}})
        open_page(chromium, office)
        chromium.own.plugIn({})
        ask(chromium, office)
        chromium.wait("#elsewhere")
        chromium.page.click(".button-main")
        chromium.see("EW-1103")
        assert [e for e in office.drain() if "reply" in e] == []

    def test_terminal_id_with_a_mistake_is_found_here(self, chromium, office):
        open_page(chromium, office)
        changed = office.terminal_id[:-1] + ("0" if office.terminal_id[-1] != "0" else "1")
        ask(chromium, office, changed)
        chromium.see("検査文字が一致しません")
        assert [e for e in office.drain() if "hello" in e] == []

    def test_unknown_terminal(self, chromium, office):
        open_page(chromium, office)
        ask(chromium, office, "0000-0000-0000-0000")
        assert "EW-202" in outcome(chromium)
        assert "端末IDが正しくないか" in chromium.text()

    def test_refusal_shows_support_and_time(self, chromium, office):
        office.behave(refused={"code": 330, "support": "情報政策課 内線1234", "retryS": 600})
        open_page(chromium, office)
        ask(chromium, office)
        text = outcome(chromium)
        assert "EW-330" in text and "情報政策課 内線1234" in text and "10分後" in text

    @pytest.mark.parametrize("behaviour, code", [
        ({"connectCode": 257}, 257),
        ({"connectStatus": 503}, 257),
        ({"bye": 1007}, 1007),
        ({"helloVersion": 2}, 1001),
        ({"statement": "signature"}, 1006),
        ({"statement": "anchor"}, 1006),
        ({"statement": "key"}, 1006),
        ({"statement": "expired"}, 1006),
        ({"statement": "garbage"}, 1000),
    ])
    def test_stopped_before_any_fact(self, chromium, office, behaviour, code):
        """A gate or controller that lies, an office PC that is another one: nothing of the person leaves."""
        office.behave(**behaviour)
        open_page(chromium, office)
        ask(chromium, office)
        assert f"EW-{code}" in outcome(chromium)
        assert [e for e in office.drain() if "facts" in e] == []
        if behaviour.get("connectStatus"):
            chromium.own.open({})  # Chromium says 503 to the console by itself

    def test_cancel_is_at_once(self, chromium, office):
        office.behave(hold=True)
        open_page(chromium, office)
        ask(chromium, office)
        office.next("held")
        chromium.wait(".spinner")
        chromium.page.click("text=中止する")
        chromium.wait("#terminal-id")  # while the relay has not answered
        office.behave()
        office.next("answered")
        late = office.drain(1)
        assert chromium.page.isVisible("#terminal-id")  # nothing late changes the page
        assert [e for e in late if "hello" in e] == []

    @pytest.mark.parametrize("behaviour", [{"promptKind": 99}, {"promptKind": 0}, {"promptTwice": True}])
    def test_prompts_out_of_order(self, chromium, office, behaviour):
        office.behave(**behaviour)
        open_page(chromium, office)
        ask(chromium, office)
        assert "EW-1000" in outcome(chromium)

    def test_device_key_is_kept_and_secret(self, chromium, office):
        log_in(chromium, office)
        key = """async () => {
            const open = indexedDB.open("engawa");
            await new Promise(done => open.onsuccess = done);
            const get = open.result.transaction("keys").objectStore("keys").get("device");
            await new Promise(done => get.onsuccess = done);
            return { name: get.result.privateKey.algorithm.name, extractable: get.result.privateKey.extractable,
                public: Array.from(get.result.publicKey).join() };
        }"""
        first = chromium.page.evaluate(f"({key})()")
        chromium.page.reload()
        ask(chromium, office)
        chromium.wait("#code")
        assert chromium.page.evaluate(f"({key})()") == first
        assert first["name"] == "X25519" and first["extractable"] is False

    def test_nothing_secret_stays(self, chromium, office):
        log_in(chromium, office)
        kept = chromium.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])")
        assert office.terminal_id not in kept and CODE not in kept and "ひみつ" not in kept
        assert json.loads(kept)[1:3] == [{}, ""]


# When the screen is there, and when it is not any more.
WATCH_THE_PATH = """new MutationObserver(() => {
    const shown = document.querySelector("canvas") !== null;
    if (shown) window.began ??= performance.now();
    else if (window.began) window.ended ??= performance.now();
}).observe(document.body, { subtree: true, childList: true })"""


class TestDesktop:
    def test_picture_is_exact(self, chromium, office):
        office.behave(width=500, height=300)
        log_in(chromium, office)
        assert office.next("ack") == 1
        got = chromium.pixels()
        assert (got.width, got.height) == (500, 300)
        assert got.rgba == expected_picture(500, 300)

    def test_layout_changes(self, chromium, office):
        office.behave(width=500, height=300, then="layout")
        log_in(chromium, office)
        assert office.next("ack") == 1
        assert office.next("ack") == 2
        system.wait_for(lambda: chromium.pixels().rgba == expected_picture(800, 600), "the picture is not drawn in its new size")

    def test_keys(self, chromium, office):
        log_in(chromium, office)
        office.drain()
        chromium.keyboard.press("Shift+A")
        assert [office.next("key") for _ in range(4)] == [
            {"usage": 0xe1, "keysym": 0xffe1, "down": True},
            {"usage": 0x04, "keysym": 0x41, "down": True},
            {"usage": 0x04, "keysym": 0x41, "down": False},
            {"usage": 0xe1, "keysym": 0xffe1, "down": False},
        ]
        for key, code, usage, keysym in ("\\", "IntlRo", 0x87, 0x5c), ("Convert", "Convert", 0x8a, 0xff23), ("é", "Digit2", 0x1f, 0xe9):
            chromium.page.dispatchEvent("textarea", "keydown", {"key": key, "code": code})
            chromium.page.dispatchEvent("textarea", "keyup", {"key": key, "code": code})
            assert [office.next("key") for _ in range(2)] == [{"usage": usage, "keysym": keysym, "down": down} for down in (True, False)]
        chromium.page.dispatchEvent("textarea", "keydown", {"key": "ZenkakuHankaku", "code": "Backquote"})  # its release never comes
        assert [office.next("key") for _ in range(2)] == [{"usage": 0x35, "keysym": 0xff2a, "down": down} for down in (True, False)]
        before = chromium.pixels().rgba
        chromium.keyboard.press("Enter")
        assert office.next("ack") > 1
        end = time.monotonic() + 10
        while chromium.pixels().rgba == before:  # drawn in a worker: the page shows it a moment later
            assert time.monotonic() < end

    def test_repeat_is_not_sent_and_leaving_releases(self, chromium, office):
        log_in(chromium, office)
        office.drain()
        for _ in range(3):
            chromium.keyboard.down("x")
        chromium.keyboard.down("Control")
        chromium.page.focus(".button-end")
        keys = [e["key"] for e in office.gather(lambda events: sum("key" in e for e in events) >= 4) if "key" in e]
        assert [(k["usage"], k["down"]) for k in keys] == [(0x1b, True), (0xe0, True), (0x1b, False), (0xe0, False)]
        chromium.keyboard.up("x")
        chromium.keyboard.up("Control")

    def test_pointer_buttons_and_wheel(self, chromium, office):
        office.behave(width=1280, height=800)
        log_in(chromium, office)
        box = chromium.page.evaluate("(() => { const r = document.querySelector('canvas').getBoundingClientRect();"
            " return [r.left, r.top, r.width, r.height]; })()")
        at = lambda x, y: (box[0] + (x + .5) * box[2] / 1280, box[1] + (y + .5) * box[3] / 800)
        office.drain()
        chromium.mouse.move(*at(100, 200))
        assert office.next("pointer") == {"x": 100, "y": 200, "buttons": 0}
        for button, bit in ("left", 1), ("middle", 2), ("right", 4):
            chromium.mouse.down({"button": button})
            assert office.next("pointer") == {"x": 100, "y": 200, "buttons": bit}
            chromium.mouse.up({"button": button})
            assert office.next("pointer") == {"x": 100, "y": 200, "buttons": 0}
        chromium.mouse.wheel(0, 200)
        assert [office.next("pointer")["buttons"] for _ in range(4)] == [16, 0, 16, 0]
        chromium.mouse.wheel(-100, -100)
        assert [office.next("pointer")["buttons"] for _ in range(4)] == [32, 0, 8, 0]
        chromium.mouse.down()
        assert office.next("pointer")["buttons"] == 1
        chromium.mouse.move(box[0] + 5, 1)  # outside: stays on the edge
        assert office.next("pointer") == {"x": int(5 * 1280 / box[2]), "y": 0, "buttons": 1}
        chromium.mouse.up()

    def test_moves_are_merged(self, chromium, office):
        log_in(chromium, office)
        office.drain()
        chromium.page.evaluate("""async () => {
            const area = document.querySelector("textarea");
            for (let i = 0; i < 400; i++) {
                area.dispatchEvent(new PointerEvent("pointermove", { isPrimary: true, clientX: 200 + i, clientY: 300 }));
            }
        }""")
        assert len([e for e in office.drain() if "pointer" in e]) <= 2

    def test_composed_text(self, chromium, office):
        log_in(chromium, office)
        office.drain()
        chromium.page.click("text=この端末の日本語入力を使う")
        chromium.own.compose("日本語")
        assert office.next("text") == "日本語"
        assert chromium.page.inputValue("textarea") == ""
        chromium.keyboard.press("b")
        assert office.next("key")["usage"] == 5
        long = "縁側で話をする。" * 5
        chromium.own.compose(long)
        pieces = [e["text"] for e in office.gather(lambda events: sum(len(e["text"]) for e in events if "text" in e) >= len(long)) if "text" in e]
        assert "".join(pieces) == long and all(len(p.encode()) <= 48 for p in pieces)

    def test_pasting_carries_nothing(self, chromium, office):
        log_in(chromium, office)
        office.drain()
        chromium.page.click("text=この端末の日本語入力を使う")
        chromium.page.evaluate("""() => {
            const data = new DataTransfer();
            data.setData("text/plain", "secret");
            const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
            if (document.querySelector("textarea").dispatchEvent(event)) throw new Error("not prevented");
        }""")
        assert [e for e in office.drain() if "text" in e] == []

    def test_fit_and_actual_size(self, chromium, office):
        office.behave(width=2000, height=1500)
        log_in(chromium, office)
        size = "(() => { const r = document.querySelector('canvas').getBoundingClientRect(); return [r.width, r.height]; })()"
        width, height = chromium.page.evaluate(size)
        assert width <= 1280 and height <= 900 and abs(width / height - 4 / 3) < 0.01
        chromium.page.click("text=表示")
        chromium.page.click("text=等倍")
        assert chromium.page.evaluate(size) == [2000, 1500]
        scrolled = chromium.page.evaluate("(() => { const s = document.querySelector('.stage'); s.scrollTo(9999, 9999);"
            " return [s.scrollLeft, s.scrollTop]; })()")
        assert scrolled[0] > 0 and scrolled[1] > 0

    def test_cursor_of_the_office_pc(self, chromium, office):
        log_in(chromium, office)
        style = system.wait_for(lambda: chromium.page.evaluate("document.querySelector('textarea').style.cursor"), "no cursor")
        assert style.startswith('url("data:image/png;base64,') and style.endswith(" 0 0, default")

    def test_idle_notice(self, chromium, office):
        office.behave(notice={"code": 1019, "seconds": 60})
        log_in(chromium, office)
        chromium.see("操作がないため、あと")
        chromium.page.click("text=接続を続ける")
        assert office.next("continue") is True
        system.wait_for(lambda: not chromium.page.isVisible(".notice"), "the warning stays")

    @pytest.mark.parametrize("code, text", [(1171, "利用時間が終わるため、あと10分00秒で接続を終了します。"), (1172, "1回の接続で利用できる時間が終わるため、あと")])
    def test_notice_of_an_end(self, chromium, office, code, text):
        office.behave(notice={"code": code, "seconds": 600})
        log_in(chromium, office)
        chromium.see(text)
        chromium.page.click("text=閉じる")
        system.wait_for(lambda: not chromium.page.isVisible(".notice"), "the notice stays")

    @pytest.mark.parametrize("code, text", [(1019, "操作がなかったため"), (1017, "管理者が接続を終了しました"), (1018, "別の端末から接続されたため"),
        (1171, "利用時間の外"), (1172, "時間の上限に達したため"), (1173, "人の操作とは考えられない速さ"), (1174, "同じ端末から新しく接続されたため")])
    def test_ended_by_the_other_side(self, chromium, office, code, text):
        office.behave(end=code)
        open_page(chromium, office)
        ask(chromium, office)
        type_code(chromium)
        type_password(chromium)
        assert text in outcome(chromium)
        assert f"EW-{code}" in chromium.text() and "接続を終了しました" in chromium.text("h1")

    def test_end_button_tells_the_office_pc(self, chromium, office):
        log_in(chromium, office)
        chromium.page.click(".button-end")
        assert office.next("end") == 1016
        assert "接続を終了しました" in outcome(chromium)

    @pytest.mark.parametrize("then, code", [
        ("garbage", 1000), ("seq", 1000), ("prompt", 1000), ("unknown", 1000), ("cursor", 1000), ("close", 1003)])
    def test_violations_end_the_session(self, chromium, office, then, code):
        office.behave(then=then)
        open_page(chromium, office)
        ask(chromium, office)
        type_code(chromium)
        type_password(chromium)
        assert f"EW-{code}" in outcome(chromium)
        assert chromium.page.isVisible("canvas") is False

    def test_dead_path(self, chromium, office):
        office.behave(then="silence")
        open_page(chromium, office)
        chromium.page.evaluate(WATCH_THE_PATH)
        ask(chromium, office)
        type_code(chromium)
        type_password(chromium)
        assert "EW-1003" in outcome(chromium)
        assert 2000 < chromium.page.evaluate("window.ended - window.began") < 15000  # in the page's own time
        assert "接続が切れました" in chromium.text("h1")

    def test_pings_keep_a_quiet_session(self, chromium, office):
        log_in(chromium, office)
        time.sleep(5)
        assert chromium.page.isVisible("canvas")

    def test_page_that_was_busy(self, chromium, office):
        """The computer had no time for the page: its own silence is not the path's, which is looked at again afterwards."""
        log_in(chromium, office)
        office.next("ack")
        chromium.page.evaluate("(() => { const end = performance.now() + 3600; while (performance.now() < end); })()")
        time.sleep(1.6)
        assert chromium.page.isVisible("canvas")


def test_old_browser(chromium, office):
    chromium.own.open({})
    chromium.context.addInitScript({"content": "crypto.subtle.generateKey = () => Promise.reject(new Error('NotSupported'))"})
    chromium.page.goto(office.url)
    assert "EW-1060" in outcome(chromium)


def test_no_relay(chromium, office):
    open_page(chromium, office)
    chromium.context.setOffline(True)
    ask(chromium, office)
    assert "EW-216" in outcome(chromium)
    chromium.own.open({})  # Chromium says ERR_INTERNET_DISCONNECTED to the console by itself


def test_driver_reports_failures(chromium):
    with pytest.raises(Failed, match="no-such-element"):
        chromium.own.open({})
        chromium.page.click("#no-such-element", {"timeout": 10})
