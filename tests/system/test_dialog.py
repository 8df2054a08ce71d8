"""engawa-settings: what an officer does in the dialog changes at the agent, and what went wrong is said in words."""
import base64
import hmac
import re
import signal
import struct
import time

import pytest

import system
from dialog_driver import Dialog

LOCK = "kagi no kakaru hikidashi"


@pytest.fixture(scope="module")
def office(own_engawa):
    return own_engawa


@pytest.fixture(scope="module")
def dialog(office):
    opened = Dialog(office, system.BUILD, options=["--state-directory", office.agent_dir])
    try:
        opened.sees("この庁内PCの状態")
        yield opened
        assert "CRITICAL" not in opened.log(), opened.log()
    finally:
        opened.close()


def totp(secret):
    mac = hmac.digest(base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", int(time.time()) // 30), "sha1")
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06}"


def engawa(office, *argv, **options):
    return office.tool("engawa", "agent", *argv, "--state-directory", office.agent_dir, **options)


def is_so(office, **wanted):
    """The agent's own word for it."""
    system.wait_for(lambda: all(office.agent_status()[key] == value for key, value in wanted.items()), f"the agent does not have {wanted}")


def test_state(office, dialog):
    dialog.page("状態")
    dialog.sees("east-1 に接続しています")
    dialog.sees(office.terminal_id)
    dialog.sees("えんがわ市")
    dialog.press("コピー")
    dialog.sees("端末IDをコピーしました。")
    assert office.connect("--for", "100ms")["code"] == 0
    dialog.sees(time.strftime("%Y-%m-%d "))  # the last connection


def test_every_control_has_a_name(dialog):
    """For a screen reader: whatever can be used says what it is."""
    for page in "状態", "メール", "パスワード", "認証アプリ", "セキュリティキー", "端末", "利用者", "設定の保護":
        dialog.page(page)
        for role, name, text, usable in dialog.everything():
            if role in ("push button", "text", "password text", "check box", "combo box", "tree table", "image") and usable:
                assert name or text, (page, role)


def test_password(office, dialog, tmp_path):
    dialog.page("パスワード")
    dialog.sees("設定済み")
    for weak, words in [("short", "EW-1080"), ("password1234", "EW-1081"), ("abcdefghijkl", "EW-1082")]:
        dialog.type("新しいパスワード", weak)
        dialog.sees(words)  # explained while it is typed
    new = "瓦屋根と engawa 7"
    dialog.type("新しいパスワード", new)
    dialog.sees("このパスワードは使えます。")
    dialog.type("もう一度", new + "x")
    dialog.sees("2回の入力が同じではありません。")
    dialog.type("もう一度", new)
    dialog.press("変更する")
    dialog.type("いまの接続用パスワードを入力してください", "not the password")
    dialog.press("決定")
    dialog.sees("EW-1013")
    dialog.press("変更する")
    dialog.type("いまの接続用パスワードを入力してください", office.password)
    dialog.press("決定")
    dialog.sees("変更しました。")
    typed = tmp_path / "password"
    typed.write_text(new + "\n")
    typed.chmod(0o600)
    assert office.connect("--for", "100ms")["code"] != 0
    assert office.connect("--for", "100ms", password_file=typed)["code"] == 0
    engawa(office, "password", input=office.password_file.read_text())


def test_mail(office, dialog):
    dialog.page("メール")
    dialog.sees("t***@city.engawa.example")
    dialog.sees("メールの確認コードは旧方式です")
    dialog.sees("どちらも登録するまでは")
    dialog.type("新しいアドレス", "not an address")
    dialog.type("接続用パスワード", office.password)
    dialog.press("登録する")
    dialog.sees("EW-1028")
    dialog.type("新しいアドレス", "suzuki@city.engawa.example")
    dialog.type("接続用パスワード", "not the password")
    dialog.press("登録する")
    dialog.sees("EW-1013")
    is_so(office, mail="t***@city.engawa.example", mail_next="")
    dialog.type("接続用パスワード", office.password)
    dialog.press("登録する")
    dialog.sees("s***@city.engawa.example")
    is_so(office, mail="t***@city.engawa.example", mail_next="s***@city.engawa.example")
    dialog.press("変更をやめる")
    dialog.gone("s***@city.engawa.example")
    is_so(office, mail_next="")
    engawa(office, "mail", "--remove")
    dialog.gone("t***@city.engawa.example")  # what the terminal changed is seen too
    dialog.gone("接続用パスワード")
    dialog.type("新しいアドレス", system.ADDRESS)
    dialog.press("登録する")
    is_so(office, mail="t***@city.engawa.example")


