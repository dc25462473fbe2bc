"""Turns the records of a task's packets into ways, and has each judged as soon as no more is to be expected of it."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition, Verdict
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.collecting import PacketGroup
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.outcomes import Outcomes
from vtrace_ovs.session.overlaps import own_ways
from vtrace_ovs.session.readings import Readings
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.trajectories.stitch import Stitcher, complete

MANY_RECORDS = 64
LOOK_INTERVAL, LONGEST_INTERVAL = 0.05, 0.5
"""So many records of packets that look the same are joined anew at most this often (seconds), not at every copy.

Of more records less often, in proportion."""

QUICK = 0.1
"""A bridge that answers a reading within this time (seconds) takes packets in time, too."""


class Decisions:
    """Decides when packets are judged. It never programs a bridge; it only asks for readings."""

    def __init__(
        self, fleet: Fleet, deployment: Deployment, readings: Readings, outcomes: Outcomes, settings: SessionSettings
    ) -> None:
        self._fleet = fleet
        self._deployment = deployment
        self._readings = readings
        self._outcomes = outcomes
        self._settings = settings
        self._stitcher = Stitcher(fleet.topology)

    def progress(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        """Decide what can be decided now, ask for the readings the rest needs, and publish news."""
        commands: list[Command] = []
        if run.fleet_version != self._fleet.version and self._deployment.idle:
            commands.extend(self._readings.armed(run))
        for name, group in tuple(run.open.items()):
            commands.extend(self._decide(run, group, at))
            if not group.undecided:
                del run.open[name]
        commands.extend(self._outcomes.naming.ask(at))
        commands.extend(run.search(self._fleet.topology, at, self._settings))
        if run.dirty and at - run.saved_at >= self._settings.interim_interval:
            run.dirty, run.saved_at = False, at
            commands.append(self._outcomes.conclude(run, final=False))
        return tuple(commands)

    def _decide(self, run: TaskRun, group: PacketGroup, at: float) -> tuple[Command, ...]:
        many = (len(group.records) - 1) // MANY_RECORDS
        if group.fresh and (not many or at - group.looked_at >= min(LOOK_INTERVAL * many, LONGEST_INTERVAL)):
            self._look(run, group, at)
        return () if group.fresh or not group.waiting else self._decide_late(run, group, at)

    def _look(self, run: TaskRun, group: PacketGroup, at: float) -> None:
        """Join the records again, and decide what is complete. What was decided is open again if records added to it.

        Packets beyond the number asked for are only joined, so that they are not taken for one of those.
        """
        group.fresh, group.looked_at, group.weighed = False, at, False
        ways = self._stitch(group)
        if run.partners:
            ways = own_ways(run.traffic, ways)
        ways = ways[: max(1, len(ways) - group.beyond)]
        if group.crowded:
            ways = tuple(replace(way, ambiguous=True) for way in ways)
        found = {way.occurrence for way in ways}
        group.decisions = {number: packet for number, packet in group.decisions.items() if number in found}
        news = [way for way in ways if group.judged(way.occurrence) != way]
        group.waiting = tuple(way for way in news if not _sure(way))
        for way in news:
            if _sure(way):
                self._outcomes.settle(run, group, way)

    def _decide_late(self, run: TaskRun, group: PacketGroup, at: float) -> tuple[Command, ...]:
        """No final record came in time: look at the bridges concerned once more, then say what happened.

        What may still be on its way is waited for longer, and looked for again.
        """
        since = group.last_at + self._settings.short_buffer + (self._settings.long_buffer if group.weighed else 0)
        if at < since:
            return ()
        witnesses = (bridge for observed in group.waiting for bridge in self._witnesses(observed))
        bridges = [bridge for bridge in run.armed_on.keys() & witnesses if bridge in self._fleet.states]
        unread = [b for b in bridges if (state := self._fleet.states[b]).up and state.read_at < since]
        if unread:
            return self._fleet.ask((bridge for bridge in unread if self._fleet.states[bridge].asked_at < since), at)
        slow = any(self._fleet.states[bridge].answered_in > QUICK for bridge in bridges)
        scarce = self._fleet.copies_scarce(group.all_entered_by)
        but = None if group.weighed else partial(_may_change, slow=slow, scarce=scarce)
        group.weighed = True
        group.waiting = tuple(way for way in group.waiting if not self._outcomes.settle(run, group, way, but=but))
        return ()

    def _witnesses(self, way: Trajectory) -> Iterator[BridgeId]:
        """The VFD that saw the packet last, and those it may have reached since.

        Copies and readings come in order: after a reading, no older copy is still on its way to us.
        """
        if way.last is None:
            return
        yield way.last.bridge
        if way.last.out_port is not None:
            onward = self._stitcher.places.onward(way.last.bridge, way.last.out_port, way.last.left_by)
            yield from (bridge for bridge, _ in onward.arrivals)

    def _stitch(self, group: PacketGroup) -> tuple[Trajectory, ...]:
        if self._stitcher.places.topology is not self._fleet.topology:
            self._stitcher = Stitcher(self._fleet.topology)
        return self._stitcher.stitch(group.records)


def _sure(way: Trajectory) -> bool:
    """Whether nobody needs to wait for more records of this packet."""
    return complete(way) and not any(hop.inferred for hop in way.hops)


def _may_change(verdict: Verdict, *, slow: bool, scarce: bool) -> bool:
    """Whether more may come of a packet: copies to us and, where a bridge is slow, as when busy, the packet to it.

    Where copies were ``scarce``, those that are missing were capped or lost, and never come. If one does all the same,
    its packet is looked at again.
    """
    if verdict.disposition is Disposition.INCONCLUSIVE:
        return not (scarce and verdict.code is CauseCode.EVIDENCE_LOST)
    return slow and verdict.disposition is Disposition.LOST_ON_WIRE
