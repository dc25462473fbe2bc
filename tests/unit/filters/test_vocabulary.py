from vtrace_ovs.filters.vocabulary import FIELDS, KEYWORDS, REFUSED, Slot, protocol_name


def test_no_name_is_both_accepted_and_refused() -> None:
    assert not (FIELDS.keys() | KEYWORDS.keys()) & REFUSED.keys()
    assert not FIELDS.keys() & KEYWORDS.keys()


def test_every_slot_has_its_canonical_name_as_a_field() -> None:
    assert all(FIELDS[slot.value].slot is slot for slot in Slot)


def test_protocols_without_a_keyword_are_named_by_number() -> None:
    assert [protocol_name(number) for number in (1, 6, 17, 47)] == ["icmp", "tcp", "udp", "nw_proto=47"]
