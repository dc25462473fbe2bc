"""Turns a packet at a local bridge into what ovs-vswitchd itself says it would do with it (``ofproto/trace``).

Asked over the control socket of ovs-vswitchd(8). Tracing changes nothing: no statistics, no learning, no packet.
"""

from collections.abc import Sequence
from pathlib import Path

from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.ovsdb.streams import UnixctlClient

RECIRCULATIONS = 8
"""How many passes a connection state is given for; a real datapath allows fewer (``MAX_RECIRC_DEPTH``, 6)."""


def ofproto_trace(rundir: Path, bridge: str, flow: str, ct_next: str | None = None) -> str:
    """The answer, as text. ``ct_next`` (``trk,est``) is what each ``ct`` is to find, None for OVS's own ``trk|new``.

    Raises InfrastructureError when ovs-vswitchd cannot be asked or refuses the flow.
    """
    options = [] if ct_next is None else ["--ct-next", ct_next] * RECIRCULATIONS
    return _ask(rundir, "ofproto/trace", [*options, bridge, flow])


def _ask(rundir: Path, command: str, arguments: Sequence[str]) -> str:
    paths = control_sockets(rundir)
    for path in paths:
        code, client = UnixctlClient.create(str(path))
        if code:
            continue
        try:
            code, refusal, text = client.transact(command, list(arguments))
        finally:
            client.close()
        if code or refusal:
            reason = " ".join(str(refusal or f"error {code}").split())
            raise InfrastructureError(f"{path}: {command} {' '.join(arguments)}: {reason}")
        return str(text)
    raise InfrastructureError(
        f"no control socket of ovs-vswitchd answers in {rundir}: check that it runs, and run as root"
    )


def control_sockets(rundir: Path) -> tuple[Path, ...]:
    """The socket of the running daemon first: ``ovs-vswitchd.PID.ctl``, or the name ``--unixctl`` gave it."""
    pidfile = rundir / "ovs-vswitchd.pid"
    own = rundir / f"ovs-vswitchd.{pidfile.read_text().strip()}.ctl" if pidfile.exists() else None
    found = sorted(rundir.glob("ovs-vswitchd*.ctl"))
    return tuple(sorted(found, key=lambda path: path != own))
