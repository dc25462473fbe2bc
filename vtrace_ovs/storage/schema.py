"""Turns the nouns worth keeping into tables. ``migrations/`` must end where this file stands; a test compares them.

Columns are what people query; what only this program reads is a JSON ``document`` (``codecs.documents``). Times are
Unix seconds. ``node`` and ``bridge`` name a VFD; they are no foreign keys, because history outlives the inventory.
"""

from typing import Annotated, Any

from sqlalchemy import BigInteger, Double, ForeignKey, Index, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.records import CounterKind, Loc
from vtrace_ovs.model.task import IntentKind, TaskState
from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.model.trajectory import Ending, Origin
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition
from vtrace_ovs.storage.columns import ROW_ID, AddressText, EnumText, Unsigned64

VERSION_TABLE = "vtrace_schema_version"

_ENUMS = (
    TaskState,
    IntentKind,
    BridgeRole,
    Loc,
    CounterKind,
    Origin,
    Ending,
    Disposition,
    CauseCategory,
    CauseCode,
    Confidence,
)
_COLUMN_TYPES: dict[object, TypeEngine[Any]] = {
    int: BigInteger(),
    float: Double(),
    str: Text(),
    bytes: LargeBinary(),
    IPAddress: AddressText(),
    **{kind: EnumText(kind) for kind in _ENUMS},
}

RowId = Annotated[int, mapped_column(ROW_ID, primary_key=True)]
TaskId = Annotated[int, mapped_column(ROW_ID, ForeignKey("tasks.id", ondelete="CASCADE"))]
TaskKey = Annotated[int, mapped_column(ROW_ID, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)]
Wide = Annotated[int, mapped_column(Unsigned64)]
Digest = Annotated[str, mapped_column(String(64), primary_key=True)]


