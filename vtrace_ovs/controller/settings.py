"""What a controller is told and handed when it starts; nothing here is read from the surroundings."""

from dataclasses import dataclass, field

from vtrace_ovs.controller.service_address import ServiceAddress
from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.session.boundary import (
    DatapathReader,
    FlowNamer,
    InventorySource,
    LivenessProbe,
    RemoteAttachment,
    RoundWaiter,
    ServerObserver,
    TaskStore,
)
from vtrace_ovs.session.settings import SessionSettings

PRIVATE_CONTROLLER_ID = 0x5654
BLIND_WAIT = 1.0
"""Seconds for two rounds of revalidators nobody can ask: ``other_config:max-revalidator`` is 500 ms by default."""


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Times in seconds.

    ``generation`` (0-255) tells this controller's flows from those of an earlier one. ``accept_tasks``: take new tasks
    from the database. ``apps`` are modules of other Ryu apps to load beside ours. ``listen`` is what remote bridges
    dial; without it they cannot be traced.
    """

    generation: int
    controller_id: int = PRIVATE_CONTROLLER_ID
    session: SessionSettings = field(default_factory=SessionSettings)
    bridge_timeout: float = 5.0
    inventory_interval: float = 5.0
    accept_tasks: bool = True
    apps: tuple[str, ...] = ()
    listen: ServiceAddress | None = None

    @property
    def instrumentation(self) -> Settings:
        """What the planner is told."""
        return Settings(controller_id=self.controller_id, generation=self.generation)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The other edges, handed in by ``cli``."""

    store: TaskStore
    inventory: InventorySource
    probe: LivenessProbe
    remote: RemoteAttachment
    wait_rounds: RoundWaiter
    observe: ServerObserver
    name_flows: FlowNamer
    read_datapath: DatapathReader
