"""Turns running tasks and the tables read so far into the VFDs to arm, and those to read before that can be said."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from vtrace_ovs.filters import canonical_text
from vtrace_ovs.instrumentation.aliases import with_aliases
from vtrace_ovs.instrumentation.fragments import task_matches
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.instrumentation.spread import Memory, Neighbourhood, spread
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.topology import BridgeId, Topology

READ_AT_ONCE = 16
"""Of so few VFDs all are read in one round; of more, those on the way as the tables tell where it leads."""


@dataclass(slots=True)
class Reaching:
    """Where the packets of tasks may come. What tables say is remembered, so that only changed ones are asked again."""

    _around: Neighbourhood = field(default_factory=lambda: Neighbourhood(Topology()))
    _memory: Memory = field(default_factory=Memory)

    def scopes(
        self,
        topology: Topology,
        tasks: Sequence[ArmedTask],
        fixed: Collection[int],
        tables: Mapping[BridgeId, BridgeTables],
    ) -> tuple[ArmedTask, ...]:
        """Each task as it is behind NAT, with the VFDs it may come to. Those not in ``tables`` lead no further.

        ``fixed`` are the slots of tasks whose aliases stay as they are. Raises RefusedError as ``with_aliases``.
        """
        if self._around.topology is not topology:
            self._around = Neighbourhood(topology)
            kept = {bridge: known for bridge, known in self._memory.pipelines.items() if bridge in self._around.bridges}
            self._memory = Memory(kept)
        found = list(tasks)
        for at, task in enumerate(found):
            if task.slot not in fixed:
                others = (*found[:at], *found[at + 1 :])
                bare = replace(task, aliases=())
                found[at] = with_aliases(bare, others, topology, tables.values(), canonical_text)
        return tuple(replace(task, shares=self._shares(task, tables)) for task in found)

    def _shares(self, task: ArmedTask, tables: Mapping[BridgeId, BridgeTables]) -> Mapping[BridgeId, Fraction]:
        return spread(task.sources, task_matches(task), tables, self._around, self._memory, task.slot)


def read_first(vfds: Collection[BridgeId], guess: Collection[BridgeId]) -> frozenset[BridgeId]:
    """Which of the VFDs to read before anything is known: all of few, of many those that are thought to matter."""
    return frozenset(vfds if len(vfds) <= READ_AT_ONCE else guess)
