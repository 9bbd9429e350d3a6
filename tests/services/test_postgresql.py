"""The storage on a real PostgreSQL server, and both engines side by side."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from event_cases import EventCases
from hypothesis import given
from hypothesis import strategies as st
from storage_cases import (
    NOW,
    QueryCases,
    RecordCases,
    SchemaCases,
    WriterCases,
    assert_the_same_rows_in_any_order,
    assessment,
    batch,
    mention,
    quickly,
    rejected,
    snapshot,
    url_of,
    writer,
)

from tgecrawler.errors import DatabaseError
from tgecrawler.storage import schema
from tgecrawler.storage.engine import WRITER_LOCK, create_engine
from tgecrawler.storage.partitions import month_of, months, name_of
from tgecrawler.storage.writer import Writer


class TestSchemaOnPostgresql(SchemaCases):
    """See ``SchemaCases``."""

    def test_long_texts_are_compressed_with_lz4_where_the_server_can(self, engine):
        can = (
            "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
        )
        is_so = (
            "SELECT attcompression = 'l' FROM pg_attribute "
            "WHERE attrelid = '{table}'::regclass AND attname = '{column}'"
        )
        with engine.connect() as connection:
            expected = connection.scalar(sa.text(can))
            for table, column in (
                (name_of(month_of(datetime.now(UTC))), "text"),
                ("mentions", "reasons"),
                ("events", "history"),
            ):
                query = is_so.format(table=table, column=column)
                assert connection.scalar(sa.text(query)) == expected

    def test_the_months_ahead_have_partitions_and_others_come_with_their_mentions(self, engine):
        def there() -> list[str]:
            with engine.connect() as connection:
                return [f"{month:%Y-%m}" for month in months(connection)]

        schema.downgrade(engine, "base")
        schema.ensure_schema(engine)
        before = there()
        assert len(before) == 3
        writer(engine, datetime(2031, 11, 30, 23, 59, tzinfo=UTC)).write(
            batch(mention(1, text="a"))
        )
        assert there() == [*before, "2031-11", "2031-12", "2032-01"]
        schema.check(engine)

    def test_an_index_build_that_was_cut_short_is_begun_anew(self, engine):
        writer(engine).write(batch(mention(1), mention(2)))
        schema.downgrade(engine, "0004")
        with engine.begin() as connection:  # as a killed build leaves one
            connection.execute(
                sa.text("CREATE INDEX ix_mentions_duplicate_of_new ON mentions (id)")
            )
            connection.execute(
                sa.text(
                    "UPDATE pg_index SET indisvalid = false"
                    " WHERE indexrelid = 'ix_mentions_duplicate_of_new'::regclass"
                )
            )
        schema.upgrade(engine)
        schema.check(engine)
        with engine.connect() as connection:
            invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
            assert connection.scalar(sa.text(invalid)) == 0

    def test_a_writer_goes_on_while_indexes_are_built(self, engine):
        """Another's open transaction holds the build up; the writer does not wait for it."""
        schema.downgrade(engine, "0004")
        with ThreadPoolExecutor(1) as pool, engine.connect() as other:
            other.execute(sa.text("LOCK TABLE mentions IN ROW EXCLUSIVE MODE"))
            building = pool.submit(schema.upgrade, engine)
            wait_for(lambda: running(engine, "CREATE INDEX CONCURRENTLY"))
            assert Writer(engine).write(batch(mention(1))).new_rows == 1
            assert not building.done()
            other.rollback()
            building.result(timeout=60)
        schema.check(engine)


def running(engine, words: str) -> bool:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
        " AND pid <> pg_backend_pid() AND query LIKE '%' || :words || '%'"
    )
    with engine.connect() as connection:
        return bool(connection.scalar(sa.text(query), {"words": words}))


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestWriterOnPostgresql(WriterCases):
    """See ``WriterCases``."""

    @quickly
    @given(st.data())
    def test_the_same_rows_in_whatever_order_and_however_often(self, engine, data):
        assert_the_same_rows_in_any_order(engine, data)


