"""Turns a seed into bridges of 100,000 flows in ovs-ofctl syntax, and into packets for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random

from vtrace_ovs.model.packet import FiveTuple, Headers

FLOWS = 100_000
PORTS = 40
ACL_TABLE, ROUTED_TABLE = 10, 20
FIRST_STAGE, LAST_STAGE = 8, 46
ETH_TYPE_IPV4, TCP, UDP = 0x0800, 6, 17
SOURCES, DESTINATIONS = (0, 8, 16, 24, 32), (16, 24, 28, 32)
PORT_MASKS = (0, 0xFFF0, 0xFFFF)


@dataclass(frozen=True, slots=True)
class Packet:
    """One TCP or UDP packet at a port."""

    in_port: int
    eth_dst: str
    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int

    @property
    def trace_text(self) -> str:
        """The packet as ofproto/trace takes it."""
        kind = "tcp" if self.protocol == TCP else "udp"
        return (
            f"in_port={self.in_port},{kind},dl_src=02:00:00:00:00:01,dl_dst={self.eth_dst},nw_ttl=64,"
            f"nw_src={IPv4Address(self.source)},nw_dst={IPv4Address(self.destination)},"
            f"{kind}_src={self.source_port},{kind}_dst={self.destination_port}"
        )

    @property
    def headers(self) -> Headers:
        """The packet as a VFD's packet-in shows it."""
        addresses = IPv4Address(self.source), IPv4Address(self.destination)
        five_tuple = FiveTuple(self.protocol, *addresses, self.source_port, self.destination_port)
        flags = 0 if self.protocol == TCP else None
        return Headers(
            "02:00:00:00:00:01", self.eth_dst, ETH_TYPE_IPV4, 118, None, five_tuple, 0, 0, 64, tcp_flags=flags
        )


@dataclass(frozen=True, slots=True)
class BigBridge:
    """Flows to add, and packets to walk."""

    name: str
    told: str
    flows: tuple[str, ...]
    packets: tuple[Packet, ...]


