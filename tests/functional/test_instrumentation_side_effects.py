"""D3: packets leave behind what they leave behind without us: MAC tables, learned flows, and flows kept alive."""

import re
from collections.abc import Callable
from itertools import permutations

import pytest
from openflow_peer import OpenFlowPeer
from test_instrumentation_of_odd_pipelines import BRIDGE, plan, send

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.lab.daemons import OvsInstance

TWIN = "br1"
LEARNING = (
    "learn(table=9,idle_timeout=600,priority={priority},NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"
)
FLOODING = "table=9,priority=0 actions=FLOOD"
PIPELINES = {
    "NORMAL": "priority=0 actions=NORMAL",
    "NORMAL behind tables": "priority=1,ip actions=resubmit(,3)\ntable=3,priority=1 actions=NORMAL",
    "learn": f"priority=1 actions={LEARNING.format(priority=32768)},resubmit(,9)\n{FLOODING}",
    "learn one above": f"priority=1 actions={LEARNING.format(priority=1)},resubmit(,9)\n{FLOODING}",
}
EQUALS = (
    "priority=10,ip,nw_dst=10.0.0.0/8 actions=output:2",
    "priority=10,ip,nw_src=10.0.0.0/8 actions=output:3",
    "priority=10,udp,udp_dst=53 actions=drop",
)
ORDERS = tuple(permutations(EQUALS))
# who sends to whom, by port: the last octet of addresses is the port's number
CONVERSATION = ((1, 2), (2, 1), (1, 2), (3, 1), (1, 3), (2, 3), (1, 9), (3, 2), (1, 2))


def build(ovs: OvsInstance, name: str, flows: str) -> None:
    ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure")
    for port in BRIDGE.ports:
        wanted = f"ofport_request={port.ofport}"
        interface = f"{name}-{port.name}"
        ovs.vsctl("add-port", name, interface, "--", "set", "interface", interface, "type=dummy", wanted)
    ovs.ofctl("add-flows", name, "-", stdin=flows)


def receive(ovs: OvsInstance, name: str, source: int, destination: int) -> None:
    ovs.appctl(
        "netdev-dummy/receive",
        f"{name}-p{source}",
        f"in_port(1),eth(src=02:00:00:00:00:0{source},dst=02:00:00:00:00:0{destination}),eth_type(0x0800),"
        f"ipv4(src=10.0.1.{source},dst=10.0.1.{destination},proto=17,tos=0,ttl=64,frag=no),udp(src=4000,dst=53)",
    )


def left_behind(ovs: OvsInstance, name: str) -> tuple[list[str], ...]:
    """Port counters, MAC table and production flows with their counters, but for ages and names."""
    ovs.appctl("revalidator/wait")
    ports = re.findall(r"tx pkts=(\d+)", ovs.ofctl("dump-ports", name))
    macs = re.findall(r"^ +(\d+) +(\d+) +(\S+)", ovs.appctl("fdb/show", name), re.MULTILINE)
    flows = [line for line in ovs.ofctl("dump-flows", name).splitlines() if "cookie=0x5654" not in line]
    keys = [re.sub(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[^,]*, ", "", line).strip() for line in flows]
    return ports, sorted(map(" ".join, macs)), sorted(key for key in keys if "cookie" in key)


def converse(ovs: OvsInstance, name: str) -> None:
    """Exchange packets, each through the tables and not through megaflows of before the last one taught something."""
    for source, destination in CONVERSATION:
        receive(ovs, name, source, destination)
        ovs.appctl("revalidator/purge")


@pytest.mark.parametrize("flows", PIPELINES.values(), ids=PIPELINES)
def test_what_bridges_learn_and_forward_is_what_a_twin_without_us_does(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer], flows: str
) -> None:
    build(ovs, "br0", flows)
    build(ovs, TWIN, flows)
    connection = peer("br0")
    send(connection, None, plan(connection))
    for name in ("br0", TWIN):
        converse(ovs, name)
    (sent, macs, entries), twin = left_behind(ovs, "br0"), left_behind(ovs, TWIN)
    assert (sent, macs, entries) == twin
    assert sum(map(int, sent)) > len(CONVERSATION)
    assert macs or any("table=9" in entry and "dl_dst" in entry for entry in entries)


def test_flows_learned_during_a_trace_run_themselves_and_are_logged_from_the_next_reading_on(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    build(ovs, "br0", PIPELINES["learn"].replace("idle_timeout=600,", ""))
    connection = peer("br0")
    first = plan(connection)
    send(connection, None, first)
    converse(ovs, "br0")
    second = plan(connection)
    send(connection, first, second)
    learned = {flow.key for flow in connection.flows() if flow.table_id == 9 and flow.priority == 32768}
    assert learned
    assert learned <= {probe.flow for probe in second.probes}
    assert not learned & {probe.flow for probe in first.probes}


def test_a_learned_flow_in_the_way_is_refused_by_name_at_the_next_reading(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    learning = LEARNING.format(priority=65535).replace("table=9", "table=0,cookie=0xbad")
    build(ovs, "br0", f"priority=1 actions={learning},NORMAL")
    connection = peer("br0")
    send(connection, None, plan(connection))
    converse(ovs, "br0")
    with pytest.raises(RefusedError, match="0xbad"):
        plan(connection)


def test_packets_of_a_trace_keep_alive_what_lives_by_packets(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    build(ovs, "br0", "cookie=0x1,idle_timeout=600,priority=5,ip actions=output:2\ncookie=0x2,priority=4,ip actions=3")
    connection = peer("br0")
    send(connection, None, plan(connection))
    for _ in range(4):
        receive(ovs, "br0", 1, 2)
    ovs.appctl("revalidator/wait")
    counted = {flow.cookie: flow.n_packets for flow in connection.flows() if not is_ours(flow.cookie)}
    assert counted == {1: 4, 2: 0}


@pytest.mark.parametrize("flows", ORDERS, ids=lambda flows: " ".join(flow[-1] for flow in flows))
def test_of_equal_flows_a_traced_packet_meets_the_one_that_production_takes(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer], flows: tuple[str, ...]
) -> None:
    build(ovs, "br0", "\n".join(flows))
    connection = peer("br0")
    asked = ("ofproto/trace", "br0", "in_port=1,udp,nw_src=10.0.1.1,nw_dst=10.2.2.2,udp_dst=53")
    (before,) = (line for line in ovs.appctl(*asked).splitlines() if line.startswith("Datapath actions"))
    send(connection, None, plan(connection))
    (during,) = (line for line in ovs.appctl(*asked).splitlines() if line.startswith("Datapath actions"))
    assert "userspace" in during
    assert during.endswith(before.removeprefix("Datapath actions: ").removesuffix("drop"))
