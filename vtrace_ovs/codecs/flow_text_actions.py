"""Turns the actions part of a dumped flow into instructions (ovs-actions(7)).

An action this version does not know, or knows in another form, becomes an UnknownAction of its name: never a guess.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from vtrace_ovs.codecs import flow_text_choices as choices
from vtrace_ovs.codecs import flow_text_setters as setters
from vtrace_ovs.codecs.flow_text_words import (
    REMEMBERED,
    PortNames,
    known_field,
    masked,
    number,
    split,
    sub_field,
    table_number,
)
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model import actions as act
from vtrace_ovs.model.notation import RESERVED_PORTS
from vtrace_ovs.model.oxm import METADATA

_WORD = re.compile(r"(?P<name>\w+)(?::(?P<value>.*)|(?P<bracket>\(.*\))(?:->(?P<target>.*))?)?", re.DOTALL)
_REASONS = {"no_match": 0, "action": 1, "invalid_ttl": 2, "action_set": 3, "group": 4, "packet_out": 5}
_ALGORITHMS = {"ftp": 21, "tftp": 69}
_RESERVED = {name.lower() for name in RESERVED_PORTS.values()}
_NEUTRAL = frozenset({"set_queue", "pop_queue", "fin_timeout", "sample"})
_ALL_BYTES = 0xFFFF
_ALL_32 = (1 << 32) - 1
_ALL_64 = (1 << 64) - 1


class Word(NamedTuple):
    """One action as written: ``name``, ``name:value``, ``name(value)`` or ``name(value)->target``."""

    name: str
    value: str
    target: str
    bracketed: bool


class Reading(NamedTuple):
    """What the meaning of an action may depend on: port names, and the IP protocol its flow matches."""

    names: PortNames
    protocol: int | None


_Found = tuple[act.Action, ...] | None


@lru_cache(maxsize=REMEMBERED)
def parse_instructions(text: str, names: PortNames, protocol: int | None = None) -> tuple[act.Instruction, ...]:
    """The instructions behind ``actions=``, consecutive actions as one ApplyActions.

    ``protocol`` is the IP protocol the flow matches, which says what ``mod_tp_dst`` writes. Raises CodecError for text
    that cannot be what OVS prints.
    """
    reading = Reading(names, protocol)
    found: list[act.Instruction] = []
    pending: list[act.Action] = []
    for word in _words(text):
        instruction = _instruction(word, reading)
        if instruction is None:
            pending += _actions(word, reading)
            continue
        if pending:
            found.append(act.ApplyActions(tuple(pending)))
            pending = []
        found.append(instruction)
    if pending:
        found.append(act.ApplyActions(tuple(pending)))
    return tuple(found)


def parse_actions(text: str, names: PortNames, protocol: int | None = None) -> tuple[act.Action, ...]:
    """A plain action list, as in a group's bucket. Raises CodecError as ``parse_instructions`` does."""
    return _list(text, Reading(names, protocol))


def _list(text: str, reading: Reading) -> tuple[act.Action, ...]:
    return tuple(action for word in _words(text) for action in _actions(word, reading))


def _words(text: str) -> Iterable[Word]:
    parts = split(text.strip())
    if not parts:
        raise CodecError("no actions are given: is the dump cut off?")
    return (_word(part) for part in parts if part != "drop")


def _word(text: str) -> Word:
    found = _WORD.fullmatch(text)
    if found is None:
        raise CodecError(f"{text[:60]!r} is not an action")
    bracket = found["bracket"]
    value = found["value"] or "" if bracket is None else bracket[1:-1]
    return Word(found["name"], value, found["target"] or "", bracket is not None)


def _instruction(word: Word, reading: Reading) -> act.Instruction | None:
    match word.name:
        case "goto_table":
            return act.GotoTable(table_number(word.value))
        case "clear_actions":
            return act.ClearActions()
        case "write_actions":
            return act.WriteActions(_list(word.value, reading))
        case "write_metadata":
            wanted = masked(METADATA, word.value, reading.names)
            return act.WriteMetadata(wanted.value, wanted.mask)
        case "meter":
            return act.Meter(number(word.value))
        case _:
            return None


