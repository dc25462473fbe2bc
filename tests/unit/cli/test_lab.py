import json
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from vtrace_ovs.cli.lab import DEFAULT_TOPOLOGY, fault_text, lab_client, state_document, state_lines
from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab import topologies
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.state import LabState, NatState, ServerState, VmState
from vtrace_ovs.model.overlay import NatKind, NatRule
from vtrace_ovs.rendering.lines import plain_text

Vtrace = Callable[..., tuple[int, str, str]]

DENY = Fault(FaultName.SECURITY_DENY, "blue-db", port=443, prefix=IPv4Network("10.0.0.0/24"), rate=1)
STATE = LabState(
    "small",
    (ServerState("cs1", 7, "unix:/lab/cs1/db.sock", IPv4Address("172.31.0.11")), ServerState("cs2", 8, "unix:/2")),
    (ServerState("pfd1", 9, "unix:/3"),),
    (VmState("blue-db", "blue", "cs1", IPv4Address("10.0.0.2"), "02:00:00:00:00:01", 10),),
    (DENY,),
)


@pytest.fixture
def rundir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VTRACE_RUNDIR", str(tmp_path))
    return tmp_path


def test_a_lab_is_shown_server_by_server() -> None:
    assert plain_text(state_lines(STATE)).splitlines() == [
        "lab small",
        "  cs1  VTEP 172.31.0.11",
        "    blue-db  10.0.0.2  tenant blue",
        "  cs2",
        "  underlay: pfd1",
        "  fault: security-deny vm=blue-db port=443",
        "  VTRACE_OVSDB=unix:/lab/cs1/db.sock,unix:/2",
        "  with the underlay, for post-cards of what it drops:",
        "  VTRACE_OVSDB=unix:/lab/cs1/db.sock,unix:/2,unix:/3",
    ]


def test_a_lab_without_faults_says_so() -> None:
    assert "  faults: none\n" in plain_text(state_lines(LabState("small", (), (), ())))


OUTSIDE = IPv4Address("203.0.113.1")
VMS, NEIGHBOURS = IPv4Network("10.0.0.2/32"), IPv4Network("10.0.0.3/32")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (NatRule(1, NatKind.STATELESS, OUTSIDE, (VMS,)), "stateless 203.0.113.1 to 10.0.0.2"),
        (
            NatRule(1, NatKind.DNAT, OUTSIDE, (VMS, NEIGHBOURS), "tcp", 443),
            "dnat 203.0.113.1, tcp port 443, to 10.0.0.2 or 10.0.0.3",
        ),
        (
            NatRule(1, NatKind.SNAT, OUTSIDE, (IPv4Network("10.0.0.0/24"),), toward=IPv4Network("192.0.2.0/24")),
            "snat 10.0.0.0/24 to 203.0.113.1 toward 192.0.2.0/24",
        ),
    ],
    ids=lambda value: value.kind.value if isinstance(value, NatRule) else "",
)
def test_what_a_tenant_has_translated_is_shown(rule: NatRule, text: str) -> None:
    state = replace(STATE, nat=(NatState("blue", rule),))
    assert f"  tenant blue: {text}" in plain_text(state_lines(state)).splitlines()
    assert json.loads(state_document(state))["nat"] == [
        {
            "tenant": "blue",
            "kind": rule.kind.value,
            "outside": "203.0.113.1",
            "inside": [str(prefix) for prefix in rule.inside],
            "protocol": rule.protocol,
            "port": rule.port,
            "toward": str(rule.toward) if rule.toward else None,
        }
    ]


def test_a_lab_has_a_document() -> None:
    document = json.loads(state_document(STATE))
    assert document["lab"] == "small"
    assert document["servers"][1] == {"name": "cs2", "pid": 8, "ovsdb": "unix:/2", "vtep": None}
    assert document["vms"][0]["address"] == "10.0.0.2"
    assert document["faults"] == ["security-deny vm=blue-db port=443"]


def test_a_fault_names_only_the_places_that_mean_something_to_it() -> None:
    assert fault_text(Fault(FaultName.NOT_SENT)) == "not-sent"
    assert fault_text(replace(DENY, name=FaultName.NO_ROUTE)) == "no-route vm=blue-db prefix=10.0.0.0/24"


def test_the_faults_there_are_can_be_listed(vtrace: Vtrace) -> None:
    _code, listed, _talk = vtrace("lab", "faults")
    assert all(f"  {name.value}: " in listed for name in FaultName)


def test_the_only_lab_that_is_up_is_meant(rundir: Path) -> None:
    assert lab_client().directory == rundir / "lab" / DEFAULT_TOPOLOGY
    (rundir / "lab" / "small").mkdir(parents=True)
    assert lab_client().directory == rundir / "lab" / "small"


def test_several_labs_must_be_told_apart(rundir: Path) -> None:
    for name in ("one", "two"):
        (rundir / "lab" / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="--lab: one, two"):
        lab_client()
    assert lab_client("two").directory.name == "two"


@pytest.mark.parametrize("name", ["../etc", "", ".."])
def test_a_lab_s_name_cannot_leave_its_directory(rundir: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a lab"):
        lab_client(name)
    assert not list(rundir.iterdir())


@pytest.mark.parametrize("command", [("status",), ("down",), ("heal",), ("fault", "no-route"), ("traffic", "a", "b")])
def test_without_a_lab_each_command_says_so(vtrace: Vtrace, rundir: Path, command: tuple[str, ...]) -> None:
    code, out, err = vtrace("lab", *command)
    assert (code, out) == (4, "")
    assert f"no lab is up in {rundir}" in err


def test_the_default_topology_ships() -> None:
    assert topologies.DEFAULT_TOPOLOGY == DEFAULT_TOPOLOGY
