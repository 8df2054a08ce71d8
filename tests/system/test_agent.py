"""engawa-agent against the whole relay: what it lets in, what it refuses and why, and what becomes of its processes."""
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import system


@pytest.fixture(scope="module")
def office(own_engawa):
    return own_engawa


@pytest.fixture(autouse=True)
def clean(request):
    """Every test begins and ends with one agent that is up, the demo's policy and no lock-out."""
    office = request.getfixturevalue("office")
    yield
    if not office.agent.alive:
        start_agent(office)
    tool(office, "unlock")
    tool(office, "mail", system.ADDRESS, "--reset")
    tool(office, "password", input=office.password + "\n")
    office.sign_policy()
    system.wait_for(office.agent_up, "the agent does not come back", 90)
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "a session is left")
    system.wait_for(lambda: roles(office) == ["control"], "processes are left", 30)


def tool(office, *argv, **options):
    return office.tool("engawa", "agent", *argv, "--state-directory", office.agent_dir, **options)


def processes(office):
    """The agent's children: role and process id."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if f"PPid:\t{office.agent.pid}\n" in text:
            name = re.search(r"Name:\t(.*)", text)[1]
            found.append((name.removeprefix("engawa-"), int(status.parent.name)))
    return found


def roles(office):
    return sorted(role for role, _ in processes(office))


def pid(office, role):
    return dict(processes(office))[role]


def log(office, start=0):
    return (office.log_dir / "agent.log").read_text(errors="replace")[start:]


def log_size(office):
    return len(log(office))


def start(office, *actions, **options):
    return subprocess.Popen([str(a) for a in office.connect_argv(*actions, **options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})


def start_session(office, **options):
    """A session that is at work, for a minute if nothing happens to it."""
    mark = log_size(office)
    client = start(office, "--for", "60s", **options)
    system.wait_for(lambda: "session.heard" in log(office, mark) or client.poll() is not None, "no session", 20)
    assert client.poll() is None, client.communicate()
    return client


STOPPED = "OK", "ENDED"  # by a signal, after or before its first picture


def result_of(client):
    out, _ = client.communicate(timeout=70)
    return json.loads(out)


def start_agent(office, **options):
    (office.agent_dir / "agent.sock").unlink(missing_ok=True)  # of one that was killed
    office.agent.start(**options)
    system.wait_for(office.agent_up, "the agent does not reach the gate", 90)


def restart(office, **options):
    office.agent.stop()
    start_agent(office, **options)


@pytest.fixture
def wrong_password(office, tmp_path):
    path = tmp_path / "wrong"
    path.write_text("not-the-password-1\n")
    path.chmod(0o600)
    return path


def test_session_is_logged_and_secrets_are_not(office):
    mark = log_size(office)
    seen = office.mail.count()
    result = office.connect("--for", "1s")
    assert result["code"] == 0, result
    code = office.mail.next_pin(seen)
    system.wait_for(lambda: "session.end" in log(office, mark), "no end in the log")
    text = log(office, mark)
    assert f"session.start session={result['session']} address=127.0.0.1" in text
    assert re.search(rf"session.end session={result['session']} code=ENDED ", text)
    for secret in code, f"{code[:4]} {code[4:]}", office.password, office.terminal_id, office.terminal_id.replace("-", ""):
        assert secret not in log(office)


def test_processes_have_no_rights(office):
    client = start_session(office)
    system.wait_for(lambda: roles(office) == ["control", "desktop", "pump", "work"], "the login process stays")
    found = dict(processes(office))
    for role in "control", "pump", "work":
        status = pathlib.Path(f"/proc/{found[role]}/status").read_text()
        assert re.search(r"NoNewPrivs:\t1", status) and re.search(r"Seccomp:\t2", status)
        if os.geteuid() == 0:
            assert not re.search(r"Uid:\t0", status) and re.search(r"CapEff:\t0+\n", status)
    # the work process has pipes of ours and nothing that leads to the network
    inet = {line.split()[9] for name in ("tcp", "tcp6", "udp", "udp6") for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]}
    sockets = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{found['work']}/fd").iterdir()]
    assert sockets and not any(re.fullmatch(r"socket:\[(\d+)\]", s) and s[8:-1] in inet for s in sockets)
    client.terminate()
    assert result_of(client)["name"] in STOPPED


def test_no_port_is_open(office):
    mine = {office.agent.pid, *(p for _, p in processes(office))}
    listening = subprocess.run(["ss", "-Hlnptu"], capture_output=True, text=True, check=True).stdout
    assert not any(f"pid={p}," in listening for p in mine)


def test_agent_killed(office):
    client = start_session(office)
    children = [p for _, p in processes(office)]
    office.agent.kill(signal.SIGKILL)
    system.wait_for(lambda: not any(pathlib.Path(f"/proc/{p}/exe").exists() for p in children), "processes are left", 30)
    start_agent(office)
    assert result_of(client)["name"] == "RESUME_OVER"  # a new agent knows nothing of it
    assert office.connect("--for", "100ms")["code"] == 0


def test_memory_idle(office):
    """An agent that waits, after a session, takes less than 32 MiB in all its processes."""
    assert office.connect("--for", "1s")["code"] == 0
    system.wait_for(lambda: roles(office) == ["control"], "processes are left")
    paths = [pathlib.Path(f"/proc/{pid}") for pid in system.family(office.agent.pid)]
    mib = {(path / "comm").read_text().strip(): int(re.search(r"VmRSS:\s+(\d+)", (path / "status").read_text())[1]) / 1024 for path in paths}
    print(mib)
    assert len(mib) == 2 and 0 < sum(mib.values()) < 32, mib


def test_agent_stopped_says_so(office):
    client = start_session(office)
    office.agent.stop()
    assert result_of(client)["name"] == "ENDED_BY_ADMIN"


@pytest.mark.parametrize("role, name", [("desktop", "DESKTOP_FAILED"), ("work", "RESUME_OVER")])
def test_process_killed(office, role, name):
    client = start_session(office)
    os.kill(pid(office, role), signal.SIGKILL)
    assert result_of(client)["name"] == name
    assert office.connect("--for", "100ms")["code"] == 0


def test_pump_killed(office):
    client = start_session(office)
    mark = log_size(office)
    os.kill(pid(office, "pump"), signal.SIGKILL)
    system.wait_for(lambda: "session.heard" in log(office, mark).partition("session.resumed")[2], "the session does not go on")
    client.terminate()
    result = result_of(client)
    assert result["name"] in STOPPED and result["resumes"] == 1


def test_control_killed(office):
    client = start_session(office)
    killed = pid(office, "control")
    os.kill(killed, signal.SIGKILL)
    system.wait_for(lambda: dict(processes(office)).get("control", killed) != killed and office.agent_up(), "control does not come back", 60)
    client.terminate()
    assert result_of(client)["name"] in STOPPED  # the session never noticed


@pytest.mark.parametrize("role", ["work", "desktop", "pump"])
def test_process_hangs(office, role):
    client = start_session(office)
    mark = log_size(office)
    os.kill(pid(office, role), signal.SIGSTOP)
    client.send_signal(signal.SIGTERM)
    client.communicate(timeout=50)
    if role == "pump":  # the client's last word did not arrive: its desktop waits for it, or for the next login
        system.wait_for(lambda: "session.lost" in log(office, mark), "the loss is not noticed")
        assert office.connect("--for", "100ms")["code"] == 0
    system.wait_for(lambda: office.agent_status()["sessions"] == 0 and roles(office) == ["control"], "processes are left")


def test_desktop_cannot_start(office):
    conf = office.dir / "agent.conf"
    good = conf.read_text()
    conf.write_text(re.sub(r"DISPLAY :.*", "DISPLAY :77", good))
    try:
        restart(office)
        result = office.connect("--for", "1s")
        assert (result["code"], result["name"]) == (311, "DESKTOP_FAILED")
    finally:
        conf.write_text(good)
        restart(office)


def test_take_over(office):
    first = start_session(office)
    second = office.connect("--for", "1s", device="second.key")
    assert second["code"] == 0
    assert result_of(first)["name"] == "TAKEN_OVER"


def test_idle(office):
    office.sign_policy(IDLE_TIMEOUT=3)
    mark = log_size(office)
    assert office.connect("--for", "40s")["name"] == "IDLE"
    ended = system.wait_for(lambda: re.search(r"session\.end .*code=IDLE .*worked_s=(\d+)", log(office, mark)), "no end in the log")
    assert 2 <= int(ended[1]) < 15
    # input starts the clock again
    assert office.connect(*["--wait", "1000", "--key", "a"] * 4)["code"] == 0


def test_unset(office):
    tool(office, "mail", "--remove")
    assert office.connect("--for", "1s")["code"] == 325
    tool(office, "mail", "tanaka@elsewhere.example")  # not the organisation's
    assert office.connect("--for", "1s")["code"] == 325
    tool(office, "mail", system.ADDRESS, "--reset")
    tool(office, "password", "--remove")
    seen = office.mail.count()
    assert office.connect("--for", "1s")["code"] == 323
    assert office.mail.count() == seen


def test_policy_closes(office):
    for change, code in [({"DISABLE_MACCHECK": None}, 328), ({"DISABLE_LIMITED_FIREWALL": None}, 1050),
            ({"DENY_CLIENTS_APP": "yes"}, 335),
            ({"SERVER_ALLOWED_MAC_LIST_URL": "https://10.0.0.1/"}, 329)]:
        office.sign_policy(**change)
        assert office.connect("--for", "1s")["code"] == code, change


def test_minimum_client_build(office, client, inner):
    """An older client is told to update; a digit too many shuts nobody out who is as new as the office PC, which says so in its log."""
    mark = log_size(office)
    for minimum in 1, 4000000:
        office.sign_policy(REQUIRE_MINIMUM_CLIENT_BUILD=minimum)
        kind, payload = client().begin().facts(build=0)
        assert kind == inner.INNER_REFUSED and inner.Refused.FromString(payload).code == 309
        assert office.connect("--for", "100ms")["code"] == 0
    assert re.search("policy.minimum_build policy=4000000 held_to=[0-9]+", log(office, mark))


def test_policy_of_a_later_version_closes(office):
    """`engawa org policy sign` of this version would not sign it."""
    office.sign_policy()
    body = office.policy_file.read_text().partition("SIGNATURE")[0] + "FUTURE_PROHIBITION yes\n"
    key = serialization.load_pem_private_key((office.org_dir / "policy.key").read_bytes(), None)
    signature = key.sign(b"engawa policy v1\0" + body.encode(), ec.ECDSA(hashes.SHA256()))
    office.policy_file.write_text(f"{body}SIGNATURE {base64.b64encode(signature).decode()}\n")
    assert office.connect("--for", "1s")["code"] == 1015


def test_attack_policy_forged_old_and_removed(office):
    """Tried: a higher revision written into the signed policy, the policy of before put back, also after a restart, and the file removed. Comes of
    it: the office PC lets nobody in."""
    good = office.policy_file.read_text()
    newer = re.sub(r"REVISION \d+", "REVISION 9999", good)
    office.policy_file.write_text(newer)
    assert office.connect("--for", "1s")["code"] == 1015
    office.policy_file.write_text(good)
    assert office.connect("--for", "100ms")["code"] == 0
    office.sign_policy()
    assert office.connect("--for", "100ms")["code"] == 0
    office.policy_file.write_text(good)  # the one before
    assert office.connect("--for", "1s")["code"] == 1015
    restart(office)
    assert office.connect("--for", "1s")["code"] == 1015
    office.policy_file.unlink()
    assert office.connect("--for", "1s")["code"] == 1015


def test_attack_policy_of_the_same_revision(office):
    """Tried: another policy that the organisation signed under the same revision, in place of the one that is in force, also after a restart. Comes of
    it: nobody comes in, and is told why, until the first one is back or one with a higher revision is there. The same content, signed once more, is
    the same policy."""
    office.sign_policy()
    first, revision = office.policy_file.read_text(), office.state["revision"]
    assert office.connect("--for", "100ms")["code"] == 0
    office.sign_policy(REVISION=revision, MAX_SESSION=7200)
    for again in False, True:
        if again:
            restart(office)
        result = office.connect("--for", "1s")
        assert result["code"] == 1540 and "REVISION" in result["stderr"]
        assert office.agent_status()["policy"]["code"] == 1540
    office.policy_file.write_text(first)
    assert office.connect("--for", "100ms")["code"] == 0
    office.sign_policy(REVISION=revision)
    assert office.policy_file.read_text() != first and office.connect("--for", "100ms")["code"] == 0
    office.state["revision"] = revision
    office.sign_policy(MAX_SESSION=7200)
    assert office.connect("--for", "100ms")["code"] == 0


def test_attack_lockout_outlives_a_restart(office, wrong_password):
    """Tried: wrong passwords until strangers are locked out, then the agent is killed. Comes of it: the new one still refuses all strangers, mails
    nothing for them, and lets the owner's device in."""
    assert office.connect("--for", "100ms")["code"] == 0  # the owner's device is known from here on
    office.sign_policy(AUTH_LOCKOUT_COUNT=2, AUTH_LOCKOUT_TIMEOUT=300)
    for _ in range(3):
        result = office.connect("--for", "1s", device="stranger.key", password_file=wrong_password)
    assert result["code"] == 330, result
    office.agent.kill(signal.SIGKILL)
    start_agent(office)
    seen = office.mail.count()
    assert office.connect("--for", "1s", device="another.key")["code"] == 330  # all strangers
    assert office.mail.count() == seen
    assert office.agent_status()["strangers_locked_s"] > 200
    assert office.connect("--for", "100ms")["code"] == 0  # and never the owner
    tool(office, "unlock")
    assert office.connect("--for", "100ms", device="another.key")["code"] == 0


