"""A database of a million mentions, written past the writer: what counts is what is read of it.

Skewed as real ones are: projects, companies and sources by Zipf's law, more mentions in
later months, groups of copies from one to some thousand. The rows keep to what the
writer promises (one alert for each original, copies name it, events count theirs).
"""

from __future__ import annotations

import random
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa
from made_mentions import KINDS, STATUSES, MadeMentions

from tgecrawler.domain.search_words import search_words
from tgecrawler.storage import partitions
from tgecrawler.storage.alert_rows import earliest_position
from tgecrawler.storage.batch import TRAITS_VERSION
from tgecrawler.storage.models import Base

END = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 3 * 365
SOURCES = 500
COMPANIES = 1_000
ACCOUNTS = 50
AT_ONCE = 20_000
MOST_COPIES = 5_000
TEXT_CHARS = 500  # of 3,000 that are usual: no query of these reads them

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows of each kind."""

    mentions: int = 1_000_000
    alerts: int = 100_000
    events: int = 20_000


def fill(engine: sa.Engine, size: Size, seed: int = 5) -> None:
    """Fill an empty database of the newest schema, and let the engine take its statistics."""
    with _Filling(engine) as filling:
        for table, rows in _parts(size, seed):
            filling.write(Base.metadata.tables[table], rows)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        postgresql = engine.dialect.name == "postgresql"
        connection.execute(sa.text("VACUUM ANALYZE" if postgresql else "ANALYZE"))


def _parts(size: Size, seed: int) -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows of a table in parts, parents before their children."""
    made = MadeMentions(seed, projects=5_000)
    rng = made.rng
    companies = [f"Company {number}" for number in range(COMPANIES)]
    yield "companies", [{"name": name, "status": "pre_token", "priority": "high"}
                        for name in companies]  # fmt: skip
    yield "sources", [_source(number) for number in range(SOURCES)]
    yield from _accounts(rng)
    yield "runs", [_run(number) for number in range(5_000)]
    events = _events(made, size, companies)
    for part in _cut(events):
        yield "events", part
        yield "event_companies", [
            {"event_id": event["id"], "company": name, "last_seen_at": event["last_seen_at"],
             "confidence": event["confidence"]}
            for event in part
            for name in event["companies"]
        ]  # fmt: skip
    for mentions in _cut(_mentions(made, size, events)):
        yield from _with_children(mentions)


def _events(made: MadeMentions, size: Size, companies: Sequence[str]) -> list[Row]:
    rng = made.rng
    rows = []
    for number in range(size.events):
        last_at = _moment(rng)
        first_at = last_at - timedelta(hours=rng.expovariate(1 / 200))
        listed = {companies[made.skewed(COMPANIES)] for _ in range(rng.choice((0, 0, 1, 1, 2)))}
        project = made.projects[made.skewed(len(made.projects))]
        rows.append({
            "id": f"1{number:032x}", "project": project, "kind": made.one_of(KINDS),
            "token": project.upper()[:6], "exchange": "", "chain": "",
            "status": made.one_of(STATUSES), "event_date": "", "event_date_precision": None,
            "claim_url": "", "claim_url_official": None, "companies": sorted(listed),
            "shown_mention": "", "title": f"{project} {made.text(40)}", "url": "",
            "first_seen_at": first_at, "first_source": "", "first_mention": "",
            "last_seen_at": last_at, "mentions": 0, "copies": 0, "size": number, "owners": 1,
            "confidence": round(rng.betavariate(5, 2), 3), "history": [], "sequence": 1,
            "created_at": first_at, "changed_at": last_at,
        })  # fmt: skip
    return rows


def _mentions(made: MadeMentions, size: Size, events: Sequence[Row]) -> Iterator[Row]:
    """Yield originals in order of time, each followed by its copies, with what belongs to them."""
    rng = made.rng
    stories = sorted(_moment(rng) for _ in range(size.alerts))
    sizes = _group_sizes(rng, size)
    number = 0
    event_ids = [made.skewed(len(events)) for _ in stories]
    for told_at, members, event_at in zip(stories, sizes, event_ids, strict=True):
        event = events[event_at]
        original = None
        for _ in range(members):
            row = _mention(made, number, told_at, event, original)
            original = original or row["id"]
            number += 1
            yield row


