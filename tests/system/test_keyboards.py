"""Keyboards of home against keyboard maps of the office PC: what is printed on the key at home is what arrives."""
import re
import time

import pytest

from test_desktop import ALT, CTRL, RETURN, SHIFT, USAGE, Desk, Driver, desk, start, typed, wait_for  # noqa: F401 (fixtures)

# HID usage of the key, what it gives alone and with Shift. Rows of signs and digits; letters lie alike on all of them.
US = [(0x1E, "1!"), (0x1F, "2@"), (0x20, "3#"), (0x21, "4$"), (0x22, "5%"), (0x23, "6^"), (0x24, "7&"), (0x25, "8*"), (0x26, "9("), (0x27, "0)"),
    (0x2D, "-_"), (0x2E, "=+"), (0x2F, "[{"), (0x30, "]}"), (0x31, "\\|"), (0x33, ";:"), (0x34, "'\""), (0x35, "`~"), (0x36, ",<"), (0x37, ".>"), (0x38, "/?"),
    (0x04, "aA"), (0x1D, "zZ")]
JIS = [(0x1E, "1!"), (0x1F, "2\""), (0x20, "3#"), (0x21, "4$"), (0x22, "5%"), (0x23, "6&"), (0x24, "7'"), (0x25, "8("), (0x26, "9)"), (0x27, "0"),
    (0x2D, "-="), (0x2E, "^~"), (0x2F, "@`"), (0x30, "[{"), (0x32, "]}"), (0x33, ";+"), (0x34, ":*"), (0x36, ",<"), (0x37, ".>"), (0x38, "/?"),
    (0x87, "\\_"), (0x89, "\\|"), (0x04, "aA"), (0x1D, "zZ")]
# a Mac's has ¥ where Windows says \, and gives it as what it is
MAC = [(usage, "¥|" if usage == 0x89 else signs[:1] + "_" if usage == 0x87 else signs) for usage, signs in JIS]
FRENCH = [(0x1E, "&1"), (0x1F, "é2"), (0x24, "è7"), (0x26, "ç9"), (0x04, "qQ"), (0x14, "aA"), (0x2D, ")°"), (0x37, ":/")]
OFFICES = {"us": ["-layout", "us"], "jp106": ["-layout", "jp", "-model", "jp106"], "OADG109A": ["-layout", "jp", "-variant", "OADG109A", "-model", "jp106"]}

KEY_BURST, KEY_PER_S = 40, 30  # src/desktop/input.c


def keyboard(desk, office):
    desk.run("setxkbmap", *OFFICES[office])


def sym(character):
    return ord(character) if ord(character) < 256 else 0x1000000 | ord(character)


def type_all(d, keys):
    """Every sign of the keyboard; what should have come."""
    out = ""
    for level in 0, 1:
        if level:
            d("key", SHIFT, 0xFFE1, 1)
        for usage, signs in keys:
            if level < len(signs):
                d.key(usage, sym(signs[level]))
                out += signs[level]
        if level:
            d("key", SHIFT, 0xFFE1, 0)
    return out


@pytest.mark.parametrize("office", OFFICES)
@pytest.mark.parametrize("home", [US, JIS, MAC, FRENCH], ids=["US", "JIS", "Mac", "French"])
def test_what_is_printed_arrives(start, desk, home, office):
    keyboard(desk, office)
    desk.terminal("cat >typed")
    d = start(Driver, desk)
    want = type_all(d, home)
    d.key(RETURN, 0xFF0D)
    wait_for(lambda: typed(desk).endswith("\n"), "nothing is typed", 30)
    # ¥ and \ are one key to Japanese keyboards, whose maps call it either
    alike = str.maketrans("¥", "\\")
    assert typed(desk)[:-1].translate(alike) == want.translate(alike)
    wait_for(lambda: d("wait", 30) is not None and d("keys")["keys"] == [], "a key stays down")


def meaning(desk, d, usage, keysym):
    """Names that the pressed key has in the office PC's map."""
    d("key", usage, keysym, 1)
    held = wait_for(lambda: d("wait", 30) is not None and d("keys")["keys"], f"no key is down for {usage:#x}")
    table = desk.run("xmodmap", "-pke")
    d("key", usage, keysym, 0)
    wait_for(lambda: d("wait", 30) is not None and not d("keys")["keys"], "the key stays down")
    assert len(held) == 1
    return re.search(rf"^keycode +{held[0]} =(.*)$", table, re.M)[1].split()


# usage and keysym as native clients and browsers of Windows, Linux and macOS name them
JAPANESE = {
    "半角/全角": [(0x35, 0xFF2A), (0x35, 0xFF28), (0x35, 0xFF29), (0x35, 0xFF21), (0x94, 0xFF2A)],
    "変換": [(0x8A, 0xFF23)], "無変換": [(0x8B, 0xFF22)],
    "カナ": [(0x88, 0xFF27), (0x88, 0xFF25), (0x88, 0xFF26), (0x88, 0xFF2D), (0x90, 0xFF27), (0x90, 0xFF2D), (0x90, 0)],
    "英数": [(0x39, 0xFF30), (0x91, 0xFF30), (0x91, 0)],
}
NAMES = {"半角/全角": "Zenkaku_Hankaku", "変換": "Henkan_Mode|Henkan", "無変換": "Muhenkan", "カナ": "Hiragana_Katakana|Hiragana", "英数": "Eisu_toggle"}


