from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, create_engine, insert, select
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeEngine

from vtrace_ovs.errors import StorageError
from vtrace_ovs.storage.columns import AddressText, EnumText, Unsigned64


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def through_a_database(kind: TypeEngine[Any], value: object) -> object:
    engine = create_engine("sqlite://")
    table = Table("t", MetaData(), Column("c", kind))
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table), [{"c": value}])
        kept = connection.execute(select(table.c.c)).scalar_one()
    engine.dispose()
    return kept


@pytest.mark.parametrize("value", [0, 1, 2**63 - 1, 2**63, 2**64 - 1, None])
def test_unsigned_64_keeps_every_value(value: int | None) -> None:
    assert through_a_database(Unsigned64(), value) == value


@pytest.mark.parametrize("value", [-1, 2**64])
def test_unsigned_64_refuses_what_does_not_fit(value: int) -> None:
    with pytest.raises(StatementError, match="does not fit into 64 unsigned bits"):
        through_a_database(Unsigned64(), value)


@pytest.mark.parametrize("value", [Colour.RED, Colour.GREEN, None])
def test_enums_go_by_value(value: Colour | None) -> None:
    assert through_a_database(EnumText(Colour), value) is value


def test_an_unknown_enum_value_asks_for_an_upgrade() -> None:
    with pytest.raises(StorageError, match="holds Colour 'blue', unknown here: upgrade"):
        EnumText(Colour).process_result_value("blue", create_engine("sqlite://").dialect)


@pytest.mark.parametrize("value", [IPv4Address("10.0.0.1"), IPv6Address("fe80::1"), None])
def test_addresses_keep_their_family(value: IPv4Address | IPv6Address | None) -> None:
    assert through_a_database(AddressText(), value) == value
