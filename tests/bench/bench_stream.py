"""Messages a second from rows of the outbox to a group that reads, and what they cost the writer.

The writer alone, with an outbox, and the way of the messages are timed on both engines, each
with what a server in earnest does: commits reach the disk, and so does Redis's log each second.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from made_mentions import MadeMentions

from run import ROOT, Row
from tgecrawler.redis_link import connect
from tgecrawler.storage.batch import Batch
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.queries import counts
from tgecrawler.storage.readiness import ensure_schema
from tgecrawler.storage.writer import Writer
from tgecrawler.stream.messages import STREAM
from tgecrawler.stream.publisher import Publisher
from tgecrawler.stream.reader import StreamReader

sys.path.append(str(ROOT / "tests" / "services"))
from postgresql_server import serving
from redis_server import RedisServer

MENTIONS = 44_000  # of which about 70% are originals, and so alerts
ALERTS = 30_000
PROJECTS = 100_000
BATCH = 500
COMPARED = 3_000
ROUNDS = 5
TOLD_ROUNDS = 3
MESSAGES_A_SECOND = 1_000
MOST = 1_000_000
DURABLE = {"listen_addresses": "127.0.0.1", "timezone": "UTC"}


def bench_stream() -> list[Row]:
    rows: list[Row] = []
    for name, databases in (("SQLite", _sqlite_databases), ("PostgreSQL", _postgresql_databases)):
        with databases() as fresh:
            rows += _writing(name, fresh)
            rows += _telling(name, fresh())
    return rows


def _writing(name: str, fresh: Callable[[], sa.Engine]) -> list[Row]:
    mentions = list(MadeMentions(7).take(COMPARED))
    rates: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for announces, taken in rates.items():
            engine = fresh()
            started = time.perf_counter()
            _write(engine, mentions, announces=announces)
            taken.append(COMPARED / (time.perf_counter() - started))
            engine.dispose()
    plain, announcing = (max(taken) for taken in rates.values())
    note = f"best of {ROUNDS}, in turns"
    return [
        Row(f"{name}: writer without outbox", plain, "mentions/s", None, note),
        Row(f"{name}: writer with outbox", announcing, "mentions/s"),
        Row(f"{name}: without to with outbox", plain / announcing, "times", 1.15),
    ]


def _telling(name: str, engine: sa.Engine) -> list[Row]:
    # Large batches of many projects: the more of one there are, the longer grouping them takes.
    made = MadeMentions(7, chars=500, projects=PROJECTS)
    _write(engine, list(made.take(MENTIONS)), 4 * BATCH, announces=True)
    there = counts(engine)
    if there["alerts"] < ALERTS:
        raise RuntimeError(f"only {there['alerts']} alerts were made")
    rates: list[float] = []
    for _ in range(TOLD_ROUNDS):
        with _redis() as server:
            began = time.perf_counter()
            publishing = threading.Thread(target=_publish, args=(engine, server.url))
            publishing.start()
            messages = _read(server.url, there["outbox"])
            rates.append(messages / (time.perf_counter() - began))
            publishing.join()
            size, body = _sizes(server)
    publisher_us, reader_us = _processor_us(engine)
    engine.dispose()
    rate = statistics.median(rates)
    note = f"{messages} messages of {there['alerts']} alerts and {there['events']} events"
    return [
        Row(f"{name}: 1,000 messages from outbox to group", 1_000 / rate, "s",
            1_000 / MESSAGES_A_SECOND, f"{rate:.0f} a second; {note}"),
        Row(f"{name}: processor of the publisher for a message", publisher_us, "us"),
        Row(f"{name}: processor of a reader for a message", reader_us, "us"),
        Row(f"{name}: a message in Redis", size, "bytes", None, f"its body {body:.0f}"),
    ]  # fmt: skip


def _sizes(server: RedisServer) -> tuple[float, float]:
    """Return how many bytes a message takes in Redis, and how many its body has."""
    with server.client() as client:
        size = client.memory_usage(STREAM, samples=0) / client.xlen(STREAM)
        entries = client.xrange(STREAM, count=10_000)
    bodies = [fields.get(b"zstd") or fields.get(b"json") or b"" for _, fields in entries]
    return size, statistics.mean(map(len, bodies))


def _write(engine: sa.Engine, mentions: list[Any], size: int = BATCH, *, announces: bool) -> None:
    writer = Writer(engine, announces=announces)
    for start in range(0, len(mentions), size):
        batch = Batch(mentions=mentions[start : start + size], rules_version="bench")
        writer.write(batch)


def _publish(engine: sa.Engine, url: str) -> None:
    Publisher(engine, connect(url), MOST).publish()


def _processor_us(engine: sa.Engine) -> tuple[float, float]:
    """Return what a message takes of our own process, in the publisher and in a reader."""
    with _redis() as server:
        began = time.process_time()
        told = Publisher(engine, connect(server.url), MOST).publish()
        published = time.process_time()
        _read(server.url, told)
        read = time.process_time()
    return 1e6 * (published - began) / told, 1e6 * (read - published) / told


def _read(url: str, due: int) -> int:
    """Read and acknowledge so many messages; return how many different ones came."""
    reader = StreamReader(connect(url), "bench")
    found: set[str] = set()
    while len(found) < due:
        messages = reader.read(500)
        found |= {message.id for message in messages}
        reader.acknowledge(messages)
    return len(found)


@contextmanager
def _redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), "--appendonly", "yes")
        server.start()
        try:
            yield server
        finally:
            server.stop()


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
