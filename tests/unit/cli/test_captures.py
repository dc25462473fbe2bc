import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scapy.utils import RawPcapNgReader

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import Disposition, PathGroup, TaskResult

Vtrace = Callable[..., tuple[int, str, str]]
ResultOf = Callable[[int, Disposition], TaskResult]
BRIDGE = BridgeId("cs1", "br-int")
HEADERS = Headers("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, 1500)
WAY = Trajectory(1, "a", 0, Origin.OBSERVED, None, (Hop(BRIDGE, 1, 3, 4),), Ending.HANDED_TO_PORT)


def copy(task_id: int, loc: Loc, packet_id: str, at: float) -> PacketInRecord:
    return PacketInRecord(
        0, task_id, BRIDGE, None, loc, packet_id, None, HEADERS, 1, 3, at, frame=packet_id.encode() * 60
    )


def test_every_copy_of_both_directions_is_a_record_with_its_verdict(
    vtrace: Vtrace, result_of: ResultOf, tmp_path: Path
) -> None:
    vtrace("add", "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5", "--both")
    dropped = result_of(1, Disposition.DROPPED)
    lost = replace(dropped.verdict, disposition=Disposition.LOST_IN_VFD)
    elsewhere = replace(WAY, packet_id="b", hops=(Hop(BRIDGE, 1, 3, 5),))
    with open_store() as store:
        store.save_records(
            [
                copy(1, Loc.OUT, "a", 3.0),
                copy(1, Loc.IN, "a", 1.0),
                copy(1, Loc.IN, "b", 4.0),
                copy(2, Loc.IN, "c", 2.0),
            ]
        )
        # Packet "b" was seen twice and met two verdicts: a copy does not say which of the two it is of.
        store.save_trajectories(1, [WAY, elsewhere, replace(WAY, packet_id="b", occurrence=1)])
        groups = (PathGroup(dropped.verdict, WAY, 2), PathGroup(lost, elsewhere, 1))
        store.save_result(1, replace(dropped, groups=groups))
        store.set_state(1, TaskState.DONE, time.time())
    place = tmp_path / "copies.pcapng"
    code, _, err = vtrace("result", "1", "--pcapng", str(place))
    assert code == 3
    assert err.splitlines()[0] == f"4 copies written to {place}"
    read = list(RawPcapNgReader(io.BytesIO(place.read_bytes())))
    assert [(frame[:1], about.wirelen, about.direction) for frame, about in read] == [
        (b"a", 1500, 1),
        (b"c", 1500, 1),
        (b"a", 1500, 2),
        (b"b", 1500, 1),
    ]
    said = [about.comments[0].decode().split("; ")[1] for _, about in read]
    assert said[1::2] == ["no verdict on this packet alone"] * 2
    assert all("DROPPED" in words for words in said[::2])
