"""One organisation's rate over two gates: the controller divides it, and whoever lies, dies or falls silent takes nothing from the others."""
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time

import pytest
from cryptography.hazmat.primitives import serialization

from controller_driver import Controller, Link, OfficePC
from gate_driver import BUILD, CODE, Gate, Keys, keys, messages, start_gate  # noqa: F401 (fixtures)
from test_gate_numbers import feed, pump, value, wait

RATE = 1_000_000


def share(gate, organisation):
    return value(gate, "organisation_share", organisation=organisation)


def status(gate, **env):
    return subprocess.run([BUILD / "src/cli/engawa", "gate", "status", "--socket", gate.socket], check=True, capture_output=True, text=True,
        env=os.environ | env).stdout


class Relay:
    """A real controller with an office PC, and gates that have it in common."""

    def __init__(self, messages):
        self.messages, self.gates, self.stop = messages, {}, threading.Event()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="engawa-"))
        self.dir.chmod(0o711)
        self.keys = Keys(self.dir)
        self.keys.engawa("gate", "add", "--dir", self.dir, "--name", "west", "--host", "localhost", "--host", "127.0.0.1")
        self.controller = Controller(CA_DIRECTORY=self.dir)
        self.totals = {}

    def start(self):
        self.controller.start()
        self.organisation = self.controller.org(weight=3)
        self.link = self.controller.link("office")
        self.pc = OfficePC().enrol(self.controller, self.link, self.organisation)
        self.certificate = self.dir / "pc.pem"
        encoding = serialization.Encoding.PEM
        self.certificate.write_bytes(self.pc.certificate.public_bytes(encoding)
            + self.pc.tls_key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return self

    def gate(self, name):
        run = self.dir / name
        if name in self.gates:
            self.gates.pop(name).stop()
            shutil.rmtree(run)
        run.mkdir()
        for sock in "link.sock", "http.sock":
            (run / sock).symlink_to(f"{self.controller.run}/{sock}")
        gate = Gate(self.keys, self.messages, run, NAME=name, CERTIFICATE=self.dir / f"gates/{name}.pem", KEY=self.dir / f"gates/{name}.key", WORKERS=2,
            CLIENT_RATE_BYTES_S=0, ORGANISATION_RATE_BYTES_S=RATE, METRICS_SOCKET=run / "gate.sock")
        gate.socket = run / "gate.sock"
        self.gates[name] = gate.start(controller=False)
        gate.wait_log("link.up", 2)
        wait(gate.socket.exists)
        return gate

    def flow(self, name):
        """A session through this gate, of which the office PC sends all it can."""
        gate = self.gates[name]
        agent = gate.agent(self.pc.id, self.certificate)
        client, session = gate.join(agent, ticket={"organisation": self.organisation, "prefecture": 13, "gates": (name,)})
        client.agent = agent  # stays connected
        self.totals[name] = 0
        threading.Thread(target=feed, args=(session.stream, self.stop), daemon=True).start()
        threading.Thread(target=pump, args=([(name, client)], self.totals, self.stop), daemon=True).start()

    def moved(self, seconds):
        """Bytes a second of all flows, for so long."""
        start, before = time.monotonic(), sum(self.totals.values())
        time.sleep(seconds)
        return (sum(self.totals.values()) - before) / (time.monotonic() - start)

    def close(self):
        self.stop.set()
        for gate in self.gates.values():
            gate.stop()
        self.controller.close()
        shutil.rmtree(self.dir)


@pytest.fixture
def relay(messages):
    with contextlib.closing(Relay(messages)) as relay:
        yield relay.start()


def test_two_gates(relay):
    """Both together stay within the rate; what one has not taken when it dies the other has."""
    east, west = relay.gate("east"), relay.gate("west")
    relay.flow("east")
    wait(lambda: relay.totals["east"] > RATE)
    assert share(east, relay.organisation) == 1000  # alone
    relay.flow("west")
    wait(lambda: share(east, relay.organisation) == share(west, relay.organisation) == 500, 30)
    wait(lambda: relay.moved(1) < 1.2 * RATE, 60)  # what buffers and bursts gave is over
    assert relay.moved(3) < 1.2 * RATE  # with whole rates it would be twice that
    assert "shares.divided rates=1" in east.log()
    west.process.kill()
    wait(lambda: share(east, relay.organisation) == 1000, 15)
    wait(lambda: relay.moved(1) > 0.7 * RATE, 60)
    assert "shares.whole" not in east.log()  # it was told so
    # without the controller each gate has the whole, and says that once
    west = relay.gate("west")
    relay.flow("west")
    wait(lambda: share(east, relay.organisation) < 1000, 30)
    relay.controller.stop()
    wait(lambda: share(east, relay.organisation) == 1000, 15)
    assert east.log().count("shares.whole why=link") == 1


def test_attack_hostile_gate(relay):
    """A gate that was taken over claims everything, under the honest one's name and others, invents organisations, and says what makes no sense. The
    honest one keeps its half; the liar is cut."""
    east = relay.gate("east")
    relay.flow("east")
    liars = [relay.controller.link(name) for name in ("east", "west", "north", "office")]  # of one process: one gate, whatever it says
    message = relay.link.messages
    everything = message.LinkDemand(demands=[message.Demand(organisation=relay.organisation, prefecture=13, used=1000, hungry=True),
        message.Demand(prefecture=13, used=1000, hungry=True)])
    numbers, lows = itertools.count(), []

    def lie():
        for liar in liars:
            liar.send("DEMAND", everything)
            for _ in range(20):
                liar.send("DEMAND", message.LinkDemand(demands=[message.Demand(organisation=f"made-up-{next(numbers)}", prefecture=13) for _ in range(64)]))
        return share(east, relay.organisation)
    wait(lambda: lie() == 500, 60)
    wait(lambda: lows.append(lie()) or len(lows) == 40, 60)
    assert min(lows) == 500 and "shares.refused" in relay.controller.log_text()
    for bad in message.Demand(), message.Demand(prefecture=48), message.Demand(organisation="x", used=1001):
        liar = relay.controller.link("west")
        liar.send("DEMAND", message.LinkDemand(demands=[bad]))
        assert liar.ended() == CODE["PROTOCOL"]
    assert east.lives() and relay.controller.role("core")


def test_resumed_only(relay):
    """A gate that knows an organisation from sessions that came back only is told its prefecture and weight."""
    message = relay.link.messages
    relay.link.send("DEMAND", message.LinkDemand(demands=[message.Demand(organisation=relay.organisation, row=7), message.Demand(organisation="nobody")]))
    [told] = relay.link.expect("SHARES", message.LinkShares).shares
    assert told == message.Share(organisation=relay.organisation, prefecture=13, weight=3, part=1000, row=7)


@pytest.fixture
def lone(start_gate):
    """A gate whose controller is ours."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-"))  # not below pytest's own, which is closed to other users
    stop = threading.Event()
    totals = {"flow": 0}

    def begin(**settings):
        gate = start_gate(CLIENT_RATE_BYTES_S=0, METRICS_SOCKET=directory / "gate.sock", **settings)
        gate.socket, gate.totals = directory / "gate.sock", totals
        wait(gate.socket.exists)
        return gate

    def flow(gate, **ticket):
        client, session = gate.join(gate.agent(), ticket={"organisation": "city"} | ticket)
        threading.Thread(target=feed, args=(session.stream, stop), daemon=True).start()
        threading.Thread(target=pump, args=([("flow", client)], totals, stop), daemon=True).start()
    begin.flow = flow
    yield begin
    stop.set()
    shutil.rmtree(directory)


def test_an_older_controller(lone):
    """It would cut the link at a frame that it does not know: it hears none, and rates are whole."""
    gate = lone(ORGANISATION_RATE_BYTES_S=RATE)
    lone.flow(gate)
    wait(lambda: gate.totals["flow"] > 3 * RATE)  # seconds
    assert "link.down" not in gate.log() and share(gate, "city") == 1000


def divided(lone):
    """A gate with a flow of one organisation, and a part of its rate, by a controller that says it just once."""
    gate = lone(ORGANISATION_RATE_BYTES_S=RATE, welcome={"divides": True})
    lone.flow(gate)
    demand = gate.controller.wait("LINK_DEMAND", 2, 20).demands[0]
    assert (demand.organisation, demand.prefecture) == ("city", 0) and 0 < demand.used <= 1000
    city = gate.link.Share(organisation="city", prefecture=13, weight=4, part=300, row=demand.row)
    gate.controller.send(gate.link.LINK_SHARES, gate.link.LinkShares(shares=[city]))
    gate.wait_log("shares.divided rates=1")
    return gate, city


def test_status(lone):
    """People see which parts of rates their gate has, as long as it has them, and nothing of whole ones."""
    gate = lone(ORGANISATION_RATE_BYTES_S=RATE, PREFECTURE_RATE_BYTES_S=RATE, welcome={"divides": True})
    lone.flow(gate, prefecture=13)
    rows = lambda: [one.row for name, heard in list(gate.controller.heard) if name == "LINK_DEMAND" for one in heard.demands if one.organisation == "city"]
    wait(rows, 20)
    shares = gate.link.LinkShares(shares=[gate.link.Share(organisation="city", prefecture=13, weight=1, part=305, row=rows()[0]),
        gate.link.Share(prefecture=13, part=70)])
    assert "part of" not in status(gate, LC_ALL="C.UTF-8")

    def shown(language, organisation, prefecture):
        gate.controller.send(gate.link.LINK_SHARES, shares)
        text = status(gate, LC_ALL=language)
        return re.search(rf"^{organisation}.*\n  city +30\.5%\n\n{prefecture}.*\n  13 +7\.0%$", text, re.M)
    wait(lambda: shown("C.UTF-8", "this gate's part of an organisation's rate", "this gate's part of a prefecture's rate"), 30)
    wait(lambda: shown("ja_JP.UTF-8", "団体の帯域のうちこのゲートの分", "都道府県の帯域のうちこのゲートの分"), 30)
    wait(lambda: "part of" not in status(gate, LC_ALL="C.UTF-8"), 30)  # nobody has told them again


def test_silence(lone):
    """A controller that divides and then falls silent: whole after five seconds, said once. The prefecture that a ticket did not say is taken from it."""
    gate, _ = divided(lone)
    assert value(gate, "organisation_weight", organisation="city", prefecture="13") == 4
    gate.wait_log("shares.whole why=silence rates=1", timeout=30)
    wait(lambda: share(gate, "city") == 1000)  # said, then done
    wait(lambda: gate.totals["flow"] > 3 * RATE)
    assert gate.log().count("shares.whole") == 1


def test_attack_parts(lone):
    """Parts that cannot be, or of a row that is another organisation's: the link ends, or nothing changes."""
    gate, city = divided(lone)
    link = gate.link
    town = link.Share(organisation="town", prefecture=14, weight=9, part=1, row=city.row)
    gate.controller.send(link.LINK_SHARES, link.LinkShares(shares=[city, town]))
    gate.controller.forget()
    gate.controller.wait("LINK_DEMAND", 1, 20)
    assert share(gate, "city") in (300, 1000) and value(gate, "organisation_weight", prefecture="14") == 0
    for bad in {"part": 0}, {"part": 1001}, {"prefecture": 48}, {"organisation": "", "prefecture": 0}:
        wrong = link.Share(**{"organisation": "city", "prefecture": 13, "part": 500, "row": city.row} | bad)
        ups = gate.log().count("link.up")
        gate.controller.send(link.LINK_SHARES, link.LinkShares(shares=[wrong]))
        gate.wait_log("link.up", ups + 1, timeout=30)
        assert share(gate, "city") == 1000
