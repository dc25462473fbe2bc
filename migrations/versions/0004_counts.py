"""Turns a database of traces into one that also keeps what tasks have counted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TASK_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column and the table; no task there has counted anything."""
    op.add_column("tasks", sa.Column("count_interval", sa.BigInteger(), nullable=True))
    op.create_table(
        "counts",
        sa.Column("task_id", TASK_ID, nullable=False),
        sa.Column("packets", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_counts_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_counts")),
    )


def downgrade() -> None:
    """Drop both; the document of a request keeps what it says."""
    op.drop_table("counts")
    op.drop_column("tasks", "count_interval")
