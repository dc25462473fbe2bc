"""Turns the OVN lab's VMs into packets to try on its bridges: allowed and forbidden ones, and odd ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from random import Random

from vtrace_ovs.lab.ovn_network import (
    OUTSIDE_ADDRESS,
    OUTSIDE_MAC,
    PUBLIC_ADDRESS,
    PUBLIC_MAC,
    VIP_OF_ONE,
    VIP_OF_TWO,
    VMS,
    OvnVm,
)
from vtrace_ovs.model.packet import FiveTuple, Headers

NEW, ESTABLISHED, REPLY, RELATED, INVALID = 0x21, 0x22, 0x2A, 0x25, 0x30
CT_STATES = {NEW: "trk,new", ESTABLISHED: "trk,est", REPLY: "trk,est,rpl", RELATED: "trk,new,rel", INVALID: "trk,inv"}
OUTSIDE = "outside"
LENGTH = 118
GENERATED = 120
PROTOCOLS = ((1, 8, 0), (6, 40000, 80), (6, 40000, 443), (6, 40000, 81), (6, 40000, 25), (17, 5000, 53), (17, 5000, 67))
STRANGE_ADDRESSES = ("10.0.1.77", "10.0.2.254", "10.0.1.254", "8.8.8.8", "224.0.0.1", "255.255.255.255", "10.0.9.3")
STRANGE_MACS = ("0a:00:00:00:07:07", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "0a:00:00:00:01:fe", "0a:00:00:00:02:fe")


@dataclass(frozen=True)
class Packet:
    """A packet as ``source`` (a VM or OUTSIDE) sends it; ``ct_state`` is what every ``ct`` is to say of it."""

    source: str
    eth_src: str
    eth_dst: str
    nw_src: str
    nw_dst: str
    protocol: int = 6
    first: int = 40000
    second: int = 443
    ttl: int = 64
    vlan: int | None = None
    ct_state: int = NEW

    @property
    def text(self) -> str:
        """The packet without its port, in ``ofproto/trace``'s words."""
        names = {1: ("icmp_type", "icmp_code"), 6: ("tcp_src", "tcp_dst"), 17: ("udp_src", "udp_dst")}[self.protocol]
        tag = "" if self.vlan is None else f"dl_vlan={self.vlan},dl_vlan_pcp=0,"
        return (
            f"{tag}dl_src={self.eth_src},dl_dst={self.eth_dst},dl_type=0x0800,nw_proto={self.protocol},"
            f"nw_src={self.nw_src},nw_dst={self.nw_dst},nw_ttl={self.ttl},"
            f"{names[0]}={self.first},{names[1]}={self.second}"
        )

    @property
    def headers(self) -> Headers:
        """The same packet, captured whole."""
        icmp = self.protocol == 1
        return Headers(
            self.eth_src,
            self.eth_dst,
            0x0800,
            LENGTH,
            self.vlan,
            FiveTuple(
                self.protocol,
                IPv4Address(self.nw_src),
                IPv4Address(self.nw_dst),
                None if icmp else self.first,
                None if icmp else self.second,
            ),
            0,
            0,
            self.ttl,
            tcp_flags=0 if self.protocol == 6 else None,
            icmp_type=self.first if icmp else None,
            icmp_code=self.second if icmp else None,
        )


def corpus(source: str, seed: int) -> Iterator[Packet]:
    """Every sensible packet of one source, and generated variations of them."""
    sensible = [replace(packet, ct_state=state) for packet in _sensible(source) for state in (NEW, ESTABLISHED)]
    yield from sensible
    random = Random(seed)  # noqa: S311  the same packets in every run
    for _ in range(GENERATED):
        yield _varied(random, random.choice(sensible))


def _sensible(source: str) -> Iterator[Packet]:
    addresses = [vm.address for vm in VMS if vm.name != source]
    addresses += [OUTSIDE_ADDRESS, PUBLIC_ADDRESS, VIP_OF_ONE, VIP_OF_TWO, "8.8.8.8"]
    for address in addresses:
        for protocol, first, second in PROTOCOLS:
            yield Packet(*_link(source, address), address, protocol, first, second)


def _link(source: str, address: str) -> tuple[str, str, str, str]:
    """Source, its MAC, the next hop's MAC and the source address."""
    if source == OUTSIDE:
        return source, OUTSIDE_MAC, PUBLIC_MAC, OUTSIDE_ADDRESS
    vm = _vm(source)
    neighbour = next((each for each in VMS if each.address == address and each.switch == vm.switch), None)
    return source, vm.mac, _router(vm) if neighbour is None else neighbour.mac, vm.address


def _vm(name: str) -> OvnVm:
    return next(vm for vm in VMS if vm.name == name)


def _router(vm: OvnVm) -> str:
    return f"{vm.mac[:-2]}fe"


def _varied(random: Random, packet: Packet) -> Packet:
    changes: tuple[Callable[[], Packet], ...] = (
        lambda: replace(packet, ttl=random.choice((0, 1, 2))),
        lambda: replace(packet, eth_dst=random.choice(STRANGE_MACS)),
        lambda: replace(packet, eth_src=random.choice(STRANGE_MACS)),
        lambda: replace(packet, nw_src=random.choice(STRANGE_ADDRESSES)),
        lambda: replace(packet, nw_dst=random.choice(STRANGE_ADDRESSES)),
        lambda: replace(packet, vlan=random.choice((0, 5))),
        lambda: replace(packet, ct_state=random.choice(tuple(CT_STATES))),
        lambda: replace(packet, second=random.choice((0, 3, 22, 80 if packet.protocol == 1 else 5432))),
    )
    for change in random.sample(changes, random.choice((1, 1, 2))):
        packet = change()
    return packet
