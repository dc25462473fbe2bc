"""Turns results and tasks into JSON documents with a schema version and fixed enums (``docs/json.md``)."""

import json
from collections.abc import Mapping, Sequence

from vtrace_ovs.model.agreement import Agreement, Examined
from vtrace_ovs.model.cost import ServerCost, ServerReading
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.trajectory import Hop, NearMiss, Step, Trajectory
from vtrace_ovs.model.verdict import Culprit, Exchange, Headline, PathGroup, TaskResult, Verdict
from vtrace_ovs.model.wording import flow_text, match_text

SCHEMA = 1
"""Raised when a key disappears or changes its meaning; new keys may appear at any time."""

Json = dict[str, object]

_NOTHING_YET: Json = {"verdict": None, "losses": [], "groups": [], "notes": [], "costs": []}


def result_document(
    result: TaskResult,
    task: Task | None = None,
    agreements: Sequence[Agreement] = (),
    examined: Sequence[Examined] = (),
) -> str:
    """One result as JSON text; ``task`` adds what was asked for and the state it ended in.

    ``agreements`` add what Open vSwitch itself says at each server, where it was asked; ``examined`` what all lookups
    looked at.
    """
    document: Json = {"schema": SCHEMA, **_result(result, task)}
    if agreements:
        document["against_ovs"] = [_agreement(one) for one in agreements]
    if examined:
        document["examined"] = [{"bridge": str(one.bridge), "match": match_text(one.match)} for one in examined]
    return document_text(document)


def exchange_document(both: Exchange, tasks: tuple[Task, Task]) -> str:
    """Both directions as JSON text: the document of the request, with ``reply`` (null: no result) and ``both``."""
    request, reply = tasks
    back = None if both.reply is None else _result(both.reply, reply)
    return document_text(
        {"schema": SCHEMA, **_result(both.request, request), "reply": back, "both": verdict_fields(both.verdict)}
    )


def _result(result: TaskResult, task: Task | None) -> Json:
    traced: Json = {"id": result.task_id, "packets": result.packets, "copies_lost": result.copies_lost}
    traced |= {"armed": [str(bridge) for bridge in result.armed], "vfds": result.vfds}
    return {
        "task": traced if task is None else {**task_fields(task), **traced},
        "verdict": verdict_fields(result.verdict),
        "losses": [
            {"packets": fate.packets, "share": result.share(fate), "verdict": verdict_fields(fate.verdict)}
            for fate in result.losses
        ],
        "groups": [_group(group) for group in result.groups],
        "notes": list(result.notes),
        "costs": [_cost(cost) for cost in result.costs],
    }


def task_document(task: Task) -> str:
    """A task without a result: the same keys, ``verdict`` null and no groups."""
    return document_text({"schema": SCHEMA, "task": task_fields(task), **_NOTHING_YET})


def tasks_document(tasks: Sequence[Task], headlines: Mapping[int, Headline]) -> str:
    """A list of tasks, each with what was found."""
    listed = [{**task_fields(task), "found": _found(headlines.get(task.id))} for task in tasks]
    return document_text({"schema": SCHEMA, "tasks": listed})


def _found(headline: Headline | None) -> Json | None:
    if headline is None:
        return None
    blamed = None if headline.blamed is None else str(headline.blamed)
    return {"disposition": headline.disposition.value, "code": headline.code.value, "blamed": blamed}


def document_text(document: Json) -> str:
    """A document as JSON text."""
    # ensure_ascii keeps control and bidirectional characters of tenants out of terminals, whatever their encoding.
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def task_fields(task: Task) -> Json:
    """What was asked for, and the state it is in."""
    request = task.request
    return {
        "id": task.id,
        "state": task.state.value,
        "reason": task.reason,
        "filter": request.filter.text,
        "vni": request.scope.vni,
        "from": request.scope.source_vm,
        "to": request.scope.destination_vm,
        "wide": request.scope.wide,
        "packet_count": request.packet_count,
        "trace_time": request.trace_time,
        "created_at": task.created_at,
        "armed_at": task.armed_at,
        "ended_at": task.ended_at,
        "cancel_requested": task.cancel_requested,
        "answers": request.answers,
        "interval": request.interval,
    }


def verdict_fields(verdict: Verdict) -> Json:
    """A verdict."""
    return {
        "disposition": verdict.disposition.value,
        "category": verdict.category.value,
        "code": verdict.code.value,
        "confidence": verdict.confidence.value,
        "operator_sentence": verdict.operator_sentence,
        "tenant_sentence": verdict.tenant_sentence,
        "remedy": verdict.remedy,
        "culprit": None if verdict.culprit is None else _culprit(verdict.culprit),
        "drop": None if verdict.drop is None else verdict.drop.value,
        "evidence": [{"sentence": fact.sentence, "observed": fact.observed} for fact in verdict.evidence],
        "near_misses": [_near_miss(near) for near in verdict.near_misses],
    }


