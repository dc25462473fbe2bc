"""Turns a place in the tables into a probe with a stable id, and the probe into the action that logs there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2s
from itertools import count
from struct import Struct

from vtrace_ovs.instrumentation.plan import PrivateMeters, Probe, ProbeKind, Settings
from vtrace_ovs.instrumentation.walk import REMEMBERED
from vtrace_ovs.model.actions import Action, Controller
from vtrace_ovs.model.flow import Flow, FlowKey
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import PortKind

Log = tuple[Action, ...]
"""What is done at a place for us: at most one action."""

USERDATA_VERSION = 1
REASON_ACTION = 1
_WIRE = Struct("!BBIH")

LOCATIONS = {
    ProbeKind.COLORED: Loc.IN,
    ProbeKind.ARRIVED: Loc.IN,
    ProbeKind.UNCOLORED: Loc.IN,
    ProbeKind.FOREIGN: Loc.IN,
    ProbeKind.ASKED: Loc.IN,
    ProbeKind.FRAGMENT: Loc.IN,
    ProbeKind.OUT: Loc.OUT,
    ProbeKind.ERROR: Loc.ERROR,
    ProbeKind.MISS: Loc.ERROR,
    ProbeKind.ASIDE: Loc.ERROR,
}
_KINDS = {kind.value: kind for kind in ProbeKind}
APART = frozenset({ProbeKind.UNCOLORED, ProbeKind.FOREIGN, ProbeKind.ASKED, ProbeKind.FRAGMENT})


@dataclass(frozen=True, slots=True)
class UserData:
    """The 8 bytes each copy carries: version, kind, probe id and the meter it passed."""

    kind: ProbeKind
    probe_id: int
    meter_id: int

    def pack(self) -> bytes:
        """The wire form."""
        return _WIRE.pack(USERDATA_VERSION, self.kind.value, self.probe_id, self.meter_id)

    @staticmethod
    @lru_cache(maxsize=4096)  # a few probes send many copies
    def of(userdata: bytes) -> "UserData | None":
        """What these bytes say, or None when they are not ours or of another version."""
        if len(userdata) != _WIRE.size:
            return None
        version, kind, probe_id, meter_id = _WIRE.unpack(userdata)
        known = _KINDS.get(kind)
        if version != USERDATA_VERSION or known is None:
            return None
        return UserData(known, probe_id, meter_id)


@dataclass(frozen=True, slots=True)
class Egress:
    """Where an output leads, as far as its flow says: nothing at all for NORMAL, groups and ports in registers."""

    out_port: int | None = None
    port_kind: PortKind | None = None
    hairpin: bool = False


NO_EGRESS = Egress()


@dataclass(slots=True)
class ProbeBook:
    """Collects the probes of one bridge while it is planned, and makes their log actions.

    Where packets are counted there is no copy: ``ends`` are what is done instead where a packet ends for this VFD.
    """

    settings: Settings
    meters: PrivateMeters
    ends: Mapping[ProbeKind, Action] | None = None
    _probes: dict[int, Probe] = field(default_factory=dict)

    def arrival(self, kind: ProbeKind, table_id: int, in_port: int | None) -> Log:
        """Log ``in`` at a port (None: wherever it came in)."""
        return self._log(kind, table_id, in_port)

    def outlet(self, flow: Flow, position: int, egress: Egress) -> Log:
        """Log ``out`` before the action at ``position`` of a production flow."""
        place = position, egress.out_port, int(egress.hairpin)
        return self._log(ProbeKind.OUT, flow.table_id, *place, flow=flow, egress=egress)

    def dead_end(self, flow: Flow, *, conclusive: bool) -> Log:
        """Log ``error`` in a production flow that lets no packet out; ``conclusive``: nothing after it can either."""
        return self._log(ProbeKind.ERROR if conclusive else ProbeKind.ASIDE, flow.table_id, flow=flow)

    def miss(self, table_id: int) -> Log:
        """Log ``error`` where nothing matches."""
        return self._log(ProbeKind.MISS, table_id, table_id)

    def all(self) -> tuple[Probe, ...]:
        """Every probe so far, in order of id."""
        return tuple(self._probes[probe_id] for probe_id in sorted(self._probes))

    def _log(
        self, kind: ProbeKind, table_id: int, *place: int | None, flow: Flow | None = None, egress: Egress = NO_EGRESS
    ) -> Log:
        """Log there. The probe has the same id in every plan, unless another place has it."""
        key, cookie = (None, None) if flow is None else (flow.key, flow.cookie)
        out = egress.out_port, egress.port_kind, egress.hairpin
        identity = place if key is None else (key, *place)
        for again in count():
            probe_id = _digest(kind, table_id, *identity, again)
            probe = Probe(probe_id, kind, LOCATIONS[kind], table_id, key, cookie, *out)
            if self._probes.setdefault(probe_id, probe) == probe:
                break
        if self.ends is not None:
            return (self.ends[probe.kind],) if probe.kind in self.ends else ()
        meter_id = self.meters.apart if probe.kind in APART else self.meters.traced
        copy = Controller(
            self.settings.controller_id,
            self.settings.max_len,
            REASON_ACTION,
            UserData(probe.kind, probe.id, meter_id).pack(),
            pause=False,
            meter_id=meter_id,
        )
        return (copy,)


def _digest(kind: ProbeKind, *place: FlowKey | int | None) -> int:
    words = [str(kind.value), *(_words(part) if isinstance(part, FlowKey) else str(part) for part in place)]
    return int.from_bytes(blake2s("|".join(words).encode(), digest_size=4).digest(), "big")


@lru_cache(maxsize=REMEMBERED)
def _words(key: FlowKey) -> str:
    fields = (f"{masked.field.name}={masked.value:x}/{masked.mask:x}" for masked in key.match.fields)
    return "|".join((str(key.table_id), str(key.priority), *fields))
