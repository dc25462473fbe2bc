"""Turns the copies that tasks were sent into a capture file with a comment on each."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vtrace_ovs.cli.console import talk
from vtrace_ovs.cli.files import write_file
from vtrace_ovs.codecs.pcapng_writing import CommentedFrame, Direction, pcapng_of
from vtrace_ovs.diagnosis.grouping import packets_of
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.verdict import Verdict
from vtrace_ovs.rendering.comments import record_comment

if TYPE_CHECKING:
    from vtrace_ovs.model.task import Task
    from vtrace_ovs.storage.store import Store

_DIRECTIONS = {Loc.IN: Direction.INBOUND, Loc.OUT: Direction.OUTBOUND, Loc.ERROR: Direction.UNKNOWN}


def write_capture(store: "Store", tasks: tuple["Task", ...], path: Path) -> None:
    """One record per copy of these tasks' packets, by time. Raises UsageError when the file cannot be written."""
    frames = [frame for task in tasks for frame in _frames(store, task.id)]
    frames.sort(key=lambda frame: frame.at)
    write_file(path, pcapng_of(frames))
    talk(f"{len(frames)} copies written to {path}")


def _frames(store: "Store", task_id: int) -> list[CommentedFrame]:
    verdicts = _verdicts(store, task_id)
    return [_frame(record, verdicts.get(record.packet_id)) for record in store.records(task_id)]


def _verdicts(store: "Store", task_id: int) -> Mapping[str, Verdict | None]:
    """The verdict on each packet; None where equal packets met different ones, as a copy does not say whose it is."""
    verdicts: dict[str, Verdict | None] = {}
    for way, group in packets_of(store.trajectories(task_id), store.result(task_id)):
        verdict = None if group is None else group.verdict
        same = way.packet_id not in verdicts or verdicts[way.packet_id] == verdict
        verdicts[way.packet_id] = verdict if same else None
    return verdicts


def _frame(record: PacketInRecord, verdict: Verdict | None) -> CommentedFrame:
    return CommentedFrame(
        str(record.bridge),
        record.timestamp,
        record.frame,
        record.headers.length,
        record_comment(record, verdict),
        _DIRECTIONS[record.loc],
    )
