"""Every read query on a million mentions, on both engines: how long, by which plan, and without
indexes; fifty readers while batches are written; the way down and up the migrations.

Each engine's database is filled once (`big_database`), in a folder that goes at the end.
Where every query is asked again without indexes, these have really been dropped, in a
copy. Soaks: some ten minutes and as many gigabytes.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from big_database import ACCOUNTS, COMPANIES, END, Size, fill
from made_mentions import KINDS, STATUSES, MadeMentions
from without_indexes import drop_indexes

from run import ROOT, Row
from tgecrawler.errors import DatabaseError
from tgecrawler.storage import schema
from tgecrawler.storage.accounts import follower_history
from tgecrawler.storage.batch import Batch
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.event_queries import (
    find_events,
    largest_events,
    mentions_of,
    recent_events,
)
from tgecrawler.storage.models import Base
from tgecrawler.storage.queries import (
    known_stories,
    recent_alerts,
    recent_runs,
    source_health,
)
from tgecrawler.storage.readiness import ensure_schema
from tgecrawler.storage.seen import SeenIndex
from tgecrawler.storage.statistics import alert_latency, daily_statistics
from tgecrawler.storage.writer import Writer

sys.path.append(str(ROOT / "tests" / "services"))
from postgresql_server import serving

SIZE = Size(int(os.environ.get("BENCH_MENTIONS", "1000000")))
SIZE = Size(SIZE.mentions, SIZE.mentions // 10, SIZE.mentions // 50)
CALLS = 100
PATIENCE_S = 10.0  # with a query that has no indexes
READERS = 50
READING_S = 10
LIMIT_MS = {"PostgreSQL": 20.0, "SQLite": 30.0}
# As a server is run in earnest, but for its memory, which is small by default.
SETTINGS = {"listen_addresses": "127.0.0.1", "timezone": "UTC", "shared_buffers": "512MB",
            "max_connections": "120", "work_mem": "16MB"}  # fmt: skip

# Tables that grow: to read one of them from end to end is what an index is for.
LARGE = ("mentions", "mention_companies", "mention_traits", "alerts", "alert_companies",
         "events", "event_companies", "event_mentions", "follower_snapshots")  # fmt: skip

QUIET = EngineSettings(slow_query_ms=0, statement_timeout_s=0)

Query = Callable[[sa.Engine, random.Random], Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """A database that is filled, and how to have another just like it."""

    engine_name: str
    url: str
    copied: Callable[[], str]


def soak_reading() -> list[Row]:
    rows: list[Row] = []
    for databases in (_sqlite, _postgresql):
        with databases() as one:
            engine = create_engine(one.url, QUIET)
            rows += _queries(one, engine)
            rows += _readers_beside_a_writer(one, engine)
            rows += _idle_indexes(one, engine)
            engine.dispose()
            rows += _migrations(one)
    return rows


def _asked(made: MadeMentions) -> dict[str, Query]:
    """Return the queries, each to be asked with parameters that differ."""

    def company(rng: random.Random) -> str:
        return f"Company {made.skewed(COMPANIES)}"

    def ago(rng: random.Random, days: int) -> Any:
        return END - timedelta(days=rng.randrange(1, days))

    def alert_page(engine: sa.Engine, rng: random.Random, **filters: Any) -> Any:
        first = recent_alerts(engine, **filters)
        return recent_alerts(engine, before=first[-1].cursor, **filters) if first else first

    def words(rng: random.Random) -> str:
        return rng.choice((
            rng.choice(made.words), f"{rng.choice(made.words)[:3]}*", rng.choice(list(KINDS)),
            f"{made.projects[made.skewed(5_000)]}", f"airdrop {rng.choice(made.words)}",
        ))  # fmt: skip

    events = [f"1{number:032x}" for number in range(SIZE.events)]
    return {
        "recent alerts": lambda engine, rng: recent_alerts(engine, since=ago(rng, 60)),
        "alerts, two pages": lambda engine, rng: alert_page(engine, rng),
        "alerts of a company": lambda engine, rng: recent_alerts(
            engine, company=company(rng), min_score=rng.choice((0.5, 0.8))
        ),
        "alerts by kind and score": lambda engine, rng: recent_alerts(
            engine, kind=rng.choice(list(KINDS)), min_score=rng.choice((0.5, 0.9))
        ),
        "alerts by status": lambda engine, rng: recent_alerts(
            engine, status=rng.choice(list(STATUSES))
        ),
        "alerts by words": lambda engine, rng: recent_alerts(engine, text=words(rng)),
        "recent events": lambda engine, rng: recent_events(engine, since=ago(rng, 60)),
        "events of a company": lambda engine, rng: recent_events(engine, company=company(rng)),
        "events by kind and confidence": lambda engine, rng: recent_events(
            engine, kind=rng.choice(list(KINDS)), min_confidence=rng.choice((0.5, 0.9))
        ),
        "events by status": lambda engine, rng: recent_events(
            engine, status=rng.choice(list(STATUSES))
        ),
        "largest events": lambda engine, rng: largest_events(engine),
        "an event by id": lambda engine, rng: find_events(engine, rng.choice(events)),
        "an event's mentions": lambda engine, rng: mentions_of(
            engine, events[made.skewed(SIZE.events)], limit=100
        ),
        "source health": lambda engine, rng: source_health(engine, since=END - timedelta(days=7)),
        "thirty days": lambda engine, rng: daily_statistics(engine, since=END - timedelta(days=30)),
        "latency of thirty days": lambda engine, rng: alert_latency(
            engine, since=END - timedelta(days=30)
        ),
        "followers of a year": lambda engine, rng: follower_history(
            engine, "x", f"account{rng.randrange(ACCOUNTS)}", since=date(2025, 11, 1)
        ),
        "recent runs": lambda engine, rng: recent_runs(engine),
    }


def _queries(one: Copy, engine: sa.Engine) -> list[Row]:
    asked = _asked(MadeMentions(5, projects=5_000))
    with_indexes = {name: _times_ms(engine, query, CALLS) for name, query in asked.items()}
    plans = {name: _full_scans(engine, query) for name, query in asked.items()}
    engine.dispose()  # PostgreSQL copies no database that somebody is connected to
    without = _without_indexes(one.copied(), asked)
    rows = []
    for name, times in with_indexes.items():
        ratio = without[name] / statistics.median(times)
        more = "more than " if without[name] >= 1_000 * PATIENCE_S else ""
        note = (
            f"p50 {statistics.median(times):.1f} ms; {more}{ratio:.0f} times that without indexes"
        )
        limit = LIMIT_MS[one.engine_name]
        rows.append(Row(f"{one.engine_name}: {name}, p95", _p95(times), "ms", limit, note))
    scans = sorted({scan for found in plans.values() for scan in found})
    note = "; ".join(f"{name}: {', '.join(found)}" for name, found in plans.items() if found)
    rows.append(Row(f"{one.engine_name}: tables read whole", len(scans), "", 0, note))
    return rows


def _without_indexes(url: str, asked: dict[str, Query]) -> dict[str, float]:
    """Return the milliseconds of each query where there are no indexes, `PATIENCE_S` at most."""
    engine = create_engine(url, replace(QUIET, statement_timeout_s=PATIENCE_S))
    drop_indexes(engine)
    until = [0.0]

    @sa.event.listens_for(engine, "connect")
    def _end_in_time(connection: Any, _: Any) -> None:
        if engine.dialect.name == "sqlite":
            connection.set_progress_handler(lambda: time.monotonic() > until[0], 100_000)

    engine.dispose()
    rng = random.Random(3)
    taken = {}
    for name, query in asked.items():
        until[0] = time.monotonic() + PATIENCE_S
        started = time.perf_counter()
        try:
            query(engine, rng)
        except DatabaseError:
            taken[name] = 1_000 * PATIENCE_S
        else:
            taken[name] = 1_000 * (time.perf_counter() - started)
    engine.dispose()
    return taken


def _times_ms(engine: sa.Engine, query: Query, calls: int) -> list[float]:
    rng = random.Random(3)
    query(engine, rng)  # statements are compiled once in a process
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        query(engine, rng)
        times.append(1000 * (time.perf_counter() - started))
    return times


def _p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1))]


def _full_scans(engine: sa.Engine, query: Query) -> list[str]:
    """Return which large tables the plans of a query's statements read from end to end."""
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    query(engine, random.Random(3))
    sa.event.remove(engine, "before_cursor_execute", note)
    postgresql = engine.dialect.name == "postgresql"
    pattern = r"Seq Scan on (\w+)" if postgresql else r"^SCAN (\w+)(?! USING)(?! VIRTUAL)"
    found: list[str] = []
    with engine.connect() as connection:
        for statement, parameters in statements:
            explain = "EXPLAIN" if postgresql else "EXPLAIN QUERY PLAN"
            plan = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            for line in plan:
                found += [table for table in re.findall(pattern, str(line[-1])) if table in LARGE]
    return found


