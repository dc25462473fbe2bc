"""Turns a ``Filter`` into its one canonical text, in OVS flow syntax."""

from ipaddress import IPv4Network

from vtrace_ovs.filters.vocabulary import protocol_name
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import IpProtocol

_WITH_KEYWORD = frozenset({IpProtocol.ICMP, IpProtocol.TCP, IpProtocol.UDP})


def canonical_text(filter_: Filter) -> str:
    """The canonical text of a filter's fields; ``filter_.text`` itself is not read.

    Protocol first (``tcp``, ``udp``, ``icmp``, else ``ip`` and ``nw_proto``), then addresses, then ports or ICMP type
    and code: ``tcp,nw_src=10.0.0.1,nw_dst=10.0.1.0/24,tp_dst=443``.
    """
    numbers = (
        ("tp_src", filter_.source_port),
        ("tp_dst", filter_.destination_port),
        ("icmp_type", filter_.icmp_type),
        ("icmp_code", filter_.icmp_code),
    )
    addresses = (("nw_src", filter_.source), ("nw_dst", filter_.destination))
    parts = [_protocol(filter_.protocol)]
    parts += [f"{name}={_prefix(network)}" for name, network in addresses if network is not None]
    parts += [f"{name}={value}" for name, value in numbers if value is not None]
    return ",".join(parts)


def _protocol(protocol: int | None) -> str:
    if protocol is None:
        return "ip"
    if protocol in _WITH_KEYWORD:
        return protocol_name(protocol)
    return f"ip,nw_proto={protocol}"


def _prefix(network: IPv4Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
