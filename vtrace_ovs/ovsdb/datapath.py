"""Turns a question about a server's datapath into which of its flows contradict the flow tables. Nothing is written.

``dpctl/dump-flows`` says what the datapath does, ``ofproto/trace`` what the tables say of the same packets: as the
revalidators of ovs-vswitchd do it, which remember what they installed and never read a flow's actions back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import time

from vtrace_ovs.codecs.datapath_flows import (
    DatapathFlow,
    datapath_flows,
    inner_filter,
    left_out,
    may_meet,
    outer_filter,
    traced_actions,
)
from vtrace_ovs.codecs.datapath_text import megaflows_and_upcalls
from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.model.datapath import Contradiction, DatapathQuestion, DatapathReading
from vtrace_ovs.model.topology import Bridge, ManagementSocket
from vtrace_ovs.ovsdb.revalidation import wait_rounds
from vtrace_ovs.ovsdb.unixctl import ControlSocket, control_socket

MOST_MEGAFLOWS = 20_000
"""Larger datapaths are not read: ovs-vswitchd does nothing else meanwhile."""
MOST_COMPARED = 64
ROUNDS = 2
"""A round of the revalidators may have begun before a table changed; after another, the datapath follows it."""


RECENT = 5.0
"""What was found twice, and is found again so soon (seconds), has been there all the time."""

_Found = tuple[Path, str, str, str | None]
"""What is the same when a contradiction is found again: the server, the flow, what it does and what it should."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """A flow and what the tables have it do; ``told`` None where they cannot be asked."""

    flow: DatapathFlow
    told: str | None
    outer: bool

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the datapath did not do for packets it met."""
        met = self.told is not None and self.flow.used is not None
        return left_out(self.flow.actions, self.told or "") if met else ()


class DatapathAudit:
    """Holds datapaths against their tables, any of them at any time from any thread.

    ``timeout`` (seconds) bounds each answer, ``round_timeout`` each round of the revalidators.
    """

    def __init__(self, timeout: float, round_timeout: float) -> None:
        self._timeout = timeout
        self._round_timeout = round_timeout
        self._found_at: dict[_Found, float] = {}

    def read(self, bridge: Bridge, question: DatapathQuestion) -> DatapathReading:
        """What the datapath of this bridge's server does against its tables. Never raises."""
        unread = DatapathReading(question, time())
        if not isinstance(bridge.attachment, ManagementSocket):
            return unread
        rundir = Path(bridge.attachment.path).parent
        try:
            compared = _compare(rundir, question, self._timeout)
            found = self._confirmed(bridge, rundir, question, compared)
        except (InfrastructureError, ValueError):
            return unread
        in_line = sum(one.told is not None and not one.left_out for one in compared)
        unknown = len(compared) - in_line - len(found)  # what was brought in line meanwhile may have taken packets
        return replace(unread, compared=in_line + len(found), unknown=max(0, unknown), contradictions=found)

    def _confirmed(
        self, bridge: Bridge, rundir: Path, question: DatapathQuestion, compared: tuple[_Compared, ...]
    ) -> tuple[Contradiction, ...]:
        """What contradicts the tables still after ovs-vswitchd had the time to bring it in line."""
        first = _contradicting(rundir, compared)
        if any(time() - self._found_at.get(one, 0.0) > RECENT for one in first):
            if not wait_rounds(bridge, ROUNDS, _nothing, timeout=self._round_timeout):
                raise InfrastructureError(f"{rundir}: the revalidators did not come round")
            again = _contradicting(rundir, _compare(rundir, question, self._timeout))
            first = {one: contradiction for one, contradiction in again.items() if one in first}
        self._found_at.update(dict.fromkeys(first, time()))
        return tuple(first.values())


def _contradicting(rundir: Path, compared: tuple[_Compared, ...]) -> dict[_Found, Contradiction]:
    return {
        (rundir, one.flow.ufid, one.flow.actions, one.told): Contradiction(
            one.flow.megaflow,
            one.flow.actions,
            one.told or "",
            one.left_out,
            time() - (one.flow.used or 0.0),
            one.outer,
        )
        for one in compared
        if one.left_out
    }


def _nothing() -> None:
    """A round begins by itself twice a second."""


def _compare(rundir: Path, question: DatapathQuestion, timeout: float) -> tuple[_Compared, ...]:
    with control_socket(rundir, timeout) as control:
        (show,) = control.run(("dpctl/show",))
        megaflows, _ = megaflows_and_upcalls(show)
        if megaflows is None or megaflows > MOST_MEGAFLOWS:
            raise InfrastructureError(f"{rundir}: {megaflows} megaflows are too many to be read in passing")
        flows = tuple(_flows(control, question))
    if len(flows) > MOST_COMPARED:
        raise InfrastructureError(f"{rundir}: {len(flows)} megaflows are too many to be compared")
    compared = (_Compared(flow, _told(rundir, flow, timeout), outer) for flow, outer in flows)
    return tuple(one for one in compared if not one.outer or one.told is None or "tnl_pop(" in one.told)


def _flows(control: ControlSocket, question: DatapathQuestion) -> Iterator[tuple[DatapathFlow, bool]]:
    """The flows in question, each with whether it is of the packets around those asked for."""
    for flow in _dump(control, inner_filter(question)):
        if flow.tunnelled == (question.tunnel is not None) and may_meet(flow, question):
            yield flow, False
    around = None if question.tunnel is None else outer_filter(question.tunnel)
    for flow in () if around is None else _dump(control, around):
        if not flow.tunnelled:
            yield flow, True


def _dump(control: ControlSocket, wanted: str) -> tuple[DatapathFlow, ...]:
    (dump,) = control.run(("dpctl/dump-flows", "-m", "--no-names", f"filter={wanted}"))
    return datapath_flows(dump)


def _told(rundir: Path, flow: DatapathFlow, timeout: float) -> str | None:
    """On a connection of its own: one that refuses is of no use any more."""
    try:
        with control_socket(rundir, timeout) as control:
            (answer,) = control.run(("ofproto/trace", flow.key))
    except InfrastructureError:
        return None
    return traced_actions(answer)
