from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from vtrace_ovs.instrumentation.changes import changes
from vtrace_ovs.instrumentation.outlets import outlet_flows
from vtrace_ovs.instrumentation.plan import ArmedTask, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.sharing import may_be_mistaken, may_share, travels_as
from vtrace_ovs.instrumentation.site import Lifetimes, Site
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.topology import Bridge


@pytest.fixture
def wider(task: ArmedTask) -> ArmedTask:
    """All traffic from the task's network."""
    return replace(task, slot=6, filter=Filter("all of it", source=IPv4Network("10.0.0.0/8")))


def test_a_packet_is_shared_if_both_filters_match_it_and_a_tenant_may_have_sent_it_to_both(
    task: ArmedTask, wider: ArmedTask
) -> None:
    beside = replace(wider, filter=Filter("udp", protocol=17))
    elsewhere = replace(wider, vnis=frozenset({7001}))
    anywhere = replace(wider, vnis=None)
    assert [may_share(task, other) for other in (wider, beside, elsewhere, anywhere)] == [True, False, False, True]
    assert [may_be_mistaken(task, other) for other in (wider, beside, elsewhere, anywhere)] == [
        False,
        False,
        True,
        False,
    ]


def test_an_alias_is_shared_too(task: ArmedTask, wider: ArmedTask) -> None:
    udp = replace(wider, filter=Filter("udp", protocol=17))
    assert not may_share(task, udp)
    assert may_share(task, replace(udp, aliases=(Filter("tcp", protocol=6),)))


def test_packets_leave_marked_under_the_name_of_a_task_that_knows_fewer_vnis(
    site: Site, task: ArmedTask, wider: ArmedTask
) -> None:
    wider = replace(wider, vnis=None)
    both = replace(site, tasks=(task, wider), lifetimes=Lifetimes(40, 35, {5: 30, 6: 30}))
    assert [name.slot for name in travels_as(both, wider)] == [6, 5]
    assert [name.slot for name in travels_as(both, task)] == [5]
    leaving = [mod for mod in outlet_flows(both) if mod.table_id == site.tables.leave and mod.cookie & 0xFFFF == 6]
    names = {mod.match.get(site.state.field) for mod in leaving}
    assert names == {site.state.of_task(5), site.state.of_task(6)}


def test_one_of_two_equal_tasks_ends_and_the_other_colors_on(
    bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask
) -> None:
    tables = BridgeTables(1, 0.0, ())
    twin = replace(task, slot=6)
    both = plan_bridge(bridge, tables, (task, twin), scene, settings=settings, now=0.0)
    armed = changes(None, both)
    assert len({mod.key for mod in armed.sources_add}) == len(armed.sources_add) == len(both.sources) / 2
    assert changes(both, both).empty
    for left in (5, 6):
        rest = replace(both, sources=tuple(mod for mod in both.sources if mod.cookie & 0xFFFF == left))
        steps = changes(both, rest)
        assert not steps.sources_delete
        there = {mod.key: mod.cookie for mod in (*armed.sources_add, *steps.sources_add)}
        assert {cookie & 0xFFFF for cookie in there.values()} == {left}
