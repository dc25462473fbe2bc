"""Turns a filter and a packet, or two filters, into whether they have anything in common."""

from vtrace_ovs.model.filter import Filter, IPNetwork
from vtrace_ovs.model.packet import FiveTuple, Headers


def accepts(filter_: Filter, headers: Headers) -> bool:
    """Whether the filter matches a packet with these headers, as an OVS flow with this match would.

    A header that could not be read never equals a wanted value.
    """
    if headers.eth_type != filter_.family or headers.five_tuple is None:
        return False
    return (
        accepts_five_tuple(filter_, headers.five_tuple)
        and filter_.icmp_type in (None, headers.icmp_type)
        and filter_.icmp_code in (None, headers.icmp_code)
    )


def accepts_five_tuple(filter_: Filter, five_tuple: FiveTuple) -> bool:
    """Whether the five-tuple part of the filter matches; ICMP type and code are not part of it."""
    return (
        filter_.family is five_tuple.family
        and filter_.protocol in (None, five_tuple.protocol)
        and (filter_.source is None or five_tuple.source in filter_.source)
        and (filter_.destination is None or five_tuple.destination in filter_.destination)
        and filter_.source_port in (None, five_tuple.source_port)
        and filter_.destination_port in (None, five_tuple.destination_port)
    )


def overlap(first: Filter, second: Filter) -> bool:
    """Whether some packet could match both filters."""
    return (
        first.family is second.family
        and _numbers_meet(first.protocol, second.protocol)
        and _networks_meet(first.source, second.source)
        and _networks_meet(first.destination, second.destination)
        and _numbers_meet(first.source_port, second.source_port)
        and _numbers_meet(first.destination_port, second.destination_port)
        and _numbers_meet(first.icmp_type, second.icmp_type)
        and _numbers_meet(first.icmp_code, second.icmp_code)
    )


def _numbers_meet(first: int | None, second: int | None) -> bool:
    return first is None or second is None or first == second


def _networks_meet(first: IPNetwork | None, second: IPNetwork | None) -> bool:
    return first is None or second is None or first.overlaps(second)  # both of one family
