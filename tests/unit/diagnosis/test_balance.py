from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.diagnosis.balance import Balance, CountingScene, balance
from vtrace_ovs.model.counting import CountedPlace, CountKind, Counts, MeterWindow, Segment, VfdCount
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.profile import PipelineProfile, Stage, TableRole
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition

A, B = BridgeId("s1", "br0"), BridgeId("s2", "br0")
WAY = Segment("s1", "s2")
PORTS = (Port(1, "vm", PortKind.EDGE), Port(2, "vx", PortKind.TUNNEL))
TOPOLOGY = Topology(
    (Node("s1", "", (IPv4Address("192.0.2.1"),)), Node("s2", "", (IPv4Address("192.0.2.2"),))),
    tuple(Bridge(bridge, 1, BridgeRole.VSWITCH, PORTS, ManagementSocket("")) for bridge in (A, B)),
)
DENY = FlowKey(10, 5, Match())
PROFILE = PipelineProfile("lab", (TableRole(10, "acl", Stage.SECURITY),))
SCENE = CountingScene(TOPOLOGY, {B: PROFILE})

CAME_A, SENT_A = CountedPlace(A, CountKind.CAME, 0), CountedPlace(A, CountKind.SENT, 0)
ENDED_A, ENTERED = CountedPlace(A, CountKind.ENDED, 0), CountedPlace(A, CountKind.ENTERED, 0, 1)
MARKED = CountedPlace(A, CountKind.MARKED, 0, 2, WAY)
UNMARKABLE = CountedPlace(A, CountKind.UNMARKABLE, 0, 2)
METERED = CountedPlace(A, CountKind.METERED, 0, table_id=3, flow=FlowKey(3, 1, Match()), meter_id=7)
CAME_B, ENDED_B = CountedPlace(B, CountKind.CAME, 0), CountedPlace(B, CountKind.ENDED, 0)
ARRIVED = CountedPlace(B, CountKind.ARRIVED, 0, 2, WAY)
LEFT = CountedPlace(B, CountKind.LEFT, 0, 1)
DROPPED = CountedPlace(B, CountKind.DROPPED, 0, table_id=10, flow=DENY, cookie=0)
DISCARDED_B = CountedPlace(B, CountKind.DISCARDED, 0)

HEALTHY = Counter(
    {
        **dict.fromkeys((CAME_A, SENT_A, ENTERED, MARKED), 1000),
        **dict.fromkeys((CAME_B, ENDED_B, ARRIVED, LEFT), 1000),
        ENDED_A: 0,
    }
)


DISCARDS_7 = ((DISCARDED_B, 7), (ENDED_B, -7), (LEFT, -7))


def found(
    *changes: tuple[CountedPlace, int], meters: tuple[MeterWindow, ...] = (), dropping: Counts | None = None
) -> Balance:
    return balance({**HEALTHY, **{place: HEALTHY[place] + by for place, by in changes}}, meters, SCENE, dropping or {})


def losses(result: Balance) -> list[tuple[int, CauseCode, str]]:
    return [
        (loss.packets, loss.verdict.code, str(loss.verdict.culprit and loss.verdict.culprit.bridge))
        for loss in result.losses
    ]


def test_what_comes_in_and_goes_out_everywhere_is_no_loss() -> None:
    healthy = found()
    assert (healthy.entered, healthy.losses, healthy.doubts) == (1000, (), ())
    assert healthy.vfds == (VfdCount(A, 1000, 1000, 0, 0), VfdCount(B, 1000, 0, 1000, 0))


def test_one_packet_in_a_thousand_missing_between_two_servers_is_lost_there() -> None:
    result = found(*((place, -1) for place in (ARRIVED, CAME_B, ENDED_B, LEFT)))
    (loss,) = result.losses
    culprit = loss.verdict.culprit
    assert (loss.packets, loss.verdict.code, loss.verdict.disposition) == (
        1,
        CauseCode.UNDERLAY_LOSS,
        Disposition.LOST_ON_WIRE,
    )
    assert culprit is not None
    assert (culprit.bridge, culprit.next_node, culprit.next_bridge) == (A, "s2", B)
    assert loss.verdict.confidence is Confidence.INFERRED, "the datapath of s2 may have dropped it"
    assert "datapath of s2" in loss.verdict.evidence[0].sentence
    assert result.doubts == ()


