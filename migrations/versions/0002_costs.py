"""Turns a database of results into one that also holds what each trace cost the servers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the results there are have no costs."""
    op.create_table(
        "result_costs",
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("copies", sa.BigInteger(), nullable=False),
        sa.Column("megaflows", sa.BigInteger(), nullable=True),
        sa.Column("masks", sa.BigInteger(), nullable=True),
        sa.Column("upcalls", sa.BigInteger(), nullable=True),
        sa.Column("cpu_share", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["results.task_id"], name="fk_result_costs_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "node", name="pk_result_costs"),
    )


def downgrade() -> None:
    """Drop it; the documents of results keep what it says."""
    op.drop_table("result_costs")
