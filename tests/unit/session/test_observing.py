"""What a trace costs its servers is asked for beside the trace, and nobody waits long for it."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from session_network import CS1, TUNNEL_PORT, VNI, flow, headers, tcp_to_db
from session_world import World

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.model.actions import Conntrack
from vtrace_ovs.model.cost import FullZone, Moment, ServerReading
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import CT_STATE
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.model.tunnel_reach import TunnelReach, TunnelRoute
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.commands import ObserveServers, Program
from vtrace_ovs.session.events import ServerObserved
from vtrace_ovs.session.observing import OBSERVED_SERVERS, Observation
from vtrace_ovs.session.settings import SessionSettings

NEAR, NOBODY = IPv4Address("172.31.0.12"), IPv4Address("172.31.0.99")
INVALID = 0x30
PATIENCE = SessionSettings().short_buffer + SessionSettings().long_buffer + 1.0


def bridge(node: str, name: str = "br") -> Bridge:
    return Bridge(BridgeId(node, name), 1, BridgeRole.VSWITCH, (), ManagementSocket(""))


def test_the_result_says_what_every_server_carried_before_during_and_after(world: World) -> None:
    world.claim(tcp_to_db())
    world.feed_all(world.whole_way(headers()))
    world.wait(1.0)
    costs = {cost.node: cost for cost in world.result.costs}
    assert sorted(costs) == ["cs1", "cs2", "gw"]
    assert [costs[node].copies for node in sorted(costs)] == [2, 2, 0]
    for cost in costs.values():
        assert cost.before is not None
        assert cost.after is not None
        assert (cost.before.megaflows, cost.after.megaflows) == (0, 0)
        assert cost.megaflows is not None
        assert cost.megaflows > 0
    assert world.states()[-1] is TaskState.DONE


def test_arming_waits_for_no_reading(world: World) -> None:
    world.deaf = True
    world.claim(tcp_to_db())
    assert world.told(Program)[-1] == "cs1/br +sources"


def test_a_server_that_does_not_answer_costs_a_moment_at_the_end_and_its_readings(world: World) -> None:
    world.claim(tcp_to_db())
    world.deaf = True
    world.feed_all(world.whole_way(headers()))
    world.wait(2 * SessionSettings().drain + 0.1)
    assert not any(world.flows.values()), "the network does not wait for readings"
    assert world.states()[-1] is TaskState.DRAINING
    world.wait(SessionSettings().observation_deadline + 0.1)
    assert world.states()[-1] is TaskState.DONE
    assert [(cost.during, cost.after) for cost in world.result.costs] == [(None, None)] * 3


def test_a_cancelled_task_asks_nobody_at_its_end(world: World) -> None:
    world.claim(tcp_to_db())
    world.cancel()
    world.wait(1.0)
    asked = [command.moment for command in world.transcript if isinstance(command, ObserveServers)]
    assert Moment.AFTER not in asked
    assert world.states()[-1] is TaskState.CANCELLED


def test_a_server_is_asked_once_whatever_number_of_bridges_it_has() -> None:
    asked = Observation().ask([bridge("s1"), bridge("s1", "br2"), bridge("s2")], Moment.BEFORE)
    assert [one.id.node for one in asked] == ["s1", "s2"]


def test_a_server_that_came_later_is_not_asked_as_there_is_nothing_to_compare_with() -> None:
    observation = Observation()
    observation.ask([bridge("s1")], Moment.BEFORE)
    observation.take("s1", Moment.BEFORE, ServerReading(1.0))
    assert [one.id.node for one in observation.ask([bridge("s1"), bridge("s2")], Moment.DURING)] == ["s1"]


def test_of_very_many_servers_some_are_read() -> None:
    asked = Observation().ask([bridge(f"s{number:03}") for number in range(200)], Moment.BEFORE)
    assert len(asked) == OBSERVED_SERVERS


def test_an_answer_that_comes_late_still_counts() -> None:
    observation = Observation()
    observation.ask([bridge("s1")], Moment.BEFORE)
    observation.ask([bridge("s1")], Moment.DURING)
    observation.take("s1", Moment.BEFORE, ServerReading(1.0, megaflows=3))
    assert observation.awaited == {("s1", Moment.DURING)}
    (cost,) = observation.costs()
    assert cost.before == ServerReading(1.0, megaflows=3)


def test_silence_is_no_loss_once_a_server_is_known_to_have_dropped_copies(world: World) -> None:
    """The queue to us ran over, but nobody knew when the packet was judged (trap T40)."""
    world.claim(tcp_to_db(packet_count=2))
    reading = ServerReading(world.now, copies_dropped=7)
    world.feed(ServerObserved(world.now, 1, Moment.BEFORE, "cs2", reading))
    world.feed_all((world.entering(headers()), world.leaving(headers())))
    world.wait(PATIENCE)
    assert world.result.verdict.disposition is Disposition.LOST_ON_WIRE
    world.feed(ServerObserved(world.now, 1, Moment.DURING, "cs2", replace(reading, copies_dropped=7)))
    world.wait(1.0)
    assert world.result.verdict.disposition is Disposition.LOST_ON_WIRE
    world.feed(ServerObserved(world.now, 1, Moment.DURING, "cs2", replace(reading, copies_dropped=9)))
    world.wait(1.0)
    assert (world.result.verdict.disposition, world.result.verdict.code) == (
        Disposition.INCONCLUSIVE,
        CauseCode.EVIDENCE_LOST,
    )
    assert world.result.copies_lost == 2
    assert any("2 packet-ins were dropped" in note for note in world.result.notes)


def test_zones_are_full_as_they_were_when_last_asked_for() -> None:
    full, known = FullZone(7, 1, 1), Observation()
    known.take("cs1", Moment.DURING, ServerReading(2.0, full_zones=(full,)))
    known.take("cs1", Moment.AFTER, ServerReading(3.0))
    assert known.full_zones() == {"cs1": (full,)}
    known.take("cs1", Moment.AFTER, ServerReading(4.0, full_zones=()))
    assert known.full_zones() == {}


@pytest.mark.parametrize("packet_count", [1, 2])
def test_zones_are_asked_for_once_a_packet_belongs_to_no_connection_and_told_in_its_verdict(
    world: World, packet_count: int
) -> None:
    """Of a single packet the verdict comes when servers were asked already: they are asked once more in the end."""
    refused = Flow(1, 100, Match.of(exactly(CT_STATE, INVALID)), ())
    world.rewrite(CS1, refused, flow(0, Match(), Conntrack(commit=False, force=False, zone=7, table_id=1)))
    world.claim(tcp_to_db(packet_count=packet_count))
    for packet in map(headers, range(packet_count)):
        world.feed_all((world.entering(packet), world.dropped(packet)))
    world.wait(1.0)
    assert world.result.verdict.code is CauseCode.CONNECTION_INVALID
    *others, last = [command for command in world.transcript if isinstance(command, ObserveServers)]
    assert [command.moment for command in others if command.zones] == [Moment.DURING] * (packet_count - 1)
    assert last.zones
    facts = [fact.sentence for fact in world.result.verdict.evidence]
    assert facts.count("Connection tracking zone 7 of cs1 is full (1 of 1 connection): it commits no more.") == 1


def test_tunnels_lead_where_they_did_when_the_packets_had_been_sent() -> None:
    known, routes = Observation(), (TunnelRoute(IPv4Network("172.31.0.0/24"), 24),)
    known.take("cs1", Moment.BEFORE, ServerReading(1.0, reach=TunnelReach((NEAR,), ())))
    assert known.reach() == {}, "neighbours are asked for when they are needed"
    known.take("cs1", Moment.DURING, ServerReading(2.0, reach=TunnelReach((), routes)))
    assert known.reach() == {"cs1": TunnelReach((NEAR,), routes)}, "one that is forgotten proves nothing"
    assert known.readings["cs1", Moment.DURING].reach is None


def test_what_left_the_inventory_is_judged_again_when_its_server_could_not_send_it(world: World) -> None:
    world.claim(tcp_to_db(packet_count=2))
    left = world.probe(CS1, ProbeKind.OUT, TUNNEL_PORT), world.state(1, marked=True)
    world.feed_all((world.entering(headers()), world.copy(CS1, *left, headers(), tun_id=VNI, tun_dst=int(NOBODY))))
    world.wait(PATIENCE)
    assert world.result.verdict.code is CauseCode.OUTSIDE_INVENTORY
    reach = TunnelReach((), (TunnelRoute(IPv4Network("172.31.0.0/24"), 24),))
    world.feed(ServerObserved(world.now, 1, Moment.DURING, "cs1", ServerReading(world.now, reach=reach)))
    world.wait(1.0)
    assert (world.result.verdict.disposition, world.result.verdict.code) == (
        Disposition.DROPPED,
        CauseCode.NO_TUNNEL_ENDPOINT,
    )
