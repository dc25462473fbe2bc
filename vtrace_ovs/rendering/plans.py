"""Turns the FlowMods and MeterMods a task would send into the lines of ``--dry-run``, in dump-flows syntax."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from vtrace_ovs.model.actions import (
    ApplyActions,
    ClearActions,
    GotoTable,
    Instruction,
    Meter,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.wording import actions_text, flow_text
from vtrace_ovs.rendering.lines import Line, Span, Style, line

_DELETIONS = frozenset({FlowModCommand.DELETE, FlowModCommand.DELETE_STRICT})


@dataclass(frozen=True, slots=True)
class BridgePlan:
    """What one bridge would be sent, in order: meters first, then flows."""

    bridge: BridgeId
    meter_mods: tuple[MeterMod, ...]
    flow_mods: tuple[FlowMod, ...]


def plan_lines(plans: Sequence[BridgePlan], vfds: int) -> Iterator[Line]:
    """Every change a task would make, bridge by bridge, and first their number, and on how many of all VFDs."""
    flows = sum(len(plan.flow_mods) for plan in plans)
    meters = sum(len(plan.meter_mods) for plan in plans)
    yield line(
        Span(
            f"Would send {flows:,} FlowMods and {meters} MeterMods to {len(plans):,} of {vfds:,} VFDs, "
            "those the traffic may come to; nothing was sent.",
            Style.STRONG,
        )
    )
    for plan in plans:
        yield Line()
        yield line(Span(str(plan.bridge), Style.STRONG))
        for meter_mod in plan.meter_mods:
            yield line("  ", meter_mod_text(meter_mod))
        for flow_mod in plan.flow_mods:
            yield line("  ", flow_mod_text(flow_mod))


def flow_mod_text(mod: FlowMod) -> str:
    """``add table=0, cookie=0x…, priority=…,in_port=3, hard_timeout=35, actions=…``."""
    flow = flow_text(mod.key, mod.cookie)
    command = mod.command.name.lower()
    if mod.command in _DELETIONS:
        return f"{command} {flow}, cookie_mask={mod.cookie_mask:#x}"
    timeout = f", hard_timeout={mod.hard_timeout}" if mod.hard_timeout else ""
    return f"{command} {flow}{timeout}, actions={instructions_text(mod.instructions)}"


def meter_mod_text(mod: MeterMod) -> str:
    """``add meter=7 pktps bands=type=drop rate=1 burst_size=20``."""
    if mod.command is MeterModCommand.DELETE:
        return f"delete meter={mod.meter_id}"
    return (
        f"{mod.command.name.lower()} meter={mod.meter_id} pktps bands=type=drop rate={mod.rate} burst_size={mod.burst}"
    )


def instructions_text(instructions: Sequence[Instruction]) -> str:
    """Instructions as ovs-ofctl prints them after ``actions=``; ``drop`` when there are none."""
    return ",".join(_instruction_text(instruction) for instruction in instructions) or "drop"


def _instruction_text(instruction: Instruction) -> str:
    match instruction:
        case ApplyActions():
            return actions_text(instruction.actions)
        case WriteActions():
            return f"write_actions({actions_text(instruction.actions)})"
        case ClearActions():
            return "clear_actions"
        case GotoTable():
            return f"goto_table:{instruction.table_id}"
        case WriteMetadata():
            return f"write_metadata:{instruction.value:#x}/{instruction.mask:#x}"
        case Meter():
            return f"meter:{instruction.meter_id}"
        case UnknownInstruction():
            return instruction.name
        case _:
            assert_never(instruction)
