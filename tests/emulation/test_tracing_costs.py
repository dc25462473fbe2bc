"""What a trace costs the servers is in its result, and what it says is what the servers say."""

import json

import pytest
from vtrace_program import UDP, Vtrace, sending

from vtrace_ovs.lab.network import Lab

WAY = {"cs1", "cs3", "gw1"}
PACKETS = 10


@pytest.mark.usefixtures("unchanged")
def test_the_result_says_what_the_trace_cost_every_server(lab: Lab, program: Vtrace) -> None:
    with sending(lab):
        done = program("run", UDP, "--from", "blue-web1", "-n", str(PACKETS), "-o", "json")
    assert done.returncode == 0, done.stderr
    costs = {cost["node"]: cost for cost in json.loads(done.stdout)["costs"]}
    assert set(costs) == {"cs1", "cs2", "cs3", "gw1"}
    assert {node for node, cost in costs.items() if cost["copies"]} == WAY
    for cost in costs.values():
        assert cost["before"]["at"] < cost["during"]["at"] < cost["after"]["at"]
        assert cost["before"]["cpu_seconds"] <= cost["during"]["cpu_seconds"] <= cost["after"]["cpu_seconds"]
        assert 0 <= cost["cpu_share"] < 2
    for node in WAY:
        assert costs[node]["copies"] >= 2 * PACKETS, "in and out of every packet"
        assert costs[node]["during"]["megaflows"] >= costs[node]["during"]["masks"] > 0
    tree = program("result")
    assert [line.split()[1] for line in tree.stdout.splitlines() if line.startswith("cost: ")] == sorted(WAY)
