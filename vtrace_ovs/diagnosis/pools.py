"""Turns a packet that conntrack was to translate and did not into the pool of addresses that had no room for it.

Where no address and port is free (``nat_get_unique_tuple`` of lib/conntrack.c), or the zone is full, the userspace
conntrack lets the packet on as it was: new, and in no connection.
"""

import re
from ipaddress import ip_address

from vtrace_ovs.diagnosis.case import Case
from vtrace_ovs.diagnosis.causes import wants_new
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import IPAddress

_POOL = re.compile(r"nat\((?P<end>src|dst)=(?P<span>[^,)]+)[^)]*\)")


def exhausted_pool(case: Case, flow: FlowKey | None) -> str | None:
    """The ``nat(...)`` where the stored tables send a new packet, which a flow dropped with its own address still on.

    None where the flow does not say that the packet is new: what is invalid is not translated either.
    """
    hop, expected = case.hop, case.expected
    headers = hop.headers_out or hop.headers_in
    if not wants_new(flow) or expected is None or not expected.steps or headers is None or headers.five_tuple is None:
        return None
    pool = _POOL.search(expected.steps[-1].actions)
    if pool is None:
        return None
    address = headers.five_tuple.source if pool["end"] == "src" else headers.five_tuple.destination
    ends = _ends(pool["span"])
    within = ends is None or ends[0].version != address.version or int(ends[0]) <= int(address) <= int(ends[1])
    return None if within else pool[0]


def _ends(span: str) -> tuple[IPAddress, IPAddress] | None:
    """The first and last address of ``A``, ``A-B``, ``A:PORTS`` or ``[A-B]:PORTS``."""
    if span.startswith("["):
        span = span[1:].partition("]")[0]
    elif "." in span:
        span = span.partition(":")[0]
    low, _, high = span.partition("-")
    try:
        return ip_address(low), ip_address(high or low)
    except ValueError:
        return None
