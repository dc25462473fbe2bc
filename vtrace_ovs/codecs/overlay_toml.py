"""Turns the text of a ``topologies/*.toml`` file into an Overlay, and refuses one that contradicts itself."""

import tomllib
from collections.abc import Iterable
from ipaddress import IPv4Address

from vtrace_ovs.codecs.overlay_contradictions import contradictions
from vtrace_ovs.codecs.toml_places import Place
from vtrace_ovs.errors import CodecError, UsageError
from vtrace_ovs.model.overlay import (
    Direction,
    Encapsulation,
    NatKind,
    NatRule,
    Overlay,
    OverlayRoute,
    OverlayServer,
    OverlaySubnet,
    OverlayVm,
    RateLimit,
    RuleAction,
    SecurityGroup,
    SecurityRule,
    ServerRole,
    Tenant,
    Underlay,
    UnderlayRouting,
)

MAX_VNI = (1 << 24) - 1
MAX_PORT = 65535
MAX_RATE = 10_000_000
PROTOCOLS = ("icmp", "tcp", "udp")


def parse_overlay(text: str, source: str = "overlay") -> Overlay:
    """Read an overlay; ``source`` names the text in messages.

    Raises CodecError for text that is not TOML or a value of the wrong kind (the message names the key), UsageError
    for an overlay that contradicts itself.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise CodecError(f"{source}: not TOML: {wrong}") from wrong
    root = Place(document, "", source)
    root.table(frozenset({"name", "underlay", "servers", "tenants", "rate_limits"}))
    tenants = []
    groups_before = 0
    for number, (name, place) in enumerate(root.require("tenants").table().items(), 1):
        tenants.append(_tenant(name, number, groups_before, place))
        groups_before += len(tenants[-1].groups)
    limits = root.optional("rate_limits")
    overlay = Overlay(
        name=root.require("name").text(),
        underlay=_underlay(root.require("underlay")),
        servers=tuple(_server(name, place) for name, place in root.require("servers").table().items()),
        tenants=tuple(tenants),
        rate_limits=tuple(_rate_limit(vm, place) for vm, place in limits.table().items()) if limits else (),
    )
    for problem in contradictions(overlay):
        raise UsageError(f"{source}: {problem}")
    return overlay


def _underlay(place: Place) -> Underlay:
    place.table(frozenset({"prefix", "switches", "links", "encapsulation", "routing"}))
    encapsulation, routing = place.optional("encapsulation"), place.optional("routing")
    links: list[tuple[str, str]] = []
    for item in place.require("links").array():
        ends = [end.text() for end in item.array()]
        if len(ends) != 2:  # noqa: PLR2004 - a cable has two ends
            item.fail("a link joins two switches")
        links.append((ends[0], ends[1]))
    return Underlay(
        prefix=place.require("prefix").any_network(),
        switches=tuple(switch.text() for switch in place.require("switches").array()),
        links=tuple(links),
        encapsulation=Encapsulation.VXLAN if encapsulation is None else encapsulation.member(Encapsulation),
        routing=UnderlayRouting.LEARNING if routing is None else routing.member(UnderlayRouting),
    )


def _server(name: str, place: Place) -> OverlayServer:
    place.table(frozenset({"role", "vtep", "switch"}))
    return OverlayServer(
        name=name,
        role=place.require("role").member(ServerRole),
        vtep=place.require("vtep").any_address(),
        switch=place.require("switch").text(),
    )


def _tenant(name: str, number: int, groups_before: int, place: Place) -> Tenant:
    place.table(frozenset({"subnets", "routes", "groups", "vms", "nat"}))
    groups = place.require("groups").table().items()
    routes, nat = place.optional("routes"), place.optional("nat")
    return Tenant(
        name=name,
        subnets=tuple(_subnet(key, name, number, entry) for key, entry in place.require("subnets").table().items()),
        groups=tuple(
            SecurityGroup(groups_before + index, key, name, tuple(_rules(entry)))
            for index, (key, entry) in enumerate(groups, 1)
        ),
        vms=tuple(_vm(key, name, number, entry) for key, entry in place.require("vms").table().items()),
        routes=tuple(_route(index, entry) for index, entry in enumerate(routes.array(), 1)) if routes else (),
        nat=tuple(_nat(index, entry) for index, entry in enumerate(nat.array(), 1)) if nat else (),
    )


def _nat(number: int, place: Place) -> NatRule:
    place.table(frozenset({"kind", "outside", "inside", "protocol", "port", "toward"}))
    port, toward = place.optional("port"), place.optional("toward")
    rule = NatRule(
        number=number,
        kind=place.require("kind").member(NatKind),
        outside=place.require("outside").any_address(),
        inside=tuple(entry.any_network() for entry in place.require("inside").array()),
        protocol=_protocol(place, port),
        port=port.integer(1, MAX_PORT) if port else None,
        toward=toward.any_network() if toward else None,
    )
    if not rule.inside or (rule.kind is NatKind.STATELESS and len(rule.inside) > 1):
        place.fail("inside names one address or prefix; several only for snat, and for dnat to balance")
    if rule.kind is not NatKind.SNAT and any(prefix.prefixlen < prefix.max_prefixlen for prefix in rule.inside):
        place.fail("dnat and stateless rules lead to addresses of VMs")
    if any(prefix.version != rule.outside.version for prefix in (*rule.inside, rule.toward or rule.outside)):
        place.fail("outside, inside and toward are of one family")
    if rule.toward is not None and rule.kind is not NatKind.SNAT:
        place.fail("only snat is narrowed by where packets go to")
    return rule


def _subnet(name: str, tenant: str, tenant_number: int, place: Place) -> OverlaySubnet:
    place.table(frozenset({"vni", "prefix", "gateway", "prefix6", "gateway6", "server"}))
    gateway = place.require("gateway").address()
    prefix6, gateway6 = place.optional("prefix6"), place.optional("gateway6")
    server = place.optional("server")
    return OverlaySubnet(
        name=name,
        tenant=tenant,
        vni=place.require("vni").integer(1, MAX_VNI),
        prefix=place.require("prefix").network(),
        gateway=gateway,
        gateway_mac=_mac(0x0A, tenant_number, gateway),
        prefix6=prefix6.network6() if prefix6 else None,
        gateway6=gateway6.address6() if gateway6 else None,
        server=server.text() if server else None,
    )


def _rules(place: Place) -> Iterable[SecurityRule]:
    for number, entry in enumerate(place.array(), 1):
        entry.table(frozenset({"direction", "action", "protocol", "port", "remote"}))
        port, remote = entry.optional("port"), entry.optional("remote")
        protocol = _protocol(entry, port)
        yield SecurityRule(
            number=number,
            direction=entry.require("direction").member(Direction),
            action=entry.require("action").member(RuleAction),
            protocol=protocol,
            port=port.integer(1, MAX_PORT) if port else None,
            remote=remote.any_network() if remote else None,
        )


def _protocol(place: Place, port: Place | None) -> str | None:
    protocol = place.optional("protocol")
    if protocol is not None and protocol.text() not in PROTOCOLS:
        protocol.fail(f"{protocol.value!r} is none of {', '.join(PROTOCOLS)}")
    if port is not None and (protocol is None or protocol.text() == "icmp"):
        port.fail("a port needs protocol tcp or udp")
    return protocol.text() if protocol else None


def _vm(name: str, tenant: str, tenant_number: int, place: Place) -> OverlayVm:
    place.table(frozenset({"server", "subnet", "address", "address6", "groups"}))
    address, address6 = place.require("address").address(), place.optional("address6")
    return OverlayVm(
        name=name,
        tenant=tenant,
        server=place.require("server").text(),
        subnet=place.require("subnet").text(),
        address=address,
        mac=_mac(0x02, tenant_number, address),
        groups=tuple(group.text() for group in place.require("groups").array()),
        address6=address6.address6() if address6 else None,
    )


def _route(number: int, place: Place) -> OverlayRoute:
    place.table(frozenset({"prefix", "subnet", "blackhole"}))
    subnet, blackhole = place.optional("subnet"), place.optional("blackhole")
    if (subnet is None) == (blackhole is None or not blackhole.flag()):
        place.fail("a route leads either to a subnet or to a blackhole")
    return OverlayRoute(number, place.require("prefix").any_network(), subnet.text() if subnet else None)


def _rate_limit(vm: str, place: Place) -> RateLimit:
    place.table(frozenset({"packets_per_second", "burst"}))
    return RateLimit(
        vm=vm,
        packets_per_second=place.require("packets_per_second").integer(1, MAX_RATE),
        burst=place.require("burst").integer(1, MAX_RATE),
    )


def _mac(first_byte: int, tenant_number: int, address: IPv4Address) -> str:
    """A locally administered MAC: who (VM 02, gateway 0a), the tenant, the IPv4 address."""
    return ":".join(f"{byte:02x}" for byte in (first_byte, tenant_number & 0xFF, *address.packed))
