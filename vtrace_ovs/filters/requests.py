"""Turns what an operator typed (filter, counts, names) into a ``TraceRequest`` that can be served, or refuses it."""

from dataclasses import replace

from vtrace_ovs.errors import UsageError
from vtrace_ovs.filters.parser import parse
from vtrace_ovs.model.counting import COUNTING_TIME_RANGE, DEFAULT_COUNTING_TIME, DEFAULT_INTERVAL, INTERVAL_RANGE
from vtrace_ovs.model.filter import Scope
from vtrace_ovs.model.task import (
    DEFAULT_PACKET_COUNT,
    DEFAULT_TRACE_TIME,
    PACKET_COUNT_RANGE,
    TRACE_TIME_RANGE,
    TraceRequest,
)

VNI_RANGE = range(1 << 24)
"""A VNI has 24 bits (RFC 7348 §5)."""


def trace_request(  # noqa: PLR0913 - one argument per thing an operator can say
    filter_text: str,
    *,
    packet_count: int = DEFAULT_PACKET_COUNT,
    trace_time: int = DEFAULT_TRACE_TIME,
    vni: int | None = None,
    source_vm: str | None = None,
    destination_vm: str | None = None,
    wide: bool = False,
) -> TraceRequest:
    """The request for a task; ``trace_time`` is in seconds.

    Raises FilterError for the filter text and UsageError for a number out of its range, an empty VM name,
    or a scope that contradicts itself.
    """
    _require("packet_count", packet_count, PACKET_COUNT_RANGE)
    _require("trace_time", trace_time, TRACE_TIME_RANGE)
    if vni is not None:
        _require("vni", vni, VNI_RANGE)
    for option, name in (("source", source_vm), ("destination", destination_vm)):
        if name is not None and not name.strip():
            raise UsageError(f"the {option} VM has an empty name: leave it out, or name a VM of the inventory")
    if wide and source_vm is not None:
        raise UsageError("--wide looks at every edge port, --from at the one of its VM: leave one of them out")
    return TraceRequest(parse(filter_text), Scope(vni, source_vm, destination_vm, wide), packet_count, trace_time)


def counting_request(  # noqa: PLR0913 - one argument per thing an operator can say
    filter_text: str,
    *,
    counting_time: int = DEFAULT_COUNTING_TIME,
    interval: int = DEFAULT_INTERVAL,
    vni: int | None = None,
    source_vm: str | None = None,
    destination_vm: str | None = None,
    wide: bool = False,
) -> TraceRequest:
    """The request for a task that counts packets; times are in seconds. Raises as ``trace_request`` does."""
    _require("trace_time", counting_time, COUNTING_TIME_RANGE)
    _require("interval", interval, INTERVAL_RANGE)
    if interval > counting_time:
        raise UsageError(f"an interval of {interval} s does not fit into {counting_time} s: make one of them shorter")
    request = trace_request(filter_text, vni=vni, source_vm=source_vm, destination_vm=destination_vm, wide=wide)
    return replace(request, trace_time=counting_time, interval=interval)


def _require(name: str, value: int, allowed: range) -> None:
    if value not in allowed:
        raise UsageError(f"{name} is {value}: give a number from {allowed[0]} to {allowed[-1]}")
