"""Turns packet-in records and counter samples into rows and back, many at a time."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Table, TypeDecorator, column, insert, select, table
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.records import CounterSample, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.storage.columns import address_text, signed64
from vtrace_ovs.storage.schema import Base, RecordRow, SampleRow

Columns = dict[str, object]
RecordColumns = tuple[object, ...]
"""The values of a record's columns in the order of the table, as the driver takes them."""

# Plain tables, not mapped classes: a record is written once and never changed, and there are many.
_RECORDS: Table = Base.metadata.tables[RecordRow.__tablename__]
_SAMPLES: Table = Base.metadata.tables[SampleRow.__tablename__]
_RECORD_COLUMNS = tuple(each for each in _RECORDS.columns if not each.primary_key)
# Our own column types convert each value by a call of its own; here they are converted a row at a time.
_CONVERTED = table(
    _RECORDS.name,
    *(
        column(each.name, each.type.impl_instance if isinstance(each.type, TypeDecorator) else each.type)
        for each in _RECORD_COLUMNS
    ),
)
_NO_FIVE_TUPLE: RecordColumns = (None,) * 5
_INSERTION = str(insert(_CONVERTED).compile(dialect=sqlite.dialect(paramstyle="qmark")))
_NAMES = tuple(each.name for each in _RECORD_COLUMNS)


def record_rows(records: Iterable[PacketInRecord]) -> list[RecordColumns]:
    """Records as columns, made before the database is locked."""
    return [_record_columns(record) for record in records]


def insert_records(session: Session, rows: list[RecordColumns]) -> None:
    """Add records, in one statement."""
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.paramstyle == "qmark":  # SQLite takes the rows as they are: nothing looks at each again
        connection.exec_driver_sql(_INSERTION, rows)
    else:
        session.execute(insert(_CONVERTED), [dict(zip(_NAMES, row, strict=True)) for row in rows])


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


def _record_columns(record: PacketInRecord) -> RecordColumns:
    """The values of ``_RECORD_COLUMNS``."""
    bridge, tunnel, flow = record.bridge, record.tunnel, record.flow
    return (
        record.task_id,
        record.sequence,
        bridge.node,
        bridge.name,
        address_text(record.node_ip),
        record.loc.value,
        record.packet_id,
        *_five_tuple_columns(record.five_tuple),
        *((None, None, None) if tunnel is None else _tunnel_columns(tunnel)),
        *_five_tuple_columns(record.nat_key),
        record.dscp_mark,
        str(record.msg),
        record.timestamp,
        record.in_port,
        record.out_port,
        record.table_id,
        signed64(record.cookie),
        None if flow is None else _flow_text(flow),
        record.ct_state,
        _headers_text(record.headers),
        record.frame,
    )


def _record(row: Row[Any]) -> PacketInRecord:
    return PacketInRecord(
        sequence=row.sequence,
        task_id=row.task_id,
        bridge=_bridge(row.node, row.bridge),
        node_ip=row.node_ip,
        loc=row.loc,
        packet_id=row.packet_id,
        five_tuple=_five_tuple(row, ""),
        headers=_headers(row.headers),
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


def _five_tuple_columns(value: FiveTuple | None) -> RecordColumns:
    if value is None:
        return _NO_FIVE_TUPLE
    source, destination = address_text(value.source), address_text(value.destination)
    return int(value.protocol), source, destination, value.source_port, value.destination_port


def _tunnel_columns(tunnel: Tunnel) -> RecordColumns:
    return address_text(tunnel.source), address_text(tunnel.destination), signed64(tunnel.vni)


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
def _headers(text: str) -> Headers:
    """As above: the records of a packet share them."""
    return from_json(Headers, text)


_bridge = lru_cache(maxsize=4096)(BridgeId)


@lru_cache(maxsize=4096)
def _flow_key(text: str) -> FlowKey:
    return from_json(FlowKey, text)
