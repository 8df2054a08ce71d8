"""What is shown of the office PC's screen and how large, its monitors, keyboards and input methods; the office is web/tests/office.ts."""
import base64
import io
import time

import pytest
from PIL import Image

from test_pages import clean_console, good_office, log_in  # noqa: F401 (fixtures)

SMALL = [(1366, 768), (1024, 768)]
TWO = [[0, 0, 1440, 800], [1440, 0, 800, 600]]
CANVAS = "(() => { const r = document.querySelector('canvas').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
SCREEN = "(() => { const r = document.querySelector('.screen').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
STAGE = "(() => { const s = document.querySelector('.stage'), r = s.getBoundingClientRect(); return [r.left, r.top, s.clientWidth, s.clientHeight]; })()"
SCROLLED = "(() => { const s = document.querySelector('.stage'); return [s.scrollLeft, s.scrollTop]; })()"


def wait_for(condition, what, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return value


def look(chromium, office, size, ratio=1, **behaviour):
    office.behave(**behaviour)
    log_in(chromium, office, viewport={"width": size[0], "height": size[1]}, deviceScaleFactor=ratio)
    office.drain()


def view(chromium, *choices):
    chromium.page.click("text=表示")
    chromium.wait(".view-panel")
    for choice in choices:
        chromium.page.click(f".view-panel >> text={choice}")
    chromium.keyboard.press("Escape")


def color(x, y):
    """R G B of the office's picture: desktopPixel in web/tests/office.ts."""
    if y < 28:
        return 0x26, 0x2A, 0x2E
    if (x >> 6) % 4 == 1 and (y >> 5) % 3 == 1:
        return 0xE8, 0xF1, 0xFD
    return (x ^ y) & 255, (y * 5) & 255, (x * 3) & 255


def place(chromium, x, y, width, height):
    """Where on the page a pixel of the office PC is seen, by the picture's own place."""
    left, top, w, h = chromium.page.evaluate(CANVAS)
    return left + (x + .5) * w / width, top + (y + .5) * h / height


def pointed(chromium, office, at):
    chromium.mouse.move(*at)
    pointer = office.next("pointer")
    return pointer["x"], pointer["y"]


def photograph(chromium):
    return Image.open(io.BytesIO(base64.b64decode(chromium.page.screenshot({})))).convert("RGB")


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize("ratio", [1, 1.25, 2])
def test_every_pixel_is_pointed_at_exactly(chromium, office, size, ratio):
    """Small displays at home, two monitors at the office: shrunk, one of them, and one on one."""
    look(chromium, office, size, ratio, width=2240, height=800, monitors=TWO)
    for choices, x, y, w, h in [([], 0, 0, 2240, 800), (["画面2"], 1440, 0, 800, 600), (["画面1"], 0, 0, 1440, 800)]:
        view(chromium, *choices)
        left, top, width, height = chromium.page.evaluate(SCREEN)
        room = chromium.page.evaluate(STAGE)
        assert width <= room[2] + 1 and height <= room[3] + 1 and abs(width / height - w / h) < 0.01  # all of it is seen, undistorted
        for px, py in (x, y), (x + w - 1, y + h - 1), (x + 100, y + 321), (x + w // 2, y + h // 3), (x + 777, y + 555):
            assert pointed(chromium, office, place(chromium, px, py, 2240, 800)) == (px, py)
    view(chromium, "等倍")
    for px, py in (3, 40), (500, 300), (801, 499):
        at = place(chromium, px, py, 2240, 800)
        assert pointed(chromium, office, at) == (px, py)
        seen = photograph(chromium).getpixel((int(at[0] * ratio), int(at[1] * ratio)))
        assert max(abs(a - b) for a, b in zip(seen, color(px, py))) <= 2  # and it is the pixel that is seen there


@pytest.mark.parametrize("size", SMALL)
def test_own_display_has_the_pixels_of_the_window(chromium, office, size):
    """A virtual display gets the room that there is: nothing is scaled, so text is as sharp as at the office."""
    look(chromium, office, size, ownDisplay=True)
    room = [side // 2 * 2 for side in chromium.page.evaluate(STAGE)[2:]]
    left, top, width, height = wait_for(lambda: (c := chromium.page.evaluate(CANVAS))[2:] == room and c, "not the size of the window")

    def exact():
        picture = photograph(chromium)  # but for the ring around what has the keyboard
        return all(picture.getpixel((int(left) + x, int(top) + y)) == color(x, y) for x in range(3, int(width) - 3, 37) for y in range(3, int(height) - 3, 29))
    wait_for(exact, "the picture is scaled")


def test_scale_and_window_are_told(chromium, office):
    look(chromium, office, (1366, 768), ownDisplay=True)
    chromium.page.click("text=表示")
    chromium.page.click("text=150%")
    def scaled():
        return (want := office.next("want"))[0][4] == 150 and want[0]  # the window itself may have told its size before
    x, y, width, height, _ = wait_for(scaled, "the choice is not told")
    assert (x, y, width) == (0, 0, 1366) and 600 < height < 768
    # a window on its way to another size has many; one is told
    office.drain()
    chromium.page.evaluate(RESIZES)
    for step in range(10):
        chromium.page.setViewportSize({"width": 1300 - 20 * step, "height": 700})
    last = [[0, 0, 1120, height - 68, 150]]
    wants = [event["want"] for event in office.gather(lambda events: any(event.get("want") == last for event in events)) if "want" in event]
    pauses = chromium.page.evaluate("window.pauses")
    assert wants[-1] == last and len(wants) <= 1 + sum(pause > 200 for pause in pauses[1:]), pauses  # more only where the window stood still
    assert [event for event in office.drain(1) if "want" in event] == []
    # the choice is remembered on this computer
    chromium.page.click(".button-end")
    chromium.wait(".banner")
    chromium.page.click(".button-main")
    chromium.page.click(".button-main")
    assert office.next("facts")["monitors"][0]["scalePercent"] == 150


def test_high_density_displays_get_larger_text(chromium, office):
    office.behave(ownDisplay=True)
    log_in(chromium, office, viewport={"width": 1000, "height": 700}, deviceScaleFactor=2)
    facts = office.next("facts")
    assert facts["monitors"][0]["scalePercent"] == 200 and facts["monitors"][0]["widthPx"] == 2000


def test_physical_display_is_not_asked_to_change(chromium, office):
    look(chromium, office, (1024, 768), width=1920, height=1080)
    chromium.page.click("text=表示")
    assert not chromium.page.isVisible("text=文字の大きさ") and not chromium.page.isVisible("text=この端末のすべての画面を使う")
    chromium.page.setViewportSize({"width": 900, "height": 700})
    assert [event for event in office.drain(1) if "want" in event] == []


# How long the window stood still between two of its sizes, in milliseconds.
RESIZES = """(() => {
    let last = performance.now();
    window.pauses = [];
    window.addEventListener("resize", () => { window.pauses.push(performance.now() - last); last = performance.now(); });
})()"""

# As Window Management says it: two screens, the second one to the left and with other pixels.
SCREENS = """
Object.defineProperty(screen, "isExtended", { value: true });
const one = { left: 0, top: 0, width: 1366, height: 768, devicePixelRatio: 1 };
const two = { left: -1280, top: 0, width: 1280, height: 720, devicePixelRatio: 1.5 };
const details = Object.assign(new EventTarget(), { screens: [one, two], currentScreen: one });
window.unplug = () => { details.screens = [one]; details.dispatchEvent(new Event("screenschange")); };
window.getScreenDetails = async () => { if (window.denied) throw new DOMException("denied", "NotAllowedError"); return details; };
"""


def test_all_screens_of_this_computer(chromium, office):
    office.behave(ownDisplay=True)
    chromium.own.open({"viewport": {"width": 1366, "height": 768}})
    chromium.context.addInitScript({"content": SCREENS})
    chromium.page.goto(office.url)
    from test_pages import ask, type_code, type_password
    ask(chromium, office), type_code(chromium), type_password(chromium)
    chromium.wait("canvas")
    office.drain(1)
    chromium.page.click("text=表示")
    chromium.page.evaluate("window.denied = true")
    chromium.page.click("text=この端末のすべての画面を使う")
    assert [event for event in office.drain(1) if "want" in event] == []
    chromium.page.evaluate("window.denied = false")
    chromium.page.uncheck("input[type=checkbox]")
    chromium.page.check("input[type=checkbox]")
    # the page's own screen is the primary one; the other one stays at its left, with its own pixels
    assert office.next("want") == [[1920, 0, 1366, 768, 100], [0, 0, 1920, 1080, 100]]
    chromium.wait("text=画面2")
    chromium.page.click(".view-panel >> text=画面2")
    chromium.page.evaluate("window.unplug()")
    assert office.next("want") == [[0, 0, 1366, 768, 100]]
    wait_for(lambda: not chromium.page.isVisible("text=画面2"), "the monitor that is gone can be chosen")
    wait_for(lambda: chromium.page.evaluate(SCREEN)[2] > 1000, "nothing is shown any more")


def test_panning(chromium, office):
    look(chromium, office, (1024, 768), width=1600, height=900)
    view(chromium, "等倍")
    chromium.page.focus("textarea")
    left, top, width, height = chromium.page.evaluate(STAGE)
    # at the edge it moves as long as the pointer stays, and the office PC's pointer goes along
    chromium.mouse.move(left + width - 3, top + 300)
    wait_for(lambda: chromium.page.evaluate(SCROLLED)[0] == 1600 - width, "does not move to the end")
    end = {"x": 1597, "y": 300, "buttons": 0}
    pointers = [event["pointer"] for event in office.gather(lambda events: any(event.get("pointer") == end for event in events)) if "pointer" in event]
    assert pointers[-1] == end and len({p["x"] for p in pointers}) > 5
    chromium.mouse.move(left + 400, top + 300)
    assert office.next("pointer") == {"x": 1600 - int(width) + 400, "y": 300, "buttons": 0}
    # by keys: nothing of them goes to the office PC but the two that are held
    chromium.keyboard.down("Control"), chromium.keyboard.down("Alt")
    chromium.keyboard.press("ArrowLeft"), chromium.keyboard.press("ArrowDown")
    assert wait_for(lambda: (s := chromium.page.evaluate(SCROLLED))[1] > 100 and s, "the keys do not move it")[0] < 1600 - width - 200
    # by hand
    before = chromium.page.evaluate(SCROLLED)
    chromium.mouse.move(left + 500, top + 400)
    chromium.mouse.down()
    chromium.mouse.move(left + 400, top + 420, {"steps": 4})
    chromium.mouse.up()
    after = chromium.page.evaluate(SCROLLED)
    assert after == [before[0] + 100, before[1] - 20]
    chromium.keyboard.up("Alt"), chromium.keyboard.up("Control")
    events = office.drain()
    assert not any(event["pointer"]["buttons"] for event in events if "pointer" in event)
    assert {event["key"]["usage"] for event in events if "key" in event} == {0xE0, 0xE2}


@pytest.mark.parametrize("language", ["ja", "en"])
def test_menu_with_the_keyboard_alone(chromium, office, language):
    office.behave(width=2240, height=800, monitors=TWO, ownDisplay=True)
    chromium.own.open({"viewport": {"width": 1024, "height": 768}})
    chromium.page.goto(office.url)
    chromium.page.click(f"button[lang={language}]")
    from test_pages import ask, type_code, type_password
    ask(chromium, office), type_code(chromium), type_password(chromium)
    chromium.wait("canvas")
    chromium.keyboard.press("Control+Alt+Home")
    chromium.keyboard.press("Enter")
    chromium.wait(".view-panel")
    assert chromium.own.axe() == []
    assert chromium.page.evaluate("document.activeElement.name") == "mode"
    chromium.keyboard.press("ArrowDown")
    wait_for(lambda: not chromium.page.isVisible(".stage-fit"), "not one on one")
    chromium.keyboard.press("Tab")
    assert chromium.page.evaluate("document.activeElement.name") == "scale"
    chromium.keyboard.press("Escape")
    wait_for(lambda: not chromium.page.isVisible(".view-panel"), "Escape does not close it")
    assert chromium.page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    chromium.keyboard.press("Enter")
    chromium.wait(".view-panel")
    chromium.mouse.click(900, 700)  # back to work: the click is for the office PC, too
    wait_for(lambda: not chromium.page.isVisible(".view-panel"), "the menu stays")
    wait_for(lambda: chromium.page.evaluate("document.activeElement.tagName") == "TEXTAREA", "the screen has not the keyboard")


@pytest.mark.parametrize("width", [320, 640])
def test_menu_on_a_narrow_page(chromium, office, width):
    """400 % zoom of a 1280 pixel window: nothing is cut off."""
    look(chromium, office, (width, 480), width=2240, height=800, monitors=TWO, ownDisplay=True)
    chromium.page.click("text=表示")
    box = chromium.page.evaluate("(() => { const r = document.querySelector('.view-panel').getBoundingClientRect(); return [r.left, r.right, r.bottom]; })()")
    assert box[0] >= 0 and box[1] <= width and box[2] <= 480
    assert chromium.own.axe() == []


# ---- keyboards and input methods ----

# key and code as Chromium gives them on Windows, Linux and macOS; HID usage and keysym that leave
JAPANESE = [("\\", "IntlRo", 0x87, 0x5C), ("_", "IntlRo", 0x87, 0x5F), ("\\", "IntlYen", 0x89, 0x5C), ("¥", "IntlYen", 0x89, 0xA5), ("|", "IntlYen", 0x89, 0x7C),
    ("Convert", "Convert", 0x8A, 0xFF23), ("NonConvert", "NonConvert", 0x8B, 0xFF22)]
# these switch, and of some of them no release comes
SWITCHES = [("KanaMode", "KanaMode", 0x88, 0xFF2D), ("HiraganaKatakana", "KanaMode", 0x88, 0xFF27), ("Zenkaku", "Backquote", 0x35, 0xFF28),
    ("Hankaku", "Backquote", 0x35, 0xFF29), ("ZenkakuHankaku", "Backquote", 0x35, 0xFF2A), ("KanaMode", "Lang1", 0x90, 0xFF2D), ("Eisu", "Lang2", 0x91, 0xFF30),
    ("Alphanumeric", "CapsLock", 0x39, 0xFF30)]


def keys_of(office):
    return [(e["key"]["usage"], e["key"]["keysym"], e["key"]["down"]) for e in office.drain() if "key" in e]


def test_japanese_keys(chromium, office):
    look(chromium, office, (1024, 768))
    for key, code, usage, keysym in JAPANESE:
        chromium.own.keyEvent({"type": "rawKeyDown", "key": key, "code": code})
        assert office.next("key") == {"usage": usage, "keysym": keysym, "down": True}, code
        chromium.own.keyEvent({"type": "keyUp", "key": key, "code": code})
        assert office.next("key") == {"usage": usage, "keysym": keysym, "down": False}, code
    for key, code, usage, keysym in SWITCHES:
        chromium.own.keyEvent({"type": "rawKeyDown", "key": key, "code": code})
        assert [office.next("key") for _ in range(2)] == [{"usage": usage, "keysym": keysym, "down": down} for down in (True, False)], code
        chromium.own.keyEvent({"type": "keyUp", "key": key, "code": code})
    assert keys_of(office) == []


def test_dead_key_and_mac_command(chromium, office):
    look(chromium, office, (1024, 768))
    chromium.own.keyEvent({"type": "rawKeyDown", "key": "Dead", "code": "Quote"})
    chromium.own.keyEvent({"type": "keyUp", "key": "Dead", "code": "Quote"})
    assert [office.next("key") for _ in range(2)] == [{"usage": 0x34, "keysym": 0, "down": down} for down in (True, False)]
    # while Command is held, macOS tells of no release of C
    chromium.own.keyEvent({"type": "rawKeyDown", "key": "Meta", "code": "MetaLeft", "modifiers": 4})
    chromium.own.keyEvent({"type": "rawKeyDown", "key": "c", "code": "KeyC", "modifiers": 4})
    chromium.own.keyEvent({"type": "keyUp", "key": "Meta", "code": "MetaLeft"})
    assert [(office.next("key")["usage"], ) for _ in range(4)] == [(0xE3,), (0x06,), (0x06,), (0xE3,)]
    # and Windows of no press of this one
    chromium.own.keyEvent({"type": "keyUp", "key": "PrintScreen", "code": "PrintScreen"})
    assert [office.next("key")["down"] for _ in range(2)] == [True, False]


def test_everything_is_released(chromium, office):
    """When the page loses the keyboard, is hidden, or the session ends."""
    look(chromium, office, (1024, 768))
    hide = "Object.defineProperty(document, 'hidden', { value: true, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))"
    for leave in "window.dispatchEvent(new Event('blur'))", "document.querySelector('textarea').blur()", "window.dispatchEvent(new Event('pagehide'))", hide:
        chromium.page.focus("textarea")
        chromium.mouse.move(500, 400)
        chromium.keyboard.down("Shift"), chromium.keyboard.down("x"), chromium.mouse.down()
        office.gather(lambda events: sum("key" in e for e in events) == 2 and any(e.get("pointer", {}).get("buttons") for e in events))
        chromium.page.evaluate(leave)
        events = office.gather(lambda events: sum("key" in e for e in events) >= 2 and any("pointer" in e for e in events))
        assert [(e["key"]["usage"], e["key"]["down"]) for e in events if "key" in e] == [(0xE1, False), (0x1B, False)], leave
        assert [e["pointer"]["buttons"] for e in events if "pointer" in e] == [0], leave
        chromium.keyboard.up("x"), chromium.keyboard.up("Shift"), chromium.mouse.up()
        office.drain()
    chromium.page.focus("textarea")
    chromium.keyboard.down("x")
    assert office.next("key")["down"]
    chromium.page.click(".button-end")
    assert office.next("key") == {"usage": 0x1B, "keysym": 0x78, "down": False}
    chromium.keyboard.up("x")


def test_back_forward_and_smooth_wheels(chromium, office):
    look(chromium, office, (1024, 768))
    fire = """(events) => { const area = document.querySelector("textarea"); for (const [kind, name, init] of events)
        area.dispatchEvent(new window[kind](name, { isPrimary: true, bubbles: true, cancelable: true, clientX: 500, clientY: 400, ...init })); }"""
    for button, mask, bit in (3, 8, 128), (4, 16, 256):  # back is X11's button 8, forward its 9
        chromium.page.evaluate(f"({fire})([['PointerEvent', 'pointermove', {{ button: {button}, buttons: {mask} }}], ['PointerEvent', 'pointerup', {{ buttons: 0 }}]])")
        assert [office.next("pointer")["buttons"] for _ in range(2)] == [bit, 0]
    # a touch pad's small steps add up, in both directions and both axes
    chromium.page.evaluate(f"({fire})(Array.from({{ length: 26 }}, () => ['WheelEvent', 'wheel', {{ deltaY: 8, deltaX: -4 }}]))")
    events = office.gather(lambda events: sum(e.get("pointer", {}).get("buttons") in (16, 32) for e in events) >= 3)
    buttons = [e["pointer"]["buttons"] for e in events if "pointer" in e]
    assert buttons.count(16) == 2 and buttons.count(32) == 1 and buttons[-1] == 0
    chromium.page.evaluate(f"({fire})([['WheelEvent', 'wheel', {{ deltaY: -3, deltaMode: 1 }}]])")  # lines: a notch of a mouse
    assert [office.next("pointer")["buttons"] for _ in range(2)] == [8, 0]


def test_composition_sends_nothing_before_its_end(chromium, office):
    look(chromium, office, (1024, 768))
    chromium.page.click("text=この端末の日本語入力を使う")
    for step in "え", "えん", "えんが", "縁が", "縁側":
        chromium.own.keyEvent({"type": "rawKeyDown", "key": "Process", "code": "KeyA", "windowsVirtualKeyCode": 229})
        chromium.own.composing(step)
        chromium.own.keyEvent({"type": "keyUp", "key": "a", "code": "KeyA"})
    events = office.drain()
    assert not any("key" in e or "text" in e for e in events)
    text = "縁側のテレワーク：①髙﨑𠮷"
    chromium.own.compose(text)
    pieces = [e["text"] for e in office.gather(lambda events: sum(len(e["text"]) for e in events if "text" in e) >= len(text)) if "text" in e]
    assert "".join(pieces) == text and all(len(piece.encode()) <= 48 for piece in pieces)
    # given up: nothing
    chromium.own.composing("とりけし")
    chromium.own.composing("")
    chromium.keyboard.press("Enter")
    events = office.gather(lambda events: sum("key" in e for e in events) >= 2)
    assert not any("text" in e for e in events) and [e["key"]["usage"] for e in events if "key" in e] == [0x28, 0x28]
