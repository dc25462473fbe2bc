from collections.abc import Callable

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.trajectories.visits import arrived, departed, settle

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
    assert blue.branches == []
    assert len(visits) == 2


def test_a_repeated_end_is_a_twins(record: Record, topology: Topology) -> None:
    places = Places(topology)
    visits = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]
    settle(visits, [record("cs1/br-int", 1, Loc.ERROR, 1), record("cs1/br-int", 1, Loc.ERROR, 1)], places)
    assert [len(visit.branches) for visit in visits] == [1, 1]
