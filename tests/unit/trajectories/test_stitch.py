from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import Headers, Tunnel
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.trajectory import Ending, Origin, Trajectory
from vtrace_ovs.trajectories.stitch import Stitcher, complete, stitch

Journey = Callable[..., list[PacketInRecord]]
Record = Callable[..., PacketInRecord]
TunnelBetween = Callable[[int, str, str], Tunnel]
FIXTURES_KEEP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


def way(trajectory: Trajectory) -> list[str]:
    return [f"{hop.dscp_mark} {hop.bridge}" for hop in trajectory.hops]


def vnis(trajectory: Trajectory) -> set[int]:
    sides = [tunnel for hop in trajectory.hops for tunnel in (hop.arrived_by, hop.left_by)]
    return {tunnel.vni for tunnel in sides if tunnel is not None}


def test_four_records_make_two_hops_handed_to_a_port(direct: Journey, topology: Topology) -> None:
    (found,) = stitch(direct(), topology)
    assert way(found) == ["1 cs1/br-int", "2 cs2/br-int"]
    assert found.ending is Ending.HANDED_TO_PORT
    assert found.origin is Origin.OBSERVED
    assert found.hops[1].parent == 0
    assert found.hops[1].out_port == 1
    assert found.hops[0].left_by == found.hops[1].arrived_by
    assert not found.ambiguous
    assert complete(found)


def test_a_bridge_visited_twice_is_two_hops(routed: Journey, topology: Topology) -> None:
    (found,) = stitch(routed(), topology)
    assert way(found) == ["1 cs1/br-int", "2 gw1/br-int", "3 gw1/vr-blue", "4 gw1/br-int", "5 cs2/br-int"]
    assert [hop.parent for hop in found.hops] == [None, 0, 1, 2, 3]
    assert found.ending is Ending.HANDED_TO_PORT
    assert {change.field for change in found.hops[2].changes} == {"eth_src", "eth_dst", "nw_ttl"}
    assert complete(found)


def test_arrival_order_is_noise(routed: Journey, topology: Topology) -> None:
    records = routed()
    assert stitch(records[::-1], topology) == stitch(records, topology)


def test_clocks_that_disagree_by_seconds_change_nothing(routed: Journey, topology: Topology) -> None:
    skewed = [replace(r, timestamp=r.timestamp - (5 if r.bridge.node == "gw1" else 0)) for r in routed()]
    (found,) = stitch(skewed, topology)
    assert way(found) == ["1 cs1/br-int", "2 gw1/br-int", "3 gw1/vr-blue", "4 gw1/br-int", "5 cs2/br-int"]


def test_the_same_record_twice_is_one_observation(direct: Journey, topology: Topology) -> None:
    records = direct()
    assert stitch(records + [replace(one) for one in records], topology) == stitch(records, topology)


def test_byte_identical_packets_of_two_tenants_never_mix(routed: Journey, topology: Topology) -> None:
    blue, red = sorted(stitch([*routed("blue"), *routed("red")], topology), key=lambda found: min(vnis(found)))
    assert vnis(blue) == {101}
    assert vnis(red) == {201}
    assert way(blue)[2] == "3 gw1/vr-blue"
    assert way(red)[2] == "3 gw1/vr-red"
    assert blue.ending is red.ending is Ending.HANDED_TO_PORT
    assert {blue.occurrence, red.occurrence} == {0, 1}


def test_vnis_keep_tenants_apart_even_when_nobody_names_them(direct: Journey, nameless: Topology) -> None:
    found = stitch([*direct("blue"), *direct("red")], nameless)
    assert sorted(map(sorted, map(vnis, found))) == [[101], [201]]
    assert not any(one.ambiguous for one in found)


def test_one_tenants_loss_is_not_hidden_by_the_others_delivery(direct: Journey, topology: Topology) -> None:
    blue, red = direct("blue"), direct("red")
    found = {min(vnis(one)): one for one in stitch([*blue[:2], *red], topology)}
    assert found[101].ending is Ending.ON_WIRE
    assert found[201].ending is Ending.HANDED_TO_PORT


def test_tasks_are_apart(direct: Journey, topology: Topology) -> None:
    found = stitch([*direct(task=1), *direct(task=2)], topology)
    assert sorted(one.task_id for one in found) == [1, 2]


def test_an_error_ends_in_the_flow_that_dropped(
    record: Record, flow: Callable[[int, int], FlowKey], topology: Topology
) -> None:
    deny = flow(20, 100)
    records = [record("cs1/br-int", 1, Loc.IN, 1), record("cs1/br-int", 1, Loc.ERROR, 1, flow=deny)]
    (found,) = stitch(records, topology)
    assert found.ending is Ending.DROPPED
    assert found.hops[0].steps[0].flow == deny
    assert complete(found)


