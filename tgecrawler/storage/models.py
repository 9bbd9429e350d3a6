"""The tables. A change here needs a migration; ``schema.check`` compares the two."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect

KEY_CHARS = 40
"""Length of the keys that ``domain.fingerprint`` makes: a version prefix and hex digits."""

URL_CHARS = 4_096
COMPANY_CHARS = 200
TEXT_CHARS = 200_000
WORDS_CHARS = 2_000

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware values in, aware UTC values out, on both engines.

    SQLite has no time zones; there the UTC time is stored without one, as
    fixed-width text, so that comparing and sorting work.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the driver gets; ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the stored moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)


class Company(Base):
    """A company of the watchlist. Rows stay when the watchlist drops one: mentions name it."""

    __tablename__ = "companies"

    name: Mapped[str] = mapped_column(String(COMPANY_CHARS), primary_key=True)
    status: Mapped[str] = mapped_column(String(40), default="")
    priority: Mapped[str] = mapped_column(String(40), default="")


class Source(Base):
    """A source, its health, and how it is polled.

    ``content_key`` is that of the last body of which every entry came to rest, under
    the rules of then; the validators belong to that body, and are "" where it had
    none. ``unsettled_polls`` counts polls in a row that left entries unread;
    ``changed_at`` is when it last told something new, ``whole_at`` when it last sent
    a body instead of "not modified". ``history`` is the rhythm's
    memory, see ``domain.feed_history``.
    """

    __tablename__ = "sources"

    slug: Mapped[str] = mapped_column(String(100), primary_key=True)
    url: Mapped[str] = mapped_column(String(URL_CHARS))
    owner: Mapped[str] = mapped_column(String(100))
    tier: Mapped[int]
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str] = mapped_column(String(500), default="")
    last_error_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    consecutive_failures: Mapped[int] = mapped_column(default=0)
    etag: Mapped[str | None] = mapped_column(String(1_000))
    last_modified: Mapped[str | None] = mapped_column(String(100))
    polled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_poll_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    whole_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    polls: Mapped[int] = mapped_column(default=0, server_default="0")
    not_modified: Mapped[int] = mapped_column(default=0, server_default="0")
    content_key: Mapped[str] = mapped_column(String(KEY_CHARS), default="", server_default="")
    unsettled_polls: Mapped[int] = mapped_column(default=0, server_default="0")
    trusts_validators: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    history: Mapped[str] = mapped_column(Text, default="", server_default="")


class Mention(Base):
    """One text about one story: a row for each source and URL, so that who told it is kept.

    ``duplicate_of`` is NULL for the original of its group and names it in all
    others, never through a third row. An empty ``text_key`` ties to nothing.
    Its body is in ``mention_texts``.
    """

    __tablename__ = "mentions"
    __table_args__ = (
        Index("ix_mentions_source_stored_at", "source", "stored_at"),
        # Most mentions are originals, and the NULLs of these are looked up by nobody.
        Index(
            "ix_mentions_duplicate_of",
            "duplicate_of",
            sqlite_where=sa.text("duplicate_of IS NOT NULL"),
            postgresql_where=sa.text("duplicate_of IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True)
    source: Mapped[str] = mapped_column(String(100))
    owner: Mapped[str] = mapped_column(String(100))
    tier: Mapped[int]
    medium: Mapped[str] = mapped_column(String(10))
    url: Mapped[str] = mapped_column(String(URL_CHARS))
    canonical_url: Mapped[str] = mapped_column(String(URL_CHARS))
    url_key: Mapped[str] = mapped_column(String(KEY_CHARS), index=True)
    text_key: Mapped[str] = mapped_column(String(KEY_CHARS), index=True)
    title: Mapped[str] = mapped_column(String(1_000))
    summary: Mapped[str] = mapped_column(String(20_000))
    author: Mapped[str] = mapped_column(String(300))
    lang: Mapped[str] = mapped_column(String(35))
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stored_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    duplicate_of: Mapped[str | None] = mapped_column(ForeignKey("mentions.id"))
    page_error: Mapped[str] = mapped_column(String(500))

    score: Mapped[float]
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    project: Mapped[str] = mapped_column(String(200))
    token: Mapped[str] = mapped_column(String(50))
    event_date: Mapped[str] = mapped_column(String(40))
    event_date_precision: Mapped[str | None] = mapped_column(String(10))
    chain: Mapped[str] = mapped_column(String(100))
    exchange: Mapped[str] = mapped_column(String(100))
    claim_url: Mapped[str] = mapped_column(String(URL_CHARS))
    claim_url_official: Mapped[bool | None]
    promo: Mapped[bool]
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    rules_version: Mapped[str] = mapped_column(String(64))


class MentionText(Base):
    """A mention's body; ``month`` is the first day of the month in which it was stored.

    Nine tenths of all bytes, and seldom read. PostgreSQL keeps a partition for each
    month, so that old ones go at once; see ``storage.partitions``. ``mentions`` itself
    is not partitioned: it is looked up by keys that know no month, and in 36 partitions
    500 of them took 366 ms instead of 16 (PostgreSQL 15, a million rows); nor could its
    id stay unique, which is what makes a second write harmless.
    """

    __tablename__ = "mention_texts"
    __table_args__ = {"postgresql_partition_by": "RANGE (month)"}  # noqa: RUF012

    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True
    )
    month: Mapped[date] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text, info={"max_chars": TEXT_CHARS})


class MentionCompany(Base):
    """A watchlist company that a mention names; ``position`` keeps the assessment's order."""

    __tablename__ = "mention_companies"

    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True
    )
    company: Mapped[str] = mapped_column(ForeignKey("companies.name"), primary_key=True)
    position: Mapped[int]


