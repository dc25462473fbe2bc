"""Turns what is installed on a bridge and what is wanted into the FlowMods and MeterMods between them."""

from collections.abc import Iterable
from dataclasses import dataclass

from vtrace_ovs.instrumentation.cookies import PRODUCT_MASK, Cookie, CookieKind, all_of_ours, all_sources, sources_of
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import ALL_TABLES, FlowMod, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.model.match import Match


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """The steps between two plans of one bridge, in the order they may be sent, a barrier after each.

    With several bridges, send each step to all of them before the next, and wait for packets in flight between
    ``sources_delete`` and ``sinks_delete`` (trap T10).
    """

    meters_set: tuple[MeterMod, ...] = ()
    sinks_add: tuple[FlowMod, ...] = ()
    sources_add: tuple[FlowMod, ...] = ()
    sources_delete: tuple[FlowMod, ...] = ()
    sinks_delete: tuple[FlowMod, ...] = ()
    meters_delete: tuple[MeterMod, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return self == PlanChanges()


@dataclass(frozen=True, slots=True)
class Wipe:
    """Everything of ours off a bridge, whoever left it there: sources first, then the rest, then known meters."""

    sources_delete: FlowMod
    sinks_delete: FlowMod
    meters_delete: tuple[MeterMod, ...]


def changes(installed: BridgePlan | None, wanted: BridgePlan | None) -> PlanChanges:
    """What to send so that a bridge with ``installed`` on it has ``wanted``; None means nothing of ours.

    A flow that is already there is not sent again, unless it would expire too early: all sinks are sent again when
    ``wanted`` needs them for longer.

    Packets of other tasks are under way between any two FlowMods, and none may be taken for a task whose marks are not
    there yet, or no longer. So what marks packets as they leave comes before the other sinks, and goes after them.
    """
    prolonged = installed is not None and wanted is not None and wanted.sink_deadline > installed.sink_deadline
    old_sinks, new_sinks = _flows(installed, sinks=True), _flows(wanted, sinks=True)
    old_sources, new_sources = _flows(installed, sinks=False), _flows(wanted, sinks=False)
    old_meters, new_meters = _meters(installed), _meters(wanted)
    return PlanChanges(
        meters_set=_meters_to_set(old_meters, new_meters),
        sinks_add=_outlets_first(new_sinks if prolonged else _not_in(new_sinks, old_sinks)),
        sources_add=_not_in(new_sources, old_sources),
        sources_delete=_deletes(old_sources, new_sources),
        sinks_delete=_deletes(old_sinks, new_sinks),
        meters_delete=tuple(
            MeterMod(MeterModCommand.DELETE, meter_id) for meter_id in old_meters if meter_id not in new_meters
        ),
    )


def wipe(meter_ids: Iterable[int] = ()) -> Wipe:
    """Remove all our flows by cookie, and the meters whose ids the intents remember (meters have no cookie)."""
    return Wipe(
        _masked_delete(*all_sources()),
        _masked_delete(*all_of_ours()),
        tuple(MeterMod(MeterModCommand.DELETE, meter_id) for meter_id in meter_ids),
    )


def disarm(slot: int) -> FlowMod:
    """End the coloring of one task, wherever on the bridge that is done."""
    return _masked_delete(*sources_of(slot))


def on_the_bridge(flows: Iterable[FlowMod]) -> tuple[FlowMod, ...]:
    """What a bridge has once these are added: of several with one key, the last."""
    return tuple({flow.key: flow for flow in flows}.values())


def _flows(plan: BridgePlan | None, *, sinks: bool) -> tuple[FlowMod, ...]:
    if plan is None:
        return ()
    return on_the_bridge(plan.sinks if sinks else plan.sources)


def _outlets_first(sinks: Iterable[FlowMod]) -> tuple[FlowMod, ...]:
    return tuple(sorted(sinks, key=lambda mod: not _is_outlet(mod)))


def _is_outlet(mod: FlowMod) -> bool:
    cookie = Cookie.of(mod.cookie)
    return cookie is not None and cookie.kind in {CookieKind.LEAVE, CookieKind.TURN}


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
    there = {flow.key: (flow.cookie, flow.instructions) for flow in old}
    return tuple(flow for flow in new if there.get(flow.key) != (flow.cookie, flow.instructions))


def _deletes(old: tuple[FlowMod, ...], new: tuple[FlowMod, ...]) -> tuple[FlowMod, ...]:
    kept = {flow.key for flow in new}
    return tuple(
        FlowMod(FlowModCommand.DELETE_STRICT, flow.table_id, flow.priority, flow.match, flow.cookie, PRODUCT_MASK)
        for flow in old
        if flow.key not in kept
    )


def _masked_delete(cookie: int, mask: int) -> FlowMod:
    return FlowMod(FlowModCommand.DELETE, ALL_TABLES, 0, Match(), cookie, mask)
