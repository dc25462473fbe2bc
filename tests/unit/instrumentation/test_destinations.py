from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.instrumentation.destinations import tunnel_destinations
from vtrace_ovs.instrumentation.reach import Reach
from vtrace_ovs.model.actions import Action, ApplyActions, Move, Output, Pop, SetField
from vtrace_ovs.model.flow import Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import REGISTERS, TUN_DST, TUN_IPV6_DST, SubField

HERE, THERE = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
WHOLE = SubField(TUN_DST, 0, 32)


def toward(address: IPv4Address, mask: int = 0xFFFFFFFF) -> SetField:
    return SetField(TUN_DST, int(address), mask)


def reached(*actions: Action) -> Reach:
    flows = tuple(
        Flow(0, number, Match(), (ApplyActions((action, Output(1))),)) for number, action in enumerate(actions)
    )
    return Reach({0: flows}, frozenset({0}))


def test_destinations_are_what_flows_and_buckets_write() -> None:
    six = IPv6Address("fd00::2")
    bucket = Bucket(0, 0, 0, (toward(THERE), Output(1)))
    group = GroupEntry(1, GroupType.SELECT, (bucket,))
    flows = reached(toward(HERE), SetField(TUN_IPV6_DST, int(six), TUN_IPV6_DST.full_mask))
    found = tunnel_destinations(flows, {1: group})
    assert found is not None
    assert sorted(map(str, found)) == sorted(map(str, (HERE, THERE, six)))
    assert tunnel_destinations(reached(), {}) == frozenset()


@pytest.mark.parametrize(
    "action",
    [Move(SubField(REGISTERS[0], 0, 32), WHOLE), Pop(WHOLE), toward(HERE, 0xFFFFFF00)],
    ids=["from a register", "from the stack", "a part of it"],
)
def test_a_destination_from_elsewhere_may_be_any(action: Action) -> None:
    assert tunnel_destinations(reached(toward(HERE), action), {}) is None
