"""Turns what our meter on a bridge counted, and the copies that came, into how many copies were lost on their way."""

from dataclasses import dataclass, replace
from math import inf

from vtrace_ovs.diagnosis.scene import CopyTally, Spells

NO_COPIES = CopyTally(0)


@dataclass(slots=True)
class CopyCount:
    """The copies of traced packets from one bridge, since it began to carry flows of ours.

    The datapath counts a copy in our meter as it takes it, at once, unlike a flow's counters, which wait for the
    revalidators. Copies and readings come over one connection in order: what the meter had let through at a reading,
    less what had come by then, was lost. A meter that is set anew counts from zero: copies on their way at that moment
    fit neither count, so what was taken between the readings before and after it is ``uncounted``.

    ``came`` counts since the meter was last set, ``passed`` is what it had let through at the last reading
    (``read_at``); ``astray`` is by how much the two differed when counting began. ``before`` are the copies of earlier
    settings.
    """

    came: int = 0
    passed: int = 0
    lost: int = 0
    read_at: float = 0.0
    setting: bool = False
    uncounted: Spells = ()
    astray: int = 0
    before: CopyTally = NO_COPIES

    @property
    def blind(self) -> bool:
        """Whether copies cannot be counted before the next reading."""
        return bool(self.uncounted) and self.uncounted[-1][1] == inf

    @property
    def tally(self) -> CopyTally:
        """All copies so far."""
        return CopyTally(self.before.taken + self.passed, self.before.lost + self.lost)

    def set_anew(self) -> None:
        """Our meter is being set; the bridge has not confirmed it yet."""
        if self.came or self.passed:
            self.uncounted = (*self.uncounted, (self.read_at, inf))
        self.before, self.came, self.passed, self.lost, self.astray = self.tally, 0, 0, 0, 0
        self.setting = True

    def confirmed(self) -> None:
        """The bridge did what it was told, so readings that come from now on are of the meter as it is."""
        self.setting = False

    def read(self, passed: int, at: float) -> None:
        """Our meter had let so many copies through."""
        if self.setting:
            return
        if passed < self.passed:
            self.set_anew()
            self.setting = False
        if self.blind:
            *others, (since, _) = self.uncounted
            self.uncounted, self.astray = (*others, (since, at)), passed - self.came
        self.passed, self.lost, self.read_at = passed, max(0, passed - self.came - self.astray), at


def since(tally: CopyTally, before: CopyTally) -> CopyTally:
    """What of a tally came after an earlier one."""
    return replace(tally, taken=max(0, tally.taken - before.taken), lost=max(0, tally.lost - before.lost))
