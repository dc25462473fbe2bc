"""Records what instrumentation says to a bridge that OVN programmed: every register is used."""

from ipaddress import IPv4Network

import pytest
from ovn_judge import OvnBridge
from vfd_chain import NOW, SETTINGS

from vtrace_ovs.instrumentation.clones import HIGHEST
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, PrivateTables, Scene, SourcePorts
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.spare import spare_field, spare_tables
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.lab.ovn import OvnLab
from vtrace_ovs.lab.ovn_network import CHASSIS, GATEWAY, VMS
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.oxm import PKT_MARK
from vtrace_ovs.ovsdb.inventory import read_inventory

pytest_plugins = ("ovn_fixtures",)


def plan(ovn: OvnLab, bridges: dict[str, OvnBridge], chassis: str) -> BridgePlan:
    topology = read_inventory([each.ovs.ovsdb for each in ovn.chassis.values()], 5.0).topology
    tables = bridges[chassis].view.tables
    bridge = next(each for each in topology.bridges if each.dpid == tables.dpid)
    source = next(vm for vm in VMS if vm.chassis == chassis)
    ports = frozenset({bridges[chassis].port(source.name)})
    wanted = Filter(f"tcp,nw_src={source.address}", protocol=6, source=IPv4Network(source.address))
    task = ArmedTask(3, wanted, (SourcePorts(bridge.id, ports),), 5, NOW + 30)
    scene = Scene(topology, frozenset(each.id for each in topology.vfds()), MarkPlan.of())
    return plan_bridge(bridge, tables, (task,), scene, settings=SETTINGS, now=NOW)


@pytest.mark.parametrize("chassis", CHASSIS)
def test_on_ovn_only_the_packet_mark_is_free_to_hold_trace_state(bridges: dict[str, OvnBridge], chassis: str) -> None:
    tables = bridges[chassis].view.tables
    assert spare_field(tables.flows, tables.groups) == StateField(PKT_MARK)
    assert spare_tables(tables.flows, tables.groups) == PrivateTables(253, 252, 251)


@pytest.mark.parametrize("chassis", CHASSIS)
def test_every_chassis_is_planned_although_some_flows_cannot_be_topped(
    ovn: OvnLab, bridges: dict[str, OvnBridge], chassis: str
) -> None:
    tables = bridges[chassis].view.tables
    made = plan(ovn, bridges, chassis)
    assert made.state == StateField(PKT_MARK)
    assert made.unlogged == ()
    assert 0 < len(made.sinks) < 2 * len(tables.flows)
    assert any(flow.priority == HIGHEST for flow in tables.flows) is (chassis == GATEWAY)
