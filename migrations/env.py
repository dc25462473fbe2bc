"""Turns revisions into DDL, on the connection handed over, or on a URL: ``alembic -x url=sqlite:///x.db check``."""

from alembic import context
from sqlalchemy import Connection, create_engine

from vtrace_ovs.storage.schema import VERSION_TABLE, Base


def migrate(connection: Connection) -> None:
    """Run the wanted revisions in one transaction: a schema is whole or it is not there."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    migrate(handed_over)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as own:
        migrate(own)
