"""The web client's unit tests (web/tests) belong to the unit tests."""
import json
import subprocess

import pytest

from programs import ROOT, Program, ProgramFailed

WEB = ROOT / "web"


class WebTest(pytest.Item):
    """One file of Vitest; all that were chosen run in one go, when the first is due."""
    results = None

    def runtest(self):
        if WebTest.results is None:
            WebTest.results = run([item.name for item in self.session.items if isinstance(item, WebTest)])
        failures = WebTest.results.get(self.name, ["Vitest did not run it"])
        if failures:
            raise ProgramFailed("\n".join(failures))

    def repr_failure(self, excinfo, style=None):
        return Program.repr_failure(self, excinfo, style)

    def reportinfo(self):
        return self.path, None, self.name


def run(names):
    ran = subprocess.run(["npx", "--no-install", "vitest", "run", "--reporter=json", *[f"tests/{name}" for name in names]], cwd=WEB,
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    try:
        report = json.loads(ran.stdout[ran.stdout.index("{"):])
    except ValueError:
        raise ProgramFailed(ran.stdout + ran.stderr) from None
    return {file["name"].rpartition("/")[2]: [file["message"]] * (file["status"] != "passed") +
        [f"{test['fullName']}: {' '.join(test['failureMessages'])}" for test in file["assertionResults"] if test["status"] == "failed"]
        for file in report["testResults"]}


class WebTests(pytest.File):
    def collect(self):
        yield Program.from_parent(self, name="web-types", argv=["npx", "--no-install", "tsc", "--noEmit"], cwd=WEB)
        for path in sorted((WEB / "tests").glob("*.test.ts")):
            yield WebTest.from_parent(self, name=path.name)


def pytest_collect_file(file_path, parent):
    return WebTests.from_parent(parent, path=file_path) if file_path.name == "meson.build" else None
