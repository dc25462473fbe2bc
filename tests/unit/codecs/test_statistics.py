import gc
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.instructions import encode_instructions
from vtrace_ovs.codecs.matching import encode_match
from vtrace_ovs.codecs.statistics import flows, groups, meter_counters, meters, port_counters, ports, queue_counters
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import ApplyActions, GotoTable, Output
from vtrace_ovs.model.flow import GroupType, QueueCounters
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import METADATA

READERS: list[Callable[[bytes], object]] = [flows, groups, meters, meter_counters, ports, port_counters, queue_counters]


def flow(priority: int, match: Match) -> bytes:
    parts = encode_match(match) + encode_instructions((ApplyActions((Output(1),)), GotoTable(9)))
    return struct.pack("!HBxIIHHHH4xQQQ", 48 + len(parts), 3, 10, 500, priority, 1, 2, 4, 0x53, 7, 700) + parts


@given(st.sampled_from(READERS), st.binary(max_size=160))
def test_any_body_is_a_reply_or_a_codec_error(read: Callable[[bytes], object], body: bytes) -> None:
    try:
        read(body)
    except CodecError:
        return


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_flow_is_a_flow_or_a_codec_error(place: int, octet: int) -> None:
    body = bytearray(flow(5, Match.of(MaskedField(METADATA, 5, METADATA.full_mask))) * 2)
    body[place % len(body)] = octet
    try:
        flows(bytes(body))
    except CodecError:
        return


@pytest.mark.parametrize("read", READERS)
def test_an_empty_reply_has_no_entries(read: Callable[[bytes], object]) -> None:
    assert read(b"") == ()


def test_a_flow_is_read_in_full() -> None:
    match = Match.of(MaskedField(METADATA, 5, METADATA.full_mask))
    first, second = flows(flow(5, match) + flow(6, Match()))
    assert (first.table_id, first.priority, first.match, first.cookie) == (3, 5, match, 0x53)
    assert (first.idle_timeout, first.hard_timeout, first.flags) == (1, 2, 4)
    assert (first.n_packets, first.n_bytes) == (7, 700)
    assert first.duration == pytest.approx(10.0000005)
    assert isinstance(first.instructions[0], ApplyActions)
    assert first.instructions[0].actions == (Output(1),)
    assert (second.priority, second.match) == (6, Match())


def test_reading_flows_leaves_the_collector_as_it_was() -> None:
    assert gc.isenabled()
    with pytest.raises(CodecError):
        flows(b"\0")
    assert gc.isenabled()


def test_a_group_keeps_its_wire_form() -> None:
    output = struct.pack("!HHIH6x", 0, 16, 2, 0)
    bucket = struct.pack("!HHII4x", 32, 3, 1, 0xFFFFFFFF) + output
    raw = struct.pack("!HBxI", 8 + len(bucket), 1, 7) + bucket
    (group,) = groups(raw)
    assert (group.group_id, group.type, group.raw) == (7, GroupType.SELECT, raw)
    assert (group.buckets[0].weight, group.buckets[0].actions) == (3, (Output(2),))


def test_a_group_of_an_unknown_type_is_a_codec_error() -> None:
    with pytest.raises(CodecError, match="unknown type 9"):
        groups(struct.pack("!HBxI", 8, 9, 7))


def test_a_meter_in_kilobits_says_so() -> None:
    (meter,) = meters(struct.pack("!HHIHHII4x", 24, 1, 4, 1, 16, 1000, 50))
    assert (meter.meter_id, meter.rate, meter.burst, meter.packets) == (4, 1000, 50, False)


def test_drops_of_all_bands_of_a_meter_add_up() -> None:
    raw = struct.pack("!IH6xIQQIIQQQQ", 4, 72, 1, 100, 9000, 1, 0, 30, 300, 12, 120)
    (counters,) = meter_counters(raw)
    assert (counters.meter_id, counters.packets_in, counters.packets_dropped) == (4, 100, 42)


def test_a_port_down_is_told_from_one_shut_down() -> None:
    raw = struct.pack("!I4x6s2x16sII24x", 3, bytes(6), b"vm1", 0, 1)
    (port,) = ports(raw)
    assert (port.ofport, port.name, port.hardware_address) == (3, "vm1", "00:00:00:00:00:00")
    assert (port.link_down, port.admin_down) == (True, False)


def test_port_counters_are_read() -> None:
    (counters,) = port_counters(struct.pack("!I4x12QII", 3, 1, 2, 30, 40, 5, 6, 0, 0, 0, 0, 0, 0, 9, 9))
    assert (counters.ofport, counters.rx_packets, counters.tx_packets) == (3, 1, 2)
    assert (counters.rx_dropped, counters.tx_dropped) == (5, 6)


def test_queue_counters_are_read() -> None:
    (counters,) = queue_counters(struct.pack("!II3QII", 14, 2, 7000, 70, 5, 9, 9))
    assert counters == QueueCounters(14, 2, sent=70, dropped=5)
