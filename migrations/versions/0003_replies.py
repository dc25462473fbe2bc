"""Turns a database of tasks into one whose tasks may trace the replies to another's traffic."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no task there is about replies."""
    op.add_column("tasks", sa.Column("answers", sa.BigInteger(), nullable=True))
    op.create_index("ix_tasks_answers", "tasks", ["answers"])


def downgrade() -> None:
    """Drop it; the document of a request keeps what it says."""
    op.drop_index("ix_tasks_answers", table_name="tasks")
    op.drop_column("tasks", "answers")
