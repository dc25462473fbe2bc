"""Turns stored tables and a task's filter into the five-tuples its packets may have behind NAT: its aliases.

The mark itself survives NAT; which task it is of is told by the five-tuple (design D2). So every VFD must look for the
translated one too, or the packet would have to go on unmarked. A translation counts here when the tables leave no
choice of address; packets translated otherwise leave the VFD unmarked, because table ``leave`` knows no such tuple.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.instrumentation.reach import ADDRESSES_AND_PORTS, exactly, filter_match, rewrites
from vtrace_ovs.instrumentation.rivals import mistakable
from vtrace_ovs.instrumentation.sharing import may_share
from vtrace_ovs.instrumentation.walk import REMEMBERED, every_action, nested
from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    Conntrack,
    Group,
    Instruction,
    Nat,
    Output,
    OutputSubField,
    Resubmit,
    SetField,
)
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, GroupEntry
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.nat_target import nat_target
from vtrace_ovs.model.oxm import ETH_TYPE, IPV4_DST, IPV4_SRC, IPV6_DST, IPV6_SRC, TCP_DST, TCP_SRC, UDP_DST, UDP_SRC
from vtrace_ovs.model.packet import IPAddress, IpFamily, IpProtocol, family_of
from vtrace_ovs.model.topology import Topology

MOST_ALIASES = 16
_ADDRESSES = {IpFamily.IPV4: (IPV4_SRC, IPV4_DST), IpFamily.IPV6: (IPV6_SRC, IPV6_DST)}
_FAMILIES = {field: family for family, fields in _ADDRESSES.items() for field in fields}
_WITH_PORTS = frozenset({IpProtocol.TCP, IpProtocol.UDP})


@dataclass(frozen=True, slots=True)
class Translation:
    """What actions make of a five-tuple; None leaves a part as it is."""

    source: IPAddress | None = None
    destination: IPAddress | None = None
    source_port: int | None = None
    destination_port: int | None = None

    def of(self, traffic: Filter) -> Filter:
        """The filter of the translated traffic; its text is not up to date."""
        if any(family_of(address) is not traffic.family for address in (self.source, self.destination) if address):
            return traffic
        ports = traffic.protocol in _WITH_PORTS
        return replace(
            traffic,
            source=traffic.source if self.source is None else ip_network(self.source),
            destination=traffic.destination if self.destination is None else ip_network(self.destination),
            source_port=self.source_port if ports and self.source_port is not None else traffic.source_port,
            destination_port=(
                self.destination_port if ports and self.destination_port is not None else traffic.destination_port
            ),
        )


UNTRANSLATED = Translation()


def with_aliases(
    task: ArmedTask,
    others: Iterable[ArmedTask],
    topology: Topology,
    tables: Iterable[BridgeTables],
    text_of: Callable[[Filter], str],
) -> ArmedTask:
    """The task with the aliases that no other task's packets could be taken for, unless they share packets anyway.

    ``text_of`` gives a filter its canonical text. What NAT undoes for replies is not in the tables, but what it did to
    the request is: theirs are the other way round. Fix aliases when a task is armed: an alias that only some VFDs know
    would let a mark pass those that do not. Raises RefusedError for replies that could be another task's: they enter
    translated, so they would be missed.
    """
    rivals = tuple(other for other in others if not may_share(task, other))
    if task.replies:
        request = aliases(_answered(task.filter, text_of), tables, text_of)
        found = tuple(_answered(alias, text_of) for alias in request)
    else:
        found = aliases(task.filter, tables, text_of)
    kept = tuple(
        alias for alias in found if not any(mistakable((filter_match(alias),), task, one, topology) for one in rivals)
    )
    if task.replies and len(kept) < len(found):
        raise RefusedError(
            f"behind NAT, packets of {task.filter.text} cannot be told from those of another task; wait until it ends"
        )
    return replace(task, aliases=kept)


def _answered(traffic: Filter, text_of: Callable[[Filter], str]) -> Filter:
    other_way = traffic.reversed("")
    return replace(other_way, text=text_of(other_way))


def aliases(
    task_filter: Filter, tables: Iterable[BridgeTables], text_of: Callable[[Filter], str]
) -> tuple[Filter, ...]:
    """What the filter's packets may look like behind one or several translations, at most ``MOST_ALIASES``.

    Nothing that the filter, or a wider alias, covers anyway.
    """
    translating = tuple(_translating(tables))
    found = [task_filter]
    for known in found:
        match = filter_match(known)
        for flow_match, ways in translating:
            if not flow_match.overlaps(match):
                continue
            for way in ways:
                alias = way.of(known)
                if len(found) <= MOST_ALIASES and not any(_covers(one, alias) for one in found):
                    found.append(replace(alias, text=text_of(alias)))
    return tuple(found[1:])


def _covers(wide: Filter, narrow: Filter) -> bool:
    inner = filter_match(narrow)
    for masked in filter_match(wide).fields:
        within = inner.get(masked.field)
        if within is None or masked.mask & ~within.mask or (masked.value ^ within.value) & masked.mask:
            return False
    return True


def _translating(tables: Iterable[BridgeTables]) -> Iterator[tuple[Match, tuple[Translation, ...]]]:
    """The match of every flow that translates, with what it may make of a packet."""
    for read in tables:
        groups = {group.group_id: group for group in read.groups}
        for flow in read.flows:
            if _may_translate(flow.instructions):
                ways = tuple(dict.fromkeys(_translations(flow.instructions, groups)))
                if ways:
                    yield flow.match, ways
                yield from (undoing for way in ways if (undoing := _undone(flow.match, way)) is not None)


def _undone(asked: Match, way: Translation) -> tuple[Match, tuple[Translation, ...]] | None:
    """What conntrack makes of the replies to translated packets, where one address was translated into one."""
    address = way.source or way.destination
    port = asked.get(TCP_DST) or asked.get(UDP_DST)
    if address is None or way.source_port is not None or (way.destination_port is not None and port is None):
        return None
    family = family_of(address)
    source, destination = _ADDRESSES[family]
    fields = [exactly(ETH_TYPE, family)]
    undo = UNTRANSLATED
    before = asked.get(source)
    if way.source is not None and before is not None and before.exact:
        fields.append(exactly(destination, int(way.source)))
        undo = replace(undo, destination=_of_family(family, before.value))
    before = asked.get(destination)
    if way.destination is not None and before is not None and before.exact:
        fields.append(exactly(source, int(way.destination)))
        back = None if way.destination_port is None or port is None else port.value
        undo = replace(undo, source=_of_family(family, before.value), source_port=back)
    return None if undo == UNTRANSLATED else (Match.of(*fields), (undo,))


@lru_cache(maxsize=REMEMBERED)
def _may_translate(instructions: tuple[Instruction, ...]) -> bool:
    return any(
        isinstance(action, Group) or rewrites(action) & ADDRESSES_AND_PORTS for action in every_action(instructions)
    )


def _translations(instructions: tuple[Instruction, ...], groups: Mapping[int, GroupEntry]) -> Iterator[Translation]:
    for instruction in instructions:
        if isinstance(instruction, ApplyActions):
            yield from _ways_out(instruction.actions, groups, UNTRANSLATED)


def _ways_out(
    actions: Iterable[Action], groups: Mapping[int, GroupEntry], before: Translation
) -> Iterator[Translation]:
    """What the packet has become wherever these actions send it on; nothing after a change that leaves a choice."""
    now: Translation | None = before
    for action in actions:
        if now is None:
            return
        match action:
            case Conntrack(table_id=int()):
                tracked = _translated(now, action.nested)
                if tracked is not None and tracked != UNTRANSLATED:
                    yield tracked
                continue
            case Group():
                group = groups.get(action.group_id)
                for bucket in () if group is None else group.buckets:
                    yield from _ways_out(bucket.actions, groups, now)
                continue
            case Output() | OutputSubField() | Resubmit() if now != UNTRANSLATED:
                yield now
            case _:
                now = _translated(now, (action,))
    if now is not None and now != UNTRANSLATED:
        yield now


def _translated(now: Translation, actions: Iterable[Action]) -> Translation | None:
    """What these actions add to a translation; None when they leave a choice."""
    for action in actions:
        if isinstance(action, Nat):
            if not action.range_text:
                continue  # repeats what was done to the connection before
            target = nat_target(action.range_text)
            if target is None:
                return None
            if action.source:
                now = replace(now, source=target.address, source_port=target.port or now.source_port)
            else:
                now = replace(now, destination=target.address, destination_port=target.port or now.destination_port)
        elif isinstance(action, SetField) and action.field in ADDRESSES_AND_PORTS:
            if action.mask != action.field.full_mask:
                return None
            now = _with_field(now, action)
        elif any(rewrites(inner) & ADDRESSES_AND_PORTS for inner in nested((action,)) if not isinstance(inner, Nat)):
            return None
    return now


def _with_field(now: Translation, action: SetField) -> Translation:
    if action.field in (IPV4_SRC, IPV6_SRC):
        return replace(now, source=_of_family(_FAMILIES[action.field], action.value))
    if action.field in (IPV4_DST, IPV6_DST):
        return replace(now, destination=_of_family(_FAMILIES[action.field], action.value))
    if action.field in (TCP_SRC, UDP_SRC):
        return replace(now, source_port=action.value)
    return replace(now, destination_port=action.value)


def _of_family(family: IpFamily, value: int) -> IPAddress:
    return IPv4Address(value) if family is IpFamily.IPV4 else IPv6Address(value)
