"""Turns actions and instructions into the text OVS itself would print (ovs-actions(7))."""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    OFPP_MAX,
    Action,
    ApplyActions,
    Bundle,
    CheckPacketLarger,
    ClearActions,
    Clone,
    Conjunction,
    Conntrack,
    ConntrackClear,
    Controller,
    DecMplsTtl,
    DecTtl,
    Exit,
    GotoTable,
    Group,
    Instruction,
    Learn,
    Meter,
    Move,
    Multipath,
    Nat,
    Neutral,
    Note,
    Output,
    OutputSubField,
    Pop,
    PopMpls,
    PopVlan,
    Push,
    PushMpls,
    PushVlan,
    Resubmit,
    SetField,
    SetTunnelId,
    UnknownAction,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)
from vtrace_ovs.model.notation import hexadecimal, port_text, sub_field_text, value_text
from vtrace_ovs.model.oxm import VLAN_TCI, SubField, field

_ALL_BYTES = 0xFFFF
_OFPR_ACTION = 1
_REASONS = {0: "no_match", 1: "action", 2: "invalid_ttl", 3: "action_set", 4: "group", 5: "packet_out"}
_ALGORITHMS = {21: "ftp", 69: "tftp"}
_OVS_NAMES = {"ipv4_src": "ip_src", "ipv4_dst": "ip_dst", "ip_proto": "nw_proto", "ip_ecn": "nw_ecn"}
_VLAN_PARTS = {0x1FFF: field("vlan_vid"), 0xE000: field("vlan_pcp")}


def _output(action: Output) -> str:
    if action.port == OFPP_CONTROLLER:
        return f"CONTROLLER:{action.max_len}"
    if action.max_len:
        return f"output(port={port_text(action.port)},max_len={action.max_len})"
    return f"output:{action.port}" if action.port < OFPP_MAX else port_text(action.port)


def _set_field(action: SetField) -> str:
    target, value, mask = action.field, action.value, action.mask
    if target is VLAN_TCI and mask in _VLAN_PARTS:
        target = _VLAN_PARTS[mask]
        shift = (mask & -mask).bit_length() - 1
        value, mask = value >> shift, mask >> shift
    offset = (mask & -mask).bit_length() - 1
    width = mask.bit_length() - offset
    if mask not in (0, target.full_mask) and mask == ((1 << width) - 1) << offset:
        return f"load:{hexadecimal(value >> offset)}->{sub_field_text(SubField(target, offset, width))}"
    return f"set_field:{value_text(target, value, mask)}->{_OVS_NAMES.get(target.name, target.name)}"


def _resubmit(action: Resubmit) -> str:
    if action.table_id is None and action.in_port is not None:
        return f"resubmit:{port_text(action.in_port)}"
    port = "" if action.in_port is None else port_text(action.in_port)
    table = "" if action.table_id is None else action.table_id
    return f"resubmit({port},{table}{',ct' if action.with_conntrack else ''})"


def _controller(action: Controller) -> str:
    words = []
    if action.reason != _OFPR_ACTION:
        words.append(f"reason={_REASONS.get(action.reason, action.reason)}")
    if action.max_len != _ALL_BYTES:
        words.append(f"max_len={action.max_len}")
    if action.controller_id:
        words.append(f"id={action.controller_id}")
    if action.userdata:
        words.append(f"userdata={action.userdata.hex('.')}")
    if action.pause:
        words.append("pause")
    if action.meter_id is not None:
        words.append(f"meter_id={action.meter_id}")
    if not words or (len(words) == 1 and words[0].startswith("max_len=")):
        return f"CONTROLLER:{action.max_len}"
    return f"controller({','.join(words)})"


def _conntrack(action: Conntrack) -> str:
    words = [word for word, wanted in (("commit", action.commit), ("force", action.force)) if wanted]
    if action.table_id is not None:
        words.append(f"table={action.table_id}")
    if isinstance(action.zone, SubField):
        words.append(f"zone={sub_field_text(action.zone)}")
    elif action.zone:
        words.append(f"zone={action.zone}")
    nested = action.nested
    if nested and isinstance(nested[0], Nat):
        words.append(action_text(nested[0]))
        nested = nested[1:]
    if nested:
        words.append(f"exec({actions_text(nested)})")
    if action.alg:
        words.append(f"alg={_ALGORITHMS.get(action.alg, action.alg)}")
    return f"ct({','.join(words)})"


