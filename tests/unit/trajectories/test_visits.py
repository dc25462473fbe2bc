from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.trajectories.visits import Visit, arrived, departed, settle, settle_aside

Record = Callable[..., PacketInRecord]
TunnelBetween = Callable[[int, str, str], Tunnel]


def test_an_output_to_the_ingress_port_by_name_is_that_port(record: Record, topology: Topology) -> None:
    branch = departed(record("gw1/vr-blue", 3, Loc.OUT, 1, 0xFFFFFFF8), Places(topology))
    assert branch.out_port == 1
    assert [str(bridge) for bridge, _ in branch.onward.arrivals] == ["gw1/br-int"]


def test_an_output_to_a_reserved_port_names_none(record: Record, topology: Topology) -> None:
    assert departed(record("cs1/br-int", 1, Loc.OUT, 1, 0xFFFFFFFA), Places(topology)).out_port is None


def test_a_record_without_an_in_opens_a_visit_of_its_own(record: Record, topology: Topology) -> None:
    places = Places(topology)
    visits = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]
    settle(visits, [record("cs1/br-int", 1, Loc.OUT, 2, 1)], places)
    assert [(visit.in_port, len(visit.branches), visit.arrival is None) for visit in visits] == [
        (1, 0, False),
        (2, 1, True),
    ]


def test_a_tenants_out_is_never_given_to_another_tenants_visit(
    record: Record, tunnel: TunnelBetween, topology: Topology
) -> None:
    places = Places(topology)
    blue = arrived(record("cs2/br-int", 2, Loc.IN, 10, None, tunnel(101, "cs1", "cs2")), places)
    visits = [blue]
    settle(visits, [record("cs2/br-int", 2, Loc.OUT, 10, 2)], places)  # port 2 is red's
    assert blue.branches == ()
    assert len(visits) == 2


def test_a_repeated_end_is_a_twins(record: Record, topology: Topology) -> None:
    places = Places(topology)
    visits = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]
    settle(visits, [record("cs1/br-int", 1, Loc.ERROR, 1), record("cs1/br-int", 1, Loc.ERROR, 1)], places)
    assert [len(visit.branches) for visit in visits] == [1, 1]


def aside(record: Record, where: str, mark: int, in_port: int) -> PacketInRecord:
    return replace(record(where, mark, Loc.ERROR, in_port), msg=RecordMsg.ASIDE)


def test_a_drop_in_passing_ends_only_a_visit_that_nothing_else_ended(record: Record, topology: Topology) -> None:
    places = Places(topology)
    left, stayed = (arrived(record("cs1/br-int", 1, Loc.IN, port), places) for port in (1, 2))
    settle([left], [record("cs1/br-int", 1, Loc.OUT, 1, 10)], places)
    for visit, drops in ((left, False), (stayed, True)):
        settle_aside([visit], aside(record, "cs1/br-int", 1, visit.in_port or 0), places)
        assert [branch.is_drop for branch in visit.branches] == [drops]
        assert not visit.ambiguous


def test_of_several_drops_in_passing_the_last_counts(record: Record, topology: Topology) -> None:
    places = Places(topology)
    visits = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]
    first, last = (aside(record, "cs1/br-int", 1, 1) for _ in range(2))
    for record_of_drop in (first, last):
        settle_aside(visits, record_of_drop, places)
    assert [[branch.record for branch in visit.branches] for visit in visits] == [[last]]


def test_a_drop_in_passing_without_an_in_proves_that_the_packet_was_there(record: Record, topology: Topology) -> None:
    visits: list[Visit] = []
    settle_aside(visits, aside(record, "cs2/br-int", 2, 10), Places(topology))
    assert [(visit.mark, visit.arrival, len(visit.branches)) for visit in visits] == [(2, None, 1)]


def test_equal_packets_one_of_which_was_dropped_in_passing_are_ambiguous(record: Record, topology: Topology) -> None:
    places = Places(topology)
    visits = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places) for _ in range(2)]
    settle_aside(visits, aside(record, "cs1/br-int", 1, 1), places)
    assert [(visit.ambiguous, len(visit.branches)) for visit in visits].count((True, 1)) == 1