class Alert(Base):
    """One alert for each group of mentions, shown through the group's original.

    When an earlier mention arrives late the alert moves to it and takes its id.
    ``created_at`` stays that of the group's first alert, and ``latency_s`` is
    how long after the original's publication that was, in seconds. ``position``
    is the alert's place among all, the newest highest; see ``storage.alert_rows``.
    What lists are filtered by is repeated here from the mention, beside the order
    that they are shown in; ``words`` is what a text search looks through.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_kind_position", "kind", "position"),
        Index("ix_alerts_status_position", "status", "position"),
        # Counts by day and kind, and latencies, are read from the index alone.
        Index("ix_alerts_created_at", "created_at", "kind", "latency_s"),
    )

    id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True)
    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), unique=True
    )
    position: Mapped[int] = mapped_column(BigInteger, unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    latency_s: Mapped[float | None]
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    score: Mapped[float]
    words: Mapped[str] = mapped_column(String(WORDS_CHARS))


class AlertCompany(Base):
    """A company that an alert's mention names, beside what its alerts are ordered and cut by."""

    __tablename__ = "alert_companies"
    __table_args__ = (Index("ix_alert_companies_company_position", "company", "position", "score"),)

    alert_id: Mapped[str] = mapped_column(
        ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True
    )
    company: Mapped[str] = mapped_column(ForeignKey("companies.name"), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    score: Mapped[float]


class MentionTraits(Base):
    """What tells a mention's event and its copies; made of its text, and made anew by newer rules.

    Apart from ``mentions``, whose long texts would make reading it slow. ``entity``
    is whose token it is, as the votes of all mentions with the same ticker have it.
    ``fingerprint`` is of ``domain.near_duplicate``, b"" for a text with too little to compare.
    """

    __tablename__ = "mention_traits"

    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True
    )
    project_key: Mapped[str] = mapped_column(String(60))
    token_key: Mapped[str] = mapped_column(String(60), index=True)
    track: Mapped[str] = mapped_column(String(80))
    season: Mapped[int]
    entity: Mapped[str] = mapped_column(String(80), index=True)
    version: Mapped[str] = mapped_column(String(20), index=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)


class NearCopy(Base):
    """Two mentions that tell the same nearly word for word; ``mention_id`` met the other one.

    The other may not be stored yet, where a second process has it in hand.
    """

    __tablename__ = "near_copies"

    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True
    )
    other_id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True, index=True)
    similarity: Mapped[float]


