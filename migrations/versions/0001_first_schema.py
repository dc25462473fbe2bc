"""Turns an empty database into one that holds tasks, evidence and results."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNSIGNED_64 = sa.BigInteger()
ENUM = sa.String(32)
ADDRESS = sa.String(64)


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "contents",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_contents"),
    )
    op.create_table(
        "snapshots",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("bridge", sa.Text(), nullable=False),
        sa.Column("dpid", UNSIGNED_64, nullable=False),
        sa.Column("read_at", sa.Double(), nullable=False),
        sa.Column("flows", sa.BigInteger(), nullable=False),
        sa.Column("counters", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_snapshots"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("filter_text", sa.Text(), nullable=False),
        sa.Column("protocol", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("destination", sa.Text(), nullable=True),
        sa.Column("source_port", sa.BigInteger(), nullable=True),
        sa.Column("destination_port", sa.BigInteger(), nullable=True),
        sa.Column("vni", UNSIGNED_64, nullable=True),
        sa.Column("packet_count", sa.BigInteger(), nullable=False),
        sa.Column("trace_time", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("armed_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("slot", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tasks_filter_text", "tasks", ["filter_text"])
    op.create_index("ix_tasks_state", "tasks", ["state"])

    op.create_table(
        "vfds",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("bridge", sa.Text(), nullable=False),
        sa.Column("dpid", UNSIGNED_64, nullable=True),
        sa.Column("role", ENUM, nullable=False),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("tenant", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", "bridge", name="pk_vfds"),
    )
    op.create_table(
        "intents",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("task_id", ROW_ID, nullable=False),
        sa.Column("kind", ENUM, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("ovsdb", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("written_at", sa.Double(), nullable=False),
        sa.Column("undone_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_intents_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_intents"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_intents_undone_at", "intents", ["undone_at"])

    op.create_table(
        "records",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("task_id", ROW_ID, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("bridge", sa.Text(), nullable=False),
        sa.Column("node_ip", ADDRESS, nullable=True),
        sa.Column("loc", ENUM, nullable=False),
        sa.Column("packet_id", sa.Text(), nullable=False),
        sa.Column("protocol", sa.BigInteger(), nullable=True),
        sa.Column("source", ADDRESS, nullable=True),
        sa.Column("destination", ADDRESS, nullable=True),
        sa.Column("source_port", sa.BigInteger(), nullable=True),
        sa.Column("destination_port", sa.BigInteger(), nullable=True),
        sa.Column("out_sip", ADDRESS, nullable=True),
        sa.Column("out_dip", ADDRESS, nullable=True),
        sa.Column("vni", UNSIGNED_64, nullable=True),
        sa.Column("nat_protocol", sa.BigInteger(), nullable=True),
        sa.Column("nat_source", ADDRESS, nullable=True),
        sa.Column("nat_destination", ADDRESS, nullable=True),
        sa.Column("nat_source_port", sa.BigInteger(), nullable=True),
        sa.Column("nat_destination_port", sa.BigInteger(), nullable=True),
        sa.Column("dscp_mark", sa.BigInteger(), nullable=False),
        sa.Column("msg", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.Double(), nullable=False),
        sa.Column("in_port", sa.BigInteger(), nullable=False),
        sa.Column("out_port", sa.BigInteger(), nullable=True),
        sa.Column("table_id", sa.BigInteger(), nullable=True),
        sa.Column("cookie", UNSIGNED_64, nullable=True),
        sa.Column("flow", sa.Text(), nullable=True),
        sa.Column("ct_state", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_records_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
    )
    op.create_index("ix_records_task_id_packet_id", "records", ["task_id", "packet_id"])

    op.create_table(
        "results",
        sa.Column("task_id", ROW_ID, nullable=False),
        sa.Column("copies_lost", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("disposition", ENUM, nullable=False),
        sa.Column("category", ENUM, nullable=False),
        sa.Column("code", ENUM, nullable=False),
        sa.Column("confidence", ENUM, nullable=False),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("bridge", sa.Text(), nullable=True),
        sa.Column("table_id", sa.BigInteger(), nullable=True),
        sa.Column("cookie", UNSIGNED_64, nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("packets", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_results_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", name="pk_results"),
    )
    op.create_index("ix_results_bridge", "results", ["bridge"])
    op.create_index("ix_results_code", "results", ["code"])
    op.create_index("ix_results_disposition", "results", ["disposition"])

    op.create_table(
        "samples",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("task_id", ROW_ID, nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("bridge", sa.Text(), nullable=False),
        sa.Column("kind", ENUM, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("packets", UNSIGNED_64, nullable=False),
        sa.Column("dropped", UNSIGNED_64, nullable=False),
        sa.Column("read_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_samples_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_samples"),
    )
    op.create_index("ix_samples_task_id", "samples", ["task_id"])

    op.create_table(
        "snapshot_parts",
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["content"], ["contents.digest"], name="fk_snapshot_parts_content"),
        sa.ForeignKeyConstraint(
            ["snapshot"], ["snapshots.digest"], name="fk_snapshot_parts_snapshot", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("snapshot", "position", name="pk_snapshot_parts"),
    )
    op.create_index("ix_snapshot_parts_content", "snapshot_parts", ["content"])

    op.create_table(
        "task_snapshots",
        sa.Column("task_id", ROW_ID, nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot"], ["snapshots.digest"], name="fk_task_snapshots_snapshot", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_snapshots_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "snapshot", name="pk_task_snapshots"),
    )
    op.create_index("ix_task_snapshots_snapshot", "task_snapshots", ["snapshot"])

    op.create_table(
        "trajectories",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("task_id", ROW_ID, nullable=False),
        sa.Column("packet_id", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.BigInteger(), nullable=False),
        sa.Column("origin", ENUM, nullable=False),
        sa.Column("ending", ENUM, nullable=False),
        sa.Column("ambiguous", sa.Boolean(), nullable=False),
        sa.Column("hops", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("bridge", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_trajectories_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_trajectories"),
    )
    op.create_index("ix_trajectories_task_id_packet_id", "trajectories", ["task_id", "packet_id"])

    op.create_table(
        "result_groups",
        sa.Column("task_id", ROW_ID, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("disposition", ENUM, nullable=False),
        sa.Column("category", ENUM, nullable=False),
        sa.Column("code", ENUM, nullable=False),
        sa.Column("confidence", ENUM, nullable=False),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("bridge", sa.Text(), nullable=True),
        sa.Column("table_id", sa.BigInteger(), nullable=True),
        sa.Column("cookie", UNSIGNED_64, nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("packets", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["results.task_id"], name="fk_result_groups_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "position", name="pk_result_groups"),
    )
    op.create_index("ix_result_groups_bridge", "result_groups", ["bridge"])
    op.create_index("ix_result_groups_code", "result_groups", ["code"])
    op.create_index("ix_result_groups_disposition", "result_groups", ["disposition"])


def downgrade() -> None:
    """Drop every table, with all tasks and evidence in them."""
    op.drop_table("result_groups")
    op.drop_table("trajectories")
    op.drop_table("task_snapshots")
    op.drop_table("snapshot_parts")
    op.drop_table("samples")
    op.drop_table("results")
    op.drop_table("records")
    op.drop_table("intents")
    op.drop_table("vfds")
    op.drop_table("tasks")
    op.drop_table("snapshots")
    op.drop_table("contents")
