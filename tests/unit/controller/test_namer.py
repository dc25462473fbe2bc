from queue import Queue
from typing import TYPE_CHECKING

from vtrace_ovs.controller.namer import Namer
from vtrace_ovs.model.profile import NamedFlow
from vtrace_ovs.session.commands import NameFlows

if TYPE_CHECKING:
    from vtrace_ovs.session.events import FlowsNamed

DEADLINE = 60.0


def test_a_question_becomes_one_event_with_what_was_asked_and_what_is_known() -> None:
    answers: Queue[FlowsNamed] = Queue()
    seven = NamedFlow(7, None, "OVN, logical port web1")
    Namer(lambda cookies: (seven,) if 7 in cookies else (), answers.put).carry_out(NameFlows((7, 8)))
    answer = answers.get(timeout=DEADLINE)
    assert (answer.cookies, answer.named) == ((7, 8), (seven,))
