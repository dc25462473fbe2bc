"""Turns real VFDs into ones whose copies are lost at random on their way to the controller; nothing else is touched."""

import random
from collections import Counter
from pathlib import Path

from openflow_wire import Wire

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.topology import BridgeId


class LossyWire(Wire):
    """Loses each packet-in of a bridge with its chance in ``chances`` (0 to 1). ``lost`` and ``came`` count them."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self.chances: dict[BridgeId, float] = {}
        self.lost: Counter[BridgeId] = Counter()
        self.came: Counter[BridgeId] = Counter()
        self._chance = random.Random()  # noqa: S311 - which copies are lost is no secret
        super().__init__(lab, place, up=self._gets_through)

    def begin(self, seed: int, chances: dict[BridgeId, float]) -> None:
        """Lose other copies from now on, the same ones for the same seed and copies."""
        self.chances, self.lost, self.came = chances, Counter(), Counter()
        self._chance.seed(seed)

    def _gets_through(self, bridge: BridgeId, message: Message) -> bool:
        if not openflow.is_packet_in(message):
            return True
        lost = self._chance.random() < self.chances.get(bridge, 0.0)
        (self.lost if lost else self.came)[bridge] += 1
        return not lost