class TestRecordsOnPostgresql(RecordCases):
    """See ``RecordCases``."""


class TestQueriesOnPostgresql(QueryCases):
    """See ``QueryCases``."""


class TestEventsOnPostgresql(EventCases):
    """See ``EventCases``."""


def test_both_engines_hold_the_same_rows(postgresql_url, tmp_path):
    snapshots = []
    for url in (postgresql_url, f"sqlite:///{tmp_path}/tge.db"):
        engine = create_engine(url)
        schema.ensure_schema(engine)
        told = [
            mention(
                n, text_key=f"t{n % 4}", published_at=NOW - timedelta(minutes=n % 7), tier=n % 3
            )
            for n in range(30)
        ]
        named = assessment(companies=("Borealis", "Acme"), claim_url_official=True)
        writer(engine).write(batch(*told[20:], mention(99, assessment=named)))
        writer(engine).write(batch(*told, reject=[rejected(200)]))
        snapshots.append(snapshot(engine))
        engine.dispose()
    assert snapshots[0] == snapshots[1]


def test_an_empty_database_of_either_engine_is_set_up(database_url):
    engine = create_engine(database_url)
    assert schema.current(engine) == ""
    schema.ensure_schema(engine)
    schema.check(engine)
    assert Writer(engine).write(batch(mention(1))).new_rows == 1
    engine.dispose()


def test_the_connection_says_who_it_is_and_what_time_it_keeps(postgresql_url):
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW application_name")) == "tgecrawler"
        assert connection.scalar(sa.text("SHOW timezone")) == "UTC"
    engine.dispose()
    named = create_engine(f"{postgresql_url}?application_name=other")
    with named.connect() as connection:
        assert connection.scalar(sa.text("SHOW application_name")) == "other"
    named.dispose()


def test_a_database_that_is_not_there(postgresql):
    with pytest.raises(DatabaseError) as caught:
        create_engine(postgresql.url("nowhere").replace("tge@", "tge:secret@"))
    assert str(caught.value).endswith('FATAL:  database "nowhere" does not exist')
    assert "secret" not in str(caught.value)


def test_a_connection_lost_before_a_batch_is_made_anew(engine):
    Writer(engine).write(batch(mention(1)))
    end_other_connections(engine)
    assert Writer(engine).write(batch(mention(2))).new_rows == 1


def test_a_connection_lost_in_mid_batch_is_made_anew(engine):
    """The lock is held elsewhere, so the batch waits in its transaction when it is cut off."""
    impatient = create_engine(url_of(engine))
    waits, results = [], []
    with engine.connect() as holder, holder.begin():
        holder.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))
        patient = Writer(impatient, clock=lambda: NOW, sleep=waits.append)
        thread = threading.Thread(target=lambda: results.append(patient.write(batch(mention(1)))))
        thread.start()
        cut = sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        while not holder.execute(cut).all():
            thread.join(0.01)
    thread.join(60)
    assert [result.new_rows for result in results] == [1]
    assert len(waits) >= 1
    impatient.dispose()


def test_a_server_that_crashes_and_returns_is_waited_for(postgresql, engine):
    Writer(engine).write(batch(mention(1)))
    postgresql.stop(signal.SIGQUIT)

    def restart(_: float) -> None:
        if postgresql.process is None:
            postgresql.start()

    result = Writer(engine, sleep=restart).write(batch(mention(2)))
    assert result.new_rows == 1
    assert len(snapshot(engine)["mentions"]) == 2


def test_a_server_that_stays_away_ends_in_one_line(postgresql, engine):
    postgresql.stop()
    try:
        with pytest.raises(DatabaseError, match="Connection refused"):
            Writer(engine, sleep=lambda _: None).write(batch(mention(1)))
    finally:
        postgresql.start()


def end_other_connections(engine) -> None:
    other = create_engine(url_of(engine))
    with other.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    other.dispose()