def acl_bridge(packets: int) -> BigBridge:
    """A firewall: one table of rules over prefixes, ports and protocols, 5 x 4 x 3 x 2 distinct masks at most."""
    random = Random("acl")  # noqa: S311 - the same tables every time, not a secret
    masks = [(s, d, p, proto) for s in SOURCES for d in DESTINATIONS for p in PORT_MASKS for proto in (None, TCP)]
    masks = [mask for mask in masks if not (mask[2] and mask[3] is None)]
    frame = [
        *(f"in_port={port},priority=1,actions=resubmit(,{ACL_TABLE})" for port in range(1, PORTS + 1)),
        f"table={ROUTED_TABLE},actions=output:1",
    ]
    rules: dict[tuple[object, ...], str] = {}
    likely: list[Packet] = []
    while len(rules) + len(frame) < FLOWS:
        number = random.randrange(len(masks))
        source_bits, destination_bits, port_mask, protocol = masks[number]
        source, destination = _address(random), _address(random)
        port = random.randrange(1, 1 << 16)
        key = (number, source & _prefix(source_bits), destination & _prefix(destination_bits), port & port_mask)
        if key in rules:
            continue
        # Two rules of one priority have one mask and differ: which of them wins is never left open.
        priority = 1 + number + len(masks) * random.randrange(60_000 // len(masks))
        match = ["ip" if protocol is None else "tcp"]
        match += [f"nw_src={IPv4Address(key[1])}/{source_bits}"] if source_bits else []
        match += [f"nw_dst={IPv4Address(key[2])}/{destination_bits}"]
        match += [f"tp_dst={key[3]:#x}/{port_mask:#x}"] if port_mask else []
        actions = f"resubmit(,{ROUTED_TABLE})" if random.random() < 0.7 else "drop"  # noqa: PLR2004 - most are allowed
        rules[key] = f"table={ACL_TABLE},priority={priority},{','.join(match)},actions={actions}"
        if random.random() < 0.05:  # noqa: PLR2004 - more than enough to choose from
            likely.append(Packet(2, "02:00:00:00:00:02", TCP, source, destination, 1024, port))
    flows = (*frame, *rules.values())
    told = f"ACL: {len(masks)} distinct masks in one table"
    return BigBridge("acl", told, flows, tuple(random.sample(likely, packets)))


def overlay_bridge(packets: int) -> BigBridge:
    """A virtual switch as OVN lays one out: a table per stage, every match on the logical datapath in ``metadata``."""
    random = Random("overlay")  # noqa: S311 - the same tables every time, not a secret
    flows = [
        f"table=0,priority=100,in_port={port},actions=set_field:{port}->metadata,set_field:{port}->reg14,"
        f"resubmit(,{FIRST_STAGE})"
        for port in range(1, PORTS + 1)
    ]
    flows += [f"table={LAST_STAGE + 1},reg15={port},actions=output:{port}" for port in range(1, PORTS + 1)]
    stages = range(FIRST_STAGE, LAST_STAGE + 1)
    flows += [
        f"table={stage},priority=0,metadata={port},actions=resubmit(,{stage + 1})"
        for stage in stages
        for port in range(1, PORTS + 1)
    ]
    flows += [
        f"table={LAST_STAGE},priority=50,metadata={datapath},dl_dst={_mac(port)},"
        f"actions=set_field:{port}->reg15,resubmit(,{LAST_STAGE + 1})"
        for datapath in range(1, PORTS + 1)
        for port in range(1, PORTS + 1)
    ]
    chosen = list(_traffic(random, packets))
    rules: dict[str, str] = {}
    addresses = [packet.destination for packet in chosen] + [_address(random) for _ in range(4000)]
    while len(rules) + len(flows) < FLOWS:
        stage = random.choice(stages)
        match = _stage_match(stage, random, addresses)
        number = random.randrange(10)
        rules[f"table={stage},{match}"] = (
            f"actions=set_field:{random.randrange(1 << 16)}->reg{number},resubmit(,{stage + 1})"
        )
    flows += [f"{match},{actions}" for match, actions in rules.items()]
    told = f"OVN-like: {len(stages) + 2} tables, each packet looked up in all of them"
    return BigBridge("overlay", told, tuple(flows), tuple(chosen))


def _stage_match(stage: int, random: Random, addresses: list[int]) -> str:
    """One rule of a stage; a stage has three shapes of rules at most, and its own priority for each."""
    datapath, address = random.randrange(1, PORTS + 1), random.choice(addresses)
    host = IPv4Address(address)
    shapes = (
        f"priority=90,ip,reg14={datapath},metadata={datapath},nw_dst={host}",
        f"priority=80,tcp,metadata={datapath},nw_dst={host},tp_dst={random.randrange(1, 1 << 10)}",
        f"priority=70,ip,metadata={datapath},nw_dst={IPv4Address(address & _prefix(24))}/24",
        f"priority=60,ip,metadata={datapath},nw_src={IPv4Address(address & _prefix(16))}/16,nw_dst={host}",
        f"priority=55,reg14={datapath},metadata={datapath},dl_src={_mac(random.randrange(4000))}",
    )
    return shapes[(stage + random.randrange(3)) % len(shapes)]


def _traffic(random: Random, packets: int) -> Iterator[Packet]:
    for _ in range(packets):
        in_port, out_port = random.sample(range(1, PORTS + 1), 2)
        ports = random.randrange(1024, 1 << 16), random.randrange(1, 1 << 10)
        yield Packet(in_port, _mac(out_port), random.choice((TCP, UDP)), _address(random), _address(random), *ports)


def _address(random: Random) -> int:
    """Somewhere in 10.0.0.0/8."""
    return 10 << 24 | random.randrange(1 << 24)


def _prefix(length: int) -> int:
    return (1 << 32) - (1 << 32 - length)


def _mac(number: int) -> str:
    return f"02:00:00:01:{number >> 8:02x}:{number & 0xFF:02x}"
