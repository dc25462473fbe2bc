from collections.abc import Callable

from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry
from vtrace_ovs.walker.undecided import unknown_fields


def test_every_field_that_keeps_a_flow_open_is_named_once(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    flows = [flow(0, 1, match(ct_mark=1, reg0=2)), flow(0, 2, match(ct_mark=3, tun_gbp_id=4))]
    entries = [Entry(each, *layout.packed_match(each.match.fields)) for each in flows]
    why = unknown_fields(entries, layout.UNMODELLED | layout.bits_of("ct_mark"))
    assert why.reason == "the flows here match on ct_mark, tun_gbp_id, and its value is not known"
