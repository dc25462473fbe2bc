"""Turns what one trial takes for granted into the buckets that hashes choose and the addresses that ``nat`` writes."""

from dataclasses import dataclass, field
from typing import NamedTuple

from vtrace_ovs.model.packet import FiveTuple


class Choice(NamedTuple):
    """A select group that a hash chooses from: ``buckets`` are the indexes of those it may take."""

    group_id: int
    buckets: tuple[int, ...]


@dataclass(slots=True)
class Guide:
    """What one trial takes for granted, and what it met.

    ``taken`` are group ids to the index of the bucket that is to run, each good for one visit of that group;
    ``translated`` is what ``nat`` is to write where the tables leave it open. Afterwards ``open`` is the first group
    that nothing was said of, and ``written`` the sides (``src``, ``dst``) that nat wrote.
    """

    taken: dict[int, int]
    translated: FiveTuple | None = None
    open: Choice | None = None
    written: list[str] = field(default_factory=list)
    met: set[int] = field(default_factory=set)

    def bucket(self, choice: Choice) -> int | None:
        """The bucket of a group that is to run; None leaves it to the hash."""
        first = choice.group_id not in self.met
        self.met.add(choice.group_id)
        taken = self.taken.get(choice.group_id) if first else None
        if taken is None and self.open is None:
            self.open = choice
        return taken
