from collections.abc import Callable

import pytest

from vtrace_ovs.diagnosis.causes import CATEGORIES, cause_of_drop, cause_of_miss
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import CT_STATE, field
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.trajectory import DropShape, NearMiss
from vtrace_ovs.model.verdict import CauseCategory, CauseCode


def test_every_code_has_a_category() -> None:
    assert set(CATEGORIES) == set(CauseCode)


def test_the_categories_of_the_papers_table_4_are_all_in_use() -> None:
    paper = {
        CauseCategory.RATE_LIMIT,
        CauseCategory.SECURITY_POLICY,
        CauseCategory.CONFIG_ERROR,
        CauseCategory.UNSUPPORTED_ACTION,
        CauseCategory.UNKNOWN,
    }
    assert paper <= set(CATEGORIES.values())


@pytest.mark.parametrize("shape", DropShape)
def test_every_shape_has_a_cause_even_without_a_profile(shape: DropShape) -> None:
    assert cause_of_drop(shape, None, None, None) is not CauseCode.NONE


@pytest.mark.parametrize(
    ("owner", "code"),
    [
        (None, CauseCode.SECURITY_DEFAULT_DENY),
        ("security group default deny", CauseCode.SECURITY_DEFAULT_DENY),
        ("security group rule 3", CauseCode.SECURITY_RULE_DENY),
    ],
)
def test_the_owner_tells_a_rule_about_everything_from_a_default(
    owner: str | None, code: CauseCode, flow: Callable[..., FlowKey], profile: PipelineProfile
) -> None:
    assert cause_of_drop(DropShape.EXPLICIT_DROP, profile.table(20), flow(20, 9, reg1=3), owner) is code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("tun_id", CauseCode.UNKNOWN_VNI),
        ("vlan_vid", CauseCode.VLAN_MISMATCH),
        ("in_port", CauseCode.TABLE_MISS),
    ],
)
def test_a_miss_where_packets_are_classified_is_told_by_the_one_field_that_fails(
    name: str, code: CauseCode, flow: Callable[..., FlowKey], profile: PipelineProfile
) -> None:
    near = NearMiss(flow(0, 9, in_port=1), 0, ((name, "0x66", "0x65"),))
    assert cause_of_miss(profile.table(0), (near,)) is code
    assert cause_of_miss(profile.table(30), (near,)) is CauseCode.TABLE_MISS
    twice = NearMiss(near.flow, 0, (*near.differences, ("eth_dst", "a", "b")))
    assert cause_of_miss(profile.table(0), (twice,)) is CauseCode.TABLE_MISS


def _of_state(state: int, *more: MaskedField) -> FlowKey:
    return FlowKey(20, 4000, Match.of(MaskedField(CT_STATE, state, 0x31), *more))


def test_what_connection_tracking_says_of_a_packet_is_the_cause_of_its_drop(profile: PipelineProfile) -> None:
    security, drop = profile.table(20), DropShape.EXPLICIT_DROP
    new, invalid = _of_state(0x21), _of_state(0x30)
    owner = "security group default deny"
    assert cause_of_drop(drop, security, new, owner) is CauseCode.CONNECTION_NOT_ESTABLISHED
    assert cause_of_drop(drop, security, invalid, owner) is CauseCode.CONNECTION_INVALID
    assert cause_of_drop(drop, None, invalid, None) is CauseCode.CONNECTION_INVALID
    assert cause_of_drop(drop, security, _of_state(0x20), owner) is CauseCode.SECURITY_DEFAULT_DENY


def test_a_rule_about_new_connections_of_some_traffic_is_a_rule(profile: PipelineProfile) -> None:
    telnet = _of_state(0x21, MaskedField(field("tcp_dst"), 23, 0xFFFF))
    assert cause_of_drop(DropShape.EXPLICIT_DROP, profile.table(20), telnet, None) is CauseCode.SECURITY_RULE_DENY
