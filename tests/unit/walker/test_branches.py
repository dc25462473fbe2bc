from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop
from vtrace_ovs.walker.branches import Branch, in_reading_order


def hop(port: int, ending: Ending | None = None) -> Hop:
    return Hop(BridgeId("a", "sw"), 1, 1, port, ending=ending)


def test_the_branch_that_counts_most_is_last_and_parents_come_first() -> None:
    deep = Branch(hop(2), (Branch(hop(3, Ending.DROPPED)), Branch(hop(4, Ending.HANDED_TO_PORT))))
    hops = in_reading_order((deep, Branch(hop(5, Ending.UNKNOWN))))
    assert [one.out_port for one in hops] == [5, 2, 3, 4]
    assert [one.parent for one in hops] == [None, None, 1, 1]


def test_a_vm_counts_more_than_a_mirror_port_and_among_equals_the_first() -> None:
    mirror, vm = hop(8, Ending.HANDED_TO_PORT), hop(9, Ending.HANDED_TO_PORT)
    assert in_reading_order((Branch(vm, names_vm=True), Branch(mirror)))[-1].out_port == 9
    assert in_reading_order((Branch(mirror), Branch(vm)))[-1].out_port == 8
