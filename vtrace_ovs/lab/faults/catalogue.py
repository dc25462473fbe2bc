"""Turns the families of faults into one catalogue: every FaultName and how it is done."""

from collections.abc import Mapping
from types import MappingProxyType

from vtrace_ovs.lab.faults import (
    configuration,
    connections,
    datapaths,
    devices,
    entries,
    guests,
    limits,
    loops,
    physical,
    policy,
    pools,
    ports,
    spoofing,
    translations,
    unsupported,
)
from vtrace_ovs.lab.faults.fault import FaultName
from vtrace_ovs.lab.faults.kinds import FaultKind

FAMILIES = {
    "security policy": policy.FAULTS | connections.FAULTS | spoofing.FAULTS,
    "configuration": (configuration.FAULTS | entries.FAULTS | loops.FAULTS | translations.FAULTS | ports.FAULTS),
    "limits": limits.FAULTS | pools.FAULTS,
    "unsupported": unsupported.FAULTS,
    "VFDs": devices.FAULTS | datapaths.FAULTS,
    "physical network": physical.FAULTS,
    "machines": guests.FAULTS,
}
CATALOGUE: Mapping[FaultName, FaultKind] = MappingProxyType(
    {name: kind for family in FAMILIES.values() for name, kind in family.items()}
)