def _culprit(culprit: Culprit) -> Json:
    return {
        "node": culprit.node,
        "bridge": _text(culprit.bridge),
        "table_id": culprit.table_id,
        "table_name": culprit.table_name,
        "flow": None if culprit.flow is None else _flow(culprit.flow, culprit.cookie),
        "owner": culprit.owner,
        "next_node": culprit.next_node,
        "next_bridge": _text(culprit.next_bridge),
        "meter_id": culprit.meter_id,
    }


def _group(group: PathGroup) -> Json:
    return {
        "packets": group.packets,
        "verdict": verdict_fields(group.verdict),
        "path": _path(group.example),
        "prediction": None if group.prediction is None else _path(group.prediction),
    }


def _path(trajectory: Trajectory) -> Json:
    return {
        "packet_id": trajectory.packet_id,
        "occurrence": trajectory.occurrence,
        "origin": trajectory.origin.value,
        "ending": trajectory.ending.value,
        "ambiguous": trajectory.ambiguous,
        "five_tuple": _five_tuple(trajectory.five_tuple),
        "nat_key": _five_tuple(trajectory.nat_key),
        "first_seen": trajectory.first_seen,
        "last_seen": trajectory.last_seen,
        "hops": [_hop(hop) for hop in trajectory.hops],
    }


def _hop(hop: Hop) -> Json:
    return {
        "bridge": str(hop.bridge),
        "dscp_mark": hop.dscp_mark,
        "parent": hop.parent,
        "in_port": hop.in_port,
        "out_port": hop.out_port,
        "arrived_by": _tunnel(hop.arrived_by),
        "left_by": _tunnel(hop.left_by),
        "headers_in": _headers(hop.headers_in),
        "headers_out": _headers(hop.headers_out),
        "changes": [{"field": change.field, "old": change.old, "new": change.new} for change in hop.changes],
        "steps": [_step(step) for step in hop.steps],
        "deciding": hop.deciding,
        "note": hop.note,
        "unmarked": hop.unmarked,
        "aside": hop.aside,
        "seen": sorted(loc.value for loc in hop.seen),
        "inferred": hop.inferred,
        "ending": None if hop.ending is None else hop.ending.value,
        "drop": None if hop.drop is None else hop.drop.value,
        "unsupported": hop.unsupported,
        "meters": list(hop.meters),
        "entered_at": hop.entered_at,
        "left_at": hop.left_at,
    }


def _step(step: Step) -> Json:
    return {
        "table_id": step.table_id,
        "flow": None if step.flow is None else _flow(step.flow, step.cookie),
        "actions": step.actions,
        "ambiguous": step.ambiguous,
        "near_misses": [_near_miss(near) for near in step.near_misses],
    }


def _near_miss(near: NearMiss) -> Json:
    differences = [{"field": field, "wanted": wanted, "had": had} for field, wanted, had in near.differences]
    return {"flow": _flow(near.flow, near.cookie), "differences": differences}


def _flow(key: FlowKey, cookie: int | None) -> Json:
    return {
        "table_id": key.table_id,
        "priority": key.priority,
        "match": match_text(key.match),
        "cookie": None if cookie is None else f"{cookie:#x}",
        "text": flow_text(key, cookie),
    }


def _five_tuple(five_tuple: FiveTuple | None) -> Json | None:
    if five_tuple is None:
        return None
    return {
        "protocol": five_tuple.protocol,
        "source": str(five_tuple.source),
        "destination": str(five_tuple.destination),
        "source_port": five_tuple.source_port,
        "destination_port": five_tuple.destination_port,
    }


def _tunnel(tunnel: Tunnel | None) -> Json | None:
    if tunnel is None:
        return None
    return {"vni": tunnel.vni, "source": _text(tunnel.source), "destination": _text(tunnel.destination)}


def _headers(headers: Headers | None) -> Json | None:
    """The headers without the payload: that is the tenant's."""
    if headers is None:
        return None
    return {
        **_attributes(headers, "eth_src eth_dst eth_type vlan_tci length"),
        "five_tuple": _five_tuple(headers.five_tuple),
        **_attributes(headers, "dscp ecn ttl ip_id"),
        "fragment": headers.fragment.value,
        **_attributes(headers, "tcp_flags icmp_type icmp_code"),
    }


def _cost(cost: ServerCost) -> Json:
    return {
        **_attributes(cost, "node copies megaflows masks upcalls cpu_share"),
        "before": _reading(cost.before),
        "during": _reading(cost.during),
        "after": _reading(cost.after),
    }


def _reading(reading: ServerReading | None) -> Json | None:
    return None if reading is None else _attributes(reading, "at megaflows masks upcalls cpu_seconds")


def _attributes(value: object, names: str) -> Json:
    """Attributes that are named and written as they are."""
    return {name: getattr(value, name) for name in names.split()}


def _agreement(one: Agreement) -> Json:
    trace = one.trace
    return {
        "entry": str(one.entry),
        "agrees": one.agrees,
        "sentence": one.sentence,
        "bridge": _text(one.bridge),
        "table_id": one.table_id,
        "follows": one.follows,
        "datapath": one.datapath or None,
        "final_flow": None if trace is None else trace.final_flow,
        "megaflow": None if trace is None else trace.megaflow,
        "datapath_actions": None if trace is None else list(trace.datapath_actions),
    }


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
