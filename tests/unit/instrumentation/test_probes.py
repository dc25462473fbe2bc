import pytest

from vtrace_ovs.instrumentation import probes
from vtrace_ovs.instrumentation.plan import PrivateMeters, ProbeKind, Settings
from vtrace_ovs.instrumentation.probes import Egress, ProbeBook, UserData
from vtrace_ovs.model.actions import Controller, Resubmit
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import Match


def book(settings: Settings) -> ProbeBook:
    return ProbeBook(settings, PrivateMeters(4, 5))


def test_user_data_is_eight_bytes_and_reads_back() -> None:
    original = UserData(ProbeKind.ERROR, 0xDEADBEEF, 0xFFFF)
    assert len(original.pack()) == 8
    assert UserData.of(original.pack()) == original


@pytest.mark.parametrize("other", [b"", b"\0" * 7, b"\2" * 8, b"\1\xff" + b"\0" * 6])
def test_user_data_of_others_is_not_read(other: bytes) -> None:
    assert UserData.of(other) is None


def test_logs_go_to_our_controller_through_our_meter(settings: Settings) -> None:
    (log,) = book(settings).arrival(ProbeKind.COLORED, 0, 1)
    (foreign,) = book(settings).arrival(ProbeKind.FOREIGN, 253, None)
    assert isinstance(log, Controller)
    assert isinstance(foreign, Controller)
    assert (log.controller_id, log.max_len, log.meter_id, log.pause) == (77, 192, 4, False)
    assert foreign.meter_id == 5


def test_where_packets_are_counted_their_ends_are_counted_and_nothing_is_copied(settings: Settings) -> None:
    out, none, flow = Resubmit(0, 252), Resubmit(0, 251), Flow(3, 10, Match(), ())
    ends = {ProbeKind.OUT: out, ProbeKind.ERROR: none, ProbeKind.MISS: none}
    counting = ProbeBook(settings, PrivateMeters(4, 5), ends)
    assert counting.outlet(flow, 0, Egress()) == (out,)
    assert counting.miss(7) == counting.dead_end(flow, conclusive=True) == (none,)
    assert counting.dead_end(flow, conclusive=False) == counting.arrival(ProbeKind.COLORED, 0, 1) == ()
    kinds = {ProbeKind.MISS, ProbeKind.ERROR, ProbeKind.OUT, ProbeKind.ASIDE, ProbeKind.COLORED}
    assert {probe.kind for probe in counting.all()} == kinds


def test_probe_ids_do_not_depend_on_what_else_is_planned(settings: Settings) -> None:
    flow = Flow(3, 10, Match(), (), cookie=1)
    alone, among = book(settings), book(settings)
    among.miss(7)
    among.dead_end(flow, conclusive=True)
    assert alone.outlet(flow, 2, Egress()) == among.outlet(flow, 2, Egress())
    assert len({probe.id for probe in among.all()}) == 3
    assert [probe.id for probe in among.all()] == sorted(probe.id for probe in among.all())


def test_two_places_never_share_an_id(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_digest", lambda *words: words[-1])
    full = book(settings)
    logs = [full.miss(table_id) for table_id in (7, 7, 8, 9)]
    assert logs[0] == logs[1]
    assert len(set(logs)) == len(full.all()) == 3