def _nat(action: Nat) -> str:
    if not (action.source or action.destination):
        return "nat"
    way = "src" if action.source else "dst"
    return f"nat({way}={action.range_text})" if action.range_text else f"nat({way})"


def _dec_ttl(action: DecTtl) -> str:
    return "dec_ttl" if action.controller_ids == (0,) else f"dec_ttl({','.join(map(str, action.controller_ids))})"


def _conjunction(action: Conjunction) -> str:
    return f"conjunction({action.conjunction_id},{action.clause + 1}/{action.n_clauses})"


def _bundle(action: Bundle) -> str:
    name, way = ("bundle", "") if action.destination is None else ("bundle_load", sub_field_text(action.destination))
    chosen = "active_backup" if action.active_backup else "hrw"
    return f"{name}({chosen}{',' if way else ''}{way},members:{','.join(map(port_text, action.members))})"


def _tunnel(action: SetTunnelId) -> str:
    return f"set_field:{hexadecimal(action.tun_id)}->tun_id"


_WORDS: dict[type[Any], Callable[[Any], str]] = {
    Output: _output,
    OutputSubField: lambda action: f"output:{sub_field_text(action.source)}",
    Group: lambda action: f"group:{action.group_id}",
    SetField: _set_field,
    Move: lambda action: f"move:{sub_field_text(action.source)}->{sub_field_text(action.destination)}",
    Push: lambda action: f"push:{sub_field_text(action.source)}",
    Pop: lambda action: f"pop:{sub_field_text(action.destination)}",
    Resubmit: _resubmit,
    Controller: _controller,
    PushVlan: lambda action: f"push_vlan:{action.eth_type:#06x}",
    PopVlan: lambda _: "pop_vlan",
    PushMpls: lambda action: f"push_mpls:{action.eth_type:#06x}",
    PopMpls: lambda action: f"pop_mpls:{action.eth_type:#06x}",
    DecMplsTtl: lambda _: "dec_mpls_ttl",
    DecTtl: _dec_ttl,
    Meter: lambda action: f"meter:{action.meter_id}",
    Conntrack: _conntrack,
    Nat: _nat,
    ConntrackClear: lambda _: "ct_clear",
    Clone: lambda action: f"clone({actions_text(action.nested)})",
    SetTunnelId: _tunnel,
    Learn: lambda action: f"learn(table={action.table_id})",
    Note: lambda action: f"note:{action.note.hex('.')}",
    Exit: lambda _: "exit",
    Conjunction: _conjunction,
    CheckPacketLarger: lambda action: f"check_pkt_larger({action.length})->{sub_field_text(action.destination)}",
    Multipath: lambda action: f"multipath({action.n_links} links)->{sub_field_text(action.destination)}",
    Bundle: _bundle,
    Neutral: lambda action: str(action.name),
    UnknownAction: lambda action: str(action.name),
}


def action_text(action: Action) -> str:
    """One action in dump-flows syntax; actions known by name only are just their name."""
    return _WORDS[type(action)](action)


def actions_text(actions: Iterable[Action]) -> str:
    """Actions in dump-flows syntax, ``drop`` when there are none."""
    return ",".join(action_text(action) for action in actions) or "drop"


def _instruction(instruction: Instruction) -> str:
    match instruction:
        case ApplyActions(actions):
            return ",".join(action_text(action) for action in actions)
        case WriteActions(actions):
            return f"write_actions({actions_text(actions)})"
        case ClearActions():
            return "clear_actions"
        case GotoTable(table_id):
            return f"goto_table:{table_id}"
        case WriteMetadata(value, mask):
            return f"write_metadata:{value_text(field('metadata'), value, mask)}"
        case Meter(meter_id):
            return f"meter:{meter_id}"
        case UnknownInstruction(name):
            return name
        case _:
            assert_never(instruction)


def instructions_text(instructions: Iterable[Instruction]) -> str:
    """What a flow does, as dump-flows prints it behind ``actions=``; ``drop`` when it does nothing."""
    return ",".join(filter(None, map(_instruction, instructions))) or "drop"
