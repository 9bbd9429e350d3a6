"""The indexes of mentions that are looked up now; on PostgreSQL built while others write.

A build that was cut short leaves an index that is not valid; the next run makes it anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

concurrent = True
"""Not to be run in a transaction on PostgreSQL; see ``storage.schema``."""

COPIES_ONLY = sa.text("duplicate_of IS NOT NULL")


def upgrade() -> None:
    """Sources with their time, copies alone, and no index of companies by mention."""
    _replace("ix_mentions_source", "ix_mentions_source_stored_at", ["source", "stored_at"])
    _replace("ix_mentions_duplicate_of", "ix_mentions_duplicate_of", ["duplicate_of"], COPIES_ONLY)
    _drop("ix_mention_companies_company")


def downgrade() -> None:
    """The indexes of before."""
    _create("ix_mention_companies_company", "mention_companies", ["company"])
    _replace("ix_mentions_duplicate_of", "ix_mentions_duplicate_of", ["duplicate_of"])
    _replace("ix_mentions_source_stored_at", "ix_mentions_source", ["source"])


def _replace(old: str, new: str, columns: list[str], where: sa.TextClause | None = None) -> None:
    """Put an index in the place of another, which serves until the new one is there."""
    if op.get_bind().dialect.name != "postgresql":
        _drop(old)
        _create(new, "mentions", columns, where)
        return
    built = f"{new}_new" if old == new else new
    _create(built, "mentions", columns, where)
    _drop(old)
    if built != new:
        op.execute(f"ALTER INDEX {built} RENAME TO {new}")


def _create(name: str, table: str, columns: list[str], where: sa.TextClause | None = None) -> None:
    _drop(name)
    op.create_index(
        name,
        table,
        columns,
        postgresql_where=where,
        sqlite_where=where,
        postgresql_concurrently=True,
    )


def _drop(name: str) -> None:
    op.drop_index(name, if_exists=True, postgresql_concurrently=True)
