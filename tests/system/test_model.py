"""The models of the hand-over, checked: every order of steps and every kill between them."""
import pathlib
import re
import subprocess

import pytest

MODELS = pathlib.Path(__file__).resolve().parent.parent / "model"


def build(directory, model, *options, name="pan"):
    subprocess.run(["spin", "-a", model], cwd=directory, check=True, capture_output=True)
    subprocess.run(["gcc", "-O2", "-w", *options, "-o", name, "pan.c"], cwd=directory, check=True)


def check(directory, *arguments):
    return subprocess.run([*arguments, "-m100000"], cwd=directory, capture_output=True, text=True, timeout=300).stdout


@pytest.fixture(scope="module")
def checkers(tmp_path_factory):
    directories = {}
    for model in MODELS.glob("*.pml"):
        directories[model.stem] = tmp_path_factory.mktemp("model")
        build(directories[model.stem], model)
    return directories


@pytest.mark.parametrize("model, claim", [(model.stem, claim) for model in sorted(MODELS.glob("*.pml"))
    for claim in re.findall(r"^ltl (\w+)", model.read_text(), re.M)])
def test_model(checkers, model, claim):
    out = check(checkers[model], "./pan", "-a", "-N", claim)
    assert "errors: 0" in out and f"never claim         \t+ ({claim})" in out, out
    assert "max search depth too small" not in out


@pytest.mark.parametrize("model", ["handover", "upgrade"])
def test_no_step_hangs(checkers, model):
    """No state from which nothing can go on, other than the end."""
    build(checkers[model], MODELS / f"{model}.pml", "-DNOCLAIM", "-DSAFETY", name="pan_ends")
    out = check(checkers[model], "./pan_ends")
    assert "errors: 0" in out and "invalid end states\t+" in out, out


@pytest.mark.parametrize("model, claim, right, wrong", [
    ("handover", "touched_alone", "m == HAND -> new_has = FROZEN", "m == HAND -> new_has = RUNNING"),
    ("handover", "one_owner", "old_has = GONE; from_old!COMMIT", "old_has = RUNNING; from_old!COMMIT"),
    ("handover", "loss_needs_a_kill", "!old_dead -> old_has = FROZEN", "!old_dead -> old_has = GONE"),
    # nobody hears of a worker's death
    ("handover", "never_stuck", "new_sits = false; to_old!GONE_TOLD", "new_sits = false"),
    # workers close what they gave before the new side has promised to go on
    ("upgrade", "loss_needs_a_late_kill", "ow_op[i]!LEFT", "old_has[i] = GONE; ow_nw[i]!COMMIT; ow_op[i]!LEFT"),
    # the new parent promises without asking whether its workers live
    ("upgrade", "loss_needs_a_late_kill", "np_nw[0]!ASK; np_nw[1]!ASK", "said[0] = true; said[1] = true"),
    # a new worker takes a closed channel for the old one's death
    ("upgrade", "one_owner", "over && go && new_has", "over && new_has"),
    # it touches what has come before it is told that it is its own
    ("upgrade", "one_owner", "m == UNIT -> new_has[i] = FROZEN", "m == UNIT -> new_has[i] = RUNNING"),
    # the old side goes on although the new parent lives
    ("upgrade", "one_owner", "if :: !dead[NP] -> die_np() :: else -> skip fi", "skip"),
])
def test_wrong_order_is_found(tmp_path, model, claim, right, wrong):
    text = (MODELS / f"{model}.pml").read_text()
    assert right in text
    (tmp_path / "wrong.pml").write_text(text.replace(right, wrong))
    build(tmp_path, "wrong.pml")
    out = check(tmp_path, "./pan", "-a", "-N", claim)
    assert "errors: 0" not in out and "errors:" in out, out
