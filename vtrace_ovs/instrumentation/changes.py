"""Turns what is installed on a bridge and what is wanted into the FlowMods and MeterMods between them."""

from collections.abc import Iterable
from dataclasses import dataclass

from vtrace_ovs.instrumentation.cookies import all_of_ours, all_outlets, all_sources, sources_of
from vtrace_ovs.instrumentation.plan import BridgePlan, on_the_bridge
from vtrace_ovs.instrumentation.relays import alike, coming, going, removal
from vtrace_ovs.model.flow import ALL_TABLES, FlowMod, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.model.match import Match


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """The steps between two plans of one bridge, in the order they may be sent, a barrier after each.

    With several bridges, send each step to all of them before the next, and wait for packets in flight before
    ``relays_delete`` and ``sinks_delete`` (trap T10). Sinks know what to take off; relays have packets leave with the
    next mark.
    """

    meters_set: tuple[MeterMod, ...] = ()
    sinks_add: tuple[FlowMod, ...] = ()
    relays_add: tuple[FlowMod, ...] = ()
    sources_add: tuple[FlowMod, ...] = ()
    sources_delete: tuple[FlowMod, ...] = ()
    relays_delete: tuple[FlowMod, ...] = ()
    sinks_delete: tuple[FlowMod, ...] = ()
    meters_delete: tuple[MeterMod, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return self == PlanChanges()


@dataclass(frozen=True, slots=True)
class Wipe:
    """Everything of ours off a bridge, whoever left it there: what puts marks on first, then the rest, known meters."""

    marking_delete: tuple[FlowMod, ...]
    sinks_delete: FlowMod
    meters_delete: tuple[MeterMod, ...]


def changes(installed: BridgePlan | None, wanted: BridgePlan | None) -> PlanChanges:
    """What to send so that a bridge with ``installed`` on it has ``wanted``; None means nothing of ours.

    A flow that is already there is not sent again, unless it would expire too early: all sinks are sent again when
    ``wanted`` needs them for longer.
    """
    old_sources, new_sources = (on_the_bridge(plan.sources) if plan else () for plan in (installed, wanted))
    old_meters, new_meters = _meters(installed), _meters(wanted)
    sinks_add, relays_add = coming(installed, wanted)
    relays_delete, sinks_delete = going(installed, wanted)
    return PlanChanges(
        meters_set=_meters_to_set(old_meters, new_meters),
        sinks_add=sinks_add,
        relays_add=relays_add,
        sources_add=_not_in(new_sources, old_sources),
        sources_delete=_deletes(old_sources, new_sources),
        relays_delete=relays_delete,
        sinks_delete=sinks_delete,
        meters_delete=tuple(
            MeterMod(MeterModCommand.DELETE, meter_id) for meter_id in old_meters if meter_id not in new_meters
        ),
    )


def wipe(meter_ids: Iterable[int] = ()) -> Wipe:
    """Remove all our flows by cookie, and the meters whose ids the intents remember (meters have no cookie)."""
    return Wipe(
        (_masked_delete(*all_sources()), _masked_delete(*all_outlets())),
        _masked_delete(*all_of_ours()),
        tuple(MeterMod(MeterModCommand.DELETE, meter_id) for meter_id in meter_ids),
    )


def disarm(slot: int) -> FlowMod:
    """End the coloring of one task, wherever on the bridge that is done."""
    return _masked_delete(*sources_of(slot))


def _meters(plan: BridgePlan | None) -> dict[int, MeterMod]:
    return {} if plan is None else {meter.meter_id: meter for meter in plan.meters}


def _meters_to_set(old: dict[int, MeterMod], new: dict[int, MeterMod]) -> tuple[MeterMod, ...]:
    added = [meter for meter_id, meter in new.items() if meter_id not in old]
    modified = [
        MeterMod(MeterModCommand.MODIFY, meter_id, meter.rate, meter.burst)
        for meter_id, meter in new.items()
        if meter_id in old and old[meter_id] != meter
    ]
    return (*added, *modified)


def _not_in(new: tuple[FlowMod, ...], old: tuple[FlowMod, ...]) -> tuple[FlowMod, ...]:
    there = {flow.key: flow for flow in old}
    return tuple(flow for flow in new if (before := there.get(flow.key)) is None or not alike(before, flow))


def _deletes(old: tuple[FlowMod, ...], new: tuple[FlowMod, ...]) -> tuple[FlowMod, ...]:
    kept = {flow.key for flow in new}
    return tuple(removal(flow) for flow in old if flow.key not in kept)


def _masked_delete(cookie: int, mask: int) -> FlowMod:
    return FlowMod(FlowModCommand.DELETE, ALL_TABLES, 0, Match(), cookie, mask)
