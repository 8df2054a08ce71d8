"""./demo [--once | --pin]: the whole system on this machine, for people to try."""
import argparse
import fcntl
import locale
import os
import pathlib
import signal
import sys
import time

import system

STATE = pathlib.Path(os.environ.get("ENGAWA_STATE") or
    pathlib.Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "engawa-demo")
PORT = 8443
EDITOR = "400,300"  # a place in the editor's window
TEXT = "\n今日は自宅から、縁側(Engawa)を通して庁内PCを使っています。\nThe quick brown fox: 0123456789\n"

WORDS = {
    "en": """
  Open         {url}
  Terminal ID  {terminal_id}
  Password     {password}
  Code         comes by mail (the old way: an app or a security key is safer) to {address};
               it is shown here, and printed by ./demo --pin
               (the demo's own mail server keeps the mails in {mail})

  Settings     the office PC's own window for them: run
               {settings}

The browser will not know who signed the page. Either accept that once, or import this authority for web sites:
  {page_ca}

This organisation's policy, signed with its own key, is for this demonstration only: it lets browsers in, and nothing
asks for a registered device, a MAC address, quarantine or the closed network; codes are mailed until an authenticator app is set up.
Without such a policy all of the former are required; a new organisation's first policy mails codes only in place of an app.

Ctrl-C stops everything.""",
    "ja": """
  開くページ   {url}
  端末ID       {terminal_id}
  パスワード   {password}
  確認コード   {address} 宛てのメール (旧方式) で届き、ここに表示されます。./demo --pin でも表示できます
               (メールはデモ用のメールサーバーが {mail} に保存します)

  設定         庁内PCの設定画面を開くには、次を実行します
               {settings}

ページの証明書の発行者をブラウザーは知りません。一度だけ許可するか、次の認証局を Web サイト用に登録してください。
  {page_ca}

この団体の規則はデモ専用で、団体の鍵で署名されています。ブラウザーからの接続を許可し、端末の登録、MACアドレス、検疫、完全閉域化のどれも
求めません。確認コードは、認証アプリを登録するまでメールで送ります。こうした規則がなければ、端末の登録などはすべて必要です。
新しい団体の最初の規則では、メールは認証アプリなどが手元にないときだけ使われます。

Ctrl-C ですべて止まります。""",
    "code": {"en": "code: {}", "ja": "確認コード: {}"},
}


def take_state():
    """One demo per state directory."""
    STATE.mkdir(parents=True, exist_ok=True)
    lock = open(STATE / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise system.Failed(f"a demo runs already on {STATE}; stop it, or name another directory in ENGAWA_STATE") from None
    return lock


def started():
    engawa = system.Engawa(STATE, port=system.free_port() if system.accepts(PORT) else PORT)
    if system.accepts(engawa.port):
        raise system.Failed(f"port {engawa.port} is in use by another program; stop that, or name another directory in ENGAWA_STATE")
    return engawa.start_or_stop()


def once(picture):
    with started() as engawa:
        session = engawa.connect("--click", EDITOR, "--key", "Control+End", "--type", TEXT, "--screenshot", picture)
        if session["status"] != 0:
            raise system.Failed(session["stderr"].strip())
    print(picture)


def show():
    language = "ja" if (locale.setlocale(locale.LC_MESSAGES, "") or "").startswith("ja") else "en"
    with started() as engawa:
        print(WORDS[language].format(url=engawa.url, terminal_id=engawa.terminal_id, password=engawa.password, address=system.ADDRESS,
            mail=engawa.mail.path, page_ca=engawa.page_ca, settings=engawa.settings_command()), flush=True)
        seen = engawa.mail.count()
        while all(part.alive for part in engawa.parts if not part.may_end):
            time.sleep(0.3)
            if engawa.mail.count() > seen:
                seen = engawa.mail.count()
                print(WORDS["code"][language].format(engawa.mail.newest_pin()), flush=True)
        part = next(part for part in engawa.parts if not part.alive and not part.may_end)
        raise system.Failed(f"{part.name} stopped\n{part.log_tail()}")


def main():
    parser = argparse.ArgumentParser(prog="./demo")
    parser.add_argument("--here", type=pathlib.Path, default=pathlib.Path.cwd(), help=argparse.SUPPRESS)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--once", action="store_true", help="one scripted session; saves demo.png here")
    mode.add_argument("--pin", action="store_true", help="print the newest code that came by mail")
    arguments = parser.parse_args()
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, signal.default_int_handler)
    try:
        if arguments.pin:
            pin = system.Mail(STATE / "mail").newest_pin() if (STATE / "mail").exists() else None
            if not pin:
                raise system.Failed("no mail with a code yet")
            print(pin)
        else:
            lock = take_state()
            if arguments.once:
                once(arguments.here / "demo.png")
            else:
                show()
            lock.close()
    except system.Failed as failure:
        sys.exit(f"demo: {failure}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
