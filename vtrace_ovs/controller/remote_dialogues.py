"""Turns the remote bridges of one OVSDB into open dialogues, by having them dial us, and takes the rows back.

Blocking: runs where no hub does (``clean``, ``explain``, post-cards); the rows exist for as long as the work takes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from time import monotonic

from vtrace_ovs.controller.dialogue import Dialogue
from vtrace_ovs.controller.service_address import ServiceAddress, prepare, target_of
from vtrace_ovs.errors import OpenFlowError
from vtrace_ovs.model.topology import Bridge, BridgeId
from vtrace_ovs.session.boundary import RemoteAttachment


def visit(  # noqa: PLR0913 - the parts of one visit, each from another owner
    ovsdb: str,
    bridges: Sequence[Bridge],
    *,
    address: ServiceAddress,
    remote: RemoteAttachment,
    controller_id: int,
    timeout: float,
    work: Callable[[Bridge, Dialogue], None],
    lasts: float = 0.0,
) -> None:
    """Do ``work`` on every bridge of this OVSDB that dials us within ``timeout`` seconds.

    It has as long for its answers, and ``lasts`` seconds more.
    Raises InfrastructureError (of a kind of its own for OVSDB) when the rows cannot be added or removed.
    """
    waiting = {bridge.dpid: bridge for bridge in bridges if bridge.dpid is not None}
    with closing(address.listen()) as listening, _rows(ovsdb, bridges, target_of(listening), remote):
        deadline = monotonic() + timeout
        while waiting and (left := deadline - monotonic()) > 0:
            listening.settimeout(left)
            try:
                sock, peer = listening.accept()
                caller = BridgeId("remote", str(peer[0]))
                dialogue = Dialogue(prepare(sock), caller, controller_id, timeout + lasts, _names(waiting))
            except (OSError, OpenFlowError):
                continue
            with closing(dialogue):
                work(waiting.pop(dialogue.link.dpid), dialogue)


@contextmanager
def _rows(ovsdb: str, bridges: Sequence[Bridge], target: str, remote: RemoteAttachment) -> Iterator[None]:
    """Rows for this target, gone again afterwards; those of a task that runs meanwhile have another, and stay."""
    try:
        remote.attach(ovsdb, [bridge.id.name for bridge in bridges], target)
        yield
    finally:
        remote.detach(ovsdb, target)


def _names(waiting: dict[int, Bridge]) -> Callable[[int], BridgeId]:
    def name(dpid: int) -> BridgeId:
        if dpid not in waiting:
            raise OpenFlowError(f"nobody expects a bridge with datapath id {dpid:016x}")
        return waiting[dpid].id

    return name
