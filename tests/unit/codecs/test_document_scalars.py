from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from vtrace_ovs.codecs.document_scalars import SCALARS, Json, MisfitError, enum_converter, misfit_of
from vtrace_ovs.model import oxm
from vtrace_ovs.model.packet import IpProtocol


class Shape(Enum):
    ROUND = 1
    SQUARE = "square"


@pytest.mark.parametrize(
    ("kind", "value", "document"),
    [
        (int, 2**70, 2**70),
        (int, IpProtocol.TCP, 6),
        (bool, True, True),
        (float, 1.5, 1.5),
        (str, "é\ud800", "é\ud800"),
        (type(None), None, None),
        (bytes, b"\0\xff", "AP8="),
        (IPv4Address, IPv4Address("10.0.0.1"), "10.0.0.1"),
        (IPv6Address, IPv6Address("fe80::1"), "fe80::1"),
        (IPv4Network, IPv4Network("10.0.0.0/8"), "10.0.0.0/8"),
        (IPv6Network, IPv6Network("fe80::/10"), "fe80::/10"),
        (oxm.Field, oxm.field("nw_src"), "ipv4_src"),
        (oxm.Field, oxm.sized(oxm.field("tun_metadata3"), 8), "tun_metadata3:8"),
        (oxm.Field, oxm.unnamed(0x1234, 5, 4), "oxm_0x1234_5:4"),
        (oxm.Field, oxm.unnamed(0xFFFF, 7, 2, 0x2320), "oxm_0xffff_0x2320_7:2"),
    ],
)
def test_a_value_has_one_document_and_comes_back(kind: type, value: object, document: Json) -> None:
    assert SCALARS[kind].encode(value) == document
    assert SCALARS[kind].decode(document) == value


def test_a_named_number_becomes_a_plain_one() -> None:
    assert type(SCALARS[int].encode(IpProtocol.TCP)) is int


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (int, True),
        (int, 1.0),
        (bool, 1),
        (float, True),
        (float, float("inf")),
        (str, None),
        (type(None), 0),
        (bytes, "AP8"),
        (bytes, "AP8=\n"),
        (IPv4Address, "fe80::1"),
        (IPv4Address, 5),
        (IPv4Network, "10.0.0.1/8"),
        *((oxm.Field, text) for text in ("", "reg3:", "reg3:x", "oxm_0x1234_5", "oxm_zz_5:4", "reg99", "reg99:4")),
    ],
)
def test_a_document_of_another_kind_is_refused(kind: type, document: Json) -> None:
    with pytest.raises(MisfitError):
        SCALARS[kind].decode(document)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(bytes, "text"), (IPv4Address, IPv6Address("::1")), (oxm.Field, oxm.Field("reg3", 1, 3, 32)), (str, b"")],
)
def test_a_value_of_another_kind_is_refused(kind: type, value: object) -> None:
    with pytest.raises(MisfitError):
        SCALARS[kind].encode(value)


def test_enums_go_by_number_or_text() -> None:
    shapes = enum_converter(Shape)
    assert [shapes.encode(shape) for shape in Shape] == [1, "square"]
    assert [shapes.decode(document) for document in (1, "square")] == list(Shape)
    no_shapes: tuple[Json, ...] = (True, "ROUND", None, [1])
    for wrong in no_shapes:
        with pytest.raises(MisfitError, match="is not a Shape"):
            shapes.decode(wrong)
    with pytest.raises(MisfitError, match="'square' is not a Shape"):
        shapes.encode("square")


def test_a_misfit_knows_its_place_from_the_outside_in() -> None:
    misfit = misfit_of("x" * 500, "a number").inside("[2]").inside(".hops")
    assert misfit.place == ".hops[2]"
    assert len(str(misfit)) < 120
