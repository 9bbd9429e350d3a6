"""How long named queries take, and which of their statements took too long."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from tgecrawler.domain.histogram import Histogram

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

WATCH = "tge_watch"
"""Execution option of a connection: the `Watch` that its statements are told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTiming:
    """How often a named query ran, and how long it took; see ``Histogram`` for the error."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class QueryTimings:
    """One histogram for each name; used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms: dict[str, Histogram] = defaultdict(Histogram)

    def add(self, name: str, seconds: float) -> None:
        """Count one query."""
        with self._lock:
            self._histograms[name].add(seconds)

    def table(self) -> dict[str, QueryTiming]:
        """Return the figures of every name so far, by name."""
        with self._lock:
            return {name: _timing(self._histograms[name]) for name in sorted(self._histograms)}


def _timing(histogram: Histogram) -> QueryTiming:
    p50, p95, p99 = (round(histogram.percentile(of) * 1_000, 3) for of in (50, 95, 99))
    return QueryTiming(count=histogram.count, p50_ms=p50, p95_ms=p95, p99_ms=p99)


@dataclass(slots=True, kw_only=True)
class Statement:
    """A statement of a named query. ``rows`` is None where the driver does not know.

    ``parameters`` is None of a statement that was run for many rows.
    """

    text: str
    parameters: Any
    took_s: float = 0.0
    rows: int | None = None


class Watch:
    """Times one named query, and keeps those of its statements that took `slow_s` or longer.

    A query lasts from here to `stop`, the wait for its connection included. One that
    streams (``yield_per``) lasts as long as its statements: what is done between
    two of its rows is the reader's time.

    Args:
        fetches: a statement lasts until the next one, since SQLite makes rows while
            they are fetched. False for a transaction that works between its statements.
    """

    __slots__ = (
        "_began_s",
        "_executed_s",
        "_fetches",
        "_spent_s",
        "_started_s",
        "_statement",
        "_streams",
        "name",
        "slow",
        "slow_s",
    )

    def __init__(self, name: str, *, slow_s: float, fetches: bool) -> None:
        self.name = name
        self.slow_s = slow_s
        self.slow: list[Statement] = []
        self._fetches = fetches
        self._statement: Statement | None = None
        self._began_s = self._executed_s = self._spent_s = 0.0
        self._streams = False
        self._started_s = time.perf_counter()

    def begin(self, text: str, parameters: Any, *, streams: bool) -> None:
        """Note that a statement is sent."""
        self._began_s = self._end()
        self._executed_s = 0.0
        self._streams = self._streams or streams
        self._statement = Statement(text=text, parameters=parameters)

    def executed(self, rows: int) -> None:
        """Note that it is done, but for its rows; -1 where their number is not known."""
        self._executed_s = time.perf_counter()
        if self._statement is not None and rows >= 0:
            self._statement.rows = rows

    def stop(self) -> float:
        """Return how many seconds the query took."""
        now_s = self._end()
        return self._spent_s if self._streams else now_s - self._started_s

    def _end(self) -> float:
        now_s = time.perf_counter()
        statement, self._statement = self._statement, None
        if statement is not None:
            fetched = self._fetches and not self._streams
            # a statement that failed, or was ended, was never executed
            ended_s = now_s if fetched or not self._executed_s else self._executed_s
            statement.took_s = ended_s - self._began_s
            self._spent_s += statement.took_s
            if statement.took_s >= self.slow_s:
                self.slow.append(statement)
        return now_s


def tell_watches(engine: Engine) -> None:
    """Let the statements of an engine's connections be told to the watch that these have."""
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "after_cursor_execute", _after)


def _before(
    _connection: Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    options = context.execution_options
    if (watch := options.get(WATCH)) is not None:
        given = None if executemany else parameters
        watch.begin(statement, given, streams="yield_per" in options)


def _after(
    _connection: Connection,
    cursor: Any,
    _statement: str,
    _parameters: Any,
    context: Any,
    _executemany: bool,
) -> None:
    if (watch := context.execution_options.get(WATCH)) is not None:
        watch.executed(cursor.rowcount)
