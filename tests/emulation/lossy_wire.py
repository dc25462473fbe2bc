"""Turns real VFDs into ones whose copies are lost at random on their way to the controller; nothing else is touched."""

import random
from collections import Counter
from pathlib import Path

from openflow_wire import Wire

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message
from vtrace_ovs.instrumentation.probes import APART, UserData
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.topology import BridgeId


class LossyWire(Wire):
    """Loses each packet-in of a bridge with its chance in ``chances``; ``lost`` counts the copies of traced packets."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self.chances: dict[BridgeId, float] = {}
        self.lost: Counter[BridgeId] = Counter()
        self._chance = random.Random()  # noqa: S311 - which copies are lost is no secret
        super().__init__(lab, place, up=self._gets_through)

    def begin(self, seed: int, chances: dict[BridgeId, float]) -> None:
        """Lose other copies from now on, the same ones for the same seed and copies."""
        self.chances, self.lost = chances, Counter()
        self._chance.seed(seed)

    def _gets_through(self, bridge: BridgeId, message: Message) -> bool:
        if not openflow.is_packet_in(message):
            return True
        lost = self._chance.random() < self.chances.get(bridge, 0.0)
        if lost and _of_a_traced_packet(message):
            self.lost[bridge] += 1
        return not lost


def _of_a_traced_packet(message: Message) -> bool:
    """Whether it is a copy of one; others are of neighbour questions, or of packets that are nobody's."""
    userdata = UserData.of(openflow.packet_in(message, 0, 0.0).userdata)
    return userdata is not None and userdata.kind not in APART
