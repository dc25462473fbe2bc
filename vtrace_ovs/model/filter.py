"""Which traffic a task is about: the five-tuple with any part left open, and where to look for it."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from vtrace_ovs.model.packet import FiveTuple, IpFamily

IPNetwork = IPv4Network | IPv6Network
_ECHO_ANSWERS = {8: 0, 0: 8, 128: 129, 129: 128}
"""Echo and echo reply, both ways (RFC 792, RFC 4443)."""


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

    @staticmethod
    def of(five_tuple: FiveTuple) -> "Filter":
        """The filter of this one connection, under the text the five-tuple has; ICMP of any type."""
        return Filter(
            str(five_tuple),
            protocol=five_tuple.protocol,
            source=ip_network(five_tuple.source),
            destination=ip_network(five_tuple.destination),
            source_port=five_tuple.source_port,
            destination_port=five_tuple.destination_port,
            family=five_tuple.family,
        )

    def reversed(self, text: str) -> "Filter":
        """The filter of what answers this traffic, under that text. Only an echo's answer is known by its ICMP type."""
        return Filter(
            text,
            protocol=self.protocol,
            source=self.destination,
            destination=self.source,
            source_port=self.destination_port,
            destination_port=self.source_port,
            icmp_type=None if self.icmp_type is None else _ECHO_ANSWERS.get(self.icmp_type),
            family=self.family,
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """Where traffic of a filter may enter the overlay. None means anywhere.

    ``vni`` keeps tenants with the same addresses apart; ``source_vm`` and ``destination_vm`` are names the
    inventory knows (interface ``external_ids``, or the port name). ``wide`` looks at every edge port of the VNI, or of
    all, where addresses would tell fewer, or megaflows of other traffic would multiply.
    """

    vni: int | None = None
    source_vm: str | None = None
    destination_vm: str | None = None
    wide: bool = False
