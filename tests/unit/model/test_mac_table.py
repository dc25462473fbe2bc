from vtrace_ovs.model.mac_table import AccessPort, MacEntry, MacTable

TABLE = MacTable((MacEntry(2, 0, 7), MacEntry(2, 5, 8)), (AccessPort(8, 5),))


def test_an_address_is_learned_within_a_vlan() -> None:
    assert (TABLE.port(2, 0), TABLE.port(2, 5), TABLE.port(2, 6), TABLE.port(3, 0)) == (7, 8, None, None)


def test_a_port_without_a_tag_is_a_trunk() -> None:
    assert (TABLE.access_vlan(8), TABLE.access_vlan(7)) == (5, None)
