"""The hand-over protocol's model, checked: every order of steps and every kill between them."""
import pathlib
import re
import subprocess

import pytest

MODEL = pathlib.Path(__file__).resolve().parent.parent / "model/handover.pml"


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    directory = tmp_path_factory.mktemp("model")
    subprocess.run(["spin", "-a", MODEL], cwd=directory, check=True, capture_output=True)
    subprocess.run(["gcc", "-O1", "-w", "-o", "pan", "pan.c"], cwd=directory, check=True)
    return directory


@pytest.mark.parametrize("claim", re.findall(r"^ltl (\w+)", MODEL.read_text(), re.M))
def test_handover_model(checker, claim):
    out = subprocess.run(["./pan", "-a", "-N", claim], cwd=checker, capture_output=True, text=True, timeout=60).stdout
    assert "errors: 0" in out and f"never claim         \t+ ({claim})" in out, out
    assert "max search depth too small" not in out


def test_no_step_hangs(checker):
    """No state from which nothing can go on, other than the end."""
    subprocess.run(["gcc", "-O1", "-w", "-DNOCLAIM", "-DSAFETY", "-o", "pan_ends", "pan.c"], cwd=checker, check=True)
    out = subprocess.run(["./pan_ends"], cwd=checker, capture_output=True, text=True, timeout=60).stdout
    assert "errors: 0" in out and "invalid end states\t+" in out, out


@pytest.mark.parametrize("claim, right, wrong", [
    ("touched_alone", "to_new?m; /* COMMIT, or END because the old one died */", "skip;"),
    ("one_owner", "old_has = GONE;\n", "old_has = RUNNING;\n"),
    ("loss_needs_a_kill", "old_has = FROZEN;", "old_has = GONE;")])
def test_wrong_order_is_found(tmp_path, claim, right, wrong):
    text = MODEL.read_text()
    assert right in text
    (tmp_path / "wrong.pml").write_text(text.replace(right, wrong))
    subprocess.run(["spin", "-a", "wrong.pml"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["gcc", "-O1", "-w", "-o", "pan", "pan.c"], cwd=tmp_path, check=True)
    out = subprocess.run(["./pan", "-a", "-N", claim], cwd=tmp_path, capture_output=True, text=True, timeout=60).stdout
    assert "errors: 0" not in out and "errors:" in out, out
