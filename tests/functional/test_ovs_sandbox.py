from vtrace_ovs.lab.daemons import OvsInstance


def test_a_private_open_vswitch_answers_on_its_management_socket(ovs: OvsInstance) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    assert "priority=0 actions=NORMAL" in ovs.ofctl("dump-flows", "br0")
    assert ovs.management_socket("br0").exists()
