"""The tables. A change here needs a migration; ``schema.check`` compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, DateTime, ForeignKey, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect

KEY_CHARS = 40
"""Length of the keys that ``domain.fingerprint`` makes: a version prefix and hex digits."""

URL_CHARS = 4_096
COMPANY_CHARS = 200

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
    """A source and its health. The validators are those of its last answer with a body."""

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


class Mention(Base):
    """One text about one story: a row for each source and URL, so that who told it is kept.

    ``duplicate_of`` is NULL for the original of its group and names it in all
    others, never through a third row. An empty ``text_key`` ties to nothing.
    """

    __tablename__ = "mentions"

    id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True)
    source: Mapped[str] = mapped_column(String(100), index=True)
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
    duplicate_of: Mapped[str | None] = mapped_column(ForeignKey("mentions.id"), index=True)
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
    # Last: to read a column behind a long one, SQLite walks through all of that one's pages.
    text: Mapped[str] = mapped_column(Text, info={"max_chars": 200_000})


class MentionCompany(Base):
    """A watchlist company that a mention names; ``position`` keeps the assessment's order."""

    __tablename__ = "mention_companies"

    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), primary_key=True
    )
    company: Mapped[str] = mapped_column(ForeignKey("companies.name"), primary_key=True, index=True)
    position: Mapped[int]


class Alert(Base):
    """One alert for each group of mentions, shown through the group's original.

    When an earlier mention arrives late the alert moves to it and takes its id.
    ``created_at`` stays that of the group's first alert, and ``latency_s`` is
    how long after the original's publication that was, in seconds.
    """

    __tablename__ = "alerts"

    id: Mapped[str] = mapped_column(String(KEY_CHARS), primary_key=True)
    mention_id: Mapped[str] = mapped_column(
        ForeignKey("mentions.id", ondelete="CASCADE"), unique=True
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    latency_s: Mapped[float | None]


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


# Statements are written against the tables; the classes above only declare them.
COMPANIES = Base.metadata.tables["companies"]
SOURCES = Base.metadata.tables["sources"]
MENTIONS = Base.metadata.tables["mentions"]
MENTION_COMPANIES = Base.metadata.tables["mention_companies"]
ALERTS = Base.metadata.tables["alerts"]
RUNS = Base.metadata.tables["runs"]
SEEN = Base.metadata.tables["seen"]
