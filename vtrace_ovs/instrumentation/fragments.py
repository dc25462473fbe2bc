"""Turns a filter into the matches of fragments that may be of it, which have no ports for Open vSwitch (trap T26).

In a bridge's default mode (``set-frags BRIDGE normal``, ovs-ofctl(8)) ports and ICMP type of every fragment are zero,
so a filter that names them matches none. Whose a fragment is tell the frames themselves: the first one has the ports,
and the later ones of its datagram have its IP ID. IPv6 shows later fragments as protocol 44.
"""

from collections.abc import Iterator
from dataclasses import replace

from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.instrumentation.reach import filter_match
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IP_FRAG
from vtrace_ovs.model.packet import IpFamily

ANY_FRAGMENT = MaskedField(IP_FRAG, 0b01, 0b01)
LATER_FRAGMENT = MaskedField(IP_FRAG, 0b11, 0b11)
IPV6_FRAGMENT = 44


def fragment_matches(traffic: Filter) -> tuple[Match, ...]:
    """The fragments that may be of a filter and that its own match misses, with others of the same addresses."""
    return tuple(_matches(traffic))


def _matches(traffic: Filter) -> Iterator[Match]:
    upper = (traffic.source_port, traffic.destination_port, traffic.icmp_type, traffic.icmp_code)
    source_port, destination_port, icmp_type, icmp_code = (None if value is None else 0 for value in upper)
    if any(value is not None for value in upper):
        zeros = replace(
            traffic,
            source_port=source_port,
            destination_port=destination_port,
            icmp_type=icmp_type,
            icmp_code=icmp_code,
        )
        yield filter_match(zeros).with_fields(ANY_FRAGMENT)
    if traffic.family is IpFamily.IPV6 and traffic.protocol is not None:
        later = Filter("", IPV6_FRAGMENT, traffic.source, traffic.destination, family=traffic.family)
        yield filter_match(later).with_fields(LATER_FRAGMENT)


def source_matches(task: ArmedTask) -> tuple[Match, ...]:
    """What a task's packets look like where they enter."""
    return (*(filter_match(entry) for entry in task.colored), *(source_fragments(task) if task.fragments else ()))


def source_fragments(task: ArmedTask) -> tuple[Match, ...]:
    """What fragments that may be a task's look like where they enter."""
    return tuple(match for entry in task.colored for match in fragment_matches(entry))


def task_matches(task: ArmedTask) -> tuple[Match, ...]:
    """What a task's packets may look like anywhere: behind NAT, and as fragments once there are any."""
    fragments = (match for entry in task.filters for match in fragment_matches(entry)) if task.fragments else ()
    return (*(filter_match(entry) for entry in task.filters), *fragments)
