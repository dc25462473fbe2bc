"""Turns the headers of a captured frame into the packet's identity: a digest of what no VFD rewrites (design D5)."""

from hashlib import blake2b

from vtrace_ovs.model.packet import Fragment, Headers

DEFAULT_PAYLOAD_PREFIX = 64


def packet_id(headers: Headers, payload_prefix: int = DEFAULT_PAYLOAD_PREFIX) -> str:
    """A 16-digit hexadecimal identity that survives routing, NAT, re-marking and encapsulation.

    It covers the protocol, IP ID (IPv6: flow label, and the identification of fragments), a fragment's offset, L4
    invariants (TCP sequence, acknowledgement and flags; ICMP type, code, id and sequence; UDP length), the first
    ``payload_prefix`` payload bytes and the length behind the VLAN tag. Addresses, ports, MAC addresses, TTL, DSCP, ECN
    and VLAN are left out: VFDs rewrite them. ``payload_prefix`` must not exceed what *every* hop captures of the
    payload, or truncated copies of one packet would differ.

    Equal packets have equal identities (IP ID 0 or IPv6, same payload); ``stitch`` tells them apart by occurrence.
    """
    five_tuple = headers.five_tuple
    invariants = (
        headers.eth_type,
        # A 802.1Q tag may come and go on the way; it is the only part of the length a VFD changes.
        headers.length - (4 if headers.vlan_tci is not None else 0),
        None if five_tuple is None else five_tuple.protocol,
        headers.ip_id,
        headers.fragment.value,
        headers.tcp_seq,
        headers.tcp_ack,
        headers.tcp_flags,
        headers.icmp_type,
        headers.icmp_code,
        headers.icmp_id,
        headers.icmp_seq,
        headers.udp_length,
        # What few packets have is left out of the others' identities: they stay what stored records say.
        *(() if headers.flow_label is None else (headers.flow_label,)),
        *((headers.fragment_offset,) if headers.fragment is Fragment.LATER else ()),
    )
    digest = blake2b(repr(invariants).encode(), digest_size=8)
    digest.update(headers.payload[:payload_prefix])
    return digest.hexdigest()
