from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.model.trajectory import DropShape, Ending
from vtrace_ovs.trajectories.hops import changes, hops_of, ways_of
from vtrace_ovs.trajectories.visits import arrived, settle

Record = Callable[..., PacketInRecord]


def test_every_field_a_vfd_rewrites_is_a_change_but_the_mark(headers: Headers) -> None:
    old = headers.five_tuple
    assert old is not None
    rewritten = replace(
        headers,
        eth_src="02:00:00:00:00:aa",
        eth_dst="02:00:00:00:00:bb",
        vlan_tci=0x1064,
        ttl=63,
        dscp=46,
        five_tuple=FiveTuple(6, old.destination, old.source, 1024, 8443),
    )
    fields = ["eth_src", "eth_dst", "vlan_tci", "nw_ttl", "nw_src", "nw_dst", "tp_src", "tp_dst"]
    assert [change.field for change in changes(headers, rewritten)] == fields
    assert changes(headers, headers) == ()


def test_the_shape_of_a_drop_is_told_by_its_flow(
    record: Record, flow: Callable[[int, int], FlowKey], topology: Topology
) -> None:
    places = Places(topology)
    shapes = []
    for dropped_by in (None, flow(20, 0), flow(20, 7)):
        visit = arrived(record("cs1/br-int", 1, Loc.IN, 1), places)
        settle([visit], [record("cs1/br-int", 1, Loc.ERROR, 1, flow=dropped_by)], places)
        shapes.append(hops_of(ways_of(visit, places))[0].drop)
    assert shapes == [DropShape.NO_MATCH, DropShape.TABLE_MISS_FLOW, DropShape.EXPLICIT_DROP]


def test_an_output_the_vfd_calls_suppressed_is_a_drop(record: Record, topology: Topology) -> None:
    places = Places(topology)
    visit = arrived(record("cs1/br-int", 1, Loc.IN, 1), places)
    settle([visit], [replace(record("cs1/br-int", 1, Loc.OUT, 1, 1), msg=RecordMsg.SUPPRESSED)], places)
    (hop,) = hops_of(ways_of(visit, places))
    assert (hop.ending, hop.drop) == (Ending.DROPPED, DropShape.OUTPUT_TO_INGRESS)


def test_an_output_without_a_mark_is_told(record: Record, topology: Topology) -> None:
    places = Places(topology)
    visit = arrived(record("cs1/br-int", 1, Loc.IN, 1), places)
    settle([visit], [replace(record("cs1/br-int", 1, Loc.OUT, 1, 10), msg=RecordMsg.UNMARKED)], places)
    (hop,) = hops_of(ways_of(visit, places))
    assert hop.unmarked
