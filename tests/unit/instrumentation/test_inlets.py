from dataclasses import replace
from ipaddress import IPv4Network

from vtrace_ovs.instrumentation.cookies import CookieKind, kind_of
from vtrace_ovs.instrumentation.entrance import Entrance
from vtrace_ovs.instrumentation.inlets import enter_flows, inlet_flows, inlet_ports, listening_flows, source_flows
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.site import Site
from vtrace_ovs.instrumentation.state import State, StateField
from vtrace_ovs.model.actions import Action, ApplyActions, Controller, Meter, Output, Resubmit
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import Flow, FlowMod
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import (
    ARP_OP,
    ETH_TYPE,
    ICMPV6_TYPE,
    IN_PORT,
    IP_DSCP,
    IP_FRAG,
    IP_PROTO,
    IPV4_SRC,
    PKT_MARK,
    TCP_DST,
    TUN_ID,
)
from vtrace_ovs.model.packet import IpFamily


def actions(mod: FlowMod) -> tuple[Action, ...]:
    (only,) = mod.instructions
    assert isinstance(only, ApplyActions)
    return only.actions


def value(mod: FlowMod, masked: MaskedField | None) -> int | None:
    assert mod.command.name == "ADD"
    return None if masked is None else masked.value


def test_packets_are_colored_once_per_series_and_the_rest_only_counted(site: Site) -> None:
    marks = MarkPlan.of().with_series(46)
    assert marks is not None
    mods = tuple(source_flows(replace(site, scene=replace(site.scene, marks=marks))))
    assert [(kind_of(mod.cookie), mod.priority, value(mod, mod.match.get(IP_DSCP))) for mod in mods] == [
        (CookieKind.COLOR, 65535, 0),
        (CookieKind.COLOR, 65535, 46),
        (CookieKind.UNCOLORED, 65534, None),
    ]
    assert actions(mods[1])[0] == site.state.load(State(traced=True, index=1, code=marks.code(1, 46), dscp=46, slot=5))
    for mod in mods:
        assert value(mod, mod.match.get(IN_PORT)) == 1
        assert value(mod, mod.match.get(ETH_TYPE)) == 0x0800
        assert mod.match.get(site.state.field) == site.state.unseen()
        assert isinstance(actions(mod)[1], Controller)
        assert actions(mod)[2] == Resubmit(None, 0)


def test_fragments_are_reported_and_colored_once_there_are_any(site: Site) -> None:
    fragments = (MaskedField(IP_FRAG, 1, 1), MaskedField(TCP_DST, 0, 0xFFFF))
    (reported,) = (mod for mod in listening_flows(site) if kind_of(mod.cookie) is CookieKind.FRAGMENT)
    assert all(masked in reported.match.fields for masked in fragments)
    fragmented = replace(site, tasks=(replace(site.tasks[0], fragments=True),))
    colored = [mod for mod in source_flows(fragmented) if kind_of(mod.cookie) is CookieKind.COLOR]
    assert [fragments[0] in mod.match.fields for mod in colored] == [False, True]
    assert CookieKind.FRAGMENT not in (kind_of(mod.cookie) for mod in listening_flows(fragmented))


def test_marks_are_expected_only_from_armed_vfds(site: Site) -> None:
    assert [port.ofport for port in inlet_ports(site)] == [2, 3, 4]
    alone = replace(site, scene=replace(site.scene, armed=frozenset({site.bridge.id})))
    assert inlet_ports(alone) == ()
    assert tuple(inlet_flows(alone)) == ()


def test_a_mark_becomes_state_one_hop_on(site: Site) -> None:
    marks = site.scene.marks
    mods = [mod for mod in inlet_flows(site) if kind_of(mod.cookie) is CookieKind.MARK]
    assert len(mods) == 3 * marks.length
    for mod, mark in zip(mods, marks.marks() * 3, strict=True):
        assert value(mod, mod.match.get(IP_DSCP)) == mark.code
        state = State(index=mark.hop + 1, code=marks.code(mark.hop + 1, mark.dscp), dscp=mark.dscp)
        assert actions(mod) == (site.state.load(state), Resubmit(None, 253))


def test_the_task_is_found_by_port_vni_and_five_tuple(site: Site) -> None:
    alias = Filter("nat", protocol=6, source=IPv4Network("203.0.113.9/32"))
    task = replace(site.tasks[0], vnis=frozenset({5001, 5002}), aliases=(alias,))
    mods, without = (
        [mod for mod in inlet_flows(replace(site, tasks=(task,))) if kind_of(mod.cookie) is wanted]
        for wanted in (CookieKind.CLASSIFY, CookieKind.RESTORE)
    )
    assert {mod.table_id for mod in (*mods, *without)} == {253}
    assert [mod.match for mod in mods] == [mod.match for mod in without]
    assert {mod.priority for mod in mods} == {mod.priority + 1 for mod in without}
    assert {actions(mod) for mod in without} == {(site.state.restore_dscp(), Resubmit(None, 0))}
    keys = [(value(mod, mod.match.get(IN_PORT)), value(mod, mod.match.get(TUN_ID))) for mod in mods]
    assert keys == [(2, None), (2, None), (3, 5001), (3, 5002), (3, 5001), (3, 5002), (4, None), (4, None)]
    adopt, restore, log, again = actions(mods[0])
    assert (adopt, restore, again) == (site.state.adopt(5), site.state.restore_dscp(), Resubmit(None, 0))
    assert isinstance(log, Controller)


