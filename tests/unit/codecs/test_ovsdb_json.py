import pytest

from vtrace_ovs.codecs.ovsdb_json import SELECTED_COLUMNS, Json, decode_rows, select_operations, string_map, string_set
from vtrace_ovs.errors import CodecError

EMPTY_SET: Json = ["set", []]
EMPTY_MAP: Json = ["map", []]


def uuid(name: str) -> Json:
    return ["uuid", name]


def answer() -> dict[str, list[Json]]:
    """What ovsdb-server says about one bridge with a bond of two interfaces."""
    member = {"type": "", "options": EMPTY_MAP, "external_ids": EMPTY_MAP, "error": EMPTY_SET, "mtu": EMPTY_SET}
    member |= {"ingress_policing_rate": 64}
    return {
        "Open_vSwitch": [
            {
                "_uuid": uuid("o"),
                "external_ids": ["map", [["hostname", "n"]]],
                "other_config": ["map", [["vlan-limit", "2"]]],
                "ovs_version": "3.1.0",
                "bridges": uuid("b"),
            }
        ],
        "Bridge": [
            {
                "_uuid": uuid("b"),
                "name": "br0",
                "datapath_id": "00000000000000ff",
                "datapath_type": "",
                "ports": uuid("p"),
                "controller": uuid("c"),
                "protocols": ["set", ["OpenFlow15", "OpenFlow13"]],
                "fail_mode": EMPTY_SET,
                "external_ids": EMPTY_MAP,
            }
        ],
        "Port": [{"_uuid": uuid("p"), "name": "bond0", "interfaces": ["set", [uuid("i2"), uuid("i1")]]}],
        "Interface": [
            {"_uuid": uuid("i1"), "name": "eth1", "ofport": 1, **member},
            {"_uuid": uuid("i2"), "name": "eth2", "ofport": EMPTY_SET, **member},
        ],
        "Controller": [
            {
                "_uuid": uuid("c"),
                "target": "tcp:192.0.2.1:6653",
                "external_ids": ["map", [["owner", "x"]]],
                "is_connected": True,
                "role": "master",
                "status": ["map", [["sec_since_connect", "12"]]],
            }
        ],
    }


def results(tables: dict[str, list[Json]]) -> list[Json]:
    return [{"rows": tables[table]} for table in SELECTED_COLUMNS]


def test_the_query_selects_every_table_whole() -> None:
    operations = select_operations()
    assert [operation["table"] for operation in operations] == list(SELECTED_COLUMNS)
    assert all(operation["op"] == "select" and operation["where"] == [] for operation in operations)


def test_references_are_followed_and_interfaces_sorted_by_name() -> None:
    rows = decode_rows("unix:/db", results(answer()))
    (bridge,) = rows.bridges
    assert (rows.ovs_version, rows.external_ids) == ("3.1.0", {"hostname": "n"})
    assert [(interface.name, interface.ofport) for interface in bridge.interfaces] == [("eth1", 1), ("eth2", None)]
    assert [interface.ingress_policing_rate for interface in bridge.interfaces] == [64, 64]
    assert bridge.protocols == ("OpenFlow13", "OpenFlow15")
    assert bridge.fail_mode is None
    (controller,) = bridge.controllers
    assert (controller.target, controller.external_ids) == ("tcp:192.0.2.1:6653", {"owner": "x"})
    assert (controller.connected, controller.role, controller.status) == (True, "master", {"sec_since_connect": "12"})


def test_an_open_vswitch_without_bridges_is_empty() -> None:
    tables = answer()
    tables["Open_vSwitch"] = [
        {
            "_uuid": uuid("o"),
            "external_ids": EMPTY_MAP,
            "other_config": EMPTY_MAP,
            "ovs_version": EMPTY_SET,
            "bridges": EMPTY_SET,
        }
    ]
    rows = decode_rows("unix:/db", results(tables))
    assert rows.bridges == ()
    assert rows.ovs_version is None


@pytest.mark.parametrize(
    "broken",
    [
        [],
        [None] * 5,
        [{"rows": []}] * 5,
        [{"rows": "none"}] * 5,
        [{"count": 1}] * 5,
        results({**answer(), "Interface": []}),
        results({**answer(), "Port": [{"_uuid": uuid("p"), "name": "bond0", "interfaces": 7}]}),
        results({**answer(), "Bridge": [{"_uuid": uuid("b")}]}),
        results({**answer(), "Port": [{"_uuid": [], "name": "bond0", "interfaces": []}]}),
        results({**answer(), "Controller": [{"_uuid": uuid("c"), "target": "t", "external_ids": ["set", []]}]}),
    ],
)
def test_an_answer_of_another_shape_is_a_codec_error(broken: list[Json]) -> None:
    with pytest.raises(CodecError, match=r"unix:/db: the answer is not the content of an Open_vSwitch database"):
        decode_rows("unix:/db", broken)


def test_a_set_of_one_is_written_as_its_element() -> None:
    assert string_set("a") == ("a",)
    assert string_set(["uuid", "u"]) == ("u",)
    assert string_set(["set", ["a", "b"]]) == ("a", "b")
    assert string_set(EMPTY_SET) == ()


@pytest.mark.parametrize("value", [None, "a", 3, ["set", []], ["map", "ab"], ["map", ["ab"]], ["map", [3]]])
def test_what_is_not_a_map_is_refused(value: Json) -> None:
    with pytest.raises(TypeError):
        string_map(value)
