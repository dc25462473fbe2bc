"""Turns a group into the buckets that run: all, the first live one, or the one a hash has no choice but to take.

Source: ``xlate_group_action__()`` in ``ofproto/ofproto-dpif-xlate.c`` (Open vSwitch 3.1).
"""

from collections.abc import Sequence
from typing import assert_never

from vtrace_ovs.model.flow import Bucket, GroupEntry, GroupType
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.model.wording import actions_text
from vtrace_ovs.walker import action_set
from vtrace_ovs.walker.guide import Choice
from vtrace_ovs.walker.translation import End, Frame, Translation
from vtrace_ovs.walker.undecided import Unknown, Unsupported


def process(run: Translation, group_id: int, frame: Frame) -> None:
    """``group:ID``: a frame for each bucket that runs, each on the packet as it is now."""
    group = run.view.group(group_id)
    if group is None:
        run.leave_open(Unknown(f"group {group_id} was not stored with the tables"), frame.step)
        return
    if not run.within_limits(frame.depth):
        return
    chosen = _chosen(run, group)
    if group.type is GroupType.SELECT and len(chosen) > 1:
        chosen = _observed(run, group, chosen) or chosen
    if group.type is GroupType.SELECT and len(chosen) > 1:
        run.leave_open(Unsupported("select group", _candidates(group_id, chosen)), frame.step)
        return
    if not chosen:
        run.stop(DropShape.NO_LIVE_BUCKET, step=frame.step)
    run.frames.extend(_frame(run, bucket, frame) for bucket in reversed(chosen))


def _chosen(run: Translation, group: GroupEntry) -> Sequence[Bucket]:
    """The buckets that run; of a select group all that may."""
    live = [bucket for bucket in group.buckets if run.view.bucket_live(bucket.watch_port, bucket.watch_group)]
    match group.type:
        case GroupType.ALL | GroupType.INDIRECT:
            return group.buckets
        case GroupType.FAST_FAILOVER:
            return live[:1]
        case GroupType.SELECT:
            return [bucket for bucket in live if bucket.weight]
        case _:
            assert_never(group.type)


def _observed(run: Translation, group: GroupEntry, live: Sequence[Bucket]) -> Sequence[Bucket]:
    """The bucket that this trial runs, if it is one that says."""
    if run.guide is None:
        return ()
    indexes = tuple(at for at, bucket in enumerate(group.buckets) if any(bucket is each for each in live))
    taken = run.guide.bucket(Choice(group.group_id, indexes))
    return () if taken is None else (group.buckets[taken],)


def _frame(run: Translation, bucket: Bucket, frame: Frame) -> Frame:
    operations = iter(action_set.ordered(bucket.actions))
    return Frame(operations, frame.table_id, frame.depth + 1, frame.step, End.BUCKET, run.state.copy())


def _candidates(group_id: int, buckets: Sequence[Bucket]) -> str:
    named = "; or ".join(actions_text(bucket.actions) for bucket in buckets)
    return f"group {group_id} chooses by a hash: {named}"
