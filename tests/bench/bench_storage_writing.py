"""Rows a second into the database: batches of ours, the bare driver, the ORM one by one.

All store the same rows: what our writer leaves of made mentions of 3 kB, in all its
tables. Handed these rows, our batches and the bare driver write them a table at a time,
in one transaction for each batch; the ORM looks, adds and commits mention by mention, as
the predecessor does it. The whole writer is not handed them: it finds out what they are
(copies, alerts, events) and reads for that what is stored, so it is measured beside them
without a limit. They run in turns, each into a fresh database; what counts is the wall
clock, since the server works as well.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from made_mentions import MadeMentions
from psycopg2.extras import execute_values
from sqlalchemy.orm import Session
from without_indexes import drop_indexes

from run import ROOT, Row
from tgecrawler.storage.batch import Batch
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.models import Base
from tgecrawler.storage.readiness import ensure_schema
from tgecrawler.storage.upsert import insert_missing
from tgecrawler.storage.writer import Writer

sys.path.append(str(ROOT / "tests" / "services"))
from postgresql_server import serving

MENTIONS = 4_000
ONE_BY_ONE = 250  # of them by the ORM, which takes its time
BATCH = 500
ROUNDS = 5
TIMES_THE_ORM = 10
SHARE_OF_DRIVER = 0.6
# As a server is run in earnest: every commit reaches the disk.
DURABLE = {"listen_addresses": "127.0.0.1", "timezone": "UTC"}

TABLES = [table for table in Base.metadata.sorted_tables if table.name != "follower_snapshots"]
OWNER = {  # the column that says to which mention a row belongs; none of an event or company
    "mentions": "id", "mention_texts": "mention_id", "mention_companies": "mention_id",
    "mention_traits": "mention_id", "near_copies": "mention_id", "alerts": "mention_id",
    "alert_companies": "alert_id", "event_mentions": "mention_id", "seen": "id",
}  # fmt: skip

PARENTS = ("mentions", "alerts")

Rows = dict[str, list[dict[str, Any]]]
Way = Callable[[sa.Engine], int]


def bench_writing() -> list[Row]:
    rows = [*_compare("SQLite", _sqlite_databases), *_compare("PostgreSQL", _postgresql_databases)]
    return [*rows, _memory()]


def _compare(engine_name: str, databases: Callable[[], Any]) -> list[Row]:
    mentions = list(MadeMentions(7).take(MENTIONS))
    with databases() as fresh:
        stored = _rows_of(fresh(), mentions)
        orm_classes = {mapper.local_table.name: mapper.class_ for mapper in Base.registry.mappers}
        ways: dict[str, Way] = {
            "batches": lambda engine: _batched(engine, stored),
            "writer": lambda engine: _ours(engine, mentions),
            "no index": lambda engine: _batched(_without_indexes(engine), stored),
            "driver": lambda engine: _driver(engine, stored),
            "orm": lambda engine: _orm(engine, stored, orm_classes),
        }
        rates: dict[str, list[float]] = defaultdict(list)
        written: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                engine = fresh()
                before = _bytes_written(engine)
                started = time.perf_counter()
                count = way(engine)
                rates[name].append(count / (time.perf_counter() - started))
                written[name] = (_bytes_written(engine) - before) / count
                engine.dispose()
    rate = {name: statistics.median(values) for name, values in rates.items()}
    size = sum(map(len, stored.values())) / MENTIONS
    note = f"{size:.1f} rows a mention, 3 kB of text, batches of {BATCH}"

    def beside(name: str, other: str, limit: float | None = None) -> Row:
        ratio = rate[other] / rate[name]
        note = f"{rate[name] / rate[other]:.2f} times as fast"
        return Row(f"{engine_name}: {other} to {name}", ratio, "", limit, note)

    return [
        Row(f"{engine_name}: batches of ours", rate["batches"], "mentions/s", None, note),
        Row(f"{engine_name}: bare driver", rate["driver"], "mentions/s"),
        Row(f"{engine_name}: ORM one by one", rate["orm"], "mentions/s"),
        Row(f"{engine_name}: whole writer", rate["writer"], "mentions/s"),
        beside("batches", "driver", 1 / SHARE_OF_DRIVER),
        beside("batches", "orm", 1 / TIMES_THE_ORM),
        beside("batches", "no index"),
        Row(
            f"{engine_name}: bytes written to bytes without indexes",
            written["batches"] / written["no index"],
            "times",
            None,
            f"{written['batches'] / 1000:.1f} kB a mention",
        ),
        beside("writer", "driver"),
        beside("writer", "orm"),
    ]


def _without_indexes(engine: sa.Engine) -> sa.Engine:
    drop_indexes(engine)
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:  # the text search there is fed by it
            connection.execute(sa.text("DROP TRIGGER alert_search_insert"))
    return engine


def _bytes_written(engine: sa.Engine) -> float:
    """Return what the write-ahead log has taken so far; of SQLite, how large the file is."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return float(connection.scalar(sa.text("SELECT pg_current_wal_insert_lsn() - '0/0'")))
        pages = connection.scalar(sa.text("PRAGMA page_count"))
        return float(pages * connection.scalar(sa.text("PRAGMA page_size")))


def _batched(engine: sa.Engine, stored: Rows) -> int:
    for part in _batches(stored):
        with write_transaction(engine) as connection:
            for table in TABLES:
                insert_missing(connection, table, part.get(table.name, ()))
    return len(stored["mentions"])