def _readers_beside_a_writer(one: Copy, engine: sa.Engine) -> list[Row]:
    """Fifty threads ask for what they like while one writes batches as quickly as it can."""
    asked = list(_asked(MadeMentions(5, projects=5_000)).values())
    stop = threading.Event()
    errors: list[str] = []
    times: list[float] = []

    def read(seed: int) -> None:
        rng = random.Random(seed)
        while not stop.is_set():
            started = time.perf_counter()
            try:
                rng.choice(asked)(engine, rng)
            except Exception as error:
                errors.append(repr(error))
                return
            times.append(1000 * (time.perf_counter() - started))

    made = MadeMentions(17)
    writer, written = Writer(engine), 0
    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read, seed) for seed in range(READERS)]
        until = time.monotonic() + READING_S
        while time.monotonic() < until:
            first = 10**9 + written
            writer.write(Batch(mentions=list(made.take(200, first)), rules_version="bench"))
            written += 200
        stop.set()
        for reader in readers:
            reader.result()
    note = f"{len(times) / READING_S:.0f} queries/s by {READERS} threads of one process on 2 cores"
    return [
        Row(f"{one.engine_name}: {READERS} readers beside a writer, errors", len(errors), "", 0,
            "; ".join(errors[:2])),
        Row("  a query among them, p95", _p95(times), "ms", None, note),
        Row("  mentions written meanwhile", written / READING_S, "mentions/s"),
    ]  # fmt: skip


