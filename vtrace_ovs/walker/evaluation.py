"""Turns one packet at one bridge into what the bridge does with it: the lookups, the outputs, and what stopped it.

Source: ``ofproto/ofproto-dpif-xlate.c`` of Open vSwitch 3.1; every rule here is held against ``ofproto/trace`` by
``tests/functional/test_walker_pipelines.py`` and ``test_walker_differential.py``.
"""

from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.entry import Entry, Lookup, Operation
from vtrace_ovs.walker.execution import translate
from vtrace_ovs.walker.guide import Guide
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.translation import Translation
from vtrace_ovs.walker.visit import Emission, Fork, Stop, Visit

MAX_PASSES = 256


def evaluate(
    view: BridgeView,
    state: PacketState,
    length: int,
    ct_state: int | None,
    ct_mark: int | None = None,
    guide: Guide | None = None,
) -> Visit:
    """Translate a packet at table 0 of a bridge. ``state`` is consumed.

    ``length`` is the frame's length in bytes; ``ct_state`` is what connection tracking says of the packet, None when
    nobody knows: then a packet that would recirculate through ``ct`` stops there, undecided. ``ct_mark`` is the mark of
    its connection, if that is not a new one, in every zone; None when nobody knows. ``guide`` says what hashes choose
    and ``nat`` writes where the tables leave it open.
    """
    forks = [Fork(0, state)]
    emissions: list[Emission] = []
    stops: list[Stop] = []
    searches: list[Lookup] = []
    passes = 0
    while forks and passes < MAX_PASSES:
        passes += 1
        fork = forks.pop(0)
        before = len(fork.found)
        run = Translation(view, fork, length, ct_state, ct_mark, guide)
        run.enter(fork.table_id)
        translate(run)
        if not run.ended and not run.emissions and not run.forks:
            _explain_silence(run)
        searches += run.found[before:]
        emissions += run.emissions
        stops += run.stops
        forks += run.forks
    stops += (_given_up(fork) for fork in forks)
    return Visit(tuple(emissions), tuple(stops), tuple(searches))


def _explain_silence(run: Translation) -> None:
    last = run.found[-1]
    if run.punted:
        run.stop(None, detail="the packet went to a controller only, and what comes back is not in the tables")
    elif last.entry is not None:
        run.stop(_shape_of(last.entry, last.program))


def _given_up(fork: Fork) -> Stop:
    detail = f"more than {MAX_PASSES} recirculated copies"
    at = len(fork.found) - 1
    return Stop(None, fork.state, tuple(fork.found), at, fork.keys[at], tuple(fork.meters), detail=detail)


def _shape_of(entry: Entry, program: tuple[Operation, ...]) -> DropShape:
    if program:
        return DropShape.NO_OUTPUT
    if entry.flow.priority == 0 and not entry.flow.match.fields:
        return DropShape.TABLE_MISS_FLOW
    return DropShape.EXPLICIT_DROP
