import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.diagnosis.causes import CATEGORIES
from vtrace_ovs.diagnosis.wording import WORDINGS, Particulars, Wording, operator_sentence, wording_of
from vtrace_ovs.model.verdict import CauseCode, Disposition

EVERY_CASE = [(code, disposition) for code in CauseCode for disposition in Disposition]
INFRASTRUCTURE = re.compile(
    r"\{|\}|\d|/|`|\b(br-|ofport|tables?|cookies?|vnis?|vteps?|vfds?|vxlan|tunnels?|open ?vswitch|ovs|vswitchd|"
    r"buckets?|groups?|meters?|nodes?|bridges?|patch|ports?|flows?|dscp)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize(("code", "disposition"), EVERY_CASE)
def test_tenant_sentences_and_wordings_hold_no_infrastructure_identifier(
    code: CauseCode, disposition: Disposition
) -> None:
    wording = wording_of(code, disposition)
    assert not INFRASTRUCTURE.search(wording.tenant)
    assert wording.tenant.endswith(".")
    assert wording.tenant[0].isupper()


@pytest.mark.parametrize("code", [code for code in CauseCode if code is not CauseCode.NONE])
def test_every_cause_has_its_own_words_and_a_remedy(code: CauseCode) -> None:
    assert code in CATEGORIES
    assert WORDINGS[code].operator.endswith(".")
    assert WORDINGS[code].remedy


def test_no_two_causes_are_told_in_the_same_words() -> None:
    for told in ("operator", "tenant"):
        assert len({getattr(wording, told) for wording in WORDINGS.values()}) == len(WORDINGS)


@given(st.builds(Particulars, st.text(), st.text(), st.text(), st.text()), st.sampled_from(list(WORDINGS.values())))
def test_operator_sentences_are_printable_whatever_they_name(particulars: Particulars, wording: Wording) -> None:
    assert operator_sentence(wording, particulars).isprintable()


def test_braces_in_a_name_are_only_text() -> None:
    sentence = operator_sentence(WORDINGS[CauseCode.UNDERLAY_LOSS], Particulars(place="{flow}", towards="{0}"))
    assert sentence == "Lost between {flow} and {0}."
