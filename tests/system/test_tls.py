"""Every socket that we listen on speaks TLS 1.3 only."""
import re
import subprocess

import pytest

import system


def s_client(port, *options):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-brief", *options], input="",
        capture_output=True, text=True, timeout=20)


def listening_ports(pids):
    """TCP ports that these processes and their descendants listen on."""
    ours = {one for pid in pids for one in system.family(pid)}
    ports = set()
    for line in subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout.splitlines():
        if ours & {int(pid) for pid in re.findall(r"pid=(\d+)", line)}:
            ports.add(int(line.split()[3].rpartition(":")[2]))
    return ports


def test_only_the_gate_listens(engawa):
    assert listening_ports([engawa.controller.pid]) == set()
    assert listening_ports([engawa.agent.pid]) == set()
    assert listening_ports([engawa.gate.pid]) == {engawa.port}


@pytest.mark.parametrize("alpn", ["engawa/1", "http/1.1", None])
def test_tls13_only(engawa, alpn):
    options = ["-alpn", alpn] if alpn else []
    for port in listening_ports([engawa.gate.pid, engawa.controller.pid, engawa.agent.pid]):
        assert "TLSv1.3" in s_client(port, "-tls1_3", *options).stderr
        for old in "-tls1", "-tls1_1", "-tls1_2":
            # security level 0, so that it is the server that refuses and not our own OpenSSL
            refused = s_client(port, old, "-cipher", "ALL:@SECLEVEL=0", *options)
            assert refused.returncode != 0 and "Protocol version" not in refused.stderr
            assert "alert protocol version" in refused.stderr


@pytest.mark.parametrize("suite,accepted", [("TLS_AES_256_GCM_SHA384", True), ("TLS_CHACHA20_POLY1305_SHA256", True),
    ("TLS_AES_128_GCM_SHA256", True), ("TLS_AES_128_CCM_SHA256", False)])
def test_suites(engawa, suite, accepted):
    run = s_client(engawa.port, "-tls1_3", "-ciphersuites", suite, "-alpn", "engawa/1")
    assert (f"Ciphersuite: {suite}" in run.stderr) == accepted


def test_certificates_differ_by_protocol(engawa):
    """Native programs see the organisation's private certificate, browsers the public one."""
    subjects = set()
    for alpn in "engawa/1", "http/1.1":
        run = s_client(engawa.port, "-tls1_3", "-alpn", alpn)
        subjects.add(re.search(r"Peer certificate: (.*)", run.stderr)[1])
    assert len(subjects) == 2


def test_no_tickets_no_resumption(engawa, tmp_path):
    session = tmp_path / "session"
    run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{engawa.port}", "-tls1_3", "-alpn", "http/1.1",
        "-sess_out", session], input="GET / HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=20)
    assert "NewSessionTicket" not in run.stdout and "TLS session ticket:" not in run.stdout
