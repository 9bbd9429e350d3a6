"""What PostgreSQL is told of a connection, how long it lets a statement run, and its plans."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from tgecrawler.errors import DatabaseError
from tgecrawler.storage import schema
from tgecrawler.storage.engine import (
    WRITER_LOCK,
    create_engine,
    pool_usage,
    query_timings,
    reading,
    write_transaction,
)
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.failures import kind_of
from tgecrawler.storage.models import MENTIONS

SLEEP = sa.text("SELECT pg_sleep(0.6)")
HASTY = EngineSettings(program="test", statement_timeout_s=0.2)


@pytest.fixture
def engine(postgresql_url):
    engine = create_engine(postgresql_url, HASTY)
    yield engine
    engine.dispose()


def shown(engine, name: str) -> str:
    with reading(engine, "shown") as connection:
        return connection.scalar(sa.text(f"SHOW {name}"))


def test_the_server_is_told_which_program_connects(engine):
    assert shown(engine, "application_name") == "tgecrawler test"


def test_a_read_that_takes_too_long_is_ended_and_says_which_option(engine):
    started = time.monotonic()
    with (
        pytest.raises(DatabaseError, match="raise TGE_DATABASE_STATEMENT_TIMEOUT_S"),
        reading(engine, "sleep") as connection,
    ):
        connection.execute(SLEEP)
    assert time.monotonic() - started < 0.6
    assert shown(engine, "statement_timeout") == "200ms"


def test_a_write_that_takes_too_long_is_ended(engine):
    with (
        pytest.raises(sa.exc.OperationalError, match="statement timeout"),
        write_transaction(engine) as connection,
    ):
        connection.execute(SLEEP)


def test_an_unlimited_transaction_and_those_after_it(engine):
    with write_transaction(engine, "migrate", limited=False) as connection:
        connection.execute(SLEEP)
    assert shown(engine, "statement_timeout") == "200ms"
    assert query_timings(engine)["migrate"].p50_ms > 500


def test_no_statement_timeout(postgresql_url):
    endless = create_engine(postgresql_url, EngineSettings(statement_timeout_s=0))
    assert shown(endless, "statement_timeout") == "0"
    endless.dispose()


def test_a_migration_is_not_ended(postgresql_url):
    impatient = create_engine(postgresql_url, EngineSettings(statement_timeout_s=0.001))
    schema.upgrade(impatient)
    patient = create_engine(postgresql_url)
    schema.check(patient)
    impatient.dispose()
    patient.dispose()


def test_the_wait_for_a_turn_is_bounded_by_its_own_timeout(postgresql_url):
    """The statement timeout is shorter, but its error would pass for one that stays."""
    settings = EngineSettings(statement_timeout_s=0.1, lock_wait_s=0.4)
    waiting = create_engine(postgresql_url, settings)
    holder = create_engine(postgresql_url)
    with holder.connect() as connection, connection.begin():
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))
        started = time.monotonic()
        with pytest.raises(sa.exc.OperationalError) as caught, write_transaction(waiting):
            pass
        assert time.monotonic() - started >= 0.4
    assert kind_of(caught.value) == "passing"
    waiting.dispose()
    holder.dispose()


def backend(engine) -> int:
    """Return the number of the server's process that answers."""
    with reading(engine, "backend") as connection:
        return connection.scalar(sa.text("SELECT pg_backend_pid()"))


def test_a_connection_that_was_cut_costs_no_failed_read(engine, postgresql):
    first = backend(engine)
    assert backend(engine) == first
    postgresql.execute(f"SELECT pg_terminate_backend({first}, 10000)")
    assert backend(engine) != first


def test_an_old_connection_is_made_anew(postgresql_url):
    engine = create_engine(postgresql_url, EngineSettings(pool_recycle_s=0.5))
    first = backend(engine)
    time.sleep(0.6)
    assert backend(engine) != first
    engine.dispose()


def test_a_connection_is_given_back_without_its_transaction(engine):
    with reading(engine, "left") as connection:
        connection.execute(sa.text("CREATE TABLE left_over (x int)"))
    with reading(engine, "left") as connection:
        assert not sa.inspect(connection).has_table("left_over")


def test_a_pool_that_is_used_by_many(postgresql_url):
    settings = EngineSettings(pool_size=2, pool_overflow=1, pool_timeout_s=30)
    engine = create_engine(postgresql_url, settings)
    failures = []

    def read() -> None:
        try:
            for _ in range(5):
                with reading(engine, "many") as connection:
                    connection.execute(sa.text("SELECT pg_sleep(0.01)"))
        except DatabaseError as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert query_timings(engine)["many"].count == 100
    usage = pool_usage(engine)
    assert (usage.checked_out, usage.overflow, usage.waiting, usage.peak) == (0, 0, 0, 3)
    engine.dispose()


def test_a_slow_statement_is_logged_with_its_plan_and_without_values(postgresql_url, caplog):
    engine = create_engine(postgresql_url, EngineSettings(slow_query_ms=0.001))
    schema.upgrade(engine)
    caplog.clear()
    with reading(engine, "by_title") as connection:
        query = sa.select(MENTIONS.c.id).where(MENTIONS.c.title.in_(["Acme's", "hidden"]))
        connection.execute(query).all()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("slow query by_title: ")
    assert "0 rows: SELECT mentions.id FROM mentions WHERE mentions.title IN (" in line
    assert "; plan: Seq Scan on mentions (cost=" in line
    assert "Acme" not in line
    assert "hidden" not in line
    engine.dispose()


def test_a_statement_that_was_ended_is_logged(postgresql_url, caplog):
    settings = EngineSettings(statement_timeout_s=0.2, slow_query_ms=100)
    engine = create_engine(postgresql_url, settings)
    with pytest.raises(DatabaseError), reading(engine, "sleep") as connection:
        connection.execute(SLEEP)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "? rows: SELECT pg_sleep(0.6); plan: Result (cost=" in line
    engine.dispose()
