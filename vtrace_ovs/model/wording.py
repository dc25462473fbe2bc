"""Turns matches, flow keys and actions into the text OVS itself would print (ovs-ofctl(8), dump-flows syntax)."""

from collections.abc import Iterable

from vtrace_ovs.model.actions import Action
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match


def match_text(match: Match) -> str:
    """A match in dump-flows syntax, e.g. ``tcp,in_port=3,nw_dst=10.0.1.0/24,tp_dst=443``."""
    return ",".join(f"{masked.field.name}={masked.value:#x}/{masked.mask:#x}" for masked in match.fields)


def flow_text(key: FlowKey, cookie: int | None = None) -> str:
    """A flow's identity, e.g. ``table=20, cookie=0x53…, priority=100,tcp,…``."""
    parts = [f"table={key.table_id}"]
    if cookie is not None:
        parts.append(f"cookie={cookie:#x}")
    body = match_text(key.match)
    parts.append(f"priority={key.priority}" + (f",{body}" if body else ""))
    return ", ".join(parts)


def actions_text(actions: Iterable[Action]) -> str:
    """Actions in dump-flows syntax, ``drop`` when there are none."""
    return ",".join(repr(action) for action in actions) or "drop"
