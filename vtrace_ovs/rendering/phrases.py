"""Turns small values (tunnels, ports, places) into the short phrases every screen uses."""

from vtrace_ovs.model.actions import OFPP_CONTROLLER, OFPP_FLOOD, OFPP_IN_PORT, OFPP_LOCAL, OFPP_NORMAL
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.verdict import Confidence, Culprit, Disposition, Fate, TaskResult, Verdict
from vtrace_ovs.rendering.lines import Span, Style

NO_VERDICT = "no verdict on this packet alone"
"""Of a packet that is not judged yet, or is equal to one that met another verdict on the same path."""

_RESERVED_PORTS = {
    OFPP_IN_PORT: "IN_PORT",
    OFPP_NORMAL: "NORMAL",
    OFPP_FLOOD: "FLOOD",
    OFPP_CONTROLLER: "CONTROLLER",
    OFPP_LOCAL: "LOCAL",
}
_SURE = {
    Confidence.OBSERVED: "observed",
    Confidence.CORROBORATED: "corroborated by tables or counters",
    Confidence.INFERRED: "inferred",
    Confidence.UNDECIDED: "undecided",
}


def tunnel_phrase(tunnel: Tunnel, *, leaving: bool) -> str:
    """``VNI 5001 to 192.0.2.2`` or ``VNI 5001 from 192.0.2.1``."""
    far = tunnel.destination if leaving else tunnel.source
    if far is None:
        return f"VNI {tunnel.vni}"
    return f"VNI {tunnel.vni} {'to' if leaving else 'from'} {far}"


def port_phrase(ofport: int) -> str:
    """``port 3``, or ``port NORMAL`` for a reserved number."""
    return f"port {_RESERVED_PORTS.get(ofport, ofport)}"


def packets_phrase(count: int) -> str:
    """``1 packet``, ``20 packets``."""
    return f"{count} packet{'' if count == 1 else 's'}"


def share_phrase(result: TaskResult, fate: Fate) -> str:
    """``12 of 20 packets (60 %)``."""
    share = result.share(fate)
    part = "" if share is None else f" ({100 * share:.3g} %)"
    return f"{fate.packets} of {packets_phrase(result.packets)}{part}"


def confidence_phrase(confidence: Confidence) -> str:
    """How sure, in words."""
    return _SURE[confidence]


def mark(disposition: Disposition) -> Span:
    """✓ for delivery, ✗ for a proven loss, ? for anything else."""
    if disposition.is_loss:
        return Span("✗", Style.BAD)
    if disposition in (Disposition.DELIVERED, Disposition.EXITED):
        return Span("✓", Style.GOOD)
    return Span("?", Style.UNSURE)


def place_phrase(culprit: Culprit) -> str:
    """Where: ``server2/br-int, table 40 (acl-out)``, ``between server1/br-int and server2``, or just a server."""
    here = str(culprit.bridge or culprit.node)
    beyond = culprit.next_bridge or culprit.next_node
    if beyond is not None:
        return f"between {here} and {beyond}"
    if culprit.table_id is None:
        return here
    return f"{here}, {table_phrase(culprit.table_id, culprit.table_name)}"


def where_phrase(culprit: Culprit) -> str:
    """``at server2/br-int, table 40 (acl-out)``, ``between server1/br-int and server2``."""
    place = place_phrase(culprit)
    return place if place.startswith("between") else f"at {place}"


def table_phrase(table_id: int, name: str | None = None) -> str:
    """``table 40``, with its name in the profile when it has one."""
    return f"table {table_id} ({name})" if name else f"table {table_id}"


def cause_phrase(verdict: Verdict) -> str:
    """``security-rule-deny (security_policy)``, or nothing when there is no cause to name."""
    if verdict.code.value == "none":
        return ""
    return f"{verdict.code.value} ({verdict.category.value})"