class Event(Base):
    """An event as its mentions tell it; see ``domain.event_state.EventState``.

    ``sequence`` grows with every change of the row, ``changed_at`` says when.
    ``size`` is how many texts tell of it, ``mentions`` and ``copies`` together.
    The id is that of the event which begins with the earliest mention: when an
    earlier one arrives, the event takes a new id, and ``event_redirects`` leads there.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_last_seen_at", "last_seen_at", "id"),
        Index("ix_events_kind_last_seen_at", "kind", "last_seen_at", "id"),
        Index("ix_events_status_last_seen_at", "status", "last_seen_at", "id"),
        Index("ix_events_size", "size", "id"),
    )

    id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True)
    project: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    token: Mapped[str] = mapped_column(String(50))
    exchange: Mapped[str] = mapped_column(String(100))
    chain: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(20))
    event_date: Mapped[str] = mapped_column(String(40))
    event_date_precision: Mapped[str | None] = mapped_column(String(10))
    claim_url: Mapped[str] = mapped_column(String(URL_CHARS))
    claim_url_official: Mapped[bool | None]
    companies: Mapped[list[str]] = mapped_column(JSON)
    shown_mention: Mapped[str] = mapped_column(String(KEY_CHARS))
    title: Mapped[str] = mapped_column(String(1_000))
    url: Mapped[str] = mapped_column(String(URL_CHARS))
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    first_source: Mapped[str] = mapped_column(String(100))
    first_mention: Mapped[str] = mapped_column(String(KEY_CHARS))
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    mentions: Mapped[int]
    copies: Mapped[int]
    size: Mapped[int]
    owners: Mapped[int]
    confidence: Mapped[float]
    history: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    sequence: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventCompany(Base):
    """A company that an event is about, beside what its events are ordered and cut by."""

    __tablename__ = "event_companies"
    __table_args__ = (
        Index(
            "ix_event_companies_company_last_seen_at",
            "company",
            "last_seen_at",
            "event_id",
            "confidence",
        ),
    )

    event_id: Mapped[str] = mapped_column(
        ForeignKey("events.id", ondelete="CASCADE"), primary_key=True
    )
    company: Mapped[str] = mapped_column(ForeignKey("companies.name"), primary_key=True)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confidence: Mapped[float]


class EventMention(Base):
    """The event that a mention tells of, and when it told it; a copy is with its original."""

    __tablename__ = "event_mentions"
    __table_args__ = (
        Index("ix_event_mentions_event_id_told_at", "event_id", "told_at", "mention_id"),
    )

    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True
    )
    event_id: Mapped[str] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    told_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventEdit(Base):
    """A merge or a split by hand; see ``domain.event_edits``."""

    __tablename__ = "event_edits"

    id: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(String(10))
    mentions: Mapped[list[str]] = mapped_column(JSON)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventRedirect(Base):
    """Where an event went that was joined to another, or began earlier than was known."""

    __tablename__ = "event_redirects"

    old_id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True)
    new_id: Mapped[str] = mapped_column(String(KEY_CHARS), index=True)


class Run(Base):
    """One crawl and its report."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    spider: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(100))
    report: Mapped[dict[str, Any]] = mapped_column(JSON)


class Seen(Base):
    """An entry that was judged and need not be fetched again, rejected ones included."""

    __tablename__ = "seen"

    id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(20))
    rules_version: Mapped[str] = mapped_column(String(64))
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Outbox(Base):
    """What a transaction has to tell, written with what it tells of; see ``storage.outbox``.

    The ids grow in the order of the commits and none is given twice, also after the
    rows are gone: they are the numbers of the messages on the stream. ``ref`` is the id
    of an alert or event, ``was`` the one under which it was told before, "" where that
    is the same.
    """

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(10))
    ref: Mapped[str] = mapped_column(String(KEY_CHARS))
    change: Mapped[str] = mapped_column(String(10))
    was: Mapped[str] = mapped_column(String(KEY_CHARS))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Account(Base):
    """An account on a platform whose posts or followers are watched.

    ``account_id`` is the platform's own, "" until it is known.
    """

    __tablename__ = "accounts"

    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    handle: Mapped[str] = mapped_column(String(100), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(300))
    company: Mapped[str | None] = mapped_column(ForeignKey("companies.name"))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FollowerSnapshot(Base):
    """How many followed an account on a day (UTC); the day's last reading counts."""

    __tablename__ = "follower_snapshots"
    __table_args__ = (
        ForeignKeyConstraint(
            ["platform", "handle"],
            ["accounts.platform", "accounts.handle"],
            ondelete="CASCADE",
            name="fk_follower_snapshots_platform_accounts",
        ),
    )

    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    handle: Mapped[str] = mapped_column(String(100), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    followers: Mapped[int] = mapped_column(BigInteger)
    following: Mapped[int] = mapped_column(BigInteger)
    posts: Mapped[int] = mapped_column(BigInteger)
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)


# Statements are written against the tables; the classes above only declare them.
COMPANIES = Base.metadata.tables["companies"]
SOURCES = Base.metadata.tables["sources"]
MENTIONS = Base.metadata.tables["mentions"]
MENTION_TEXTS = Base.metadata.tables["mention_texts"]
MENTION_COMPANIES = Base.metadata.tables["mention_companies"]
ALERTS = Base.metadata.tables["alerts"]
ALERT_COMPANIES = Base.metadata.tables["alert_companies"]
MENTION_TRAITS = Base.metadata.tables["mention_traits"]
NEAR_COPIES = Base.metadata.tables["near_copies"]
EVENTS = Base.metadata.tables["events"]
EVENT_COMPANIES = Base.metadata.tables["event_companies"]
EVENT_MENTIONS = Base.metadata.tables["event_mentions"]
EVENT_EDITS = Base.metadata.tables["event_edits"]
EVENT_REDIRECTS = Base.metadata.tables["event_redirects"]
RUNS = Base.metadata.tables["runs"]
SEEN = Base.metadata.tables["seen"]
OUTBOX = Base.metadata.tables["outbox"]
ACCOUNTS = Base.metadata.tables["accounts"]
FOLLOWER_SNAPSHOTS = Base.metadata.tables["follower_snapshots"]
