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


class CookieSource(Enum):
    """A database that knows what the cookies of a pipeline stand for."""

    OVN_SOUTHBOUND = "ovn-southbound"


@dataclass(frozen=True, slots=True)
class StageRule:
    """Stages of that database whose name contains ``part`` decide what ``stage`` says."""

    part: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class NamedFlow:
    """What that database says of flows with this cookie: the name of their stage, if they have one, and their owner.

    ``rejects``: they have the bridge's controller discard packets and tell the sender so.
    """

    cookie: int
    stage: str | None
    owner: str
    rejects: bool = False


@dataclass(frozen=True, slots=True)
class PipelineProfile:
    """The meaning of one pipeline. The empty profile (``name`` "generic") knows nothing and says so.

    ``cookies`` is who can be asked about cookies, ``stages`` what the stages it names are for (the first rule that fits
    counts), ``named`` what it said.
    """

    name: str
    tables: tuple[TableRole, ...] = ()
    owners: tuple[CookieOwner, ...] = ()
    cookies: CookieSource | None = None
    stages: tuple[StageRule, ...] = ()
    named: tuple[NamedFlow, ...] = ()

    def role(self, table_id: int | None, cookie: int | None) -> TableRole | None:
        """What a flow of a table is for: what is said of its cookie, else of the table."""
        if table_id is None:
            return None
        said = self._named(cookie)
        if said is None or said.stage is None:
            return self.table(table_id)
        stage = next((rule.stage for rule in self.stages if rule.part in said.stage), Stage.OTHER)
        return TableRole(table_id, said.stage, stage)

    def _named(self, cookie: int | None) -> NamedFlow | None:
        return next((said for said in self.named if said.cookie == cookie), None)

    def rejects(self, cookie: int | None) -> bool:
        """Whether flows with this cookie are known to have packets rejected."""
        said = self._named(cookie)
        return said is not None and said.rejects

    def table(self, table_id: int) -> TableRole | None:
        """The role of a table, if the profile names it."""
        return next((role for role in self.tables if role.table_id == table_id), None)

    def owner(self, cookie: int) -> str | None:
        """Who owns flows with this cookie, if the profile or its database says."""
        said = self._named(cookie)
        if said is not None:
            return said.owner
        for entry in self.owners:
            if cookie & entry.mask == entry.value:
                return entry.owner.format(index=cookie & ~entry.mask)
        return None


GENERIC_PROFILE = PipelineProfile("generic")
