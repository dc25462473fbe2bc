from collections.abc import Callable

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.trajectories.links import link
from vtrace_ovs.trajectories.visits import arrived, settle

Record = Callable[..., PacketInRecord]
TunnelBetween = Callable[[int, str, str], Tunnel]


def test_a_visit_by_another_vni_is_a_root_of_its_own(record: Record, tunnel: TunnelBetween, nameless: Topology) -> None:
    places = Places(nameless)
    first = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]
    settle(first, [record("cs1/br-int", 1, Loc.OUT, 1, 10, tunnel(101, "cs1", "cs2"))], places)
    second = [arrived(record("cs2/br-int", 2, Loc.IN, 10, None, tunnel(201, "cs1", "cs2")), places)]
    roots = link({1: first, 2: second}, places)
    assert len(roots) == 2
    assert first[0].branches[0].children == ()


def test_a_leak_between_tenants_is_followed_by_its_vni(
    record: Record, tunnel: TunnelBetween, topology: Topology
) -> None:
    places = Places(topology)
    reds = tunnel(201, "cs1", "cs2")
    first = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]  # blue's port
    settle(first, [record("cs1/br-int", 1, Loc.OUT, 1, 10, reds)], places)
    second = [arrived(record("cs2/br-int", 2, Loc.IN, 10, None, reds), places)]
    assert len(link({1: first, 2: second}, places)) == 1


def test_a_visit_from_another_server_is_not_joined(record: Record, tunnel: TunnelBetween, topology: Topology) -> None:
    places = Places(topology)
    first = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]
    settle(first, [record("cs1/br-int", 1, Loc.OUT, 1, 10, tunnel(101, "cs1", "cs2"))], places)
    second = [arrived(record("cs2/br-int", 2, Loc.IN, 10, None, tunnel(101, "gw1", "cs2")), places)]
    roots = link({1: first, 2: second}, places)
    assert len(roots) == 2
    assert {str(root.bridge) for root in roots} == {"cs1/br-int", "gw1/br-int"}


def test_one_output_arrives_once(record: Record, tunnel: TunnelBetween, topology: Topology) -> None:
    places = Places(topology)
    through = tunnel(101, "cs1", "cs2")
    first = [arrived(record("cs1/br-int", 1, Loc.IN, 1), places)]
    settle(first, [record("cs1/br-int", 1, Loc.OUT, 1, 10, through)], places)
    second = [arrived(record("cs2/br-int", 2, Loc.IN, 10, None, through), places) for _ in range(2)]
    roots = link({1: first, 2: second}, places)
    assert len(roots) == 2
    assert len(first[0].branches[0].children) == 1


def test_a_visit_without_a_possible_origin_is_a_root(record: Record, topology: Topology) -> None:
    places = Places(topology)
    alone = arrived(record("cs1/br-int", 3, Loc.IN, 1), places)
    assert link({3: [alone]}, places) == [alone]
