import pytest

from vtrace_ovs.controller.inbox import Inbox
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import PacketIn
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.events import BridgeDown, CopiesCrowded, Event, PacketInReceived, Tick

BRIDGE = BridgeId("s1", "br")
COPY = PacketInReceived(
    1.0,
    BRIDGE,
    PacketIn(1, 0, 0, 1, (), b"", b"", 0, 1.0),
    Headers("02:00:00:00:00:01", "02:00:00:00:00:02", 0x88B5, 60),
)


def inbox_of(*events: Event) -> Inbox:
    inbox = Inbox()
    for event in events:
        inbox.put(event)
    return inbox


def test_what_calls_for_less_coloring_is_taken_before_copies_that_came_earlier() -> None:
    inbox = inbox_of(COPY, Tick(2.0), CopiesCrowded(3.0, BRIDGE), BridgeDown(4.0, BRIDGE, "gone"))
    taken = [inbox.take() for _ in range(len(inbox))]
    assert taken == [BridgeDown(4.0, BRIDGE, "gone"), CopiesCrowded(3.0, BRIDGE), COPY, Tick(2.0)]
    with pytest.raises(IndexError):
        inbox.take()


def test_it_tells_whether_the_next_event_is_a_copy() -> None:
    inbox = inbox_of(COPY, COPY, Tick(2.0), COPY)
    told = []
    while inbox:
        inbox.take()
        told.append(inbox.begins_with_a_copy)
    assert told == [True, False, True, False]
