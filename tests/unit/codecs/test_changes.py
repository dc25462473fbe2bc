import struct

import pytest

from vtrace_ovs.codecs.changes import flow_mod, meter_mod
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import ApplyActions, Note
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.model.match import Match


def test_a_flow_mod_carries_every_part() -> None:
    wire = flow_mod(FlowMod(FlowModCommand.ADD, 3, 7, Match(), 0x5654, hard_timeout=9), xid=5)
    assert struct.unpack_from("!BBHI", wire) == (4, 14, len(wire), 5)
    fields = struct.unpack_from("!QQBBHHHIIIH", wire, 8)
    assert fields == (0x5654, 0, 3, 0, 0, 9, 7, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert wire[48:] == bytes.fromhex("0001000400000000")


@pytest.mark.parametrize("command", [FlowModCommand.DELETE, FlowModCommand.DELETE_STRICT])
def test_a_deletion_of_somebody_elses_flows_is_refused(command: FlowModCommand) -> None:
    with pytest.raises(CodecError, match="no cookie mask"):
        flow_mod(FlowMod(command, 0, 0, Match(), 1), xid=1)


def test_actions_too_long_for_one_message_are_refused() -> None:
    for count in (1, 2):
        long = ApplyActions(tuple(Note(bytes(65500)) for _ in range(count)))
        with pytest.raises(CodecError, match="does not fit"):
            flow_mod(FlowMod(FlowModCommand.ADD, 0, 0, Match(), 1, instructions=(long,)), xid=1)


def test_a_priority_openflow_does_not_have_is_refused() -> None:
    with pytest.raises(CodecError, match="priority 65536"):
        flow_mod(FlowMod(FlowModCommand.ADD, 0, 65536, Match(), 1), xid=1)


def test_a_meter_drops_by_packets_with_burst_and_statistics() -> None:
    wire = meter_mod(MeterMod(MeterModCommand.ADD, 9, rate=5, burst=20), xid=1)
    assert struct.unpack_from("!HHIHHII", wire, 8) == (0, 2 | 4 | 8, 9, 1, 16, 5, 20)


def test_a_meter_is_deleted_without_a_band() -> None:
    assert len(meter_mod(MeterMod(MeterModCommand.DELETE, 9), xid=1)) == 16