def _group_sizes(rng: random.Random, size: Size) -> list[int]:
    """Return how many mentions each story has: most a few, one or the other thousands."""
    spread = [min(rng.paretovariate(1.1), MOST_COPIES / 10) for _ in range(size.alerts)]
    scale = (size.mentions - size.alerts) / sum(spread)
    sizes = [1 + int(share * scale) for share in spread]
    for at in rng.choices(range(size.alerts), k=size.mentions - sum(sizes)):
        sizes[at] += 1
    return sizes


def _mention(
    made: MadeMentions, number: int, told_at: datetime, event: Row, original: str | None
) -> Row:
    rng = made.rng
    seen_at = told_at + timedelta(seconds=rng.expovariate(1 / (30_000 if original else 120)))
    url = f"https://news{number % SOURCES}.example/{number}"
    id_ = f"1{number:032x}"
    return {
        "id": id_, "source": f"source-{made.skewed(SOURCES)}", "owner": f"owner-{number % 300}",
        "tier": 1 + number % 3, "medium": "article", "url": url, "canonical_url": url,
        "url_key": f"2{number:032x}", "text_key": f"3{(original or id_)[1:]}",
        "title": f"{event['project']} {event['kind']} {made.text(40)}",
        "summary": made.text(200), "author": "", "lang": "en", "published_at": told_at,
        "seen_at": seen_at, "stored_at": seen_at + timedelta(seconds=2), "duplicate_of": original,
        "page_error": "", "score": round(rng.betavariate(5, 2), 3), "kind": event["kind"],
        "status": event["status"], "project": event["project"], "token": event["token"],
        "event_date": "", "event_date_precision": None, "chain": "", "exchange": "",
        "claim_url": "", "claim_url_official": None, "promo": False,
        "reasons": [{"rule": "kind/said", "weight": 1.25, "field": "title", "start": 0, "end": 7,
                     "text": "airdrop"}] * 6,
        "rules_version": "bench", "event": event, "text": made.text(TEXT_CHARS),
    }  # fmt: skip


