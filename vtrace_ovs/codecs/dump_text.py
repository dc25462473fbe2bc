"""Turns files of ovs-ofctl output (``dump-flows``, ``dump-groups``, ``dump-meters``, ``show``) into BridgeTables.

Lines are told apart by their shape, so one file may hold all of it, and in any order: a support bundle's does.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vtrace_ovs.codecs.flow_text import is_flow, parse_flow
from vtrace_ovs.codecs.flow_text_actions import parse_actions
from vtrace_ovs.codecs.flow_text_words import PortNames, number, shown, split
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_ANY, OFPP_LOCAL
from vtrace_ovs.model.flow import (
    BridgeTables,
    Bucket,
    Flow,
    FlowKey,
    GroupEntry,
    GroupType,
    MeterEntry,
    PortDescription,
)

_HEADER = re.compile(r"\s*(?:OFPT|OFPST|NXT|NXST)_\w+.*")
_DPID = re.compile(r"dpid:([0-9a-f]{16})")
_PORT = re.compile(r"\s*(\d+|LOCAL)\((.*)\): addr:([0-9a-f:]{17})\s*")
_PORT_PART = re.compile(r"\s+(config|state|current|advertised|supported|peer|speed): *(.*)")
_FEATURES = re.compile(r"(?:n_tables:|capabilities:|actions: ).*")
_GROUP = re.compile(r"\s*group_id=.*")
_METER = re.compile(r"\s*meter=(\w+) (.*?)\s*bands?=\s*(.*)")
_BAND = re.compile(r"\s*type=(\w+) rate=(\d+)(.*)")
_TYPES = {
    "all": GroupType.ALL,
    "select": GroupType.SELECT,
    "indirect": GroupType.INDIRECT,
    "ff": GroupType.FAST_FAILOVER,
    "fast_failover": GroupType.FAST_FAILOVER,
}
_BUCKET_WORDS = frozenset({"bucket_id", "weight", "watch_port", "watch_group"})


@dataclass(frozen=True, slots=True)
class DumpFile:
    """A file of ovs-ofctl output: its name for messages, and its text."""

    name: str
    text: str


@dataclass(slots=True)
class _Gathered:
    """What has been read so far."""

    dpid: int = 0
    flows: dict[FlowKey, Flow] = field(default_factory=dict)
    groups: list[GroupEntry] = field(default_factory=list)
    meters: list[MeterEntry] = field(default_factory=list)
    ports: list[PortDescription] = field(default_factory=list)


def tables_of(files: Sequence[DumpFile], read_at: float) -> BridgeTables:
    """The tables of the one bridge these files are from; ``dpid`` is 0 when none of them is a ``show``.

    Raises CodecError with file and line for what is not ovs-ofctl output, is cut off, or is there twice.
    """
    gathered = _Gathered()
    _each_line(files, gathered, _port_line)
    names = PortNames({port.name: port.ofport for port in gathered.ports})
    _each_line(files, gathered, lambda line, into: _entry_line(line, into, names))
    return BridgeTables(
        gathered.dpid,
        read_at,
        tuple(gathered.flows.values()),
        tuple(gathered.groups),
        tuple(gathered.meters),
        tuple(gathered.ports),
    )


def bridge_name(tables: BridgeTables) -> str | None:
    """The bridge's name, which is that of its LOCAL port, where a ``show`` tells."""
    return next((port.name for port in tables.ports if port.ofport == OFPP_LOCAL), None)


def _each_line(files: Sequence[DumpFile], gathered: _Gathered, take: Callable[[str, _Gathered], None]) -> None:
    for file in files:
        if not file.text.strip():
            raise CodecError(f"{file.name} is empty: give the output of ovs-ofctl dump-flows")
        for line_number, line in enumerate(file.text.splitlines(), start=1):
            try:
                if line.strip():
                    take(line, gathered)
            except CodecError as error:
                raise CodecError(f"{file.name}:{line_number}: {error}") from error


