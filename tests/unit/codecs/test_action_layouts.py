from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.action_layouts import ofs_nbits, split_ofs_nbits


@given(st.integers(0, 1023), st.integers(1, 64))
def test_a_bit_range_survives_packing(offset: int, width: int) -> None:
    packed = ofs_nbits(offset, width)
    assert packed < 1 << 16
    assert split_ofs_nbits(packed) == (offset, width)
