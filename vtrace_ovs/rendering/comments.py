"""Turns a captured copy and the verdict on its packet into the comment it gets in a capture file."""

from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.verdict import Verdict
from vtrace_ovs.model.wording import flow_text
from vtrace_ovs.rendering.lines import Span
from vtrace_ovs.rendering.phrases import NO_VERDICT, port_phrase, table_phrase, tunnel_phrase
from vtrace_ovs.rendering.screen import verdict_line


def record_comment(record: PacketInRecord, verdict: Verdict | None) -> str:
    """One line: ``hop 2, error, cs3/br-int, in port 1, table 40: <flow>; DROPPED at …; task 7, packet 8f14…``."""
    place = [f"hop {record.dscp_mark}", record.loc.value, str(record.bridge), f"in {port_phrase(record.in_port)}"]
    if record.out_port is not None:
        place.append(f"out {port_phrase(record.out_port)}")
    if record.tunnel is not None:
        place.append(tunnel_phrase(record.tunnel, leaving=record.loc is Loc.OUT))
    if record.table_id is not None and record.loc is not Loc.IN:  # an arrival is logged by a table of ours
        place.append(table_phrase(record.table_id))
    where = ", ".join(place)
    if record.flow is not None:
        where += f": {flow_text(record.flow, record.cookie)}"
    found = NO_VERDICT if verdict is None else verdict_line(verdict).shown
    parts = (where, *((record.msg,) if record.msg else ()), found, f"task {record.task_id}, packet {record.packet_id}")
    return Span("; ".join(parts)).shown
