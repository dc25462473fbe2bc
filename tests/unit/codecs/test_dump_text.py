import pytest

from vtrace_ovs.codecs.dump_text import DumpFile, bridge_name, tables_of
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_ANY, OFPP_LOCAL, ApplyActions, Output, UnknownAction
from vtrace_ovs.model.flow import BridgeTables, Bucket, GroupEntry, GroupType, MeterEntry

SHOW = """\
OFPT_FEATURES_REPLY (OF1.3) (xid=0x2): dpid:00009a50730af045
n_tables:254, n_buffers:0
capabilities: FLOW_STATS TABLE_STATS PORT_STATS GROUP_STATS QUEUE_STATS
actions: output enqueue set_vlan_vid
OFPST_PORT_DESC reply (OF1.3) (xid=0x3):
 1(p1): addr:aa:55:aa:55:00:03
     config:     0
     state:      LIVE
     current:    10GB-FD COPPER
     speed: 10000 Mbps now, 0 Mbps max
 2(vm (old)): addr:aa:55:aa:55:00:01
     config:     PORT_DOWN
     state:      LINK_DOWN
     speed: 0 Mbps now, 0 Mbps max
 LOCAL(br0): addr:9a:50:73:0a:f0:45
     config:     0
     state:      LIVE
     speed: 0 Mbps now, 0 Mbps max
OFPT_GET_CONFIG_REPLY (OF1.3) (xid=0x5): frags=normal miss_send_len=0
"""
FLOWS = """\
OFPST_FLOW reply (OF1.3) (xid=0x2):
 cookie=0x1, duration=0.1s, table=0, n_packets=0, n_bytes=0, priority=10,in_port=p1 actions=output:"vm (old)"
 cookie=0x2, duration=0.1s, table=0, n_packets=0, n_bytes=0, priority=0 actions=psample(group=4)
"""
GROUPS = """\
OFPST_GROUP_DESC reply (OF1.5) (xid=0x2):
 group_id=2,type=select,selection_method=hash,fields(ip_src,tcp_dst),bucket=bucket_id:3,weight:5,actions=output:1,bucket=bucket_id:0,actions=drop
 group_id=3,type=ff,bucket=watch_port:p1,actions=output:1,bucket=watch_port:2,watch_group:2,actions=output:2
"""
METERS = """\
OFPST_METER_CONFIG reply (OF1.3) (xid=0x2):
meter=1 pktps burst stats bands=
type=drop rate=10 burst_size=3

meter=2 kbps bands=
type=drop rate=10
meter=3 kbps bands=type=dscp_remark rate=5 prec_level=1
"""


def read(*texts: str) -> BridgeTables:
    return tables_of([DumpFile(f"f{n}.txt", text) for n, text in enumerate(texts)], 7.0)


@pytest.mark.parametrize("texts", [(FLOWS, SHOW), (SHOW + FLOWS,), (SHOW, FLOWS, GROUPS, METERS)])
def test_files_of_one_bridge_add_up_in_any_order(texts: tuple[str, ...]) -> None:
    tables = read(*texts)
    assert (tables.dpid, tables.read_at, bridge_name(tables)) == (0x9A50730AF045, 7.0, "br0")
    assert [flow.instructions for flow in tables.flows] == [
        (ApplyActions((Output(2),)),), (ApplyActions((UnknownAction("psample", b""),)),),
    ]  # fmt: skip
    assert [(port.ofport, port.name, port.link_down, port.admin_down) for port in tables.ports] == [
        (1, "p1", False, False), (2, "vm (old)", True, True), (OFPP_LOCAL, "br0", False, False),
    ]  # fmt: skip


def test_groups_are_read_with_their_buckets() -> None:
    first, second = read(SHOW, GROUPS).groups
    assert first == GroupEntry(
        2, GroupType.SELECT, (Bucket(5, OFPP_ANY, OFPP_ANY, (Output(1),)), Bucket(1, OFPP_ANY, OFPP_ANY, ()))
    )
    assert [(bucket.watch_port, bucket.watch_group) for bucket in second.buckets] == [(1, OFPP_ANY), (2, 2)]


def test_meters_are_read_with_their_drop_band() -> None:
    assert read(METERS).meters == (MeterEntry(1, 10, 3, True), MeterEntry(2, 10, 10, False), MeterEntry(3, 0, 0, False))


def test_a_bridge_without_flows_has_none() -> None:
    tables = read("OFPST_FLOW reply (OF1.3) (xid=0x2):\n")
    assert (tables.flows, tables.dpid, bridge_name(tables)) == ((), 0, None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "f0.txt is empty"),
        (
            FLOWS.replace('"vm (old)"', "9").replace("p1", "1") + " cookie=0x3, duration=0.1s, table=0, n_pac",
            "f0.txt:4",
        ),
        (" priority=1 actions=output:p7\n", "f0.txt:1: what number port 'p7' has is not known"),
        (" priority=1 actions=drop\n priority=1 actions=drop\n", "f0.txt:2: this flow is there twice"),
        ("OFPST_FLOW reply (OF1.0) (xid=0x2): ***decode error***\n00000000  01 11 43 18 |....|\n", "f0.txt:2"),
        ("     state:      LIVE\n", "f0.txt:1"),
        ("type=drop rate=10\n", "f0.txt:1: a meter band without a meter"),
        ("meter=controller kbps bands=\n", "f0.txt:1"),
        ("meter=1 kbps bands=type=odd\n", "f0.txt:1"),
        (" group_id=1,type=tree,bucket=actions=drop\n", "f0.txt:1: group type 'tree'"),
        (" group_id=1,type=all,bucket=weight:5\n", "f0.txt:1: bucket 'weight:5' has no actions"),
        (" group_id=1,type=all,bucket=mood:5,actions=drop\n", "f0.txt:1"),
        ("ovs-ofctl: br7 is not a bridge or a socket\n", "f0.txt:1"),
    ],
)
def test_what_is_no_dump_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(CodecError) as caught:
        read(text)
    assert str(caught.value).startswith(place)
