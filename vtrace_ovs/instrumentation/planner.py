"""Turns one bridge's stored tables and the armed tasks into the plan of that bridge."""

from collections.abc import Iterable
from itertools import chain, combinations, product
from math import ceil

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.clones import Clones, clones
from vtrace_ovs.instrumentation.cookies import CookieKind, is_ours, kind_of
from vtrace_ovs.instrumentation.destinations import tunnel_destinations
from vtrace_ovs.instrumentation.entrance import BELOW_TOP, ENTRY_TABLE, TOP, entrance
from vtrace_ovs.instrumentation.fragments import task_matches
from vtrace_ovs.instrumentation.inlets import (
    enter_flows,
    inlet_flows,
    inlet_ports,
    listening_flows,
    source_flows,
    tally_flows,
)
from vtrace_ovs.instrumentation.outlets import outlet_flows, told_apart
from vtrace_ovs.instrumentation.plan import (
    ArmedTask,
    BridgePlan,
    Gate,
    PrivateMeters,
    PrivateTables,
    ProbeKind,
    Scene,
    Settings,
)
from vtrace_ovs.instrumentation.probes import ProbeBook
from vtrace_ovs.instrumentation.reach import Reach, all_rewrites, reach, rewrites
from vtrace_ovs.instrumentation.sharing import may_be_mistaken
from vtrace_ovs.instrumentation.site import NOWHERE, Lifetimes, Site
from vtrace_ovs.instrumentation.spare import spare_field, spare_meters, spare_tables
from vtrace_ovs.instrumentation.splice import Splicer
from vtrace_ovs.instrumentation.walk import nested
from vtrace_ovs.model.actions import Action, Resubmit
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowMod, GroupEntry, MeterMod, MeterModCommand
from vtrace_ovs.model.oxm import IP_DSCP, IPV6_LABEL
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.topology import Bridge
from vtrace_ovs.model.wording import flow_text

LONGEST_TIMEOUT = 65535
UNLIMITED = 0xFFFFFFFF


def plan_bridge(  # noqa: PLR0913  a plan depends on all of these and nothing else
    bridge: Bridge,
    tables: BridgeTables,
    tasks: tuple[ArmedTask, ...],
    scene: Scene,
    *,
    settings: Settings,
    now: float,
    installed: BridgePlan | None = None,
) -> BridgePlan:
    """Everything to have on this bridge while ``tasks`` (at least one) are armed.

    ``tables`` may contain our own flows; they are ignored. ``installed`` is the plan the bridge has now: its state
    field, tables and meters are kept where possible. ``now`` is Unix seconds. Raises RefusedError when tenants would
    notice, or tasks could not be told apart; the message names the flow in the way.
    """
    counting = scene.marks.colors > 1
    production = tuple(flow for flow in tables.flows if not is_ours(flow.cookie))
    needed = 2 * len(Gate) if counting else 2
    meters = spare_meters(tables.meters, None if installed is None else installed.meter_ids, needed)
    privates = spare_tables(production, tables.groups, None if installed is None else installed.tables)
    state = spare_field(production, tables.groups, None if installed is None else installed.state)
    groups = {group.group_id: group for group in tables.groups}
    reached = reach(production, groups, (match for task in tasks for match in task_matches(task)))
    site = Site(
        bridge=bridge,
        tasks=tasks,
        scene=scene,
        settings=settings,
        state=state,
        tables=privates,
        book=ProbeBook(settings, meters, _ends(privates) if counting else None),
        lifetimes=_lifetimes(tasks, settings, now),
        entrance=entrance(production, state),
        destinations=tunnel_destinations(reached, groups),
    )
    _refuse_twins(site)
    _refuse_dscp_writers(reached, groups)
    if IpFamily.IPV6 in site.families:
        _refuse_label_writers(reached)
    cloned = clones(site, Splicer.of(site, groups), reached)
    _refuse_leaks(site, cloned)
    arriving = (*enter_flows(site), *inlet_flows(site), *tally_flows(site), *listening_flows(site))
    sinks = (*arriving, *cloned.flows, *outlet_flows(site))
    sources = tuple(source_flows(site))
    _refuse_too_high(production, (*sinks, *sources))
    total, last = len(sinks) + len(sources), max(task.deadline for task in tasks)
    if total > settings.max_flows:
        raise RefusedError(f"{bridge.id} would need {total} flows, more than {settings.max_flows}; narrow the filter")
    return BridgePlan(
        bridge=bridge.id,
        dpid=tables.dpid,
        state=site.state,
        tables=site.tables,
        meter_ids=meters,
        meters=_counting_meters(meters) if counting else _meters(site, meters),
        sinks=sinks,
        sources=sources,
        recolored=tuple(source_flows(site, 1)) if counting else (),
        probes=site.book.all(),
        unlogged=cloned.unlogged,
        sink_deadline=last + settings.sink_margin,
        outlet_deadline=last + settings.outlet_margin,
    )


