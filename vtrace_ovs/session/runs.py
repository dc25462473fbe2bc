"""What a session knows of each running task: its stage, its packets, and what was decided about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import BridgeTables, MeterCounters
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.session.collecting import PacketGroup
from vtrace_ovs.walker.network import Network


class Stage(Enum):
    """WAITING: for the inventory and bridges to be known. ARMING: flows on their way. COLLECTING: coloring.

    CLOSING: coloring ends, late packets are judged. DRAINING: nothing is colored any more, packets may be in flight.
    REMOVING: the last flows are on their way out. ENDED.
    """

    WAITING = "waiting"
    ARMING = "arming"
    COLLECTING = "collecting"
    CLOSING = "closing"
    DRAINING = "draining"
    REMOVING = "removing"
    ENDED = "ended"


@dataclass(slots=True)
class TaskRun:
    """One task while it runs.

    ``sources`` are the edge ports its traffic may enter by; ``judged_by`` the flow tables its packets are judged
    by, and ``meters_before`` what production meters had counted when it was armed. ``promised_until`` is the deadline
    its flows are told (they expire a margin later), fixed when arming begins.
    """

    task: Task
    slot: int
    stage: Stage = Stage.WAITING
    sources: Mapping[BridgeId, frozenset[int]] = field(default_factory=dict)
    groups: dict[str, PacketGroup] = field(default_factory=dict)
    network: Network | None = None
    judged_by: Mapping[BridgeId, BridgeTables] = field(default_factory=dict)
    meters_before: Mapping[BridgeId, Mapping[int, MeterCounters]] = field(default_factory=dict)
    scene: Scene | None = None
    scene_version: int = -1
    promised_until: float = 0.0
    armed_at: float = 0.0
    drained_at: float = 0.0
    sequence: int = 0
    extra_packets: int = 0
    notes: list[str] = field(default_factory=list)
    cancelled: bool = False
    failure: str | None = None
    result: TaskResult | None = None
    saved_at: float = 0.0
    dirty: bool = False

    @property
    def coloring(self) -> bool:
        """Whether its packets are to be colored."""
        return self.stage in (Stage.ARMING, Stage.COLLECTING)

    @property
    def instrumented(self) -> bool:
        """Whether VFDs must know its packets."""
        return self.stage in (Stage.ARMING, Stage.COLLECTING, Stage.CLOSING, Stage.DRAINING)

    @property
    def deadline(self) -> float:
        """When coloring ends at the latest; not known before it is armed."""
        return self.armed_at + self.task.request.trace_time

    @property
    def packets(self) -> int:
        """How many packets are being traced, or were."""
        return sum(group.packets for group in self.groups.values())

    @property
    def undecided(self) -> bool:
        """Whether some packet's fate is still open."""
        return any(group.undecided for group in self.groups.values())

    @property
    def decisions(self) -> tuple[DiagnosedPacket, ...]:
        """Everything decided so far, in the order packets were first seen."""
        groups = sorted(self.groups.values(), key=lambda group: group.first_at)
        return tuple(group.decisions[number] for group in groups for number in sorted(group.decisions))

    @property
    def final_state(self) -> TaskState:
        """What the task ends as."""
        if self.failure is not None:
            return TaskState.FAILED
        if self.cancelled:
            return TaskState.CANCELLED
        return TaskState.DONE

    def note(self, sentence: str) -> None:
        """Remember something the result must mention, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)
