import os
import pathlib
import shutil
import sys
import tempfile

import pytest

from chromium import ROOT, Chromium, Office

sys.path.insert(0, str(ROOT / "tools"))
import system  # noqa: E402

system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("home"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def office(tmp_path_factory):
    office = Office(tmp_path_factory.mktemp("office"))
    yield office
    office.close()


@pytest.fixture(scope="session")
def engawa():
    """The whole system, with a relay and an office PC that are real."""
    # not below pytest's own directory, which is closed to the user that the programs become
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-"))
    directory.chmod(0o711)
    try:
        with system.Engawa(directory) as whole:
            yield whole.start()
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def home_pc(engawa, tmp_path_factory):
    """A browser that trusts the relay's page by an NSS store of its own."""
    browser = Chromium(tmp_path_factory.mktemp("home-pc"), trusted=engawa.page_ca)
    yield browser
    browser.close()
