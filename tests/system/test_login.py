"""Who gets in through the whole relay, and what the others learn."""
import secrets
import statistics
import subprocess
import time

import pytest

import system
from gate_driver import CODE

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def with_check_digit(digits):
    """The sixteenth digit: sum of a^i v_i over GF(32), polynomial x^5 + x^2 + 1 (docs/protocol.md 2)."""
    total, power = 0, 1
    for digit in digits:
        power = power << 1 ^ (0b100101 if power & 16 else 0)
        product, factor, value = 0, power, ALPHABET.index(digit)
        while value:
            product ^= factor if value & 1 else 0
            factor, value = factor << 1 ^ (0b100101 if factor & 16 else 0), value >> 1
        total ^= product
    return digits + ALPHABET[total]


def unknown_id():
    return with_check_digit("".join(secrets.choice(ALPHABET) for _ in range(15)))


def enrol(engawa, name):
    """One more office PC, which nobody has approved yet and whose agent does not run."""
    code = engawa.tool("engawa", "code", "new", "--org", system.ORGANISATION)
    return engawa.tool("engawa-agent", "enrol", "--org", engawa.org_file, "--org-fingerprint", engawa.fingerprint(), "--code", code, "--state-directory", engawa.dir / name)


def start_agent(engawa, name):
    """A second agent beside the first, in its own directory."""
    conf = engawa.dir / f"{name}.conf"
    conf.write_text((engawa.dir / "agent.conf").read_text().replace(f"STATE_DIRECTORY {engawa.agent_dir}", f"STATE_DIRECTORY {engawa.dir / name}"))
    return engawa.part(name, [system.BUILD / "src/agent/engawa-agent", "--config", conf, "run"],
        lambda: (engawa.dir / name / "agent.sock").exists()).start()


def test_check_digit(engawa):
    plain = engawa.terminal_id.replace("-", "")
    assert with_check_digit(plain[:15]) == plain


def test_unreachable_terminals_look_alike(own_engawa):
    """Unknown, offline, suspended and pending: one answer, in one time."""
    engawa = own_engawa
    ids = {name: enrol(engawa, name) for name in ("offline", "suspended", "pending")}
    ids["unknown"] = unknown_id()
    agents = {agent["terminal_id"]: agent["id"] for agent in engawa.agents()}
    for name in "offline", "suspended":
        engawa.tool("engawa", "agent", "approve", agents[ids[name]])
    for name in "suspended", "pending":
        start_agent(engawa, name)
    engawa.tool("engawa", "agent", "suspend", agents[ids["suspended"]])
    times, words = {name: [] for name in ids}, set()
    for _ in range(12):
        for name, terminal_id in ids.items():
            begin = time.monotonic()
            result = engawa.connect(terminal_id=terminal_id)
            times[name].append(time.monotonic() - begin)
            assert (result["status"], result["code"]) == (1, CODE["UNREACHABLE"]), (name, result)
            words.add(result["stderr"])
    assert len(words) == 1
    medians = {name: statistics.median(values) for name, values in times.items()}
    spread = max(statistics.quantiles(sum(times.values(), []), n=4)) - min(statistics.quantiles(sum(times.values(), []), n=4))
    assert max(medians.values()) - min(medians.values()) < max(0.02, spread), medians


def test_mistyped_id_is_told_at_home(engawa):
    plain = engawa.terminal_id.replace("-", "")
    swapped = plain[1] + plain[0] + plain[2:] if plain[0] != plain[1] else plain[:1] + ("0" if plain[1] != "0" else "1") + plain[2:]
    result = engawa.connect(terminal_id=swapped)
    assert result["status"] == 1 and f"EW-{CODE['TERMINAL_ID_BAD']}" in result["stderr"]


def test_full_width_and_lower_case(engawa):
    """As it comes out of a Japanese keyboard."""
    wide = "".join(chr(ord(c) + 0xfee0) if c != "-" else "ー" for c in engawa.terminal_id.lower())
    assert engawa.connect(terminal_id=wide)["status"] == 0


def test_code_of_an_earlier_session(engawa):
    assert engawa.connect()["status"] == 0
    old = engawa.mail.newest_pin()
    result = engawa.connect(code_command=f"echo {old}")
    assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"])
    assert engawa.connect()["status"] == 0


def test_code_of_a_login_beside_this_one(engawa, tmp_path):
    """A code is good in the handshake that asked for it only."""
    stolen = tmp_path / "stolen"
    waiting = subprocess.Popen([str(a) for a in engawa.connect_argv(code_command=f"{engawa.code_command()} > {stolen}; sleep 8; echo 0")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        system.wait_for(lambda: stolen.exists() and stolen.read_text().strip(), "no code", 20)
        result = engawa.connect(code_command=f"cat {stolen}", device="other-device.key")
        assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"])
    finally:
        waiting.terminate()
        waiting.wait(20)
    engawa.tool("engawa", "agent", "unlock", "--state-directory", engawa.agent_dir)


def office(engawa, *argv, **options):
    """engawa agent ... at the office PC."""
    return engawa.tool("engawa", "agent", *argv, "--state-directory", engawa.agent_dir, **options)


def test_attack_from_a_forbidden_network(engawa):
    """Refused before a mail is sent or anything is counted, with the organisation's contact; the list is in force at once."""
    mails = engawa.mail.count()
    office(engawa, "addresses", "deny", "127.0.0.0/8")
    office(engawa, "addresses", "allow", "192.0.2.0/24", "1")
    try:
        assert office(engawa, "addresses", "list") == "1 allow 192.0.2.0/24\n2 deny 127.0.0.0/8"
        result = engawa.connect()
        assert (result["status"], result["code"]) == (1, CODE["ADDRESS_DENIED"])
        assert "情報政策課 内線 1234" in result["stderr"]
        assert engawa.mail.count() == mails
    finally:
        office(engawa, "addresses", "remove", "2")
        office(engawa, "addresses", "remove", "1")
    assert engawa.connect()["status"] == 0


@pytest.mark.parametrize("words", [["deny", "127.0.0.1/8"], ["permit", "127.0.0.1"], ["deny"], ["remove", "1"], ["deny", "::/0", "0"]])
def test_slips_in_the_address_list(engawa, words):
    with pytest.raises(system.Failed):
        office(engawa, "addresses", *words)
    assert office(engawa, "addresses", "list") == ""
