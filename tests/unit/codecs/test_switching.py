from collections.abc import Mapping

import pytest

from vtrace_ovs.codecs.ovsdb_json import Json
from vtrace_ovs.codecs.switching import mac_entries, mac_table, switch_operations
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.mac_table import MacEntry, SwitchPort, VlanMode

HEADING = " port  VLAN  MAC                Age\n"
EMPTY: Json = ["set", []]
NO_OPTIONS: Json = ["map", []]
BRIDGE: dict[str, Json] = {
    "_uuid": ["uuid", "b"],
    "ports": ["set", [["uuid", "p1"], ["uuid", "p2"]]],
    "mirrors": EMPTY,
    "stp_enable": False,
    "flood_vlans": EMPTY,
    "other_config": NO_OPTIONS,
}
PORT: dict[str, Json] = {
    "name": "p",
    "tag": EMPTY,
    "trunks": EMPTY,
    "vlan_mode": EMPTY,
    "other_config": NO_OPTIONS,
}


def port(number: int, **columns: Json) -> dict[str, Json]:
    return PORT | {"_uuid": ["uuid", f"p{number}"], "interfaces": ["uuid", f"i{number}"]} | columns


def results(*ports: Mapping[str, Json], bridge: Mapping[str, Json] = BRIDGE, options: Json = NO_OPTIONS) -> list[Json]:
    interfaces: list[Json] = [
        {"_uuid": ["uuid", f"i{number}"], "ofport": ofport, "options": options}
        for number, ofport in ((1, 7), (2, 65534), (3, 9))
    ]
    return [{"rows": [bridge]}, {"rows": list(ports)}, {"rows": interfaces}]


def test_learned_addresses_are_read_with_their_ports() -> None:
    text = HEADING + "   10     0  00:00:00:00:00:01    4\nLOCAL     5  0a:00:00:00:00:02  static\n"
    assert mac_entries(text) == (MacEntry(1, 0, 10), MacEntry(0x0A0000000002, 5, OFPP_LOCAL))
    assert mac_entries(HEADING) == ()


@pytest.mark.parametrize("text", ["", "no such bridge", HEADING + "1 2 3", HEADING + "²  0  00:00:00:00:00:01  1"])
def test_text_that_is_no_mac_table_is_an_error(text: str) -> None:
    with pytest.raises(CodecError):
        mac_entries(text)


def test_each_port_of_the_bridge_has_its_vlans_and_others_are_left_out() -> None:
    rows = port(1, tag=5, vlan_mode="native-untagged", trunks=["set", [5, 6]]), port(2, tag=0), port(3, tag=9)
    found = mac_table(results(*rows), ())
    assert found.ports == (
        SwitchPort(7, VlanMode.NATIVE_UNTAGGED, 5, frozenset({5, 6})),
        SwitchPort(OFPP_LOCAL, VlanMode.ACCESS, 0),
    )
    assert (found.no_flood, found.unmodelled) == (None, None)
    assert mac_table(results(port(1, tag=5, vlan_mode="trunk")), ()).ports == (SwitchPort(7),)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"mirrors": ["uuid", "m"]}, "it mirrors traffic"),
        ({"stp_enable": True}, "a spanning tree may block its ports"),
        ({"rstp_enable": True}, "a spanning tree may block its ports"),
        ({"mcast_snooping_enable": True}, "it snoops multicast"),
        ({"flood_vlans": ["set", [3, 4]]}, "it learns nothing in some VLANs (flood_vlans)"),
        ({"other_config": ["map", [["forward-bpdu", "true"]]]}, "it forwards reserved addresses (forward-bpdu)"),
    ],
)
def test_what_a_bridge_does_beside_learning_is_named(columns: dict[str, Json], reason: str) -> None:
    assert mac_table(results(port(1), bridge=BRIDGE | columns), ()).unmodelled == reason


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"interfaces": ["set", [["uuid", "i1"], ["uuid", "i3"]]]}, "p is a bond"),
        ({"vlan_mode": "dot1q-tunnel"}, "p is a dot1q-tunnel"),
        ({"other_config": ["map", [["priority-tags", "always"]]]}, "p sends priority tags"),
        ({"protected": True}, "p is protected from other ports"),
    ],
)
def test_what_a_port_does_beside_learning_is_named(columns: dict[str, Json], reason: str) -> None:
    assert mac_table(results(port(1, **columns)), ()).unmodelled == reason


def test_a_port_without_ethernet_headers_is_named() -> None:
    found = mac_table(results(port(1), options=["map", [["packet_type", "legacy_l3"]]]), ())
    assert found.unmodelled == "it has a port without Ethernet headers"


@pytest.mark.parametrize("broken", [[], [None, None, None], [{"rows": []}, {"rows": []}, {"rows": []}]])
def test_rows_of_another_shape_are_an_error(broken: list[Json]) -> None:
    with pytest.raises(CodecError, match="no Open_vSwitch database"):
        mac_table(broken, ())


def test_only_the_bridge_asked_for_is_selected() -> None:
    assert [(each["table"], each["where"]) for each in switch_operations("br0")] == [
        ("Bridge", [["name", "==", "br0"]]), ("Port", []), ("Interface", []),
    ]  # fmt: skip
