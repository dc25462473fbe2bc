from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from vtrace_ovs.codecs.overlay_toml import parse_overlay
from vtrace_ovs.errors import CodecError, UsageError
from vtrace_ovs.model.overlay import (
    Direction,
    Encapsulation,
    NatKind,
    NatRule,
    OverlayRoute,
    OverlayServer,
    OverlayVm,
    RateLimit,
    RuleAction,
    SecurityRule,
    ServerRole,
    UnderlayRouting,
)
from vtrace_ovs.model.packet import IpFamily

TEXT = """
name = "small"
[underlay]
prefix = "172.31.0.0/24"
switches = ["p1", "p2"]
links = [["p1", "p2"]]
[servers]
cs1 = { role = "compute", vtep = "172.31.0.11", switch = "p1" }
gw1 = { role = "gateway", vtep = "172.31.0.21", switch = "p2" }
[tenants.blue]
routes = [{ prefix = "10.0.1.0/24", subnet = "web" }, { prefix = "10.9.0.0/16", blackhole = true }]
nat = [{ kind = "dnat", outside = "192.0.2.1", port = 80, protocol = "tcp", inside = ["10.0.1.11"] }]
[tenants.blue.subnets]
web = { vni = 101, prefix = "10.0.1.0/24", gateway = "10.0.1.1" }
[tenants.blue.groups]
web = [
  { direction = "ingress", action = "permit", protocol = "tcp", port = 443, remote = "10.0.0.0/8" },
  { direction = "egress", action = "deny" },
]
[tenants.blue.vms]
b1 = { server = "cs1", subnet = "web", address = "10.0.1.11", groups = ["web"] }
[tenants.red.subnets]
web = { vni = 201, prefix = "10.0.1.0/24", gateway = "10.0.1.1" }
[tenants.red.groups]
any = []
[tenants.red.vms]
r1 = { server = "cs1", subnet = "web", address = "10.0.1.11", groups = [] }
[rate_limits]
b1 = { packets_per_second = 100, burst = 10 }
"""


def test_underlay_switches_learn_unless_they_have_routes() -> None:
    assert parse_overlay(TEXT).underlay.routing is UnderlayRouting.LEARNING
    routed = TEXT.replace('links = [["p1", "p2"]]', 'links = [["p1", "p2"]]\nrouting = "ecmp"')
    assert parse_overlay(routed).underlay.routing is UnderlayRouting.ECMP


def test_the_encapsulation_is_one_that_open_vswitch_has() -> None:
    geneve = TEXT.replace('links = [["p1", "p2"]]', 'links = [["p1", "p2"]]\nencapsulation = "geneve"')
    assert parse_overlay(geneve).underlay.encapsulation is Encapsulation.GENEVE
    with pytest.raises(CodecError, match=r"underlay\.encapsulation.*vxlan.*geneve.*gre"):
        parse_overlay(geneve.replace("geneve", "stt"))


def test_every_noun_of_the_text_is_in_the_overlay() -> None:
    overlay = parse_overlay(TEXT)
    assert overlay.name == "small"
    assert overlay.underlay.links == (("p1", "p2"),)
    assert overlay.underlay.encapsulation is Encapsulation.VXLAN
    assert overlay.server("gw1") == OverlayServer("gw1", ServerRole.GATEWAY, IPv4Address("172.31.0.21"), "p2")
    assert overlay.tenant("blue").group("web").rules == (
        SecurityRule(1, Direction.INGRESS, RuleAction.PERMIT, "tcp", 443, IPv4Network("10.0.0.0/8")),
        SecurityRule(2, Direction.EGRESS, RuleAction.DENY),
    )
    assert overlay.tenant("blue").routes == (
        OverlayRoute(1, IPv4Network("10.0.1.0/24"), "web"),
        OverlayRoute(2, IPv4Network("10.9.0.0/16"), None),
    )
    assert overlay.tenant("blue").nat == (
        NatRule(1, NatKind.DNAT, IPv4Address("192.0.2.1"), (IPv4Network("10.0.1.11/32"),), "tcp", 80),
    )
    assert overlay.rate_limits == (RateLimit("b1", 100, 10),)


def test_ipv6_stands_beside_ipv4_and_is_held_to_the_same() -> None:
    subnet = 'gateway = "10.0.1.1", prefix6 = "fd00:0:0:1::/64", gateway6 = "fd00:0:0:1::1" }'
    six = TEXT.replace('gateway = "10.0.1.1" }', subnet, 1)
    six = six.replace('address = "10.0.1.11",', 'address = "10.0.1.11", address6 = "fd00:0:0:1::11",', 1)
    six = six.replace('prefix = "10.9.0.0/16"', 'prefix = "fd00:9::/32"').replace("10.0.0.0/8", "fd00::/16")
    overlay = parse_overlay(six)
    assert overlay.vm("b1").addresses == (IPv4Address("10.0.1.11"), IPv6Address("fd00:0:0:1::11"))
    assert overlay.subnet_of(overlay.vm("b1")).families == (IpFamily.IPV4, IpFamily.IPV6)
    assert overlay.subnet_of(overlay.vm("r1")).families == (IpFamily.IPV4,)
    assert overlay.tenant("blue").routes[1].prefix == IPv6Network("fd00:9::/32")
    assert overlay.tenant("blue").group("web").rules[0].families == (IpFamily.IPV6,)
    for wrong, why in (
        (six.replace(', gateway6 = "fd00:0:0:1::1"', ""), "prefix6 and gateway6 go together"),
        (six.replace("::/64", "::/128"), r"gateway fd00:0:0:1::1 is outside fd00:0:0:1::/128"),
        (six.replace("1::11", "2::11"), r"fd00:0:0:2::11 is not a free address of fd00:0:0:1::/64"),
        (six.replace("1::11", "1::1"), r"fd00:0:0:1::1 is not a free address"),
        (six.replace('address6 = "fd00:0:0:1::11",', ""), "it needs an address6"),
    ):
        with pytest.raises(UsageError, match=why):
            parse_overlay(wrong)
    with pytest.raises(CodecError, match=r"vms\.b1\.address6: "):
        parse_overlay(six.replace("fd00:0:0:1::11", "10.0.0.1"))


