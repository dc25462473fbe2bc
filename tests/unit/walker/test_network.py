from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.model.actions import OFPP_ANY, OFPP_LOCAL, Output
from vtrace_ovs.model.flow import BridgeTables, Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.walker.network import BridgeView, Network, PortState

Make = Callable[..., BridgeTables]


def group(group_id: int, *watched: tuple[int, int]) -> GroupEntry:
    buckets = tuple(Bucket(0, port, watched_group, ()) for port, watched_group in watched)
    return GroupEntry(group_id, GroupType.FAST_FAILOVER, buckets)


def test_our_own_flows_are_left_out(
    topology: Topology, tables: Make, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    stored = tables(flow(0, 5, match(), Output(1)), flow(0, 9, match(), Output(2)))
    network = Network.build(topology, {BridgeId("a", "sw"): stored}, ignore=lambda each: each.priority == 9)
    view = network.views[BridgeId("a", "sw")]
    assert [entry.flow.priority for entry in view.indexes[0].entries()] == [5]
    assert view.indexes[0] is view.indexes[0]  # made once
    assert not list(view.indexes[3].entries())


def test_ports_are_up_down_or_gone(tables: Make) -> None:
    view = BridgeView(tables(down=(2,)))
    assert [view.port_state(port) for port in (1, 2, 77)] == [PortState.UP, PortState.DOWN, PortState.GONE]
    assert view.port_state(OFPP_LOCAL) is PortState.UP


def test_without_stored_ports_the_inventory_says_which_exist_and_without_both_all_do(topology: Topology) -> None:
    bare = BridgeTables(1, 0.0, ())
    assert BridgeView(bare).port_state(77) is PortState.UP
    view = BridgeView(bare, topology.bridge(BridgeId("a", "sw")))
    assert (view.port_state(3), view.port_state(77)) == (PortState.UP, PortState.GONE)
    assert view.port_state(OFPP_LOCAL) is PortState.UP


def test_a_bucket_lives_by_its_port_or_its_group(tables: Make) -> None:
    groups = (group(1, (2, OFPP_ANY)), group(2, (1, OFPP_ANY)), group(3, (OFPP_ANY, 3)))
    view = BridgeView(tables(groups=groups, down=(2,)))
    assert view.bucket_live(OFPP_ANY, OFPP_ANY)
    assert not view.bucket_live(2, OFPP_ANY)
    assert not view.bucket_live(OFPP_ANY, 1)
    assert view.bucket_live(OFPP_ANY, 2)
    assert not view.bucket_live(OFPP_ANY, 3)
    assert not view.bucket_live(OFPP_ANY, 9)


def test_a_changed_flow_costs_the_index_of_its_own_table_only(
    topology: Topology, tables: Make, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    here = BridgeId("a", "sw")
    first, second = flow(0, 5, match(), Output(1)), flow(1, 5, match(), Output(2))
    before = Network.build(topology, {here: tables(first, second)})
    kept, made = before.views[here].indexes[0], before.views[here].indexes[1]
    counted = replace(first, n_packets=9, duration=3.0)
    after = Network.build(topology, {here: tables(counted, flow(1, 5, match(), Output(3)))}, before=before)
    indexes = after.views[here].indexes
    assert indexes[0] is kept
    assert indexes[1] is not made
    assert [entry.flow.instructions for entry in indexes[1].entries()] != [second.instructions]