def _port_line(line: str, gathered: _Gathered) -> None:
    """Ports come first: flows may name them."""
    found = _DPID.search(line)
    if found is not None and _HEADER.fullmatch(line):
        gathered.dpid = int(found[1], 16)
    found = _PORT.fullmatch(line)
    if found is not None:
        number_text, name, address = found.groups()
        ofport = OFPP_LOCAL if number_text == "LOCAL" else number(number_text)
        gathered.ports.append(PortDescription(ofport, name, address, link_down=False, admin_down=False))
        return
    found = _PORT_PART.fullmatch(line)
    if found is None:
        return
    if not gathered.ports:
        raise CodecError(f"{shown(line.strip())} belongs to no port: is the start of the dump missing?")
    last = gathered.ports[-1]
    words = found[2].split()
    if found[1] == "state" and "LINK_DOWN" in words:
        gathered.ports[-1] = replace(last, link_down=True)
    elif found[1] == "config" and "PORT_DOWN" in words:
        gathered.ports[-1] = replace(last, admin_down=True)


def _entry_line(line: str, gathered: _Gathered, names: PortNames) -> None:
    if _PORT.fullmatch(line) or _PORT_PART.fullmatch(line) or _HEADER.fullmatch(line) or _FEATURES.fullmatch(line):
        return
    if _GROUP.fullmatch(line):
        gathered.groups.append(_group(line.strip(), names))
    elif _METER.fullmatch(line):
        gathered.meters.append(_meter(line))
    elif _BAND.fullmatch(line):
        if not gathered.meters:
            raise CodecError("a meter band without a meter: is the start of the dump missing?")
        gathered.meters[-1] = _with_band(gathered.meters[-1], line)
    elif is_flow(line):
        flow = parse_flow(line.strip(), names)
        if flow.key in gathered.flows:
            raise CodecError("this flow is there twice: give one dump of one bridge")
        gathered.flows[flow.key] = flow
    else:
        raise CodecError(f"{shown(line.strip())} is no line of ovs-ofctl dump-flows, dump-groups, dump-meters or show")


def _group(line: str, names: PortNames) -> GroupEntry:
    about, *buckets = line.split(",bucket=")
    said = dict(word.partition("=")[::2] for word in split(about))
    kind = said.get("type", "")
    if kind not in _TYPES:
        raise CodecError(f"group type {shown(kind)} is not one this version knows")
    return GroupEntry(
        number(said["group_id"]), _TYPES[kind], tuple(_bucket(text, _TYPES[kind], names) for text in buckets)
    )


def _bucket(text: str, kind: GroupType, names: PortNames) -> Bucket:
    about, found, actions = text.partition("actions=")
    if not found:
        raise CodecError(f"bucket {shown(text)} has no actions: is the dump cut off?")
    said = dict(word.partition(":")[::2] for word in split(about))
    if not said.keys() <= _BUCKET_WORDS:
        raise CodecError(f"bucket {shown(text)} says more than this version knows")
    return Bucket(
        weight=number(said["weight"]) if "weight" in said else int(kind is GroupType.SELECT),
        watch_port=names.port(said["watch_port"]) if "watch_port" in said else OFPP_ANY,
        watch_group=number(said["watch_group"]) if "watch_group" in said else OFPP_ANY,
        actions=parse_actions(actions, names),
    )


def _meter(line: str) -> MeterEntry:
    found = _METER.fullmatch(line)
    meter_id = "" if found is None else found[1]
    if found is None or not meter_id.isdecimal():
        raise CodecError(f"{shown(line.strip())} is not a meter")
    meter = MeterEntry(number(meter_id), 0, 0, packets="pktps" in found[2].split())
    return _with_band(meter, found[3]) if found[3] else meter


def _with_band(meter: MeterEntry, line: str) -> MeterEntry:
    found = _BAND.fullmatch(line)
    if found is None:
        raise CodecError(f"{shown(line.strip())} is not a meter band")
    if found[1] != "drop":
        return meter
    burst = re.search(r"burst_size=(\d+)", found[3])
    # Without the burst flag OVS prints no size, and uses the rate (tried).
    return replace(meter, rate=number(found[2]), burst=number(burst[1] if burst else found[2]))
