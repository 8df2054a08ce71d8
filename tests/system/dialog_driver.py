"""engawa-settings as a screen reader sees it: a session bus and accessibility bus of its own, and a program of its own that asks them,
because the library learns the bus when it is loaded. Start it through Dialog."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time


class Dialog:
    """The dialog on an office PC's display. Names are the accessible ones."""

    def __init__(self, engawa, build, language="ja_JP.UTF-8", options=()):
        self.dir = tempfile.TemporaryDirectory(prefix="engawa-dialog-")
        os.chmod(self.dir.name, 0o755)
        address = f"unix:path={self.dir.name}/bus"
        self.processes = []
        user = engawa.file_user if os.geteuid() == 0 else None
        if user:
            engawa.tool("chown", user, self.dir.name)
        self.user = user
        self.env = engawa.desktop_env | {"DBUS_SESSION_BUS_ADDRESS": address, "NO_AT_BRIDGE": "0", "GTK_MODULES": "gail:atk-bridge", "LC_ALL": language,
            "LANGUAGE": "", "XDG_RUNTIME_DIR": self.dir.name, "XDG_CACHE_HOME": self.dir.name, "XDG_CONFIG_HOME": self.dir.name, "GTK_A11Y": "atspi"}
        self.start(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address", address], lambda: os.path.exists(f"{self.dir.name}/bus"))
        self.program = self.start([build / "src/settings/engawa-settings", *options], lambda: True)
        self.driver = subprocess.Popen(["/usr/bin/python3", "-B", __file__, str(self.program.pid)], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            user=user)

    def start(self, argv, ready):
        log = open(f"{self.dir.name}/log", "ab")
        process = subprocess.Popen([str(a) for a in argv], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self.user,
            extra_groups=[] if self.user else None)
        log.close()
        self.processes.append(process)
        end = time.monotonic() + 60
        while not ready():
            assert time.monotonic() < end and process.poll() is None, f"{argv[0]} does not start"
            time.sleep(0.05)
        return process

    def close(self):
        self.driver.stdin.close()
        for process in [self.driver, *reversed(self.processes)]:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self.driver.stdout.close()
        self.dir.cleanup()

    def log(self):
        with open(f"{self.dir.name}/log") as log:
            return log.read()

    def ask(self, *question, timeout_s=60, missing=False):
        """Asks again until it is so, or says what is on the screen instead."""
        end = time.monotonic() + timeout_s
        while True:
            assert self.program.poll() is None, f"engawa-settings ended: {self.log()}"
            self.driver.stdin.write(json.dumps(question) + "\n")
            self.driver.stdin.flush()
            answer = json.loads(self.driver.stdout.readline())
            if answer is not None or missing:
                return answer
            if time.monotonic() > end:
                self.driver.stdin.write('["all"]\n')
                self.driver.stdin.flush()
                raise AssertionError(f"{question}: not there. On the screen: {self.driver.stdout.readline()}")
            time.sleep(0.1)

    def press(self, name):
        return self.ask("press", name)

    def type(self, name, text):
        return self.ask("type", name, text)

    def sees(self, text):
        """Anywhere, as part of a text that is shown."""
        return self.ask("sees", text)

    def gone(self, text):
        return self.ask("gone", text)

    def page(self, name):
        return self.ask("choose", name)

    def choose(self, name):
        return self.ask("choose", name)

    def text(self, name):
        return self.ask("text", name)

    def everything(self):
        return self.ask("all")


def main():
    import warnings
    import gi
    warnings.simplefilter("ignore")  # of names that every version of the library has
    gi.require_version("Atspi", "2.0")
    from gi.repository import Atspi

    tops = (Atspi.Role.FRAME, Atspi.Role.DIALOG, Atspi.Role.ALERT)

    def shown(node, scrolled):
        """What is scrolled out of sight is on the screen for a screen reader; a page that is not chosen is not."""
        states = node.get_state_set()
        return states.contains(Atspi.StateType.SHOWING) or scrolled and states.contains(Atspi.StateType.VISIBLE)

    def nodes(node=None, scrolled=False):
        if node is None:
            desktop = Atspi.get_desktop(0)
            for i in range(desktop.get_child_count()):
                application = desktop.get_child_at_index(i)
                if application and application.get_process_id() == int(sys.argv[1]):
                    application.clear_cache()
                    yield from nodes(application)
            return
        yield node
        scrolled |= node.get_role() == Atspi.Role.VIEWPORT
        for i in range(node.get_child_count()):
            child = node.get_child_at_index(i)
            if child is not None and (shown(child, scrolled) or node.get_role() == Atspi.Role.APPLICATION and child.get_role() in tops):
                yield from nodes(child, scrolled)

    def words(node):
        text = node.get_text_iface()
        return Atspi.Text.get_text(text, 0, -1) if text else ""

    def usable(node):
        return node.get_state_set().contains(Atspi.StateType.SENSITIVE)

    def named(name):
        return [node for node in nodes() if node.get_name() == name and usable(node)]

    def press(name):
        for node in named(name):
            action = node.get_action_iface()
            if action and Atspi.Action.get_n_actions(action):
                Atspi.Action.do_action(action, 0)
                return True
        return None

    def type_into(name, text):
        for node in named(name):
            if node.get_editable_text_iface():
                return Atspi.EditableText.set_text_contents(node.get_editable_text_iface(), text) or None
        return None

    def choose(name):
        """A row of a list: selected in what it is in."""
        for node in nodes():
            if node.get_name() != name and words(node) != name:
                continue
            table = node.get_parent().get_table_iface() if node.get_role() == Atspi.Role.TABLE_CELL else None
            if table:
                row = Atspi.Table.get_row_at_index(table, node.get_index_in_parent())
                return Atspi.Table.is_row_selected(table, row) or Atspi.Table.add_row_selection(table, row) or None
            while node.get_parent() and not node.get_parent().get_selection_iface():
                node = node.get_parent()
            if node.get_parent() and usable(node):
                Atspi.Selection.select_child(node.get_parent().get_selection_iface(), node.get_index_in_parent())
                return True
        return None

    def sees(text):
        return any(text in words(node) or text in (node.get_name() or "") for node in nodes()) or None

    def text_of(name):
        found = named(name)
        return words(found[0]) if found else None

    def secret():
        """What can be typed into an authenticator app: base32."""
        return next((words(node) for node in nodes() if re.fullmatch("[A-Z2-7]{26,}", words(node))), None)

    def mac():
        return next((words(node) for node in nodes() if node.get_role() == Atspi.Role.TABLE_CELL and re.match("00[-:]11[-:]22", words(node))), None)

    def everything():
        return [[node.get_role_name(), node.get_name(), words(node), usable(node)] for node in nodes()]

    commands = {"press": press, "type": type_into, "choose": choose, "sees": sees, "gone": lambda text: None if sees(text) else True, "text": text_of, "secret": secret, "mac": mac,
        "all": everything}
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = commands[command](*arguments)
        except gi.repository.GLib.Error:  # went away while we looked
            answer = None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
