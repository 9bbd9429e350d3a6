"""Sources: when each is polled, what of it is settled, and its rhythm."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def _columns() -> list[sa.Column[Any]]:
    """Return the new columns, made anew each time: a column belongs to one table.

    A default on the server is what the rows get that are there already.
    """
    return [
        sa.Column("polled_at", MOMENT, nullable=True),
        sa.Column("next_poll_at", MOMENT, nullable=True),
        sa.Column("changed_at", MOMENT, nullable=True),
        sa.Column("whole_at", MOMENT, nullable=True),
        sa.Column("polls", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_modified", sa.Integer, nullable=False, server_default="0"),
        sa.Column("content_key", sa.String(40), nullable=False, server_default=""),
        sa.Column("unsettled_polls", sa.Integer, nullable=False, server_default="0"),
        sa.Column("trusts_validators", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("history", sa.Text, nullable=False, server_default=""),
    ]


def upgrade() -> None:
    """Add the columns; a source that was polled before is read whole once more."""
    with op.batch_alter_table("sources") as table:
        for column in _columns():
            table.add_column(column)


def downgrade() -> None:
    """Drop the columns; the next crawl learns each rhythm anew."""
    with op.batch_alter_table("sources") as table:
        for column in reversed(_columns()):
            table.drop_column(column.name)
