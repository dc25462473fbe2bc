"""Turns the numbers of OpenFlow errors into the names OVS logs (OVS include/openvswitch/ofp-errors.h)."""

from vtrace_ovs.model.oxm import NICIRA, ONF

_STANDARD: dict[int, tuple[str, str]] = {
    0: ("OFPHFC", "INCOMPATIBLE EPERM"),
    1: (
        "OFPBRC",
        (
            "BAD_VERSION BAD_TYPE BAD_STAT BAD_VENDOR BAD_SUBTYPE EPERM BAD_LEN BUFFER_EMPTY BUFFER_UNKNOWN "
            "BAD_TABLE_ID IS_SLAVE BAD_PORT BAD_PACKET MULTIPART_BUFFER_OVERFLOW"
        ),
    ),
    2: (
        "OFPBAC",
        (
            "BAD_TYPE BAD_LEN BAD_VENDOR BAD_VENDOR_TYPE BAD_OUT_PORT BAD_ARGUMENT EPERM TOO_MANY BAD_QUEUE "
            "BAD_OUT_GROUP MATCH_INCONSISTENT UNSUPPORTED_ORDER BAD_TAG BAD_SET_TYPE BAD_SET_LEN BAD_SET_ARGUMENT"
        ),
    ),
    3: (
        "OFPBIC",
        (
            "UNKNOWN_INST UNSUP_INST BAD_TABLE_ID UNSUP_METADATA UNSUP_METADATA_MASK BAD_EXPERIMENTER BAD_EXP_TYPE "
            "BAD_LEN EPERM"
        ),
    ),
    4: (
        "OFPBMC",
        (
            "BAD_TYPE BAD_LEN BAD_TAG BAD_DL_ADDR_MASK BAD_NW_ADDR_MASK BAD_WILDCARDS BAD_FIELD BAD_VALUE BAD_MASK "
            "BAD_PREREQ DUP_FIELD EPERM"
        ),
    ),
    5: ("OFPFMFC", "UNKNOWN TABLE_FULL BAD_TABLE_ID OVERLAP EPERM BAD_TIMEOUT BAD_COMMAND BAD_FLAGS"),
    6: (
        "OFPGMFC",
        (
            "GROUP_EXISTS INVALID_GROUP WEIGHT_UNSUPPORTED OUT_OF_GROUPS OUT_OF_BUCKETS CHAINING_UNSUPPORTED "
            "WATCH_UNSUPPORTED LOOP UNKNOWN_GROUP CHAINED_GROUP BAD_TYPE BAD_COMMAND BAD_BUCKET BAD_WATCH EPERM"
        ),
    ),
    7: ("OFPPMFC", "BAD_PORT BAD_HW_ADDR BAD_CONFIG BAD_ADVERTISE EPERM"),
    8: ("OFPTMFC", "BAD_TABLE BAD_CONFIG EPERM"),
    9: ("OFPQOFC", "BAD_PORT BAD_QUEUE EPERM"),
    10: ("OFPSCFC", "BAD_FLAGS BAD_LEN EPERM"),
    11: ("OFPRRFC", "STALE UNSUP BAD_ROLE"),
    12: (
        "OFPMMFC",
        (
            "UNKNOWN METER_EXISTS INVALID_METER UNKNOWN_METER BAD_COMMAND BAD_FLAGS BAD_RATE BAD_BURST BAD_BAND "
            "BAD_BAND_VALUE OUT_OF_METERS OUT_OF_BANDS"
        ),
    ),
    13: ("OFPTFFC", "BAD_TABLE BAD_METADATA BAD_TYPE BAD_LEN BAD_ARGUMENT EPERM"),
}

_EXPERIMENTER = {
    (NICIRA, 2): "NXBRC_NXM_INVALID",
    (NICIRA, 3): "NXBRC_NXM_BAD_TYPE",
    (NICIRA, 4): "NXBRC_MUST_BE_ZERO",
    (NICIRA, 5): "NXBRC_BAD_REASON",
    (NICIRA, 6): "OFPMOFC_MONITOR_EXISTS",
    (NICIRA, 7): "OFPMOFC_BAD_FLAGS",
    (NICIRA, 8): "OFPMOFC_UNKNOWN_MONITOR",
    (NICIRA, 9): "NXBRC_FM_BAD_EVENT",
    (NICIRA, 10): "NXBRC_UNENCODABLE_ERROR",
    (NICIRA, 11): "NXBAC_MUST_BE_ZERO",
    (NICIRA, 12): "NXFMFC_HARDWARE",
    (NICIRA, 13): "NXFMFC_BAD_TABLE_ID",
    (NICIRA, 15): "NXBAC_BAD_CONJUNCTION",
    (NICIRA, 34): "NXR_NOT_SUPPORTED",
    (NICIRA, 35): "NXR_STALE",
    (NICIRA, 36): "NXST_NOT_CONFIGURED",
    (NICIRA, 37): "NXFMFC_INVALID_TLV_FIELD",
    (NICIRA, 39): "NXBAC_BAD_HEADER_TYPE",
    (NICIRA, 40): "NXBAC_UNKNOWN_ED_PROP",
    (NICIRA, 41): "NXBAC_BAD_ED_PROP",
    (NICIRA, 42): "NXBAC_CT_DATAPATH_SUPPORT",
    (NICIRA, 43): "NXBMC_CT_DATAPATH_SUPPORT",
    (ONF, 2600): "OFPBIC_DUP_INST",
    (ONF, 4250): "OFPBAC_BAD_SET_MASK",
}


def error_name(kind: int, code: int, vendor: int | None) -> str:
    """OVS's name of an OpenFlow 1.3 error; ``vendor`` for experimenter errors. Numbers where there is no name."""
    if vendor is not None:
        return _EXPERIMENTER.get((vendor, code), f"experimenter {vendor:#x} error {code}")
    prefix, names = _STANDARD.get(kind, ("", ""))
    known = names.split()
    return f"{prefix}_{known[code]}" if code < len(known) else f"error type {kind} code {code}"
