"""engawa ca: what it makes, what it never overwrites, and what it says to people."""
import os
import signal
import stat
import subprocess

import pytest

import system

FILES = ["issuer.key", "issuer.pem", "mail.key", "root.key", "root.pem", "ticket.key"]


def ca(*arguments, lang="C"):
    return subprocess.run([str(system.BUILD / "src/cli/engawa"), "ca", *map(str, arguments)], capture_output=True, text=True,
        env={**os.environ, "LC_ALL": lang})


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def test_init(tmp_path):
    directory = tmp_path / "relay"
    made = ca("init", "--dir", directory, "--name", "縁側")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert sorted(path.name for path in directory.iterdir()) == FILES
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.suffix == ".key" else 0o644)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert openssl("verify", "-x509_strict", "-CAfile", directory / "root.pem", directory / "issuer.pem").endswith("OK\n")
    root = openssl("x509", "-in", directory / "root.pem", "-noout", "-text")
    issuer = openssl("x509", "-in", directory / "issuer.pem", "-noout", "-text")
    assert "(384 bit)" in root and "(256 bit)" in issuer and "pathlen:0" in issuer
    assert openssl("x509", "-in", directory / "issuer.pem", "-noout", "-checkend", str(89 * 86400))


def test_never_overwrites(tmp_path):
    assert ca("init", "--dir", tmp_path).returncode == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = ca("init", "--dir", tmp_path)
    assert again.returncode == 1 and "root.key" in again.stderr and "EW-1025" in again.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("file", FILES)
def test_one_file_is_enough_to_stop(tmp_path, file):
    (tmp_path / file).symlink_to("/nonexistent")
    assert ca("init", "--dir", tmp_path).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_full_disk_leaves_nothing(tmp_path):
    """root.key fits and root.pem does not."""
    limited = subprocess.run(["prlimit", "--fsize=400", str(system.BUILD / "src/cli/engawa"), "ca", "init", "--dir", str(tmp_path)],
        capture_output=True, text=True, preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    assert limited.returncode == 1 and "root.pem" in limited.stderr
    assert list(tmp_path.iterdir()) == []


def test_page(tmp_path):
    assert ca("page", "--dir", tmp_path, "--host", "localhost", "--host", "127.0.0.1").returncode == 0
    # the authority's key is nowhere: nobody can make a second page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page-ca.pem", "page.key", "page.pem"]
    for name, value in ("verify_hostname", "localhost"), ("verify_ip", "127.0.0.1"):
        assert openssl("verify", "-x509_strict", "-purpose", "sslserver", f"-{name}", value, "-CAfile",
            tmp_path / "page-ca.pem", tmp_path / "page.pem").endswith("OK\n")
    assert ca("page", "--dir", tmp_path, "--host", "localhost").returncode == 1


def test_show(tmp_path):
    ca("init", "--dir", tmp_path)
    shown = ca("show", "--dir", tmp_path).stdout
    digest = openssl("x509", "-in", tmp_path / "root.pem", "-noout", "-fingerprint", "-sha256")
    assert digest.split("=")[1].strip().replace(":", "").lower() in shown
    assert "ticket.key" in shown and "mail.key" in shown
    (tmp_path / "ticket.key").chmod(0o644)
    others = ca("show", "--dir", tmp_path)
    assert others.returncode == 1 and "ticket.key" in others.stderr


def test_words(tmp_path):
    assert "見つかりません" in ca("show", "--dir", tmp_path / "none", lang="ja_JP.UTF-8").stderr
    assert "not found" in ca("show", "--dir", tmp_path / "none").stderr
    for wrong in [], ["init"], ["init", "--dir", tmp_path, "more"], ["delete", "--dir", tmp_path], ["init", "--colour", "x"]:
        answer = ca(*wrong)
        assert answer.returncode == 2 and answer.stderr
    assert ca("init", "--dir", tmp_path, "--name", "x" * 100).returncode == 1
    assert list(tmp_path.iterdir()) == []
