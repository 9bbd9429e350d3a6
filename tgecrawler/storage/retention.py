"""What is let go when it is old enough: bodies, verdicts, runs, news; see also ``old_events``.

Rows are found without a lock, and deleted in transactions so short that a crawl which
writes meanwhile is not held up. Each leaves the database consistent, so that a prune which
is cut short has done a part of its work, and the next one does the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from tgecrawler.storage import old_events, partitions
from tgecrawler.storage.engine import database_error, write_transaction
from tgecrawler.storage.models import MENTION_TEXTS, MENTIONS, OUTBOX, RUNS, SEEN
from tgecrawler.storage.retry import with_retries
from tgecrawler.storage.upkeep import CHUNK, lift_timeout, reading_at_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date
    from typing import Self

    from sqlalchemy import Connection, Engine

    from tgecrawler.storage.old_events import OldEvent

T = TypeVar("T")

POST = "post"

OUTBOX_DAYS = 30
"""Days for which news wait to be told. Those that were told go sooner, by whoever told them."""

FOUND_AT_ONCE = 5_000
FIRST_AT_ONCE = 100
MOST_AT_ONCE = 5_000
TRANSACTION_S = 0.3
"""How long a transaction is meant to take; the next takes more rows or fewer to keep to it."""

SHORTEST_PAUSE_S = 0.05
"""Between two transactions: a writer of SQLite looks only now and then whether it is its turn."""

PARTITION_WAIT_S = 1.0
LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How many days each is kept; 0 is for ever. Days count from when a row was stored."""

    texts: int = 0
    posts: int = 0
    mentions: int = 0
    seen: int = 0
    runs: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return what the options TGE_KEEP_…_DAYS say."""
        return cls(**{name: int(options[option_of(name)]) for name in cls.__dataclass_fields__})


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What went: rows by table, and partitions that were dropped whole with all their rows.

    ``busy`` partitions were being read and stay until the next time. ``kept_events`` are
    old enough, but without their mentions another event would not be what it is.
    ``longest_s`` is how long others were held up at most.
    """

    rows: Counter[str] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    kept_events: int = 0
    longest_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the figures by name."""
        figures = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return figures | {"rows": {str(table): rows for table, rows in self.rows.items()}}


@dataclass(frozen=True, slots=True)
class _Rule:
    """Rows of ``table`` to delete: those that ``found`` selects, as id and time, unless spared."""

    table: sa.Table
    found: sa.Select[*tuple[Any, ...]]
    unless: tuple[sa.ColumnElement[bool], ...] = ()

    def delete(self, connection: Connection, ids: Sequence[str]) -> int:
        key = next(iter(self.table.primary_key))
        rows = 0
        for start in range(0, len(ids), CHUNK):
            chosen = key.in_(ids[start : start + CHUNK])
            spared = (sa.not_(condition) for condition in self.unless)
            rows += connection.execute(sa.delete(self.table).where(chosen, *spared)).rowcount
        return rows


def option_of(name: str) -> str:
    """Return the option for how long something of ``Retention`` is kept."""
    return f"TGE_KEEP_{name.upper()}_DAYS"


def would_prune(engine: Engine, retention: Retention, now: datetime) -> Pruned:
    """Return what ``Pruner.prune`` would let go; of mentions, what it would at most."""
    would = Pruned()
    with reading_at_length(engine) as connection:
        for month in _old_months(connection, retention, now):
            would.dropped.append(partitions.name_of(month))
            would.rows["mention_texts"] += partitions.row_count(connection, month)
        for rule in _rules(connection, retention, now):
            would.rows[rule.table.name] += _size(connection, rule.found)
        if retention.mentions:
            old = old_events.find(_cut(now, retention.mentions))
            would.rows["mentions"] += _size(connection, old_events.mentions_of(old))
    return would


class Pruner:
    """Lets go what a retention no longer keeps, and makes the partitions of coming months.

    Args:
        engine: of ``storage.engine.create_engine``, with its schema in place.
        clock: returns the present moment, aware UTC.
        sleep: waits for a number of seconds, between transactions and attempts.
    """

    def __init__(
        self,
        engine: Engine,
        retention: Retention,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.engine = engine
        self.retention = retention
        self.clock = clock
        self.sleep = sleep
        self.pruned = Pruned()
        self._at_once = FIRST_AT_ONCE

    def prune(self) -> Pruned:
        """Return what has gone.

        Raises:
            DatabaseError: it failed; what went until then has gone.
        """
        now = self.clock()
        self.pruned.made += self._transaction(lambda connection: _make_months(connection, now))
        if self.retention.mentions:
            self._prune_mentions(_cut(now, self.retention.mentions), now)
        with reading_at_length(self.engine) as connection:
            months = _old_months(connection, self.retention, now)
            rules = _rules(connection, self.retention, now)
        for month in months:
            if self.pruned.busy:  # a reader of one month holds the table of them all
                self.pruned.busy.append(partitions.name_of(month))
            else:
                self._drop_month(month)
        for rule in rules:
            self._delete(rule)
        return self.pruned

    def _prune_mentions(self, cut: datetime, now: datetime) -> None:
        self.pruned.rows["mentions"] += 0  # where none are found, that is told
        self._at_once = FIRST_AT_ONCE
        for page in self._pages(old_events.find(cut)):
            events = [old_events.OldEvent(row[0], row[1], row[2]) for row in page]
            while events:
                taken = old_events.first_of(events, self._at_once)
                del events[: len(taken)]
                self._let_go(taken, cut, now)

    def _let_go(self, events: Sequence[OldEvent], cut: datetime, now: datetime) -> None:
        ids = [event.id for event in events]

        def let_go(connection: Connection) -> tuple[Counter[str], int]:
            return old_events.let_go(connection, ids, cut, now)

        rows, kept = self._transaction(let_go, sum(event.mentions for event in events))
        self.pruned.rows.update(rows)
        self.pruned.kept_events += kept

    def _delete(self, rule: _Rule) -> None:
        self._at_once = FIRST_AT_ONCE
        self.pruned.rows[rule.table.name] += 0
        for page in self._pages(rule.found):
            ids = [row[0] for row in page]
            while ids:
                taken = ids[: self._at_once]
                del ids[: len(taken)]
                self.pruned.rows[rule.table.name] += self._delete_some(rule, taken)

    def _delete_some(self, rule: _Rule, ids: Sequence[str]) -> int:
        return self._transaction(lambda connection: rule.delete(connection, ids), len(ids))

    def _drop_month(self, month: date) -> None:
        def drop(connection: Connection) -> int | None:
            if month not in partitions.months(connection):
                return None  # another prune was quicker
            rows = partitions.row_count(connection, month)
            partitions.drop_month(connection, month, wait_s=PARTITION_WAIT_S)
            return rows

        name = partitions.name_of(month)
        try:
            with write_transaction(self.engine, "prune") as connection:
                rows = drop(connection)
        except SQLAlchemyError as error:
            # Not tried again: each time, all who want to read would wait behind it.
            if getattr(getattr(error, "orig", None), "pgcode", None) != LOCK_NOT_AVAILABLE:
                raise database_error(error, self.engine.url) from error
            self.pruned.busy.append(name)
        else:
            if rows is not None:
                self.pruned.dropped.append(name)
                self.pruned.rows["mention_texts"] += rows

    def _pages(
        self, found: sa.Select[*tuple[Any, ...]]
    ) -> Iterator[list[sa.Row[*tuple[Any, ...]]]]:
        """Yield what a query finds in order of time and id, its second and first column."""
        id_, moment = list(found.selected_columns)[:2]
        query = found.order_by(moment, id_).limit(FOUND_AT_ONCE)
        last: sa.Row[*tuple[Any, ...]] | None = None
        while True:
            behind = query
            if last is not None:
                place = sa.tuple_(sa.literal(last[1], moment.type), sa.literal(last[0]))
                behind = query.where(sa.tuple_(moment, id_) > place)
            with reading_at_length(self.engine) as connection:
                page = list(connection.execute(behind))
            if not page:
                return
            yield page
            last = page[-1]

    def _transaction(self, action: Callable[[Connection], T], rows: int = 0) -> T:
        """Return what an action does in a transaction; `rows` of it made it as long as it was."""
        began_at = 0.0

        def attempt() -> T:
            nonlocal began_at
            with write_transaction(self.engine, "prune") as connection:
                began_at = time.monotonic()  # what came before was waiting for others
                lift_timeout(connection)
                return action(connection)

        result = with_retries(attempt, url=self.engine.url, sleep=self.sleep)
        took_s = time.monotonic() - began_at
        self.pruned.longest_s = max(self.pruned.longest_s, took_s)
        if rows:
            fitting = int(rows * TRANSACTION_S / max(took_s, 0.001))
            self._at_once = min(max(1, fitting), 2 * self._at_once, MOST_AT_ONCE)
        self.sleep(max(took_s, SHORTEST_PAUSE_S))
        return result


def _make_months(connection: Connection, now: datetime) -> list[str]:
    before = partitions.months(connection)
    partitions.ensure_months(connection, partitions.month_of(now))
    return [partitions.name_of(m) for m in partitions.months(connection) if m not in before]


def _old_months(connection: Connection, retention: Retention, now: datetime) -> list[date]:
    """Return the months with a partition in which everything is old enough."""
    if not retention.texts:
        return []
    first_kept = partitions.month_of(_cut(now, retention.texts))
    return [month for month in partitions.months(connection) if month < first_kept]


def _rules(connection: Connection, retention: Retention, now: datetime) -> list[_Rule]:
    """Return what is to be deleted row by row."""
    rules = []
    texts_cut = _cut(now, retention.texts) if retention.texts else None
    if texts_cut:
        found = _TEXTS.where(MENTIONS.c.stored_at < texts_cut)
        if connection.dialect.name == "postgresql":  # those of months before go with these
            found = found.where(MENTION_TEXTS.c.month >= partitions.month_of(texts_cut))
        rules.append(_Rule(MENTION_TEXTS, found))
    if retention.posts:
        found = _TEXTS.where(MENTIONS.c.medium == POST)
        found = found.where(MENTIONS.c.stored_at < _cut(now, retention.posts))
        if texts_cut:
            found = found.where(MENTIONS.c.stored_at >= texts_cut)
        rules.append(_Rule(MENTION_TEXTS, found))
    if retention.seen:
        kept = sa.exists().where(MENTIONS.c.id == SEEN.c.id)
        found = sa.select(SEEN.c.id, SEEN.c.seen_at)
        found = found.where(SEEN.c.seen_at < _cut(now, retention.seen), ~kept)
        rules.append(_Rule(SEEN, found, unless=(kept,)))
    if retention.runs:
        found = sa.select(RUNS.c.id, RUNS.c.started_at)
        rules.append(_Rule(RUNS, found.where(RUNS.c.started_at < _cut(now, retention.runs))))
    # The newest stays: by it the stream is known to be this database's.
    newest = sa.select(sa.func.max(OUTBOX.c.id)).scalar_subquery()
    found = sa.select(OUTBOX.c.id, OUTBOX.c.created_at)
    found = found.where(OUTBOX.c.created_at < _cut(now, OUTBOX_DAYS), OUTBOX.c.id < newest)
    if connection.execute(found.limit(1)).first():  # only where listeners were to be told
        rules.append(_Rule(OUTBOX, found))
    return rules


_TEXTS = sa.select(MENTIONS.c.id, MENTIONS.c.stored_at).join(
    MENTION_TEXTS, MENTION_TEXTS.c.mention_id == MENTIONS.c.id
)


def _cut(now: datetime, days: int) -> datetime:
    """Return the moment before which everything is old enough."""
    try:
        return now - timedelta(days=days)
    except OverflowError:  # more days than there were
        return datetime.min.replace(tzinfo=UTC)


def _size(connection: Connection, found: sa.Select[*tuple[Any, ...]]) -> int:
    query = sa.select(sa.func.count()).select_from(found.subquery())
    return connection.scalar(query) or 0
