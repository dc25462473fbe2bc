"""Turns packets lost on the wire into a search of the underlay for who drops them, and keeps what it found."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.model.postcard import DownPort, Passage, Postcard, Segment
from vtrace_ovs.model.topology import Bridge, BridgeRole, Topology
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Verdict
from vtrace_ovs.session.commands import SearchUnderlay

MOST_BRIDGES = 64
"""So many underlay bridges are searched at most."""


@dataclass(slots=True)
class Searches:
    """The segments a task's packets were lost in, those that were searched, and what was found there.

    ``cards`` are the post-cards, ``down`` the ports that cannot send, ``passed`` is what came by.
    ``until`` is how long an answer is worth waiting for (Unix seconds).
    """

    wanted: set[Segment] = field(default_factory=set)
    asked: set[Segment] = field(default_factory=set)
    cards: tuple[Postcard, ...] = ()
    down: frozenset[DownPort] = frozenset()
    passed: tuple[Passage, ...] = ()
    pending: int = 0
    until: float = 0.0

    def notice(self, way: Trajectory, verdict: Verdict) -> None:
        """A packet was judged: if it was lost on the wire, want to know by whom."""
        segment = segment_of(way) if verdict.code is CauseCode.UNDERLAY_LOSS else None
        if segment is not None and segment not in self.asked:
            self.wanted.add(segment)

    def begin(
        self, task_id: int, traffic: ArmedTask, topology: Topology, at: float, seconds: float
    ) -> tuple[SearchUnderlay, ...]:
        """The search for what is wanted, of this length; none where no underlay bridge is known."""
        if not self.wanted:
            return ()
        segments = tuple(sorted(self.wanted, key=str))
        self.asked, self.wanted = self.asked | self.wanted, set()
        bridges = underlay_bridges(topology, segments)[:MOST_BRIDGES]
        if not bridges or not seconds:
            return ()
        self.pending += 1
        self.until = at + 2 * seconds + 1  # another search may be under way
        return (SearchUnderlay(task_id, segments, traffic.filters, bridges, seconds),)

    def take(self, cards: tuple[Postcard, ...], down: tuple[DownPort, ...], passed: tuple[Passage, ...] = ()) -> None:
        """A search is over."""
        self.pending -= 1
        self.cards += cards
        self.down |= frozenset(down)
        self.passed += passed

    def awaits(self, at: float) -> bool:
        """Whether an answer is still worth waiting for."""
        return self.pending > 0 and at < self.until


def segment_of(way: Trajectory) -> Segment | None:
    """The tunnel a packet was last seen leaving by."""
    tunnel = None if way.last is None else way.last.left_by
    if tunnel is None or tunnel.source is None or tunnel.destination is None:
        return None
    return Segment(tunnel.source, tunnel.destination, tunnel.vni)


def underlay_bridges(topology: Topology, segments: Iterable[Segment]) -> tuple[Bridge, ...]:
    """The underlay bridges packets of these segments may pass: of servers at their ends, and of mere switches."""
    ends = {end for segment in segments for end in (segment.source, segment.destination)}
    servers = {bridge.id.node for bridge in topology.vfds()}
    near = {node.name for node in topology.nodes if ends.intersection(node.vteps)}
    return tuple(
        bridge
        for bridge in topology.bridges
        if bridge.role is BridgeRole.UNDERLAY and (bridge.id.node in near or bridge.id.node not in servers)
    )
