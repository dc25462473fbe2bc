"""Turns a running ovs-vswitchd into a reading of its datapaths and its processor time. Nothing is written anywhere.

A local one is asked over its control socket and the process clock (clock_getcpuclockid(3)); of a remote one its OVSDB
knows the processor time, where ``other_config:enable-statistics`` has it keep any (ovs-vswitchd.conf.db(5)).
"""

from collections.abc import Sequence
from pathlib import Path
from time import clock_gettime, time
from typing import assert_never

from vtrace_ovs.codecs.datapath_text import full_zones, in_userspace, masks, megaflows_and_upcalls
from vtrace_ovs.codecs.ovsdb_json import Json, string_map
from vtrace_ovs.codecs.tunnel_text import tunnel_reach
from vtrace_ovs.errors import InfrastructureError, OvsdbError
from vtrace_ovs.model.cost import ServerReading
from vtrace_ovs.model.topology import Bridge, ManagementSocket, ServiceController
from vtrace_ovs.model.tunnel_reach import TunnelReach
from vtrace_ovs.ovsdb.client import OvsdbClient, TlsFiles
from vtrace_ovs.ovsdb.unixctl import control_socket

DAEMON = "ovs-vswitchd"
CPUCLOCK_SCHED = 2
"""The clock of all threads of a process: ``~pid << 3 | 2`` (include/linux/posix-timers.h)."""
MILLISECOND = 1e-3
OVERFLOWS = ("rconn_overflow", "packet_in_overflow")
"""Coverage counters of packet-ins that found a queue full: to one controller (lib/rconn.c), of the bridge (ofproto)."""
_QUESTIONS = (
    ("dpctl/show",),
    ("dpif-netdev/subtable-lookup-prio-get",),
    ("tnl/neigh/show",),
    ("ovs/route/show",),
    *(("coverage/read-counter", name) for name in OVERFLOWS),
)
_LIMITS = (("dpctl/ct-get-limits",),)
PROCESSOR_TIME = 2
"""Its place in ``statistics:process_NAME``: virtual size, resident size, processor milliseconds, …"""


def observe(
    bridge: Bridge, timeout: float, tls: TlsFiles | None = None, *, zones: bool = False
) -> ServerReading | None:
    """Read the server of this bridge; None when nothing can be known of it. Never raises.

    ``zones``: and its full connection tracking zones; a userspace datapath looks at each of 65,536 for that.
    ``timeout`` (seconds) bounds each question.
    """
    attachment = bridge.attachment
    match attachment:
        case ManagementSocket(path):
            return _local(Path(path).parent, timeout, zones=zones)
        case ServiceController(ovsdb):
            return _remote(ovsdb, timeout, tls)
        case _:
            assert_never(attachment)


def _local(rundir: Path, timeout: float, *, zones: bool) -> ServerReading | None:
    """All questions at once, those too that only a userspace datapath knows: it is to be bothered once."""
    at = time()
    try:
        with control_socket(rundir, timeout) as control:
            show, subtables, neighbours, routes, *rest = control.try_each(*_QUESTIONS, *(_LIMITS if zones else ()))
    except InfrastructureError:
        return None
    if show is None:
        return None
    counted, limits = rest[: len(OVERFLOWS)], rest[len(OVERFLOWS) :]
    reach = _reach(neighbours, routes) if in_userspace(show) else None
    megaflows, upcalls = megaflows_and_upcalls(show)
    full = full_zones(limits[0] or "") if zones else None  # a datapath that knows no limits has no full zones
    known = masks(show, subtables or ""), upcalls, _processor_seconds(rundir), _copies_dropped(counted), full, reach
    return ServerReading(at, megaflows, *known)


def _copies_dropped(counted: Sequence[str | None]) -> int | None:
    """None where these counters have other names."""
    numbers = [int(number) for number in counted if number is not None and number.strip().isdecimal()]
    return sum(numbers) if len(numbers) == len(OVERFLOWS) else None


def _reach(neighbours: str | None, routes: str | None) -> TunnelReach | None:
    return None if neighbours is None or routes is None else tunnel_reach(neighbours, routes)


def _processor_seconds(rundir: Path) -> float | None:
    """Only of a process that is what the pidfile takes it for: a container may write numbers of its own."""
    try:
        pid = int((rundir / f"{DAEMON}.pid").read_text(encoding="ascii"))
        named = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == DAEMON
        return clock_gettime(~pid << 3 | CPUCLOCK_SCHED) if named else None
    except (OSError, ValueError):
        return None


def _remote(ovsdb: str, timeout: float, tls: TlsFiles | None) -> ServerReading | None:
    select: dict[str, Json] = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["statistics"]}
    try:
        with OvsdbClient(ovsdb, timeout, tls) as client:
            (found,) = client.transact([select])
    except OvsdbError:
        return None
    seconds = _statistic(found)
    return None if seconds is None else ServerReading(time(), cpu_seconds=seconds)


def _statistic(found: Json) -> float | None:
    """The processor time in a row's ``process_ovs-vswitchd=394,19,1200,0,…``, in seconds."""
    match found:
        case {"rows": [{"statistics": statistics}]}:
            numbers = string_map(statistics).get(f"process_{DAEMON}", "").split(",")
        case _:
            return None
    spent = numbers[PROCESSOR_TIME] if len(numbers) > PROCESSOR_TIME else ""
    return int(spent) * MILLISECOND if spent.isdecimal() else None
