"""Turns the flows traced packets may hit into the tunnel destinations these flows may give them.

A mark is expected only where it may go: in an overlay of many servers, most bridges know the way to few of them.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.instrumentation.reach import Reach
from vtrace_ovs.instrumentation.walk import REMEMBERED, every_action, nested
from vtrace_ovs.model.actions import Action, Instruction, Move, Pop, SetField, UnknownAction
from vtrace_ovs.model.flow import GroupEntry
from vtrace_ovs.model.oxm import TUN_DST, TUN_IPV6_DST
from vtrace_ovs.model.packet import IPAddress

_DESTINATIONS = frozenset({TUN_DST, TUN_IPV6_DST})


def tunnel_destinations(reached: Reach, groups: Mapping[int, GroupEntry]) -> frozenset[IPAddress] | None:
    """Every address these flows and groups write; None when one of them takes it from elsewhere.

    What a flow learned later writes is not among them: until the next reading, its packets leave without a mark.
    """
    found: set[IPAddress] = set()
    written = [_written(flow.instructions) for flows in reached.flows.values() for flow in flows]
    buckets = (bucket for group in groups.values() for bucket in group.buckets)
    written += [_addresses(nested(bucket.actions)) for bucket in buckets]
    for addresses in written:
        if addresses is None:
            return None
        found |= addresses
    return frozenset(found)


@lru_cache(maxsize=REMEMBERED)
def _written(instructions: tuple[Instruction, ...]) -> frozenset[IPAddress] | None:
    return _addresses(every_action(instructions))


def _addresses(actions: Iterable[Action]) -> frozenset[IPAddress] | None:
    found: set[IPAddress] = set()
    for action in actions:
        match action:
            case SetField(field=field, value=value, mask=mask) if field in _DESTINATIONS:
                if mask != field.full_mask:
                    return None
                found.add(IPv4Address(value) if field == TUN_DST else IPv6Address(value))
            case Move(destination=part) | Pop(destination=part) if part.field in _DESTINATIONS:
                return None
            case UnknownAction():
                return None
            case _:
                pass
    return frozenset(found)
