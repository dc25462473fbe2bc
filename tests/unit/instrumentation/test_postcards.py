from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.instrumentation.postcards import Watch, watch
from vtrace_ovs.instrumentation.probes import UserData
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.model.actions import ApplyActions, Controller, GotoTable, Instruction, Output, Resubmit
from vtrace_ovs.model.flow import BridgeTables, Flow, MeterEntry
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import ETH_TYPE, IN_PORT, IP_PROTO, IPV4_DST, IPV4_SRC, IPV6_DST, UDP_DST

SETTINGS = Settings(0x5654, 7)
HERE, THERE, ELSEWHERE = IPv4Address("198.18.7.1"), IPv4Address("198.18.7.2"), IPv4Address("198.18.7.3")
IP, UDP = exactly(ETH_TYPE, 0x0800), exactly(IP_PROTO, 17)
PAIR = Match.of(IP, exactly(IPV4_SRC, int(HERE)), exactly(IPV4_DST, int(THERE)))
FORWARD: tuple[Instruction, ...] = (ApplyActions((Output(1),), (b"raw",)),)


def toward(address: IPv4Address) -> Match:
    return Match.of(IP, exactly(IPV4_DST, int(address)))


def planned(*flows: Flow, meters: tuple[MeterEntry, ...] = ()) -> Watch | None:
    return watch(BridgeTables(1, 0.0, flows, meters=meters), [(HERE, THERE)], SETTINGS, 12)


def places(*flows: Flow) -> list[tuple[int, int, Match]]:
    plan = planned(*flows)
    copying = [] if plan is None else [mod for mod in plan.flows if mod.key not in plan.passing]
    return [(mod.table_id, mod.priority, mod.match) for mod in copying]


def test_a_drop_gets_a_twin_for_the_two_ends_that_only_sends_a_copy() -> None:
    drop = Flow(0, 200, Match.of(IP, UDP, exactly(UDP_DST, 4789)), (), cookie=9)
    plan = planned(drop, Flow(0, 100, toward(THERE), FORWARD))
    assert plan is not None
    (twin,) = (mod for mod in plan.flows if mod.key not in plan.passing)
    assert (twin.table_id, twin.priority) == (0, 201)
    assert twin.match == PAIR.with_fields(UDP, exactly(UDP_DST, 4789))
    assert is_ours(twin.cookie)
    assert twin.hard_timeout == 12
    (log,) = twin.instructions
    assert isinstance(log, ApplyActions)
    (copy,) = log.actions
    assert isinstance(copy, Controller)
    assert copy.meter_id == plan.meter.meter_id
    said = UserData.of(copy.userdata)
    probe = None if said is None else plan.probe(said.probe_id)
    assert probe is not None
    assert (probe.table_id, probe.flow, probe.cookie) == (0, drop.key, 9)


def test_what_passes_is_only_counted() -> None:
    plan = planned(Flow(0, 0, Match(), FORWARD))
    assert plan is not None
    (tally,) = plan.flows
    assert plan.passing == {tally.key: (HERE, THERE)}
    assert plan.probes == ()


def test_where_no_flow_is_for_these_ends_a_miss_is_copied() -> None:
    assert places(Flow(0, 100, toward(ELSEWHERE), FORWARD)) == [(0, 0, PAIR)]


def test_no_miss_is_copied_beside_a_flow_of_the_lowest_priority() -> None:
    assert places(Flow(0, 0, Match.of(exactly(IN_PORT, 3)), FORWARD)) == []


def test_of_a_bridge_that_drops_nothing_of_them_nothing_is_copied() -> None:
    assert places(Flow(0, 0, Match(), FORWARD)) == []
    assert places(Flow(0, 0, Match(), FORWARD), Flow(0, 9, toward(ELSEWHERE), ())) == []


@pytest.mark.parametrize("priority", [5, 6])
def test_no_twin_stands_before_a_flow_that_forwards(priority: int) -> None:
    rest = Flow(0, 0, Match(), FORWARD)
    drop = Flow(0, 5, Match.of(exactly(IN_PORT, 3)), ())
    assert places(rest, drop, Flow(0, priority, toward(THERE), FORWARD)) == []
    assert places(rest, drop, Flow(0, 7, toward(THERE), FORWARD)) != []
    assert places(rest, drop, Flow(0, priority, toward(ELSEWHERE), FORWARD)) != []


def test_no_twin_replaces_a_flow_that_is_there() -> None:
    rest = Flow(0, 0, Match(), FORWARD)
    assert places(rest, Flow(0, 5, Match.of(IP), ()), Flow(0, 6, PAIR, ())) == [(0, 7, PAIR)]


def test_flows_that_live_by_their_packets_and_the_highest_ones_are_left_alone() -> None:
    rest = Flow(0, 0, Match(), FORWARD)
    assert places(rest, Flow(0, 5, PAIR, (), idle_timeout=10)) == []
    assert places(rest, Flow(0, 5, PAIR, (), hard_timeout=10)) == []
    assert places(rest, Flow(0, 65535, PAIR, ())) == []


def test_only_where_a_drop_is_the_end_it_is_copied() -> None:
    branch = Flow(0, 1, Match(), (ApplyActions((Resubmit(None, 2), Output(4)), (b"", b"")),))
    assert places(branch, Flow(2, 5, PAIR, ())) == []
    onward = Flow(0, 1, Match(), (GotoTable(2),))
    assert places(onward, Flow(2, 5, PAIR, ())) == [(2, 6, PAIR)]


def test_ends_may_be_of_ipv6() -> None:
    ends = (IPv6Address("fd31::1"), IPv6Address("fd31::2"))
    plan = watch(BridgeTables(1, 0.0, ()), [ends], SETTINGS, 12)
    assert plan is not None
    masked = plan.flows[0].match.get(IPV6_DST)
    assert masked is not None
    assert masked.value == int(ends[1])


def test_without_a_meter_there_are_no_copies() -> None:
    with pytest.raises(RefusedError, match="leaves no meter ids"):
        planned(meters=(MeterEntry(65535, 1, 1, packets=True),))