def test_a_marked_packet_of_nobody_goes_on_as_it_came(site: Site) -> None:
    *_, last = inlet_flows(site)
    assert kind_of(last.cookie) is CookieKind.FOREIGN
    assert (last.table_id, last.match.fields) == (253, ())
    assert last.priority > 0, "OVS would give its copies the reason of a table-miss"
    assert [type(action) for action in actions(last)] == [Controller, Resubmit]


def test_with_pkt_mark_only_traced_packets_ever_get_state(site: Site) -> None:
    marked = replace(site, state=StateField(PKT_MARK))
    assert [kind_of(mod.cookie) for mod in source_flows(marked)] == [CookieKind.COLOR]
    mods = tuple(inlet_flows(marked))
    assert {(mod.table_id, mod.priority) for mod in mods} == {(0, 65535)}
    assert len(mods) == 3 * site.scene.marks.length
    for mod in mods:
        load = actions(mod)[0]
        mark = site.scene.marks.mark(value(mod, mod.match.get(IP_DSCP)) or 0)
        assert mark is not None
        code = site.scene.marks.code(mark.hop + 1, 0)
        assert load == marked.state.load(State(traced=True, index=mark.hop + 1, code=code, slot=5))


def test_a_port_is_listened_to_for_questions_once_whoever_traces_there(site: Site) -> None:
    other = replace(site.tasks[0], slot=6, filter=Filter("udp", protocol=17))
    (mod,) = (
        mod
        for mod in listening_flows(replace(site, tasks=(*site.tasks, other)))
        if kind_of(mod.cookie) is CookieKind.ASKED
    )
    assert (kind_of(mod.cookie), mod.table_id, mod.priority) == (CookieKind.ASKED, 0, 65533)
    assert [value(mod, mod.match.get(entry)) for entry in (IN_PORT, ETH_TYPE, ARP_OP)] == [1, 0x0806, 1]
    assert mod.match.get(site.state.field) == site.state.unseen()
    load, log, again = actions(mod)
    assert (load, again) == (site.state.load(State()), Resubmit(None, 0))
    assert isinstance(log, Controller)
    assert log.meter_id == site.book.meters.apart


def test_a_state_that_outlives_the_bridge_is_not_given_to_questions(site: Site) -> None:
    assert tuple(listening_flows(replace(site, state=StateField(PKT_MARK)))) == ()


def test_a_filter_of_ipv6_listens_for_solicitations(site: Site) -> None:
    task = replace(site.tasks[0], filter=Filter("tcp6", protocol=6, family=IpFamily.IPV6))
    (mod,) = (mod for mod in listening_flows(replace(site, tasks=(task,))) if kind_of(mod.cookie) is CookieKind.ASKED)
    assert [value(mod, mod.match.get(entry)) for entry in (ETH_TYPE, IP_PROTO, ICMPV6_TYPE)] == [0x86DD, 58, 135]


def test_five_tuples_looked_up_aside_leave_no_address_in_the_first_table(site: Site) -> None:
    aside = replace(site, entrance=Entrance(aside=True))
    entering, others = enter_flows(aside)
    assert (entering.table_id, value(entering, entering.match.get(IP_PROTO))) == (0, 6)
    assert entering.match.get(IPV4_SRC) is None
    assert actions(entering) == (Resubmit(None, 253),)
    assert (others.table_id, actions(others)) == (253, (site.state.load(State()), Resubmit(None, 0)))
    sources = tuple(source_flows(aside))
    assert [(mod.table_id, kind_of(mod.cookie)) for mod in sources] == [
        (253, CookieKind.COLOR),
        (253, CookieKind.UNCOLORED),
    ]
    assert others.priority < min(mod.priority for mod in sources)
    assert tuple(enter_flows(site)) == ()


def test_marked_packets_of_a_patch_port_stay_isolated_where_productions_are(site: Site) -> None:
    web = Match.of(MaskedField(TCP_DST, 80, TCP_DST.full_mask))
    metered, plain = Flow(0, 7, web, (Meter(7),)), Flow(0, 1, Match(), (ApplyActions((Output(1),)),))
    isolating = replace(site, entrance=Entrance(first=(metered, plain)))
    marking = [mod for mod in inlet_flows(isolating) if kind_of(mod.cookie) is CookieKind.MARK]
    per_port = {port: [mod for mod in marking if value(mod, mod.match.get(IN_PORT)) == port] for port in (2, 3, 4)}
    assert not any(isinstance(actions(mod)[0], Output) for port in (3, 4) for mod in per_port[port])
    layers = {(mod.priority, mod.match.get(TCP_DST) is not None, actions(mod)[0]) for mod in per_port[2]}
    load = {actions(mod)[0] for mod in per_port[2] if mod.priority == 65534}
    assert layers == {(65535, True, Output(2, 64)), *((65534, False, each) for each in load)}
    assert len(per_port[2]) == 2 * len(per_port[3])
    assert tuple(inlet_flows(replace(site, entrance=Entrance(first=(plain,))))) == tuple(inlet_flows(site))
