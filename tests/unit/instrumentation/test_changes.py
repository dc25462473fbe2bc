from dataclasses import replace

from vtrace_ovs.instrumentation.changes import PlanChanges, changes, wipe
from vtrace_ovs.instrumentation.cookies import PRODUCT_MASK, CookieKind, kind_of
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.model.actions import ApplyActions, Output
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import Bridge

OTHER = Flow(0, 2, Match(), (ApplyActions((Output(2),)),))


def test_from_nothing_everything_is_added_and_to_nothing_everything_goes(installed: BridgePlan) -> None:
    arm, disarm = changes(None, installed), changes(installed, None)
    assert (arm.meters_set, arm.sources_add) == (installed.meters, installed.sources)
    assert set(arm.sinks_add) | set(arm.relays_add) == set(installed.sinks)
    assert len(arm.sinks_add) + len(arm.relays_add) == len(installed.sinks)
    gone = (*disarm.relays_delete, *disarm.sinks_delete)
    assert {mod.key for mod in gone} == {mod.key for mod in installed.sinks}
    assert len(gone) == len(installed.sinks)
    assert [mod.key for mod in disarm.sources_delete] == [mod.key for mod in installed.sources]
    assert [mod.meter_id for mod in disarm.meters_delete] == [mod.meter_id for mod in installed.meters]
    for mod in (*gone, *disarm.sources_delete):
        assert mod.command is FlowModCommand.DELETE_STRICT
        assert mod.cookie_mask == PRODUCT_MASK
    assert not (*arm.sinks_delete, *arm.relays_delete, *disarm.sinks_add, *disarm.relays_add)


def test_between_equal_plans_there_is_nothing_to_do(installed: BridgePlan) -> None:
    assert changes(installed, installed).empty
    assert changes(None, None) == PlanChanges()


def test_only_what_differs_is_sent(
    installed: BridgePlan, bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask
) -> None:
    tables = BridgeTables(1, 0.0, (OTHER,))
    wanted = plan_bridge(bridge, tables, (task,), scene, settings=settings, now=7.0, installed=installed)
    steps = changes(installed, wanted)
    assert [(mod.table_id, mod.priority) for mod in steps.sinks_add] == [(0, 3)]
    assert [(mod.table_id, mod.priority) for mod in steps.sinks_delete] == [(0, 2)]
    assert [steps.sources_add, steps.sources_delete, steps.meters_set, steps.meters_delete] == [()] * 4


def test_sinks_needed_for_longer_are_sent_again_and_meters_grow(
    installed: BridgePlan, bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, tables: BridgeTables
) -> None:
    later = replace(task, slot=6, deadline=500.0, filter=replace(task.filter, destination_port=80))
    wanted = plan_bridge(bridge, tables, (task, later), scene, settings=settings, now=7.0, installed=installed)
    steps = changes(installed, wanted)
    assert set(steps.sinks_add) | set(steps.relays_add) == set(wanted.sinks)
    assert {kind_of(mod.cookie) for mod in steps.relays_add} == {CookieKind.LEAVE, CookieKind.CLASSIFY}
    assert {mod.cookie & 0xFFFF for mod in steps.sources_add} == {6}
    assert [(mod.command, mod.meter_id) for mod in steps.meters_set] == [(MeterModCommand.MODIFY, 1)]


def test_a_wipe_selects_by_cookie_and_takes_what_gives_marks_first() -> None:
    wiped = wipe((7, 8))
    for mod in (*wiped.marking_delete, wiped.sinks_delete):
        assert (mod.command, mod.table_id) == (FlowModCommand.DELETE, 0xFF)
        assert mod.cookie_mask & PRODUCT_MASK == PRODUCT_MASK
    assert all(mod.cookie_mask > wiped.sinks_delete.cookie_mask for mod in wiped.marking_delete)
    assert wiped.meters_delete == (MeterMod(MeterModCommand.DELETE, 7), MeterMod(MeterModCommand.DELETE, 8))
