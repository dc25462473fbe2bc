"""What ovs-ofctl prints of a bridge is read as what the same bridge says over OpenFlow."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from flow_samples import ACTIONS, MATCHES, TLV_MAP
from openflow_peer import OpenFlowPeer

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.dump_text import DumpFile, bridge_name, tables_of
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.actions import SetField
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.oxm import Field

PORTS = ("p1", "a-b.c", "7x y")
SHOW = ("show", "dump-groups", "dump-meters")


@pytest.fixture
def bridge(ovs: OvsInstance) -> OvsInstance:
    ovs.vsctl(
        "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "protocols=OpenFlow10,OpenFlow13",
    )  # fmt: skip
    for ofport, name in enumerate(PORTS, 1):
        ovs.vsctl(
            "add-port", "br0", name, "--", "set", "interface", name, "type=dummy", f"ofport_request={ofport}"
        )  # fmt: skip
    ovs.ofctl("mod-port", "br0", "2", "down")
    ovs.ofctl("add-tlv-map", "br0", TLV_MAP)
    for group in (
        "group_id=1,type=all,bucket=output:1,bucket=actions=drop",
        "group_id=2,type=select,bucket=weight:5,output:1,bucket=set_field:1->reg0,output:2",
        "group_id=3,type=ff,bucket=watch_port:3,output:1,bucket=watch_port:2,watch_group:1,actions=output:2",
        "group_id=4,type=indirect,bucket=output:2",
    ):
        ovs.ofctl("add-group", "br0", group)
    ovs.ofctl("add-meter", "br0", "meter=1,pktps,burst,stats,bands=type=drop,rate=10,burst_size=20")
    ovs.ofctl("add-meter", "br0", "meter=2,kbps,bands=type=drop,rate=7")
    return ovs


@pytest.fixture
def full(bridge: OvsInstance) -> OvsInstance:
    bridge.ofctl("del-flows", "br0")
    lines = [f"table=0,cookie={n},priority=7,{match},actions=drop" for n, match in enumerate(MATCHES, 1)]
    lines += [
        f"table=1,cookie={n},priority={n},idle_timeout=900,hard_timeout=1000,send_flow_rem,{match}actions={actions}"
        for n, (match, actions) in enumerate(ACTIONS, 1)
    ]
    bridge.ofctl(
        "add-flows", "br0", "-", stdin="\n".join([*lines, "table=9,actions=drop", "table=9,in_port=3,actions=2"])
    )
    return bridge


def bare(value: object) -> Any:  # noqa: ANN401 - a picture of any noun
    """The same value without wire bytes, which text does not have, and with fields by name: text tells no lengths."""
    if isinstance(value, Field):
        return value.name
    if isinstance(value, tuple):
        return tuple(map(bare, value))
    if isinstance(value, MaskedField | SetField) and value.field.name.startswith("tun_metadata"):
        return value.field.name, value.value  # text does not tell how long a tunnel option is, nor so its whole mask
    if is_dataclass(value):
        parts = [(part.name, bare(getattr(value, part.name))) for part in fields(value) if part.name != "raw"]
        return (type(value).__name__, *[part for part in parts if part[0] not in {"n_packets", "n_bytes", "duration"}])
    return value


def by_key(flows: tuple[Flow, ...]) -> dict[Any, Any]:
    return {bare(flow.key): bare(flow) for flow in flows}


def dumped(ovs: OvsInstance, *options: str) -> BridgeTables:
    texts = [ovs.run("ovs-ofctl", "-O", "OpenFlow13", *options, "dump-flows", "br0")]
    texts += [ovs.run("ovs-ofctl", "-O", "OpenFlow13", *options, command, "br0") for command in SHOW]
    return tables_of([DumpFile(f"file{n}", text) for n, text in enumerate(texts)], 5.0)


@pytest.mark.parametrize(
    "options", [(), ("--names",), ("--no-names", "--no-stats"), ("--names", "--no-stats"), ("--sort",)]
)
def test_dumped_flows_are_the_flows_openflow_tells(
    full: OvsInstance, peer: Callable[[str], OpenFlowPeer], options: tuple[str, ...]
) -> None:
    flows = peer("br0").flows()
    assert len(flows) > 220
    assert by_key(dumped(full, *options).flows) == by_key(flows)


def test_dumped_groups_meters_and_ports_are_those_openflow_tells(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    tables, connection = dumped(bridge, "--names"), peer("br0")
    groups = openflow.groups(connection.multipart(openflow.group_desc_request).body)
    meters = openflow.meters(connection.multipart(openflow.meter_config_request).body)
    assert sorted(map(bare, tables.groups)) == sorted(map(bare, groups))
    assert sorted(map(bare, tables.meters)) == sorted(map(bare, meters))
    ports = openflow.ports(connection.multipart(openflow.port_desc_request).body)
    assert sorted(map(bare, tables.ports)) == sorted(map(bare, ports))
    assert (tables.dpid, tables.read_at, bridge_name(tables)) == (connection.dpid, 5.0, "br0")


def test_openflow_10_says_the_same_in_other_words(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    bridge.ofctl("del-flows", "br0")
    lines = (
        "table=0,priority=1,ip,nw_dst=10.0.0.0/8,actions=mod_nw_dst:1.2.3.4,mod_dl_src:00:11:22:33:44:55,output:2",
        "table=0,priority=2,tcp,tp_dst=80,actions=mod_tp_dst:8080,mod_nw_tos:32,resubmit(,1)",
        "table=0,priority=3,dl_vlan=5,actions=strip_vlan,load:0x5->NXM_NX_REG1[],set_tunnel:7,IN_PORT",
        "table=1,priority=4,dl_vlan=5,dl_vlan_pcp=2,actions=CONTROLLER:128",
        "table=1,priority=5,udp6,tp_src=9,actions=drop",
    )
    bridge.ofctl("add-flows", "br0", "-", stdin="\n".join(lines))
    text = bridge.run("ovs-ofctl", "-O", "OpenFlow10", "dump-flows", "br0")
    assert text.startswith("NXST_FLOW")
    found = tables_of([DumpFile("old", text)], 0.0).flows
    assert sorted(map(bare, found)) == sorted(map(bare, peer("br0").flows()))


def test_hidden_flows_of_appctl_are_read_too(bridge: OvsInstance) -> None:
    text = bridge.appctl("bridge/dump-flows", "br0")
    assert "table_id=254" in text
    assert any(flow.table_id == 254 for flow in tables_of([DumpFile("hidden", text)], 0.0).flows)
