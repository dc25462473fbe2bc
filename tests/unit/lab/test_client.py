from pathlib import Path

import pytest

from vtrace_ovs.errors import LabError, UsageError
from vtrace_ovs.lab.client import LabClient, lab_directory, labs, traffic_protocol
from vtrace_ovs.lab.traffic import TrafficProtocol


def test_labs_are_directories_of_their_names(tmp_path: Path) -> None:
    assert lab_directory("vpc", tmp_path) == tmp_path / "vpc"
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    assert labs(tmp_path) == ("one", "two")
    assert labs(tmp_path / "nowhere") == ()


def test_a_lab_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    client = LabClient(tmp_path / "vpc")
    with pytest.raises(LabError, match=r"no lab is up in .*vpc"):
        client.down()


def test_a_wrong_request_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    client = LabClient(tmp_path / "vpc")
    with pytest.raises(UsageError, match="no fault 'gremlins'"):
        client.fault("gremlins")
    with pytest.raises(UsageError, match="is no prefix"):
        client.fault("no-route", prefix="10.0.0.1/8")
    with pytest.raises(UsageError, match="no-route: --port means nothing to this fault; it takes --vm, --prefix"):
        client.fault("no-route", vm="blue-db2", port=443)
    with pytest.raises(UsageError, match="no protocol 'dccp'; there are: icmp, tcp, tcp-stream, udp"):
        client.traffic("a", "b", "dccp", port=1)
    with pytest.raises(UsageError, match="without end"):
        client.traffic("a", "b", count=0)


def test_a_protocol_is_found_by_name() -> None:
    assert traffic_protocol("udp") is TrafficProtocol.UDP
