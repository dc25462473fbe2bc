import threading
from ipaddress import IPv4Address

from vtrace_ovs.controller.datapaths import Datapaths
from vtrace_ovs.model.datapath import DatapathQuestion, DatapathReading
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.session.commands import ReadDatapaths
from vtrace_ovs.session.events import DatapathsRead

DEADLINE = 60.0
FIVE_TUPLE = FiveTuple(17, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), 1, 2)


def test_all_questions_are_answered_at_once_while_the_caller_goes_on() -> None:
    let_go, told = threading.Event(), threading.Event()
    events: list[DatapathsRead] = []

    def read(bridge: Bridge, question: DatapathQuestion) -> DatapathReading:
        assert let_go.wait(DEADLINE)
        return DatapathReading(question, 1.0, compared=len(bridge.id.node))

    def post(event: DatapathsRead) -> None:
        events.append(event)
        told.set()

    asked = tuple(
        (
            Bridge(BridgeId(node, "br"), 1, BridgeRole.VSWITCH, (), ManagementSocket("")),
            DatapathQuestion(node, FIVE_TUPLE, None),
        )
        for node in ("s1", "s20")
    )
    Datapaths(read, post).carry_out(ReadDatapaths(7, asked))
    assert not events
    let_go.set()
    assert told.wait(DEADLINE)
    (event,) = events
    assert event.task_id == 7
    assert [(one.question.node, one.compared) for one in event.readings] == [("s1", 2), ("s20", 3)]
