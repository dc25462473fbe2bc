from vtrace_ovs.model.actions import (
    ApplyActions,
    ClearActions,
    GotoTable,
    Meter,
    Output,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.wording import actions_text
from vtrace_ovs.rendering.lines import plain_text
from vtrace_ovs.rendering.plans import (
    BridgePlan,
    flow_mod_text,
    instructions_text,
    meter_mod_text,
    plan_lines,
)

OUTPUT = (Output(7),)
ADD = FlowMod(FlowModCommand.ADD, 0, 100, Match(), 0x53, 0, (GotoTable(1),), 35)


def test_an_added_flow_shows_its_timeout_and_actions() -> None:
    assert flow_mod_text(ADD) == "add table=0, cookie=0x53, priority=100, hard_timeout=35, actions=goto_table:1"


def test_a_deletion_shows_the_mask_that_keeps_it_to_ours() -> None:
    mod = FlowMod(FlowModCommand.DELETE, 255, 0, Match(), 0x5300, 0xFF00)
    assert flow_mod_text(mod) == "delete table=255, cookie=0x5300, priority=0, cookie_mask=0xff00"


def test_meters_read_like_ovs_ofctl() -> None:
    assert meter_mod_text(MeterMod(MeterModCommand.ADD, 7, 1, 20)) == (
        "add meter=7 pktps bands=type=drop rate=1 burst_size=20"
    )
    assert meter_mod_text(MeterMod(MeterModCommand.DELETE, 7)) == "delete meter=7"


def test_every_instruction_has_a_text() -> None:
    instructions = (
        Meter(3),
        ApplyActions(OUTPUT),
        ClearActions(),
        WriteActions(OUTPUT),
        WriteMetadata(1, 0xF),
        UnknownInstruction("experimenter", b""),
        GotoTable(9),
    )
    output = actions_text(OUTPUT)
    assert instructions_text(instructions) == (
        f"meter:3,{output},clear_actions,write_actions({output}),write_metadata:0x1/0xf,experimenter,goto_table:9"
    )
    assert instructions_text(()) == "drop"


def test_a_plan_lists_every_change_bridge_by_bridge_and_sends_nothing() -> None:
    meter = MeterMod(MeterModCommand.ADD, 7, 1, 20)
    plans = [BridgePlan(BridgeId("server1", "br-int"), (meter,), (ADD,)), BridgePlan(BridgeId("server2", "br"), (), ())]
    assert plain_text(plan_lines(plans, 1000)).splitlines() == [
        "Would send 1 FlowMods and 1 MeterMods to 2 of 1,000 VFDs, those the traffic may come to; nothing was sent.",
        "",
        "server1/br-int",
        f"  {meter_mod_text(meter)}",
        f"  {flow_mod_text(ADD)}",
        "",
        "server2/br",
    ]
