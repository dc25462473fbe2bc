from vtrace_ovs.model.mac_table import MacEntry, MacTable, SwitchPort, VlanMode

TABLE = MacTable((MacEntry(2, 0, 7), MacEntry(2, 5, 8)), (SwitchPort(8, VlanMode.ACCESS, 5),), frozenset({8}))


def test_an_address_is_learned_within_a_vlan() -> None:
    assert (TABLE.port(2, 0), TABLE.port(2, 5), TABLE.port(2, 6), TABLE.port(3, 0)) == (7, 8, None, None)


def test_a_port_nobody_set_up_is_a_trunk_of_all_vlans() -> None:
    assert [TABLE.setting(port).mode for port in (7, 8)] == [VlanMode.TRUNK, VlanMode.ACCESS]
    assert TABLE.setting(7).carries(4095)


def test_a_port_carries_its_own_vlan_and_those_it_trunks() -> None:
    some = frozenset({6})
    ports = (
        SwitchPort(1, VlanMode.ACCESS, 5),
        SwitchPort(2, VlanMode.TRUNK, 0, some),
        SwitchPort(3, VlanMode.NATIVE_TAGGED, 5, some),
        SwitchPort(4, VlanMode.NATIVE_UNTAGGED, 5),
    )
    carried = [[vlan for vlan in (0, 5, 6, 7) if port.carries(vlan)] for port in ports]
    assert carried == [[5], [6], [5, 6], [5, 6, 7]]


def test_a_port_takes_floods_unless_somebody_said_otherwise() -> None:
    assert (TABLE.floods_to(7), TABLE.floods_to(8), MacTable().floods_to(8)) == (True, False, True)
