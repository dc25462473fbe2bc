"""Turns a lab's inventory into the words of it that a sentence for tenants gives away (idea N19)."""

import re

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.ovsdb.inventory import read_inventory

TIMEOUT = 30.0
NUMBERED = re.compile(
    r"0x[0-9a-f]+|\b(table|port|ofport|meter|group|bucket|vni|cookie|priority|flow)s?[ =]\d\S*", re.IGNORECASE
)


def given_away(lab: Lab, sentence: str) -> list[str]:
    """Names of servers, switches, bridges, ports, profiles, VTEPs and VNIs in it; cookies, numbers of tables."""
    topology = read_inventory(lab.state().ovsdb_remotes, TIMEOUT).topology
    names = {node.name for node in topology.nodes} | {str(vtep) for node in topology.nodes for vtep in node.vteps}
    names |= set(lab.overlay.underlay.switches)
    for bridge in topology.bridges:
        names |= {bridge.id.name, *filter(None, (bridge.profile,))}
        names |= {port.name for port in bridge.ports} | {str(port.vni) for port in bridge.ports if port.vni is not None}
    named = [name for name in sorted(names) if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", sentence)]
    return [*named, *(found.group() for found in NUMBERED.finditer(sentence))]
