"""Which packets a flow entry accepts: field values under masks."""

from collections.abc import Mapping
from dataclasses import dataclass

from vtrace_ovs.model.construction import HashedOnce, hashed_once, quickly_built
from vtrace_ovs.model.oxm import OVERLAPPING, Field, components


@quickly_built
@dataclass(frozen=True, slots=True)
class MaskedField:
    """``field & mask == value``. Value and mask are unsigned integers of the field's width, value ⊆ mask."""

    field: Field
    value: int
    mask: int

    @property
    def exact(self) -> bool:
        """True when every bit of the field is matched."""
        return self.mask == self.field.full_mask


@hashed_once
@dataclass(frozen=True, slots=True)
class Match(HashedOnce):
    """A conjunction of masked fields, at most one per field, ordered by field name. Empty matches everything."""

    fields: tuple[MaskedField, ...] = ()

    @staticmethod
    def of(*fields: MaskedField) -> "Match":
        """A match of these fields in canonical order. Later entries for the same field replace earlier ones."""
        by_name = {masked.field.name: masked for masked in fields}
        return Match(tuple([by_name[name] for name in sorted(by_name)]))

    def get(self, field: Field) -> MaskedField | None:
        """The masked value of one field, or None when the field is wildcarded."""
        for masked in self.fields:
            if masked.field is field:
                return masked
        return None

    def with_fields(self, *fields: MaskedField) -> "Match":
        """This match with some fields added or replaced."""
        return Match.of(*self.fields, *fields)

    def taken_apart(self) -> "Match":
        """The same match with each overlapping field (``xreg0``, ``vlan_vid``) as bits of the fields it is made of."""
        if OVERLAPPING.isdisjoint([masked.field for masked in self.fields]):
            return self
        merged: dict[Field, MaskedField] = {}
        for whole in self.fields:
            for part in _parts(whole):
                old = merged.get(part.field, MaskedField(part.field, 0, 0))
                merged[part.field] = MaskedField(part.field, part.value | old.value, part.mask | old.mask)
        return Match.of(*merged.values())

    def accepts(self, values: Mapping[Field, int]) -> bool:
        """Whether a packet with these field values matches. A field absent from ``values`` counts as zero."""
        return all(values.get(masked.field, 0) & masked.mask == masked.value for masked in self.fields)

    def meet(self, other: "Match") -> "Match | None":
        """What both accept; None where no packet can match both (prerequisites aside)."""
        if not other.fields:
            return self
        if not self.overlaps(other):
            return None
        met = {masked.field: masked for masked in self.fields}
        for theirs in other.fields:
            mine = met.get(theirs.field, theirs)
            met[theirs.field] = MaskedField(theirs.field, mine.value | theirs.value, mine.mask | theirs.mask)
        return Match.of(*met.values())

    def overlaps(self, other: "Match") -> bool:
        """Whether some packet could match both (prerequisites aside)."""
        for mine in self.fields:
            theirs = other.get(mine.field)
            if theirs is not None and (mine.value ^ theirs.value) & mine.mask & theirs.mask:
                return False
        return True


def _parts(whole: MaskedField) -> tuple[MaskedField, ...]:
    overlap = components(whole.field)
    if not overlap:
        return (whole,)
    found = []
    for low, target in overlap:
        mask = whole.mask >> low & ((1 << target.width) - 1)
        if mask:
            value = whole.value >> low & mask
            found.append(MaskedField(target.field, value << target.offset, mask << target.offset))
    return tuple(found)
