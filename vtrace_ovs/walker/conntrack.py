"""Turns ``ct(...)`` and what is known of a packet's connection into the recirculated packet.

Source: ``compose_conntrack_action()`` in Open vSwitch 3.1: nested actions first, then a copy recirculates with the
state conntrack gives it, and the packet itself goes on untracked.
"""

from vtrace_ovs.model.actions import Conntrack, Move, Nat, SetField
from vtrace_ovs.model.oxm import CT_MARK
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.guide import Guide
from vtrace_ovs.walker.nat import translate
from vtrace_ovs.walker.state import CONNECTION, CT_NEW, CT_TRACKED, PacketState
from vtrace_ovs.walker.undecided import Undecided, Unknown, Unsupported

_MARKS = layout.bits_of("ct_mark", "ct_label")
_ORIGINAL_TUPLE = CONNECTION & ~_MARKS & ~layout.bits_of("ct_state", "ct_zone")


def track(
    state: PacketState, action: Conntrack, ct_state: int | None, ct_mark: int | None = None, guide: Guide | None = None
) -> PacketState | Undecided | None:
    """Run a ``ct`` action on ``state``: the packet that recirculates, None when none does, or why not.

    A new connection has mark and label 0. Of an older one the label is not known here, the mark is if ``ct_mark`` is.
    ``guide`` may know what ``nat`` writes.
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
                if nested.range_text and action.table_id is None:
                    return Unknown("what nat makes of a packet that does not recirculate is not in the flow tables")
            case _:
                return Unsupported(f"{type(nested).__name__} inside ct")
    recirculated = None
    if action.table_id is not None and ct_state is not None:
        recirculated = state.copy()
        packed = layout.replaced(recirculated.packed, "ct_state", ct_state | CT_TRACKED)
        recirculated.packed = layout.replaced(packed, "ct_zone", zone)
        recirculated.unknown = recirculated.unknown & ~layout.bits_of("ct_zone", "ct_state") | _ORIGINAL_TUPLE
        for nested in action.nested:
            if isinstance(nested, Nat):
                translate(recirculated, nested, ct_state, guide)
    state.clear_connection()
    return recirculated
