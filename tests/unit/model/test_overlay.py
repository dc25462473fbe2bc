from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.model.overlay import (
    Overlay,
    OverlayServer,
    OverlaySubnet,
    OverlayVm,
    RateLimit,
    SecurityGroup,
    ServerRole,
    Tenant,
    Underlay,
)

SUBNET = OverlaySubnet("web", "blue", 101, IPv4Network("10.0.1.0/24"), IPv4Address("10.0.1.1"), "0a:00:00:00:00:01")
VM = OverlayVm("vm1", "blue", "cs1", "web", IPv4Address("10.0.1.11"), "02:00:00:00:00:0b", ("web",))
COMPUTE = OverlayServer("cs1", ServerRole.COMPUTE, IPv4Address("172.31.0.11"), "pfd1")
GATEWAY = OverlayServer("gw1", ServerRole.GATEWAY, IPv4Address("172.31.0.21"), "pfd1")
TENANT = Tenant("blue", (SUBNET,), (SecurityGroup(1, "web", "blue", ()),), (VM,), ())
OVERLAY = Overlay(
    "one",
    Underlay(IPv4Network("172.31.0.0/24"), ("pfd1",)),
    (COMPUTE, GATEWAY),
    (TENANT,),
    (RateLimit("vm1", 100, 10),),
)


def test_nouns_are_found_by_name() -> None:
    assert OVERLAY.server("cs1") is COMPUTE
    assert OVERLAY.tenant("blue") is TENANT
    assert OVERLAY.vm("vm1") is VM
    assert TENANT.subnet("web") is SUBNET
    assert TENANT.group("web").number == 1


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        OVERLAY.vm("nobody")


def test_a_vm_knows_its_subnet_and_its_server_its_vms() -> None:
    assert OVERLAY.subnet_of(VM) is SUBNET
    assert OVERLAY.vms_on("cs1") == (VM,)
    assert OVERLAY.vms_on("gw1") == ()


def test_the_gateway_is_the_server_of_that_role() -> None:
    assert OVERLAY.gateway() is GATEWAY
    with pytest.raises(KeyError):
        Overlay("none", OVERLAY.underlay, (COMPUTE,), ()).gateway()


def test_a_vm_has_a_rate_limit_or_none() -> None:
    assert OVERLAY.rate_limit("vm1") == RateLimit("vm1", 100, 10)
    assert OVERLAY.rate_limit("vm2") is None
