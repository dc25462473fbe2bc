"""What a pipeline's tables and cookies mean to its owner (design D8): read from TOML by ``codecs``."""

from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """What a table decides."""

    CLASSIFY = "classify"
    ANTI_SPOOFING = "anti-spoofing"
    SECURITY = "security"
    ROUTING = "routing"
    FORWARDING = "forwarding"
    RATE_LIMIT = "rate-limit"
    OUTPUT = "output"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TableRole:
    """One table of a pipeline."""

    table_id: int
    name: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class CookieOwner:
    """Flows whose ``cookie & mask == value`` belong to ``owner``; ``{index}`` in it is ``cookie & ~mask``."""

    value: int
    mask: int
    owner: str


@dataclass(frozen=True, slots=True)
class PipelineProfile:
    """The meaning of one pipeline. The empty profile (``name`` "generic") knows nothing and says so."""

    name: str
    tables: tuple[TableRole, ...] = ()
    owners: tuple[CookieOwner, ...] = ()

    def table(self, table_id: int) -> TableRole | None:
        """The role of a table, if the profile names it."""
        return next((role for role in self.tables if role.table_id == table_id), None)

    def owner(self, cookie: int) -> str | None:
        """Who owns flows with this cookie, if the profile says."""
        for entry in self.owners:
            if cookie & entry.mask == entry.value:
                return entry.owner.format(index=cookie & ~entry.mask)
        return None


GENERIC_PROFILE = PipelineProfile("generic")
