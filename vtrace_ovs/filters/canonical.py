"""Turns a ``Filter`` into its one canonical text, in OVS flow syntax."""

from ipaddress import IPv6Address

from vtrace_ovs.filters.vocabulary import protocol_name
from vtrace_ovs.model.filter import Filter, IPNetwork
from vtrace_ovs.model.packet import ADDRESS_FIELDS, IPAddress, IpFamily, IpProtocol

_WITH_KEYWORD = {
    IpFamily.IPV4: frozenset({IpProtocol.ICMP, IpProtocol.TCP, IpProtocol.UDP}),
    IpFamily.IPV6: frozenset({IpProtocol.ICMPV6, IpProtocol.TCP, IpProtocol.UDP}),
}
_FAMILIES = {IpFamily.IPV4: "ip", IpFamily.IPV6: "ipv6"}


def canonical_text(filter_: Filter) -> str:
    """The canonical text of a filter's fields; ``filter_.text`` itself is not read.

    Protocol first (``tcp``, ``udp6``, ``icmp``, else ``ip`` or ``ipv6`` and ``nw_proto``), then addresses, then ports
    or ICMP type and code: ``tcp,nw_src=10.0.0.1,nw_dst=10.0.1.0/24,tp_dst=443``. IPv6 addresses are those of RFC 5952.
    """
    numbers = (
        ("tp_src", filter_.source_port),
        ("tp_dst", filter_.destination_port),
        ("icmp_type", filter_.icmp_type),
        ("icmp_code", filter_.icmp_code),
    )
    addresses = zip(ADDRESS_FIELDS[filter_.family], (filter_.source, filter_.destination), strict=True)
    parts = [_protocol(filter_.protocol, filter_.family)]
    parts += [f"{name}={_prefix(network)}" for name, network in addresses if network is not None]
    parts += [f"{name}={value}" for name, value in numbers if value is not None]
    return ",".join(parts)


def _protocol(protocol: int | None, family: IpFamily) -> str:
    if protocol is None:
        return _FAMILIES[family]
    if protocol in _WITH_KEYWORD[family]:
        return protocol_name(protocol, family)
    return f"{_FAMILIES[family]},nw_proto={protocol}"


def _prefix(network: IPNetwork) -> str:
    address = _address(network.network_address)
    return address if network.prefixlen == network.max_prefixlen else f"{address}/{network.prefixlen}"


def _address(address: IPAddress) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address) if mapped is None else f"::ffff:{mapped}"  # RFC 5952 §5; Python writes it so from 3.13 on