def test_only_an_in_is_open_and_not_complete(direct: Journey, topology: Topology) -> None:
    (found,) = stitch(direct()[:3], topology)
    assert found.ending is Ending.OPEN
    assert found.hops[-1].bridge == BridgeId("cs2", "br-int")
    assert not complete(found)


def test_an_out_without_a_next_in_is_on_the_wire(direct: Journey, topology: Topology) -> None:
    (found,) = stitch(direct()[:2], topology)
    assert found.ending is Ending.ON_WIRE
    assert not complete(found)


def test_a_missing_out_is_proven_by_the_next_in(direct: Journey, topology: Topology) -> None:
    entered, _, next_in, handed = direct()
    (found,) = stitch([entered, next_in, handed], topology)
    assert way(found) == ["1 cs1/br-int", "2 cs2/br-int"]
    assert found.hops[0].out_port == 10
    assert found.hops[0].seen == {Loc.IN}
    assert not found.hops[0].inferred
    assert not complete(found)


def test_a_hop_without_records_is_inferred_between_two_patch_ports(routed: Journey, topology: Topology) -> None:
    records = [one for one in routed() if one.dscp_mark != 3]
    (found,) = stitch(records, topology)
    assert way(found)[2] == "3 gw1/vr-blue"
    assert found.hops[2].inferred
    assert found.ending is Ending.HANDED_TO_PORT


def test_the_first_hop_is_inferred_from_the_tunnel_source(direct: Journey, topology: Topology) -> None:
    (found,) = stitch(direct()[2:], topology)
    assert way(found) == ["1 cs1/br-int", "2 cs2/br-int"]
    assert found.hops[0].inferred
    assert not complete(found)


def test_several_hops_without_records_leave_a_gap(routed: Journey, topology: Topology) -> None:
    records = [one for one in routed() if one.dscp_mark in (1, 5)]
    (found,) = stitch(records, topology)
    assert way(found) == ["1 cs1/br-int", "5 cs2/br-int"]
    assert found.hops[1].parent == 0


def test_a_flooded_packet_is_a_tree_and_the_addressees_branch_is_last(
    record: Record, tunnel: TunnelBetween, topology: Topology
) -> None:
    to_cs2, to_gw1 = tunnel(101, "cs1", "cs2"), tunnel(101, "cs1", "gw1")
    records = [
        record("cs1/br-int", 1, Loc.IN, 1),
        record("cs1/br-int", 1, Loc.OUT, 1, 10, to_cs2),
        record("cs1/br-int", 1, Loc.OUT, 1, 10, to_gw1),
        record("cs2/br-int", 2, Loc.IN, 10, None, to_cs2),
        record("gw1/br-int", 2, Loc.IN, 10, None, to_gw1),
        record("gw1/br-int", 2, Loc.ERROR, 10),
        record("cs2/br-int", 2, Loc.OUT, 10, 1),
    ]
    (found,) = stitch(records, topology)
    assert found.ending is Ending.HANDED_TO_PORT
    assert found.hops[-1].bridge == BridgeId("cs2", "br-int")
    assert {hop.ending for hop in found.hops if hop.ending} == {Ending.DROPPED, Ending.HANDED_TO_PORT}
    assert [hop.bridge.node for hop in found.hops if hop.parent is None] == ["cs1", "cs1"]


def test_a_mirror_port_does_not_pass_for_delivery(record: Record, tunnel: TunnelBetween, topology: Topology) -> None:
    records = [
        record("cs1/br-int", 1, Loc.IN, 1),
        record("cs1/br-int", 1, Loc.OUT, 1, 2),  # port 2 has another address than the packet's destination
        record("cs1/br-int", 1, Loc.OUT, 1, 10, tunnel(101, "cs1", "cs2")),
    ]
    (found,) = stitch(records, topology)
    assert found.ending is Ending.ON_WIRE
    assert not complete(found)


def test_equal_packets_that_fare_alike_are_told_apart_by_order(direct: Journey, topology: Topology) -> None:
    first, second = stitch([*direct(at=0.0), *direct(at=1.0)], topology)
    assert (first.occurrence, second.occurrence) == (0, 1)
    assert first.ending is second.ending is Ending.HANDED_TO_PORT
    assert not first.ambiguous
    assert second.last_seen == 1.003


def test_equal_packets_with_different_fates_keep_their_count_and_say_so(direct: Journey, topology: Topology) -> None:
    records = [*direct(at=0.0)[:3], *direct(at=0.0005), *direct(at=0.0007)[:3]]
    found = stitch(records, topology)
    assert sorted(one.ending.name for one in found) == ["HANDED_TO_PORT", "OPEN", "OPEN"]
    assert all(one.ambiguous for one in found)


