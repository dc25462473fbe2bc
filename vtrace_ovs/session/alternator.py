"""Turns the time a task counts into intervals: change the color, wait for what is on its way, read, compare, again.

Alternate marking (RFC 9341): while packets get one color, those of the other are all somewhere by now, so their
counters stand still and are read twice, soon after the change of color and just before the next. An interval closes
when both readings agree; what they differ by was still on its way.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count
from math import inf

from vtrace_ovs.diagnosis.balance import CountingScene, balance
from vtrace_ovs.diagnosis.counted import count_report
from vtrace_ovs.diagnosis.counted_datapath import CountedTraffic
from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.tally import Places, counted_places, counts, sources_in
from vtrace_ovs.model.counting import Counted, CountedPlace, CountKind, CountReport, Counts, Interval, MeterWindow
from vtrace_ovs.model.flow import FlowMod, MeterCounters
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.alternation import FIRST_BATCH, Alternation, Closed, Open, Reading, Step, Trouble
from vtrace_ovs.session.auditing import audit
from vtrace_ovs.session.bridges import BridgeState, Fleet
from vtrace_ovs.session.commands import Command, Program, ReadCounters, SaveCounts, SaveTaskState
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import CountersRead, Programmed
from vtrace_ovs.session.runs import Stage, TaskRun
from vtrace_ovs.session.settings import SessionSettings

NEARLY_ALL = 0.95
"""If flows say that this share of a VFD's packets passed a meter, all did: flows are told a little late what passed."""

MOST_READINGS = 5
"""So often an interval's counters are read again while they still move."""


