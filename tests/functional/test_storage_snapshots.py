"""Tables of a real bridge survive the database bit for bit, and cost nothing while they do not change."""

from collections.abc import Callable
from pathlib import Path

from openflow_peer import OpenFlowPeer
from sqlalchemy import func, select

from vtrace_ovs.codecs import openflow
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.actions import ApplyActions, WriteActions
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.storage.database import open_database
from vtrace_ovs.storage.schema import ContentRow
from vtrace_ovs.storage.store import Store

BRIDGE = BridgeId("s1", "br0")
FLOWS = """
table=0,priority=100,cookie=0xfedcba9876543210,tcp,nw_src=10.0.0.0/255.255.0.255,tp_dst=0x1b0/0xfff0 \
  actions=ct(commit,zone=7,nat(src=10.9.0.1-10.9.0.4:1000-2000),exec(load:1->NXM_NX_CT_MARK[])),resubmit(,8)
table=0,priority=90,ipv6,ipv6_src=fe80::/64 \
  actions=learn(table=9,hard_timeout=60,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),\
note:00.11.22.33,goto_table:8
table=0,priority=80,in_port=1 actions=conjunction(5,1/2)
table=0,priority=70,tun_metadata0=0xabcd \
  actions=bundle(eth_src,0,active_backup,ofport,members:1,2),check_pkt_larger(1500)->NXM_NX_REG0[3]
table=8,priority=10,ip \
  actions=meter:1,dec_ttl,move:NXM_NX_REG0[]->NXM_NX_REG1[],clone(ct_clear,group:1),controller(id=99,max_len=64,userdata=01.02)
table=8,priority=0 actions=write_actions(group:1,set_queue:3),write_metadata:0x5/0xff,goto_table:9
table=200,priority=1 actions=multipath(symmetric_l4,1024,modulo_n,4,0,NXM_NX_REG2[0..3]),encap(nsh),NORMAL
"""


def tables_of(bridge: OpenFlowPeer, read_at: float) -> BridgeTables:
    return BridgeTables(
        bridge.dpid,
        read_at,
        bridge.flows(),
        openflow.groups(bridge.multipart(openflow.group_desc_request).body),
        openflow.meters(bridge.multipart(openflow.meter_config_request).body),
        openflow.ports(bridge.multipart(openflow.port_desc_request).body),
    )


def wire_bytes(flow: Flow) -> list[bytes]:
    return [raw for each in flow.instructions if isinstance(each, ApplyActions | WriteActions) for raw in each.raw]


def stored_contents(store: Store) -> int:
    database = open_database(store.place)
    with database.reading() as session:
        number = session.scalar(select(func.count()).select_from(ContentRow))
    database.close()
    return number or 0


def test_tables_read_from_a_bridge_come_back_and_are_stored_once(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer], tmp_path: Path
) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    ovs.ofctl("add-tlv-map", "br0", "{class=0x102,type=1,len=4}->tun_metadata0")
    ovs.ofctl("-O", "OpenFlow13", "add-meter", "br0", "meter=1,pktps,burst,band=type=drop,rate=5,burst_size=9")
    ovs.ofctl(
        "-O", "OpenFlow13", "add-group", "br0", "group_id=1,type=select,bucket=weight:2,mod_nw_tos:4,output:LOCAL"
    )
    ovs.ofctl("-O", "OpenFlow13", "add-flows", "br0", "-", stdin=FLOWS)
    bridge = peer("br0")
    with Store.open(tmp_path / "vtrace.db") as store:
        task = store.add_task(TraceRequest(Filter("ip")), 1.0)
        before = tables_of(bridge, 2.0)
        assert len(before.flows) >= 7
        digest = store.save_snapshot(task.id, BRIDGE, before)
        restored = store.snapshot(digest)
        assert restored == before
        assert [wire_bytes(flow) for flow in restored.flows] == [wire_bytes(flow) for flow in before.flows]
        assert [flow.n_packets for flow in restored.flows] == [flow.n_packets for flow in before.flows]

        kept = stored_contents(store)
        assert store.save_snapshot(task.id, BRIDGE, tables_of(bridge, 3.0)) != digest
        assert stored_contents(store) == kept

        ovs.ofctl("add-flow", "br0", "table=200,priority=2,udp actions=drop")
        store.save_snapshot(task.id, BRIDGE, tables_of(bridge, 4.0))
        assert stored_contents(store) == kept + 1
        assert [each.read_at for each in store.snapshots_of(task.id)] == [2.0, 3.0, 4.0]
