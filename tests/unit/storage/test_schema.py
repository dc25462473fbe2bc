from sqlalchemy import Table

from vtrace_ovs.storage.schema import Base


def tables_of_a_task() -> list[Table]:
    return [table for name, table in Base.metadata.tables.items() if "task_id" in table.columns and name != "tasks"]


def test_the_schema_keeps_every_metric_of_the_paper() -> None:
    metrics = {"packet_id", "out_sip", "out_dip", "node_ip", "loc", "dscp_mark", "msg", "timestamp"}
    five_tuple = {"protocol", "source", "destination", "source_port", "destination_port"}
    nat_key = {f"nat_{part}" for part in five_tuple}
    assert metrics | five_tuple | nat_key <= set(Base.metadata.tables["records"].columns.keys())


def test_everything_a_task_has_goes_with_the_task() -> None:
    for table in tables_of_a_task():
        assert [key.ondelete for key in table.columns["task_id"].foreign_keys] == ["CASCADE"], table.name


def test_what_a_task_has_is_found_by_an_index() -> None:
    searched = {table.name for table in tables_of_a_task()} - {"intents"}  # those are searched by being open
    indexed = {
        table.name
        for table in tables_of_a_task()
        for columns in (table.primary_key.columns, *(index.columns for index in table.indexes))
        if next(iter(columns)).name == "task_id"
    }
    assert searched <= indexed


def test_every_constraint_has_a_name_a_migration_can_use() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table.name
