"""Turns service rows into what a controller needs to reach remote bridges: attach and detach, one OVSDB at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from vtrace_ovs.ovsdb.client import OvsdbClient, TlsFiles
from vtrace_ovs.ovsdb.service_rows import add_service_controllers, remove_service_controllers


@dataclass(frozen=True, slots=True)
class ServiceAttachment:
    """The real ``session.boundary.RemoteAttachment``. ``timeout`` (seconds) bounds each call; ``tls`` is for ``ssl:``.

    Both calls block, and raise OvsdbError naming the server and the remedy.
    """

    timeout: float
    tls: TlsFiles | None = None

    def attach(self, ovsdb: str, bridges: Sequence[str], target: str) -> None:
        """Make these bridges of one OVSDB dial ``target``, all of them or none."""
        with OvsdbClient(ovsdb, self.timeout, self.tls) as client:
            add_service_controllers(client, bridges, target)

    def detach(self, ovsdb: str, target: str | None, bridges: Sequence[str] | None = None) -> tuple[str, ...]:
        """Remove our rows for ``target`` from these bridges of one OVSDB (None: any); the bridges that had one."""
        with OvsdbClient(ovsdb, self.timeout, self.tls) as client:
            return remove_service_controllers(client, target=target, bridges=bridges)