@pytest.mark.parametrize("office", OFFICES)
def test_keys_that_only_japanese_keyboards_have(start, desk, office):
    """They switch the office PC's input method, whatever keyboard map that PC has, also from a Mac's かな and 英数."""
    keyboard(desk, office)
    desk.terminal("cat")
    d = start(Driver, desk)
    for name, ways in JAPANESE.items():
        for usage, keysym in ways:
            assert re.fullmatch(NAMES[name], meaning(desk, d, usage, keysym)[0]), (name, hex(usage), hex(keysym))


def test_a_dead_key(start, desk):
    """An accent that waits for its letter."""
    desk.run("setxkbmap", "-layout", "us", "-variant", "intl")
    desk.env["XMODIFIERS"] = "@im=none"  # Xlib's own composing
    desk.env["LC_ALL"] = "C.UTF-8"
    desk.terminal("cat >typed")
    d = start(Driver, desk)
    for usage, keysym in (0x34, 0xFE51), (0x08, ord("e")), (0x34, 0), (0x04, ord("a")), (RETURN, 0xFF0D):
        d.key(usage, keysym)
        d("wait", 50)
    wait_for(lambda: typed(desk) == "éá\n", typed(desk), 20)


def test_shortcuts_stay_where_they_are(start, desk):
    """Ctrl+Shift+2 means keys, not @: the Japanese map gets the same ones."""
    keyboard(desk, "jp106")
    d = start(Driver, desk)
    d("key", CTRL, 0xFFE3, 1)
    d("key", SHIFT, 0xFFE1, 1)
    d("key", 0x1F, ord("@"), 1)
    held = wait_for(lambda: d("wait", 30) is not None and len(d("keys")["keys"]) == 3 and d("keys")["keys"], "not three keys")
    names = {re.search(rf"^keycode +{code} = (\S+)", desk.run("xmodmap", "-pke"), re.M)[1] for code in held}
    assert names == {"Control_L", "Shift_L", "2"}
    for usage in 0x1F, SHIFT, CTRL:
        d("key", usage, 0, 0)
    # Option+A of a Mac writes å, and means Alt+A
    d("key", ALT, 0xFFE9, 1)
    d("key", 0x04, 0xE5, 1)
    held = wait_for(lambda: d("wait", 30) is not None and len(d("keys")["keys"]) == 2 and d("keys")["keys"], "not two keys")
    assert any(re.search(rf"^keycode +{code} = a ", desk.run("xmodmap", "-pke"), re.M) for code in held)


def test_a_held_sign_repeats(start, desk):
    """Auto-repeat is the office PC's, and with the Shift that the sign takes there."""
    keyboard(desk, "us")
    desk.run("xset", "r", "rate", "150", "50")
    desk.terminal("stty -icanon; cat >typed")
    wait_for((desk.home / "typed").exists, "no cat")
    d = start(Driver, desk)
    repeats = lambda sign: wait_for(lambda: d("wait", 100) is not None and typed(desk).count(sign) > 4, f"{sign} does not repeat", 30)
    d("key", SHIFT, 0xFFE1, 1)
    d("key", 0x23, ord("&"), 1)  # Shift+6 of a JIS keyboard; Shift+7 here
    repeats("&")
    d("key", 0x23, ord("&"), 0)
    d("key", 0x2F, ord("`"), 1)  # Shift+@ there, no Shift here
    repeats("`")
    d("key", 0x2F, ord("`"), 0)
    d("key", SHIFT, 0xFFE1, 0)
    d.key(RETURN, 0xFF0D)
    wait_for(lambda: typed(desk).endswith("\n"), "nothing is typed", 30)
    assert re.fullmatch(r"&{2,}`{2,}\n", typed(desk)), typed(desk)
    wait_for(lambda: d("wait", 30) is not None and d("keys")["keys"] == [], "a key stays down")


@pytest.mark.parametrize("message", [140, 141], ids=["path lost", "path back"])
def test_released_with_the_path(start, desk, message):
    """DesktopRelease, DesktopRestart: nothing stays held, nothing repeats for ever, and what waited is not typed."""
    desk.terminal("cat >typed")
    d = start(Driver, desk)
    d("key", SHIFT, 0xFFE1, 1)
    d("key", USAGE["a"], 0, 1)
    d("pointer", 600, 400, 0b1)
    wait_for(lambda: d("wait", 30) is not None and len(d("keys")["keys"]) == 2, "not held")
    begin = time.monotonic()
    for _ in range(60):
        d.key(USAGE["b"])  # more than pass at once
    d("ack", 0)  # an acknowledgement of the stream before would be wrong in the new one
    d("wait", 100)
    d.message(message, b"")
    wait_for(lambda: d("wait", 30) is not None and d("keys")["keys"] == [] and d("keys")["mask"] & 0x1FFF == 0, "something stays held")
    allowed = KEY_BURST + KEY_PER_S * (time.monotonic() - begin)  # on a busy computer all of them
    d("wait", 500)
    d.key(RETURN)
    wait_for(lambda: typed(desk).endswith("\n"), "nothing is typed", 30)
    assert typed(desk).lower().count("b") <= allowed
