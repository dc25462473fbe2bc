import pytest

from vtrace_ovs.model.oxm import (
    CATALOGUE,
    EXPERIMENTER_CLASS,
    ONF,
    SubField,
    components,
    field,
    rank,
    sized,
    unnamed,
)


def test_names_and_headers_are_unique() -> None:
    names = [name for entry in CATALOGUE for name in (entry.name, *entry.names)]
    headers = [(entry.oxm_class, entry.oxm_field, entry.experimenter) for entry in CATALOGUE]
    headers += [(oxm_class, number, None) for entry in CATALOGUE for oxm_class, number in entry.aliases]
    assert len(names) == len(set(names))
    assert len(headers) == len(set(headers))


def test_every_width_fits_its_payload() -> None:
    assert all(0 < entry.width <= 8 * entry.n_bytes for entry in CATALOGUE)


def test_experimenter_fields_and_no_others_have_an_experimenter() -> None:
    assert all((entry.oxm_class == EXPERIMENTER_CLASS) is (entry.experimenter is not None) for entry in CATALOGUE)


@pytest.mark.parametrize(
    ("other", "name"),
    [("nw_src", "ipv4_src"), ("dl_type", "eth_type"), ("ip_ecn", "ip_ecn"), ("tunnel_id", "tun_id")],
)
def test_other_spellings_name_the_same_field(other: str, name: str) -> None:
    assert field(other) is field(name)


def test_a_name_ovs_does_not_have_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        field("colour")


def test_numbers_are_those_of_the_manual() -> None:
    assert (field("tcp_flags").experimenter, field("tcp_flags").oxm_field) == (ONF, 42)
    assert (field("ct_state").oxm_class, field("ct_state").oxm_field) == (1, 105)
    assert (field("xxreg3").oxm_class, field("xxreg3").oxm_field) == (1, 114)
    assert (field("tun_metadata63").oxm_class, field("tun_metadata63").oxm_field) == (1, 103)
    assert field("ip_dscp").full_mask == 0x3F


def test_registers_overlap_as_in_ovs() -> None:
    assert components(field("xreg1")) == (
        (32, SubField(field("reg2"), 0, 32)),
        (0, SubField(field("reg3"), 0, 32)),
    )
    assert [part.field.name for _, part in components(field("xxreg1"))] == ["reg4", "reg5", "reg6", "reg7"]
    assert components(field("reg0")) == ()


def test_prerequisites_come_first() -> None:
    order = ["eth_type", "ip_proto", "tcp_dst"]
    assert sorted(order, key=lambda name: rank(field(name))) == order
    assert rank(unnamed(0xFFFE, 1, 4)) == len(CATALOGUE)


def test_one_object_per_length_and_per_header() -> None:
    assert sized(field("tun_metadata0"), 4) is sized(field("tun_metadata0"), 4)
    assert sized(field("reg0"), 4) is field("reg0")
    assert unnamed(0xFFFE, 1, 4) is unnamed(0xFFFE, 1, 4)
    assert unnamed(0xFFFE, 1, 4) is not unnamed(0xFFFE, 1, 8)


def test_a_sub_field_covers_its_bits() -> None:
    assert SubField(field("reg0"), 4, 8).mask == 0xFF0