def _ends(tables: PrivateTables) -> dict[ProbeKind, Action]:
    """Where packets are counted that end for this VFD: by an output nobody knows, or by none."""
    out, none = Resubmit(NOWHERE, tables.leave), Resubmit(NOWHERE, tables.turn)
    return {ProbeKind.OUT: out, ProbeKind.ERROR: none, ProbeKind.MISS: none}


def _lifetimes(tasks: tuple[ArmedTask, ...], settings: Settings, now: float) -> Lifetimes:
    last = max(task.deadline for task in tasks)
    return Lifetimes(
        _timeout(last + settings.sink_margin - now),
        _timeout(last + settings.outlet_margin - now),
        {task.slot: _timeout(_lasts(task, settings, now)) for task in tasks},
    )


def _lasts(task: ArmedTask, settings: Settings, now: float) -> float:
    left = task.deadline + settings.source_margin - now
    return left if task.lease is None else min(left, task.lease)


def _timeout(seconds: float) -> int:
    return min(max(ceil(seconds), 1), LONGEST_TIMEOUT)


def _meters(site: Site, meters: PrivateMeters) -> tuple[MeterMod, ...]:
    """Of the tasks that share a meter, the one that needs most of it here says how much there is."""
    settings = site.settings
    copies = sum(task.packet_count for task in site.tasks) * settings.copies_per_packet + settings.spare_copies
    share = max(task.share(site.bridge.id) for task in site.tasks)
    burst = min(copies, max(ceil(settings.most_burst * share), settings.spare_copies))
    return (
        MeterMod(MeterModCommand.ADD, meters.traced, settings.log_rate, burst),
        MeterMod(MeterModCommand.ADD, meters.apart, settings.apart_rate, settings.apart_burst),
    )


def _counting_meters(meters: PrivateMeters) -> tuple[MeterMod, ...]:
    """Meters that let everything pass: Open vSwitch takes none without a band, and no traffic is as fast as this."""
    ids = (meters.counting(gate, color) for gate, color in product(Gate, (0, 1)))
    return tuple(MeterMod(MeterModCommand.ADD, meter_id, UNLIMITED, UNLIMITED) for meter_id in ids)


def _refuse_twins(site: Site) -> None:
    """Tasks of two tenants with a five-tuple in common must differ in VNI wherever marked packets arrive."""
    inlets = inlet_ports(site)
    for one, other in combinations(site.tasks, 2):
        if may_be_mistaken(one, other) and not all(told_apart(port, one, other) for port in inlets):
            raise RefusedError(
                f"packets of {one.filter.text} and {other.filter.text} are of different tenants and cannot be told "
                f"apart on {site.bridge.id}; wait until one task ends"
            )


def _refuse_dscp_writers(reached: Reach, groups: dict[int, GroupEntry]) -> None:
    for flows in reached.flows.values():
        for flow in flows:
            if IP_DSCP in all_rewrites(flow.instructions):
                raise RefusedError(
                    f"a production flow writes the DSCP of traced packets: {flow_text(flow.key, flow.cookie)}; "
                    "traces through it are not supported"
                )
    for group in groups.values():
        if any(IP_DSCP in rewrites(action) for bucket in group.buckets for action in nested(bucket.actions)):
            raise RefusedError(f"group {group.group_id} writes the DSCP; traces on this bridge are not supported")


def _refuse_label_writers(reached: Reach) -> None:
    """The flow label stands in for the IP ID that IPv6 packets lack: rewritten, a packet would not be known again."""
    for flow in chain.from_iterable(reached.flows.values()):
        if IPV6_LABEL in all_rewrites(flow.instructions):
            raise RefusedError(
                f"a production flow writes the flow label of traced packets: {flow_text(flow.key, flow.cookie)}; "
                "IPv6 traces through it are not supported"
            )


def _refuse_leaks(site: Site, cloned: Clones) -> None:
    if site.state.outlives_the_bridge and cloned.leaks:
        raise RefusedError(
            f"no register is unused on {site.bridge.id}, and with pkt_mark as trace state this flow would let it out: "
            f"{flow_text(cloned.leaks[0])}"
        )


def _refuse_too_high(production: tuple[Flow, ...], ours: Iterable[FlowMod]) -> None:
    """Nothing of production may stand above what must meet packets first: inlets may need several priorities."""
    entry = tuple(mod for mod in ours if mod.table_id == ENTRY_TABLE and (mod.priority >= BELOW_TOP or _takes_off(mod)))
    lowest = min((mod.priority for mod in entry), default=TOP)
    high = tuple(flow for flow in production if flow.table_id == ENTRY_TABLE and flow.priority >= lowest)
    for mod in entry if high else ():
        for flow in high:
            if flow.priority >= mod.priority and flow.match.overlaps(mod.match):
                raise RefusedError(
                    f"a production flow is in the way at the highest priority of table 0: "
                    f"{flow_text(flow.key, flow.cookie)}; lower its priority"
                )


def _takes_off(mod: FlowMod) -> bool:
    return kind_of(mod.cookie) in {CookieKind.MARK, CookieKind.CLASSIFY}
