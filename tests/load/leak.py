"""What lengths tell somebody who listens, for each padding that policy knows."""
import subprocess

import system
from bench import result

import workloads

DESCRIPTION = """The attack on lengths (docs/threat-model.md, "Left"): somebody listens to the line and can show lines of text on the same screen, in a mail or a page. Six pages of a
Japanese document are read, one line of which is one of sixteen candidates of equal length; then the attacker shows all sixteen, one by one, and takes the one whose record is
the shortest for the one that had been there: the coder remembers it. *leak.right.N*: how often that is so, with records padded to a multiple of N bytes (1: not padded;
policy `PICTURE_PADDING`: 128, 256 or 512); chance is 0.0625. Encoder of the desktop process, Debian Reference, tests/load/leak.c."""
SEED = 1


def measure(options):
    trials = 20 if options.quick else 200
    run = subprocess.run([system.BUILD / "tests/load/leak", str(SEED), str(trials)], input="\n".join(workloads.text()), capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        marked, padding, right, trials, candidates = map(int, line.split())
        yield result(f"leak.right.{padding}", right / trials, "of 1", trials, f"{candidates} candidates, {'with' if marked else 'without'} the watermark")
