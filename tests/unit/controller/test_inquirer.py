from queue import Queue
from threading import Event

import pytest

from vtrace_ovs.controller.inquirer import Answer, Inquirer
from vtrace_ovs.model.cost import Moment, ServerReading
from vtrace_ovs.model.datapath import DatapathQuestion, DatapathReading
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.profile import NamedFlow
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.session.commands import NameFlows, ObserveServers, ReadDatapaths
from vtrace_ovs.session.events import DatapathsRead, FlowsNamed, ServerObserved

DEADLINE = 60.0
TRAFFIC = Filter("udp", 17)
SEVEN = NamedFlow(7, None, "OVN, logical port web1")
BRIDGES = tuple(Bridge(BridgeId(node, "br"), 1, BridgeRole.VSWITCH, (), ManagementSocket("")) for node in ("s1", "s20"))


class Asked:
    """An inquirer whose sources look until they are let go, and what it has posted."""

    def __init__(self) -> None:
        self.answers: Queue[Answer] = Queue()
        self.let_go = Event()
        self.inquirer = Inquirer(self._name, self._observe, self._read, self.answers.put)

    def _name(self, cookies: object) -> tuple[NamedFlow, ...]:
        assert self.let_go.wait(DEADLINE)
        return (SEVEN,) if cookies == (7, 8) else ()

    def _observe(self, bridge: Bridge, *, zones: bool) -> ServerReading | None:
        assert self.let_go.wait(DEADLINE)
        return ServerReading(1.0, megaflows=3, full_zones=() if zones else None) if bridge.id.node == "s1" else None

    def _read(self, bridge: Bridge, question: DatapathQuestion) -> DatapathReading:
        assert self.let_go.wait(DEADLINE)
        return DatapathReading(question, 1.0, compared=len(bridge.id.node))


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_the_caller_goes_on_meanwhile(asked: Asked) -> None:
    asked.inquirer.carry_out(NameFlows((7, 8)))
    asked.inquirer.carry_out(ObserveServers(7, Moment.DURING, BRIDGES[:1]))
    assert asked.answers.empty()
    asked.let_go.set()
    assert {type(asked.answers.get(timeout=DEADLINE)) for _ in range(2)} == {FlowsNamed, ServerObserved}


def test_names_come_as_one_event_with_what_was_asked_and_what_is_known(asked: Asked) -> None:
    asked.let_go.set()
    asked.inquirer.carry_out(NameFlows((7, 8)))
    answer = asked.answers.get(timeout=DEADLINE)
    assert isinstance(answer, FlowsNamed)
    assert (answer.cookies, answer.named) == ((7, 8), (SEVEN,))


def test_every_server_is_answered_for(asked: Asked) -> None:
    asked.let_go.set()
    asked.inquirer.carry_out(ObserveServers(7, Moment.DURING, BRIDGES))
    for node, reading in (("s1", ServerReading(1.0, megaflows=3)), ("s20", None)):
        answer = asked.answers.get(timeout=DEADLINE)
        assert isinstance(answer, ServerObserved)
        assert (answer.task_id, answer.moment, answer.node) == (7, Moment.DURING, node)
        assert answer.reading == reading


def test_zones_are_asked_for_when_they_are_wanted(asked: Asked) -> None:
    asked.let_go.set()
    asked.inquirer.carry_out(ObserveServers(7, Moment.AFTER, BRIDGES[:1], zones=True))
    answer = asked.answers.get(timeout=DEADLINE)
    assert isinstance(answer, ServerObserved)
    assert answer.reading == ServerReading(1.0, megaflows=3, full_zones=())


def test_all_questions_about_datapaths_are_answered_at_once(asked: Asked) -> None:
    asked.let_go.set()
    questions = tuple((bridge, DatapathQuestion(bridge.id.node, TRAFFIC)) for bridge in BRIDGES)
    asked.inquirer.carry_out(ReadDatapaths(7, questions))
    answer = asked.answers.get(timeout=DEADLINE)
    assert isinstance(answer, DatapathsRead)
    assert answer.task_id == 7
    assert [(one.question.node, one.compared) for one in answer.readings] == [("s1", 2), ("s20", 3)]
    assert asked.answers.empty()
