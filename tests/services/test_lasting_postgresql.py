"""What a real PostgreSQL server refuses, and how its failures are told apart."""

from __future__ import annotations

import logging
import threading

import pytest
import sqlalchemy as sa
from lasting_cases import LastingCases, lasting, stored
from sqlalchemy.exc import DBAPIError
from storage_cases import batch, mention, url_of

from tgecrawler.storage.batch import row_count
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.failures import kind_of
from tgecrawler.storage.spool import Spool


class TestLastingOnPostgresql(LastingCases):
    """See ``LastingCases``."""


def kind(engine, *statements: str) -> str:
    """Return what the failure of the last statement counts as."""
    with engine.connect() as connection:
        for statement in statements[:-1]:
            connection.execute(sa.text(statement))
        with pytest.raises(DBAPIError) as caught:
            connection.execute(sa.text(statements[-1]))
    return kind_of(caught.value)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("40001", "passing"),
        ("40P01", "passing"),
        ("08006", "passing"),
        ("53300", "passing"),
        ("57P01", "passing"),
        ("57P03", "passing"),
        ("53100", "away"),  # disk full
        ("53200", "away"),
        ("58030", "away"),
        ("XX001", "away"),
        ("22003", "refused"),
        ("23505", "refused"),
        ("54000", "refused"),  # a value too long for its index
        ("P0001", "refused"),  # a trigger that raises
    ],
)
def test_a_state_that_a_server_raises(engine, state, expected):
    raising = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"
    assert kind(engine, raising) == expected


def test_states_that_come_about_by_themselves(engine):
    assert kind(engine, "SET statement_timeout = 10", "SELECT pg_sleep(5)") == "passing"
    read_only = "SET TRANSACTION READ ONLY"
    assert kind(engine, read_only, "DELETE FROM seen") == "away"
    assert kind(engine, "SELECT * FROM missing") == "away"
    assert kind(engine, "CREATE ROLE visitor", "SET ROLE visitor", "TABLE seen") == "away"
    assert kind(engine, "INSERT INTO companies VALUES (repeat('x', 201), '', '')") == "refused"


def test_a_connection_that_is_cut(engine):
    assert kind(engine, "SELECT pg_terminate_backend(pg_backend_pid())") == "passing"


def test_too_many_connections(engine, postgresql):
    postgresql.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
    try:
        crowded = sa.create_engine(engine.url.set(username="few"))
        with pytest.raises(DBAPIError, match="too many connections") as caught:
            crowded.connect()
    finally:
        postgresql.execute("DROP ROLE few")
    assert kind_of(caught.value) == "passing"


def test_a_deadlock_and_a_serialization_failure(engine):
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE pair (id int PRIMARY KEY, n int)"))
        connection.execute(sa.text("INSERT INTO pair VALUES (1, 0), (2, 0)"))
    assert locking_each_other(engine) == ["passing"]
    serial = engine.execution_options(isolation_level="SERIALIZABLE")
    change = sa.text("UPDATE pair SET n = n + 1 WHERE id = 1")
    with serial.connect() as one, serial.connect() as other:
        one.execute(sa.text("TABLE pair")).all()
        other.execute(change)
        other.commit()
        with pytest.raises(DBAPIError, match="could not serialize") as caught:
            one.execute(change)
    assert kind_of(caught.value) == "passing"


def locking_each_other(engine) -> list[str]:
    """Return how the failure of one of two transactions counts that wait for each other."""
    both = threading.Barrier(2)
    found: list[str] = []

    def work(first: int, second: int) -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SET deadlock_timeout = '50ms'"))
            change = sa.text("UPDATE pair SET n = n + 1 WHERE id = :id")
            connection.execute(change, {"id": first})
            both.wait(10)
            try:
                connection.execute(change, {"id": second})
            except DBAPIError as error:
                found.append(kind_of(error))

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_a_server_that_is_stopped_and_started(postgresql, engine, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    moments = [0.0]
    secret = engine.url.set(password="hunter2")
    guarded = create_engine(secret.render_as_string(hide_password=False))
    spool = Spool(tmp_path / "spool", 1_000_000)
    writer = lasting(guarded, tmp_path, spool, clock=lambda: moments[0])
    assert len(writer.write(batch(mention(1))).commits) == 1
    postgresql.stop()
    try:
        for number in (2, 3):
            assert row_count(writer.write(batch(mention(number))).kept) == 1
        moments[0] += 1
        assert writer.drain().commits == []
    finally:
        postgresql.start()
    moments[0] += 2
    assert len(writer.drain().commits) == 1
    assert len(stored(engine)) == 3
    assert "rows wait in" in caplog.text
    assert "2 rows of the spool are written" in caplog.text
    assert "hunter2" not in caplog.text
    spool.close()
    guarded.dispose()


def test_a_server_that_was_made_read_only(engine, tmp_path):
    name = engine.url.database
    moments = [0.0]
    spool = Spool(tmp_path / "spool", 1_000_000)
    writer = lasting(engine, tmp_path, spool, clock=lambda: moments[0])
    set_read_only(engine, name, "on")
    engine.dispose()
    assert row_count(writer.write(batch(mention(1))).kept) == 1
    set_read_only(engine, name, "off")
    moments[0] += 1
    assert len(writer.drain().commits) == 1
    assert len(stored(engine)) == 1
    spool.close()


def set_read_only(engine, name: str, value: str) -> None:
    other = create_engine(url_of(engine))
    with other.connect() as connection:
        connection.execute(sa.text("SET default_transaction_read_only = off"))
        connection.commit()
        connection.execute(
            sa.text(f"ALTER DATABASE {name} SET default_transaction_read_only={value}")
        )
        connection.commit()
    other.dispose()
