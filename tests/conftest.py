"""Every test is a pytest item, so that -k means the same for all: C test programs are read from Meson's list."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SANITIZED = ROOT / "build-san"
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
SKIPPED = 77  # exit status, as Meson has it


class ProgramFailed(Exception):
    pass


class Program(pytest.Item):
    """A test program: its exit status counts."""

    def __init__(self, *, argv, env=None, cwd=None, **kwargs):
        super().__init__(**kwargs)
        self.argv, self.env, self.cwd = argv, env or {}, cwd

    def runtest(self):
        run = subprocess.run(self.argv, env=os.environ | self.env, cwd=self.cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if run.returncode == SKIPPED:
            pytest.skip(run.stdout.strip().rpartition("\n")[2] or "the program skipped itself")
        if run.returncode != 0:
            raise ProgramFailed(f"{' '.join(self.argv)}: status {run.returncode}\n{run.stdout[-8000:]}")

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, ProgramFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, self.name


class MesonTests(pytest.File):
    """The tests of one tests/…/meson.build, run from the sanitized build."""

    def collect(self):
        suite = "engawa:" + self.path.parent.name
        listed = subprocess.run(["meson", "introspect", "--tests", SANITIZED], check=True, capture_output=True)
        for test in json.loads(listed.stdout):
            if suite in test["suite"]:
                yield Program.from_parent(self, name=test["name"], argv=test["cmd"], cwd=test["workdir"],
                    env=SANITIZERS | test["env"])


def pytest_collect_file(file_path, parent):
    if file_path.name == "meson.build" and file_path.parent.name in ("unit", "fuzz"):
        return MesonTests.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        count = lambda *kinds: sum(len(reporter.getreports(kind)) for kind in kinds)
        print(f"{count('passed')} passed, {count('failed', 'error')} failed, {count('skipped')} skipped")
