"""Every test is a pytest item, so that -k means the same for all: C test programs are read from Meson's list."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from xdist.scheduler import LoadScopeScheduling

from programs import ROOT, Program

SANITIZED = ROOT / "build-san"
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


# Several tests run at a time (./check -n): most of them wait. Tests of one file share what it started, so a file stays with
# one worker; C programs share nothing. The longest files begin first.
LONGEST = ["browser/test_pages.py", "system/test_agent.py", "system/test_controller.py"]


def shared_with(nodeid):
    """What a test shares: tests with the same answer run one after another."""
    file, _, name = nodeid.partition("::")
    return file if file.endswith(".py") or name.endswith(".ts") else nodeid


class Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        return shared_with(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    place = {name: -len(LONGEST) + i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(str(item.path.relative_to(ROOT / "tests")), 0))


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


def running():
    """Processes that tests have started, and their command lines: they name our TMPDIR, which ./check makes for us alone."""
    scratch = os.environ.get("TMPDIR", "")
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*") if "engawa-check" in scratch else ():
        with contextlib.suppress(OSError):
            pid, command = int(process.name), (process / "cmdline").read_bytes()
            if pid != os.getpid() and scratch.encode() in (process / "environ").read_bytes() + command:
                found[pid] = command.replace(bytes(1), b" ").decode()
    return found


def left_running():
    """Those that do not end with their tests. The last ones may be about to: a process is not gone at once."""
    end = time.monotonic() + 20
    while running() and time.monotonic() < end:
        time.sleep(0.2)
    left = running()
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    return [f"left running: {command}" for command in left.values()]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        return  # the others are still at it
    session.left = left_running()
    if session.left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        count = lambda *kinds: sum(len(reporter.getreports(kind)) for kind in kinds)
        left = getattr(reporter._session, "left", [])
        print(*left, f"{count('passed')} passed, {count('failed', 'error') + len(left)} failed, {count('skipped')} skipped", sep="\n")
