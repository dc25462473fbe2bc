"""Turns copies of fragments into copies of a task's own: joined by IP ID, never by guess (trap T26)."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from vtrace_ovs.filters import accepts
from vtrace_ovs.instrumentation.fragments import IPV6_FRAGMENT
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import Fragment, Headers, IpFamily
from vtrace_ovs.model.records import Loc, PacketInRecord

MOST_WAITING = 512
"""Copies kept of fragments whose first was not seen yet."""


def needs_joining(traffic: Filter, headers: Headers) -> bool:
    """Whether a packet is a fragment that a filter cannot judge by what Open vSwitch sees of it."""
    upper = (traffic.source_port, traffic.destination_port, traffic.icmp_type, traffic.icmp_code)
    named = any(value is not None for value in upper) or (
        # Later ones are of protocol 44; a filter that asks for that one sees them itself.
        traffic.family is IpFamily.IPV6 and traffic.protocol not in (None, IPV6_FRAGMENT)
    )
    return named and headers.fragment is not Fragment.NO


@dataclass(slots=True)
class Datagrams:
    """What one task knows of fragments: which datagrams are its own, and copies that wait to be known.

    A datagram is known where its first fragment is colored: by addresses and IP ID. Further on a fragment is known by
    its identity, as every packet is.
    """

    traffic: Filter
    own: dict[Hashable, bool] = field(default_factory=dict)
    identities: set[str] = field(default_factory=set)
    waiting: list[PacketInRecord] = field(default_factory=list)
    unknown: int = 0

    def admit(self, record: PacketInRecord) -> tuple[PacketInRecord, ...]:
        """The records that are the task's, now that this one is here, in the order they came."""
        if record.headers.fragment is Fragment.FIRST and _enters(record):
            self.own[_datagram(record.headers)] = accepts(self.traffic, record.headers)
        self.waiting.append(record)
        admitted: list[PacketInRecord] = []
        while True:
            news = [one for one in self.waiting if self._is_own(one)]
            if not news:
                break
            self.identities.update(one.packet_id for one in news)
            admitted += news
            self.waiting = [one for one in self.waiting if one not in news]
        self.waiting = [one for one in self.waiting if not self._is_foreign(one)]
        self.unknown += len(self.waiting[:-MOST_WAITING])
        self.waiting = self.waiting[-MOST_WAITING:]
        return tuple(sorted(admitted, key=lambda one: one.timestamp))

    def _is_own(self, record: PacketInRecord) -> bool:
        if record.packet_id in self.identities:
            return True
        return _enters(record) and self.own.get(_datagram(record.headers), False)

    def _is_foreign(self, record: PacketInRecord) -> bool:
        return _enters(record) and self.own.get(_datagram(record.headers)) is False

    @property
    def note(self) -> str | None:
        """What a result must say of fragments nobody could be named for."""
        lost = self.unknown + sum(1 for one in self.waiting if _enters(one))
        copies = "copy" if lost == 1 else "copies"
        return f"{lost} {copies} of fragments belong to no first fragment that was seen: left out" if lost else None


def _enters(record: PacketInRecord) -> bool:
    return record.loc is Loc.IN and record.dscp_mark == 1


def _datagram(headers: Headers) -> Hashable:
    """What all fragments of one datagram have in common where it enters (RFC 791, RFC 8200 section 4.5)."""
    tuple_ = headers.five_tuple
    ends = None if tuple_ is None else (tuple_.source, tuple_.destination)
    return headers.eth_src, ends, headers.ip_id
