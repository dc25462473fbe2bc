"""Turns the moments a neighbour was asked for into whether it answers."""

from dataclasses import dataclass

TRIES = 3
SOON = 3.0
"""Senders ask every second until they give up, three times by default (RFC 4861 section 10; arp(7), mcast_solicit)."""


@dataclass(slots=True)
class Questions:
    """How often one address was asked for. One question may be lost; who is there is not asked thrice in a row."""

    times: int = 0
    in_a_row: int = 0
    unanswered: bool = False
    last_at: float | None = None

    def add(self, at: float) -> None:
        """Asked at this moment (Unix seconds)."""
        again = self.last_at is not None and at - self.last_at < SOON
        self.in_a_row = self.in_a_row + 1 if again else 1
        self.times, self.last_at = self.times + 1, at
        self.unanswered |= self.in_a_row >= TRIES