def _ours(engine: sa.Engine, mentions: list[Any]) -> int:
    writer = Writer(engine)
    for start in range(0, len(mentions), BATCH):
        batch = Batch(mentions=mentions[start : start + BATCH], rules_version="bench")
        writer.write(batch)
    return len(mentions)


def _rows_of(engine: sa.Engine, mentions: list[Any]) -> Rows:
    _ours(engine, mentions)
    with engine.connect() as connection:
        rows = {
            table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
            for table in TABLES
        }
    engine.dispose()
    return {name: listed for name, listed in rows.items() if listed}


def _batches(stored: Rows) -> Iterator[Rows]:
    """Yield the rows in parts that belong together, originals before their copies."""
    order = _in_order(stored)
    part_of = {row["id"]: at // BATCH for at, row in enumerate(order)}
    parts: list[Rows] = [defaultdict(list) for _ in range(MENTIONS // BATCH)]
    event_part: dict[str, int] = {}
    for row in stored["event_mentions"]:
        part = part_of[row["mention_id"]]
        event_part[row["event_id"]] = min(part, event_part.get(row["event_id"], part))
    for table in TABLES:
        for row in order if table.name == "mentions" else stored.get(table.name, ()):
            if table.name in ("events", "event_companies"):
                part = event_part[row.get("event_id") or row["id"]]
            else:
                owner = OWNER.get(table.name)
                part = part_of[row[owner]] if owner else 0
            parts[part][table.name].append(row)
    yield from parts


def _in_order(stored: Rows) -> list[dict[str, Any]]:
    return sorted(stored["mentions"], key=lambda row: (row["duplicate_of"] or "", row["id"]))


def _driver(engine: sa.Engine, stored: Rows) -> int:
    connection = engine.raw_connection()
    postgresql = engine.dialect.name == "postgresql"
    cursor = connection.cursor()
    for part in _batches(stored):
        if not postgresql:
            cursor.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            if listed := part.get(table.name):
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                values = _bound(engine, table, listed)
                if postgresql:
                    insert = f"INSERT INTO {table.name} ({names}) VALUES %s ON CONFLICT DO NOTHING"
                    execute_values(cursor, insert, values, page_size=BATCH)
                else:
                    marks = ", ".join("?" * len(table.columns))
                    cursor.executemany(
                        f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})", values
                    )
        connection.commit()
    connection.close()
    return len(stored["mentions"])


def _bound(engine: sa.Engine, table: sa.Table, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return rows as the driver takes them."""
    processors = [
        column.type.dialect_impl(engine.dialect).bind_processor(engine.dialect)
        for column in table.columns
    ]
    names = [column.name for column in table.columns]
    return [
        tuple(
            process(row[name]) if process else row[name]
            for name, process in zip(names, processors, strict=True)
        )
        for row in rows
    ]


def _orm(engine: sa.Engine, stored: Rows, classes: dict[str, Any]) -> int:
    belonging: dict[str, list[Any]] = defaultdict(list)
    event_of = {row["mention_id"]: row["event_id"] for row in stored["event_mentions"]}
    first = [row["id"] for row in islice(_in_order(stored), ONE_BY_ONE)]
    wanted = set(first)
    with Session(engine) as session:
        for row in stored.get("companies", ()):
            session.add(classes["companies"](**row))
        session.commit()
        events = {row["id"]: row for row in stored["events"]}
        for table in TABLES:
            owner = OWNER.get(table.name)
            if owner:
                for row in stored.get(table.name, ()):
                    if row[owner] in wanted:
                        belonging[row[owner]].append((classes[table.name], row))
        for id_ in first:
            if session.get(classes["mentions"], id_) is None:
                event = events[event_of[id_]]
                if session.get(classes["events"], event["id"]) is None:
                    session.add(classes["events"](**event))
                for kind, row in belonging[id_]:
                    session.add(kind(**row))
                    if kind.__tablename__ in PARENTS:
                        session.flush()  # without relationships the ORM knows no order
            session.commit()
    return len(first)


def _memory() -> Row:
    """Return how much the process grows while it writes, once it has written a while."""
    with _sqlite_databases() as fresh:
        writer = Writer(fresh())
        made = MadeMentions(11)
        peaks = []
        for turn in range(4):
            for number in range(turn * 2_000, (turn + 1) * 2_000, BATCH):
                batch = Batch(mentions=list(made.take(BATCH, number)), rules_version="bench")
                writer.write(batch)
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    growth = peaks[-1] - peaks[0]
    return Row("memory gained from 2,000 to 8,000 mentions written", growth, "MB", 20)


@contextmanager
def _sqlite_databases() -> Iterator[Callable[[], sa.Engine]]:
    with tempfile.TemporaryDirectory() as folder:
        names = (Path(folder) / f"{number}.db" for number in range(1_000))

        def fresh() -> sa.Engine:
            engine = create_engine(f"sqlite:///{next(names)}")
            ensure_schema(engine)
            return engine

        yield fresh


@contextmanager
def _postgresql_databases() -> Iterator[Callable[[], sa.Engine]]:
    with serving(DURABLE) as server:
        names = (f"bench_{number}" for number in range(1_000))

        def fresh() -> sa.Engine:
            name = next(names)
            server.execute(f"CREATE DATABASE {name}")
            engine = create_engine(server.url(name))
            ensure_schema(engine)
            return engine

        yield fresh
