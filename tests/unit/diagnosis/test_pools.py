from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Verdict

NEW, INVALID = 0x21, 0x30
SENDER, SERVER = IPv4Address("10.0.1.11"), IPv4Address("198.51.100.9")


@pytest.fixture
def judged(
    hop: Callable[..., Hop],
    way: Callable[..., Trajectory],
    flow: Callable[..., FlowKey],
    foresee: Callable[..., Trajectory],
    scene: Scene,
) -> Callable[..., Verdict]:
    """The verdict on a packet of the sender's that a flow of this ct_state drops behind this action."""

    def judge(action: str, state: int = NEW) -> Verdict:
        dropping = Step(30, flow(30, 7, ct_state=state), 0x60, "drop")
        last = hop("cs1/br-int", 1, "in error", dropping, drop=DropShape.EXPLICIT_DROP)
        headers = Headers("0a", "0b", 0x0800, 74, five_tuple=FiveTuple(17, SENDER, SERVER, 40000, 5000), ttl=64)
        observed = way(Ending.DROPPED, replace(last, headers_in=headers, headers_out=headers))
        predicted = foresee(Ending.UNKNOWN, steps=(Step(27, flow(27, 7), 0x60, action),))
        return diagnose(observed, predicted, scene)

    return judge


@pytest.mark.parametrize(
    "nat",
    ["nat(src=203.0.113.1:1024)", "nat(src=203.0.113.1-203.0.113.9:1-99,random)", "nat(dst=203.0.113.1)"],
)
def test_a_new_packet_that_was_to_be_translated_and_was_not_found_no_room(
    judged: Callable[..., Verdict], nat: str
) -> None:
    verdict = judged(f"ct(commit,table=30,zone=2,{nat})")
    assert (verdict.code, verdict.confidence) == (CauseCode.NAT_EXHAUSTED, Confidence.CORROBORATED)
    assert f"{nat} was to translate it" in verdict.operator_sentence


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("ct(commit,table=30,zone=2,nat(src=203.0.113.1))", INVALID),
        ("ct(commit,table=30,zone=2,nat(src=10.0.1.1-10.0.1.99))", NEW),
        ("ct(commit,table=30,zone=2,nat(src=[fd00::1]:7))", NEW),
        ("ct(commit,table=30,zone=2,nat(src=nowhere))", NEW),
        ("ct(commit,table=30,zone=2,nat)", NEW),
        ("goto_table:30", NEW),
    ],
)
def test_otherwise_a_pool_has_nothing_to_do_with_it(judged: Callable[..., Verdict], action: str, state: int) -> None:
    assert judged(action, state).code is not CauseCode.NAT_EXHAUSTED