def test_where_packets_go_to_several_servers_the_one_is_not_named() -> None:
    elsewhere = replace(MARKED, segment=Segment("s1", "s3"))
    (loss,) = found((elsewhere, 20), *((place, -1) for place in (ARRIVED, CAME_B, ENDED_B, LEFT))).losses
    assert loss.verdict.culprit is not None
    assert loss.verdict.culprit.next_node is None
    assert "one of s2, s3" in loss.verdict.operator_sentence


def test_what_a_flow_drops_is_blamed_on_it_with_the_cause_its_table_stands_for() -> None:
    assert losses(found((DROPPED, 7), *DISCARDS_7)) == [(7, CauseCode.SECURITY_DEFAULT_DENY, str(B))]


def test_neither_more_nor_less_is_blamed_on_flows_than_their_vfd_dropped() -> None:
    """Where colors change, the counters of flows may have some of the other color's, or lack some."""
    quiet = dict.fromkeys(HEALTHY, 0)
    assert balance({**quiet, DROPPED: 3}, (), SCENE).losses == ()
    assert losses(found((DROPPED, 9), *DISCARDS_7)) == [(7, CauseCode.SECURITY_DEFAULT_DENY, str(B))]
    (loss,) = found((DROPPED, 5), *DISCARDS_7, dropping={DROPPED: 11}).losses
    assert (loss.packets, loss.verdict.confidence) == (7, Confidence.OBSERVED)


def test_what_flows_tell_late_is_of_the_one_that_drops_most_and_of_none_it_is_only_lost_there() -> None:
    other = replace(DROPPED, flow=FlowKey(10, 6, Match()))
    two = found((DROPPED, 5), *DISCARDS_7, dropping={DROPPED: 5, other: 6}).losses
    assert [(loss.packets, loss.verdict.confidence) for loss in two] == [
        (5, Confidence.OBSERVED),
        (2, Confidence.INFERRED),
    ]
    assert two[1].verdict.culprit is not None
    assert two[1].verdict.culprit.flow == other.flow
    assert losses(found(*DISCARDS_7)) == [(7, CauseCode.UNKNOWN, str(B))]


def test_what_is_missing_inside_a_vfd_is_lost_there() -> None:
    assert losses(found((ENDED_B, -4), (LEFT, -4))) == [(4, CauseCode.UNKNOWN, str(B))]
    blind = balance({**HEALTHY, ENDED_B: 996}, (), replace(SCENE, blind=frozenset({B})))
    assert blind.losses == ()
    assert "end packets uncounted" in blind.doubts[0]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (MeterWindow(A, 7, passed=1000, others=2, dropped=12), (CauseCode.METER_RATE_LIMIT, Confidence.CORROBORATED)),
        (MeterWindow(A, 7, passed=1000, others=3, dropped=12), (CauseCode.METER_RATE_LIMIT, Confidence.INFERRED)),
        (MeterWindow(A, 7, passed=1000, others=0, dropped=9), (CauseCode.UNKNOWN, Confidence.CORROBORATED)),
        (MeterWindow(A, 7, passed=1000, others=300, dropped=12), (CauseCode.UNKNOWN, Confidence.CORROBORATED)),
        (MeterWindow(A, 8, passed=1000, others=0, dropped=12), (CauseCode.UNKNOWN, Confidence.CORROBORATED)),
        (MeterWindow(B, 7, passed=1000, others=0, dropped=12), (CauseCode.UNKNOWN, Confidence.CORROBORATED)),
    ],
    ids=["ours", "nearly all ours", "too few", "maybe others'", "another meter", "elsewhere"],
)
def test_a_meter_is_blamed_only_for_what_can_hardly_have_been_others_packets(
    window: MeterWindow, expected: tuple[CauseCode, Confidence]
) -> None:
    rest = (SENT_A, MARKED, ARRIVED, CAME_B, ENDED_B, LEFT)
    result = found((METERED, 1000), *((place, -10) for place in rest), meters=(window,))
    assert losses(result) == [(10, expected[0], str(A))]
    assert result.losses[0].verdict.confidence is expected[1]


