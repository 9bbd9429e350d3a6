"""The check on a real PostgreSQL server."""

from __future__ import annotations

import sqlalchemy as sa
from integrity_cases import IntegrityCases, fill
from storage_cases import NOW

from tgecrawler.storage.engine import write_transaction
from tgecrawler.storage.integrity import data_findings, file_findings


class TestIntegrityOnPostgresql(IntegrityCases):
    """See ``IntegrityCases``."""


def said(engine) -> list[str]:
    return [str(finding) for finding in data_findings(engine, NOW)]


def test_indexes_and_constraints_that_do_not_hold(engine):
    fill(engine)
    with write_transaction(engine) as connection:
        connection.execute(
            sa.text(
                "UPDATE pg_index SET indisvalid = false"
                " WHERE indexrelid = 'ix_mentions_text_key'::regclass"
            )
        )
        connection.execute(
            sa.text("ALTER TABLE seen ADD CONSTRAINT ck_seen CHECK (outcome <> '') NOT VALID")
        )
    assert said(engine) == [
        "the index ix_mentions_text_key is not valid: "
        "REINDEX INDEX CONCURRENTLY ix_mentions_text_key",
        "the constraint ck_seen of seen was never checked: "
        "ALTER TABLE seen VALIDATE CONSTRAINT ck_seen",
    ]
    assert file_findings(engine) == []


def test_months_that_are_missing_or_hang_loose(engine):
    with write_transaction(engine) as connection:
        connection.execute(
            sa.text("ALTER TABLE mention_texts DETACH PARTITION mention_texts_2026_04")
        )
    assert said(engine) == [
        "warning: mention_texts has no partition for 2026-04: "
        "scrapy db prune makes them, and so does the first crawl of a month",
        "warning: mention_texts_2026_04 is no partition of mention_texts any more: "
        "DROP TABLE mention_texts_2026_04, or attach it again",
    ]


def test_the_look_takes_as_long_as_it_takes(engine):
    with engine.connect() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET statement_timeout = '1ms'"))
        connection.commit()
    engine.dispose()
    assert data_findings(engine, NOW) == []