def test_attack_wrong_code(office):
    """Tried: a made-up code, from an unknown device. Comes of it: a wrong code, or strangers are locked out by then."""
    result = office.connect("--for", "1s", device="stranger.key", code_command="echo 00000000")
    assert result["code"] in (324, 330)


def test_disk_full(office, tmp_path):
    """Counters that cannot be written: nothing is judged."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", tmp_path]).returncode != 0:
        pytest.skip("no mount here")
    kept = office.agent_dir.with_name("agent-kept")
    try:
        office.agent.stop()
        shutil.copytree(office.agent_dir, tmp_path / "state")
        office.agent_dir.rename(kept)
        office.agent_dir.symlink_to(tmp_path / "state")
        start_agent(office)
        (tmp_path / "full").write_bytes(b"")
        with open(tmp_path / "full", "wb", buffering=0) as full:
            try:
                while True:
                    full.write(b"x" * 4096)
            except OSError:
                pass
        assert office.connect("--for", "1s")["code"] == 1027
        (tmp_path / "full").unlink()
        assert office.connect("--for", "100ms")["code"] == 0
    finally:
        office.agent.stop()
        if kept.exists():
            office.agent_dir.unlink(missing_ok=True)
            kept.rename(office.agent_dir)
        subprocess.run(["umount", tmp_path])
    start_agent(office)


def clock(shift):
    """The monitor's own: the processes it starts have no environment."""
    return {"LD_PRELOAD": next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")).as_posix(), "FAKETIME": shift,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def test_clock_before_the_certificate(office):
    office.agent.stop()
    with pytest.raises(system.Failed, match="before its own certificate was issued"):
        start_agent(office, env=clock("-2d"))


@pytest.mark.parametrize("shift, code", [("+1d", 1008), ("+2h", 1008), ("-2m", 1009)])
def test_clock_wrong(office, shift, code):
    restart(office, env=clock(shift))
    try:
        assert office.connect("--for", "1s")["code"] in (code, 202)
        assert {1008: "TICKET_EXPIRED", 1009: "CLOCK"}[code] in log(office)
    finally:
        restart(office)


def test_gate_comes_and_goes(office):
    client = start_session(office)
    mark = log_size(office)
    office.gate.kill()
    system.wait_for(lambda: not office.agent_up(), "the agent does not notice")
    assert office.agent_status()["gates"][0]["code"] != 0
    office.start_gate()
    system.wait_for(office.agent_up, "the agent does not come back", 90)
    system.wait_for(lambda: "session.heard" in log(office, mark).partition("session.resumed")[2], "the session does not go on", 60)
    client.terminate()
    result = result_of(client)
    assert result["name"] in STOPPED and result["resumes"] == 1
    system.wait_for(lambda: office.connect("--for", "100ms")["code"] == 0, "no session any more", 60)


def test_two_agents(office):
    argv = [str(a) for a in office.agent.argv]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and "in use by another" in second.stderr
    assert office.connect("--for", "100ms")["code"] == 0


def test_settings(office):
    def fails(*argv, code, **options):
        with pytest.raises(system.Failed, match=f"EW-{code}"):
            tool(office, *argv, **options)
    fails("password", input="short1A\n", code=1080)
    fails("mail", "not an address", code=1028)
    fails("mail", "a@b,c@d", code=1028)
    assert office.agent_status()["password"] is True
    if os.geteuid() == 0:
        fails("mail", "a@b", code=1026, user="daemon")
    for path in office.agent_dir.iterdir():
        if path.name != "agent.sock" and path.is_file():
            assert path.stat().st_mode & 0o077 == 0 or path.name in ("certificate", "policy"), path
    office.agent.stop()
    fails("status", code=1052)


def test_enrol(office, tmp_path):
    state = tmp_path / "state"

    def enrol(code):
        return office.tool("engawa", "agent", "enrol", "--org", office.org_file, "--org-fingerprint", office.fingerprint(), "--code", code,
            "--state-directory", state)
    with pytest.raises(system.Failed, match="EW-256"):
        enrol("WRONG-CODE")
    key = (state / "identity.key").read_bytes()
    code = office.tool("engawa", "code", "new", "--org", system.ORGANISATION)
    identifier = enrol(code)
    assert re.fullmatch(r"([0-9A-Z]{4}-){3}[0-9A-Z]{4}", identifier) and identifier != office.terminal_id
    assert (state / "identity.key").read_bytes() == key  # the interrupted enrolment went on
    with pytest.raises(system.Failed, match="EW-1025"):
        enrol(code)
    assert state.stat().st_mode & 0o777 == 0o700
    for path in state.iterdir():
        assert path.stat().st_mode & 0o077 == 0 or path.name == "certificate"
    # not approved yet: nobody gets in, and nobody is told why
    assert office.connect("--for", "1s", terminal_id=identifier)["code"] == 202


def test_link_stays(office):
    """A connection that waits is not taken for a silent one before the first ping."""
    assert office.agent_up()
    before = log(office).count("link.up")
    time.sleep(12)  # longer than a Hello may take, shorter than a keepalive
    assert office.agent_up() and log(office).count("link.up") == before


def test_organisation_file(office, tmp_path):
    """The first one is confirmed, later ones are newer and signed by the same key; nothing else gets in."""
    state, newer = tmp_path / "state", tmp_path / "newer"

    def agent(*argv):
        return office.tool("engawa", "agent", *argv, "--state-directory", state)

    def fails(code, *argv):
        with pytest.raises(system.Failed, match=f"EW-{code}"):
            agent(*argv)
    enrol = ["enrol", "--org", office.org_file, "--code", office.tool("engawa", "code", "new", "--org", system.ORGANISATION)]
    fails(1055, *enrol)
    fails(1056, *enrol, "--org-fingerprint", "0000" + office.fingerprint()[4:])
    assert not (state / "identity.key").exists()
    fails(1053, "organisation", "--org", office.org_file)
    agent(*enrol, "--org-fingerprint", office.fingerprint())
    shutil.copytree(office.org_dir, newer)
    office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", newer, "--support", "内線 5678")
    agent("organisation", "--org", newer / "organisation.engawa")
    assert "内線 5678" in (state / "organisation").read_text()
    fails(1058, "organisation", "--org", office.org_file)
    changed = tmp_path / "changed"
    changed.write_text((newer / "organisation.engawa").read_text().replace("5678", "6666"))
    fails(1005, "organisation", "--org", changed)
    other = other_organisation(office, tmp_path)
    named = office.tool("engawa", "org", "fingerprint", other)
    assert named != office.fingerprint()
    fails(1057, "organisation", "--org", other)
    fails(1057, "organisation", "--org", other, "--org-fingerprint", named)
    assert "内線 5678" in (state / "organisation").read_text()


def other_organisation(office, tmp_path):
    """Somebody else's file of the same name: same relay, another signing key."""
    directory = tmp_path / "other"
    shutil.copytree(office.org_dir, directory)
    office.tool("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", directory / "signing.key")
    (directory / "signing.key").chmod(0o600)
    for _ in range(3):  # no reason to refuse it for its age
        office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", directory)
    return directory / "organisation.engawa"


def test_signing_key_is_handed_over(office, tmp_path):
    """The key before signs for the next: office PC and client follow, over several steps too, and never back."""
    state, org = tmp_path / "state", tmp_path / "org"
    shutil.copytree(office.org_dir, org)
    first, newest = org / "first", org / "organisation.engawa"
    office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", org)
    shutil.copy(newest, first)
    named = office.tool("engawa", "org", "fingerprint", first)
    office.tool("engawa", "agent", "enrol", "--org", first, "--org-fingerprint", named, "--code",
        office.tool("engawa", "code", "new", "--org", system.ORGANISATION), "--state-directory", state)
    assert office.connect("--for", "100ms", org=first, device=tmp_path / "device.key")["code"] == 0
    take = lambda path: office.tool("engawa", "agent", "organisation", "--org", path, "--state-directory", state)
    for _ in range(2):
        office.tool("engawa", "org", "rekey", "--ca", office.ca, "--dir", org)
    assert office.tool("engawa", "org", "fingerprint", newest) != named and newest.read_text().count("HANDOVER ") == 2
    take(newest)
    assert (state / "organisation").read_text() == newest.read_text()
    assert office.connect("--for", "100ms", org=newest, device=tmp_path / "device.key")["code"] == 0
    with pytest.raises(system.Failed, match="EW-1057"):
        take(first)
    assert "EW-1057" in office.connect("--for", "100ms", org=first, device=tmp_path / "device.key")["stderr"]
    office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", org)
    take(newest)
    assert office.connect("--for", "100ms", org=newest, device=tmp_path / "device.key")["code"] == 0


def test_attack_signing_key_of_a_thief(office, tmp_path):
    """A file with another key, whose hand-over somebody else signed, or that claims one made for another organisation: refused by office PC and client."""
    org = tmp_path / "org"
    assert office.connect("--for", "100ms", device=tmp_path / "device.key")["code"] == 0
    shutil.copytree(office.org_dir, org)
    office.tool("engawa", "org", "rekey", "--ca", office.ca, "--dir", org)
    (org / "signing.key").unlink()
    office.tool("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", org / "signing.key")
    (org / "signing.key").chmod(0o600)
    with pytest.raises(system.Failed, match="EW-1005"):  # not even `org file` makes one whose hand-overs do not lead to its key
        office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", org)
    (org / "handovers").unlink()
    for _ in range(2):
        office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", org)
    with pytest.raises(system.Failed, match="EW-1057"):
        office.tool("engawa", "agent", "organisation", "--org", org / "organisation.engawa", "--state-directory", office.agent_dir)
    assert "EW-1057" in office.connect("--for", "100ms", org=org / "organisation.engawa", device=tmp_path / "device.key")["stderr"]


def test_attack_same_revision_other_content(office, tmp_path):
    """Who has the signing key shows different files of one revision to different people: whoever sees both refuses."""
    one, other = tmp_path / "one", tmp_path / "other"
    for path, support in ((one, "内線 1111"), (other, "内線 2222")):
        shutil.copytree(office.org_dir, path)
        office.tool("engawa", "org", "file", "--ca", office.ca, "--dir", path, "--support", support)
    state = tmp_path / "state"
    office.tool("engawa", "agent", "enrol", "--org", one / "organisation.engawa", "--org-fingerprint", office.fingerprint(), "--code",
        office.tool("engawa", "code", "new", "--org", system.ORGANISATION), "--state-directory", state)
    for path in one, other:
        take = lambda: office.tool("engawa", "agent", "organisation", "--org", path / "organisation.engawa", "--state-directory", state)
        if path == one:
            take()
        else:
            with pytest.raises(system.Failed, match="EW-1213"):
                take()
    assert office.connect("--for", "100ms", org=one / "organisation.engawa", device=tmp_path / "device.key")["code"] == 0
    assert "EW-1213" in office.connect("--for", "100ms", org=other / "organisation.engawa", device=tmp_path / "device.key")["stderr"]
