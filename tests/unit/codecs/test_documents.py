from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vtrace_ovs.codecs.documents import from_document, from_json, json_document, to_document, to_json
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model import oxm
from vtrace_ovs.model.actions import ApplyActions, Conntrack, GotoTable, Output
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.packet import FiveTuple, IpProtocol, Tunnel
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.task import Intent, Task
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Topology
from vtrace_ovs.model.trajectory import Hop, Trajectory
from vtrace_ovs.model.verdict import TaskResult

Values = Callable[[object], st.SearchStrategy[Any]]


@dataclass(frozen=True, slots=True)
class Parts:
    fixed: tuple[int, str]
    address: IPv4Address | IPv6Address | None
    either: int | oxm.SubField
    ratio: float = 0.5


PARTS = Parts((1, "a"), None, 3)


@pytest.mark.parametrize("kind", [Task, Intent, PacketInRecord, BridgeTables, Topology, Trajectory, TaskResult, Parts])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_noun_survives_the_way_through_text(kind: type, data: st.DataObject, values_of: Values) -> None:
    value = data.draw(values_of(kind))
    assert from_json(kind, to_json(value)) == value


def test_counters_survive_although_they_do_not_compare() -> None:
    flow = Flow(0, 1, Match(), (), n_packets=7, n_bytes=420, duration=1.25)
    again = from_json(Flow, to_json(flow))
    assert (again.n_packets, again.n_bytes, again.duration) == (7, 420, 1.25)


def test_fields_equal_to_their_default_are_left_out() -> None:
    assert to_document(Filter("tcp", protocol=IpProtocol.TCP)) == {"text": "tcp", "protocol": 6}


def test_members_of_a_union_carry_their_class_and_optional_ones_do_not() -> None:
    flow = Flow(0, 1, Match(), (ApplyActions((Output(2),), (b"\0\1",)), GotoTable(3)))
    assert to_document(flow) == {
        "table_id": 0,
        "priority": 1,
        "match": {},
        "instructions": [
            {"@type": "ApplyActions", "actions": [{"@type": "Output", "port": 2}], "raw": ["AAE="]},
            {"@type": "GotoTable", "table_id": 3},
        ],
    }
    five_tuple = FiveTuple(1, IPv4Address("10.0.0.1"), IPv6Address("fe80::1"))
    hop = Hop(BridgeId("s1", "br0"), 1, None, arrived_by=Tunnel(7, five_tuple.source, None))
    document = to_document(hop)
    assert isinstance(document, dict)
    assert document["arrived_by"] == {"vni": 7, "source": "10.0.0.1", "destination": None}


def test_a_class_with_a_field_named_type_is_no_trouble() -> None:
    group = GroupEntry(1, GroupType.SELECT, ())
    assert to_document(group) == {"group_id": 1, "type": 1, "buckets": []}


def test_enums_go_by_value_fields_by_name_networks_as_text() -> None:
    match = Match.of(MaskedField(oxm.IPV4_DST, 0x0A000000, 0xFF000000))
    assert to_document(match) == {"fields": [{"field": "ipv4_dst", "value": 0x0A000000, "mask": 0xFF000000}]}
    assert to_document(Filter("x", source=IPv4Network("10.0.0.0/8"))) == {"text": "x", "source": "10.0.0.0/8"}
    bridge = Bridge(BridgeId("s1", "br0"), 1, BridgeRole.VSWITCH, (), ManagementSocket("/run/x"))
    document = to_document(bridge)
    assert isinstance(document, dict)
    assert document["role"] == "vswitch"
    assert document["attachment"] == {"@type": "ManagementSocket", "path": "/run/x"}


def test_a_set_is_written_in_one_order() -> None:
    hop = Hop(BridgeId("s1", "br0"), 1, None, seen=frozenset({Loc.OUT, Loc.IN, Loc.ERROR}))
    document = to_document(hop)
    assert isinstance(document, dict)
    assert document["seen"] == ["error", "in", "out"]


def test_decoded_fields_are_the_catalogue_s_own_objects() -> None:
    decoded = from_document(MaskedField, {"field": "reg3", "value": 1, "mask": 1})
    assert decoded.field is oxm.REGISTERS[3]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "Parts document is wrong at its top: [] is not a Parts object"),
        ({"fixed": [1, "a"]}, "Parts document is wrong at its top: Parts needs address, which is absent"),
        ({"fixed": [1, 2]}, "Parts document is wrong at fixed: 2 is not text"),
        ({"fixed": [1]}, "Parts document is wrong at fixed: [1] is not an array of 2"),
        ({"fixed": 1}, "Parts document is wrong at fixed: 1 is not an array"),
        ({"fixed": [True, "a"]}, "Parts document is wrong at fixed: True is not an integer"),
        ({"fixed": [1, "a"], "address": "10.0.0.256"}, "wrong at address: '10.0.0.256' is not a member of the union"),
        ({"fixed": [1, "a"], "address": None, "either": None}, "wrong at either: None is not a member of the union"),
        ({"fixed": [1, "a"], "address": None, "either": {}}, "wrong at either.@type: None is not one of SubField"),
        ({"fixed": [1, "a"], "address": None, "either": 1, "ratio": "1"}, "wrong at ratio: '1' is not a finite number"),
        ({"fixed": [1, "a"], "address": None, "either": 1, "new": 1}, "Parts has no new; a newer version may have"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(document: Any, message: str) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(CodecError) as caught:
        from_document(Parts, document)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "document", "message"),
    [
        (
            Match,
            {"fields": [{"field": "reg99", "value": 0, "mask": 0}]},
            "at fields[0].field: 'reg99' is not the name of",
        ),
        (ApplyActions, {"actions": [], "raw": ["AA", ""]}, "at raw[0]: 'AA' is not base64 text"),
        (ApplyActions, {"actions": [{"@type": "Loc"}]}, "at actions[0].@type: 'Loc' is not one of Output, "),
        (Bridge, {"id": {"node": "a", "name": "b"}, "dpid": 1, "role": 5}, "at role: 5 is not a BridgeRole"),
        (FiveTuple, {"protocol": 6, "source": 5}, "at source: 5 is not a member of the union"),
        (Conntrack, {"commit": 1}, "at commit: 1 is not true or false"),
    ],
)
def test_nested_misfits_name_their_whole_path(kind: type, document: Any, message: str) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(CodecError) as caught:
        from_document(kind, document)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Parts((1, 2), None, 3), "at fixed"),  # type: ignore[arg-type]  # wrong on purpose
        (Parts((1, "a"), "10.0.0.1", 3), "at address: '10.0.0.1' is not a member of the union"),  # type: ignore[arg-type]  # wrong on purpose
        (Parts((1, "a"), None, 3, float("nan")), "at ratio: nan is not a finite number"),
        (Match((MaskedField(oxm.Field("odd", 1, 1, 8), 0, 0),)), "at fields[0].field: <odd> is not an OpenFlow field"),
    ],
)
def test_values_that_break_their_declaration_are_not_written(value: object, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        to_json(value)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"fixed": [1, "a"]', b"\xff\xfe\xff", "[" * 100_000])
def test_text_that_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(CodecError, match="not a JSON document"):
        json_document(text)


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(CodecError) as caught:
        from_document(Parts, "x" * 500)
    assert len(str(caught.value)) < 200


def test_equal_values_give_equal_text() -> None:
    assert to_json(PARTS) == to_json(Parts((1, "a"), None, 3, 0.5)) == '{"fixed":[1,"a"],"address":null,"either":3}'


def test_a_type_without_a_document_form_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="no document form"):
        to_document(object())