def _idle_indexes(one: Copy, engine: sa.Engine) -> list[Row]:
    """Tell which indexes neither the queries nor the writer used; PostgreSQL alone counts."""
    if engine.dialect.name != "postgresql":
        return []
    since = END - timedelta(days=1)
    known_stories(engine, since=since)
    SeenIndex.load(engine, since=since)
    Writer(engine).refresh_traits(frozenset(), frozenset())
    engine.dispose()  # a session tells what it counted when it ends
    query = (
        "SELECT indexrelname FROM pg_stat_user_indexes WHERE idx_scan = 0"
        " AND indexrelname LIKE 'ix_%' ORDER BY 1"
    )
    with engine.connect() as connection:
        idle = list(connection.scalars(sa.text(query)))
    note = "used by merges, prune or nothing: " + ", ".join(idle) if idle else ""
    return [Row(f"{one.engine_name}: indexes that nothing used", len(idle), "", None, note)]


def _migrations(one: Copy) -> list[Row]:
    url = one.copied()
    engine = create_engine(url, QUIET)
    before = _checksums(engine)
    rows = []
    for way, revision in (("down", "0003"), ("up", "head"), ("down again", "0003")):
        move = schema.upgrade if revision == "head" else partial(schema.downgrade)
        started = time.perf_counter()
        move(engine, revision)
        taken = time.perf_counter() - started
        rows.append(Row(f"{one.engine_name}: migrations, {way}", taken, "s"))
    schema.upgrade(engine)
    after = _checksums(engine)
    # of accounts revision 0003 has no tables, and says so
    kept = before.keys() - {"accounts", "follower_snapshots"}
    differ = [name for name in sorted(kept) if before[name] != after[name]]
    rows.append(Row(f"{one.engine_name}: tables that differ after it", len(differ), "", 0,
                    ", ".join(differ)))  # fmt: skip
    engine.dispose()
    return rows


def _checksums(engine: sa.Engine) -> dict[str, str]:
    """Return a digest of every table, whatever the order of its rows."""
    sums = {}
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            total = 0
            rows = connection.execution_options(yield_per=5_000).execute(sa.select(table))
            for row in rows:
                # Where places were given by another rule they may differ; their order may not.
                values = [value for name, value in row._mapping.items() if name != "position"]
                packed = orjson.dumps([str(v) if isinstance(v, bytes) else v for v in values])
                total += int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest())
            sums[table.name] = f"{total % 2**64:016x}"
        order = connection.scalars(sa.text("SELECT id FROM alerts ORDER BY position"))
        sums["alerts"] += hashlib.blake2b("".join(order).encode(), digest_size=8).hexdigest()
    return sums


@contextmanager
def _sqlite() -> Iterator[Copy]:
    with tempfile.TemporaryDirectory(prefix="tge-big-") as folder:
        first = Path(folder) / "big.db"
        engine = create_engine(f"sqlite:///{first}")
        ensure_schema(engine)
        fill(engine, SIZE)
        engine.dispose()
        names = iter(range(100))

        def copied() -> str:
            path = Path(folder) / f"copy{next(names)}.db"
            shutil.copyfile(first, path)
            return f"sqlite:///{path}"

        yield Copy("SQLite", f"sqlite:///{first}", copied)


@contextmanager
def _postgresql() -> Iterator[Copy]:
    with serving(SETTINGS) as server:
        names = iter(range(100))
        server.execute("CREATE DATABASE big")
        engine = create_engine(server.url("big"))
        ensure_schema(engine)
        fill(engine, SIZE)
        engine.dispose()

        def copied() -> str:
            name = f"copy{next(names)}"
            server.execute(f"CREATE DATABASE {name} TEMPLATE big")
            return server.url(name)

        yield Copy("PostgreSQL", server.url("big"), copied)
