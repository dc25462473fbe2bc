"""Turns ``fdb/show`` of ovs-vswitchd(8) and rows of its OVSDB into a MacTable: what output to NORMAL depends on."""

import re
from collections.abc import Mapping, Sequence

from vtrace_ovs.codecs.ovsdb_json import Json, string_map, string_set
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.mac_table import MacEntry, MacTable, SwitchPort, VlanMode

_HEADING = re.compile(r"\s*port\s+VLAN\s+MAC\s+Age\s*", re.IGNORECASE)
_LEARNED = re.compile(r"\s*(LOCAL|\d{1,5})\s+(\d{1,4})\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\s+\S+\s*", re.ASCII)
_LOCAL_IN_OVSDB = 65534
_NO_PRIORITY_TAGS = frozenset({"never", "false", ""})
_SHOWN = 60

Row = Mapping[str, Json]


def mac_entries(text: str) -> tuple[MacEntry, ...]:
    """The lines of ``ovs-appctl fdb/show BRIDGE``. Raises CodecError for text that is something else."""
    heading, *lines = text.splitlines() or [""]
    if not _HEADING.fullmatch(heading):
        raise CodecError(f"{heading[:_SHOWN]!r} is not how fdb/show begins")
    return tuple(_entry(line) for line in lines if line.strip())


def _entry(line: str) -> MacEntry:
    found = _LEARNED.fullmatch(line)
    if found is None:
        raise CodecError(f"{line[:_SHOWN]!r} is no line of fdb/show")
    port = OFPP_LOCAL if found[1] == "LOCAL" else int(found[1])
    return MacEntry(int(found[3].replace(":", ""), 16), int(found[2]), port)


def switch_operations(bridge: str) -> list[dict[str, Json]]:
    """The operations whose results ``mac_table`` expects: everything of the bridge, its ports and its interfaces."""
    tables: tuple[tuple[str, list[Json]], ...] = (("Bridge", [["name", "==", bridge]]), ("Port", []), ("Interface", []))
    return [{"op": "select", "table": table, "where": where} for table, where in tables]


def mac_table(results: Sequence[Json], entries: tuple[MacEntry, ...]) -> MacTable:
    """What a bridge has learned, and how its ports take part. Raises CodecError for rows of another shape."""
    try:
        bridges, ports, interfaces = (_rows(result) for result in results)
        (bridge,) = bridges
        numbers = {_uuid(row): _number(row) for row in interfaces}
        wanted = set(string_set(bridge["ports"]))
        mine = [row for row in ports if _uuid(row) in wanted]
        settings = [_setting(row, numbers) for row in mine]
        members = {uuid for row in mine for uuid in string_set(row["interfaces"])}
        legacy = any("packet_type" in string_map(row["options"]) for row in interfaces if _uuid(row) in members)
        reasons = [*_bridge_reasons(bridge), *_port_reasons(mine)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CodecError(f"rows that no Open_vSwitch database holds of a bridge and its ports: {error!r}") from error
    reasons += ["it has a port without Ethernet headers"] if legacy else []
    return MacTable(entries, tuple(each for each in settings if each is not None), None, next(iter(reasons), None))


def _rows(result: Json) -> list[Row]:
    if not isinstance(result, Mapping) or isinstance(result["rows"], str) or not isinstance(result["rows"], Sequence):
        raise TypeError(f"not a select result: {result!r}")
    return [row for row in result["rows"] if isinstance(row, Mapping)]


def _uuid(row: Row) -> str:
    return string_set(row["_uuid"])[0]


def _integers(value: Json) -> list[int]:
    listed = value[1] if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if isinstance(listed, str) or not isinstance(listed, Sequence):
        raise TypeError(f"not integers: {value!r}")
    return [each for each in listed if isinstance(each, int)]


def _number(row: Row) -> int | None:
    found = next(iter(_integers(row["ofport"])), None)
    return OFPP_LOCAL if found == _LOCAL_IN_OVSDB else found


def _setting(row: Row, numbers: Mapping[str, int | None]) -> SwitchPort | None:
    """None for a port without a number, which nothing leaves by."""
    port = next((numbers.get(uuid) for uuid in string_set(row["interfaces"])), None)
    if port is None:
        return None
    own = next(iter(_integers(row["tag"])), None)
    named = next(iter(string_set(row["vlan_mode"])), None)
    by_tag = VlanMode.TRUNK if own is None else VlanMode.ACCESS
    mode = next((mode for mode in VlanMode if mode.value == named), by_tag)
    trunks = frozenset(_integers(row["trunks"])) if mode is not VlanMode.ACCESS else frozenset()
    return SwitchPort(port, mode, 0 if own is None or mode is VlanMode.TRUNK else own, trunks)


def _bridge_reasons(row: Row) -> list[str]:
    """What a bridge does beside learning. Older releases lack some of these columns."""
    options = string_map(row["other_config"])
    found = {
        "it mirrors traffic": bool(string_set(row["mirrors"])),
        "a spanning tree may block its ports": row["stp_enable"] is True or row.get("rstp_enable") is True,
        "it snoops multicast": row.get("mcast_snooping_enable") is True,
        "it learns nothing in some VLANs (flood_vlans)": bool(_integers(row["flood_vlans"])),
        "it forwards reserved addresses (forward-bpdu)": options.get("forward-bpdu") == "true",
    }
    return [reason for reason, holds in found.items() if holds]


def _port_reasons(rows: Sequence[Row]) -> list[str]:
    reasons = []
    for row in rows:
        name = row["name"]
        if len(string_set(row["interfaces"])) > 1:
            reasons.append(f"{name} is a bond")
        if "dot1q-tunnel" in string_set(row["vlan_mode"]):
            reasons.append(f"{name} is a dot1q-tunnel")
        if string_map(row["other_config"]).get("priority-tags", "") not in _NO_PRIORITY_TAGS:
            reasons.append(f"{name} sends priority tags")
        if row.get("protected") is True:
            reasons.append(f"{name} is protected from other ports")
    return reasons
