from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.diagnosis.prediction import foresee
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Port, PortKind, Topology
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, NearMiss, Origin, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition, Verdict

BRIDGE = BridgeId("s1", "br")
PORTS = (
    Port(1, "vnet1", PortKind.EDGE),
    Port(2, "vnet2", PortKind.EDGE, vm="db"),
    Port(3, "vnet3", PortKind.EDGE, addresses=(IPv4Address("10.0.0.3"),), tenant="t"),
    Port(4, "vnet4", PortKind.EDGE, addresses=(IPv4Address("10.0.0.4"),), tenant="t"),
    Port(5, "patch", PortKind.PATCH, peer="nowhere"),
)
SCENE = Scene(Topology((), (Bridge(BRIDGE, 1, BridgeRole.VSWITCH, PORTS, ManagementSocket("")),)))
FLOW = FlowKey(5, 9, Match())
NEAR = NearMiss(FlowKey(5, 10, Match()), 3, (("tcp_dst", "443", "80"),))
HOP = Hop(BRIDGE, 1, 1, out_port=2, steps=(Step(5, FLOW, 7, "drop", near_misses=(NEAR,)),))


def verdict(ending: Ending, *before: Hop, **known: object) -> Verdict:
    last = replace(HOP, ending=ending, **known)  # type: ignore[arg-type]
    return foresee(Trajectory(0, "p", 0, Origin.PREDICTED, None, (*before, last), ending), SCENE)


def test_delivery_names_the_port_and_who_is_behind_it() -> None:
    found = verdict(Ending.HANDED_TO_PORT)
    assert (found.disposition, found.confidence) == (Disposition.DELIVERED, Confidence.INFERRED)
    assert found.operator_sentence == "Handed to port 2 (vnet2) of s1/br, the port of db."
    assert verdict(Ending.EXITED).disposition is Disposition.EXITED


def test_a_drop_has_its_shape_its_flow_and_what_nearly_matched() -> None:
    found = verdict(Ending.DROPPED, drop=DropShape.EXPLICIT_DROP)
    assert (found.disposition, found.code, found.drop) == (
        Disposition.DROPPED, CauseCode.EXPLICIT_DROP, DropShape.EXPLICIT_DROP,
    )  # fmt: skip
    assert found.culprit is not None
    assert (found.culprit.flow, found.culprit.table_id, found.culprit.cookie) == (FLOW, 5, 7)
    assert found.near_misses == (NEAR,)
    assert found.confidence is Confidence.INFERRED


@pytest.mark.parametrize(
    ("ending", "known", "code"),
    [
        (Ending.DROPPED, {"drop": DropShape.NO_OUTPUT, "note": "no tunnel destination is set"}, "no-tunnel-endpoint"),
        (Ending.ON_WIRE, {"note": "no tunnel port of s2 accepts VNI 5"}, "no-tunnel-endpoint"),
        (Ending.LOOPED, {}, "forwarding-loop"),
        (Ending.UNKNOWN, {"unsupported": "learn", "drop": DropShape.UNSUPPORTED}, "unsupported"),
        (Ending.UNKNOWN, {"note": "the tables of s2/br are not known"}, "unknown"),
        (Ending.OPEN, {}, "unknown"),
        (Ending.DROPPED, {"drop": DropShape.TTL_EXCEEDED}, "ttl-expired"),
        (Ending.DROPPED, {"drop": DropShape.PORT_DOWN}, "port-down"),
    ],
)
def test_every_other_end_has_its_cause(ending: Ending, known: dict[str, object], code: str) -> None:
    found = verdict(ending, **known)
    assert found.code.value == code
    assert str(known.get("note", "")) in found.operator_sentence
    assert found.disposition.is_loss == (ending not in {Ending.UNKNOWN, Ending.OPEN})


def test_what_cannot_be_told_says_where_and_what_to_give() -> None:
    found = verdict(Ending.UNKNOWN, note="its value is not known")
    assert (found.disposition, found.confidence) == (Disposition.INCONCLUSIVE, Confidence.UNDECIDED)
    assert found.operator_sentence == "What became of it at s1/br, table 5 cannot be told: its value is not known."
    assert found.remedy.startswith("Give what is missing")


def test_copies_and_meters_are_evidence_nobody_observed() -> None:
    found = verdict(Ending.HANDED_TO_PORT, replace(HOP, ending=Ending.DROPPED), meters=(7,))
    assert [fact.observed for fact in found.evidence] == [False, False]
    assert found.evidence[0].sentence == "A copy of the packet takes another way: dropped at s1/br."
    assert "meter 7 of s1/br" in found.evidence[1].sentence


def test_what_would_be_handed_to_another_machine_than_the_addressee_is_no_delivery() -> None:
    asked = FiveTuple(6, IPv4Address("10.0.0.9"), IPv4Address("10.0.0.4"), 1, 2)
    headers = Headers("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, 74, five_tuple=asked)
    found = verdict(Ending.HANDED_TO_PORT, out_port=3, headers_out=headers)
    assert (found.code, found.confidence) == (CauseCode.WRONG_ENDPOINT, Confidence.INFERRED)
    assert verdict(Ending.HANDED_TO_PORT, out_port=4, headers_out=headers).disposition is Disposition.DELIVERED


def test_a_patch_port_that_leads_nowhere_is_the_end() -> None:
    found = verdict(Ending.UNKNOWN, out_port=5, note="the patch port's peer is not in the inventory")
    assert (found.disposition, found.code) == (Disposition.DROPPED, CauseCode.PATCH_UNWIRED)
    assert found.confidence is Confidence.INFERRED