def test_authenticator(office, dialog):
    dialog.page("認証アプリ")
    dialog.press("登録を始める")
    dialog.sees("認証アプリで読み取るQRコード")
    secret = dialog.ask("secret")
    dialog.type("2. アプリに表示された6桁を入力します", "000000" if totp(secret) != "000000" else "111111")
    dialog.press("登録する")
    dialog.sees("EW-324")
    is_so(office, totp=False)
    dialog.type("2. アプリに表示された6桁を入力します", totp(secret))
    dialog.press("登録する")
    dialog.sees("登録済み")
    is_so(office, totp=True)
    assert secret not in str(dialog.everything())
    dialog.press("新しいコードを作る")
    dialog.press("決定")
    dialog.sees("紙に控え")
    is_so(office, recovery=10)
    dialog.page("状態")
    dialog.page("認証アプリ")
    dialog.gone("紙に控え")  # shown once
    dialog.press("登録を取り消す")
    dialog.press("やめる")
    is_so(office, totp=True)
    dialog.press("登録を取り消す")
    dialog.press("決定")
    is_so(office, totp=False)
    engawa(office, "recovery", "--remove")


def test_security_key(office, dialog):
    dialog.page("セキュリティキー")
    dialog.type("新しいキーの名前", "青い キー")
    dialog.press("登録を始める")
    dialog.sees("登録コード")
    dialog.press("登録をやめる")
    dialog.gone("登録コード")


def test_devices(office, dialog):
    dialog.page("端末")
    dialog.press("登録コードを表示する")
    dialog.sees("端末の登録コード")
    assert office.agent_status()["pairing_s"] > 0
    dialog.press("登録コードを取り消す")
    dialog.gone("端末の登録コード")
    is_so(office, pairing_s=0)
    dialog.type("承認する端末の番号", "0" * 16)
    dialog.press("承認する")
    dialog.sees("EW-1024")  # nobody applied with it
    dialog.type("加えるMACアドレス (例 00-11-22-AA-BB-CC)", "00-11-22-AA-BB-ZZ")
    dialog.press("一覧に加える")
    dialog.sees("EW-1")
    is_so(office, macs=0)
    dialog.type("加えるMACアドレス (例 00-11-22-AA-BB-CC)", "00-11-22-aa-bb-cc")
    dialog.press("一覧に加える")
    is_so(office, macs=1)
    dialog.choose(dialog.ask("mac"))
    dialog.press("一覧から外す")
    is_so(office, macs=0)


