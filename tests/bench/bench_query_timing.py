"""What it costs to time a named query, beside the query itself."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from run import Row
from tgecrawler.domain.histogram import Histogram
from tgecrawler.storage.drivers import make_engine, parse_url
from tgecrawler.storage.engine import create_engine, reading
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.error_line import database_error

MOST_US = 20.0
ROUNDS, QUERIES = 20, 500
ADDED = 100_000
QUERY = sa.text("SELECT 1")


def bench_query_timing() -> list[Row]:
    """Compare `reading` with what it was before it timed anything, in CPU time.

    The least of the rounds counts: other work on the machine only ever adds to it.
    """
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/tge.db"
        bare, named = make_engine(parse_url(url), EngineSettings()), create_engine(url)
        one, one_bare = _least_us(named, bare, statements=1)
        four, four_bare = _least_us(named, bare, statements=4)
        bare.dispose()
        named.dispose()
    note = f"of SELECT 1 on SQLite, which takes {one_bare:.0f} us without"
    return [
        Row("timing of a named query", one - one_bare, "us", MOST_US, note),
        Row("and of each further statement", (four - four_bare - one + one_bare) / 3, "us"),
    ]


def bench_histogram() -> list[Row]:
    histogram = Histogram()
    started = time.perf_counter()
    for number in range(ADDED):
        histogram.add(number * 1e-6)
    add_us = (time.perf_counter() - started) / ADDED * 1e6
    started = time.perf_counter()
    for _ in range(1_000):
        histogram.percentile(99)
    return [
        Row("histogram of durations, add", add_us, "us"),
        Row("histogram of durations, percentile", (time.perf_counter() - started) * 1e3, "us"),
    ]


def _least_us(named: Engine, bare: Engine, *, statements: int) -> tuple[float, float]:
    least = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for place, read in enumerate((lambda: reading(named, "bench"), lambda: _untimed(bare))):
            started = time.process_time()
            for _ in range(QUERIES):
                with read() as connection:
                    for _ in range(statements):
                        connection.execute(QUERY).all()
            took_us = (time.process_time() - started) / QUERIES * 1e6
            least[place] = min(least[place], took_us)
    return least[0], least[1]


@contextmanager
def _untimed(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise database_error(error, engine.url) from error
