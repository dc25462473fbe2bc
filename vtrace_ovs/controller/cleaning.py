"""Turns bridges that may carry something of ours into bridges that provably do not: by cookie, and known meters.

Used by ``vtrace clean``, before a controller starts over what a crash left, and after one that could not end its tasks.
Controller rows of ours go from every OVSDB; a remote bridge is then reached once more, if there is an address it can
dial. Blocking: runs where no hub does.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import sleep

from vtrace_ovs.codecs.ovsdb_rows import attach_obstacle
from vtrace_ovs.controller.dialogue import Dialogue, dial
from vtrace_ovs.controller.remote_dialogues import visit
from vtrace_ovs.controller.service_address import NO_ADDRESS
from vtrace_ovs.controller.settings import BLIND_WAIT, ControllerSettings
from vtrace_ovs.errors import InfrastructureError, OpenFlowError, OvsdbError
from vtrace_ovs.instrumentation.changes import wipe
from vtrace_ovs.instrumentation.cookies import is_ours, marks
from vtrace_ovs.model.task import Intent, IntentKind
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket, ServiceController, Topology
from vtrace_ovs.session.boundary import RemoteAttachment, TaskStore


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was found and removed on one bridge. ``problem`` says why it could not be cleaned, if so."""

    bridge: BridgeId
    flows: int = 0
    meters: int = 0
    problem: str | None = None


def clean_all(
    topology: Topology, store: TaskStore, settings: ControllerSettings, remote: RemoteAttachment, at: float
) -> tuple[Cleaned, ...]:
    """Every VFD of an inventory, and the underlay bridges that open intents name, with the meters these remember.

    Closes the intents of clean bridges.

    Never raises for a bridge or an OVSDB: a dead one is a problem to report.
    """
    intents = store.open_intents()
    rowless = _remove_rows(topology, intents, remote)
    cleaner = _Cleaner(settings, remote, _meters(intents))
    bridges = _touched(topology, intents)
    marking = [bridge for bridge in bridges if cleaner.stop_marking(bridge)]
    if marking:
        sleep(BLIND_WAIT + settings.session.drain)
    cleaned = tuple(
        outcome
        for ovsdb, there in _by_server(topology, bridges).items()
        for outcome in _clean_server(ovsdb, there, topology, cleaner)
    )
    clean = {str(outcome.bridge) for outcome in cleaned if outcome.problem is None}
    undone = (
        intent.id
        for intent in intents
        if (intent.ovsdb in rowless if intent.kind is IntentKind.CONTROLLER_ROW else intent.target in clean)
    )
    store.intents_undone(tuple(undone), at)
    return cleaned


