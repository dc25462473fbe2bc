"""Turns DSCP code points nobody uses into marks: one series of codes per DSCP value tenants send (design D2).

``code(k, D)`` is what a packet that the tenant sent with DSCP ``D`` carries from its k-th VFD to the next. Each code
has one meaning, so the VFD that receives it knows both the hop index and what to restore. Where packets are counted
nobody asks for the hop: there is one code per color and DSCP value (RFC 9341, alternate marking), kept all the way.

All 64 values are the tenant's to use, so no code point is safe for good: a packet of a traced five-tuple that the
tenant sends with one of our codes is taken for marked by the next VFD. Its first copy (``ProbeKind.UNCOLORED``) says
so; plan again ``without`` that code.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.oxm import IP_DSCP, components

POOL_2 = tuple(range(3, 64, 4))
"""RFC 2474 §6: code points xxxx11 are for experimental and local use."""

MARKS_PER_SERIES = 5
MAX_DSCP = 63
COLORS = 2
MOST_COUNTED = 7
"""So many DSCP values are counted at most: two codes of pool 2 are left for where a tenant wants one back."""

USUAL = (0, 46, 34, 26, 18, 10, 8)
"""Best effort, EF, AF41, AF31, AF21, AF11, CS1 (RFC 4594 §2.3); what VMs send if anything (ssh: AF21, CS1)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The meaning of one code point: it was put on by the ``hop``-th VFD; the tenant's own DSCP is ``dscp``."""

    code: int
    hop: int
    dscp: int
    color: int = 0


@dataclass(frozen=True, slots=True)
class MarkPlan:
    """Which code points mean what, on every bridge alike. ``series`` are the DSCP values that can be traced.

    ``colors`` is 1 where packets are logged, 2 where they are counted by intervals. ``length`` is how many VFDs put a
    mark of their own on a packet; where packets are counted, those that follow keep it.
    """

    codes: tuple[int, ...]
    series: tuple[int, ...] = (0,)
    length: int = MARKS_PER_SERIES
    colors: int = 1

    @staticmethod
    def of(codes: Iterable[int] = POOL_2, in_use: Iterable[int] = (), length: int = MARKS_PER_SERIES) -> "MarkPlan":
        """A plan with the series for DSCP 0, leaving out the code points ``in_use``.

        Raises RefusedError when fewer than ``length`` code points remain.
        """
        return MarkPlan(_unused(codes, in_use, length), (0,), length)

    @staticmethod
    def counting(codes: Iterable[int] = POOL_2, in_use: Iterable[int] = ()) -> "MarkPlan":
        """A plan in two colors, for DSCP 0, those ``in_use`` and the usual ones, as far as code points go.

        Raises RefusedError when fewer than two code points remain.
        """
        taken = frozenset(in_use)
        free = _unused(codes, taken, COLORS)
        sent = (dscp for dscp in (0, *sorted(taken), *USUAL) if dscp not in free)
        room = min(len(free) // COLORS, MOST_COUNTED)
        return MarkPlan(free, tuple(dict.fromkeys(sent))[:room], 1, COLORS)

    @property
    def used(self) -> int:
        """How many of the code points have a meaning."""
        return len(self.series) * self.colors * self.length

    def with_series(self, dscp: int) -> "MarkPlan | None":
        """This plan with packets of DSCP ``dscp`` traceable too, or None when the code points are exhausted.

        Also None for a DSCP that is itself one of our marks: on the wire it could not be told from one.
        """
        if dscp in self.series:
            return self
        longer = replace(self, series=(*self.series, dscp))
        if longer.used > len(self.codes) or dscp in {mark.code for mark in longer.marks()}:
            return None
        return longer

    def without(self, code: int) -> "MarkPlan | None":
        """This plan with an unused code point in place of one that a tenant turned out to send itself.

        Every other code keeps its meaning. None when no code point is left to replace it.
        """
        if code not in self.codes[: self.used]:
            return replace(self, codes=tuple(entry for entry in self.codes if entry != code))
        if len(self.codes) == self.used:
            return None
        *rest, spare = self.codes
        return replace(self, codes=tuple(spare if entry == code else entry for entry in rest))

    def code(self, hop: int, dscp: int, color: int = 0) -> int:
        """What the ``hop``-th VFD (from 1) sends a packet on with; the packet's own DSCP when no code is left."""
        hop = min(hop, self.length) if self.colors > 1 else hop
        if dscp not in self.series or not 1 <= hop <= self.length:
            return dscp
        return self.codes[(self.series.index(dscp) * self.colors + color) * self.length + hop - 1]

    def marks(self) -> tuple[Mark, ...]:
        """Every code point in use, in order of series, color and hop."""
        hops = range(1, self.length + 1)
        whole = product(self.series, range(self.colors), hops)
        return tuple(Mark(self.code(hop, dscp, color), hop, dscp, color) for dscp, color, hop in whole)

    def mark(self, code: int) -> Mark | None:
        """The meaning of a code point, or None when it is not a mark."""
        return next((mark for mark in self.marks() if mark.code == code), None)


def _unused(codes: Iterable[int], in_use: Iterable[int], needed: int) -> tuple[int, ...]:
    taken = frozenset(in_use)
    free = tuple(code for code in dict.fromkeys(codes) if code not in taken and 0 < code <= MAX_DSCP)
    if len(free) < needed:
        raise RefusedError(
            f"only {len(free)} of the configured DSCP code points are unused on these bridges, {needed} needed; "
            "configure other code points"
        )
    return free


def code_points_in_use(tables: BridgeTables) -> frozenset[int]:
    """The DSCP values that production flows of a bridge match: its tenants presumably send them (trap T9)."""
    used: set[int] = set()
    for flow in tables.flows:
        for masked in flow.match.fields:
            if masked.field is IP_DSCP:
                used.add(masked.value)
            elif any(part.field is IP_DSCP for _, part in components(masked.field)):
                used.add(masked.value >> 2)
    return frozenset(used)
