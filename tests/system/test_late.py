"""What was good and no longer is: a mailed code after five minutes, a ticket after its session."""
import re
import shlex

import pytest

import system
from gate_driver import CODE
from hostile_client import Refused
from test_agent import clock, log, start_agent


@pytest.fixture(scope="module")
def office(own_engawa):
    return own_engawa


@pytest.fixture
def later(office, tmp_path):
    """The agent with a clock of its own; the function sets it forward by so many seconds."""
    ahead = tmp_path / "ahead"
    ahead.write_text("+0\n")
    env = clock("+0")
    del env["FAKETIME"], env["FAKETIME_DONT_FAKE_MONOTONIC"]
    office.agent.stop()
    start_agent(office, env=env | {"FAKETIME_TIMESTAMP_FILE": str(ahead), "FAKETIME_NO_CACHE": "1"})
    yield ahead
    office.agent.stop()
    start_agent(office)


def late_reader(office, ahead, tmp_path, second):
    """A person who answers the first mail 301 s after the code was made; second is what gives the answer to the second prompt."""
    came = tmp_path / "came"
    count = office.mail.count()
    next_pin = lambda n: shlex.join(["/usr/bin/python3", "-B", system.__file__, "next-pin", str(office.mail.path), str(n)])
    script = tmp_path / "reader"
    script.write_text(f"""#!/bin/sh
if [ ! -e {came} ]; then
	{next_pin(count)} > {came}
	echo +301 > {ahead}
	cat {came}
else
	{second(next_pin(count + 1), came)}
fi
""")
    script.chmod(0o755)
    return str(script)


def test_late_code(office, later, tmp_path):
    """Five minutes are over: it is void, the person is told, and a new one is sent, which is good."""
    mails = office.mail.count()
    result = office.connect("--for", "100ms", code_command=late_reader(office, later, tmp_path, lambda new, old: new), timeout_s=90)
    assert result["code"] == 0, result
    assert office.mail.count() == mails + 2
    codes = [re.search(r"\b\d{8}\b", m.get_content())[0] for m in office.mail.messages()[-2:]]
    assert (tmp_path / "came").read_text().strip() == codes[0] != codes[1]


def test_attack_late_code_again(office, later, tmp_path):
    """Who insists on the code that is void gets nothing: it is wrong now like any other."""
    result = office.connect("--for", "100ms", code_command=late_reader(office, later, tmp_path, lambda new, old: f"{new} > /dev/null; cat {old}"),
        timeout_s=90)
    assert (result["status"], result["code"]) == (1, CODE["CODE_WRONG"]), result
    office.tool("engawa", "agent", "unlock", "--state-directory", office.agent_dir)


def test_attack_ticket_after_its_session(office, client, inner):
    """A ticket whose session is over is not 60 s old: the gate, which forgot it, knocks; the office PC, which did not, refuses."""
    first = client().begin()
    first.log_in()
    first.input(inner.INNER_END, inner.End(code=CODE["ENDED"]))
    first.hear_until()
    first.close()
    system.wait_for(lambda: office.agent_status()["sessions"] == 0, "the session stays", 30)
    mails, mark = office.mail.count(), len(log(office))
    again = client(device=first.device)
    with pytest.raises(Refused) as refused:
        again.join(first.ticket)
    assert refused.value.args[0] == CODE["TICKET_BAD"]
    again.close()
    assert "knock.refused" in log(office)[mark:] and "code=TICKET_BAD" in log(office)[mark:]
    assert office.mail.count() == mails
    assert office.connect("--for", "100ms")["code"] == 0
