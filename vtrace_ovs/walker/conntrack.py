"""Turns ``ct(...)`` and what is known of a packet's connection into the recirculated packet.

Source: ``compose_conntrack_action()`` in Open vSwitch 3.1: nested actions first, then a copy recirculates with the
state conntrack gives it, and the packet itself goes on untracked.
"""

import re
from ipaddress import IPv4Address

from vtrace_ovs.model.actions import Conntrack, Move, Nat, SetField
from vtrace_ovs.model.oxm import CT_MARK, field
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.state import CONNECTION, CT_NEW, CT_TRACKED, PacketState
from vtrace_ovs.walker.undecided import Undecided, Unknown, Unsupported

CT_SOURCE_TRANSLATED = 0x40
CT_DESTINATION_TRANSLATED = 0x80
_ALL_32 = 0xFFFFFFFF
_SINGLE = re.compile(r"(?P<address>\d+\.\d+\.\d+\.\d+)(?::(?P<port>\d+))?(?:,(?:persistent|hash|random))*")
_MARKS = layout.bits_of("ct_mark", "ct_label")
_ORIGINAL_TUPLE = CONNECTION & ~_MARKS & ~layout.bits_of("ct_state", "ct_zone")


def track(
    state: PacketState, action: Conntrack, ct_state: int | None, ct_mark: int | None = None
) -> PacketState | Undecided | None:
    """Run a ``ct`` action on ``state``: the packet that recirculates, None when none does, or why not.

    A new connection has mark and label 0, and is translated as the action says where that leaves no choice. Of an
    older one the label is not known here, the mark is if ``ct_mark`` is, and a translation only where ``ct_state`` says
    that there is none.
    """
    if ct_state is None and action.table_id is not None:
        return Unknown("what connection tracking says of this packet is not known")
    new = ct_state is not None and bool(ct_state & CT_NEW)
    zone, zone_unknown = (action.zone, 0) if isinstance(action.zone, int) else state.read(action.zone)
    if zone_unknown:
        return Unknown("the connection tracking zone is not known")
    state.packed &= ~_MARKS
    state.unknown = state.unknown & ~_MARKS | (0 if new else _MARKS)
    if ct_mark is not None and not new:
        state.set_masked(CT_MARK, ct_mark, CT_MARK.full_mask)
    for nested in action.nested:
        match nested:
            case SetField():
                state.set_masked(nested.field, nested.value, nested.mask)
            case Move():
                state.move(nested.source, nested.destination)
            case Nat():
                if not _is_decided(nested, ct_state, recirculates=action.table_id is not None):
                    return Unsupported("nat")
            case _:
                return Unsupported(f"{type(nested).__name__} inside ct")
    recirculated = None
    if action.table_id is not None and ct_state is not None:
        recirculated = state.copy()
        packed = layout.replaced(recirculated.packed, "ct_state", ct_state | CT_TRACKED)
        recirculated.packed = layout.replaced(packed, "ct_zone", zone)
        recirculated.unknown = recirculated.unknown & ~layout.bits_of("ct_zone", "ct_state") | _ORIGINAL_TUPLE
        for nested in action.nested:
            if isinstance(nested, Nat) and nested.range_text:
                _translate(recirculated, nested)
    state.clear_connection()
    return recirculated


def _is_decided(action: Nat, ct_state: int | None, *, recirculates: bool) -> bool:
    """Whether this translation has one outcome: no choice of address or port, and a connection known to be new.

    Without a range ``nat`` repeats what was done to the connection before, and ``nat(src)`` only resolves clashes.
    """
    if ct_state is None or not ct_state & CT_NEW:
        return ct_state is not None and not ct_state & (CT_SOURCE_TRANSLATED | CT_DESTINATION_TRANSLATED)
    return not action.range_text or (recirculates and _SINGLE.fullmatch(action.range_text) is not None)


def _translate(state: PacketState, action: Nat) -> None:
    """Write the one address (and port) the action allows; a port it does not fix may change too: unknown."""
    found = _SINGLE.fullmatch(action.range_text)
    if found is None:
        return
    side, bit = ("src", CT_SOURCE_TRANSLATED) if action.source else ("dst", CT_DESTINATION_TRANSLATED)
    state.set_masked(field(f"ipv4_{side}"), int(IPv4Address(found["address"])), _ALL_32)
    if state.has(field("tcp_src")) or state.has(field("udp_src")):
        if found["port"]:
            state.packed = layout.replaced(state.packed, f"tcp_{side}", int(found["port"]))
        elif action.source:
            state.unknown |= layout.bits_of("tcp_src")
    state.packed |= layout.placed("ct_state", bit)
