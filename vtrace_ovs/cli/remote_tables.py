"""Turns the remote bridges of one OVSDB into their tables: they dial us only while they are read."""

from collections.abc import Sequence

from vtrace_ovs.cli.settings import Settings
from vtrace_ovs.codecs.ovsdb_rows import attach_obstacle
from vtrace_ovs.controller.dialogue import Dialogue
from vtrace_ovs.controller.remote_dialogues import visit
from vtrace_ovs.controller.service_address import NO_ADDRESS, ServiceAddress
from vtrace_ovs.controller.settings import PRIVATE_CONTROLLER_ID
from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.topology import Bridge, BridgeId, Topology
from vtrace_ovs.ovsdb.attachment import ServiceAttachment

OVSDB_TIMEOUT = 5.0
DIAL_TIMEOUT = 10.0
_SILENT = "it does not dial us; check that its server can reach the address of --listen, and that ovs-vswitchd runs"


def dialled_tables(
    settings: Settings, topology: Topology, ovsdb: str, bridges: Sequence[Bridge]
) -> tuple[dict[BridgeId, BridgeTables], dict[BridgeId, str]]:
    """The tables of those that answered, and why the others did not. Raises UsageError for an impossible address."""
    if settings.listen is None:
        return {}, {bridge.id: NO_ADDRESS for bridge in bridges}
    why = {bridge.id: attach_obstacle(topology, bridge) or _SILENT for bridge in bridges}
    tables: dict[BridgeId, BridgeTables] = {}

    def read(bridge: Bridge, dialogue: Dialogue) -> None:
        try:
            tables[bridge.id] = dialogue.read().tables
        except (OSError, InfrastructureError) as error:
            why[bridge.id] = str(error)

    invited = [bridge for bridge in bridges if why[bridge.id] is _SILENT]
    try:
        if invited:
            visit(
                ovsdb,
                invited,
                address=ServiceAddress.parse(settings.listen),
                remote=ServiceAttachment(OVSDB_TIMEOUT, settings.tls),
                controller_id=PRIVATE_CONTROLLER_ID,
                timeout=DIAL_TIMEOUT,
                work=read,
            )
    except InfrastructureError as error:
        why.update((bridge.id, str(error)) for bridge in invited)
    return tables, {bridge_id: reason for bridge_id, reason in why.items() if bridge_id not in tables}
