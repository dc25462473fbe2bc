"""Turns the packet-in records of all VFDs into one observed Trajectory per packet (design D4, D5)."""

from collections.abc import Sequence

from vtrace_ovs.model.places import Places
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.model.trajectory import Ending, Trajectory

FINAL_ENDINGS = frozenset({Ending.HANDED_TO_PORT, Ending.EXITED, Ending.DROPPED, Ending.LOOPED})


class Stitcher:
    """Joins records against one topology. Build it once; it keeps nothing between calls."""

    def __init__(self, topology: Topology) -> None:
        self.places = Places(topology)

    def stitch(self, records: Sequence[PacketInRecord]) -> tuple[Trajectory, ...]:
        """One Trajectory per packet, in the order the packets were first seen."""
        raise NotImplementedError


def stitch(records: Sequence[PacketInRecord], topology: Topology) -> tuple[Trajectory, ...]:
    """One Trajectory per packet; see ``Stitcher`` for many calls against one topology."""
    return Stitcher(topology).stitch(records)


def complete(trajectory: Trajectory) -> bool:
    """Whether no further record can change how this packet ended, so that nobody needs to wait (design D6)."""
    return trajectory.ending in FINAL_ENDINGS
