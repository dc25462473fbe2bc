from dataclasses import replace
from ipaddress import IPv4Address

from session_network import CS1, CS2, DB, TUNNEL_PORT, VM_PORT, WEB, flow, headers, tcp_to_db, toward
from session_world import World

from vtrace_ovs.diagnosis.compare import first_divergence
from vtrace_ovs.model.actions import Conntrack, Nat, Output
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.trajectory import Ending, Trajectory
from vtrace_ovs.session.predicting import Walks, departures, predict, predict_from
from vtrace_ovs.trajectories.stitch import stitch
from vtrace_ovs.walker.guidance import Departure
from vtrace_ovs.walker.network import Network

OTHER = IPv4Address("192.0.2.50")
NEW, ESTABLISHED, TRACKED = 0x01, 0x02, 0x20


def test_a_packet_is_predicted_from_where_it_was_seen_entering(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers()))
    run = armed.session.runs[1]
    (group,) = run.groups.values()
    (way,) = stitch(group.records, armed.topology)
    assert run.network is not None
    predicted = predict(run.network, way, group.records)
    assert predicted is not None
    assert [hop.bridge for hop in predicted.hops] == [CS1, CS2]
    assert predicted.ending is Ending.HANDED_TO_PORT


def test_a_packet_nobody_saw_entering_is_predicted_from_where_it_was_first_seen_coming_in(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers())[1:])
    run = armed.session.runs[1]
    (group,) = run.groups.values()
    (way,) = stitch(group.records, armed.topology)
    assert run.network is not None
    predicted = predict(run.network, way, group.records)
    assert predicted is not None
    assert [(hop.bridge, hop.dscp_mark) for hop in predicted.hops] == [(CS2, 2)]
    assert first_divergence(way, predicted) is None
    departures_only = [record for record in group.records if record.loc is not Loc.IN]
    (way,) = stitch(departures_only, armed.topology)
    assert predict(run.network, way, departures_only) is None


def test_a_packet_is_walked_again_only_by_other_tables_or_when_more_was_seen_of_it(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers()))
    run = armed.session.runs[1]
    (group,) = run.groups.values()
    (way,) = stitch(group.records, armed.topology)
    assert run.network is not None
    walks, other = Walks(), Network.build(armed.topology, run.judged_by)
    first = walks.predict(run.network, way, group.records)
    assert first is not None
    assert walks.predict(run.network, way, group.records) is first
    for again in (
        (other, way, group.records),
        (run.network, way, group.records),
        (run.network, replace(way), group.records),
        (run.network, way, group.records[:-1]),
    ):
        walked = walks.predict(*again)
        assert walked == first
        assert walked is not first
        first = walked


def behind_nat(world: World, ct_state: int, text: str = str(OTHER), *, ambiguous: bool = False) -> Trajectory | None:
    """The prediction for a packet that hop 2 tracks, and whose copies there say this of the connection."""
    to_other = Nat(source=False, destination=True, range_text=text)
    tracked = Conntrack(commit=True, force=False, zone=1, table_id=1, nested=(to_other,))
    world.rewrite(CS2, flow(20, toward(DB), tracked), replace(flow(1, toward(OTHER), Output(VM_PORT)), table_id=1))
    world.claim(tcp_to_db())
    world.feed_all(world.whole_way(headers()))
    (group,) = world.session.runs[1].groups.values()
    key = FiveTuple(6, WEB, OTHER, 40000, 443)
    records = [
        replace(record, ct_state=ct_state, headers=replace(record.headers, five_tuple=key))
        if record.dscp_mark > 1 and record.loc is Loc.OUT
        else record
        for record in group.records
    ]
    (way,) = stitch(records, world.topology)
    network = world.session.runs[1].network
    assert network is not None
    return predict(network, replace(way, ambiguous=ambiguous), records)


def test_a_new_connection_is_followed_through_its_translation(world: World) -> None:
    predicted = behind_nat(world, NEW | TRACKED)
    assert predicted is not None
    assert predicted.ending is Ending.HANDED_TO_PORT


def test_a_state_that_leads_elsewhere_than_the_packet_went_is_of_another_zone(world: World) -> None:
    """An established connection without a translation in this zone: the tables would then lead to a miss."""
    predicted = behind_nat(world, ESTABLISHED | TRACKED)
    assert predicted is not None
    assert predicted.ending is Ending.UNKNOWN


def test_a_walk_may_begin_at_any_bridge_a_packet_was_seen_to_enter(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers()))
    run = armed.session.runs[1]
    (group,) = run.groups.values()
    (way,) = stitch(group.records, armed.topology)
    (second,) = [record for record in group.records if record.loc is Loc.IN and record.dscp_mark > 1]
    assert run.network is not None
    predicted = predict_from(run.network, second, way, group.records)
    assert [(hop.bridge, hop.dscp_mark) for hop in predicted.hops] == [(CS2, 1)]


def test_departures_are_told_by_bridge_and_hop_of_the_walk(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers()))
    (group,) = armed.session.runs[1].groups.values()
    (way,) = stitch(group.records, armed.topology)
    left_as = headers().five_tuple
    at_db = frozenset({Departure(VM_PORT, left_as)})
    assert departures(way) == {(CS1, 1): frozenset({Departure(TUNNEL_PORT, left_as)}), (CS2, 2): at_db}
    assert departures(way, 1) == {(CS2, 1): at_db}


def test_nat_to_one_of_several_addresses_is_followed_as_it_was_seen(world: World) -> None:
    predicted = behind_nat(world, NEW | TRACKED, "192.0.2.49-192.0.2.50")
    assert predicted is not None
    assert predicted.ending is Ending.HANDED_TO_PORT
    assert predicted.hops[-1].note == "what nat wrote is as observed"


def test_what_may_be_a_twins_tells_nothing(world: World) -> None:
    predicted = behind_nat(world, NEW | TRACKED, "192.0.2.49-192.0.2.50", ambiguous=True)
    assert predicted is not None
    assert predicted.ending is Ending.UNKNOWN
