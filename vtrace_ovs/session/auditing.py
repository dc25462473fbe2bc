"""Turns intervals that lost packets without a trace into questions about datapaths, and the answers into verdicts."""

from dataclasses import replace

from vtrace_ovs.diagnosis.counted_datapath import CountedTraffic, audited, questions_about
from vtrace_ovs.model.counting import Loss
from vtrace_ovs.model.datapath import DatapathReading
from vtrace_ovs.session.alternation import Alternation, Closed
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.runs import TaskRun

AGAIN = 5.0
"""Datapaths are asked at most this often (seconds), as ovs-vswitchd does nothing else meanwhile."""


def audit(
    run: TaskRun, alternation: Alternation, traffic: CountedTraffic, at: float, patience: float
) -> tuple[Command, ...]:
    """Use what datapaths have told; ask about what was lost since, an answer being waited for so long (seconds)."""
    suspicions = run.suspicions
    if suspicions.pending:
        return ()
    if suspicions.readings:
        _judge(alternation, traffic, suspicions.readings)
        suspicions.readings = ()
    if at < alternation.ask_at:
        return ()
    alternation.audited, alternation.asked_until = alternation.asked_until, len(alternation.closed)
    for closed in alternation.closed[alternation.audited :]:
        for loss in closed.interval.losses:
            suspicions.wanted.update(dict.fromkeys(questions_about(loss, traffic), closed.interval.ended_at))
    asked = suspicions.begin(run.task.id, traffic.topology, at, patience)
    if asked:
        alternation.ask_at = at + AGAIN
    return asked


def _judge(alternation: Alternation, traffic: CountedTraffic, readings: tuple[DatapathReading, ...]) -> None:
    """Judge anew what was asked about."""
    for number in range(alternation.audited, alternation.asked_until):
        closed = alternation.closed[number]
        losses = tuple(_judged(loss, closed, traffic, readings) for loss in closed.interval.losses)
        alternation.closed[number] = replace(closed, interval=replace(closed.interval, losses=losses))


def _judged(loss: Loss, closed: Closed, traffic: CountedTraffic, readings: tuple[DatapathReading, ...]) -> Loss:
    questions = questions_about(loss, traffic)
    answers = tuple(one for one in readings if one.question in questions)
    return audited(loss, closed.interval.began_at, answers if len(answers) == len(questions) else ())