def test_twins_that_overtake_each_other_are_told_apart_by_what_no_wire_changes(
    direct: Journey, topology: Topology
) -> None:
    def twin(ttl: int, later_at: str) -> list[PacketInRecord]:
        return [
            replace(one, headers=replace(one.headers, ttl=ttl), timestamp=one.timestamp + (one.bridge.node == later_at))
            for one in direct()
        ]

    found = stitch([*twin(64, "cs2"), *twin(3, "cs1")], topology)
    assert [{hop.headers_in.ttl for hop in one.hops if hop.headers_in} for one in found] == [{64}, {3}]
    assert not any(one.ambiguous for one in found)


def test_an_error_and_an_out_of_twins_are_not_given_to_one_packet(record: Record, topology: Topology) -> None:
    records = [
        record("cs1/br-int", 1, Loc.IN, 1),
        record("cs1/br-int", 1, Loc.IN, 1),
        record("cs1/br-int", 1, Loc.ERROR, 1),
        record("cs1/br-int", 1, Loc.OUT, 1, 2),
    ]
    found = stitch(records, topology)
    assert sorted(one.ending.name for one in found) == ["DROPPED", "HANDED_TO_PORT"]


def test_the_same_vfd_port_and_headers_again_is_a_loop(
    record: Record, tunnel: TunnelBetween, topology: Topology
) -> None:
    there, back = tunnel(101, "cs1", "gw1"), tunnel(101, "gw1", "cs1")
    records = [record("cs1/br-int", 1, Loc.IN, 1)]
    for mark in range(1, 6):
        here, onward = ("cs1/br-int", there) if mark % 2 else ("gw1/br-int", back)
        if mark > 1:
            records.append(record(here, mark, Loc.IN, 10, None, back if mark % 2 else there))
        records.append(record(here, mark, Loc.OUT, 1 if mark == 1 else 10, 10, onward))
    (found,) = stitch(records, topology)
    assert len(found.hops) == 5
    assert found.ending is Ending.LOOPED


def test_a_port_nobody_knows_is_not_delivery(record: Record, topology: Topology) -> None:
    records = [record("cs1/br-int", 1, Loc.IN, 1), record("cs1/br-int", 1, Loc.OUT, 1, 77)]
    (found,) = stitch(records, topology)
    assert found.ending is Ending.UNKNOWN


def test_the_bridges_own_port_is_an_exit(record: Record, topology: Topology) -> None:
    records = [record("cs1/br-int", 1, Loc.IN, 1), record("cs1/br-int", 1, Loc.OUT, 1, 0xFFFFFFFE)]
    (found,) = stitch(records, topology)
    assert found.ending is Ending.EXITED


def test_an_unnamed_output_is_joined_by_what_arrives(record: Record, tunnel: TunnelBetween, topology: Topology) -> None:
    through = tunnel(101, "cs1", "cs2")
    records = [
        record("cs1/br-int", 1, Loc.IN, 1),
        record("cs1/br-int", 1, Loc.OUT, 1, None),  # NORMAL
        record("cs2/br-int", 2, Loc.IN, 10, None, through),
        record("cs2/br-int", 2, Loc.OUT, 10, 1),
    ]
    (found,) = stitch(records, topology)
    assert way(found) == ["1 cs1/br-int", "2 cs2/br-int"]


def test_a_cleared_in_port_still_belongs_to_the_visit(
    record: Record, tunnel: TunnelBetween, topology: Topology
) -> None:
    through = tunnel(101, "cs1", "cs2")
    records = [record("cs1/br-int", 1, Loc.IN, 1), record("cs1/br-int", 1, Loc.OUT, 0, 10, through)]
    (found,) = stitch(records, topology)
    assert found.hops[0].seen == {Loc.IN, Loc.OUT}
    assert found.hops[0].in_port == 1


def test_a_stitcher_is_reusable(direct: Journey, topology: Topology) -> None:
    stitcher = Stitcher(topology)
    assert stitcher.stitch(direct()[:2])[0].ending is Ending.ON_WIRE
    assert stitcher.stitch(direct())[0].ending is Ending.HANDED_TO_PORT
    assert stitcher.stitch([]) == ()


@FIXTURES_KEEP
@given(data=st.data())
def test_permuted_and_duplicated_records_change_nothing(
    data: st.DataObject, routed: Journey, direct: Journey, topology: Topology
) -> None:
    records = [
        *routed("blue"),
        *routed("red", at=0.0004),
        *direct(packet="q", at=0.1),
        *direct("red", packet="q", at=0.2)[:2],
    ]
    wanted = stitch(records, topology)
    twice = data.draw(st.lists(st.sampled_from(records), max_size=8))
    assert stitch(data.draw(st.permutations(records + twice)), topology) == wanted


