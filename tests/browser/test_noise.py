"""The inner channel of the page and the one of the programs, at the two ends of a pipe."""
import subprocess

import pytest

from chromium import ROOT, WEB

DRIVER = ROOT / "build/tests/browser/noise_driver"


@pytest.fixture(scope="session")
def peer(tmp_path_factory):
    bundle = tmp_path_factory.mktemp("noise") / "noise_peer.mjs"
    subprocess.run(["node", WEB / "bundle.mjs", WEB / "tests/noise_peer.ts", bundle], check=True)
    return bundle


@pytest.mark.parametrize("pattern", ["IK", "IKpsk2"])
@pytest.mark.parametrize("role", ["client", "agent"])
def test_page_and_programs_agree(peer, role, pattern):
    ran = subprocess.run(["node", peer, DRIVER, role, pattern], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
