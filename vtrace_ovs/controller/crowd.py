"""Turns how many copies came from a bridge, and when, into whether they come too fast."""

from dataclasses import dataclass


@dataclass(slots=True)
class Crowd:
    """How much of our meter on the bridge is spent: ``rate`` copies a second fill it, and ``burst`` is all of it.

    Half of that is a crowd: the other half is for packets that are colored until we have reacted.
    """

    rate: float
    burst: float
    _level: float = 0.0
    _at: float = 0.0

    def expect(self, burst: float) -> None:
        """The meter is set anew, and full then."""
        self.burst, self._level = burst, 0.0

    def grows(self, copies: int, at: float) -> bool:
        """So many came at this time (seconds). Whether that was too many, of which it is then counted anew."""
        self._level = max(self._level - (at - self._at) * self.rate, 0.0) + copies
        self._at = at
        if self._level < self.burst / 2:
            return False
        self._level = 0.0
        return True
