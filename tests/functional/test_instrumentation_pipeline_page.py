"""docs/pipeline.md shows what a real Open vSwitch shows."""

from collections.abc import Callable
from functools import partial

from openflow_peer import OpenFlowPeer
from pipeline_page import line, page, plan, production, underlay, watched

from vtrace_ovs.codecs import openflow
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import Flow, FlowMod, FlowModCommand


def bridge_with(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer], name: str, flows: tuple[Flow, ...]
) -> OpenFlowPeer:
    """A bridge with these flows, and a connection to it."""
    ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure")
    connection = peer(name)
    for flow in flows:
        added = FlowMod(FlowModCommand.ADD, flow.table_id, flow.priority, flow.match, 0, instructions=flow.instructions)
        connection.modify(added)
    return connection


def test_the_page_shows_what_ovs_shows(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    connection = bridge_with(ovs, peer, "br0", production())
    planned = plan(connection.flows())
    for meter in planned.meters:
        connection.send(partial(openflow.meter_mod, meter))
    connection.modify(*planned.sinks, *planned.sources)
    shown = {text.strip() for text in ovs.ofctl("--no-stats", "dump-flows", "br0").splitlines()}
    assert {line(mod) for mod in (*planned.sinks, *planned.sources)} <= shown
    assert {line(flow) for flow in production()} <= shown
    below = bridge_with(ovs, peer, "br1", underlay())
    twins = watched(below.flows())
    below.send(partial(openflow.meter_mod, twins.meter))
    below.modify(*twins.flows)
    shown |= {text.strip() for text in ovs.ofctl("--no-stats", "dump-flows", "br1").splitlines()}
    assert {line(mod) for mod in twins.flows} <= shown
    documented = {text for text in page().splitlines() if "actions=" in text}
    assert documented <= shown
