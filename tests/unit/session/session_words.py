"""Turns commands into a few words each, so that a transcript reads like one."""

from typing import assert_never

from vtrace_ovs.instrumentation.cookies import Cookie
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.session.commands import (
    Command,
    Connect,
    EraseIntents,
    HangUp,
    NameFlows,
    ObserveServers,
    Program,
    ReadBridge,
    ReadCounters,
    ReadDatapaths,
    ReportFault,
    SaveCounts,
    SaveRecords,
    SaveResult,
    SaveSamples,
    SaveSnapshot,
    SaveTaskState,
    SaveTrajectories,
    SearchUnderlay,
    WatchFlows,
    WriteIntents,
)


def is_source(mod: FlowMod) -> bool:
    cookie = Cookie.of(mod.cookie)
    return cookie is not None and cookie.kind.name in {"COLOR", "UNCOLORED"}


def is_relay(mod: FlowMod) -> bool:
    cookie = Cookie.of(mod.cookie)
    return cookie is not None and cookie.kind.name in {"CLASSIFY", "LEAVE"}


def is_removal(mod: FlowMod | MeterMod) -> bool:
    return mod.command in (FlowModCommand.DELETE, FlowModCommand.DELETE_STRICT, MeterModCommand.DELETE)


def words(command: Command) -> str:
    match command:
        case Connect() | HangUp() | ReadBridge() | WatchFlows():
            return _contact(command)
        case WriteIntents(_, intents):
            tasks = sorted({draft.task_id for draft in intents})
            return f"intents of {','.join(map(str, tasks))}"
        case EraseIntents(bridge, task_ids):
            return f"erase {bridge} {','.join(map(str, task_ids))}"
        case Program(bridge, _, mods):
            return f"{bridge} {' '.join(dict.fromkeys(_sort(mod) for mod in mods))}"
        case ObserveServers(task_id, moment, bridges):
            return f"observe {task_id} {moment.value} {','.join(bridge.id.node for bridge in bridges)}"
        case SaveTaskState(task_id, state):
            return f"task {task_id} {state.value}"
        case SaveSnapshot(task_id, bridge):
            return f"snapshot {task_id} {bridge}"
        case SaveRecords(records):
            return f"records {len(records)}"
        case SaveSamples() | SaveCounts() | NameFlows() | ReadCounters() | SearchUnderlay() | ReadDatapaths():
            return type(command).__name__.removeprefix("Save").lower()
        case SaveTrajectories(task_id):
            return f"trajectories {task_id}"
        case ReportFault(task_id, error):
            return f"fault {task_id} {type(error).__name__}"
        case SaveResult(result, final):
            return f"{'final' if final else 'interim'} {result.task_id} {result.verdict.disposition.value}"
        case _:
            assert_never(command)


def _contact(command: Connect | HangUp | ReadBridge | WatchFlows) -> str:
    match command:
        case Connect(bridges):
            return f"connect {','.join(map(str, bridges))}"
        case HangUp(bridges):
            return f"hang up on {','.join(map(str, bridges))}"
        case ReadBridge(bridge):
            return f"read {bridge}"
        case WatchFlows(bridge, watches):
            return f"{'watch' if watches else 'unwatch'} {bridge}"
        case _:
            assert_never(command)


def _sort(mod: FlowMod | MeterMod) -> str:
    sign = "-" if is_removal(mod) else "+"
    if isinstance(mod, MeterMod):
        return f"{sign}meters"
    if mod.command is FlowModCommand.DELETE:
        return "-all"
    if is_relay(mod):
        return f"{sign}relays"
    return f"{sign}sources" if is_source(mod) else f"{sign}sinks"
