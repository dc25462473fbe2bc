"""Turns the tables of a bridge into content-addressed parts and back, so that an unchanged table is stored once.

A snapshot is a list of contents: consecutive flows of one OpenFlow table, then groups, meters and ports. What changes
at every reading (counters, ages, the time) is kept apart with the snapshot. Its digest covers everything.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from vtrace_ovs.codecs.document_scalars import Json
from vtrace_ovs.codecs.documents import from_document, json_document, json_text, to_document
from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.flow import BridgeTables, Flow, GroupEntry, MeterEntry, PortDescription
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.storage.schema import ContentRow, SnapshotPartRow, SnapshotRow, TaskSnapshotRow

T = TypeVar("T")
Entry = Flow | GroupEntry | MeterEntry | PortDescription

_FLOWS, _GROUPS, _METERS, _PORTS = "flows", "groups", "meters", "ports"
_COUNTERS = ("n_packets", "n_bytes", "duration")
_COMPRESSION = 3  # tables compress about 30 times at any level; higher levels only cost time


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A snapshot by name: ``digest`` gets the tables. ``read_at`` is in Unix seconds."""

    digest: str
    bridge: BridgeId
    read_at: float
    flows: int


@dataclass(frozen=True, slots=True)
class EncodedSnapshot:
    """A snapshot ready to be inserted."""

    snapshot: SnapshotRow
    contents: tuple[ContentRow, ...]


def encode(bridge: BridgeId, tables: BridgeTables) -> EncodedSnapshot:
    """The rows of a snapshot. Slow for large tables (25 µs a flow), so it is done before the database is locked."""
    contents = [_content(_FLOWS, tuple(flows)) for _, flows in groupby(tables.flows, key=lambda flow: flow.table_id)]
    for kind, entries in ((_GROUPS, tables.groups), (_METERS, tables.meters), (_PORTS, tables.ports)):
        if entries:
            contents.append(_content(kind, entries))
    counters = _pack_counters(tables.flows)
    identity = [bridge.node, bridge.name, tables.dpid, tables.read_at, [content.digest for content in contents]]
    snapshot = SnapshotRow(
        digest=hashlib.sha256(json.dumps(identity).encode() + counters).hexdigest(),
        node=bridge.node,
        bridge=bridge.name,
        dpid=tables.dpid,
        read_at=tables.read_at,
        flows=len(tables.flows),
        counters=zlib.compress(counters, _COMPRESSION),
    )
    return EncodedSnapshot(snapshot, tuple(contents))


def insert(session: Session, task_id: int, encoded: EncodedSnapshot) -> None:
    """Add what is not there yet, and say that the task was judged by it."""
    digest = encoded.snapshot.digest
    if session.get(SnapshotRow, digest) is None:
        missing = {content.digest: content for content in encoded.contents}
        known = select(ContentRow.digest).where(ContentRow.digest.in_(missing))
        for present in session.scalars(known):
            del missing[present]
        session.add_all([encoded.snapshot, *missing.values()])
        session.flush()
        session.add_all(
            SnapshotPartRow(snapshot=digest, position=position, content=content.digest)
            for position, content in enumerate(encoded.contents)
        )
    session.merge(TaskSnapshotRow(task_id=task_id, snapshot=digest))


def load(session: Session, digest: str) -> tuple[SnapshotRow, tuple[ContentRow, ...]] | None:
    """The rows of a snapshot."""
    snapshot = session.get(SnapshotRow, digest)
    if snapshot is None:
        return None
    contents = (
        select(ContentRow)
        .join(SnapshotPartRow, SnapshotPartRow.content == ContentRow.digest)
        .where(SnapshotPartRow.snapshot == digest)
        .order_by(SnapshotPartRow.position)
    )
    return snapshot, tuple(session.scalars(contents))


def decode(snapshot: SnapshotRow, contents: Sequence[ContentRow]) -> BridgeTables:
    """The tables as they were read. Raises StorageError when a content is not what its digest says."""
    documents = {kind: list(_documents(contents, kind)) for kind in (_FLOWS, _GROUPS, _METERS, _PORTS)}
    return BridgeTables(
        dpid=snapshot.dpid,
        read_at=snapshot.read_at,
        flows=_with_counters(_entries(Flow, documents[_FLOWS]), zlib.decompress(snapshot.counters)),
        groups=_entries(GroupEntry, documents[_GROUPS]),
        meters=_entries(MeterEntry, documents[_METERS]),
        ports=_entries(PortDescription, documents[_PORTS]),
    )


def list_snapshots(session: Session, task_id: int) -> tuple[StoredSnapshot, ...]:
    """The snapshots a task was judged by, oldest first."""
    query = (
        select(SnapshotRow.digest, SnapshotRow.node, SnapshotRow.bridge, SnapshotRow.read_at, SnapshotRow.flows)
        .join(TaskSnapshotRow, TaskSnapshotRow.snapshot == SnapshotRow.digest)
        .where(TaskSnapshotRow.task_id == task_id)
        .order_by(SnapshotRow.read_at, SnapshotRow.node, SnapshotRow.bridge)
    )
    return tuple(
        StoredSnapshot(row.digest, BridgeId(row.node, row.bridge), row.read_at, row.flows)
        for row in session.execute(query)
    )


def _content(kind: str, entries: tuple[Entry, ...]) -> ContentRow:
    digest, body = _packed(kind, entries)
    return ContentRow(digest=digest, kind=kind, entries=len(entries), body=body)


@lru_cache(maxsize=256)
def _packed(kind: str, entries: tuple[Entry, ...]) -> tuple[str, bytes]:
    """Digest and body. Most tables are the same at every reading: flows are equal whatever they have counted."""
    text = json_text([_without_counters(entry) for entry in entries]).encode()
    return _digest(kind, text), zlib.compress(text, _COMPRESSION)


def _documents(contents: Iterable[ContentRow], kind: str) -> Iterable[Json]:
    for content in contents:
        if content.kind == kind:
            text = _text(content)
            document = json_document(text)
            if isinstance(document, list):
                yield from document


def _text(content: ContentRow) -> bytes:
    try:
        text = zlib.decompress(content.body)
    except zlib.error:
        text = b""
    if _digest(content.kind, text) != content.digest:
        raise StorageError(f"stored {content.kind} {content.digest[:12]} are not what was stored: restore the database")
    return text


def _digest(kind: str, text: bytes) -> str:
    return hashlib.sha256(kind.encode() + b"\n" + text).hexdigest()


def _entries(kind: type[T], documents: Iterable[Json]) -> tuple[T, ...]:
    return tuple(from_document(kind, document) for document in documents)


def _without_counters(entry: Entry) -> Json:
    document = to_document(entry)
    if isinstance(entry, Flow) and isinstance(document, dict):
        for counter in _COUNTERS:
            document.pop(counter, None)
    return document


def _layout(flows: int) -> struct.Struct:
    return struct.Struct(f"<{flows}Q{flows}Q{flows}d")


def _pack_counters(flows: Sequence[Flow]) -> bytes:
    return _layout(len(flows)).pack(
        *(flow.n_packets for flow in flows), *(flow.n_bytes for flow in flows), *(flow.duration for flow in flows)
    )


def _with_counters(flows: Sequence[Flow], counters: bytes) -> tuple[Flow, ...]:
    n = len(flows)
    numbers = _layout(n).unpack(counters)
    return tuple(
        replace(flow, n_packets=packets, n_bytes=n_bytes, duration=duration)
        for flow, packets, n_bytes, duration in zip(
            flows, numbers[:n], numbers[n : 2 * n], numbers[2 * n :], strict=True
        )
    )
