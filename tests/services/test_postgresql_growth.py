"""Retention and vacuum on a real PostgreSQL server: months are dropped whole."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import sqlalchemy as sa
from growth_cases import GrowthCases, ago, prune, rows_of, told
from storage_cases import NOW, batch, mention, snapshot, writer

from tgecrawler.storage import schema
from tgecrawler.storage.integrity import data_findings
from tgecrawler.storage.partitions import ensure_months, month_of, months, name_of
from tgecrawler.storage.retention import Pruner, Retention, would_prune
from tgecrawler.storage.vacuum import size_bytes, vacuum


class TestGrowthOnPostgresql(GrowthCases):
    """See ``GrowthCases``."""


def test_the_size_is_that_of_all_our_tables_and_partitions(engine):
    told(engine, 1, 1)
    vacuum(engine)
    query = (
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relname <> 'alembic_version' AND relnamespace = 'public'::regnamespace"
    )
    with engine.connect() as connection:
        assert size_bytes(engine) == connection.scalar(sa.text(query))


def there(engine) -> list[str]:
    with engine.connect() as connection:
        return [name_of(month) for month in months(connection)]


def test_months_that_are_old_throughout_are_dropped_and_the_others_row_by_row(engine):
    for number, days in enumerate((120, 95, 61, 55, 31, 29, 1)):
        told(engine, number, days)
    keep = Retention(texts=30)  # the cut is on 30 January, NOW on 1 March
    months_before = ["mention_texts_2025_11", "mention_texts_2025_12"]
    would = would_prune(engine, keep, NOW)
    assert (would.dropped, rows_of(would)) == (months_before, {"mention_texts": 5})
    pruned = prune(engine, texts=30)
    assert (pruned.dropped, pruned.busy, rows_of(pruned)) == (
        months_before,
        [],
        {"mention_texts": 5},
    )
    assert {row["mention_id"] for row in snapshot(engine)["mention_texts"]} == {
        mention(number).entry_id for number in (5, 6)
    }
    assert not set(months_before) & set(there(engine))
    schema.check(engine)


def test_the_months_ahead_are_made(engine):
    later = datetime(2031, 11, 30, tzinfo=UTC)
    pruned = Pruner(engine, Retention(), clock=lambda: later, sleep=lambda _: None).prune()
    assert pruned.made == [
        "mention_texts_2031_11",
        "mention_texts_2031_12",
        "mention_texts_2032_01",
    ]
    assert data_findings(engine, later) == []


def test_a_month_that_is_being_read_waits_for_the_next_time(engine):
    told(engine, 1, 100)
    told(engine, 2, 29)
    with engine.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM mention_texts"))
        began = time.monotonic()
        pruned = prune(engine, texts=30)
        assert time.monotonic() - began < 10
        assert (pruned.dropped, pruned.busy) == (
            [],
            ["mention_texts_2025_11", "mention_texts_2025_12"],
        )
        assert writer(engine).write(batch(mention(3, text="meanwhile"))).new_rows == 1
    assert prune(engine, texts=30).dropped == pruned.busy


def test_dropping_a_month_takes_no_longer_for_many_rows(engine):
    told(engine, 1, 100)
    month = month_of(ago(100))
    with engine.begin() as connection:
        ensure_months(connection, month)
        connection.execute(
            sa.text(
                "INSERT INTO mentions SELECT 'x' || n, source, owner, tier, medium, url,"
                " canonical_url, url_key, text_key, title, summary, author, lang, published_at,"
                " seen_at, stored_at, NULL, page_error, score, kind, status, project, token,"
                " event_date, event_date_precision, chain, exchange, claim_url,"
                " claim_url_official, promo, reasons, rules_version"
                " FROM mentions, generate_series(1, 30000) AS n"
            )
        )
        connection.execute(
            sa.text(
                f"INSERT INTO {name_of(month)} SELECT id, '{month}', repeat(md5(id), 40)"
                " FROM mentions WHERE id LIKE 'x%'"
            )
        )
        connection.execute(sa.text(f"ANALYZE {name_of(month)}"))
    pruner = Pruner(engine, Retention(texts=30), clock=lambda: NOW, sleep=lambda _: None)
    pruned = pruner.prune()
    assert rows_of(pruned) == {"mention_texts": 30_001}
    assert pruned.dropped[0] == name_of(month)
    assert pruned.longest_s < 1