def test_what_flows_are_told_and_meters_never_saw_was_lost_in_that_datapath() -> None:
    """A datapath flow that was changed behind its tables is credited to flows all the same."""
    assert losses(found((CAME_B, -30), (ENDED_B, -30))) == [(30, CauseCode.UNKNOWN, str(B))]
    router, patch = BridgeId("s2", "rt0"), Segment(str(B), "s2/rt0")
    twice = (replace(ARRIVED, segment=Segment("s2/rt0", str(B)), port=3), 1000), (CAME_B, 970), (CAME_B, -30)
    through = (
        (CountedPlace(router, CountKind.CAME, 0), 970),
        (CountedPlace(router, CountKind.ENDED, 0), 970),
        (CountedPlace(router, CountKind.ARRIVED, 0, 1, patch), 1000),
        (ENDED_B, 970 - 30),
    )
    changes = Counter[CountedPlace]()
    for place, by in (*twice, *through):
        changes[place] += by
    assert losses(found(*changes.items())) == [(30, CauseCode.UNKNOWN, str(B))], "each was lost once"
    assert losses(found((CAME_B, -30), (ENDED_B, -40))) == [
        (10, CauseCode.UNKNOWN, str(B)),
        (20, CauseCode.UNKNOWN, str(B)),
    ]
    assert found((CountedPlace(B, CountKind.ENTERED, 0, 1), 500), (CAME_B, -30), (ENDED_B, -30)).losses == ()


def test_a_drop_aside_counts_only_where_packets_are_missing() -> None:
    aside = replace(DROPPED, kind=CountKind.ASIDE)
    assert found((aside, 9)).losses == ()
    assert losses(found((aside, 9), (ENDED_B, -3))) == [(3, CauseCode.SECURITY_DEFAULT_DENY, str(B))]


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        (((ARRIVED, 5), (CAME_B, 5), (ENDED_B, 5)), "5 packets more came from s1"),
        (((ENDED_B, 500), (DISCARDED_B, 5)), "sends packets out more than once"),
        (((replace(LEFT, port=2), 5),), "for where nobody counts them"),
        (((CAME_A, 5), (ENDED_A, 5), (UNMARKABLE, 5)), "5 packets of IP protocol 0 left s1/br0"),
        (((replace(DROPPED, kind=CountKind.UNNAMED), 5),), "by a port its flows do not name"),
        (((replace(ARRIVED, segment=None), 5), (CAME_B, 5), (ENDED_B, 5)), "from a server that is not known"),
        (((CAME_A, -2000),), "counters went backwards"),
    ],
)
def test_what_cannot_be_told_is_said_and_nothing_is_called_lost(
    changes: tuple[tuple[CountedPlace, int], ...], doubt: str
) -> None:
    result = found(*changes)
    assert any(doubt in sentence for sentence in result.doubts), result.doubts
    assert result.losses == ()


def test_what_leaves_by_a_port_that_is_down_is_not_called_delivered() -> None:
    (doubt,) = balance(HEALTHY, (), replace(SCENE, down=frozenset({(B, 1)}))).doubts
    assert doubt == "1000 packets left s2/br0 by vm, which is down"


def test_what_may_not_go_back_by_its_own_port_is_not_called_lost_on_the_way() -> None:
    came_back = replace(ARRIVED, bridge=A, segment=Segment("s2", "s1"))
    passed_on = replace(MARKED, kind=CountKind.PASSED_ON)
    sent_back = ((came_back, 10), (CountedPlace(B, CountKind.SENT, 0), 10), (CAME_A, 10), (SENT_A, 10))
    assert [loss.packets for loss in found(*sent_back).losses] == [10], "they came round by a router"
    result = found(*sent_back, (passed_on, 10))
    assert result.losses == ()
    assert "may not send out of the port they came by" in result.doubts[0]
