from vtrace_ovs.codecs.datapath_text import full_zones, masks, megaflows_and_upcalls
from vtrace_ovs.model.cost import FullZone

USERSPACE = """\
netdev@ovs-netdev:
  lookups: hit:595 missed:7 lost:0
  flows: 5
  port 0: ovs-netdev (tap)
"""
KERNEL = """\
system@ovs-system:
  lookups: hit:10 missed:2 lost:1
  flows: 3
  masks: hit:24 total:2 hit/pkt:2.00
  cache: hit:1 hit-rate:10.00%
  port 0: ovs-system (internal)
"""
SUBTABLES = """\
Available dpcls implementations:
  autovalidator (Use count: 1, Priority: 0)
  generic (Use count: 4, Priority: 1)
"""
OLD_SUBTABLES = "Available lookup functions (priority : name)\n  0 : autovalidator\n  1 : generic\n"


def test_the_userspace_datapath_has_a_subtable_per_mask() -> None:
    assert megaflows_and_upcalls(USERSPACE) == (5, 7)
    assert masks(USERSPACE, SUBTABLES) == 5


def test_the_kernel_counts_masks_itself() -> None:
    assert megaflows_and_upcalls(KERNEL) == (3, 2)
    assert masks(KERNEL, "") == 2


def test_two_datapaths_are_added_up() -> None:
    assert megaflows_and_upcalls(USERSPACE + KERNEL) == (8, 9)
    assert masks(USERSPACE + KERNEL, SUBTABLES) == 7


def test_what_is_not_printed_is_not_known() -> None:
    assert megaflows_and_upcalls("") == (None, None)
    assert masks(USERSPACE, OLD_SUBTABLES) is None
    assert masks(USERSPACE + KERNEL, "") is None


def test_zones_at_their_limit_are_full() -> None:
    limits = "default limit=0\nzone=7,limit=1,count=1\nzone=8,limit=5,count=4\nzone=9,limit=0,count=3\n"
    assert full_zones(limits) == (FullZone(7, 1, 1),)
