import pytest

from vtrace_ovs.errors import FilterError, UsageError
from vtrace_ovs.filters.parser import parse
from vtrace_ovs.filters.requests import counting_request, trace_request
from vtrace_ovs.model.filter import Scope
from vtrace_ovs.model.task import TraceRequest


def test_a_request_has_the_defaults_of_the_paper_s_call() -> None:
    assert trace_request("tcp") == TraceRequest(parse("tcp"), Scope(), 20, 30)


def test_everything_said_is_kept() -> None:
    request = trace_request("tcp", packet_count=500, trace_time=600, vni=5001, source_vm="web-0", destination_vm="db-1")
    assert request == TraceRequest(parse("tcp"), Scope(5001, "web-0", "db-1"), 500, 600)


@pytest.mark.parametrize("count", [0, -1, 501])
def test_a_packet_count_out_of_range_is_refused_with_the_range(count: int) -> None:
    with pytest.raises(UsageError, match=r"packet_count is -?[0-9]+: give a number from 1 to 500"):
        trace_request("tcp", packet_count=count)


@pytest.mark.parametrize("seconds", [0, 601])
def test_a_trace_time_out_of_range_is_refused_with_the_range(seconds: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 600"):
        trace_request("tcp", trace_time=seconds)


def test_a_vni_has_24_bits() -> None:
    assert trace_request("tcp", vni=0).scope.vni == 0
    with pytest.raises(UsageError, match="from 0 to 16777215"):
        trace_request("tcp", vni=1 << 24)


def test_a_nameless_vm_is_refused() -> None:
    with pytest.raises(UsageError, match="source VM has an empty name"):
        trace_request("tcp", source_vm=" ")


def test_wide_and_a_source_vm_contradict_each_other() -> None:
    assert trace_request("tcp", wide=True).scope == Scope(wide=True)
    with pytest.raises(UsageError, match="--wide looks at every edge port, --from at the one of its VM"):
        trace_request("tcp", wide=True, source_vm="web-0")


def test_a_wrong_filter_keeps_its_place() -> None:
    with pytest.raises(FilterError) as caught:
        trace_request("tcp,tp_dst=x")
    assert caught.value.position == len("tcp,tp_dst=")


def test_a_request_to_count_has_its_interval_and_times_of_its_own() -> None:
    request = counting_request("udp,tp_dst=53", counting_time=3600, interval=10, source_vm="web1")
    assert (request.trace_time, request.interval, request.scope.source_vm) == (3600, 10, "web1")


@pytest.mark.parametrize(("seconds", "interval"), [(0, 1), (43201, 1), (60, 0), (60, 601), (5, 6)])
def test_times_to_count_that_do_not_fit_are_refused(seconds: int, interval: int) -> None:
    with pytest.raises(UsageError):
        counting_request("udp", counting_time=seconds, interval=interval)
