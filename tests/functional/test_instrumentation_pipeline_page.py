"""docs/pipeline.md shows what a real Open vSwitch shows."""

from collections.abc import Callable
from functools import partial

from openflow_peer import OpenFlowPeer
from pipeline_page import line, page, plan, production

from vtrace_ovs.codecs import openflow
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import FlowMod, FlowModCommand


def test_the_page_shows_what_ovs_shows(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure")
    connection = peer("br0")
    for flow in production():
        added = FlowMod(FlowModCommand.ADD, flow.table_id, flow.priority, flow.match, 0, instructions=flow.instructions)
        connection.modify(added)
    planned = plan(connection.flows())
    for meter in planned.meters:
        connection.send(partial(openflow.meter_mod, meter))
    connection.modify(*planned.sinks, *planned.sources)
    shown = {text.strip() for text in ovs.ofctl("--no-stats", "dump-flows", "br0").splitlines()}
    assert {line(mod) for mod in (*planned.sinks, *planned.sources)} <= shown
    assert {line(flow) for flow in production()} <= shown
    documented = {text for text in page().splitlines() if "actions=" in text}
    assert documented <= shown
