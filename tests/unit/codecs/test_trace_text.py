"""What ``ofproto/trace`` prints, as Open vSwitch 3.1 printed it."""

from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.codecs.trace_text import parse_trace

ACROSS_BRIDGES = """\
Flow: tcp,in_port=2

bridge("br-int")
----------------
 0. in_port=2, priority 100, cookie 0x7fec9540
    resubmit(,39)
39. reg15=0x1, priority 100, cookie 0xf38680bc
    output:3
     -> output to native tunnel

    bridge("br-phy")
    ----------------
         0. priority 0
            NORMAL
             -> forwarding to learned port
    resubmit(,40)
    40. priority 0
            output:1

        bridge("br-ex")
        ---------------
             0. priority 0
                NORMAL
10. priority 7
    drop

Final flow: unchanged
Datapath actions: 2
"""


def test_a_lookup_is_the_bridges_it_was_made_in_also_after_a_tunnel_or_a_patch_port() -> None:
    found = parse_trace(ACROSS_BRIDGES, PortNames()).lookups
    assert [(each.bridge, each.table_id) for each in found] == [
        ("br-int", 0), ("br-int", 39), ("br-phy", 0), ("br-int", 40), ("br-ex", 0), ("br-int", 10),
    ]  # fmt: skip
