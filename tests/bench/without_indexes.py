"""A database without its indexes but for the keys: what the others are measured against."""

from __future__ import annotations

import sqlalchemy as sa

from tgecrawler.storage.models import Base


def drop_indexes(engine: sa.Engine) -> None:
    """Drop every index of the models, and that of the text search on PostgreSQL."""
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            for index in table.indexes:
                connection.execute(sa.text(f"DROP INDEX {index.name}"))
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("DROP INDEX ix_alerts_words"))
