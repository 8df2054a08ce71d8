"""The whole system on this machine, for tests that need all of it: fixtures around tools/system.py."""
import os
import pathlib
import socket
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import system  # noqa: E402

system.BUILD = pathlib.Path(os.environ.get("ENGAWA_BUILD", system.BUILD))
from gate_driver import load_messages  # noqa: E402
from hostile_client import clients_of, load_inner  # noqa: E402
from whole import make, unmake  # noqa: E402


@pytest.fixture(scope="session")
def engawa():
    """One system for all tests that leave it as they found it."""
    whole = make()
    try:
        yield whole.start()
    finally:
        unmake(whole)


@pytest.fixture(scope="module")
def own_engawa():
    """A system that a module may break."""
    whole = make()
    try:
        yield whole.start()
    finally:
        unmake(whole)


@pytest.fixture(scope="session")
def outer(tmp_path_factory):
    """The messages of proto/outer.proto."""
    return load_messages(tmp_path_factory.mktemp("outer"))[0]


@pytest.fixture(scope="session")
def inner(tmp_path_factory):
    """The messages of proto/inner.proto."""
    return load_inner(tmp_path_factory.mktemp("inner"))


@pytest.fixture
def nobody_there():
    """A port where nobody listens, and nobody else can: it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def client(office, outer, inner):
    with clients_of(office, outer, inner) as make:
        yield make
