"""The wire layouts of actions that decoding and encoding share (OpenFlow 1.3.5 §7.2.5, OVS lib/ofp-actions.c)."""

import struct
from enum import IntEnum

EXPERIMENTER = 0xFFFF
ALL_BITS_16 = 0xFFFF
IN_PORT_16 = 0xFFF8
CURRENT_TABLE = 0xFF


class Standard(IntEnum):
    """OpenFlow 1.3.5 §7.2.5 ``ofp_action_type``, and the older ones OVS still accepts."""

    OUTPUT = 0
    SET_MPLS_TTL = 15
    DEC_MPLS_TTL = 16
    PUSH_VLAN = 17
    POP_VLAN = 18
    PUSH_MPLS = 19
    POP_MPLS = 20
    SET_QUEUE = 21
    GROUP = 22
    SET_NW_TTL = 23
    DEC_NW_TTL = 24
    SET_FIELD = 25


class Nicira(IntEnum):
    """Nicira action subtypes (``enum ofp_raw_action_type`` in OVS lib/ofp-actions.c)."""

    RESUBMIT = 1
    SET_TUNNEL = 2
    SET_QUEUE = 4
    POP_QUEUE = 5
    REG_MOVE = 6
    REG_LOAD = 7
    NOTE = 8
    SET_TUNNEL64 = 9
    MULTIPATH = 10
    BUNDLE = 12
    BUNDLE_LOAD = 13
    RESUBMIT_TABLE = 14
    OUTPUT_REG = 15
    LEARN = 16
    EXIT = 17
    DEC_TTL = 18
    FIN_TIMEOUT = 19
    CONTROLLER = 20
    DEC_TTL_CNT_IDS = 21
    WRITE_METADATA = 22
    PUSH_MPLS = 23
    POP_MPLS = 24
    SET_MPLS_TTL = 25
    DEC_MPLS_TTL = 26
    STACK_PUSH = 27
    STACK_POP = 28
    SAMPLE = 29
    SET_MPLS_LABEL = 30
    SET_MPLS_TC = 31
    OUTPUT_REG2 = 32
    REG_LOAD2 = 33
    CONJUNCTION = 34
    CT = 35
    NAT = 36
    CONTROLLER2 = 37
    SAMPLE2 = 38
    OUTPUT_TRUNC = 39
    GROUP = 40
    SAMPLE3 = 41
    CLONE = 42
    CT_CLEAR = 43
    RESUBMIT_TABLE_CT = 44
    LEARN2 = 45
    ENCAP = 46
    DECAP = 47
    DEC_NSH_TTL = 48
    CHECK_PKT_LARGER = 49
    DELETE_FIELD = 50


class ControllerProperty(IntEnum):
    """``enum nx_action_controller2_prop_type``."""

    MAX_LEN = 0
    CONTROLLER_ID = 1
    REASON = 2
    USERDATA = 3
    PAUSE = 4
    METER_ID = 5


CT_COMMIT = 1
CT_FORCE = 2
NAT_SRC = 1
NAT_DST = 2

HEADER = struct.Struct("!HH")
NICIRA_HEADER = struct.Struct("!HHIH")
OUTPUT = struct.Struct("!HHIH6x")
UINT32 = struct.Struct("!HHI")
ETHERTYPE = struct.Struct("!HHH2x")
EMPTY = struct.Struct("!HH4x")
BODY = 10  # where the part behind a Nicira action header begins
MOVE = struct.Struct("!3H")
LOAD = struct.Struct("!HIQ")
RESUBMIT = struct.Struct("!HB3x")
STACK_OFFSET = struct.Struct("!H")
OUTPUT_REG = struct.Struct("!HIH6x")
CONTROLLER = struct.Struct("!HHBx")
PROPERTY = struct.Struct("!HH")
CT = struct.Struct("!HIHB3xH")
NAT = struct.Struct("!2xHH")
CONJUNCTION = struct.Struct("!BBI")
CHECK_PKT_LARGER = struct.Struct("!HH")
LEARN = struct.Struct("!HHHQHB")
OUTPUT_TRUNC = struct.Struct("!HI")
MULTIPATH = struct.Struct("!8xH6xH")
MULTIPATH_DESTINATION = 28
BUNDLE = struct.Struct("!H8x2HI")
BUNDLE_DESTINATION = 24
COUNTER_IDS = struct.Struct("!H4x")


def ofs_nbits(offset: int, width: int) -> int:
    """A bit range as OVS packs it: ``(ofs << 6) | (n_bits - 1)``."""
    return offset << 6 | width - 1


def split_ofs_nbits(packed: int) -> tuple[int, int]:
    """(offset, width) of a packed bit range."""
    return packed >> 6, (packed & 0x3F) + 1