def _with_children(mentions: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    tables: dict[str, list[Row]] = defaultdict(list)
    for row in mentions:
        event, text = row.pop("event"), row.pop("text")
        id_ = row["id"]
        tables["mentions"].append(row)
        month = partitions.month_of(row["stored_at"])
        tables["mention_texts"].append({"mention_id": id_, "month": month, "text": text})
        tables["mention_traits"].append({
            "mention_id": id_, "project_key": event["project"], "token_key": event["token"],
            "track": "main", "season": 0, "entity": event["project"], "version": TRAITS_VERSION,
            "fingerprint": random.randbytes(512),
        })  # fmt: skip
        told_at = row["published_at"]
        tables["event_mentions"].append(
            {"mention_id": id_, "event_id": event["id"], "told_at": told_at}
        )
        outcome = "duplicate" if row["duplicate_of"] else "stored"
        tables["seen"].append({
            "id": id_, "outcome": outcome, "rules_version": "bench", "seen_at": row["seen_at"],
        })  # fmt: skip
        for position, name in enumerate(event["companies"]):
            tables["mention_companies"].append(
                {"mention_id": id_, "company": name, "position": position}
            )
        if row["duplicate_of"] is None:
            alert = _alert(row, event, int(id_[1:], 16))
            tables["alerts"].append(alert)
            tables["alert_companies"] += [
                {"alert_id": id_, "company": name, "position": alert["position"],
                 "score": alert["score"]}
                for name in event["companies"]
            ]  # fmt: skip
    yield from tables.items()


def _alert(row: Row, event: Row, number: int) -> Row:
    created_at = row["stored_at"]
    return {
        "id": row["id"], "mention_id": row["id"],
        # no two at one place, as if each had been written alone
        "position": earliest_position(created_at) + number % 1_024,
        "created_at": created_at,
        "latency_s": (created_at - row["published_at"]).total_seconds(),
        "kind": row["kind"], "status": row["status"], "score": row["score"],
        "words": search_words(row["title"], row["project"], row["token"], *event["companies"]),
    }  # fmt: skip


def _source(number: int) -> Row:
    row = {column.name: None for column in Base.metadata.tables["sources"].columns}
    return row | {
        "slug": f"source-{number}", "url": f"https://news{number}.example/rss",
        "owner": f"owner-{number % 300}", "tier": 1 + number % 3, "last_error": "",
        "consecutive_failures": 0, "polls": 1_000, "not_modified": 900, "content_key": "",
        "unsettled_polls": 0, "trusts_validators": True, "history": "",
    }  # fmt: skip


def _accounts(rng: random.Random) -> Iterator[tuple[str, list[Row]]]:
    handles = [f"account{number}" for number in range(ACCOUNTS)]
    yield "accounts", [
        {"platform": "x", "handle": handle, "account_id": "", "name": handle, "company": None,
         "added_at": END - timedelta(days=DAYS)}
        for handle in handles
    ]  # fmt: skip
    yield "follower_snapshots", [
        {"platform": "x", "handle": handle, "day": (END - timedelta(days=day)).date(),
         "followers": rng.randrange(10**6), "following": 10, "posts": 1_000, "taken_at": END}
        for handle in handles
        for day in range(DAYS)
    ]  # fmt: skip


def _run(number: int) -> Row:
    started_at = END - timedelta(minutes=10 * number)
    return {
        "id": f"{number:08x}", "spider": "rss", "started_at": started_at,
        "finished_at": started_at + timedelta(seconds=30), "reason": "finished",
        "report": {"run": {"id": f"{number:08x}"}, "padding": string.ascii_letters * 40},
    }  # fmt: skip


def _moment(rng: random.Random) -> datetime:
    """Return a moment of the last three years; of the last months more than of the first."""
    return END - timedelta(days=DAYS * (1 - rng.random() ** 0.6), seconds=rng.random() * 86_400)


def _cut(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while part := list(islice(rows, AT_ONCE)):
        yield part


class _Filling:
    """Rows into tables as fast as the engine takes them: without looking whether they fit."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.postgresql = engine.dialect.name == "postgresql"
        self._months: set[date] = set()

    def __enter__(self) -> _Filling:
        self.connection = self.engine.raw_connection()
        self.cursor = self.connection.cursor()
        if self.postgresql:
            self.cursor.execute("SET session_replication_role = replica")
            self.cursor.execute("SET synchronous_commit = off; SET statement_timeout = 0")
        else:
            self.cursor.execute("PRAGMA foreign_keys = OFF")
            self.cursor.execute("PRAGMA cache_size = -500000")
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.commit()
        self.connection.invalidate()  # nobody else is to have it with these settings

    def write(self, table: sa.Table, rows: list[Row]) -> None:
        if not rows:
            return
        if table.name == "mention_texts" and self.postgresql:
            self._make_months({row["month"] for row in rows})
        columns = [column for column in table.columns if column.name in rows[0]]
        names = ", ".join(f'"{column.name}"' for column in columns)
        dialect = self.engine.dialect
        processors = [c.type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
        values = (
            [
                process(row[c.name]) if process and row[c.name] is not None else row[c.name]
                for c, process in zip(columns, processors, strict=True)
            ]
            for row in rows
        )
        if self.postgresql:
            copied = StringIO("".join("\t".join(map(_copied, row)) + "\n" for row in values))
            self.cursor.copy_expert(f"COPY {table.name} ({names}) FROM STDIN", copied)
        else:
            marks = ", ".join("?" * len(columns))
            self.cursor.execute("BEGIN IMMEDIATE")
            self.cursor.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)
        self.connection.commit()

    def _make_months(self, months: set[date]) -> None:
        for month in months - self._months:
            with self.engine.begin() as connection:
                partitions.ensure_months(connection, month, ahead=0)
            self._months.add(month)


def _copied(value: Any) -> str:
    """Return a value as COPY's text format has it."""
    value = getattr(value, "adapted", value)  # of the driver's own types
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    if isinstance(value, (list, dict)):
        value = orjson.dumps(value).decode()
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
