"""In a network of its own (test_login.py): one PC that is an office PC and a client, and an office PC elsewhere. Prints what its person gets, as JSON."""
import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import system  # noqa: E402
import two_sites  # noqa: E402


def enrol_here(engawa, both):
    """The other role of the client's PC: its own agent, which runs on that PC."""
    directory = engawa.dir / "both"
    code = engawa.tool("engawa", "code", "new", "--org", system.ORGANISATION, "--approve")
    terminal_id = engawa.tool("engawa-agent", "enrol", "--org", engawa.org_file, "--org-fingerprint", engawa.fingerprint(), "--code", code,
        "--state-directory", directory)
    shutil.copy(engawa.policy_file, directory / "policy")
    text = (engawa.dir / "agent.conf").read_text()
    for key, value in (("STATE_DIRECTORY", directory), ("POLICY_FILE", directory / "policy")):
        text = "".join(line for line in text.splitlines(True) if not line.startswith(f"{key} ")) + f"{key} {value}\n"
    conf = engawa.dir / "both.conf"
    conf.write_text(text)
    status = lambda: json.loads(engawa.tool("engawa", "agent", "status", "--state-directory", directory))
    engawa.part("both", [*both.prefix, system.BUILD / "src/agent/engawa-agent", "--config", conf, "run"], lambda: (directory / "agent.sock").exists()).start()
    engawa.tool("engawa", "agent", "password", "--state-directory", directory, input=engawa.password + "\n")
    engawa.tool("engawa", "agent", "mail", system.ADDRESS, "--state-directory", directory)
    system.wait_for(lambda: any(gate["up"] for gate in status()["gates"]), "the other agent does not reach the relay")
    return terminal_id, status


def main():
    with two_sites.engawa_and_home() as (engawa, both):
        engawa.agent_options["SELF_CONNECT"] = "no"
        engawa.start()
        terminal_id, status = enrol_here(engawa, both)
        mails = engawa.mail.count()
        itself = engawa.connect("--for", "100ms", prefix=both.prefix, terminal_id=terminal_id, env={"LC_ALL": "ja_JP.UTF-8"})
        itself["mails"] = engawa.mail.count() - mails
        other = engawa.connect("--for", "100ms", prefix=both.prefix)
        print(json.dumps({"itself": itself, "other": other, "sessions": status()["sessions"],
            "elsewhere": engawa.connect("--for", "100ms", terminal_id=terminal_id)}))


main()
