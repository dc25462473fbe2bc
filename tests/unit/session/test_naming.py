from vtrace_ovs.model.profile import GENERIC_PROFILE, CookieSource, NamedFlow, PipelineProfile
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition, Verdict
from vtrace_ovs.session.commands import NameFlows
from vtrace_ovs.session.naming import Naming

HERE, THERE = BridgeId("c1", "br-int"), BridgeId("c1", "br-ex")
OVN = PipelineProfile("ovn", cookies=CookieSource.OVN_SOUTHBOUND)
PROFILES = {HERE: OVN, THERE: GENERIC_PROFILE}
NAMED = NamedFlow(7, "ls_out_acl", "ACL 7")


def blaming(cookie: int | None, bridge: BridgeId = HERE) -> Verdict:
    sides = Disposition.DROPPED, CauseCategory.UNKNOWN, CauseCode.EXPLICIT_DROP, Confidence.OBSERVED
    return Verdict(*sides, "", "", culprit=Culprit("c1", bridge, cookie=cookie))


def test_only_flows_somebody_can_name_are_asked_for() -> None:
    naming = Naming(2.0)
    for verdict in (blaming(None), blaming(0), blaming(8, THERE), blaming(9), blaming(7), blaming(7)):
        naming.notice(verdict, PROFILES)
    assert naming.ask(10.0) == (NameFlows((7, 9)),)
    assert naming.ask(10.0) == ()


def test_a_cookie_without_an_answer_is_asked_for_again_after_a_while() -> None:
    naming = Naming(2.0)
    asked = []
    for at in (10.0, 11.0, 12.0):
        naming.notice(blaming(7), PROFILES)
        asked.append(naming.ask(at))
    assert asked == [(NameFlows((7,)),), (), (NameFlows((7,)),)]


def test_answers_are_awaited_but_not_for_ever() -> None:
    naming = Naming(2.0)
    naming.notice(blaming(7), PROFILES)
    naming.ask(10.0)
    assert [naming.awaits(at) for at in (10.0, 11.9, 12.0)] == [True, True, False]
    assert naming.take((7,), ()) == frozenset()
    assert not naming.awaits(11.0)


def test_what_was_said_is_told_to_profiles_that_asked() -> None:
    naming = Naming(2.0)
    assert naming.take((7,), (NAMED,)) == {7}
    naming.notice(blaming(7), PROFILES)
    assert naming.ask(10.0) == ()
    assert naming.told(OVN).owner(7) == "ACL 7"
    assert naming.told(GENERIC_PROFILE) is GENERIC_PROFILE
