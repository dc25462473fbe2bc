"""Turns the tree of a packet's branches into hops in reading order, the branch that counts most last."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vtrace_ovs.model.trajectory import Ending, Hop

_RANK = {
    Ending.HANDED_TO_PORT: 0,
    Ending.EXITED: 1,
    Ending.UNKNOWN: 2,
    Ending.OPEN: 3,
    Ending.ON_WIRE: 4,
    Ending.LOOPED: 5,
    Ending.DROPPED: 6,
}


@dataclass(frozen=True, slots=True)
class Branch:
    """One hop and what came of it. ``names_vm`` is set on a leaf that handed the packet to a VM's port."""

    hop: Hop
    onward: tuple["Branch", ...] = ()
    names_vm: bool = False

    @property
    def weight(self) -> tuple[int, bool]:
        """How little this branch counts: by its best ending, then by whether a VM is known behind the port."""
        if self.onward:
            return min(branch.weight for branch in self.onward)
        return _RANK[self.hop.ending or Ending.UNKNOWN], not self.names_vm

    def noted(self, note: str) -> "Branch":
        """The same branch, whose hop says this too."""
        words = note if self.hop.note is None else f"{note}; {self.hop.note}"
        return replace(self, hop=replace(self.hop, note=words))


def in_reading_order(branches: Sequence[Branch]) -> tuple[Hop, ...]:
    """All hops, parents before children, with ``Hop.parent`` set. Among equals the first is last."""
    hops: list[Hop] = []
    _append(branches, None, hops)
    return tuple(hops)


def _append(branches: Sequence[Branch], parent: int | None, hops: list[Hop]) -> None:
    ordered = branches
    if len(branches) > 1:
        primary = min(branches, key=lambda branch: branch.weight)
        ordered = (*(other for other in branches if other is not primary), primary)
    for branch in ordered:
        hops.append(branch.hop if parent is None else replace(branch.hop, parent=parent))
        _append(branch.onward, len(hops) - 1, hops)
