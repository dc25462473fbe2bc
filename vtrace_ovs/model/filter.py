"""Which traffic a task is about: the five-tuple with any part left open, and where to look for it."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from vtrace_ovs.model.packet import IpFamily

IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Filter:
    """A five-tuple filter of one family; None means any. ``text`` is the canonical OVS flow syntax of this filter.

    Ports need a protocol of TCP or UDP, ``icmp_type``/``icmp_code`` need the family's ICMP, prefixes are of the family;
    ``filters.parse`` enforces it.
    """

    text: str
    protocol: int | None = None
    source: IPNetwork | None = None
    destination: IPNetwork | None = None
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    family: IpFamily = IpFamily.IPV4


@dataclass(frozen=True, slots=True)
class Scope:
    """Where traffic of a filter may enter the overlay. None means anywhere.

    ``vni`` keeps tenants with the same addresses apart; ``source_vm`` and ``destination_vm`` are names the
    inventory knows (interface ``external_ids``, or the port name).
    """

    vni: int | None = None
    source_vm: str | None = None
    destination_vm: str | None = None