@FIXTURES_KEEP
@given(data=st.data())
def test_lost_records_never_mix_tenants_or_tasks_nor_hide_passage(
    data: st.DataObject, routed: Journey, topology: Topology
) -> None:
    records = [*routed("blue"), *routed("red", at=0.0004), *routed("blue", task=2, at=0.0002)]
    kept = [one for one in data.draw(st.permutations(records)) if data.draw(st.booleans())]
    found = stitch(kept, topology)
    for one in found:
        assert len(vnis(one)) <= 1
        routers = {hop.bridge.name for hop in one.hops} & {"vr-blue", "vr-red"}
        assert len(routers) <= 1
        edges = {hop.in_port for hop in one.hops if hop.dscp_mark == 1 and hop.in_port is not None}
        edges |= {hop.out_port for hop in one.hops if hop.dscp_mark == 5 and hop.out_port is not None}
        assert len(edges) <= 1
    for task, tenants in ((1, 2), (2, 1)):
        of_task = [one for one in found if one.task_id == task]
        assert len(of_task) <= tenants
        latest = {one.dscp_mark for one in kept if one.task_id == task}
        reached = {hop.dscp_mark for one in of_task for hop in one.hops}
        assert latest <= reached
        # A packet whose last hop was logged never ends before it.
        for one in of_task:
            assert one.hops[-1].dscp_mark == max(hop.dscp_mark for hop in one.hops)


@FIXTURES_KEEP
@given(data=st.data())
def test_lost_outs_never_mix_vnis_even_when_nobody_names_tenants(
    data: st.DataObject, direct: Journey, nameless: Topology
) -> None:
    records = data.draw(st.permutations([*direct("blue"), *direct("red", at=0.0004)]))
    kept = [one for one in records if one.loc is Loc.IN or data.draw(st.booleans())]
    for one in stitch(kept, nameless):
        assert len(vnis(one)) <= 1
        edges = {hop.in_port for hop in one.hops if hop.dscp_mark == 1 and hop.in_port is not None}
        assert len(edges | {hop.out_port for hop in one.hops if hop.dscp_mark == 2 and hop.out_port is not None}) <= 1


@FIXTURES_KEEP
@given(data=st.data())
def test_losing_records_never_turns_into_a_drop(data: st.DataObject, routed: Journey, topology: Topology) -> None:
    kept = [one for one in routed() if data.draw(st.booleans())]
    found = stitch(kept, topology)
    assert len(found) <= 1
    for one in found:
        assert one.ending is not Ending.DROPPED
        if kept[-1].dscp_mark == 5 and kept[-1].loc is Loc.OUT:
            assert one.ending is Ending.HANDED_TO_PORT


@FIXTURES_KEEP
@given(endings=st.lists(st.integers(1, 4), min_size=1, max_size=6), data=st.data())
def test_counts_of_equal_packets_are_right_at_every_place(
    endings: list[int], data: st.DataObject, direct: Journey, topology: Topology
) -> None:
    journeys = [direct(at=n * data.draw(st.sampled_from([0.0001, 0.01, 1.0])))[:kept] for n, kept in enumerate(endings)]
    found = stitch(data.draw(st.permutations([one for journey in journeys for one in journey])), topology)
    shapes = {1: Ending.OPEN, 2: Ending.ON_WIRE, 3: Ending.OPEN, 4: Ending.HANDED_TO_PORT}
    wanted = sorted((shapes[kept].name, (kept + 1) // 2) for kept in endings)
    assert sorted((one.ending.name, len(one.hops)) for one in found) == wanted


def test_a_translated_packet_has_the_five_tuple_it_was_last_seen_with(
    record: Record, tunnel: TunnelBetween, topology: Topology, headers: Headers
) -> None:
    assert headers.five_tuple is not None
    behind = replace(headers, five_tuple=replace(headers.five_tuple, destination=IPv4Address("192.0.2.77")))
    wire = tunnel(101, "cs1", "cs2")
    seen = [
        record("cs1/br-int", 1, Loc.IN, 1),
        record("cs1/br-int", 1, Loc.OUT, 1, 10, wire, headers=behind),
        record("cs2/br-int", 2, Loc.IN, 10, tunnel=wire, headers=behind),
        record("cs2/br-int", 2, Loc.ERROR, 10, headers=behind),
    ]
    (trajectory,) = stitch(seen, topology)
    assert way(trajectory) == ["1 cs1/br-int", "2 cs2/br-int"]
    assert (trajectory.five_tuple, trajectory.nat_key) == (headers.five_tuple, behind.five_tuple)
    assert stitch(seen[:1], topology)[0].nat_key is None