def _actions(word: Word, reading: Reading) -> tuple[act.Action, ...]:
    parse = _PARSERS.get(word.name)
    if parse is None and word.name.lower() in _RESERVED:
        parse = _reserved
    found = None if parse is None else parse(word, reading)
    return (act.UnknownAction(word.name, b""),) if found is None else found


def _reserved(word: Word, reading: Reading) -> _Found:
    if word.name.lower() == "controller" and word.bracketed:
        return _controller(word)
    port = reading.names.port(word.name)
    if port == act.OFPP_CONTROLLER:
        return (act.Output(port, number(word.value or str(_ALL_BYTES), _ALL_BYTES)),)
    return (act.Output(port),)


def _pairs(text: str, sign: str = "=") -> dict[str, str]:
    return {name: value for name, _, value in (word.partition(sign) for word in split(text))}


def _output(word: Word, reading: Reading) -> _Found:
    if word.bracketed:
        said = _pairs(word.value)
        if said.keys() != {"port", "max_len"}:
            return None
        return (act.Output(reading.names.port(said["port"]), number(said["max_len"])),)
    if "[" in word.value or known_field(word.value) is not None:
        source = sub_field(word.value)
        return None if source is None else (act.OutputSubField(source, _ALL_BYTES),)
    return (act.Output(reading.names.port(word.value)),)


def _controller(word: Word) -> _Found:
    said = _pairs(word.value)
    if not said.keys() <= {"reason", "max_len", "id", "userdata", "pause", "meter_id"}:
        return None
    reason = said.get("reason", "action")
    if reason not in _REASONS:
        return None
    return (
        act.Controller(
            controller_id=number(said.get("id", "0"), 0xFFFF),
            max_len=number(said.get("max_len", str(_ALL_BYTES)), _ALL_BYTES),
            reason=_REASONS[reason],
            userdata=_octets(said.get("userdata", "")),
            pause="pause" in said,
            meter_id=number(said["meter_id"]) if "meter_id" in said else None,
        ),
    )


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(".", ""))
    except ValueError:
        raise CodecError(f"{text[:60]!r} are not bytes in hexadecimal") from None


def _resubmit(word: Word, reading: Reading) -> _Found:
    if not word.bracketed:
        return (act.Resubmit(reading.names.port(word.value), None),)
    port, _, rest = word.value.partition(",") if not word.value.startswith('"') else _quoted_first(word.value)
    table, _, more = rest.partition(",")
    if more not in {"", "ct"}:
        return None
    in_port = reading.names.port(port) if port else None
    return (act.Resubmit(in_port, table_number(table) if table else None, more == "ct"),)


def _quoted_first(text: str) -> tuple[str, str, str]:
    first = split(text)[0]
    return first, ",", text[len(first) + 1 :]


def _conntrack(word: Word, reading: Reading) -> _Found:
    table_id, zone, alg = None, act.Conntrack(False, False, 0, None).zone, 0
    flags: set[str] = set()
    nested: list[act.Action] = []
    for part in split(word.value):
        name, _, value = part.partition("=")
        match name:
            case "commit" | "force":
                flags.add(name)
            case "table":
                table_id = table_number(value)
            case "zone":
                source = number(value, 0xFFFF) if value.isdecimal() else sub_field(value)
                if source is None:
                    return None
                zone = source
            case "alg" if value in _ALGORITHMS or value.isdecimal():
                alg = _ALGORITHMS[value] if value in _ALGORITHMS else number(value, 0xFFFF)
            case _:
                inner = _conntrack_part(part, reading)
                if inner is None:
                    return None
                nested += inner
    return (act.Conntrack("commit" in flags, "force" in flags, zone, table_id, tuple(nested), alg),)


def _conntrack_part(text: str, reading: Reading) -> _Found:
    word = _word(text) if "(" in text or text == "nat" else None
    if word is None or word.name not in {"nat", "exec"}:
        return None
    return _list(word.value, reading) if word.name == "exec" else _nat(word)


def _nat(word: Word) -> _Found:
    if not word.value:
        return (act.Nat(source=False, destination=False),)
    way, _, range_text = word.value.partition("=")
    if way not in {"src", "dst"}:
        return None
    return (act.Nat(way == "src", way == "dst", range_text),)


