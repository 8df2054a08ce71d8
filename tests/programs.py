"""Test programs as pytest items."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
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
