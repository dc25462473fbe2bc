import struct

from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.lab.endpoint import echo_request


@given(st.integers(0, 0xFFFF), st.integers(0, 2**20))
def test_an_echo_request_sums_up_to_all_ones(identifier: int, number: int) -> None:
    packet = echo_request(4, identifier, number)
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    assert struct.unpack_from("!BBxxHH", packet) == (8, 0, identifier, number & 0xFFFF)
