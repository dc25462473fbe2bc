from collections.abc import Callable

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.catalogue import CATALOGUE
from vtrace_ovs.lab.faults.fault import Fault, FaultName, resolved
from vtrace_ovs.lab.faults.kinds import ProgramEdit, Programmed
from vtrace_ovs.lab.program import EMPTY_PROGRAM, BridgeProgram
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.underlay_pipeline import underlay_program
from vtrace_ovs.model.overlay import Overlay

Edited = Callable[..., BridgeProgram]


@pytest.fixture(scope="module")
def fabric() -> Overlay:
    return load_topology("leaf-spine")


@pytest.fixture(scope="module")
def edited() -> Edited:
    def of(overlay: Overlay, fault: Fault, switch: str) -> BridgeProgram:
        way = CATALOGUE[fault.name].way
        assert isinstance(way, ProgramEdit)
        before = underlay_program(overlay, switch)
        return way.edit(Programmed(overlay, switch, switch, before), resolved(fault, overlay, of_sender=False))

    return of


def test_a_blackhole_is_a_switch_without_the_way_to_one_server(fabric: Overlay, edited: Edited) -> None:
    hole = edited(fabric, Fault(FaultName.PFD_BLACKHOLE), "leaf2")
    assert {flow.match for flow in underlay_program(fabric, "leaf2").flows} - {flow.match for flow in hole.flows} == {
        "ip,nw_dst=172.31.2.12"
    }
    assert edited(fabric, Fault(FaultName.PFD_BLACKHOLE), "leaf1") == underlay_program(fabric, "leaf1")


def test_a_switch_that_learns_has_no_way_to_lose(overlay: Overlay, edited: Edited) -> None:
    with pytest.raises(UsageError, match="pfd2 has no routes"):
        edited(overlay, Fault(FaultName.PFD_BLACKHOLE), "pfd2")


def test_an_access_list_denies_the_tunnels_to_a_server(overlay: Overlay, edited: Edited) -> None:
    denied = edited(overlay, Fault(FaultName.PFD_ACL), "pfd2").flows
    assert [flow.match for flow in denied] == [
        f"udp,nw_src=172.31.0.{source},nw_dst=172.31.0.13,udp_dst=4789" for source in (11, 12, 21)
    ]
    assert {flow.actions for flow in denied} == {"drop"}
    assert edited(overlay, Fault(FaultName.PFD_ACL), "pfd1") == EMPTY_PROGRAM


def test_a_one_way_loss_denies_what_comes_from_it(overlay: Overlay, edited: Edited) -> None:
    denied = edited(overlay, Fault(FaultName.ONE_WAY_LOSS, server="cs1"), "pfd1").flows
    assert {flow.match.split(",")[1] for flow in denied} == {"nw_src=172.31.0.11"}


def test_a_bad_member_forwards_nothing_and_the_other_goes_on(fabric: Overlay, edited: Edited) -> None:
    fault = Fault(FaultName.ECMP_MEMBER)
    assert edited(fabric, fault, "spine1") == EMPTY_PROGRAM
    assert edited(fabric, fault, "spine2") == underlay_program(fabric, "spine2")
    assert edited(fabric, Fault(FaultName.ECMP_MEMBER, switch="spine2"), "spine2") == EMPTY_PROGRAM


def test_without_a_switch_between_others_one_must_be_named(overlay: Overlay, edited: Edited) -> None:
    with pytest.raises(UsageError, match="every underlay switch has servers"):
        edited(overlay, Fault(FaultName.ECMP_MEMBER), "pfd1")