def _learn(word: Word, _: Reading) -> _Found:
    said = _pairs(word.value)
    if "table" not in said:
        return None
    priority = (number(said["priority"], 0xFFFF),) if "priority" in said else ()
    return (act.Learn(table_number(said["table"]), *priority),)


def _conjunction(word: Word, _: Reading) -> _Found:
    found = re.fullmatch(r"(\d{1,10}),\s*(\d{1,3})/(\d{1,3})", word.value)
    if found is None:
        return None
    conjunction_id, clause, n_clauses = map(int, found.groups())
    return (act.Conjunction(conjunction_id, clause - 1, n_clauses),)


def _check_packet_larger(word: Word, _: Reading) -> _Found:
    target = sub_field(word.target) if word.target else None
    return None if target is None else (act.CheckPacketLarger(number(word.value, 0xFFFF), target),)


def _move(word: Word, _: Reading) -> _Found:
    first, arrow, second = word.value.partition("->")
    source, destination = (sub_field(first), sub_field(second)) if arrow else (None, None)
    return None if source is None or destination is None else (act.Move(source, destination),)


def _push(word: Word, _: Reading) -> _Found:
    source = sub_field(word.value)
    return None if source is None else (act.Push(source),)


def _pop(word: Word, _: Reading) -> _Found:
    destination = sub_field(word.value)
    return None if destination is None else (act.Pop(destination),)


def _dec_ttl(word: Word, _: Reading) -> _Found:
    return (act.DecTtl(tuple(number(one, 0xFFFF) for one in split(word.value)) or (0,)),)


def _enqueue(word: Word, reading: Reading) -> _Found:
    """OpenFlow 1.0's way to say what OVS otherwise prints as ``set_queue``, ``output``, ``pop_queue``."""
    port, _, _ = word.value.replace("q", "").rpartition(":")
    return (act.Neutral("set_queue", b""), act.Output(reading.names.port(port)), act.Neutral("pop_queue", b""))


def _set_field(word: Word, reading: Reading) -> _Found:
    return setters.set_field(word.value, reading.names)


def _modify(word: Word, reading: Reading) -> _Found:
    return setters.modify(word.name, word.value, reading.names, reading.protocol)


def _neutral(word: Word, _: Reading) -> _Found:
    return (act.Neutral(word.name, b""),)


_PARSERS: dict[str, Callable[[Word, Reading], _Found]] = {
    "output": _output,
    "resubmit": _resubmit,
    "ct": _conntrack,
    "ct_clear": lambda *_: (act.ConntrackClear(),),
    "clone": lambda word, reading: (act.Clone(_list(word.value, reading)),),
    "learn": _learn,
    "conjunction": _conjunction,
    "check_pkt_larger": _check_packet_larger,
    "move": _move,
    "push": _push,
    "pop": _pop,
    "dec_ttl": _dec_ttl,
    "enqueue": _enqueue,
    "set_field": _set_field,
    "load": lambda word, reading: setters.load(word.value, reading.names),
    "group": lambda word, _: (act.Group(number(word.value, _ALL_32)),),
    "meter": lambda word, _: (act.Meter(number(word.value)),),
    "push_vlan": lambda word, _: (act.PushVlan(number(word.value, 0xFFFF)),),
    "pop_vlan": lambda *_: (act.PopVlan(),),
    "strip_vlan": lambda *_: (act.PopVlan(),),
    "push_mpls": lambda word, _: (act.PushMpls(number(word.value, 0xFFFF)),),
    "pop_mpls": lambda word, _: (act.PopMpls(number(word.value, 0xFFFF)),),
    "dec_mpls_ttl": lambda *_: (act.DecMplsTtl(),),
    "multipath": lambda word, _: choices.multipath(word.value),
    "bundle": lambda word, reading: choices.bundle(word.value, reading.names, loads=False),
    "bundle_load": lambda word, reading: choices.bundle(word.value, reading.names, loads=True),
    "set_tunnel": lambda word, _: (act.SetTunnelId(number(word.value, _ALL_64)),),
    "set_tunnel64": lambda word, _: (act.SetTunnelId(number(word.value, _ALL_64)),),
    "note": lambda word, _: (act.Note(_octets(word.value)),),
    "exit": lambda *_: (act.Exit(),),
    **dict.fromkeys(_NEUTRAL, _neutral),
    **dict.fromkeys(setters.MODIFIED, _modify),
}
