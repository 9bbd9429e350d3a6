"""What PostgreSQL is told of a connection, and how long it lets a statement run."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from tgecrawler.errors import DatabaseError
from tgecrawler.storage import schema
from tgecrawler.storage.engine import (
    WRITER_LOCK,
    create_engine,
    reading,
    write_transaction,
)
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.retry import is_transient

SLEEP = sa.text("SELECT pg_sleep(0.6)")
HASTY = EngineSettings(program="test", statement_timeout_s=0.2)


@pytest.fixture
def engine(postgresql_url):
    engine = create_engine(postgresql_url, HASTY)
    yield engine
    engine.dispose()


def shown(engine, name: str) -> str:
    with reading(engine) as connection:
        return connection.scalar(sa.text(f"SHOW {name}"))


def test_the_server_is_told_which_program_connects(engine):
    assert shown(engine, "application_name") == "tgecrawler test"


def test_a_read_that_takes_too_long_is_ended_and_says_which_option(engine):
    started = time.monotonic()
    with (
        pytest.raises(DatabaseError, match="raise TGE_DATABASE_STATEMENT_TIMEOUT_S"),
        reading(engine) as connection,
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
    with write_transaction(engine, limited=False) as connection:
        connection.execute(SLEEP)
    assert shown(engine, "statement_timeout") == "200ms"


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
    assert is_transient(caught.value)
    waiting.dispose()
    holder.dispose()


def test_a_connection_is_given_back_without_its_transaction(engine):
    with reading(engine) as connection:
        connection.execute(sa.text("CREATE TABLE left_over (x int)"))
    with reading(engine) as connection:
        assert not sa.inspect(connection).has_table("left_over")
