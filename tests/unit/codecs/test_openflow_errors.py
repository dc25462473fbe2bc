import pytest

from vtrace_ovs.codecs.openflow_errors import error_name


@pytest.mark.parametrize(
    ("kind", "code", "name"),
    [
        (1, 5, "OFPBRC_EPERM"),
        (2, 13, "OFPBAC_BAD_SET_TYPE"),
        (4, 9, "OFPBMC_BAD_PREREQ"),
        (5, 1, "OFPFMFC_TABLE_FULL"),
        (12, 2, "OFPMMFC_INVALID_METER"),
        (12, 10, "OFPMMFC_OUT_OF_METERS"),
    ],
)
def test_standard_errors_have_the_names_ovs_logs(kind: int, code: int, name: str) -> None:
    assert error_name(kind, code, None) == name


def test_errors_without_a_name_keep_their_numbers() -> None:
    assert error_name(99, 1, None) == "error type 99 code 1"
    assert error_name(2, 99, None) == "error type 2 code 99"
    assert error_name(0xFFFF, 7, 0xABCD) == "experimenter 0xabcd error 7"


def test_nicira_errors_are_named() -> None:
    assert error_name(0xFFFF, 42, 0x2320) == "NXBAC_CT_DATAPATH_SUPPORT"
