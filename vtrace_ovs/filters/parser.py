"""Turns filter text in OVS flow syntax (``tcp,nw_src=10.0.0.1``) into a ``Filter``, or points at the fault."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from vtrace_ovs.errors import FilterError
from vtrace_ovs.filters.canonical import canonical_text
from vtrace_ovs.filters.values import ANY, number, prefix
from vtrace_ovs.filters.vocabulary import (
    FIELDS,
    KEYWORDS,
    REFUSED,
    FieldName,
    Slot,
    protocol_name,
)
from vtrace_ovs.model.filter import Filter, IPNetwork
from vtrace_ovs.model.packet import IpFamily, IpProtocol

_LONGEST_NAME = 40
_CHOICES = ", ".join([slot.value for slot in Slot if slot is not Slot.ETH_TYPE] + list(KEYWORDS))
_TERM = re.compile(r"(?P<name>[^\s,=]+)(?:\s*(?P<equals>=)\s*(?P<value>[^\s,=]*))?")
_FAMILIES = {IpFamily.IPV4: "IPv4", IpFamily.IPV6: "IPv6"}
_INSTEAD = {
    IpFamily.IPV4: "ip, tcp, udp, icmp, nw_src and nw_dst are for IPv4",
    IpFamily.IPV6: "ipv6, tcp6, udp6, icmp6, ipv6_src and ipv6_dst are for IPv6",
}
_ONLY_IN = {IpProtocol.ICMP: IpFamily.IPV4, IpProtocol.ICMPV6: IpFamily.IPV6}
_SEPARATOR = re.compile(r"\s*,\s*|\s+|$")
_RANGES = {
    Slot.ETH_TYPE: (0, 0xFFFF),
    # 0 is an IPv6 extension header, and OVS writes no IPv4 header change for it (tried), so it could not be marked.
    Slot.PROTOCOL: (1, 0xFF),
    Slot.SOURCE_PORT: (0, 0xFFFF),
    Slot.DESTINATION_PORT: (0, 0xFFFF),
    Slot.ICMP_TYPE: (0, 0xFF),
    Slot.ICMP_CODE: (0, 0xFF),
}


@dataclass(frozen=True, slots=True)
class _Term:
    """``name`` or ``name=value`` with its place in the text; ``value`` None means there was no ``=``."""

    name: str
    value: str | None
    start: int
    value_start: int
    end: int


def parse(text: str) -> Filter:
    """The filter a text means.

    Names are those of ovs-fields(7), case aside; terms are separated by commas or spaces; ``=any`` and ``=*`` leave a
    field open. ``ipv6``, the keywords that end in 6 and the names that begin with ``ipv6_`` make it a filter of IPv6
    packets, else it is one of IPv4 packets. Raises FilterError, with the place, for anything that is no such filter.
    """
    return _Parser(text).parse()


class _Parser:
    """One pass over one text. Holds what was said so far, to find contradictions."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._said: dict[Slot, _Term] = {}
        self._keywords: dict[str, _Term] = {}
        self._needs: list[tuple[_Term, FieldName]] = []
        self._protocol: int | None = None
        self._family: IpFamily | None = None
        self._family_said_by = ""
        self._filter = Filter("")

    def parse(self) -> Filter:
        for term in self._terms():
            if term.value is None:
                self._take_keyword(term)
            else:
                self._take_field(term, term.value)
        for term, name in self._needs:
            self._check_prerequisite(term, name)
        filter_ = replace(self._filter, protocol=self._protocol, family=self._family or IpFamily.IPV4)
        return replace(filter_, text=canonical_text(filter_))

    def _terms(self) -> Iterator[_Term]:
        text = self._text
        if not text.strip():
            raise self._fault("the filter is empty: say which packets, e.g. tcp,nw_dst=10.0.1.5,tp_dst=443", 0, 1)
        position = len(text) - len(text.lstrip())
        end = len(text.rstrip())
        while position < end:
            term = _TERM.match(text, position)
            if term is None:
                raise self._fault(f"a field name was expected here, not {text[position]!r}", position, 1)
            separator = _SEPARATOR.match(text, term.end())
            if separator is None:
                raise self._fault("only one = per field: separate fields with commas", term.end(), 1)
            position = separator.end()
            if position >= end and "," in separator.group():
                raise self._fault("a field was expected after the comma", separator.start(), 1)
            value_start = term.start("value") if term["equals"] else term.end()
            yield _Term(term["name"].lower(), term["value"], term.start(), value_start, term.end())

    def _take_keyword(self, term: _Term) -> None:
        if term.name not in KEYWORDS:
            raise self._unknown(term)
        if term.name in self._keywords:
            raise self._fault_at(term, f"{term.name} is given twice")
        self._keywords[term.name] = term
        keyword = KEYWORDS[term.name]
        self._set_family(term, keyword.family)
        if keyword.protocol is not None:
            self._set_protocol(term, keyword.protocol)

    def _take_field(self, term: _Term, value: str) -> None:
        name = FIELDS.get(term.name)
        if name is None:
            raise self._unknown(term)
        if name.family is not None:
            self._set_family(term, name.family)
        earlier = self._said.get(name.slot)
        if earlier is not None:
            also = "" if earlier.name == term.name else f", as {earlier.name} before"
            raise self._fault_at(term, f"{term.name} is given twice{also}")
        self._said[name.slot] = term
        if value.lower() in ANY:
            return
        if name.protocols:
            self._needs.append((term, name))
        self._store(term, name.slot, value)

    def _store(self, term: _Term, slot: Slot, value: str) -> None:
        try:
            match slot:
                case Slot.SOURCE:
                    self._filter = replace(self._filter, source=self._prefix(term, value))
                case Slot.DESTINATION:
                    self._filter = replace(self._filter, destination=self._prefix(term, value))
                case _:
                    self._store_number(term, slot, number(term.name, value, *_RANGES[slot]))
        except ValueError as error:
            raise self._fault(str(error), term.value_start, len(value)) from None

    def _prefix(self, term: _Term, value: str) -> IPNetwork | None:
        return prefix(term.name, value, self._family or IpFamily.IPV4)

    def _store_number(self, term: _Term, slot: Slot, value: int) -> None:
        match slot:
            case Slot.ETH_TYPE:
                self._check_eth_type(term, value)
            case Slot.PROTOCOL:
                self._set_protocol(term, value)
            case Slot.SOURCE_PORT:
                self._filter = replace(self._filter, source_port=value)
            case Slot.DESTINATION_PORT:
                self._filter = replace(self._filter, destination_port=value)
            case Slot.ICMP_TYPE:
                self._filter = replace(self._filter, icmp_type=value)
            case _:
                self._filter = replace(self._filter, icmp_code=value)

    def _set_protocol(self, term: _Term, protocol: int) -> None:
        if self._protocol not in (None, protocol):
            already, other = self._name(self._protocol or 0), self._name(protocol)
            raise self._fault_at(term, f"{other} contradicts {already}: no packet has both")
        self._protocol = protocol

    def _set_family(self, term: _Term, family: IpFamily) -> None:
        if self._family not in (None, family):
            message = f"{term.name} is {_FAMILIES[family]}, {self._family_said_by} is not: no packet is both"
            raise self._fault_at(term, f"{message} ({_INSTEAD[IpFamily(self._family or family)]})")
        self._family, self._family_said_by = family, self._family_said_by or term.name

    def _name(self, protocol: int) -> str:
        return protocol_name(protocol, self._family or IpFamily.IPV4)

    def _check_eth_type(self, term: _Term, eth_type: int) -> None:
        if eth_type not in _FAMILIES:
            raise self._fault_at(term, f"{term.name}={eth_type:#06x} is not IP: only IP packets can carry the mark")
        self._set_family(term, IpFamily(eth_type))

    def _check_prerequisite(self, term: _Term, name: FieldName) -> None:
        family = self._family or IpFamily.IPV4
        allowed = tuple(protocol for protocol in name.protocols if _ONLY_IN.get(protocol, family) is family)
        wanted = " or ".join(self._name(protocol) for protocol in allowed)
        if self._protocol is None:
            example = self._name(allowed[0])
            raise self._fault_at(term, f"{term.name} needs {wanted}: write {example},{term.name}={term.value}")
        if self._protocol not in allowed:
            actual = self._name(self._protocol)
            raise self._fault_at(term, f"{term.name} is for {wanted}, not {actual}: leave one of them out")

    def _unknown(self, term: _Term) -> FilterError:
        name = term.name
        if name in REFUSED:
            message = f"{name}: {REFUSED[name]}"
        elif name in FIELDS:
            message = f"{name} needs a value: write {name}=VALUE"
        elif name in KEYWORDS:
            message = f"{name} takes no value: write just {name}"
        else:
            close = get_close_matches(name, [*FIELDS, *KEYWORDS], n=1)
            hint = f"did you mean {close[0]}?" if close else f"use {_CHOICES}"
            message = f"there is no field {_printable(name)[:_LONGEST_NAME]}: {hint}"
        return self._fault(message, term.start, len(name))

    def _fault_at(self, term: _Term, message: str) -> FilterError:
        return self._fault(message, term.start, term.end - term.start)

    def _fault(self, message: str, position: int, length: int) -> FilterError:
        return FilterError(message, _printable(self._text), position, length)


def _printable(text: str) -> str:
    """The text with every control or wide character replaced by one that keeps the caret in its place."""
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in text)
