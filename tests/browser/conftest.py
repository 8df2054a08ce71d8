import pytest

from chromium import Chromium, Office


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
