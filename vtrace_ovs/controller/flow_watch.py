"""Turns the flows to be watched on one connection into monitors set up and ended, and their news into changed flows.

While a bridge pauses its monitors it spells out our own changes as well, so nothing it says then is believed: who
takes flows of ours out in that time is noticed by the next look at the bridge.
"""

from collections.abc import Iterator
from itertools import count

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message
from vtrace_ovs.model.flow import ChangedFlow, Watch


class FlowWatch:
    """The monitors of one connection, which end with it. A bridge that refuses them is not asked again."""

    def __init__(self, xids: Iterator[int]) -> None:
        self._xids = xids
        self._numbers = count(1)
        self._monitors: dict[Watch, int] = {}
        self._asked: set[int] = set()
        self._able = True
        self._paused = False

    def change(self, wanted: tuple[Watch, ...]) -> bytes:
        """What to send so that these flows are watched, and no others."""
        if not self._able:
            return b""
        ended = [self._monitors.pop(watch) for watch in tuple(self._monitors) if watch not in wanted]
        fresh = {next(self._numbers): watch for watch in wanted if watch not in self._monitors}
        octets = b"".join(openflow.flow_monitor_cancel(number, next(self._xids)) for number in ended)
        if not fresh:
            return octets
        xid = next(self._xids)
        self._asked.add(xid)
        self._monitors.update((watch, number) for number, watch in fresh.items())
        return octets + openflow.flow_monitor_request(fresh, xid)

    def refused(self, xid: int) -> bool:
        """Whether it was this that the bridge refused."""
        if xid not in self._asked:
            return False
        self._able = False
        return True

    def said(self, message: Message) -> None:
        """Take what the bridge says that is no answer: it may pause its monitors, or go on."""
        paused = openflow.monitors_paused(message)
        self._paused = self._paused if paused is None else paused

    def changed(self, update: Message) -> tuple[ChangedFlow, ...]:
        """The flows that somebody else changed, by this message."""
        return () if self._paused else openflow.changed_flows(update)
