import io

from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from vtrace_ovs.codecs.captures import CapturedFrame, frames_of_capture
from vtrace_ovs.codecs.pcapng_writing import CommentedFrame, Direction, pcapng_of

FRAMES = st.builds(
    CommentedFrame,
    interface=st.sampled_from(["cs1/br-int", "cs2/br-int", "ü"]),
    at=st.floats(0, 2**33),
    frame=st.binary(max_size=80),
    total_length=st.integers(0, 9000),
    comment=st.text(max_size=40),
    direction=st.sampled_from(Direction),
)


@given(st.lists(FRAMES, max_size=5))
def test_every_frame_comes_back(frames: list[CommentedFrame]) -> None:
    read = list(frames_of_capture(pcapng_of(frames), "test"))
    assert read == [CapturedFrame(one.frame, max(len(one.frame), one.total_length)) for one in frames]


def test_another_reader_finds_interface_time_direction_and_comment() -> None:
    frames = [
        CommentedFrame("cs1/br-int", 1_772_409_600.25, b"\x01" * 61, 1500, "hop 1 → drop", Direction.INBOUND),
        CommentedFrame("cs2/br-int", 1_772_409_601.0, b"\x02" * 60, 60, "x" * 70_000, Direction.OUTBOUND),
    ]
    (first, about), (second, about_second) = RawPcapNgReader(io.BytesIO(pcapng_of(frames)))
    assert (first, second) == (b"\x01" * 61, b"\x02" * 60)
    assert (about.ifname, about.wirelen, about.direction) == (b"cs1/br-int", 1500, 1)
    assert ((about.tshigh << 32) + about.tslow, about.tsresol) == (1_772_409_600_250_000, 1_000_000)
    assert about.comments == ["hop 1 → drop".encode()]
    assert (about_second.ifname, about_second.direction) == (b"cs2/br-int", 2)
    assert about_second.comments == [b"x" * 65_535]


def test_a_comment_is_cut_between_characters() -> None:
    (_, about), *_ = RawPcapNgReader(io.BytesIO(pcapng_of([CommentedFrame("a", 0.0, b"", 0, "ü" * 40_000)])))
    assert about.comments == [("ü" * 32_767).encode()]
