"""Which packets a flow entry accepts: field values under masks."""

from collections.abc import Mapping
from dataclasses import dataclass

from vtrace_ovs.model.oxm import Field


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


@dataclass(frozen=True, slots=True)
class Match:
    """A conjunction of masked fields, at most one per field, ordered by field name. Empty matches everything."""

    fields: tuple[MaskedField, ...] = ()

    @staticmethod
    def of(*fields: MaskedField) -> "Match":
        """A match of these fields in canonical order. Later entries for the same field replace earlier ones."""
        by_name = {masked.field.name: masked for masked in fields}
        return Match(tuple(by_name[name] for name in sorted(by_name)))

    def get(self, field: Field) -> MaskedField | None:
        """The masked value of one field, or None when the field is wildcarded."""
        for masked in self.fields:
            if masked.field is field:
                return masked
        return None

    def with_fields(self, *fields: MaskedField) -> "Match":
        """This match with some fields added or replaced."""
        return Match.of(*self.fields, *fields)

    def accepts(self, values: Mapping[Field, int]) -> bool:
        """Whether a packet with these field values matches. A field absent from ``values`` counts as zero."""
        return all(values.get(masked.field, 0) & masked.mask == masked.value for masked in self.fields)

    def overlaps(self, other: "Match") -> bool:
        """Whether some packet could match both (prerequisites aside)."""
        for mine in self.fields:
            theirs = other.get(mine.field)
            if theirs is not None and (mine.value ^ theirs.value) & mine.mask & theirs.mask:
                return False
        return True
