"""Named queries are timed, and slow statements logged with their plan."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.database import database_of
from tgecrawler.storage.engine import create_engine, query_timings, reading, write_transaction
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.slow_queries import LONGEST_TEXT, PLAN_EVERY_S, shortened

ALL_ARE_SLOW = EngineSettings(slow_query_ms=0.000_001)
NONE_IS_SLOW = replace(ALL_ARE_SLOW, slow_query_ms=0)
SECRET = "not for the log"

table = sa.table("told", sa.column("id"), sa.column("title"))
named = sa.select(table.c.id).where(table.c.title == SECRET)
MANY = sa.text(
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000) "
    "SELECT x FROM n"
)


def opened(path: Path, settings: EngineSettings) -> Engine:
    engine = create_engine(f"sqlite:///{path}/tge.db", settings)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE told (id INTEGER PRIMARY KEY, title TEXT)"))
        connection.execute(sa.text("CREATE INDEX told_title ON told (title)"))
    return engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path, ALL_ARE_SLOW)
    yield engine
    engine.dispose()


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path, NONE_IS_SLOW)
    yield engine
    engine.dispose()


def read(engine: Engine, name: str = "told", query: sa.Executable = named) -> None:
    with reading(engine, name) as connection:
        connection.execute(query).all()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the slow-query lines."""
    told = [record.getMessage() for record in caplog.records]
    return [line for line in told if line.startswith("slow query")]


def test_each_name_has_its_figures(quiet: Engine) -> None:
    for _ in range(3):
        read(quiet)
    with write_transaction(quiet, "write_batch") as connection:
        connection.execute(table.insert().values(title="x"))
        time.sleep(0.05)
    timings = query_timings(quiet)
    assert {name: timing.count for name, timing in timings.items()} == {"told": 3, "write_batch": 1}
    assert 0 < timings["told"].p50_ms <= timings["told"].p95_ms <= timings["told"].p99_ms
    assert timings["write_batch"].p50_ms >= 49


def test_a_query_that_fails_is_timed_too(quiet: Engine) -> None:
    with pytest.raises(DatabaseError, match="no such table"):
        read(quiet, query=sa.text("SELECT 1 FROM nowhere"))
    assert query_timings(quiet)["told"].count == 1


def test_what_the_reader_of_a_stream_does_is_not_the_querys_time(quiet: Engine) -> None:
    with reading(quiet, "stream") as connection:
        for _ in connection.execution_options(yield_per=50_000).execute(MANY):
            if _.x % 50_000 == 0:
                time.sleep(0.2)
    assert query_timings(quiet)["stream"].p99_ms < 200


def test_the_fetching_of_rows_is_the_statements_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = opened(tmp_path, replace(ALL_ARE_SLOW, slow_query_ms=10))
    read(engine, "many", MANY)  # SQLite has executed it when there is a first row
    assert len(lines(caplog)) == 1
    engine.dispose()


def test_a_slow_statement_is_logged_with_its_plan_and_without_its_values(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    read(engine)
    (line,) = lines(caplog)
    assert line.startswith("slow query told: 0 ms, ? rows: SELECT told.id FROM told WHERE")
    assert "told.title = ?; plan: SEARCH told USING COVERING INDEX told_title" in line
    assert SECRET not in line
    assert caplog.records[-1].levelno == logging.WARNING


def test_a_plan_is_taken_once_an_hour_and_name(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    now_s, told = [0.0], []
    database_of(engine).slow_queries.clock = lambda: now_s[-1]
    for at_s, name in [(0, "a"), (1, "a"), (1, "b"), (PLAN_EVERY_S - 1, "a"), (PLAN_EVERY_S, "a")]:
        now_s.append(at_s)
        caplog.clear()
        read(engine, name)
        told.append("plan:" in lines(caplog)[0])
    assert told == [True, False, True, False, True]


def test_a_plan_that_cannot_be_had_fails_no_query(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with write_transaction(engine, "write") as connection:
        connection.execute(sa.text("CREATE TEMP TABLE mine (x)"))
    caplog.clear()
    read(engine, "temporary", sa.text("SELECT x FROM mine"))
    assert lines(caplog)[0].endswith("SELECT x FROM mine; plan: none (OperationalError)")


def test_rows_of_a_change_are_told_and_many_rows_have_no_plan(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with write_transaction(engine, "write_batch") as connection:
        connection.execute(table.insert(), [{"title": "a"}, {"title": "b"}])
        connection.execute(table.update().values(title="c"))
    insert, update = lines(caplog)
    assert insert.endswith("plan: none of a statement for many rows")
    assert "slow query write_batch: 0 ms, 2 rows: UPDATE told SET title=?" in update


def test_none_is_logged_where_none_is_slow(quiet: Engine, caplog: pytest.LogCaptureFixture) -> None:
    read(quiet)
    read(quiet, "many", MANY)
    assert lines(caplog) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT a\n  FROM b", "SELECT a FROM b"),
        ("x IN (?, ?, ?) AND y = ?", "x IN (?, …) AND y = ?"),
        ("x IN (%(a_1)s, %(a_2)s)", "x IN (%(a_1)s, …)"),
        ("VALUES (?, ?), (?, ?), (?, ?)", "VALUES (?, …), …"),
        ("VALUES (?), (?)", "VALUES (?), …"),
        ("x" * (LONGEST_TEXT + 1), "x" * LONGEST_TEXT + "…"),
    ],
)
def test_sql_in_one_line(text: str, told: str) -> None:
    assert shortened(text) == told
