from typing import TYPE_CHECKING

import pytest

from vtrace_ovs.codecs.southbound import (
    LOGICAL_FLOW,
    LONGEST_MATCH,
    FoundRow,
    Row,
    datapaths_of,
    fitting,
    hint_of,
    name_of_flow,
    name_of_many,
    name_of_row,
    selected,
)
from vtrace_ovs.errors import CodecError

if TYPE_CHECKING:
    from vtrace_ovs.codecs.ovsdb_json import Json

UUID = "c8013269-38cb-47b1-9158-b656ad4519d8"
FOUND = FoundRow(LOGICAL_FLOW, UUID)
SWITCH: Row = {"external_ids": ["map", [["logical-switch", "x"], ["name", "data"]]]}
ROUTER: Row = {"external_ids": ["map", [["logical-router", "x"], ["name", "edge"]]]}
ACL: Row = {"name": "deny web2", "action": "drop", "direction": "to-lport", "priority": 1003, "match": "ip4"}


def flow(stage: str = "ls_out_acl", hint: str | None = "6fc45bec", match: str = "ip4") -> Row:
    ids = [["stage-name", stage], *([["stage-hint", hint]] if hint else [])]
    return {"external_ids": ["map", ids], "pipeline": "egress", "priority": 2003, "table_id": 4, "match": match}


def test_rows_are_found_by_the_first_half_of_their_uuids() -> None:
    other = "c8013268-38cb-47b1-9158-b656ad4519d8"
    results: list[Json] = [{"rows": [{"_uuid": ["uuid", UUID]}, {"_uuid": ["uuid", other]}]}, {"rows": []}]
    assert fitting((LOGICAL_FLOW, "Port_Binding"), results, (0xC8013269, 1)) == (FOUND,)
    assert FOUND.cookie == 0xC8013269


@pytest.mark.parametrize("answer", [None, [], {"rows": "all"}, {"error": "unknown table"}, {"rows": [1]}])
def test_what_is_no_select_result_is_refused(answer: object) -> None:
    with pytest.raises(CodecError, match="not one of an OVN database"):
        selected(answer)  # type: ignore[arg-type]  # what a server may send


def test_a_flow_of_an_acl_is_named_with_the_acl() -> None:
    named = name_of_flow(FOUND, flow(), (SWITCH,), (FoundRow("ACL", "6fc45bec-482e"), ACL))
    assert (named.cookie, named.stage) == (0xC8013269, "ls_out_acl")
    assert named.owner == (
        "ACL 6fc45bec 'deny web2': drop to-lport, priority 1003, match \"ip4\"; "
        "logical flow c8013269 of logical switch data, stage ls_out_acl"
    )


def test_without_the_northbound_database_the_hint_and_the_logical_match_are_said() -> None:
    owner = name_of_flow(FOUND, flow(), (SWITCH,), None).owner
    assert owner.startswith("ACL 6fc45bec-…; logical flow c8013269 of logical switch data")
    assert owner.endswith('priority 2003, match "ip4"')


@pytest.mark.parametrize(("actions", "rejects"), [("reg0 = 0; reject { next; };", True), ("/* drop */", False)])
def test_an_acl_that_rejects_is_known_by_its_logical_action(actions: str, rejects: bool) -> None:
    assert name_of_flow(FOUND, {**flow(), "actions": actions}, (SWITCH,), None).rejects is rejects


def test_an_acl_stage_without_an_acl_is_the_default() -> None:
    assert name_of_flow(FOUND, flow(hint=None), (SWITCH,), None).owner.startswith("the default of OVN; logical flow")


@pytest.mark.parametrize("hint", ["6fc45bec", "no number", None])
def test_a_hint_counts_only_where_acls_are(hint: str | None) -> None:
    assert hint_of(flow(hint=hint)) == (0x6FC45BEC if hint == "6fc45bec" else None)
    assert hint_of(flow("lr_in_ip_routing", hint)) is None


def test_a_flow_shared_by_many_datapaths_names_some_of_them() -> None:
    assert "of logical switch data and logical router edge and logical switch data and 1 more," in (
        name_of_flow(FOUND, flow(), (SWITCH, ROUTER, SWITCH, SWITCH), None).owner
    )


def test_a_long_match_is_cut() -> None:
    owner = name_of_flow(FOUND, flow(match="x" * 5000), (SWITCH,), None).owner
    assert len(owner) < 2 * LONGEST_MATCH
    assert owner.endswith('…"')


def test_a_flow_is_where_its_datapath_or_its_group_is() -> None:
    grouped: Row = {"logical_datapath": ["set", []], "logical_dp_group": ["uuid", "a"]}
    assert datapaths_of(grouped) == (FoundRow("Logical_DP_Group", "a"),)
    assert datapaths_of({"logical_datapath": ["uuid", "b"]}) == (FoundRow("Datapath_Binding", "b"),)


def test_other_rows_are_named_by_what_they_are() -> None:
    assert name_of_row(FoundRow("Port_Binding", UUID), {"logical_port": "web1"}).owner == "OVN, logical port web1"
    assert name_of_row(FoundRow("Port_Binding", UUID), {}).owner == f"OVN, logical port {UUID}"


def test_a_cookie_that_fits_several_rows_names_none() -> None:
    named = name_of_many(7, 2)
    assert (named.stage, named.owner) == (None, "OVN, one of 2 rows with a UUID 00000007-…")
