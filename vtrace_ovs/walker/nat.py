"""Turns a ``nat`` action and the state of a connection into the addresses of the packet that recirculates.

Source: ``ct(nat(…))`` in ovs-actions(7) and ``nat_get_unique_tuple()`` in ``lib/conntrack.c`` (Open vSwitch 3.1). What
the action leaves open, or an earlier packet decided, becomes unknown bits: the walk goes on until a flow asks for them.
"""

from vtrace_ovs.model.actions import Nat
from vtrace_ovs.model.nat_target import nat_target
from vtrace_ovs.model.oxm import field
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.guide import Guide
from vtrace_ovs.walker.state import CT_NEW, ETH_TYPE_IPV6, PacketState

CT_SOURCE_TRANSLATED = 0x40
CT_DESTINATION_TRANSLATED = 0x80
_SIDES = (("src", CT_SOURCE_TRANSLATED), ("dst", CT_DESTINATION_TRANSLATED))


def translate(state: PacketState, action: Nat, ct_state: int, guide: Guide | None = None) -> None:
    """Translate ``state`` as ``action`` does for a connection in ``ct_state``.

    Without a range ``nat`` repeats what was done to the connection before, and ``nat(src)`` only resolves clashes.
    ``guide`` may know what the packet left with: that is written where the tables leave it open.
    """
    if ct_state & CT_NEW:
        if action.range_text:
            side, bit = _SIDES[0] if action.source else _SIDES[1]
            _to_range(state, action.range_text, side, guide)
            state.packed |= layout.placed("ct_state", bit)
        return
    for side, bit in _SIDES:
        if ct_state & bit:
            _anything(state, side, guide)


def _to_range(state: PacketState, text: str, side: str, guide: Guide | None) -> None:
    target = nat_target(text)
    version = _version(state)
    if target is None or target.address.version != version:
        _anything(state, side, guide)
        return
    address = target.address
    state.set_masked(field(f"ipv{version}_{side}"), int(address), (1 << address.max_prefixlen) - 1)
    if target.port and _has_ports(state):
        state.packed = layout.replaced(state.packed, f"tcp_{side}", target.port)
    elif side == "src" and _has_ports(state):  # a source port no action fixes may change to resolve a clash
        _leave_open(state, guide, side, ("tcp_src",))


def _anything(state: PacketState, side: str, guide: Guide | None) -> None:
    """Nothing but an earlier packet, or chance, says what is written on this side."""
    address = f"ipv{_version(state)}_{side}"
    _leave_open(state, guide, side, (address, f"tcp_{side}") if _has_ports(state) else (address,))


def _leave_open(state: PacketState, guide: Guide | None, side: str, names: tuple[str, ...]) -> None:
    """These fields are unknown, but for what the guide says the packet left with."""
    for name in names:
        value = None if guide is None else _left_with(guide.translated, side, name)
        if value is None:
            state.unknown |= layout.bits_of(name)
        else:
            state.packed = layout.replaced(state.packed, name, value)
            state.unknown &= ~layout.bits_of(name)
    if guide is not None and guide.translated is not None:
        guide.written.append(side)


def _left_with(seen: FiveTuple | None, side: str, name: str) -> int | None:
    if seen is None:
        return None
    address, port = (seen.source, seen.source_port) if side == "src" else (seen.destination, seen.destination_port)
    if name.startswith("tcp"):
        return port
    return int(address) if name.startswith(f"ipv{address.version}") else None


def _version(state: PacketState) -> int:
    return 6 if layout.read(state.packed, "eth_type") == ETH_TYPE_IPV6 else 4


def _has_ports(state: PacketState) -> bool:
    return any(state.has(field(f"{protocol}_src")) for protocol in ("tcp", "udp", "sctp"))
