"""Underlay switches say what they drop, only when asked to, and are as before after a kill -9 in the middle."""

import json
import re
from collections.abc import Iterator

import pytest
from vtrace_program import OURS, UDP, Vtrace, await_that, sending

from vtrace_ovs.cli.running import clean_bridges
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.verdict import CauseCode

ARMED = ("armed", "collecting")
LOST = 3
WATCHED = ((1, 1), (2, 1))
"""Both count what passes, and the second copies what it drops."""


@pytest.fixture
def whole_network(lab: Lab) -> str:
    """The OVSDB servers of an operator who runs the underlay too."""
    return ",".join((*lab.state().ovsdb_remotes, *lab.state().underlay_remotes))


@pytest.fixture
def _denied(lab: Lab) -> Iterator[None]:
    with lab.faults.injected(Fault(FaultName.PFD_ACL)):
        yield


def ours_at(lab: Lab, switch: str) -> tuple[int, int]:
    """How many flows and meters of ours an underlay switch carries; it has no meters of its own."""
    ovs = lab.ovs(switch)
    target = str(ovs.management_socket(switch))
    flows = ovs.ofctl("--no-stats", "dump-flows", target).count(OURS)
    return flows, ovs.ofctl("dump-meters", target).count("meter=")


def watched(lab: Lab) -> tuple[tuple[int, int], ...]:
    """The same of all underlay switches."""
    return tuple(ours_at(lab, switch) for switch in lab.base.underlay.switches)


@pytest.mark.usefixtures("unchanged", "_denied")
def test_the_flow_of_the_underlay_that_drops_is_named_unless_we_are_to_keep_off(
    lab: Lab, program: Vtrace, whole_network: str
) -> None:
    verdicts = []
    with sending(lab):
        for option in ((), ("--no-underlay",)):
            done = program("run", UDP, "-n", "5", "-o", "json", *option, VTRACE_OVSDB=whole_network)
            assert done.returncode == 1, done.stderr
            verdicts.append(json.loads(done.stdout)["verdict"])
    assert [verdict["code"] for verdict in verdicts] == ["underlay-deny", "underlay-loss"]
    assert verdicts[0]["culprit"]["bridge"] == "pfd2/pfd2"
    assert "nw_dst=172.31.0.13" in verdicts[0]["operator_sentence"]
    assert ours_at(lab, "pfd2") == (0, 0)


@pytest.mark.usefixtures("unchanged")
def test_where_a_cable_loses_all_it_is_told_how_far_packets_come(lab: Lab, program: Vtrace, whole_network: str) -> None:
    with lab.faults.injected(Fault(FaultName.UNDERLAY_LOSSY, link="pfd1-pfd2", percent=100)), sending(lab):
        done = program("run", UDP, "-n", "5", "-o", "json", VTRACE_OVSDB=whole_network)
    verdict = json.loads(done.stdout)["verdict"]
    assert verdict["code"] == CauseCode.UNDERLAY_LOSS.value
    (told,) = (fact["sentence"] for fact in verdict["evidence"] if "later packets" in fact["sentence"])
    assert re.search(r"from 172\.31\.0\.11 to 172\.31\.0\.21, .*\d+ came to pfd1/pfd1, .*none to pfd2/pfd2", told), told
    assert watched(lab) == ((0, 0), (0, 0))


@pytest.mark.usefixtures("unchanged", "_denied")
def test_a_search_that_is_killed_leaves_nothing_that_clean_does_not_remove(
    lab: Lab, program: Vtrace, whole_network: str
) -> None:
    with program.started("run", UDP, "-n", str(LOST), "-t", "20", VTRACE_OVSDB=whole_network) as process:
        await_that(lambda: program.state() in ARMED, lambda: (program.state(), process.poll()))
        # Nothing follows that could end the search early, and no answer is waited for: it lasts two seconds.
        few = TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, rate=50, count=LOST)
        number = lab.traffic.start(few)
        await_that(lambda: watched(lab) == WATCHED, lambda: (watched(lab), program.state(), process.poll()))
        process.kill()
        process.wait()
        lab.traffic.stop(number)
    assert watched(lab) == WATCHED
    settings = read_settings({**program.environment, "VTRACE_OVSDB": whole_network})
    cleaned = {str(one.bridge): one for one in clean_bridges(settings, settings.ovsdb)}
    assert not any(one.problem for one in cleaned.values())
    assert (cleaned["pfd2/pfd2"].flows, cleaned["pfd2/pfd2"].meters) == (2, 1)
    assert program.open_intents() == 0