class Base(DeclarativeBase):
    """All tables; every constraint has a name, so that a later migration can find it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = _COLUMN_TYPES


class TaskRow(Base):
    """One task. ``request`` is the whole request; the columns repeat what people look tasks up by.

    ``answers`` is the task whose replies it traces; no foreign key, because SQLite could not add one to a table there.
    """

    __tablename__ = "tasks"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[RowId]
    state: Mapped[TaskState] = mapped_column(index=True)
    filter_text: Mapped[str] = mapped_column(index=True)
    protocol: Mapped[int | None]
    source: Mapped[str | None]
    destination: Mapped[str | None]
    source_port: Mapped[int | None]
    destination_port: Mapped[int | None]
    vni: Mapped[Wide | None]
    packet_count: Mapped[int]
    trace_time: Mapped[int]
    request: Mapped[str]
    created_at: Mapped[float]
    armed_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    slot: Mapped[int | None]
    reason: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    answers: Mapped[Wide | None] = mapped_column(index=True)
    count_interval: Mapped[int | None]


class IntentRow(Base):
    """Something put into the network that must be taken out again; open while ``undone_at`` is null."""

    __tablename__ = "intents"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[RowId]
    task_id: Mapped[TaskId]
    kind: Mapped[IntentKind]
    target: Mapped[str]
    ovsdb: Mapped[str]
    detail: Mapped[str]
    written_at: Mapped[float]
    undone_at: Mapped[float | None] = mapped_column(index=True)


class VfdRow(Base):
    """A bridge of the inventory as last seen."""

    __tablename__ = "vfds"

    node: Mapped[str] = mapped_column(primary_key=True)
    bridge: Mapped[str] = mapped_column(primary_key=True)
    dpid: Mapped[Wide | None]
    role: Mapped[BridgeRole]
    profile: Mapped[str | None]
    tenant: Mapped[str | None]
    document: Mapped[str]


class ContentRow(Base):
    """Flows of one OpenFlow table, or the groups, meters or ports of a bridge, by the SHA-256 of what they say.

    ``body`` is a zlib-compressed JSON array; flows are without their counters, so an unchanged table is one row however
    often it is read.
    """

    __tablename__ = "contents"

    digest: Mapped[Digest]
    kind: Mapped[str]
    entries: Mapped[int]
    body: Mapped[bytes]


class SnapshotRow(Base):
    """All tables of one bridge at one moment. ``counters`` holds the flow counters in the order of the flows."""

    __tablename__ = "snapshots"

    digest: Mapped[Digest]
    node: Mapped[str]
    bridge: Mapped[str]
    dpid: Mapped[Wide]
    read_at: Mapped[float]
    flows: Mapped[int]
    counters: Mapped[bytes]


class SnapshotPartRow(Base):
    """Which contents make up a snapshot, in order."""

    __tablename__ = "snapshot_parts"

    snapshot: Mapped[str] = mapped_column(
        String(64), ForeignKey("snapshots.digest", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str] = mapped_column(String(64), ForeignKey("contents.digest"), index=True)


class TaskSnapshotRow(Base):
    """Which snapshots a task was judged by."""

    __tablename__ = "task_snapshots"

    task_id: Mapped[TaskKey]
    snapshot: Mapped[str] = mapped_column(
        String(64), ForeignKey("snapshots.digest", ondelete="CASCADE"), primary_key=True, index=True
    )


class RecordRow(Base):
    """One packet-in record: every metric of the paper's Table 2, and what OVS lets us add.

    The five-tuple is ``protocol`` … ``destination_port``; ``nat_*`` is NAT_key; ``out_sip``, ``out_dip`` and ``vni``
    are the tunnel. ``flow`` is a FlowKey document, ``headers`` a Headers document, ``frame`` the captured bytes.
    """

    __tablename__ = "records"
    __table_args__ = (Index(None, "task_id", "packet_id"),)

    id: Mapped[RowId]
    task_id: Mapped[TaskId]
    sequence: Mapped[int]
    node: Mapped[str]
    bridge: Mapped[str]
    node_ip: Mapped[IPAddress | None]
    loc: Mapped[Loc]
    packet_id: Mapped[str]
    protocol: Mapped[int | None]
    source: Mapped[IPAddress | None]
    destination: Mapped[IPAddress | None]
    source_port: Mapped[int | None]
    destination_port: Mapped[int | None]
    out_sip: Mapped[IPAddress | None]
    out_dip: Mapped[IPAddress | None]
    vni: Mapped[Wide | None]
    nat_protocol: Mapped[int | None]
    nat_source: Mapped[IPAddress | None]
    nat_destination: Mapped[IPAddress | None]
    nat_source_port: Mapped[int | None]
    nat_destination_port: Mapped[int | None]
    dscp_mark: Mapped[int]
    msg: Mapped[str]
    timestamp: Mapped[float]
    in_port: Mapped[int]
    out_port: Mapped[int | None]
    table_id: Mapped[int | None]
    cookie: Mapped[Wide | None]
    flow: Mapped[str | None]
    ct_state: Mapped[int]
    headers: Mapped[str]
    frame: Mapped[bytes]


class SampleRow(Base):
    """One reading of one counter."""

    __tablename__ = "samples"

    id: Mapped[RowId]
    task_id: Mapped[TaskId] = mapped_column(index=True)
    node: Mapped[str]
    bridge: Mapped[str]
    kind: Mapped[CounterKind]
    subject: Mapped[str]
    packets: Mapped[Wide]
    dropped: Mapped[Wide]
    read_at: Mapped[float]


class TrajectoryRow(Base):
    """One packet's way, whole in ``document``; ``node`` and ``bridge`` are the last VFD it is known to have reached."""

    __tablename__ = "trajectories"
    __table_args__ = (Index(None, "task_id", "packet_id"),)

    id: Mapped[RowId]
    task_id: Mapped[TaskId]
    packet_id: Mapped[str]
    occurrence: Mapped[int]
    origin: Mapped[Origin]
    ending: Mapped[Ending]
    ambiguous: Mapped[bool]
    hops: Mapped[int]
    node: Mapped[str | None]
    bridge: Mapped[str | None]
    document: Mapped[str]


class VerdictColumns:
    """What a verdict says, as columns: what happened, why, and who did it."""

    disposition: Mapped[Disposition] = mapped_column(index=True)
    category: Mapped[CauseCategory]
    code: Mapped[CauseCode] = mapped_column(index=True)
    confidence: Mapped[Confidence]
    node: Mapped[str | None]
    bridge: Mapped[str | None] = mapped_column(index=True)
    table_id: Mapped[int | None]
    cookie: Mapped[Wide | None]
    owner: Mapped[str | None]
    packets: Mapped[Wide]


class ResultRow(VerdictColumns, Base):
    """The answer of a task: its verdict as columns, all of it in ``document``."""

    __tablename__ = "results"

    task_id: Mapped[TaskKey]
    copies_lost: Mapped[int]
    document: Mapped[str]


class CountRow(Base):
    """What a task has counted: the packets that entered and those that were lost, all of it in ``document``."""

    __tablename__ = "counts"

    task_id: Mapped[TaskKey]
    packets: Mapped[int]
    lost: Mapped[int]
    document: Mapped[str]


class ResultGroupRow(VerdictColumns, Base):
    """One group of packets of a result, in the result's order; for queries over many tasks."""

    __tablename__ = "result_groups"

    task_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("results.task_id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)


class ResultCostRow(Base):
    """What a trace cost one server: differences between before and while it ran; null is not known."""

    __tablename__ = "result_costs"

    task_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("results.task_id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    copies: Mapped[int]
    megaflows: Mapped[int | None]
    masks: Mapped[int | None]
    upcalls: Mapped[int | None]
    cpu_share: Mapped[float | None]
