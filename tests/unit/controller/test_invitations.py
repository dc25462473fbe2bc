"""The order that makes a crash harmless: intent, row, work, row gone, intent closed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from vtrace_ovs.controller.invitations import Declined, Invitations
from vtrace_ovs.errors import OvsdbError, StorageError, VtraceError
from vtrace_ovs.model.task import Intent, IntentDraft, IntentKind
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ServiceController

if TYPE_CHECKING:
    from vtrace_ovs.session.boundary import TaskStore

TARGET = "tcp:192.0.2.9:6653"


@dataclass(slots=True)
class Surroundings:
    """A database and OVSDB servers that note in one list what is done to them, in order."""

    dead: set[str] = field(default_factory=set)
    broken: bool = False
    log: list[str] = field(default_factory=list)

    def write_intents(self, drafts: Sequence[IntentDraft], at: float) -> tuple[Intent, ...]:
        if self.broken:
            raise StorageError("the disk is full")
        self.log += (f"intent {draft.kind.value} {draft.target} {draft.detail}" for draft in drafts)
        return tuple(
            Intent(number, draft.task_id, draft.kind, draft.target, draft.ovsdb, draft.detail, at)
            for number, draft in enumerate(drafts, len(self.log))
        )

    def intents_undone(self, intent_ids: Iterable[int], _: float) -> None:
        self.log.append(f"undone {len(tuple(intent_ids))}")

    def attach(self, ovsdb: str, bridges: Sequence[str], target: str) -> None:
        if ovsdb in self.dead:
            raise OvsdbError("no answer")
        self.log.append(f"attach {ovsdb} {','.join(bridges)} {target}")

    def detach(self, ovsdb: str, target: str | None, bridges: Sequence[str] | None = None) -> tuple[str, ...]:
        if ovsdb in self.dead:
            raise OvsdbError("no answer")
        named = "" if bridges is None else f" {','.join(bridges)}"
        self.log.append(f"detach {ovsdb} {target}{named}")
        return ()


def remote(node: str, name: str = "br") -> Bridge:
    return Bridge(BridgeId(node, name), 1, BridgeRole.VSWITCH, (), ServiceController(f"tcp:{node}:6640"))


@dataclass(slots=True)
class Guests:
    """Invitations over such surroundings, and whom they told that somebody does not come."""

    around: Surroundings
    declined: list[Declined] = field(default_factory=list)
    failures: list[VtraceError] = field(default_factory=list)
    invitations: Invitations = field(init=False)

    def __post_init__(self) -> None:
        self.invitations = Invitations(
            cast("TaskStore", self.around), self.around, lambda _: None, self.declined.append, self.failures.append
        )
        self.invitations.start()


@pytest.fixture
def guests() -> Guests:
    return Guests(Surroundings())


def test_an_intent_comes_before_its_row_and_is_closed_after_it(guests: Guests) -> None:
    guests.invitations.want(7, TARGET, [remote("s1"), remote("s1", "br2")])
    guests.invitations.take_back()
    guests.invitations.close()
    kind = IntentKind.CONTROLLER_ROW.value
    assert guests.around.log == [
        f"intent {kind} s1/br {TARGET}",
        f"intent {kind} s1/br2 {TARGET}",
        f"attach tcp:s1:6640 br,br2 {TARGET}",
        f"detach tcp:s1:6640 {TARGET}",
        "undone 2",
    ]


def test_closing_takes_every_row_back(guests: Guests) -> None:
    guests.invitations.want(7, TARGET, [remote("s1")])
    guests.invitations.close()
    assert guests.around.log[-2:] == [f"detach tcp:s1:6640 {TARGET}", "undone 1"]


def test_a_bridge_is_invited_once(guests: Guests) -> None:
    for _ in range(3):
        guests.invitations.want(7, TARGET, [remote("s1")])
    guests.invitations.close()
    assert sum(line.startswith("attach") for line in guests.around.log) == 1


def test_a_server_nobody_needs_any_more_is_let_go(guests: Guests) -> None:
    guests.invitations.want(7, TARGET, [remote("s1"), remote("s2")])
    guests.invitations.want(7, TARGET, [remote("s2")])
    guests.invitations.want(7, TARGET, [remote("s2")])
    guests.invitations.close()
    detached = [line for line in guests.around.log if line.startswith("detach")]
    assert detached == [f"detach tcp:s1:6640 {TARGET}", f"detach tcp:s2:6640 {TARGET}"]


def test_of_two_bridges_of_a_server_one_is_let_go(guests: Guests) -> None:
    guests.invitations.want(1, TARGET, (remote("s1", "a"), remote("s1", "b")))
    guests.invitations.want(1, TARGET, (remote("s1", "b"),))
    guests.invitations.want(1, TARGET, (remote("s1", "a"), remote("s1", "b")))
    guests.invitations.close()
    assert guests.around.log[3:] == [
        f"detach tcp:s1:6640 {TARGET} a",
        "undone 1",
        f"intent controller row s1/a {TARGET}",
        f"attach tcp:s1:6640 a {TARGET}",
        f"detach tcp:s1:6640 {TARGET}",
        "undone 2",
    ]


def test_a_dead_server_declines_for_its_bridges_and_its_intents_stay_open() -> None:
    guests = Guests(Surroundings(dead={"tcp:s1:6640"}))
    guests.invitations.want(7, TARGET, [remote("s1"), remote("s2")])
    guests.invitations.close()
    assert guests.declined == [Declined(BridgeId("s1", "br"), "s1/br: no answer")]
    assert guests.around.log[-2:] == [f"detach tcp:s2:6640 {TARGET}", "undone 1"]


def test_one_who_does_not_come_is_asked_after(guests: Guests) -> None:
    guests.invitations.want(7, TARGET, [remote("s1")])
    guests.invitations.overdue(remote("s1"))
    guests.invitations.close()
    (declined,) = guests.declined
    assert declined.reason.startswith(f"s1/br: it does not dial {TARGET}; check")


def test_without_a_database_there_is_no_row() -> None:
    guests = Guests(Surroundings(broken=True))
    guests.invitations.want(7, TARGET, [remote("s1")])
    guests.invitations.close()
    assert [str(failure) for failure in guests.failures] == ["the disk is full"]
    assert guests.around.log == []
