from vtrace_ovs.lab.program import EMPTY_PROGRAM, BridgeProgram, FlowLine, GroupLine, MeterLine, change

WEB = FlowLine(40, 100, "tcp,tp_dst=443", "goto_table:50", 0x1)
REST = FlowLine(40, 0, "", "drop", 0x2)


def test_a_flow_is_written_as_ovs_ofctl_reads_it() -> None:
    assert WEB.add_line() == "add table=40,priority=100,tcp,tp_dst=443,cookie=0x1,actions=goto_table:50"
    assert REST.delete_line() == "delete_strict table=40,priority=0"


def test_of_flows_with_equal_keys_the_first_counts() -> None:
    twin = FlowLine(40, 100, "tcp,tp_dst=443", "drop", 0x3)
    assert BridgeProgram.of([WEB, twin, REST]).flows == (WEB, REST)


def test_a_new_bridge_gets_everything() -> None:
    step = change(EMPTY_PROGRAM, BridgeProgram((WEB, REST), (MeterLine(10, 5, 1),)))
    assert step.flow_bundle == f"{WEB.add_line()}\n{REST.add_line()}\n"
    assert step.added_meters == (MeterLine(10, 5, 1),)


def test_only_the_difference_is_sent() -> None:
    changed = FlowLine(40, 0, "", "goto_table:50", 0x2)
    step = change(BridgeProgram((WEB, REST)), BridgeProgram((changed,)))
    assert step.flow_bundle == f"{WEB.delete_line()}\n{changed.add_line()}\n"


def test_there_and_back_is_where_it_was() -> None:
    one, other = BridgeProgram((WEB, REST)), BridgeProgram((REST,))
    assert change(one, other).flow_bundle == f"{WEB.delete_line()}\n"
    assert change(other, one).flow_bundle == f"{WEB.add_line()}\n"
    assert not change(one, one).flow_bundle


def test_meters_are_added_modified_and_deleted() -> None:
    old = BridgeProgram((), (MeterLine(10, 5, 1), MeterLine(11, 5, 1)))
    step = change(old, BridgeProgram((), (MeterLine(10, 1, 1), MeterLine(12, 5, 1))))
    assert step.added_meters == (MeterLine(12, 5, 1),)
    assert step.modified_meters == (MeterLine(10, 1, 1),)
    assert step.deleted_meters == (11,)


def test_a_meter_counts_packets_and_has_a_burst() -> None:
    assert MeterLine(10, 5, 2).text() == "meter=10,pktps,burst,stats,bands=type=drop,rate=5,burst_size=2"


def test_groups_are_set_before_flows_that_use_them_and_go_with_them() -> None:
    one, other = GroupLine(7, "type=select"), GroupLine(7, "type=all")
    assert one.text() == "group_id=7,type=select"
    assert change(EMPTY_PROGRAM, BridgeProgram(groups=(one,))).set_groups == (one,)
    changed = change(BridgeProgram(groups=(one,)), BridgeProgram(groups=(other,)))
    assert (changed.set_groups, changed.deleted_groups) == ((other,), ())
    assert change(BridgeProgram(groups=(one,)), EMPTY_PROGRAM).deleted_groups == (7,)
