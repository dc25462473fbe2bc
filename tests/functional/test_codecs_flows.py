import re
from collections.abc import Callable, Iterator

import pytest
from flow_samples import ACTIONS, MATCHES, TLV_MAP
from openflow_peer import OpenFlowPeer

from vtrace_ovs.codecs.action_decoding import decode_action
from vtrace_ovs.codecs.action_encoding import encode_action
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.actions import Action, ApplyActions, Learn, SetField, WriteActions
from vtrace_ovs.model.flow import Flow, FlowMod, FlowModCommand
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import field
from vtrace_ovs.model.wording import instructions_text, match_text

PRIORITY = 7


@pytest.fixture
def bridge(ovs: OvsInstance) -> OvsInstance:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    ovs.ofctl("del-flows", "br0")
    ovs.ofctl("add-tlv-map", "br0", TLV_MAP)
    ovs.ofctl("add-group", "br0", "group_id=1,type=all,bucket=output:1")
    ovs.ofctl("add-meter", "br0", "meter=1,pktps,burst,stats,bands=type=drop,rate=10,burst_size=20")
    return ovs


def dumped(ovs: OvsInstance, table_id: int, pattern: str) -> dict[int, str]:
    """The part of each dumped flow that ``pattern`` captures, by cookie."""
    text = ovs.ofctl("dump-flows", "br0", f"table={table_id}")
    found = re.finditer(rf"^ cookie=(0x[0-9a-f]+).*{pattern}", text, re.MULTILINE)
    return {int(hit[1], 16): hit[2] for hit in found}


def install_matches(ovs: OvsInstance) -> None:
    lines = (f"table=1,cookie={n},priority={PRIORITY},{match},actions=drop" for n, match in enumerate(MATCHES, 1))
    ovs.ofctl("add-flows", "br0", "-", stdin="\n".join(lines))


def install_actions(ovs: OvsInstance) -> None:
    lines = (
        f"table=1,cookie={n},priority={n},{match}actions={actions}" for n, (match, actions) in enumerate(ACTIONS, 1)
    )
    ovs.ofctl("add-flows", "br0", "-", stdin="\n".join(lines))


def moved(flow: Flow, table_id: int) -> FlowMod:
    return FlowMod(FlowModCommand.ADD, table_id, flow.priority, flow.match, flow.cookie, instructions=flow.instructions)


def actions_of(flow: Flow) -> Iterator[Action]:
    for instruction in flow.instructions:
        if isinstance(instruction, ApplyActions | WriteActions):
            yield from instruction.actions


