from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.site import Site, apply
from vtrace_ovs.model.actions import ApplyActions, Output
from vtrace_ovs.model.flow import FlowModCommand
from vtrace_ovs.model.match import Match


def test_a_flow_of_ours_says_by_its_cookie_what_it_is_for(site: Site) -> None:
    mod = site.flow((7, 9), Match(), CookieKind.LEAVE, apply(Output(1)), 5)
    assert (mod.command, mod.table_id, mod.priority) == (FlowModCommand.ADD, 7, 9)
    assert Cookie.of(mod.cookie) == Cookie(3, CookieKind.LEAVE, 5)
    assert mod.instructions == (ApplyActions((Output(1),)),)
