import struct
from pathlib import Path

import pytest

from vtrace_ovs.cli.explaining import Request, explained
from vtrace_ovs.errors import CodecError, UsageError
from vtrace_ovs.model.verdict import Disposition

FLOWS = " priority=1,udp,tp_dst=53 actions=output:2\n"
PACKET = "udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=53"


def frame(port: int) -> bytes:
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 30, 1, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return bytes(6) + b"\2\0\0\0\0\1" + b"\x08\x00" + ip + struct.pack("!HHHH", 9, port, 10, 0) + b"hi"


def capture(*frames: bytes) -> bytes:
    head = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(struct.pack("<IIII", 1, 2, len(one), len(one)) + one for one in frames)


@pytest.fixture
def dumps(tmp_path: Path) -> tuple[Path, ...]:
    file = tmp_path / "flows.txt"
    file.write_text(FLOWS)
    return (file,)


def ask(request: Request) -> Disposition:
    return explained(request, None).result.verdict.disposition


def test_a_frame_in_hexadecimal_is_walked(dumps: tuple[Path, ...]) -> None:
    found = explained(Request(hex_text=frame(53).hex(":"), dumps=dumps, in_port="1"), None)
    assert found.result.verdict.disposition is Disposition.DELIVERED
    assert found.result.groups[0].example.five_tuple is not None
    assert found.problems == ()


def test_a_frame_of_a_capture_is_named_or_found(dumps: tuple[Path, ...], tmp_path: Path) -> None:
    pcap = tmp_path / "x.pcap"
    pcap.write_bytes(capture(frame(80), frame(53)))
    assert ask(Request(pcap=pcap, frame=1, dumps=dumps, in_port="1")) is Disposition.DROPPED
    assert ask(Request(pcap=pcap, frame=2, dumps=dumps, in_port="1")) is Disposition.DELIVERED
    assert ask(Request(pcap=pcap, packet="udp,tp_dst=53", dumps=dumps, in_port="1")) is Disposition.DELIVERED
    for request in (
        Request(pcap=pcap, frame=3, dumps=dumps, in_port="1"),
        Request(pcap=pcap, packet="tcp", dumps=dumps, in_port="1"),
        Request(pcap=tmp_path / "none", dumps=dumps, in_port="1"),
    ):
        with pytest.raises(UsageError, match=r"2 frames|the 2|cannot be read"):
            explained(request, None)


def test_a_frame_too_short_for_ethernet_is_refused(dumps: tuple[Path, ...]) -> None:
    with pytest.raises(CodecError, match="hold no Ethernet header"):
        explained(Request(hex_text="00ff", dumps=dumps, in_port="1"), None)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(), "no packet is given"),
        (Request(packet=PACKET, dumps=(Path("x"),)), "belong together"),
        (Request(packet=PACKET, in_port="1"), "belong together"),
        (Request(hex_text="00", pcap=Path("x")), "both name a packet"),
        (Request(packet=PACKET, record=5), "--record needs --task"),
        (Request(packet=PACKET, frame=5), "--frame needs --pcap"),
        (Request(packet=PACKET, task_id=1, dumps=(Path("x"),)), "both name tables"),
        (Request(packet=PACKET, dumps=(Path("x"),), against_ovs=True), "as they are now"),
    ],
)
def test_options_that_contradict_each_other_are_refused(request_: Request, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        explained(request_, None)


@pytest.mark.parametrize("port", ["", "vnet0", "-1", "1.5"])
def test_a_port_of_a_dump_without_a_show_is_a_number(dumps: tuple[Path, ...], port: str) -> None:
    with pytest.raises(UsageError, match="numbers only"):
        explained(Request(packet=PACKET, dumps=dumps, in_port=port), None)


def test_the_local_port_needs_no_show(dumps: tuple[Path, ...]) -> None:
    assert ask(Request(packet=PACKET, dumps=dumps, in_port="LOCAL")) is Disposition.DELIVERED


@pytest.mark.usefixtures("database")
def test_a_task_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no task 7"):
        explained(Request(packet=PACKET, task_id=7), None)
