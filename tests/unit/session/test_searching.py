from ipaddress import IPv4Address

import pytest

from vtrace_ovs.filters import parse
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.postcard import DownPort, Postcard, Segment
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Topology
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict
from vtrace_ovs.session.searching import Searches, underlay_bridges

HERE, THERE = IPv4Address("198.18.7.1"), IPv4Address("198.18.7.2")
SEGMENT = Segment(HERE, THERE, 401)
LOST = Verdict(
    Disposition.LOST_ON_WIRE, CauseCategory.PHYSICAL_NETWORK, CauseCode.UNDERLAY_LOSS, Confidence.INFERRED, "", ""
)
ARMED = ArmedTask(1, parse("udp,tp_dst=5000"), (), 5, 0.0)


def bridge(node: str, name: str, role: BridgeRole) -> Bridge:
    return Bridge(BridgeId(node, name), 1, role, (), ManagementSocket(f"/{node}/{name}"))


TOPOLOGY = Topology(
    tuple(
        Node(name, f"unix:/{name}", vteps)
        for name, vteps in (
            ("cs1", (HERE,)),
            ("cs2", (THERE,)),
            ("cs3", (IPv4Address("198.18.7.3"),)),
            ("leaf1", ()),
        )
    ),
    (
        *(bridge(node, "br-int", BridgeRole.VSWITCH) for node in ("cs1", "cs2", "cs3")),
        *(bridge(node, "br-phy", BridgeRole.UNDERLAY) for node in ("cs1", "cs2", "cs3")),
        bridge("leaf1", "leaf1", BridgeRole.UNDERLAY),
    ),
)


def way(tunnel: Tunnel | None = None) -> Trajectory:
    hop = Hop(BridgeId("cs1", "br-int"), 1, 3, 4, left_by=tunnel)
    return Trajectory(1, "a", 0, Origin.OBSERVED, None, (hop,), Ending.ON_WIRE)


@pytest.fixture
def searches() -> Searches:
    found = Searches()
    found.notice(way(Tunnel(401, HERE, THERE)), LOST)
    return found


def test_the_underlay_of_a_segment_is_that_of_its_two_servers_and_every_mere_switch() -> None:
    names = [str(one.id) for one in underlay_bridges(TOPOLOGY, [SEGMENT])]
    assert names == ["cs1/br-phy", "cs2/br-phy", "leaf1/leaf1"]


def test_a_loss_on_the_wire_is_looked_for_once(searches: Searches) -> None:
    (command,) = searches.begin(1, ARMED, TOPOLOGY, 10.0, 2.0)
    assert (command.segments, command.seconds) == ((SEGMENT,), 2.0)
    assert command.filters == ARMED.filters
    searches.notice(way(Tunnel(401, HERE, THERE)), LOST)
    assert searches.begin(1, ARMED, TOPOLOGY, 11.0, 2.0) == ()


def test_an_answer_is_waited_for_but_not_for_ever(searches: Searches) -> None:
    assert not searches.awaits(10.0)
    searches.begin(1, ARMED, TOPOLOGY, 10.0, 2.0)
    assert searches.awaits(14.9)
    assert not searches.awaits(15.1)
    card = Postcard(SEGMENT, BridgeId("leaf1", "leaf1"), 0, None, None, 3)
    searches.take((card,), (DownPort(card.bridge, 3, "spine1", switched_off=False),))
    assert searches.cards == (card,)
    assert [port.name for port in searches.down] == ["spine1"]
    assert not searches.awaits(10.0)


def test_nothing_is_searched_without_an_underlay_or_without_time(searches: Searches) -> None:
    assert searches.begin(1, ARMED, Topology(), 10.0, 2.0) == ()
    again = Searches()
    again.notice(way(Tunnel(401, HERE, THERE)), LOST)
    assert again.begin(1, ARMED, TOPOLOGY, 10.0, 0.0) == ()
    assert not again.awaits(10.0)


@pytest.mark.parametrize("tunnel", [None, Tunnel(401, None, THERE), Tunnel(401, HERE, None)])
def test_without_both_ends_there_is_nothing_to_look_for(tunnel: Tunnel | None) -> None:
    searches = Searches()
    searches.notice(way(tunnel), LOST)
    assert searches.begin(1, ARMED, TOPOLOGY, 10.0, 2.0) == ()
