"""Turns what happened around a task's packets into the remarks its result ends with."""

from collections.abc import Iterator

from vtrace_ovs.diagnosis.conclusion import lost_copies
from vtrace_ovs.diagnosis.datapath import contradiction_phrase
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.session.runs import TaskRun


def notes_of(run: TaskRun, scene: Scene) -> tuple[str, ...]:
    """Everything that the packets' own verdicts do not say."""
    return (*run.notes, *_cut_off(run), *_counted(run, scene))


def _counted(run: TaskRun, scene: Scene) -> Iterator[str]:
    if run.datagrams.note:
        yield run.datagrams.note
    if run.extra_packets:
        yield f"{_packets(run.extra_packets)} colored before coloring ended"
    if run.overflowed:
        yield f"{run.overflowed} packet-ins were dropped in full queues on their way to controllers"
    if scene.total_copies_lost:
        yield lost_copies(scene)
    untold = sum(group.untold for group in run.groups.values())
    if untold:
        yield f"{untold} more packets came that equal others of the trace: too many to be told apart"
    if run.uncolored:
        packets = "packet" if run.uncolored == 1 else "packets"
        yield f"left out: {run.uncolored} {packets} with a mark that nobody was seen to give them"


def _cut_off(run: TaskRun) -> Iterator[str]:
    """Packets that a stale datapath took before anything of ours could see them."""
    told = {one.question.node: one.contradictions[0] for one in run.suspicions.cut_off}
    for node, one in told.items():
        what = f"{one.megaflow} does {contradiction_phrase(one)}"
        yield f"later packets came to {node} and are not traced: its datapath contradicts its flow tables, {what}"


def _packets(extra: int) -> str:
    return "1 more packet was" if extra == 1 else f"{extra} more packets were"
