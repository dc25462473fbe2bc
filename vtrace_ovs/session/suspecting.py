"""Turns packets lost without a trace into questions about the datapaths they were last at, and keeps the answers."""

from dataclasses import dataclass, field
from math import inf

from vtrace_ovs.diagnosis.datapath import datapaths_of
from vtrace_ovs.model.datapath import DatapathQuestion, DatapathReading
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition, Verdict
from vtrace_ovs.session.commands import ReadDatapaths

MOST_QUESTIONS = 64
"""So many questions a task asks at most."""

QUIET = 2.0
"""Where no packet entered for so long (seconds), the traffic has paused, or its packets do not come into the trace."""

_SILENT = {
    (Disposition.LOST_ON_WIRE, CauseCode.UNDERLAY_LOSS),
    (Disposition.LOST_IN_VFD, CauseCode.PATCH_LOSS),
    (Disposition.LOST_IN_VFD, CauseCode.UNKNOWN),
}
"""Where nobody says what became of a packet."""


@dataclass(slots=True)
class Suspicions:
    """The datapaths that may have dropped a task's packets: ``wanted`` with when the last of them was seen.

    ``doubted``: the datapaths where traffic enters, and since when (Unix seconds) its packets should have come again.
    ``until`` is how long an answer is worth waiting for (Unix seconds).
    """

    wanted: dict[DatapathQuestion, float] = field(default_factory=dict)
    doubted: dict[DatapathQuestion, float] = field(default_factory=dict)
    readings: tuple[DatapathReading, ...] = ()
    pending: bool = False
    until: float = 0.0

    def notice(self, way: Trajectory, verdict: Verdict) -> None:
        """A packet was judged: if nobody says where it is, want to know what the datapaths do with its like."""
        if (verdict.disposition, verdict.code) not in _SILENT:
            return
        seen = way.last_seen or 0.0
        for question in datapaths_of(way, None if verdict.culprit is None else verdict.culprit.next_node):
            if not any(one.question == question and one.tells_of(seen) for one in self.readings):
                self.wanted[question] = max(seen, self.wanted.get(question, 0.0))

    def doubt(self, newest: PacketInRecord, at: float) -> None:
        """The newest packet that entered was this: if none came for a while, want to know whether it can come."""
        since = newest.timestamp + QUIET
        question = DatapathQuestion.about(newest.bridge.node, newest.headers, newest.tunnel)
        if question is not None and at >= since and self.doubted.get(question) != since:
            self.doubted[question] = self.wanted[question] = since

    @property
    def cut_off(self) -> tuple[DatapathReading, ...]:
        """The readings that show packets coming in and not into the trace, by a contradiction in the first datapath."""
        return tuple(
            one
            for one in self.readings
            if any(found.used_at >= self.doubted.get(one.question, inf) for found in one.contradictions)
        )

    def begin(self, task_id: int, topology: Topology, at: float, patience: float) -> tuple[ReadDatapaths, ...]:
        """Ask what is wanted, of servers with a bridge to ask at; one thing at a time."""
        if not self.wanted or self.pending:
            return ()
        bridges = {bridge.id.node: bridge for bridge in topology.vfds()}
        room = MOST_QUESTIONS - len(self.readings)
        asked = tuple((bridges[one.node], one) for one in list(self.wanted)[:room] if one.node in bridges)
        self.wanted = {}
        if not asked:
            return ()
        self.pending, self.until = True, at + patience
        return (ReadDatapaths(task_id, asked),)

    def take(self, readings: tuple[DatapathReading, ...]) -> None:
        """The datapaths were read, or could not be."""
        self.pending = False
        self.readings += readings

    def awaits(self, at: float) -> bool:
        """Whether an answer is still worth waiting for."""
        return self.pending and at < self.until
