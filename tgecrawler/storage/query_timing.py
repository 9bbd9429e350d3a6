"""How long named queries take, and which of their statements took too long."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from tgecrawler.domain.histogram import Histogram

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_WATCH = "tge_watch"  # in Connection.info: an execution option would cost 10 us a connection


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A slow statement of a named query. ``rows`` is None where the driver does not know.

    ``parameters`` is None of a statement that was run for many rows.
    """

    text: str
    parameters: Any
    took_s: float
    rows: int | None


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
        "_info",
        "_parameters",
        "_rows",
        "_spent_s",
        "_started_s",
        "_streams",
        "_text",
        "name",
        "slow",
        "slow_s",
    )

    def __init__(self, name: str, *, slow_s: float, fetches: bool) -> None:
        self.name = name
        self.slow_s = slow_s
        self.slow: list[Statement] = []
        self._fetches = fetches
        self._streams = False
        self._spent_s = 0.0
        self._text: str | None = None
        self._started_s = perf_counter()

    def attach(self, connection: Connection) -> None:
        """Let the statements of a connection be told to this watch, until `detach`."""
        self._info = connection.info  # kept: a connection that is lost has none
        self._info[_WATCH] = self

    def detach(self) -> None:
        """Be told no more; to be called before the connection is given back."""
        self._info.pop(_WATCH, None)  # it goes with a connection that is lost

    def begin(self, text: str, parameters: Any, *, streams: bool) -> None:
        """Note that a statement is sent."""
        now_s = perf_counter()
        if self._text is not None:
            self._end(now_s)
        if streams:
            self._streams = True
        self._text = text
        self._parameters = parameters
        self._began_s = now_s
        self._executed_s = 0.0
        self._rows = -1

    def executed(self, rows: int) -> None:
        """Note that it is done, but for its rows; -1 where their number is not known."""
        self._executed_s = perf_counter()
        self._rows = rows

    def stop(self) -> float:
        """Return how many seconds the query took."""
        now_s = perf_counter()
        if self._text is not None:
            self._end(now_s)
            self._text = None
        return self._spent_s if self._streams else now_s - self._started_s

    def _end(self, now_s: float) -> None:
        fetched = self._fetches and not self._streams
        # a statement that failed, or was ended, was never executed
        ended_s = now_s if fetched or not self._executed_s else self._executed_s
        took_s = ended_s - self._began_s
        self._spent_s += took_s
        if took_s >= self.slow_s and self._text is not None:
            rows = self._rows if self._rows >= 0 else None
            slow = Statement(text=self._text, parameters=self._parameters, took_s=took_s, rows=rows)
            self.slow.append(slow)


def tell_watches(engine: Engine) -> None:
    """Let an engine's statements be told to the watch that their connection has."""
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "after_cursor_execute", _after)


def _before(
    connection: Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    if (watch := connection.info.get(_WATCH)) is not None:
        given = None if executemany else parameters
        watch.begin(statement, given, streams="yield_per" in context.execution_options)


def _after(
    connection: Connection,
    cursor: Any,
    _statement: str,
    _parameters: Any,
    _context: Any,
    _executemany: bool,
) -> None:
    if (watch := connection.info.get(_WATCH)) is not None:
        watch.executed(cursor.rowcount)
