"""Turns a number into so many OpenFlow 1.3 switches: ``simulated_switches.py DIRECTORY NUMBER`` until input ends.

Switch I listens on DIRECTORY/sI/br.mgmt. It greets, keeps the flows it is sent beside production's, and answers
requests and barriers at once; it has no datapath, so what is measured against it is the controller.
"""

import asyncio
import struct
import sys
from functools import lru_cache
from pathlib import Path

from vtrace_ovs.codecs.changes import flow_mod
from vtrace_ovs.codecs.flow_text import parse_flow
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.codecs.framing import Message, MessageType, message, messages
from vtrace_ovs.codecs.requests import MultipartType
from vtrace_ovs.model.flow import FlowMod, FlowModCommand

PEERS = 40
FLOW_MOD_HEAD, COOKIE_MASK_AT, TABLE_AT, COMMAND_AT, TIMES_AT, PRIORITY_AT = 40, 8, 16, 17, 18, 22
ADD, DELETE, DELETE_STRICT = 0, 3, 4
PART = 60000
HEADER = 8
FLOW_TYPE = int(MultipartType.FLOW)

Key = tuple[int, int, bytes]


def production(number: int) -> list[str]:
    """A vSwitch of an overlay: its VM, tunnels to other servers, denials, and NORMAL for DNS."""
    local = [
        "priority=100,tcp,tp_dst=22,actions=drop",
        f"priority=10,ip,nw_dst={address(number)},actions=output:1",
        "priority=0,actions=drop",
    ]
    tunnels = (
        f"priority=10,ip,nw_dst={address(peer)},actions=set_field:5001->tun_id,set_field:{vtep(peer)}->tun_dst,output:2"
        for peer in range(PEERS)
        if peer != number
    )
    anywhere = "priority=20,udp,tp_dst=53,actions=NORMAL"
    return [*local, *tunnels, anywhere]


def address(number: int) -> str:
    """The VM behind a switch."""
    return f"10.{number >> 8}.{number & 0xFF}.1"


def vtep(number: int) -> str:
    """The tunnel endpoint of its server."""
    return f"172.16.{number >> 8}.{number & 0xFF}"


@lru_cache
def flow_mod_of(line: str) -> bytes:
    """The body of the FLOW_MOD that adds this flow; most switches have the same."""
    flow = parse_flow(line, PortNames())
    mod = FlowMod(FlowModCommand.ADD, flow.table_id, flow.priority, flow.match, 7, 0, flow.instructions)
    return flow_mod(mod, 0)[HEADER:]


class Switch(asyncio.Protocol):
    """One connection to one switch. Its flows are those of the switch."""

    def __init__(self, dpid: int, flows: dict[Key, bytes]) -> None:
        self._dpid = dpid
        self._flows = flows
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, as a switch does."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport
            transport.write(message(MessageType.HELLO, 0))

    def data_received(self, data: bytes) -> None:
        """Answer everything that is whole."""
        found, self._rest = messages(self._rest + data)
        answers = b"".join(self._answer(one) for one in found)
        if answers and self._transport is not None:
            self._transport.write(answers)

    def _answer(self, one: Message) -> bytes:
        match one.type:
            case MessageType.ECHO_REQUEST:
                return message(MessageType.ECHO_REPLY, one.xid, one.body)
            case MessageType.FEATURES_REQUEST:
                body = struct.pack("!QIBB2xII", self._dpid, 0, 254, 0, 0, 0)
                return message(MessageType.FEATURES_REPLY, one.xid, body)
            case MessageType.GET_CONFIG_REQUEST:
                return message(MessageType.GET_CONFIG_REPLY, one.xid, struct.pack("!HH", 0, 0))
            case MessageType.BARRIER_REQUEST:
                return message(MessageType.BARRIER_REPLY, one.xid)
            case MessageType.MULTIPART_REQUEST:
                return self._statistics(one)
            case MessageType.FLOW_MOD:
                self.change(one.body)
        return b""

    def _statistics(self, one: Message) -> bytes:
        """A multipart reply: the flows, or nothing of what else is asked for."""
        (kind,) = struct.unpack_from("!H", one.body)
        parts = [b""]
        for entry in self._flows.values() if kind == FLOW_TYPE else ():
            if len(parts[-1]) + len(entry) > PART:
                parts.append(b"")
            parts[-1] += entry
        heads = (struct.pack("!HH4x", kind, number < len(parts)) for number in range(1, len(parts) + 1))
        bodies = (head + part for head, part in zip(heads, parts, strict=True))
        return b"".join(message(MessageType.MULTIPART_REPLY, one.xid, body) for body in bodies)

    def change(self, body: bytes) -> None:
        """Carry out a FLOW_MOD (OpenFlow 1.3.5 §7.3.4.1); flows are kept as their entry of a reply (§7.3.5.2)."""
        cookie, mask = struct.unpack_from("!QQ", body)
        table, command = body[TABLE_AT], body[COMMAND_AT]
        times, priority = struct.unpack_from("!HH", body, TIMES_AT), struct.unpack_from("!H", body, PRIORITY_AT)[0]
        (length,) = struct.unpack_from("!H", body, FLOW_MOD_HEAD + 2)
        behind = FLOW_MOD_HEAD + (length + 7) // 8 * 8
        key = (table, priority, body[FLOW_MOD_HEAD:behind])
        if command == ADD:
            rest = struct.pack("!BxIIHHHH4xQQQ", table, 0, 0, priority, *times, 0, cookie, 0, 0) + body[FLOW_MOD_HEAD:]
            self._flows[key] = struct.pack("!H", len(rest) + 2) + rest
        elif command == DELETE_STRICT:
            self._flows.pop(key, None)
        elif command == DELETE:
            for kept in [key for key, entry in self._flows.items() if _cookie(entry) & mask == cookie]:
                del self._flows[kept]


def _cookie(entry: bytes) -> int:
    (cookie,) = struct.unpack_from("!Q", entry, 24)
    return int(cookie)


async def serve(directory: Path, number: int) -> None:
    """All switches, until input ends."""
    for index in range(number):
        place = directory / f"s{index}"
        place.mkdir()
        flows: dict[Key, bytes] = {}
        switch = Switch(index + 1, flows)
        for line in production(index):
            switch.change(flow_mod_of(line))
        await asyncio.get_running_loop().create_unix_server(
            lambda dpid=index + 1, flows=flows: Switch(dpid, flows),  # type: ignore[misc]  # defaults bind the loop's values
            str(place / "br.mgmt"),
        )
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
