"""Turns filter text in OVS flow syntax into a ``Filter``, and answers which packets a filter accepts."""

from vtrace_ovs.filters.canonical import canonical_text
from vtrace_ovs.filters.matching import accepts, accepts_five_tuple, overlap
from vtrace_ovs.filters.parser import parse
from vtrace_ovs.filters.replies import reply_request, require_two_ways, reversed_filter
from vtrace_ovs.filters.requests import counting_request, trace_request

__all__ = [
    "accepts",
    "accepts_five_tuple",
    "canonical_text",
    "counting_request",
    "overlap",
    "parse",
    "reply_request",
    "require_two_ways",
    "reversed_filter",
    "trace_request",
]
