"""Turns a local bridge into its MacTable: what it has learned (``fdb/show``), and how its ports take part (OVSDB)."""

from pathlib import Path

from vtrace_ovs.codecs.switching import mac_entries, mac_table, switch_operations
from vtrace_ovs.model.mac_table import MacTable
from vtrace_ovs.ovsdb.client import OvsdbClient
from vtrace_ovs.ovsdb.unixctl import control_socket


def read_mac_table(bridge: str, ovsdb: str, rundir: Path, timeout: float) -> MacTable:
    """The MAC table of a bridge as it is now. ``timeout`` (seconds) bounds each of the two readings; nothing changes.

    Raises InfrastructureError when ovs-vswitchd or its OVSDB cannot be asked.
    """
    with control_socket(rundir, timeout) as control:
        (text,) = control.run(("fdb/show", bridge))
    with OvsdbClient(ovsdb, timeout) as client:
        return mac_table(client.transact(switch_operations(bridge)), mac_entries(text))
