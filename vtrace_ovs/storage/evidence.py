"""Turns packet-in records and counter samples into rows and back, many at a time."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Table, insert, select
from sqlalchemy.orm import Session

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.records import CounterSample, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.storage.schema import Base, RecordRow, SampleRow

Columns = dict[str, object]

# Plain tables, not mapped classes: a record is written once and never changed, and there are many.
_RECORDS: Table = Base.metadata.tables[RecordRow.__tablename__]
_SAMPLES: Table = Base.metadata.tables[SampleRow.__tablename__]


def record_rows(records: Iterable[PacketInRecord]) -> list[Columns]:
    """Records as columns, made before the database is locked."""
    return [_record_columns(record) for record in records]


def insert_records(session: Session, rows: list[Columns]) -> None:
    """Add records, in one statement."""
    if rows:
        session.execute(insert(_RECORDS), rows)


def select_records(session: Session, task_id: int) -> tuple[PacketInRecord, ...]:
    """The records of a task, in the order they were saved."""
    query = select(_RECORDS).where(_RECORDS.c.task_id == task_id).order_by(_RECORDS.c.id)
    return tuple(_record(row) for row in session.execute(query))


def insert_samples(session: Session, samples: Sequence[CounterSample]) -> None:
    """Add counter samples, in one statement."""
    if samples:
        session.execute(insert(_SAMPLES), [_sample_columns(sample) for sample in samples])


def select_samples(session: Session, task_id: int) -> tuple[CounterSample, ...]:
    """The counter samples of a task, in the order they were saved."""
    query = select(_SAMPLES).where(_SAMPLES.c.task_id == task_id).order_by(_SAMPLES.c.id)
    return tuple(
        CounterSample(
            task_id=row.task_id,
            bridge=BridgeId(row.node, row.bridge),
            kind=row.kind,
            subject=row.subject,
            packets=row.packets,
            dropped=row.dropped,
            read_at=row.read_at,
        )
        for row in session.execute(query)
    )


def _record_columns(record: PacketInRecord) -> Columns:
    tunnel = record.tunnel
    return {
        "task_id": record.task_id,
        "sequence": record.sequence,
        "node": record.bridge.node,
        "bridge": record.bridge.name,
        "node_ip": record.node_ip,
        "loc": record.loc,
        "packet_id": record.packet_id,
        **_five_tuple_columns("", record.five_tuple),
        "out_sip": None if tunnel is None else tunnel.source,
        "out_dip": None if tunnel is None else tunnel.destination,
        "vni": None if tunnel is None else tunnel.vni,
        **_five_tuple_columns("nat_", record.nat_key),
        "dscp_mark": record.dscp_mark,
        "msg": record.msg,
        "timestamp": record.timestamp,
        "in_port": record.in_port,
        "out_port": record.out_port,
        "table_id": record.table_id,
        "cookie": record.cookie,
        "flow": None if record.flow is None else _flow_text(record.flow),
        "ct_state": record.ct_state,
        "headers": _headers_text(record.headers),
        "frame": record.frame,
    }


def _record(row: Row[Any]) -> PacketInRecord:
    return PacketInRecord(
        sequence=row.sequence,
        task_id=row.task_id,
        bridge=BridgeId(row.node, row.bridge),
        node_ip=row.node_ip,
        loc=row.loc,
        packet_id=row.packet_id,
        five_tuple=_five_tuple(row, ""),
        headers=from_json(Headers, row.headers),
        dscp_mark=row.dscp_mark,
        in_port=row.in_port,
        timestamp=row.timestamp,
        out_port=row.out_port,
        tunnel=None if row.vni is None else Tunnel(row.vni, row.out_sip, row.out_dip),
        nat_key=_five_tuple(row, "nat_"),
        table_id=row.table_id,
        flow=None if row.flow is None else _flow_key(row.flow),
        cookie=row.cookie,
        msg=row.msg,
        ct_state=row.ct_state,
        frame=row.frame,
    )


def _sample_columns(sample: CounterSample) -> Columns:
    return {
        "task_id": sample.task_id,
        "node": sample.bridge.node,
        "bridge": sample.bridge.name,
        "kind": sample.kind,
        "subject": sample.subject,
        "packets": sample.packets,
        "dropped": sample.dropped,
        "read_at": sample.read_at,
    }


def _five_tuple_columns(prefix: str, value: FiveTuple | None) -> Columns:
    return {
        f"{prefix}protocol": None if value is None else int(value.protocol),
        f"{prefix}source": None if value is None else value.source,
        f"{prefix}destination": None if value is None else value.destination,
        f"{prefix}source_port": None if value is None else value.source_port,
        f"{prefix}destination_port": None if value is None else value.destination_port,
    }


def _five_tuple(row: Row[Any], prefix: str) -> FiveTuple | None:
    columns = row._mapping  # noqa: SLF001 - the public name of a row's columns begins with an underscore
    if columns[f"{prefix}protocol"] is None:
        return None
    return FiveTuple(
        columns[f"{prefix}protocol"],
        columns[f"{prefix}source"],
        columns[f"{prefix}destination"],
        columns[f"{prefix}source_port"],
        columns[f"{prefix}destination_port"],
    )


@lru_cache(maxsize=4096)
def _flow_text(flow: FlowKey) -> str:
    """A few flows log many packets."""
    return to_json(flow)


@lru_cache(maxsize=4096)
def _headers_text(headers: Headers) -> str:
    """A packet is logged about ten times on its way, and only the router changes its headers."""
    return to_json(headers)


@lru_cache(maxsize=4096)
def _flow_key(text: str) -> FlowKey:
    return from_json(FlowKey, text)
