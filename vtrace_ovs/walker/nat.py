"""Turns a ``nat`` action and the state of a connection into the addresses of the packet that recirculates.

Source: ``ct(nat(…))`` in ovs-actions(7) and ``nat_get_unique_tuple()`` in ``lib/conntrack.c`` (Open vSwitch 3.1). What
the action leaves open, or an earlier packet decided, becomes unknown bits: the walk goes on until a flow asks for them.
"""

from vtrace_ovs.model.actions import Nat
from vtrace_ovs.model.nat_target import nat_target
from vtrace_ovs.model.oxm import field
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.state import CT_NEW, ETH_TYPE_IPV6, PacketState

CT_SOURCE_TRANSLATED = 0x40
CT_DESTINATION_TRANSLATED = 0x80
_SIDES = (("src", CT_SOURCE_TRANSLATED), ("dst", CT_DESTINATION_TRANSLATED))


def translate(state: PacketState, action: Nat, ct_state: int) -> None:
    """Translate ``state`` as ``action`` does for a connection in ``ct_state``.

    Without a range ``nat`` repeats what was done to the connection before, and ``nat(src)`` only resolves clashes.
    """
    if ct_state & CT_NEW:
        if action.range_text:
            side, bit = _SIDES[0] if action.source else _SIDES[1]
            _to_range(state, action.range_text, side)
            state.packed |= layout.placed("ct_state", bit)
        return
    for side, bit in _SIDES:
        if ct_state & bit:
            _forget(state, side)
            _forget_port(state, side)


def _to_range(state: PacketState, text: str, side: str) -> None:
    target = nat_target(text)
    version = 6 if layout.read(state.packed, "eth_type") == ETH_TYPE_IPV6 else 4
    if target is None or target.address.version != version:
        _forget(state, side)
        _forget_port(state, side)
        return
    address = target.address
    state.set_masked(field(f"ipv{version}_{side}"), int(address), (1 << address.max_prefixlen) - 1)
    if target.port and _has_ports(state):
        state.packed = layout.replaced(state.packed, f"tcp_{side}", target.port)
    elif side == "src":
        _forget_port(state, side)  # a source port no action fixes may change to resolve a clash


def _forget(state: PacketState, side: str) -> None:
    version = 6 if layout.read(state.packed, "eth_type") == ETH_TYPE_IPV6 else 4
    state.unknown |= layout.bits_of(f"ipv{version}_{side}")


def _forget_port(state: PacketState, side: str) -> None:
    if _has_ports(state):
        state.unknown |= layout.bits_of(f"tcp_{side}")


def _has_ports(state: PacketState) -> bool:
    return any(state.has(field(f"{protocol}_src")) for protocol in ("tcp", "udp", "sctp"))