class Alternator:
    """Drives the counting of tasks. It recolors and reads bridges; it never decides what is installed on them."""

    def __init__(
        self,
        fleet: Fleet,
        deployment: Deployment,
        settings: SessionSettings,
        profile_named: Callable[[str | None], PipelineProfile],
    ) -> None:
        self._fleet = fleet
        self._deployment = deployment
        self._settings = settings
        self._profile_named = profile_named
        self._batches = count(FIRST_BATCH, -1)
        self._places: dict[BridgeId, tuple[object, Places]] = {}

    def begin(self, run: Alternation, at: float) -> tuple[Command, ...]:
        """All bridges are armed, and the first color is on."""
        run.members = {state.bridge.id for state in self._carrying()}
        run.current, run.resume_at = Open(0, at, kept=False), at
        return self._settle(run, at)

    def must_wait(self, run: TaskRun, runs: Iterable[TaskRun]) -> bool:
        """Whether bridges still carry what was for a task that has ended: the next one must count from zero."""
        if any(other.instrumented for other in runs):
            return False
        carry = not self._deployment.settled or bool(self._carrying())
        return carry and (run.alternation is not None or self._deployment.planning.marks.colors > 1)

    def told(self, event: CountersRead | Programmed, runs: Iterable[TaskRun]) -> None:
        """A bridge has turned or settled, or told its counters."""
        for run in (run.alternation for run in runs if run.alternation is not None):
            if isinstance(event, CountersRead):
                self._read_by(run, event)
            else:
                self._programmed(run, event)

    def collect(self, run: TaskRun, alternation: Alternation, at: float) -> tuple[Command, ...]:
        """The task counts until its time is over, and nothing is half done."""
        commands = (*self.progress(alternation, at, over=at >= run.deadline), *self._audit(run, alternation, at))
        if not (alternation.ending or run.cancelled or run.invalidated):
            return commands
        run.stage, run.closed_at, self._deployment.stale = Stage.CLOSING, at, True
        return (*commands, SaveTaskState(run.task.id, TaskState.DRAINING, at))

    def finish(self, run: TaskRun, alternation: Alternation, at: float) -> tuple[Command, ...]:
        """Nothing is colored any more. Every bridge is looked at once more: had somebody changed its tables?

        So are datapaths, if they may have dropped what was lost last.
        """
        if not self._deployment.settled:
            return ()
        if run.stage is Stage.CLOSING:
            run.stage, run.drained_at, alternation.ask_at = Stage.DRAINING, at + self._settings.drain, at
            return self._fleet.ask(self._fleet.carrying(), at)
        if at < run.drained_at or (self._fleet.owing and not run.cancelled):
            return ()
        asked = () if run.cancelled else self._audit(run, alternation, at)
        if asked or (run.suspicions.awaits(at) and not run.cancelled):
            return asked
        run.stage, self._deployment.stale = Stage.REMOVING, True
        return (SaveCounts(self.report(alternation, run.notes)),)

    def _audit(self, run: TaskRun, alternation: Alternation, at: float) -> tuple[Command, ...]:
        codes = frozenset(mark.code for mark in self._deployment.planning.marks.marks())
        traffic = CountedTraffic(self._fleet.topology, run.traffic.filters, codes)
        return audit(run, alternation, traffic, at, self._settings.datapath_deadline)

    def _programmed(self, run: Alternation, event: Programmed) -> None:
        if event.batch == run.batch and run.step in (Step.TURNING, Step.SETTLING):
            run.waiting.discard(event.bridge)
            if event.errors:
                run.troubles.append(Trouble(event.at, event.at, f"{event.bridge}: {event.errors[0]}"))

    def _read_by(self, run: Alternation, event: CountersRead) -> None:
        if run.step is Step.READING and event.bridge in run.waiting:
            run.waiting.discard(event.bridge)
            run.gathered[event.bridge] = event

    def progress(self, run: Alternation, at: float, *, over: bool) -> tuple[Command, ...]:
        """Go on as far as possible. With ``over``, stop (``ending``) as soon as nothing is half done."""
        self._look_around(run, at)
        match run.step:
            case Step.COLORING if over or at >= run.resume_at:
                return self._turn(run, at, over=over)
            case Step.TURNING if not run.waiting:
                run.step, run.resume_at = Step.DRAINING, at + self._settings.drain
            case Step.DRAINING if at >= run.resume_at:
                return self._settle(run, at)
            case Step.SETTLING if not run.waiting:
                return self._read(run, at)
            case Step.READING if not run.waiting:
                return self._compare(run, at, over=over)
            case _:
                return ()
        return ()

    def report(self, run: Alternation, notes: Iterable[str]) -> CountReport:
        """What is known so far."""
        others = max((reading.of_other_dscp for reading in run.turns), default=0)
        intervals = tuple(self._spoiled(run, closed) for closed in run.closed)
        return count_report(run.task_id, round(run.interval), Counted(intervals, others), tuple(notes))

    def _carrying(self) -> tuple[BridgeState, ...]:
        return tuple(state for state in self._fleet.states.values() if state.up and state.carried is not None)

    def _look_around(self, run: Alternation, at: float) -> None:
        """Who is gone, or has kept us waiting for too long, is not waited for; what it counts is missing until then."""
        here = {state.bridge.id: state for state in self._carrying()}
        overdue = run.waiting if run.waiting and at - run.asked_at > self._settings.answer_deadline else set()
        for bridge in sorted(run.members):
            if bridge not in here:
                run.gone[bridge] = Trouble(at, inf, f"{bridge} stopped answering, or lost our flows")
            elif bridge in overdue:
                run.gone[bridge] = Trouble(run.asked_at, inf, f"{bridge} did not answer in time")
        for bridge in here.keys() - run.members:
            trouble = run.gone.pop(bridge, None)
            if trouble is not None and here[bridge].up_at <= trouble.since:
                run.gone[bridge] = trouble
                continue
            since = at if trouble is None else trouble.since
            run.troubles.append(Trouble(since, at, f"{bridge} came up while packets were counted"))
            run.members.add(bridge)
        run.members -= run.gone.keys()
        run.waiting &= run.members

    def _here(self, run: Alternation) -> tuple[BridgeState, ...]:
        """The bridges that count."""
        return tuple(state for state in self._carrying() if state.bridge.id in run.members)

    def _program(
        self, run: Alternation, at: float, mods: Mapping[BridgeId, tuple[FlowMod, ...]]
    ) -> tuple[Command, ...]:
        """Programs whose answer tells that the datapath follows, and that counters of flows are up to date."""
        run.batch, run.waiting, run.asked_at = next(self._batches), set(mods), at
        touches = {state.bridge.id: state.carried.touch for state in self._here(run) if state.carried is not None}
        return tuple(Program(bridge, run.batch, sent, touches[bridge]) for bridge, sent in mods.items())

    def _settle(self, run: Alternation, at: float) -> tuple[Command, ...]:
        run.step = Step.SETTLING
        return self._program(run, at, {state.bridge.id: () for state in self._here(run)})

    def _read(self, run: Alternation, at: float) -> tuple[Command, ...]:
        run.step, run.gathered, run.asked_at = Step.READING, {}, at
        run.waiting = {state.bridge.id for state in self._here(run)}
        return tuple(ReadCounters(bridge) for bridge in sorted(run.waiting))

    def _turn(self, run: Alternation, at: float, *, over: bool) -> tuple[Command, ...]:
        """Time for the other color; first a last look at the packets that had it, as their counters move again.

        Time is over one change of color later, so that the last interval closes as the others do.
        """
        if run.idle is not None:
            return self._settle(run, at)
        if over and not run.current.kept:
            run.ending = True
            return ()
        color = 1 - run.current.color
        mods = {
            state.bridge.id: sources_in(state.carried, color, self._deployment.planning.lease(run.interval))
            for state in self._here(run)
            if state.carried is not None and state.carried.sources
        }
        run.idle, run.current = replace(run.current, ended_at=at), Open(color, at, kept=not over)
        run.step = Step.TURNING
        return self._program(run, at, mods)

    def _compare(self, run: Alternation, at: float, *, over: bool) -> tuple[Command, ...]:
        reading = self._gathered(run)
        idle = run.idle
        if idle is None:
            run.turns.append(reading)
            run.step = Step.COLORING
            return ()
        if idle.read is None:
            run.turns = [*run.turns[-2:], reading]
            idle.read, run.resume_at = reading, max(at, idle.ended_at + run.interval)
            run.step = Step.COLORING
            if over:
                run.step, run.resume_at = Step.DRAINING, at + self._settings.drain
            return ()
        idle.readings += 1
        still = idle.read.of_color(idle.color) == reading.of_color(idle.color)
        if not still and idle.readings < MOST_READINGS:
            idle.read, run.step, run.resume_at = reading, Step.DRAINING, at + self._settings.drain
            return ()
        self._close(run, idle, reading, at, None if still else "packets were still on their way")
        run.idle, run.step, run.resume_at = None, Step.COLORING, at
        return ()

    def _gathered(self, run: Alternation) -> Reading:
        found: dict[CountedPlace, int] = {}
        meters: dict[tuple[BridgeId, int], MeterCounters] = {}
        for bridge, event in run.gathered.items():
            state = self._fleet.states.get(bridge)
            if state is not None and state.carried is not None:
                found.update(counts(state.carried, self._places_of(state), event.flows, event.meters))
                meters.update({(bridge, meter.meter_id): meter for meter in event.meters})
        return Reading(found, meters)

    def _places_of(self, state: BridgeState) -> Places:
        plan = state.carried
        known = self._places.get(state.bridge.id)
        if plan is None:
            return {}
        if known is None or known[0] is not plan:
            known = (plan, counted_places(plan, state.bridge, self._fleet.topology))
            self._places[state.bridge.id] = known
        return known[1]

    def _close(self, run: Alternation, idle: Open, reading: Reading, at: float, unknown: str | None) -> None:
        """The interval is over: what was counted since its color was last at rest is of its packets."""
        final, base = reading.of_color(idle.color), run.bases.get(idle.color, {})
        run.bases[idle.color] = final
        gone = {place: -packets for place, packets in base.items() if place not in final and packets}
        changed = {**gone, **{place: packets - base.get(place, 0) for place, packets in final.items()}}
        profiles = {state.bridge.id: self._profile_named(state.bridge.profile) for state in self._carrying()}
        blind = frozenset(state.bridge.id for state in self._carrying() if state.carried and state.carried.unlogged)
        down = frozenset(
            (state.bridge.id, port.ofport)
            for state in self._carrying()
            if state.tables is not None
            for port in state.tables.ports
            if port.link_down or port.admin_down
        )
        scene = CountingScene(self._fleet.topology, profiles, blind, down)
        found = balance(changed, self._windows(run), scene, self._dropping(run, idle.color))
        doubts = found.doubts if unknown is None else (unknown,)
        losses = found.losses if unknown is None else ()
        interval = Interval(idle.began_at, idle.ended_at, found.entered, found.vfds, losses, "; ".join(doubts) or None)
        if idle.kept:
            run.closed.append(Closed(interval, at))

    def _windows(self, run: Alternation) -> tuple[MeterWindow, ...]:
        """What production's meters did from before the interval's first packet until after its last."""
        if len(run.turns) < 2:  # noqa: PLR2004 - a window has two ends
            return ()
        first, last = run.turns[0], run.turns[-1]
        found = []
        for (bridge, meter_id), now in last.meters.items():
            then = first.meters.get((bridge, meter_id), MeterCounters(meter_id, 0, 0))
            ours = last.through(bridge, meter_id) - first.through(bridge, meter_id)
            came = last.came(bridge) - first.came(bridge)
            ours = came if ours >= NEARLY_ALL * came else ours
            passed = now.packets_in - then.packets_in
            dropped = now.packets_dropped - then.packets_dropped
            found.append(MeterWindow(bridge, meter_id, passed, max(0, passed - ours), dropped))
        return tuple(found)

    def _dropping(self, run: Alternation, color: int) -> Counts:
        """What flows dropped in the time of ``_windows``, of either color, as if it were of this one."""
        found: Counter[CountedPlace] = Counter()
        for sign, reading in zip((-1, 1), (run.turns[0], run.turns[-1]), strict=True) if run.turns else ():
            for place, packets in reading.counts.items():
                if place.kind is CountKind.DROPPED:
                    found[replace(place, color=color)] += sign * packets
        return +found

    def _spoiled(self, run: Alternation, closed: Closed) -> Interval:
        """The interval, unless something about the bridges was not as it should have been from its begin to its end."""
        interval = closed.interval
        known = (*run.troubles, *run.gone.values())
        why = next((one.why for one in known if one.since <= closed.at and one.until >= interval.began_at), None)
        for bridge, state in self._fleet.states.items():
            for since, until in state.spells:
                if why is None and since <= closed.at and until >= interval.began_at:
                    why = f"the flow tables of {bridge} changed"
        return interval if why is None else replace(interval, losses=(), unknown=why)


def require_company(run: TaskRun, runs: Iterable[TaskRun]) -> None:
    """A task that counts is alone: flows are either of those that copy, or of those that count. Raises RefusedError."""
    others = [other for other in runs if other.instrumented]
    if others and (run.alternation is not None or any(other.alternation is not None for other in others)):
        number = others[0].task.id
        raise RefusedError(f"packets are counted without any other task beside: wait until task {number} ends")