@dataclass(frozen=True, slots=True)
class _Cleaner:
    """What cleaning any bridge needs. ``meters``: the ids we may have used, by bridge."""

    settings: ControllerSettings
    remote: RemoteAttachment
    meters: dict[str, set[int]]

    def stop_marking(self, bridge: Bridge) -> bool:
        """Remove what gives packets marks from a local bridge before any sink goes anywhere (trap T10).

        Whether there was any.
        """
        if not isinstance(bridge.attachment, ManagementSocket):
            return False
        try:
            timeout = self.settings.bridge_timeout
            with closing(dial(bridge, bridge.attachment.path, self.settings.controller_id, timeout)) as dialogue:
                if not any(marks(flow.cookie) for flow in dialogue.read().tables.flows):
                    return False
                dialogue.program(wipe().marking_delete)
        except (OSError, OpenFlowError):
            return False  # said when its turn comes
        return True

    def local(self, bridge: Bridge, path: str) -> Cleaned:
        try:
            with closing(dial(bridge, path, self.settings.controller_id, self.settings.bridge_timeout)) as dialogue:
                return self.over(bridge, dialogue)
        except (OSError, OpenFlowError) as error:
            return Cleaned(bridge.id, problem=f"{bridge.id}: {error}")

    def dialling_us(self, ovsdb: str, bridges: Sequence[Bridge]) -> tuple[Cleaned, ...]:
        if self.settings.listen is None:
            return tuple(
                Cleaned(bridge.id, problem=f"{bridge.id} cannot be cleaned: {NO_ADDRESS}") for bridge in bridges
            )
        outcomes: dict[BridgeId, Cleaned] = {}

        def work(bridge: Bridge, dialogue: Dialogue) -> None:
            try:
                outcomes[bridge.id] = self.over(bridge, dialogue)
            except (OSError, OpenFlowError) as error:
                outcomes[bridge.id] = Cleaned(bridge.id, problem=f"{bridge.id}: {error}")

        why = "it does not dial us; check that its server can reach the address of --listen, and that ovs-vswitchd runs"
        try:
            visit(
                ovsdb,
                bridges,
                address=self.settings.listen,
                remote=self.remote,
                controller_id=self.settings.controller_id,
                timeout=self.settings.bridge_timeout,
                work=work,
            )
        except InfrastructureError as error:
            why = str(error)
        missed = {bridge.id: Cleaned(bridge.id, problem=f"{bridge.id} cannot be cleaned: {why}") for bridge in bridges}
        return tuple((missed | outcomes).values())

    def over(self, bridge: Bridge, dialogue: Dialogue) -> Cleaned:
        """Remove everything of ours from one bridge and look again."""
        before = dialogue.read()
        flows = sum(is_ours(flow.cookie) for flow in before.tables.flows)
        present = {meter.meter_id for meter in before.tables.meters}
        meters = tuple(sorted(self.meters.get(str(bridge.id), set()) & present))
        if not flows and not meters:
            return Cleaned(bridge.id)
        steps = wipe(meters)
        errors = dialogue.program((*steps.marking_delete, steps.sinks_delete, *steps.meters_delete)).errors
        left = sum(is_ours(flow.cookie) for flow in dialogue.read().tables.flows)
        problem = f"{bridge.id}: {left} flows of ours are still there; {'; '.join(errors)}" if left or errors else None
        return Cleaned(bridge.id, flows - left, len(meters), problem)


def _clean_server(ovsdb: str, bridges: Sequence[Bridge], topology: Topology, cleaner: _Cleaner) -> tuple[Cleaned, ...]:
    cleaned = [
        cleaner.local(bridge, bridge.attachment.path)
        for bridge in bridges
        if isinstance(bridge.attachment, ManagementSocket)
    ]
    remote = [bridge for bridge in bridges if isinstance(bridge.attachment, ServiceController)]
    obstacles = {bridge.id: attach_obstacle(topology, bridge) for bridge in remote}
    cleaned += (Cleaned(bridge_id, problem=why) for bridge_id, why in obstacles.items() if why is not None)
    reachable = [bridge for bridge in remote if obstacles[bridge.id] is None]
    return (*cleaned, *(cleaner.dialling_us(ovsdb, reachable) if reachable else ()))


def _touched(topology: Topology, intents: Iterable[Intent]) -> tuple[Bridge, ...]:
    """The bridges that may carry something of ours: on the underlay only what is announced before."""
    named = {intent.target for intent in intents}
    vfds = topology.vfds()
    return (*vfds, *(bridge for bridge in topology.bridges if bridge not in vfds and str(bridge.id) in named))


def _by_server(topology: Topology, bridges: Iterable[Bridge]) -> dict[str, list[Bridge]]:
    servers: dict[str, list[Bridge]] = {}
    for bridge in bridges:
        node = topology.node(bridge.id.node)
        servers.setdefault("" if node is None else node.ovsdb, []).append(bridge)
    return servers


def _meters(intents: Iterable[Intent]) -> dict[str, set[int]]:
    meters: dict[str, set[int]] = {}
    for intent in intents:
        if intent.kind is IntentKind.METER:
            meters.setdefault(intent.target, set()).update(int(number) for number in intent.detail.split(","))
    return meters


def _remove_rows(topology: Topology, intents: Iterable[Intent], remote: RemoteAttachment) -> frozenset[str]:
    """The OVSDBs, of the inventory and of open intents, in which there is no Controller row of ours any more."""
    remembered = (intent.ovsdb for intent in intents if intent.kind is IntentKind.CONTROLLER_ROW)
    rowless: set[str] = set()
    for ovsdb in {*(node.ovsdb for node in topology.nodes), *remembered}:
        try:
            remote.detach(ovsdb, None)
        except OvsdbError:
            continue
        rowless.add(ovsdb)
    return frozenset(rowless)
