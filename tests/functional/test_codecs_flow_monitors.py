"""A flow monitor of our own connection on a real ovs-vswitchd: what is told, to whom, and what is not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from openflow_peer import OpenFlowPeer

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.openflow import Message
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import ALL_TABLES, ChangedFlow, FlowChange, FlowMod, FlowModCommand, Watch
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import ETH_TYPE, IN_PORT, IP_PROTO, field

OURS, OUR_MASK = 0x5654_0101_0000_0000, 0xFFFF << 48
OUR_COOKIES = "cookie=0x5654000000000000/0xffff000000000000"
PRIVATE = 253
STATE = StateField(field("reg15"))
UNSEEN = STATE.unseen()
MODIFIED = frozenset({FlowChange.MODIFIED})
WATCHED = {
    1: Watch(0, Match.of(UNSEEN)),
    2: Watch(PRIVATE),
    3: Watch(ALL_TABLES, Match.of(STATE.traced()), MODIFIED),
}
TCP = (MaskedField(ETH_TYPE, 0x0800, 0xFFFF), MaskedField(IP_PROTO, 6, 0xFF))
MARK = FlowMod(FlowModCommand.ADD, 0, 65535, Match.of(MaskedField(IN_PORT, 1, 0xFFFF_FFFF), UNSEEN), OURS)
CLASSIFY = FlowMod(FlowModCommand.ADD, PRIVATE, 1, Match(), OURS)
CLONE = FlowMod(FlowModCommand.ADD, 10, 8, Match.of(*TCP, STATE.traced()), OURS)
MANY = 12_000
"""News of so many flows are more than a socket takes, and 128 KiB beside: then a bridge pauses its monitors."""

Peers = Callable[[str], OpenFlowPeer]


@pytest.fixture
def watching(ovs: OvsInstance, peer: Peers) -> OpenFlowPeer:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure")
    connection = peer("br0")
    connection.modify(MARK, CLASSIFY, CLONE)
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


def told(connection: OpenFlowPeer) -> list[ChangedFlow]:
    return [flow for message in news(connection) for flow in openflow.changed_flows(message)]


def test_whoever_clears_tables_is_told_of_with_the_cookies_of_what_is_gone(
    ovs: OvsInstance, watching: OpenFlowPeer
) -> None:
    ovs.ofctl("del-flows", "br0")
    assert set(told(watching)) == {
        ChangedFlow(FlowChange.REMOVED, MARK.key, OURS),
        ChangedFlow(FlowChange.REMOVED, CLASSIFY.key, OURS),
    }


def test_what_production_does_to_its_own_flows_is_not_told(ovs: OvsInstance, watching: OpenFlowPeer) -> None:
    ovs.ofctl("add-flow", "br0", "table=0,priority=7,tcp,actions=resubmit(,10)")
    ovs.ofctl("add-flow", "br0", "table=10,priority=7,tcp,actions=drop")
    ovs.ofctl("mod-flows", "br0", "table=0,tcp,actions=resubmit(,11)")
    ovs.ofctl("del-flows", "br0", "cookie=0/-1")
    assert news(watching) == []
    assert len(watching.flows()) == 3


@pytest.mark.parametrize("theirs", ["cookie=0x22,", ""], ids=["another cookie", "no cookie"])
def test_a_flow_put_in_the_place_of_ours_is_told_with_the_cookie_that_is_there_now(
    ovs: OvsInstance, watching: OpenFlowPeer, theirs: str
) -> None:
    ovs.ofctl("add-flow", "br0", f"{theirs}table=0,priority=65535,reg15=0/0x1,in_port=1,actions=drop")
    assert told(watching) == [ChangedFlow(FlowChange.ADDED, MARK.key, 0x22 if theirs else 0)]


def test_whoever_modifies_flows_by_their_match_gives_our_clones_other_actions_and_is_told_of(
    ovs: OvsInstance, watching: OpenFlowPeer
) -> None:
    ovs.ofctl("add-flow", "br0", "cookie=7,table=10,priority=7,tcp,actions=drop")
    ovs.ofctl("mod-flows", "br0", "table=10,tcp,actions=output:1")
    assert told(watching) == [ChangedFlow(FlowChange.MODIFIED, CLONE.key, OURS)]
    ovs.ofctl("mod-flows", "br0", "table=10,tcp,actions=output:1")
    assert told(watching) == [], "it has these actions already"
    ovs.ofctl("--strict", "mod-flows", "br0", "table=10,priority=7,tcp,actions=output:2")
    assert told(watching) == [], "production changed its own flow only"


def test_whoever_has_a_bridge_hold_other_flows_and_no_others_is_told_of(
    ovs: OvsInstance, watching: OpenFlowPeer
) -> None:
    kept = "cookie=0x22,table=0,priority=65535,reg15=0/0x1,in_port=1,actions=drop\n"
    ovs.ofctl("replace-flows", "br0", "-", stdin=kept)
    assert set(told(watching)) == {
        ChangedFlow(FlowChange.ADDED, MARK.key, 0x22),
        ChangedFlow(FlowChange.REMOVED, CLASSIFY.key, OURS),
    }


def test_what_we_put_in_anew_or_delete_ourselves_names_no_flow(watching: OpenFlowPeer) -> None:
    watching.modify(replace(MARK, hard_timeout=30), CLONE)
    assert told(watching) == []
    watching.modify(FlowMod(FlowModCommand.DELETE, 0xFF, 0, Match(), OURS, OUR_MASK))
    assert told(watching) == []
    assert watching.flows() == ()


def test_flows_whose_time_is_over_are_not_told(ovs: OvsInstance, watching: OpenFlowPeer) -> None:
    watching.modify(FlowMod(FlowModCommand.ADD, PRIVATE, 2, Match(), OURS, hard_timeout=10))
    news(watching)
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
    assert told(watching) == [ChangedFlow(FlowChange.REMOVED, CLASSIFY.key, OURS)]


def test_a_bridge_that_pauses_its_monitors_tells_what_is_gone_first_and_says_when_it_goes_on(
    ovs: OvsInstance, watching: OpenFlowPeer
) -> None:
    flows = (f"{OURS:#x},table={PRIVATE},priority=2,tcp,tp_dst={port},actions=drop" for port in range(MANY))
    watching.send(lambda xid: openflow.flow_monitor_cancel(2, xid))
    ovs.ofctl("add-flows", "br0", "-", stdin="".join(f"cookie={flow}\n" for flow in flows))
    watching.send(lambda xid: openflow.flow_monitor_request({2: WATCHED[2]}, xid))
    ovs.ofctl("del-flows", "br0", OUR_COOKIES)
    watching.receive(lambda message: openflow.monitors_paused(message) is False)
    found = news(watching)
    before = found[: [openflow.monitors_paused(message) for message in found].index(True)]
    assert sum(len(openflow.changed_flows(message)) for message in before) == MANY + 2
