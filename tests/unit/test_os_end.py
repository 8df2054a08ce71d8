"""Ends of support, against what Debian itself ships: src/inspect/os_end.def says the same as distro-info-data."""
import csv
import datetime
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = re.findall(r'^OS\("([^"]+)", "([^"]*)", "([^"]+)"\)$', (ROOT / "src/inspect/os_end.def").read_text(), re.M)
# which of the days is meant: Debian's LTS, Ubuntu's standard support
AS_OF = "2026-08-22"
DAYS = {"debian": "eol-lts", "ubuntu": "eol"}


def shipped(system):
    with open(f"/usr/share/distro-info/{system}.csv") as file:
        return {row["version"].split()[0]: row for row in csv.DictReader(file) if row["version"]}


def test_rows_are_all_read():
    text = (ROOT / "src/inspect/os_end.def").read_text()
    assert len(ROWS) == text.count("\nOS(") >= 30
    assert len({row[:2] for row in ROWS}) == len(ROWS)
    for _, _, day in ROWS:
        assert datetime.date.fromisoformat(day).isoformat() == day


@pytest.mark.parametrize("system", DAYS)
def test_days_are_those_of_debian(system):
    """When it fails after an update of distro-info-data, the makers have changed a day: take it over."""
    known = shipped(system)
    ours = {version: day for name, version, day in ROWS if name == system}
    assert ours == {version: known[version][DAYS[system]] for version in ours}


@pytest.mark.parametrize("system", DAYS)
def test_what_is_supported_is_known(system):
    """A release that is not there is refused: none is forgotten that was out and supported when the table was made."""
    ours = {version for name, version, _ in ROWS if name == system}
    assert ours >= {version for version, row in shipped(system).items()
        if row["release"] and row["release"] <= AS_OF < (row[DAYS[system]] or "")}
