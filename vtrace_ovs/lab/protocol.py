"""What a lab's client and its keeper say to each other: one JSON line each way per connection."""

from dataclasses import dataclass

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.state import LabState
from vtrace_ovs.lab.traffic import TrafficReport, TrafficRequest

SOCKET_NAME = "keeper.sock"
STATE_NAME = "state.json"
LOG_NAME = "keeper.log"


@dataclass(frozen=True, slots=True)
class AskState:
    """Answered by LabState."""


@dataclass(frozen=True, slots=True)
class InjectFault:
    """Answered by the Fault with every place filled in."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class HealFault:
    """Heal one fault, or all when ``name`` is None. Answered by LabState."""

    name: FaultName | None = None


@dataclass(frozen=True, slots=True)
class StartTraffic:
    """Answered by TrafficProgress."""

    request: TrafficRequest


@dataclass(frozen=True, slots=True)
class AskTraffic:
    """Answered by TrafficProgress."""

    number: int


@dataclass(frozen=True, slots=True)
class StopTraffic:
    """Answered by TrafficReport."""

    number: int


@dataclass(frozen=True, slots=True)
class TakeDown:
    """Answered by Done when nothing is left; then the keeper ends."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks."""

    request: AskState | InjectFault | HealFault | StartTraffic | AskTraffic | StopTraffic | TakeDown


@dataclass(frozen=True, slots=True)
class TrafficProgress:
    """The number of some traffic, and whether it still sends."""

    number: int
    running: bool


@dataclass(frozen=True, slots=True)
class Done:
    """It is done, and there is nothing more to say."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """It is not done. ``usage`` tells a wrong request from a lab that failed."""

    message: str
    usage: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the keeper answers."""

    result: LabState | Fault | TrafficProgress | TrafficReport | Done | Refusal
