"""A server that fails two tenants at once is what their tasks have in common, with live packets."""

import json
from contextlib import ExitStack

import pytest
from vtrace_program import UDP, Vtrace

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.verdict import Disposition

TENANTS = ("blue", "red")
NOT_THERE = UDP.replace("10.0.2.22", "10.0.2.21")
"""From the same VMs to the other tenants' machine, which is on another server."""


@pytest.mark.usefixtures("unchanged")
def test_a_server_that_fails_two_tenants_is_named_first(lab: Lab, program: Vtrace) -> None:
    with ExitStack() as broken:
        broken.enter_context(lab.faults.injected(Fault(FaultName.VSWITCHD_DEAD, server="cs3")))
        for tenant in TENANTS:
            for destination in ("db2", "db1"):
                request = TrafficRequest(
                    *(f"{tenant}-web1", f"{tenant}-{destination}", TrafficProtocol.UDP, 5000), rate=20.0, count=0
                )
                broken.callback(lab.traffic.stop, lab.traffic.start(request))
        broken.enter_context(program.controller())
        tasks = [
            program.add(wanted, 3, 20, source_vm=f"{tenant}-web1") for wanted in (UDP, NOT_THERE) for tenant in TENANTS
        ]
        results = [program.result(number) for number in tasks]
    lost, delivered = Disposition.LOST_IN_VFD, Disposition.DELIVERED
    assert [result.verdict.disposition for result in results] == [lost, lost, delivered, delivered]
    document = json.loads(program("correlate", "-o", "json").stdout)
    first = document["suspects"][0]
    assert (first["kind"], first["name"]) == ("VFD", "cs3/br-int")
    assert (first["blamed_by"], first["healthy"]) == (tasks[:2], [])
    assert first["tenants"] == list(TENANTS)
    assert (document["healthy"], document["alone"]) == (tasks[2:], [])
    assert program("correlate").stdout.splitlines()[2].startswith("✗ VFD cs3/br-int: blamed by 2 of 2 tasks")
