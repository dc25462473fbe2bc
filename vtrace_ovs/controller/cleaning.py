"""Turns bridges that may carry something of ours into bridges that provably do not: by cookie, and known meters.

Used by ``vtrace clean``, before a controller starts over what a crash left, and after one that could not end its tasks.
Blocking: runs where no hub does.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from vtrace_ovs.controller.dialogue import Dialogue
from vtrace_ovs.controller.settings import ControllerSettings
from vtrace_ovs.errors import OpenFlowError
from vtrace_ovs.instrumentation.changes import wipe
from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.model.task import IntentKind
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket, Topology
from vtrace_ovs.session.boundary import TaskStore


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was found and removed on one bridge. ``problem`` says why it could not be cleaned, if so."""

    bridge: BridgeId
    flows: int = 0
    meters: int = 0
    problem: str | None = None


def clean_bridge(bridge: Bridge, meter_ids: Iterable[int], controller_id: int, timeout: float) -> Cleaned:
    """Remove everything of ours from one bridge and look again. Never raises: a dead bridge is a problem to report."""
    if not isinstance(bridge.attachment, ManagementSocket):
        return Cleaned(bridge.id, problem=f"{bridge.id} is remote; run `vtrace clean` on {bridge.id.node}")
    try:
        with contextlib.closing(Dialogue(bridge, bridge.attachment.path, controller_id, timeout)) as dialogue:
            return _clean(bridge, meter_ids, dialogue)
    except (OSError, OpenFlowError) as error:
        return Cleaned(bridge.id, problem=f"{bridge.id}: {error}")


def _clean(bridge: Bridge, meter_ids: Iterable[int], dialogue: Dialogue) -> Cleaned:
    before = dialogue.read()
    flows = sum(is_ours(flow.cookie) for flow in before.tables.flows)
    present = {meter.meter_id for meter in before.tables.meters}
    meters = tuple(meter_id for meter_id in meter_ids if meter_id in present)
    if not flows and not meters:
        return Cleaned(bridge.id)
    steps = wipe(meters)
    errors = dialogue.program((steps.sources_delete, steps.sinks_delete, *steps.meters_delete)).errors
    left = sum(is_ours(flow.cookie) for flow in dialogue.read().tables.flows)
    problem = f"{bridge.id}: {left} flows of ours are still there; {'; '.join(errors)}" if left or errors else None
    return Cleaned(bridge.id, flows - left, len(meters), problem)


def clean_all(topology: Topology, store: TaskStore, settings: ControllerSettings, at: float) -> tuple[Cleaned, ...]:
    """Every VFD of an inventory, with the meters that open intents remember; closes the intents of clean bridges."""
    intents = store.open_intents()
    meters: dict[str, set[int]] = {}
    for intent in intents:
        if intent.kind is IntentKind.METER:
            meters.setdefault(intent.target, set()).update(int(number) for number in intent.detail.split(","))
    cleaned = tuple(
        clean_bridge(bridge, sorted(meters.get(str(bridge.id), ())), settings.controller_id, settings.bridge_timeout)
        for bridge in topology.vfds()
    )
    clean = {str(outcome.bridge) for outcome in cleaned if outcome.problem is None}
    store.intents_undone([intent.id for intent in intents if intent.target in clean], at)
    return cleaned
