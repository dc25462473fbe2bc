"""Turns matches and actions into what is known of the packets that got so far: some bits of some fields.

A look stands for all packets that have these bits; the fewer bits, the more packets. Fields that overlap others
(``xreg0``, ``vlan_vid``) are taken apart, so that every bit is known or not in one place only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import Field, SubField

Bits = Mapping[Field, MaskedField]


@dataclass(frozen=True, slots=True)
class Look:
    """Packets of which these bits are known. The mapping is never changed."""

    bits: Bits

    @staticmethod
    def of(*fields: MaskedField) -> "Look":
        """What these fields tell."""
        return Look({masked.field: masked for masked in Match.of(*fields).taken_apart().fields})

    def fits(self, apart: Match) -> bool:
        """Whether some of these packets match, of a match that is taken apart."""
        for wanted in apart.fields:
            mine = self.bits.get(wanted.field)
            if mine is not None and (mine.value ^ wanted.value) & mine.mask & wanted.mask:
                return False
        return True

    def surely_fits(self, apart: Match) -> bool:
        """Whether all of these packets match, given that some do."""
        return all(
            (mine := self.bits.get(wanted.field)) is not None and not wanted.mask & ~mine.mask
            for wanted in apart.fields
        )

    def narrowed(self, apart: Match) -> "Look":
        """Those of these packets that match, given that some do."""
        return self._with(apart.fields) if apart.fields else self

    def written(self, field: Field, value: int, mask: int) -> "Look":
        """These packets once bits of a field were written."""
        changes = Match.of(MaskedField(field, value & mask, mask)).taken_apart()
        return self._with(changes.fields, over=True)

    def copied(self, source: SubField, destination: SubField) -> "Look":
        """These packets once bits were copied: as far as those are not known, neither are the copies."""
        value, mask = self.part(source)
        left = self.without_part(destination)
        return left.written(destination.field, value << destination.offset, mask << destination.offset)

    def part(self, part: SubField) -> tuple[int, int]:
        """Value and mask of what is known of a part of a field, lowest bit first."""
        known_value = known_mask = 0
        for apart in Match.of(MaskedField(part.field, 0, part.mask)).taken_apart().fields:
            if apart.field is not part.field:
                return 0, 0
            mine = self.bits.get(apart.field)
            if mine is not None:
                known_value, known_mask = mine.value & part.mask, mine.mask & part.mask
        return known_value >> part.offset, known_mask >> part.offset

    def whole(self, field: Field) -> int | None:
        """The value of a field; None unless every bit of it is known."""
        mine = self.bits.get(field)
        return mine.value if mine is not None and mine.exact else None

    def without(self, fields: Iterable[Field]) -> "Look":
        """These packets and others: nothing is known of these fields any more."""
        gone = frozenset(fields)
        return self if gone.isdisjoint(self.bits) else Look({f: m for f, m in self.bits.items() if f not in gone})

    def without_part(self, part: SubField) -> "Look":
        """These packets and others: nothing is known of this part of a field any more."""
        bits = dict(self.bits)
        for apart in Match.of(MaskedField(part.field, 0, part.mask)).taken_apart().fields:
            mine = bits.pop(apart.field, None)
            if mine is not None and mine.mask & ~apart.mask:
                left = mine.mask & ~apart.mask
                bits[apart.field] = MaskedField(apart.field, mine.value & left, left)
        return Look(bits)

    def only(self, fields: Iterable[Field]) -> "Look":
        """These packets and others: only of these fields anything is known."""
        return Look({field: self.bits[field] for field in fields if field in self.bits})

    def covers(self, other: "Look") -> bool:
        """Whether the other's packets are all among these."""
        for mine in self.bits.values():
            theirs = other.bits.get(mine.field)
            if theirs is None or mine.mask & ~theirs.mask or (mine.value ^ theirs.value) & mine.mask:
                return False
        return True

    def joined(self, other: "Look") -> "Look":
        """The packets of both, and others: of fields that differ nothing is known, so that joining soon ends."""
        common: dict[Field, MaskedField] = {}
        for field, mine in self.bits.items():
            theirs = other.bits.get(field)
            mask = 0 if theirs is None else mine.mask & theirs.mask
            if theirs is not None and mask and not (mine.value ^ theirs.value) & mask:
                common[field] = MaskedField(field, mine.value & mask, mask)
        return Look(common)

    def _with(self, fields: Iterable[MaskedField], *, over: bool = False) -> "Look":
        bits = dict(self.bits)
        for fresh in fields:
            mine = bits.get(fresh.field)
            if mine is None:
                bits[fresh.field] = fresh
            else:
                kept = mine.value & ~fresh.mask if over else mine.value
                bits[fresh.field] = MaskedField(fresh.field, kept | fresh.value, mine.mask | fresh.mask)
        return Look(bits)


NOTHING_KNOWN = Look({})
