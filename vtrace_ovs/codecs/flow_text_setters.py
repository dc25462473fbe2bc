"""Turns ``set_field``, ``load`` and the older ``mod_…`` actions of a dumped flow into SetField (ovs-actions(7))."""

from vtrace_ovs.codecs.flow_text_match import transport_field
from vtrace_ovs.codecs.flow_text_words import PortNames, known_field, masked, number, sub_field
from vtrace_ovs.codecs.matching import port32
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import Action, SetField
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, VLAN_TCI, Field, components, field

_VLAN_PRESENT = 0x1000
_PCP_SHIFT = 13
_PORT_BITS = 16
_WHOLE = {
    "mod_dl_src": field("eth_src"),
    "mod_dl_dst": field("eth_dst"),
    "mod_nw_src": field("ipv4_src"),
    "mod_nw_dst": field("ipv4_dst"),
    "mod_nw_tos": field("nw_tos"),
    "mod_nw_ecn": field("ip_ecn"),
    "mod_nw_ttl": field("nw_ttl"),
    "set_mpls_label": field("mpls_label"),
    "set_mpls_tc": field("mpls_tc"),
    "set_mpls_ttl": field("mpls_ttl"),
}
_VLAN = frozenset({"mod_vlan_vid", "mod_vlan_pcp", "set_vlan_vid", "set_vlan_pcp"})
_TRANSPORT = frozenset({"mod_tp_src", "mod_tp_dst"})
MODIFIED = frozenset({*_WHOLE, *_VLAN, *_TRANSPORT})
"""The actions ``modify`` understands."""


def set_field(text: str, names: PortNames) -> tuple[Action, ...] | None:
    """``VALUE[/MASK]->FIELD``; None for a field this version does not know. Raises CodecError for a bad value."""
    value, arrow, name = text.rpartition("->")
    entry = known_field(name.removesuffix("[]"))
    if not arrow or entry is None:
        return None
    return (_written(masked(entry, value, names)),)


def load(text: str, names: PortNames) -> tuple[Action, ...] | None:
    """``VALUE->FIELD[first..last]``; None for a field this version does not know. Raises CodecError for a bad value."""
    value_text, arrow, target_text = text.rpartition("->")
    target = sub_field(target_text) if arrow else None
    if target is None:
        return None
    if target.field is IN_PORT and target.width == _PORT_BITS:
        port = port32(number(value_text)) if value_text[:1].isdecimal() else names.port(value_text)
        return (SetField(IN_PORT, port, IN_PORT.full_mask),)
    value = number(value_text, (1 << target.width) - 1)
    return (SetField(target.field, value << target.offset, target.mask),)


def modify(name: str, text: str, names: PortNames, protocol: int | None) -> tuple[Action, ...] | None:
    """One of ``MODIFIED`` with its value. None for ``mod_tp_…`` of a flow that does not say which protocol it is for.

    ``mod_vlan_vid`` gives an untagged packet a tag, ``set_vlan_vid`` leaves it alone: the CFI bit, which OVS keeps set
    in every tag, tells the walker which.
    """
    if name in _VLAN:
        present = _VLAN_PRESENT if name.startswith("mod_") else 0
        if name.endswith("vid"):
            return (SetField(VLAN_TCI, number(text, 0xFFF) | present, 0xFFF | present),)
        return (SetField(VLAN_TCI, number(text, 7) << _PCP_SHIFT | present, 7 << _PCP_SHIFT | present),)
    if name not in _TRANSPORT:
        return (_written(masked(_WHOLE[name], text, names)),)
    try:
        target: Field = transport_field(name.removeprefix("mod_"), protocol)
    except CodecError:
        return None
    return (_written(masked(target, text, names)),)


def _written(wanted: MaskedField) -> SetField:
    """A field that lies in another one (``vlan_vid``, ``nw_tos``) is written there, as actions off the wire are."""
    if len(components(wanted.field)) == 1:
        for part in Match.of(wanted).taken_apart().fields:
            return SetField(part.field, part.value, part.mask)
    return SetField(wanted.field, wanted.value, wanted.mask)
