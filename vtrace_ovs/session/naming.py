"""Turns culprits whose cookies a database can name into questions to it, and its answers into their profiles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vtrace_ovs.model.profile import NamedFlow, PipelineProfile
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Verdict
from vtrace_ovs.session.commands import NameFlows


@dataclass(slots=True)
class Naming:
    """What is known of cookies, and what was asked. A cookie is asked for again only after ``patience`` seconds."""

    patience: float
    known: dict[int, NamedFlow] = field(default_factory=dict)
    _wanted: set[int] = field(default_factory=set)
    _asked: dict[int, float] = field(default_factory=dict)
    _awaited: set[int] = field(default_factory=set)

    def notice(self, verdict: Verdict, profiles: Mapping[BridgeId, PipelineProfile]) -> None:
        """A verdict blames a flow: want its name, where somebody knows such names."""
        culprit = verdict.culprit
        if culprit is None or culprit.bridge is None or not culprit.cookie or culprit.cookie in self.known:
            return
        profile = profiles.get(culprit.bridge)
        if profile is not None and profile.cookies is not None:
            self._wanted.add(culprit.cookie)

    def ask(self, at: float) -> tuple[NameFlows, ...]:
        """Ask for what is wanted and was not asked for of late."""
        long_ago = at - self.patience
        due = tuple(sorted(cookie for cookie in self._wanted if self._asked.get(cookie, long_ago) <= long_ago))
        self._wanted.clear()
        if not due:
            return ()
        self._asked.update(dict.fromkeys(due, at))
        self._awaited.update(due)
        return (NameFlows(due),)

    def take(self, cookies: tuple[int, ...], named: tuple[NamedFlow, ...]) -> frozenset[int]:
        """An answer came; the cookies that have a name since."""
        self._awaited.difference_update(cookies)
        self.known.update({each.cookie: each for each in named})
        return frozenset(each.cookie for each in named)

    def awaits(self, at: float) -> bool:
        """Whether an answer is still worth waiting for."""
        return any(at < self._asked[cookie] + self.patience for cookie in self._awaited)

    def told(self, profile: PipelineProfile) -> PipelineProfile:
        """The profile, with everything that is known of cookies."""
        if profile.cookies is None or not self.known:
            return profile
        return replace(profile, named=tuple(self.known.values()))
