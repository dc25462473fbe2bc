import pytest

from vtrace_ovs.codecs.nat_ranges import range_bytes, range_text
from vtrace_ovs.errors import CodecError


def test_a_range_reads_as_ovs_prints_it() -> None:
    body = bytes.fromhex("0a000001 0a000009 0064 00c8")
    assert range_text(1 | 4 | 16, 0b110011, body) == "10.0.0.1-10.0.0.9:100-200,persistent,random"
    assert range_bytes("10.0.0.1-10.0.0.9:100-200,persistent,random") == (4 | 16, 0b110011, body)


def test_no_range_is_no_text() -> None:
    assert range_text(1, 0, b"") == ""
    assert range_bytes("") == (0, 0, b"")


def test_a_range_cut_short_is_a_codec_error() -> None:
    with pytest.raises(CodecError, match="shorter"):
        range_text(1, 0b11, bytes(6))


@pytest.mark.parametrize("text", ["here", "10.0.0.1,often", "10.0.0.1:70000", "300.0.0.1", "fe80:::1"])
def test_a_text_that_is_no_range_is_a_codec_error(text: str) -> None:
    with pytest.raises(CodecError, match="nat range"):
        range_bytes(text)
