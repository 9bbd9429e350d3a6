"""What SQLite's failures mean; PostgreSQL's are made by a server in tests/services."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError, TimeoutError

from tgecrawler.storage.failures import kind_of


def failure(path: Path, *statements: str, parameters: tuple[object, ...] = ()) -> DBAPIError:
    """Return what the last statement fails with."""
    engine = sa.create_engine(f"sqlite:///{path}")
    *before, last = statements
    try:
        with engine.connect() as connection:
            for statement in before:
                connection.exec_driver_sql(statement)
            with pytest.raises(DBAPIError) as caught:
                connection.exec_driver_sql(last, parameters)
    finally:
        engine.dispose()
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT NOT NULL) STRICT")
    connection.close()
    return path


@pytest.mark.parametrize(
    "statements",
    [
        ("INSERT INTO t VALUES (1, NULL)",),
        ("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'b')"),
        ("INSERT INTO t VALUES ('word', 'a')",),
        ("INSERT INTO t VALUES (1, zeroblob(2000000000))",),
        ("nonsense",),
    ],
)
def test_what_a_row_is_to_blame_for(path: Path, statements: tuple[str, ...]) -> None:
    assert kind_of(failure(path, *statements)) == "refused"


def test_a_value_that_cannot_be_bound(path: Path) -> None:
    found = failure(path, "INSERT INTO t VALUES (1, ?)", parameters=(object(),))
    assert kind_of(found) == "refused"
    assert kind_of(StatementError("a time without a zone", "", {}, ValueError())) == "refused"


def test_a_lock_passes(path: Path) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert kind_of(failure(path, "PRAGMA busy_timeout = 1", "BEGIN IMMEDIATE")) == "passing"
    holder.close()
    assert kind_of(TimeoutError()) == "passing"


@pytest.mark.parametrize(
    "statements",
    [
        ("PRAGMA max_page_count = 1", "INSERT INTO t VALUES (1, printf('%.*c', 9999, 'x'))"),
        ("PRAGMA query_only = 1", "INSERT INTO t VALUES (1, 'a')"),
        ("INSERT INTO missing VALUES (1)",),
        ("INSERT INTO t (missing) VALUES (1)",),
    ],
)
def test_what_no_row_is_to_blame_for(path: Path, statements: tuple[str, ...]) -> None:
    assert kind_of(failure(path, *statements)) == "away"


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"this is a text, and none of SQLite's" * 100)
    assert kind_of(failure(path, "INSERT INTO t VALUES (1, 'a')")) == "away"
