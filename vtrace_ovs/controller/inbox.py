"""Turns session events from everywhere into one order: what calls for less coloring first, all else as it came."""

from collections import deque
from dataclasses import dataclass, field

from vtrace_ovs.session.events import BridgeDown, CopiesCrowded, Event, FlowsChanged, PacketInReceived

URGENT = FlowsChanged, CopiesCrowded, BridgeDown
"""These do not wait behind copies: more are made by the millisecond, or marks go astray."""


@dataclass(slots=True)
class Inbox:
    """Events that wait for the session."""

    _events: deque[Event] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """One more event."""
        if isinstance(event, URGENT):
            self._events.appendleft(event)
        else:
            self._events.append(event)

    def take(self) -> Event:
        """The next event. Raises IndexError where none waits."""
        return self._events.popleft()

    @property
    def begins_with_a_copy(self) -> bool:
        """Whether the next event is a copy of a packet."""
        return bool(self._events) and isinstance(self._events[0], PacketInReceived)