def test_users(office, dialog, tmp_path):
    dialog.page("利用者")
    dialog.type("名前", "田中")
    dialog.type("最終日 (例 2027-03-31、空欄は期限なし)", "2031-02-31")
    dialog.type("新しいパスワード", "tsubame 9 no su")
    dialog.type("もう一度", "tsubame 9 no su")
    dialog.sees("このパスワードは使えます。")
    dialog.press("加える")
    dialog.sees("EW-1242")  # not by whoever sits here
    engawa(office, "settings-password", input=LOCK + "\n")
    dialog.press("加える")
    dialog.type("設定用パスワードを入力してください", LOCK)
    dialog.press("決定")
    dialog.sees("EW-1023")  # there is no such day
    dialog.type("最終日 (例 2027-03-31、空欄は期限なし)", "2031-02-28")
    dialog.press("加える")
    is_so(office, users=1)
    assert engawa(office, "user", "list") == "田中 password 2031-02-28 on"
    dialog.choose("田中")
    dialog.press("停止・再開")
    dialog.sees("停止中")
    assert engawa(office, "user", "list").endswith(" off")
    dialog.choose("田中")
    dialog.type("新しい最終日 (例 2027-03-31、空欄は期限なし)", "2032-02-29")
    dialog.press("最終日を変更する")
    system.wait_for(lambda: engawa(office, "user", "list") == "田中 password 2032-02-29 off", "the last day stays")
    dialog.choose("田中")
    dialog.press("停止・再開")
    system.wait_for(lambda: engawa(office, "user", "list").endswith(" on"), "he stays off")
    dialog.choose("田中")
    dialog.type("選んだ人の新しいパスワード", "suzume 8 no yado")
    dialog.type("選んだ人のパスワードをもう一度", "suzume 8 no yado")
    dialog.sees("このパスワードは使えます。")
    dialog.press("パスワードを変更する")
    dialog.sees("変更しました。")
    typed = tmp_path / "password"
    typed.write_text("suzume 8 no yado\n")
    typed.chmod(0o600)
    assert office.connect("--user", "田中", "--for", "100ms", password_file=typed)["code"] == 0
    engawa(office, "user", "add", "suzuki", "--method", "pam")
    dialog.sees("このPCのログイン")  # added by the terminal meanwhile
    for name in "田中", "suzuki":
        dialog.choose(name)
        dialog.press("削除")
        dialog.sees(f"「{name}」を削除しますか。")
        dialog.press("決定")
        dialog.gone(f"「{name}」を削除しますか。")
    system.wait_for(lambda: engawa(office, "user", "list") == "", "they are still there")
    engawa(office, "settings-password", "--remove")


def test_settings_password(office, dialog):
    dialog.page("設定の保護")
    dialog.type("新しいパスワード", LOCK)
    dialog.type("もう一度", LOCK)
    dialog.sees("このパスワードは使えます。")
    dialog.press("変更する")
    dialog.type("いまの接続用パスワードを入力してください", office.password)
    dialog.press("決定")
    is_so(office, locked=True)
    try:
        dialog.page("認証アプリ")
        dialog.press("登録を始める")
        dialog.sees("設定用パスワードを入力してください")
        dialog.type("設定用パスワードを入力してください", "wrong")
        dialog.press("決定")
        dialog.sees("EW-1192")
        assert dialog.everything() and not dialog.ask("secret", timeout_s=0, missing=True)
        dialog.press("登録を始める")
        dialog.type("設定用パスワードを入力してください", LOCK)
        dialog.press("決定")
        first = dialog.ask("secret")
        dialog.press("登録を始める")  # not asked again
        system.wait_for(lambda: dialog.ask("secret") != first, "no new secret")
        dialog.page("設定の保護")
        dialog.press("保護をやめる")
        dialog.press("決定")
        is_so(office, locked=False)
    finally:
        engawa(office, "settings-password", "--remove")


def test_agent_stopped(office, dialog):
    """Nothing hangs: words, and again well when the agent is back."""
    dialog.page("認証アプリ")
    office.agent.stop()
    dialog.sees("EW-1052")
    dialog.press("登録を始める")
    dialog.sees("EW-1052")
    office.start_agent()
    dialog.page("状態")
    dialog.sees("east-1 に接続しています")


def test_agent_hangs(office, dialog):
    """An agent that does not answer: the window still can be used, and says that it works."""
    dialog.page("認証アプリ")
    office.agent.process.send_signal(signal.SIGSTOP)
    try:
        dialog.press("登録を始める")
        dialog.sees("処理しています…")
        dialog.page("状態")
        dialog.sees("この庁内PCの状態")
    finally:
        office.agent.process.send_signal(signal.SIGCONT)
    dialog.page("認証アプリ")
    dialog.gone("処理しています…")


def test_english(office):
    dialog = Dialog(office, system.BUILD, language="en_US.UTF-8", options=["--state-directory", office.agent_dir])
    try:
        dialog.sees("Connected to east-1")
        dialog.page("Password")
        dialog.type("New password", "short")
        dialog.sees("The password is too short.")
        japanese = [text for _, _, text, _ in dialog.everything() if re.search("[\u3000-\u9fff]", text)]
        assert japanese == []
    finally:
        dialog.close()
