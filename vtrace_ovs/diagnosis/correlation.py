"""Turns the results of many tasks into what those that lost packets have in common, and healthy ones have not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vtrace_ovs.diagnosis.compare import deciding_step
from vtrace_ovs.model.correlation import Correlation, LosingTask, Suspect, SuspectKind, TracedTask
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import Culprit, Disposition, TaskResult, Verdict
from vtrace_ovs.model.wording import flow_text

SEVERAL = 2
_ARRIVED = (Disposition.DELIVERED, Disposition.EXITED)
_EXACTNESS = list(SuspectKind)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where packets come by; ``nodes`` is one server, or the two a link joins."""

    kind: SuspectKind
    nodes: tuple[str, ...]
    bridge: BridgeId | None = None
    flow: FlowKey | None = None

    def __str__(self) -> str:
        if self.bridge is None:
            return " - ".join(self.nodes)
        return str(self.bridge) if self.flow is None else f"{self.bridge}: {flow_text(self.flow)}"

    def is_part_of(self, other: "_Place") -> bool:
        """Whether whatever is wrong here is wrong there as well."""
        if other.kind is SuspectKind.SERVER:
            return self.kind is not SuspectKind.SERVER and other.nodes[0] in self.nodes
        return other.kind is SuspectKind.VFD and self.flow is not None and self.bridge == other.bridge


def correlate(tasks: Iterable[TracedTask]) -> Correlation:
    """Suspects are places that two verdicts blame, else places that two losses share and no healthy task passed.

    Whom most verdicts blame comes first, of these whom fewest healthy tasks speak for, of these the most exact; what
    holds it is left out, if nobody else blames that.
    """
    listed = sorted(tasks, key=lambda task: task.result.task_id)
    losing = [task for task in listed if _lost(task.result)]
    healthy = [task for task in listed if task.result.verdict.disposition in _ARRIVED]
    blamed = _by_place((task.result.task_id, _blamed_by(task.result)) for task in losing)
    passed = _by_place((task.result.task_id, _passed_by(task.result)) for task in losing)
    spared = _by_place((task.result.task_id, _passed_by(task.result)) for task in healthy)
    tenants = {task.result.task_id: task.tenant for task in losing}

    def suspect(place: _Place) -> Suspect:
        tasks_there = passed[place]
        known = {tenant for number in tasks_there if (tenant := tenants[number]) is not None}
        return Suspect(
            place.kind,
            str(place),
            blamed.get(place, ()),
            tasks_there,
            spared.get(place, ()),
            tuple(sorted(known)),
        )

    chosen = _chosen(blamed, passed, spared)
    suspects = tuple(map(suspect, chosen))
    explained = {number for place in chosen for number in blamed.get(place) or passed[place]}
    numbers = {task.result.task_id for task in (*losing, *healthy)}
    return Correlation(
        suspects,
        tuple(LosingTask(task.result.task_id, task.tenant, task.result.verdict) for task in losing),
        tuple(task.result.task_id for task in healthy),
        tuple(task.result.task_id for task in listed if task.result.task_id not in numbers),
        tuple(task.result.task_id for task in losing if task.result.task_id not in explained),
    )


Tasks = Mapping[_Place, tuple[int, ...]]


def _chosen(blamed: Tasks, passed: Tasks, spared: Tasks) -> list[_Place]:
    shared = [place for place, tasks in blamed.items() if len(tasks) >= SEVERAL]
    shared = _most_exact(sorted(shared, key=lambda place: _order(place, blamed, spared)), blamed)
    explained = {number for place in shared for number in blamed[place]}
    common = [
        place
        for place, tasks in passed.items()
        if len(tasks) >= SEVERAL and place not in spared and not explained.issuperset(tasks)
    ]
    return [*shared, *_most_exact(sorted(common, key=lambda place: _order(place, passed, spared)), passed)]


def _order(place: _Place, tasks: Tasks, spared: Tasks) -> tuple[int, int, int, str]:
    return -len(tasks[place]), len(spared.get(place, ())), _EXACTNESS.index(place.kind), str(place)


def _most_exact(places: Sequence[_Place], tasks: Tasks) -> list[_Place]:
    """Without what merely holds another of the places, for the same tasks."""
    return [
        place for place in places if not any(one.is_part_of(place) and tasks[one] == tasks[place] for one in places)
    ]


def _by_place(found: Iterable[tuple[int, Iterable[_Place]]]) -> dict[_Place, tuple[int, ...]]:
    tasks: dict[_Place, tuple[int, ...]] = {}
    for number, places in found:
        for place in set(places):
            tasks[place] = (*tasks.get(place, ()), number)
    return tasks


def _lost(result: TaskResult) -> bool:
    """Whether packets were lost; or could not even be sent, for a fault of the network."""
    verdict = result.verdict
    return verdict.disposition.is_loss or (verdict.culprit is not None and verdict.disposition is Disposition.UNSEEN)


def _blamed_by(result: TaskResult) -> Iterator[_Place]:
    for verdict in _verdicts(result):
        if verdict.culprit is not None:
            yield from _blamed_places(verdict.disposition, verdict.culprit)


def _verdicts(result: TaskResult) -> Iterator[Verdict]:
    yield result.verdict
    yield from (group.verdict for group in result.groups if group.verdict.disposition.is_loss)


def _blamed_places(disposition: Disposition, culprit: Culprit) -> Iterator[_Place]:
    """The culprit and what holds it. Loss on the wire blames the link, and may be of either end."""
    if disposition is Disposition.LOST_ON_WIRE and culprit.next_node not in (None, culprit.node):
        yield _link(culprit.node, str(culprit.next_node))
        yield from (_server(culprit.node), _server(str(culprit.next_node)))
        return
    yield _server(culprit.node)
    if culprit.bridge is not None:
        yield _vfd(culprit.bridge)
        if culprit.flow is not None:
            yield _flow(culprit.bridge, culprit.flow)


def _passed_by(result: TaskResult) -> Iterator[_Place]:
    """Where the packets came by that were lost, if any were, or else all; and whom their verdicts blame."""
    lost = [group for group in result.groups if group.verdict.disposition.is_loss]
    for group in lost or result.groups:
        yield from _places_on(group.example)
        culprit = group.verdict.culprit
        if culprit is not None and group.example.last is not None and culprit.node != group.example.last.bridge.node:
            yield _link(group.example.last.bridge.node, culprit.node)
    yield from _blamed_by(result)


def _places_on(way: Trajectory) -> Iterator[_Place]:
    for hop in way.hops:
        yield from (_server(hop.bridge.node), _vfd(hop.bridge))
        step = deciding_step(hop)
        if step is not None and step.flow is not None:
            yield _flow(hop.bridge, step.flow)
        before = None if hop.parent is None else way.hops[hop.parent].bridge.node
        if before is not None and before != hop.bridge.node:
            yield _link(before, hop.bridge.node)


def _server(node: str) -> _Place:
    return _Place(SuspectKind.SERVER, (node,))


def _vfd(bridge: BridgeId) -> _Place:
    return _Place(SuspectKind.VFD, (bridge.node,), bridge)


def _flow(bridge: BridgeId, flow: FlowKey) -> _Place:
    return _Place(SuspectKind.FLOW, (bridge.node,), bridge, flow)


def _link(one: str, other: str) -> _Place:
    return _Place(SuspectKind.LINK, (min(one, other), max(one, other)))
