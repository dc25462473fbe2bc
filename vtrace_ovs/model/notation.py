"""Turns field values into the text OVS writes for them (ovs-fields(7), "Format")."""

from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.model.oxm import Field, Notation, SubField

CT_STATE_BITS = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")
TCP_FLAG_BITS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]")
TUNNEL_FLAG_BITS = ("oam",)
RESERVED_PORTS = {
    0xFFFFFFF8: "IN_PORT",
    0xFFFFFFF9: "TABLE",
    0xFFFFFFFA: "NORMAL",
    0xFFFFFFFB: "FLOOD",
    0xFFFFFFFC: "ALL",
    0xFFFFFFFD: "CONTROLLER",
    0xFFFFFFFE: "LOCAL",
    0xFFFFFFFF: "ANY",
}
_FLAG_NAMES = {
    Notation.CT_STATE: CT_STATE_BITS,
    Notation.TCP_FLAGS: TCP_FLAG_BITS,
    Notation.TUNNEL_FLAGS: TUNNEL_FLAG_BITS,
}


def port_text(port: int) -> str:
    """An OpenFlow port number, reserved ones by name."""
    return RESERVED_PORTS.get(port, str(port))


def hexadecimal(value: int) -> str:
    """A number as C's ``%#x`` prints it: zero has no prefix."""
    return f"{value:#x}" if value else "0"


def mac_text(value: int) -> str:
    """``xx:xx:xx:xx:xx:xx``."""
    return value.to_bytes(6).hex(":")


def flags_text(names: tuple[str, ...], value: int, mask: int) -> str:
    """Flags under a mask, ``-new+trk``; those set, ``est|trk``, or ``0`` when the mask is all of them."""
    if mask == (1 << len(names)) - 1 and len(names) > 1:
        return "|".join(name for bit, name in enumerate(names) if value >> bit & 1) or "0"
    return "".join(f"{'+' if value >> bit & 1 else '-'}{name}" for bit, name in enumerate(names) if mask >> bit & 1)


def _ip(bits: int, value: int, mask: int) -> str:
    address = IPv4Address if bits == 32 else IPv6Address  # noqa: PLR2004  the width of an IPv4 address
    full = (1 << bits) - 1
    if mask == full:
        return str(address(value))
    inverted = mask ^ full
    if inverted & (inverted + 1):
        return f"{address(value)}/{address(mask)}"
    return f"{address(value)}/{bits - inverted.bit_length()}"


def value_text(entry: Field, value: int, mask: int | None = None) -> str:
    """A value under a mask (all bits when None) as ``value`` or ``value/mask``."""
    mask = entry.full_mask if mask is None else mask
    exact = mask == entry.full_mask
    match entry.notation:
        case Notation.IPV4 | Notation.IPV6:
            return _ip(entry.width, value, mask)
        case Notation.ETHERNET:
            return mac_text(value) if exact else f"{mac_text(value)}/{mac_text(mask)}"
        case Notation.PORT:
            return port_text(value)
        case Notation.CT_STATE | Notation.TCP_FLAGS | Notation.TUNNEL_FLAGS:
            return flags_text(_FLAG_NAMES[entry.notation], value, mask)
        case Notation.PACKET_TYPE:
            return f"({value >> 16},{hexadecimal(value & 0xFFFF)})"
        case Notation.DECIMAL if exact:
            return str(value)
        case _:
            return hexadecimal(value) if exact else f"{hexadecimal(value)}/{hexadecimal(mask)}"


def sub_field_text(part: SubField) -> str:
    """``NXM_NX_REG0[]``, ``NXM_NX_REG0[4]`` or ``NXM_NX_REG0[0..15]``."""
    name = part.field.nxm or part.field.name
    if part.offset == 0 and part.width == part.field.width:
        return f"{name}[]"
    last = part.offset + part.width - 1
    return f"{name}[{part.offset}]" if part.width == 1 else f"{name}[{part.offset}..{last}]"
