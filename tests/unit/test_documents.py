"""Documents say what the programs do."""
import re
import subprocess
import sys

import pytest

from programs import ROOT

BUILD = ROOT / "build"
MAN = ROOT / "docs/man"
PROGRAMS = {"engawa-agent": "agent", "engawa-controller": "controller", "engawa-gate": "gate"}
MARKDOWN = [path for path in ROOT.rglob("*.md") if not {"node_modules", "build", "build-san", "out"} & set(path.relative_to(ROOT).parts)]


def output(*argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options).stdout


def test_errors_are_current():
    assert (ROOT / "docs/errors.md").read_text() == output(BUILD / "src/cli/engawa", "explain", "--markdown"), \
        "run: build/src/cli/engawa explain --markdown > docs/errors.md"


def test_list_of_tries_is_current():
    """docs/attacks.md, and what is tried stands at each test."""
    assert "| Refused. |" not in (ROOT / "docs/attacks.md").read_text(), "a test with attack in its name needs a docstring, or a comment above it"
    assert (ROOT / "docs/attacks.md").read_text() == output(sys.executable, "-B", ROOT / "tools/attacks.py"), \
        "run: tools/attacks.py > docs/attacks.md"


def test_steps_are_current():
    text = output(sys.executable, "-B", ROOT / "tools/steps.py")
    assert (ROOT / "docs/login-steps.md").read_text() == text, "run: tools/steps.py > docs/login-steps.md"
    assert text.count("| step_") == 0 and len(re.findall(r"^\| \d+ \|.*EW-|what a later", text, re.M)) == len(re.findall(r"^\| \d+ \|", text, re.M))


@pytest.mark.parametrize("page", sorted(MAN.glob("*.scd")), ids=lambda path: path.stem)
def test_manual_is_well_formed(page, tmp_path):
    made = tmp_path / page.stem
    made.write_text(output("scdoc", input=page.read_text()))
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", made], capture_output=True, text=True)
    # scdoc puts paragraphs where there are none
    assert [line for line in lint.stdout.splitlines() if "skipping paragraph macro" not in line] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_manual_has_every_setting(program):
    page = (MAN / f"{program}.8.scd").read_text()
    for key in re.findall(r"^\*([A-Z0-9_]+)\*", output(BUILD / "src" / PROGRAMS[program] / program, "--man-options"), re.M):
        assert f"*{key}*" in page, f"{key} is missing"


@pytest.mark.parametrize("command", re.findall(r"^COMMAND\((\w+)", (ROOT / "src/cli/commands.def").read_text(), re.M))
def test_manual_has_every_command(command):
    assert f"*engawa {command}" in (MAN / "engawa.1.scd").read_text()


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert re.match(r"https?:", target) or (path.parent / target).exists(), f"{target} does not exist"


def test_sources_named_in_documents_exist():
    for path in [ROOT / "docs/architecture.md", ROOT / "docs/threat-model.md"]:
        for name in re.findall(r"`((?:src|tests|tools|proto)/[\w./-]+)`", path.read_text()):
            assert (ROOT / name).exists(), f"{path.name}: {name}"


FUZZ = ROOT / "tests/fuzz"
PARSES = re.compile(r"\b(conf_lines|conf_load|rd_init|json_loadb?|sscanf|strtok_r|strptime|strtoull?|inet_pton|str_unhex|str_unbase64)\(")


def fuzz_targets():
    return re.findall(r"^  '(\w+)': \[", (FUZZ / "meson.build").read_text(), re.M)


def parser_table():
    return (ROOT / "docs/parsers.md").read_text()


@pytest.mark.parametrize("target", fuzz_targets())
def test_fuzz_target(target):
    assert len((FUZZ / f"fuzz_{target}.c").read_text().splitlines()) <= 30
    assert len(list((ROOT / "tests/corpus" / target).iterdir())) >= 3
    assert re.search(rf"`{target}`[, |]", parser_table()), "docs/parsers.md does not say what it feeds"


def test_every_fuzz_file_is_a_target():
    assert {path.stem.removeprefix("fuzz_") for path in FUZZ.glob("fuzz_*.c")} == set(fuzz_targets())


def test_every_parser_is_fuzzed():
    """A source that takes bytes apart stands in docs/parsers.md, with the target that feeds it."""
    parsers = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "src").rglob("*.c")) if PARSES.search(path.read_text())]
    missing = [path for path in parsers if f"`{path}`" not in parser_table()]
    assert missing == [], "write a target in tests/fuzz, and a row in docs/parsers.md"


def test_sources_of_parsers_exist():
    for name in re.findall(r"`(src/[\w./-]+)`", parser_table()):
        assert (ROOT / name).exists(), name
