"""Turns a packet at a local bridge into what ovs-vswitchd itself says it would do with it (``ofproto/trace``).

Asked over the control socket of ovs-vswitchd(8). Tracing changes nothing: no statistics, no learning, no packet.
"""

from pathlib import Path

from vtrace_ovs.ovsdb.unixctl import control_socket

RECIRCULATIONS = 16
"""How many passes a connection state is given for; a real datapath allows fewer (``MAX_RECIRC_DEPTH``, 6)."""


def ofproto_trace(rundir: Path, bridge: str, flow: str, timeout: float, ct_next: str | None = None) -> str:
    """The answer, as text. ``ct_next`` (``trk,est``) is what each ``ct`` is to find, None for OVS's own ``trk|new``.

    Raises InfrastructureError when ovs-vswitchd cannot be asked, refuses the flow, or takes more than ``timeout``
    seconds.
    """
    options = [] if ct_next is None else ["--ct-next", ct_next] * RECIRCULATIONS
    with control_socket(rundir, timeout) as control:
        (answer,) = control.run(("ofproto/trace", *options, bridge, flow))
    return answer
