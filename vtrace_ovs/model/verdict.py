"""What happened to traffic and why: disposition, cause, culprit, evidence, confidence and two sentences (design D8)."""

from dataclasses import dataclass
from enum import Enum

from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.cost import ServerCost
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, NearMiss, Trajectory


class Disposition(Enum):
    """What became of a packet."""

    __hash__ = object.__hash__  # each member is one object; Enum hashes its name, by running Python code

    DELIVERED = "DELIVERED"
    EXITED = "EXITED"
    DROPPED = "DROPPED"
    LOST_IN_VFD = "LOST_IN_VFD"
    LOST_ON_WIRE = "LOST_ON_WIRE"
    LOOPED = "LOOPED"
    UNSEEN = "UNSEEN"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def is_loss(self) -> bool:
        """Whether loss of the packet is proven."""
        return self in LOSSES


LOSSES = frozenset({Disposition.DROPPED, Disposition.LOST_IN_VFD, Disposition.LOST_ON_WIRE, Disposition.LOOPED})


class CauseCategory(Enum):
    """Table 4 of the paper, and the three kinds it leaves out."""

    NONE = "none"
    RATE_LIMIT = "rate_limit"
    SECURITY_POLICY = "security_policy"
    CONFIG_ERROR = "config_error"
    UNSUPPORTED_ACTION = "unsupported_action"
    UNKNOWN = "unknown"
    VFD_FAULT = "vfd_fault"
    PHYSICAL_NETWORK = "physical_network"
    TENANT_VM = "tenant_vm"


class CauseCode(Enum):
    """Every cause this tool can name; ``docs/verdicts.md`` has one section each."""

    __hash__ = object.__hash__  # each member is one object; Enum hashes its name, by running Python code

    NONE = "none"
    SECURITY_RULE_DENY = "security-rule-deny"
    SECURITY_DEFAULT_DENY = "security-default-deny"
    CONNECTION_NOT_ESTABLISHED = "connection-not-established"
    CONNECTION_INVALID = "connection-invalid"
    ANTI_SPOOFING_DENY = "anti-spoofing-deny"
    NO_ROUTE = "no-route"
    BLACKHOLE_ROUTE = "blackhole-route"
    UNKNOWN_DESTINATION = "unknown-destination"
    UNKNOWN_VNI = "unknown-vni"
    VLAN_MISMATCH = "vlan-mismatch"
    WRONG_ENDPOINT = "wrong-endpoint"
    METER_RATE_LIMIT = "meter-rate-limit"
    EGRESS_QUEUE_LIMIT = "egress-queue-limit"
    NAT_EXHAUSTED = "nat-exhausted"
    TTL_EXPIRED = "ttl-expired"
    OUTPUT_TO_INGRESS = "output-to-ingress"
    PORT_DOWN = "port-down"
    PORT_GONE = "port-gone"
    NO_LIVE_BUCKET = "no-live-bucket"
    TRANSLATION_LIMIT = "translation-limit"
    FORWARDING_LOOP = "forwarding-loop"
    OVERLAPPING_FLOWS = "overlapping-flows"
    EXPLICIT_DROP = "explicit-drop"
    TABLE_MISS = "table-miss"
    NO_OUTPUT_ACTION = "no-output-action"
    VSWITCHD_DEAD = "vswitchd-dead"
    UNDERLAY_LOSS = "underlay-loss"
    UNDERLAY_DENY = "underlay-deny"
    UNDERLAY_NO_ROUTE = "underlay-no-route"
    STALE_MEGAFLOW = "stale-megaflow"
    PATCH_LOSS = "patch-loss"
    PATCH_UNWIRED = "patch-unwired"
    NO_TUNNEL_ENDPOINT = "no-tunnel-endpoint"
    TUNNEL_MTU = "tunnel-mtu"
    OUTSIDE_INVENTORY = "outside-inventory"
    HOP_LIMIT_REACHED = "hop-limit-reached"
    NEIGHBOUR_UNRESOLVED = "neighbour-unresolved"
    NOT_SENT = "not-sent"
    REPLY_LOST = "reply-lost"
    NO_REPLY = "no-reply"
    CONNECTION_REFUSED = "connection-refused"
    EVIDENCE_LOST = "evidence-lost"
    UNSUPPORTED = "unsupported"
    INTERNAL_ERROR = "internal-error"
    UNKNOWN = "unknown"


class Confidence(Enum):
    """How sure a verdict is: seen directly, corroborated by counters or tables, deduced, or not decidable."""

    OBSERVED = "observed"
    CORROBORATED = "corroborated"
    INFERRED = "inferred"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who did it. For loss on the wire, ``bridge`` sent last and ``next_bridge`` never saw the packet."""

    node: str
    bridge: BridgeId | None = None
    table_id: int | None = None
    table_name: str | None = None
    flow: FlowKey | None = None
    cookie: int | None = None
    owner: str | None = None
    next_node: str | None = None
    next_bridge: BridgeId | None = None
    meter_id: int | None = None


@quickly_built
@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact a verdict rests on, as a sentence; ``observed`` tells it from an inference."""

    sentence: str
    observed: bool


@quickly_built
@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one packet, or for a whole task.

    ``operator_sentence`` says everything; ``tenant_sentence`` has no infrastructure identifiers and may be forwarded.
    """

    disposition: Disposition
    category: CauseCategory
    code: CauseCode
    confidence: Confidence
    operator_sentence: str
    tenant_sentence: str
    remedy: str = ""
    culprit: Culprit | None = None
    drop: DropShape | None = None
    evidence: tuple[Evidence, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()


@dataclass(frozen=True, slots=True)
class PathGroup:
    """Packets that took the same way to the same verdict. ``example`` is one of them, whole."""

    verdict: Verdict
    example: Trajectory
    packets: int
    prediction: Trajectory | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of some packets of a task: how many met this verdict, by whatever path."""

    packets: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Headline:
    """What a task's verdict comes to in a list of many; ``blamed`` is the bridge, or only the server."""

    disposition: Disposition
    code: CauseCode
    blamed: BridgeId | str | None = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Everything a task found out. ``verdict`` is the task's own: its proven losses, or delivery, or why unknown.

    ``packets`` is the number of packets traced; ``copies_lost`` the copies known to have been lost on the way to us;
    ``costs`` what it cost each server, once that is known. ``losses`` are all proven ones, that of most packets first:
    cause and culprit of ``verdict`` are that one's, its sentences name all. ``armed`` are the VFDs that packets could
    come to, of ``vfds`` in the inventory.
    """

    task_id: int
    verdict: Verdict
    groups: tuple[PathGroup, ...]
    packets: int
    copies_lost: int = 0
    notes: tuple[str, ...] = ()
    costs: tuple[ServerCost, ...] = ()
    losses: tuple[Fate, ...] = ()
    armed: tuple[BridgeId, ...] = ()
    vfds: int = 0

    def share(self, fate: Fate) -> float | None:
        """Which part of the packets met this fate, 0 to 1; None if none was traced."""
        return fate.packets / self.packets if self.packets else None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Both directions of some traffic, each traced as a task of its own, and the verdict on the two together.

    ``reply`` is None while it has no result.
    """

    verdict: Verdict
    request: TaskResult
    reply: TaskResult | None
