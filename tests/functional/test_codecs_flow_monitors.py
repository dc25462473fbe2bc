"""A flow monitor of our own connection on a real ovs-vswitchd: what is told, to whom, and what is not."""

from collections.abc import Callable

import pytest
from openflow_peer import OpenFlowPeer

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.openflow import Message
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, RemovedFlow, Watch
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, field

OURS, OUR_MASK = 0x5654_0101_0000_0000, 0xFFFF << 48
OUR_COOKIES = "cookie=0x5654000000000000/0xffff000000000000"
PRIVATE = 253
UNSEEN = StateField(field("reg15")).unseen()
WATCHED = {1: Watch(0, Match.of(UNSEEN)), 2: Watch(PRIVATE)}
MARK = FlowMod(FlowModCommand.ADD, 0, 65535, Match.of(MaskedField(IN_PORT, 1, 0xFFFF_FFFF), UNSEEN), OURS)
CLASSIFY = FlowMod(FlowModCommand.ADD, PRIVATE, 1, Match(), OURS)
MANY = 12_000
"""News of so many flows are more than a socket takes, and 128 KiB beside: then a bridge pauses its monitors."""

Peers = Callable[[str], OpenFlowPeer]


@pytest.fixture
def watching(ovs: OvsInstance, peer: Peers) -> OpenFlowPeer:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure")
    connection = peer("br0")
    connection.modify(MARK, CLASSIFY)
    connection.send(lambda xid: openflow.flow_monitor_request(WATCHED, xid))
    assert told(connection) == []
    return connection


def news(connection: OpenFlowPeer) -> list[Message]:
    """Everything the bridge has sent by now that was not asked for."""
    found: list[Message] = []
    barrier = connection.send(openflow.barrier_request)
    while (message := connection.receive(lambda _: True)).xid != barrier:
        found.append(message)
    return found


def told(connection: OpenFlowPeer) -> list[RemovedFlow]:
    return [flow for message in news(connection) for flow in openflow.removed_flows(message)]


def test_whoever_clears_tables_is_told_of_with_the_cookies_of_what_is_gone(
    ovs: OvsInstance, watching: OpenFlowPeer
) -> None:
    ovs.ofctl("del-flows", "br0")
    assert set(told(watching)) == {RemovedFlow(MARK.key, OURS), RemovedFlow(CLASSIFY.key, OURS)}


def test_what_production_does_to_its_own_flows_is_not_told(ovs: OvsInstance, watching: OpenFlowPeer) -> None:
    ovs.ofctl("add-flow", "br0", "table=0,priority=7,tcp,actions=resubmit(,10)")
    ovs.ofctl("add-flow", "br0", "table=10,priority=7,tcp,actions=drop")
    ovs.ofctl("mod-flows", "br0", "table=0,tcp,actions=resubmit(,11)")
    ovs.ofctl("del-flows", "br0", "cookie=0/-1")
    assert news(watching) == []
    assert len(watching.flows()) == 2


def test_what_we_delete_ourselves_names_no_flow(watching: OpenFlowPeer) -> None:
    watching.modify(FlowMod(FlowModCommand.DELETE, 0xFF, 0, Match(), OURS, OUR_MASK))
    assert told(watching) == []
    assert watching.flows() == ()


def test_flows_whose_time_is_over_are_not_told(ovs: OvsInstance, watching: OpenFlowPeer) -> None:
    watching.modify(FlowMod(FlowModCommand.ADD, PRIVATE, 2, Match(), OURS, hard_timeout=10))
    ovs.appctl("time/stop")
    ovs.appctl("time/warp", "12000", "1000")
    assert len(watching.flows(PRIVATE)) == 1
    assert told(watching) == []


def test_no_other_connection_hears_of_it(ovs: OvsInstance, watching: OpenFlowPeer, peer: Peers) -> None:
    production = peer("br0")
    everything = 0xFFFF_FFFF
    production.send(lambda xid: openflow.set_async(xid, everything, everything, everything))
    assert news(production) == []
    ovs.ofctl("del-flows", "br0")
    assert len(told(watching)) == 2
    assert news(production) == []


def test_a_monitor_that_is_ended_says_nothing_more(ovs: OvsInstance, watching: OpenFlowPeer) -> None:
    watching.send(lambda xid: openflow.flow_monitor_cancel(1, xid))
    ovs.ofctl("del-flows", "br0")
    assert told(watching) == [RemovedFlow(CLASSIFY.key, OURS)]


def test_a_bridge_that_pauses_its_monitors_tells_what_is_gone_first_and_says_when_it_goes_on(
    ovs: OvsInstance, watching: OpenFlowPeer
) -> None:
    flows = (f"{OURS:#x},table={PRIVATE},priority=2,tcp,tp_dst={port},actions=drop" for port in range(MANY))
    ovs.ofctl("add-flows", "br0", "-", stdin="".join(f"cookie={flow}\n" for flow in flows))
    ovs.ofctl("del-flows", "br0", OUR_COOKIES)
    watching.receive(lambda message: openflow.monitors_paused(message) is False)
    found = news(watching)
    before = found[: [openflow.monitors_paused(message) for message in found].index(True)]
    assert sum(len(openflow.removed_flows(message)) for message in before) == MANY + 2