def test_the_underlay_may_be_ipv6() -> None:
    overlay = parse_overlay(TEXT.replace("172.31.0.0/24", "fd31::/64").replace("172.31.0.", "fd31::"))
    assert overlay.server("gw1").vtep == IPv6Address("fd31::21")
    with pytest.raises(UsageError, match=r"VTEP fd31::21 is outside 172\.31\.0\.0/24"):
        parse_overlay(TEXT.replace("172.31.0.21", "fd31::21"))


def test_tenants_with_equal_addresses_get_macs_of_their_own() -> None:
    overlay = parse_overlay(TEXT)
    address = IPv4Address("10.0.1.11")
    assert overlay.vm("b1") == OverlayVm("b1", "blue", "cs1", "web", address, "02:01:0a:00:01:0b", ("web",))
    assert overlay.vm("r1") == OverlayVm("r1", "red", "cs1", "web", address, "02:02:0a:00:01:0b", ())


def test_groups_are_numbered_over_all_tenants() -> None:
    overlay = parse_overlay(TEXT)
    assert [group.number for tenant in overlay.tenants for group in tenant.groups] == [1, 2]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('name = "small"', "name = 3", "small.toml: name: expected text"),
        ("vni = 101", "vni = 0", "tenants.blue.subnets.web.vni: expected an integer from 1"),
        ("vni = 101", "vni = true", "tenants.blue.subnets.web.vni"),
        ('role = "compute"', 'role = "spine"', "servers.cs1.role: 'spine' is none of compute, gateway"),
        ('vtep = "172.31.0.11"', 'vtep = "172.31.0"', "servers.cs1.vtep"),
        ('prefix = "172.31.0.0/24"', 'prefix = "172.31.0.1/24"', "underlay.prefix: 172.31.0.1/24 has host bits"),
        ('links = [["p1", "p2"]]', 'links = [["p1"]]', r"underlay.links\[0\]: a link joins two"),
        ("port = 443,", "port = 70000,", r"tenants.blue.groups.web\[0\].port"),
        ('protocol = "tcp", port', 'protocol = "icmp", port', "a port needs protocol tcp or udp"),
        ('protocol = "tcp", port', 'protocol = "sctp", port', "'sctp' is none of"),
        ("blackhole = true", "blackhole = false", r"routes\[1\]: a route leads either"),
        ("blackhole = true", 'blackhole = true, subnet = "web"', r"routes\[1\]: a route leads either"),
        ('server = "cs1", subnet = "web", address = "10.0.1.11", groups = ["web"]', "x = 1", "unknown key 'x'"),
        ('kind = "dnat"', 'kind = "pat"', r"nat\[0\].kind: 'pat' is none of snat, dnat, stateless"),
        ('port = 80, protocol = "tcp"', "port = 80", r"nat\[0\].port: a port needs protocol tcp or udp"),
        ('port = 80, protocol = "tcp"', 'protocol = "gre"', r"nat\[0\].protocol: 'gre' is none of"),
        ('inside = ["10.0.1.11"]', "inside = []", r"nat\[0\]: inside names one address"),
        ('inside = ["10.0.1.11"]', 'inside = ["10.0.1.0/24"]', "lead to addresses of VMs"),
        ("port = 80,", 'port = 80, toward = "10.0.0.0/8",', "only snat is narrowed"),
        ('inside = ["10.0.1.11"]', 'inside = ["fd00::11"]', "are of one family"),
        ("[rate_limits]", "[limits]", "document: unknown key 'limits'"),
        ("switches = ", "switch = ", "underlay: unknown key 'switch'"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(old: str, new: str, place: str) -> None:
    assert old in TEXT
    with pytest.raises(CodecError, match=place):
        parse_overlay(TEXT.replace(old, new, 1), "small.toml")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(CodecError, match="document: 'tenants' is missing"):
        parse_overlay('name = "small"')


def test_text_that_is_not_toml_is_refused() -> None:
    with pytest.raises(CodecError, match="not TOML"):
        parse_overlay("= 3")


def test_an_overlay_that_contradicts_itself_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"small\.toml: VNI 101 is given 2 times"):
        parse_overlay(TEXT.replace("vni = 201", "vni = 101"), "small.toml")
