"""Turns live bridges, the snapshots of a task, or files of ovs-ofctl output into what a walk may know."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from vtrace_ovs.cli.remote_tables import dialled_tables
from vtrace_ovs.cli.settings import Settings
from vtrace_ovs.codecs.dump_text import DumpFile, bridge_name, tables_of
from vtrace_ovs.codecs.profiles import load_profile
from vtrace_ovs.controller.dialogue import dial
from vtrace_ovs.controller.flood_ports import read_no_flood_ports
from vtrace_ovs.controller.settings import PRIVATE_CONTROLLER_ID
from vtrace_ovs.errors import CodecError, InfrastructureError, OpenFlowError, OvsdbError, UsageError
from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.mac_table import MacTable
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.topology import (
    Bridge,
    BridgeId,
    BridgeRole,
    ManagementSocket,
    Node,
    Port,
    PortKind,
    ServiceController,
    Topology,
)
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.ovsdb.mac_table import read_mac_table
from vtrace_ovs.storage.store import Store
from vtrace_ovs.walker import Network

OVSDB_TIMEOUT = 5.0
BRIDGE_TIMEOUT = 10.0
_DUMP = "dump"


@dataclass(frozen=True, slots=True)
class Known:
    """What a walk may know, and one sentence for each part that could not be read."""

    topology: Topology
    tables: dict[BridgeId, BridgeTables]
    problems: tuple[str, ...] = ()
    profiles: dict[BridgeId, PipelineProfile] = field(default_factory=dict)
    mac_tables: dict[BridgeId, MacTable] = field(default_factory=dict)

    def network(self) -> Network:
        """Indexed for walking, without any flow of our own."""
        return Network.build(self.topology, self.tables, _ours, self.mac_tables)

    def carries_ours(self) -> bool:
        """Whether a trace is running, or left something: Open vSwitch sees flows that a walk leaves out."""
        return any(_ours(flow) for stored in self.tables.values() for flow in stored.flows)


def _ours(flow: Flow) -> bool:
    return is_ours(flow.cookie)


def live_tables(settings: Settings, connections: tuple[str, ...]) -> Known:
    """Every VFD of the inventory, as it is now. Raises OvsdbError when there is none."""
    inventory = read_inventory(connections, OVSDB_TIMEOUT, settings.tls)
    topology = inventory.topology
    if not topology.vfds():
        places = ", ".join(connections)
        raise OvsdbError(f"no bridge to walk through in {places}: name the servers of the overlay with --ovsdb")
    tables: dict[BridgeId, BridgeTables] = {}
    mac_tables: dict[BridgeId, MacTable] = {}
    problems = list(inventory.problems)
    remote: dict[str, list[Bridge]] = {}
    for bridge in topology.vfds():
        if isinstance(bridge.attachment, ServiceController):
            remote.setdefault(bridge.attachment.ovsdb, []).append(bridge)
            continue
        try:
            tables[bridge.id] = _read(bridge, bridge.attachment.path)
            mac_tables[bridge.id] = _learned(bridge, bridge.attachment.path, topology)
        except (OSError, InfrastructureError) as error:
            problems.append(f"{bridge.id} cannot be read: {error}")
    for ovsdb, bridges in remote.items():
        found, why = dialled_tables(settings, topology, ovsdb, bridges)
        tables |= found
        problems += (f"{bridge_id} cannot be read: {reason}" for bridge_id, reason in why.items())
    return Known(topology, tables, tuple(problems), _profiles(topology), mac_tables)


def _read(bridge: Bridge, path: str) -> BridgeTables:
    with closing(dial(bridge, path, PRIVATE_CONTROLLER_ID, BRIDGE_TIMEOUT)) as dialogue:
        return dialogue.read().tables


def _learned(bridge: Bridge, path: str, topology: Topology) -> MacTable:
    """What output to NORMAL and FLOOD depend on, of a bridge that ``_read`` could read."""
    node = topology.node(bridge.id.node)
    if node is None:
        raise OpenFlowError("its server is not known")
    learned = read_mac_table(bridge.id.name, node.ovsdb, Path(path).parent, BRIDGE_TIMEOUT)
    return replace(learned, no_flood=read_no_flood_ports(path, BRIDGE_TIMEOUT))


def stored_tables(
    store: Store, task_id: int, at: float | None, settings: Settings, connections: tuple[str, ...]
) -> Known:
    """The tables a task was judged by: those of the moment ``at`` (Unix seconds), None for the last ones.

    Servers and their tunnel endpoints come from the inventory where it answers, else from the task's records. Raises
    UsageError when the task has no snapshots.
    """
    chosen: dict[BridgeId, str] = {}
    for snapshot in store.snapshots_of(task_id):
        if snapshot.bridge not in chosen or at is None or snapshot.read_at <= at:
            chosen[snapshot.bridge] = snapshot.digest
    if not chosen:
        raise UsageError(f"task {task_id} was never judged by any tables: it read no bridge")
    tables = {bridge: stored for bridge, digest in chosen.items() if (stored := store.snapshot(digest)) is not None}
    bridges = tuple(bridge for bridge in store.vfds() if bridge.id in tables)
    nodes, problems = _nodes(store.records(task_id), settings, connections)
    topology = Topology(nodes, bridges)
    return Known(topology, tables, problems, _profiles(topology))


def _nodes(
    records: Sequence[PacketInRecord], settings: Settings, connections: tuple[str, ...]
) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    try:
        return read_inventory(connections, OVSDB_TIMEOUT, settings.tls).topology.nodes, ()
    except OvsdbError as error:
        known = {record.bridge.node: record.node_ip for record in records if record.node_ip is not None}
        nodes = tuple(Node(name, "", (address,)) for name, address in known.items())
        return nodes, (f"tunnel endpoints are those the task's records name, because {error}",)


def dumped_tables(paths: Sequence[Path]) -> Known:
    """The tables of one bridge from files. What is behind its ports is not known. Raises CodecError or UsageError."""
    read_at = max(_modified(path) for path in paths)
    tables = tables_of([DumpFile(str(path), _text(path)) for path in paths], read_at)
    bridge_id = BridgeId(_DUMP, bridge_name(tables) or paths[0].stem)
    ports = tuple(Port(port.ofport, port.name, PortKind.EDGE) for port in tables.ports)
    bridge = Bridge(bridge_id, tables.dpid, BridgeRole.VSWITCH, ports, ManagementSocket(""))
    problems = tuple(
        f"{path} ends within a line: it may be cut off" for path in paths if not _text(path).endswith("\n")
    )
    return Known(Topology((Node(_DUMP, "", ()),), (bridge,)), {bridge_id: tables}, problems)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CodecError(f"{path} is no text at byte {error.start}: give the output of ovs-ofctl dump-flows") from None


def _profiles(topology: Topology) -> dict[BridgeId, PipelineProfile]:
    """What each pipeline's tables mean; a profile that cannot be read counts as none."""
    found = {}
    for bridge in topology.vfds():
        try:
            found[bridge.id] = load_profile(bridge.profile or "generic")
        except CodecError:
            continue
    return found
