"""A browser that an office PC does not know: pairing code, application, and the pages for them."""
import re

import pytest

import system
from test_session import ask, open_page, pin, submit


def office(engawa, *argv):
    return engawa.tool("engawa", "agent", *argv, "--state-directory", engawa.agent_dir)


@pytest.fixture
def closed(engawa):
    """Only registered devices may come in."""
    engawa.sign_policy(DISABLE_DEVICECHECK=None, ENFORCE_DEVICECHECK="yes")
    yield engawa
    engawa.sign_policy()
    for number in re.findall(r"(?m)^((?:[0-9A-F]{4}-){3}[0-9A-F]{4})  registered", office(engawa, "device", "list")):
        office(engawa, "device", "remove", number)
    office(engawa, "pair", "--remove")


def leave(home_pc, engawa):
    home_pc.own.open({})
    engawa.end_sessions()


def test_pairing(closed, home_pc):
    """Code of the mail, code of the office PC, password; then the browser is known."""
    engawa = closed
    code = office(engawa, "pair")
    open_page(home_pc, engawa)
    submit(home_pc, "#code", pin(ask(home_pc, engawa)))
    home_pc.wait("#pairing")
    assert home_pc.own.axe() == []
    home_pc.page.click(".button-main")
    home_pc.see("8文字のペアリングコードを入力してください。")
    submit(home_pc, "#pairing", "0000-0000" if code != "0000-0000" else "1111-1111")
    home_pc.see("ペアリングコードが正しくないか")
    assert home_pc.own.axe() == [] and "EW-1122" in home_pc.text()
    submit(home_pc, "#pairing", code.lower().replace("-", " "))
    submit(home_pc, "#password", engawa.password)
    home_pc.wait("canvas")
    assert office(engawa, "device", "list").count("registered") == 1
    leave(home_pc, engawa)


def test_pairing_while_strangers_are_locked_out(closed, home_pc):
    """Somebody has used up the strangers' tries: the pairing code is asked for first, then all the rest as ever."""
    engawa = closed
    code = office(engawa, "pair")
    engawa.sign_policy(DISABLE_DEVICECHECK=None, ENFORCE_DEVICECHECK="yes", AUTH_LOCKOUT_COUNT=1, AUTH_LOCKOUT_TIMEOUT=3600)
    try:
        engawa.connect(code_command="echo 0", device="stranger.key")
        assert engawa.agent_status()["strangers_locked_s"] > 0
        mails = engawa.mail.count()
        open_page(home_pc, engawa)
        submit(home_pc, "#terminal-id", engawa.terminal_id)
        home_pc.wait("#pairing")
        assert engawa.mail.count() == mails and home_pc.own.axe() == []
        submit(home_pc, "#pairing", code)
        submit(home_pc, "#code", engawa.mail.next_pin(mails))
        submit(home_pc, "#password", engawa.password)
        home_pc.wait("canvas")
        leave(home_pc, engawa)
    finally:
        office(engawa, "unlock")


def test_application(closed, home_pc):
    """A stranger is told the number of his browser, applies under a name, and is told to wait."""
    engawa = closed
    mails = engawa.mail.count()
    open_page(home_pc, engawa)
    submit(home_pc, "#terminal-id", engawa.terminal_id)
    home_pc.wait("#device-number")
    system.wait_for(lambda: re.search(r"([0-9A-F]{4}-){3}[0-9A-F]{4}", home_pc.text("#device-number")), "no number")
    assert "EW-1120" in home_pc.text() and home_pc.own.axe() == []
    number = home_pc.text("#device-number").strip()
    home_pc.page.fill("#apply", "田中 自宅")
    home_pc.page.click("section .button")
    home_pc.see("EW-1121")
    assert home_pc.own.axe() == [] and number in home_pc.text()
    listed = office(engawa, "device", "list")
    assert f"{number}  applied" in listed and "田中 自宅" in listed
    assert engawa.mail.count() == mails
    with pytest.raises(system.Failed):
        office(engawa, "device", "remove", number)  # it is none yet
    office(engawa, "device", "reject", number)
