"""Turns rounds of ovs-vswitchd's revalidators into a return, over its control socket (``revalidator/wait``)."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.model.topology import Bridge, ManagementSocket
from vtrace_ovs.ovsdb.unixctl import ControlSocket, control_socket
from vtrace_ovs.session.boundary import SocketWrapper

NUDGE_INTERVAL = 0.004
"""Seconds after the first nudge that the next one comes; each later one takes twice as long."""


def wait_rounds(
    bridge: Bridge, rounds: int, nudge: Callable[[], None], wrap: SocketWrapper | None = None, *, timeout: float
) -> bool:
    """Wait until the revalidators have been over all datapath flows so many times, each after they were asked.

    A round begins by itself twice a second, and at once when a flow changes: ``nudge`` changes one, again and again
    until the answer comes, as a round that was over before the question arrived does not count; less and less often, as
    a switch whose rounds take long is busy enough. False when they do not answer within ``timeout`` seconds for each: a
    remote bridge, no permission, a daemon that hangs.
    """
    if not isinstance(bridge.attachment, ManagementSocket):
        return False
    try:
        with control_socket(Path(bridge.attachment.path).parent, timeout, wrap) as control:
            return all(_round(control, nudge, monotonic() + timeout) for _ in range(rounds))
    except InfrastructureError:
        return False


def _round(control: ControlSocket, nudge: Callable[[], None], deadline: float) -> bool:
    control.send(("revalidator/wait",))
    answered, interval = False, NUDGE_INTERVAL
    while not answered and monotonic() < deadline:
        nudge()
        answered = control.answer(min(interval, deadline - monotonic())) is not None
        interval *= 2
    return answered
