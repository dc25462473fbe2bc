import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

TCP, UDP, ICMP = TrafficProtocol.TCP, TrafficProtocol.UDP, TrafficProtocol.ICMP


@pytest.mark.parametrize(
    "request_",
    [
        TrafficRequest("a", "b"),
        TrafficRequest("a", "b", TCP, 443, dscp=63, count=0),
        TrafficRequest("a", "b", UDP, 5000, source_port=40000),
    ],
)
def test_what_can_be_sent_passes(request_: TrafficRequest) -> None:
    request_.check()


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (TrafficRequest("a", "b", TCP), "need a port"),
        (TrafficRequest("a", "b", ICMP, 1), "ICMP has none"),
        (TrafficRequest("a", "b", TCP, 65536), "port 65536"),
        (TrafficRequest("a", "b", UDP, 53, source_port=0), "port 0"),
        (TrafficRequest("a", "b", dscp=64), "DSCP 64"),
        (TrafficRequest("a", "b", rate=0), "rate and timeout"),
        (TrafficRequest("a", "b", count=-1), "rate and timeout"),
        (TrafficRequest("a", "b", timeout=0), "rate and timeout"),
    ],
)
def test_what_cannot_be_sent_is_refused(request_: TrafficRequest, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        request_.check()
