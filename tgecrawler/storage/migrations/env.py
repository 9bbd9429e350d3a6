"""Run by alembic, with the connection that ``storage.schema`` hands over.

The connection is in a transaction already, on both engines: a migration that
fails or is killed leaves the schema as it was.
"""

from __future__ import annotations

from alembic import context

from tgecrawler.storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite alters most things only by copying the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
