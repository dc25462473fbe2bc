import struct

import pytest

from vtrace_ovs.codecs.captures import CapturedFrame, frame_of_hex, frames_of_capture
from vtrace_ovs.errors import CodecError

FRAMES = (bytes(range(60)), b"\xff" * 14)


def classic(order: str = "<", magic: int = 0xA1B2C3D4, link_type: int = 1) -> bytes:
    head = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(struct.pack(f"{order}IIII", 1, 2, len(frame), 100) + frame for frame in FRAMES)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", link_type: int = 1, limit: int = 0) -> bytes:
    return block(1, struct.pack(f"{order}HxxI", link_type, limit), order)


def enhanced(frame: bytes, order: str = "<", number: int = 0) -> bytes:
    return block(6, struct.pack(f"{order}IIIII", number, 0, 0, len(frame), 100) + frame, order)


def read(data: bytes) -> tuple[CapturedFrame, ...]:
    return tuple(frames_of_capture(data, "x.pcap"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_classic_captures_of_either_byte_order_and_clock(order: str, magic: int) -> None:
    assert read(classic(order, magic)) == tuple(CapturedFrame(frame, 100) for frame in FRAMES)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_blocks_of_either_byte_order(order: str) -> None:
    simple = block(3, struct.pack(f"{order}I", 14) + FRAMES[1], order)
    data = section(order) + block(5, bytes(8), order) + interface(order) + enhanced(FRAMES[0], order) + simple
    assert read(data) == (CapturedFrame(FRAMES[0], 100), CapturedFrame(FRAMES[1], 14))


def test_a_simple_block_is_cut_at_the_snapshot_length() -> None:
    data = section() + interface(limit=4) + block(3, struct.pack("<I", 14) + FRAMES[1][:4])
    assert read(data) == (CapturedFrame(FRAMES[1][:4], 14),)


def test_frames_before_the_damage_are_still_given() -> None:
    frames = frames_of_capture(classic()[:-3], "x.pcap")
    assert next(frames).frame == FRAMES[0]
    with pytest.raises(CodecError, match="cut off or damaged at byte 100"):
        next(frames)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither"), (b"ab", "neither"), (b"hello, world", "neither"),
        (classic()[:20], "cut off inside its file header"),
        (classic(link_type=113), "link type 113"),
        (classic()[:30], "at byte 24"),
        (section()[:9], "at byte 0"),
        (section() + interface(link_type=276) + enhanced(FRAMES[0]), "link type 276"),
        (section() + enhanced(FRAMES[0]), "names interface 0"),
        (section() + block(3, bytes(8)), "before any interface"),
        (section() + interface() + enhanced(FRAMES[0])[:-8], "at byte 48"),
        (section() + block(6, bytes(4)), "at byte 28"),
        (section() + interface() + block(6, struct.pack("<IIIII", 0, 0, 0, 90, 90)), "at byte 48"),
        (section() + struct.pack("<III", 1, 3, 3), "at byte 28"),
        (block(0x0A0D0D0A, bytes(16)), "no byte order"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_at_its_place(data: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        read(data)


@pytest.mark.parametrize("text", ["0001ff", "00:01:ff", "0x00 01\nFF", "00.01.ff"])
def test_hexadecimal_text_in_any_dress(text: str) -> None:
    assert frame_of_hex(text) == CapturedFrame(b"\x00\x01\xff", 3)


@pytest.mark.parametrize("text", ["", "0", "00 0", "xyz", "00 é"])
def test_other_text_is_no_frame(text: str) -> None:
    with pytest.raises(CodecError):
        frame_of_hex(text)
