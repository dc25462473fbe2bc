"""Turns a bridge's management socket into a blocking OpenFlow peer for tests: send requests, read replies."""

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.openflow import Message, MessageType, Part, Refusal
from vtrace_ovs.model.flow import Flow, FlowMod
from vtrace_ovs.model.records import PacketIn

DEADLINE = 60.0


class BridgeRefusalError(AssertionError):
    """The bridge answered with an OpenFlow error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


class OpenFlowPeer:
    """One connection to one bridge, past HELLO. Reads fail after DEADLINE seconds of silence."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(DEADLINE)
        self._socket.connect(str(path))
        self._rest = b""
        self._waiting: list[Message] = []
        self._xid = 0
        self.send(openflow.hello)
        self.receive(lambda message: message.type == MessageType.HELLO)
        self.dpid = openflow.features_reply(self.ask(openflow.features_request)).dpid

    def close(self) -> None:
        self._socket.close()

    def send(self, build: Callable[[int], bytes]) -> int:
        """Send what ``build`` makes of a fresh xid; returns the xid."""
        self._xid += 1
        self._socket.sendall(build(self._xid))
        return self._xid

    def receive(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message that is wanted; others wait. Raises BridgeRefusalError on an OpenFlow error."""
        while True:
            for message in self._waiting:
                if wanted(message):
                    self._waiting.remove(message)
                    return message
                if message.type == MessageType.ERROR:
                    self._waiting.remove(message)
                    raise BridgeRefusalError(openflow.refusal(message))
            chunk = self._socket.recv(1 << 16)
            assert chunk, "the bridge closed the connection"
            found, self._rest = openflow.messages(self._rest + chunk)
            self._waiting += found

    def ask(self, build: Callable[[int], bytes]) -> Message:
        """Send a request and return the answer with its xid."""
        xid = self.send(build)
        return self.receive(lambda message: message.xid == xid and message.type != MessageType.ERROR)

    def barrier(self) -> None:
        """Wait until everything sent before has taken effect."""
        self.ask(openflow.barrier_request)

    def multipart(self, build: Callable[[int], bytes]) -> Part:
        """Send a multipart request and return the whole reply."""
        assembly = openflow.Assembly()
        xid = self.send(build)
        while True:
            reply = self.receive(lambda message: message.xid == xid and message.type != MessageType.ERROR)
            whole = assembly.add(reply)
            if whole is not None:
                return whole

    def flows(self, table_id: int = openflow.ALL_TABLES) -> tuple[Flow, ...]:
        """The flows of a table."""
        return openflow.flows(self.multipart(lambda xid: openflow.flow_stats_request(xid, table_id)).body)

    def modify(self, *mods: FlowMod) -> None:
        """Send FlowMods and wait until they have taken effect."""
        for mod in mods:
            self.send(partial(openflow.flow_mod, mod))
        self.barrier()

    def listen(self, controller_id: int) -> None:
        """Receive packet-ins of this controller id, whole, as NXT_PACKET_IN2."""
        config = openflow.get_config_reply(self.ask(openflow.get_config_request))
        self.send(lambda xid: openflow.set_controller_id(controller_id, xid))
        self.send(openflow.set_packet_in_format)
        self.send(openflow.set_async)
        self.send(lambda xid: openflow.set_config(config.flags, 0xFFFF, xid))
        self.barrier()

    def waiting_packet_ins(self) -> tuple[PacketIn, ...]:
        """The packet-ins sent so far and not yet taken: they come before the reply to a barrier."""
        self.barrier()
        found = [message for message in self._waiting if openflow.is_packet_in(message)]
        return tuple(openflow.packet_in(message, self.dpid, 0.0) for message in found)

    def packet_in(self) -> PacketIn:
        """The next packet-in."""
        return openflow.packet_in(self.receive(openflow.is_packet_in), self.dpid, 0.0)

    def holds_packet_in(self) -> bool:
        """Whether a packet-in has arrived and waits."""
        return any(openflow.is_packet_in(message) for message in self._waiting)
