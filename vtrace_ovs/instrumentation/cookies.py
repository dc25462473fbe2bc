"""Turns what one of our flows is for into its 64-bit cookie, and back: product, generation, kind, slot."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

PRODUCT = 0x5654  # "VT"
PRODUCT_SHIFT = 48
GENERATION_SHIFT = 40
KIND_SHIFT = 32
SOURCE_BIT = 0x80
SLOT_MASK = 0xFFFF

PRODUCT_MASK = 0xFFFF << PRODUCT_SHIFT
"""Every delete carries this mask: without one, OpenFlow 1.3 ignores the cookie and would hit production flows."""


class CookieKind(Enum):
    """What a flow of ours does. Sources have the highest bit set, so that one masked delete disarms them all."""

    MARK = 0x01
    CLASSIFY = 0x02
    CLONE = 0x03
    MISS = 0x04
    LEAVE = 0x05
    TURN = 0x06
    ASKED = 0x07
    ENTER = 0x08
    FRAGMENT = 0x09
    TALLY = 0x0A
    FOREIGN = 0x0B
    RESTORE = 0x0C
    COLOR = 0x81
    UNCOLORED = 0x82

    @property
    def is_source(self) -> bool:
        """Whether flows of this kind make packets traced."""
        return bool(self.value & SOURCE_BIT)


_KINDS = {kind.value: kind for kind in CookieKind}
SHARED = frozenset(
    {
        CookieKind.MARK,
        CookieKind.CLONE,
        CookieKind.MISS,
        CookieKind.TURN,
        CookieKind.TALLY,
        CookieKind.FOREIGN,
        CookieKind.RESTORE,
    }
)
"""Flows that serve every task."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie of one of our flows. ``generation`` (0-255) tells controller runs apart; ``slot`` is the task's."""

    generation: int
    kind: CookieKind
    slot: int = 0

    @property
    def value(self) -> int:
        """The 64 bits."""
        return (
            (PRODUCT << PRODUCT_SHIFT)
            | (self.generation << GENERATION_SHIFT)
            | (self.kind.value << KIND_SHIFT)
            | self.slot
        )

    @staticmethod
    @lru_cache(maxsize=4096)  # many flows have few cookies
    def of(value: int) -> "Cookie | None":
        """The cookie in these 64 bits, or None when the flow is not ours (or of a kind this version lacks)."""
        if not is_ours(value):
            return None
        kind = _KINDS.get(value >> KIND_SHIFT & 0xFF)
        return None if kind is None else Cookie((value >> GENERATION_SHIFT) & 0xFF, kind, value & SLOT_MASK)


def is_ours(value: int) -> bool:
    """Whether a flow with this cookie was installed by this tool, in whatever run."""
    return value & PRODUCT_MASK == PRODUCT << PRODUCT_SHIFT


def kind_of(value: int) -> CookieKind | None:
    """What a flow with this cookie does; None when it is not ours, or of a kind this version lacks."""
    cookie = Cookie.of(value)
    return None if cookie is None else cookie.kind


def colors(value: int) -> bool:
    """Whether a flow with this cookie is a source of this tool."""
    return is_ours(value) and bool(value >> KIND_SHIFT & SOURCE_BIT)


def marks(value: int) -> bool:
    """Whether packets get a mark by a flow with this cookie: by a source, or as they leave."""
    return colors(value) or kind_of(value) is CookieKind.LEAVE


def only_slot(value: int) -> int | None:
    """The slot of the only task a flow of ours is for; None where it serves all tasks, or is not ours."""
    cookie = Cookie.of(value)
    return None if cookie is None or cookie.kind in SHARED else cookie.slot


def all_of_ours() -> tuple[int, int]:
    """Cookie and mask that select every flow of ours."""
    return PRODUCT << PRODUCT_SHIFT, PRODUCT_MASK


def all_sources() -> tuple[int, int]:
    """Cookie and mask that select the flows that color, and only those."""
    bit = SOURCE_BIT << KIND_SHIFT
    return (PRODUCT << PRODUCT_SHIFT) | bit, PRODUCT_MASK | bit


def all_outlets() -> tuple[int, int]:
    """Cookie and mask that select the flows without which no packet leaves with a mark, and only those."""
    return (PRODUCT << PRODUCT_SHIFT) | (CookieKind.LEAVE.value << KIND_SHIFT), PRODUCT_MASK | (0xFF << KIND_SHIFT)


def sources_of(slot: int) -> tuple[int, int]:
    """Cookie and mask that select the flows that color for one task."""
    cookie, mask = all_sources()
    return cookie | slot, mask | SLOT_MASK