def test_every_match_reads_as_dump_flows_prints_it(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    install_matches(bridge)
    flows = peer("br0").flows(1)
    assert {flow.cookie: match_text(flow.match) for flow in flows} == dumped(bridge, 1, "priority=7,(.*) actions")
    assert len(flows) > 100


def test_every_match_sent_back_is_the_same_match_to_ovs(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    install_matches(bridge)
    connection = peer("br0")
    connection.modify(*(moved(flow, 2) for flow in connection.flows(1)))
    assert dumped(bridge, 2, "priority=7,(.*)") == dumped(bridge, 1, "priority=7,(.*)")


def test_every_action_sent_back_is_the_same_action_to_ovs(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    install_actions(bridge)
    connection = peer("br0")
    flows = connection.flows(1)
    connection.modify(*(moved(flow, 2) for flow in flows))
    assert len(flows) == len(ACTIONS)
    assert dumped(bridge, 2, "actions=(.*)") == dumped(bridge, 1, "actions=(.*)")


def test_every_action_but_learn_is_the_same_after_encoding_it_ourselves(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    install_actions(bridge)
    for flow in peer("br0").flows(1):
        for action in actions_of(flow):
            if not isinstance(action, Learn):
                assert decode_action(encode_action(action)) == action


def test_our_own_encoding_of_every_action_but_learn_is_accepted(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    install_actions(bridge)
    connection = peer("br0")
    for flow in connection.flows(1):
        if not any(isinstance(action, Learn) for action in actions_of(flow)):
            bare = tuple(
                type(part)(part.actions) if isinstance(part, ApplyActions | WriteActions) else part
                for part in flow.instructions
            )
            mod = moved(flow, 3)
            connection.modify(FlowMod(mod.command, 3, mod.priority, mod.match, mod.cookie, instructions=bare))
    assert len(connection.flows(3)) == len(ACTIONS) - 1


def test_common_actions_read_as_dump_flows_prints_them(
    bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    lines = (
        "ip,actions=dec_ttl,set_field:00:00:00:00:00:01->eth_src,load:0x1->NXM_NX_REG0[0..7],output:2",
        "tcp,actions=ct(commit,zone=5,nat(src=10.0.0.1-10.0.0.9:100-200),exec(set_field:0x1->ct_mark))",
        "udp,actions=ct(table=6,zone=NXM_NX_REG13[0..15])",
        "in_port=4,actions=resubmit(,5),resubmit:3,clone(output:1),move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
        "in_port=5,actions=controller(max_len=192,id=5,userdata=00.01,meter_id=1),NORMAL",
        "in_port=6,actions=push_vlan:0x8100,set_field:4196->vlan_vid,group:1",
        "in_port=7,actions=drop",
        "in_port=8,actions=meter:1,set_field:0x7->metadata,write_actions(output:1),goto_table:9",
        "in_port=9,actions=output:NXM_NX_REG0[0..15],IN_PORT,CONTROLLER:128",
        "conj_id=7,actions=push:NXM_NX_REG0[],pop:NXM_NX_REG1[],exit",
        "in_port=10,actions=conjunction(5,1/2),conjunction(6,2/3)",
        "in_port=11,actions=check_pkt_larger(1500)->NXM_NX_REG0[0],ct_clear,note:01.02.03.04.05.06",
        "arp,actions=set_field:0x5->tun_id,set_field:1.2.3.4->tun_dst,output(port=1,max_len=100)",
    )
    text = "\n".join(f"table=1,cookie={n},{line}" for n, line in enumerate(lines, 1))
    bridge.ofctl("add-flows", "br0", "-", stdin=text)
    flows = peer("br0").flows(1)
    assert {flow.cookie: instructions_text(flow.instructions) for flow in flows} == dumped(bridge, 1, "actions=(.*)")


def test_flow_stats_report_what_identifies_a_flow(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    bridge.ofctl(
        "add-flow", "br0", "table=3,cookie=0x53,priority=9,idle_timeout=20,hard_timeout=30,ip,actions=goto_table:9"
    )
    (flow,) = peer("br0").flows(3)
    assert (flow.table_id, flow.priority, flow.cookie) == (3, 9, 0x53)
    assert (flow.idle_timeout, flow.hard_timeout, flow.n_packets) == (20, 30, 0)
    assert 0 <= flow.duration < 60


def test_a_table_of_many_parts_is_reassembled(bridge: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    lines = (f"table=4,priority={n},metadata={n},actions=set_field:{n}->reg0,resubmit(,5)" for n in range(1, 3001))
    bridge.ofctl("add-flows", "br0", "-", stdin="\n".join(lines))
    assert {flow.priority for flow in peer("br0").flows(4)} == set(range(1, 3001))


@pytest.mark.usefixtures("bridge")
def test_a_match_on_overlapping_fields_is_the_same_as_on_their_parts(peer: Callable[[str], OpenFlowPeer]) -> None:
    connection = peer("br0")
    whole = field("xreg0")
    match = Match.of(MaskedField(whole, 1 << 32 | 2, whole.full_mask), MaskedField(field("vlan_vid"), 0x1064, 0x1FFF))
    connection.modify(FlowMod(FlowModCommand.ADD, 5, 1, match, 1))
    (flow,) = connection.flows(5)
    assert flow.match == match.taken_apart()
    assert match_text(flow.match) == "reg0=0x1,reg1=0x2,dl_vlan=100"


@pytest.mark.usefixtures("bridge")
@pytest.mark.parametrize(
    ("name", "value", "mask"),
    [
        ("reg0", 0x105, 0x10F),
        ("reg0", 0x50, 0xF0),
        ("xxreg0", 1 << 100, 1 << 100 | 1),
        ("tun_erspan_idx", 0x3, 0xF),
        ("eth_src", 0x020000000001, 0xFF00000000FF),
        ("metadata", 1 << 60, 1 << 60),
    ],
)
def test_bits_set_by_us_are_the_bits_ovs_sets(
    peer: Callable[[str], OpenFlowPeer], name: str, value: int, mask: int
) -> None:
    connection = peer("br0")
    action = SetField(field(name), value, mask)
    connection.modify(FlowMod(FlowModCommand.ADD, 6, 1, Match(), 1, instructions=(ApplyActions((action,)),)))
    (flow,) = connection.flows(6)
    seen = [(part.field, part.value, part.mask) for part in actions_of(flow) if isinstance(part, SetField)]
    assert {one for one, _, _ in seen} == {field(name)}
    assert sum(bits for _, bits, _ in seen) == value
    assert sum(bits for _, _, bits in seen) == mask
