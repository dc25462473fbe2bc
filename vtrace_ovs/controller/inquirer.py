"""Turns questions that nothing waits for into events, on a native thread each, off the way of everything else."""

import threading
from collections.abc import Callable, Iterator
from time import time
from typing import assert_never

from vtrace_ovs.controller.shared_readings import SharedReadings
from vtrace_ovs.session.boundary import DatapathReader, FlowNamer, ServerObserver
from vtrace_ovs.session.commands import NameFlows, ObserveServers, ReadDatapaths
from vtrace_ovs.session.events import DatapathsRead, FlowsNamed, ServerObserved

Inquiry = NameFlows | ObserveServers | ReadDatapaths
Answer = FlowsNamed | ServerObserved | DatapathsRead


class Inquirer:
    """The three who are asked block while they look and never fail; ``post`` takes an event from any thread."""

    def __init__(
        self, name: FlowNamer, observe: ServerObserver, read: DatapathReader, post: Callable[[Answer], None]
    ) -> None:
        self._name = name
        self._readings = SharedReadings(observe)
        self._read = read
        self._post = post

    def carry_out(self, inquiry: Inquiry) -> None:
        """Ask; whoever is slow, or does not know, costs only what a verdict could have said besides."""
        threading.Thread(target=self._work, args=(inquiry,), name="vtrace-inquiry", daemon=True).start()

    def _work(self, inquiry: Inquiry) -> None:
        for answer in self._answers(inquiry):
            self._post(answer)

    def _answers(self, inquiry: Inquiry) -> Iterator[Answer]:
        match inquiry:
            case NameFlows(cookies):
                named = self._name(cookies)
                yield FlowsNamed(time(), cookies, named)
            case ObserveServers(task_id, moment, bridges, zones):
                shared = [(bridge.id.node, self._readings.join(bridge, zones=zones)) for bridge in bridges]
                for node, reading in shared:
                    yield ServerObserved(time(), task_id, moment, node, reading.result())
            case ReadDatapaths(task_id, questions):
                readings = tuple(self._read(bridge, question) for bridge, question in questions)
                yield DatapathsRead(time(), task_id, readings)
            case _:
                assert_never(inquiry)
