"""Turns the request for a trace into the request for a trace of what answers that traffic."""

from dataclasses import replace

from vtrace_ovs.errors import UsageError
from vtrace_ovs.filters.canonical import canonical_text
from vtrace_ovs.filters.matching import overlap
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import TraceRequest


def reversed_filter(traffic: Filter) -> Filter:
    """The filter of the reply direction, with its canonical text."""
    other_way = traffic.reversed("")
    return replace(other_way, text=canonical_text(other_way))


def reply_request(request: TraceRequest, task_id: int) -> TraceRequest:
    """The request for the replies to task ``task_id``, which serves ``request``."""
    scope = replace(request.scope, source_vm=request.scope.destination_vm, destination_vm=request.scope.source_vm)
    return replace(request, filter=reversed_filter(request.filter), scope=scope, answers=task_id)


def require_two_ways(traffic: Filter) -> None:
    """Raise UsageError for a filter whose packets could be their own replies: the two tasks could not be told apart."""
    if overlap(traffic, reversed_filter(traffic)):
        raise UsageError(
            f"a packet of {traffic.text} could be request or reply: name both ends (nw_src and nw_dst) to trace both"
        )
