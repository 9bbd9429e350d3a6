"""What is known of each source before it is polled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import EVENT_MENTIONS, EVENTS, MENTIONS, SOURCES

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

_ENDED = ("completed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class PollState:
    """A source as its last polls left it; see ``storage.models.Source``."""

    slug: str
    url: str
    etag: str | None = None
    last_modified: str | None = None
    polled_at: datetime | None = None
    next_poll_at: datetime | None = None
    changed_at: datetime | None = None
    whole_at: datetime | None = None
    consecutive_failures: int = 0
    content_key: str = ""
    unsettled_polls: int = 0
    trusts_validators: bool = True
    history: str = ""


def read_polls(engine: Engine) -> dict[str, PollState]:
    """Return the state of every source that was ever polled, by slug."""
    columns = [SOURCES.c[name] for name in PollState.__dataclass_fields__]
    with reading(engine, "read_polls", primary=True) as connection:
        rows = connection.execute(sa.select(*columns))
        return {row.slug: PollState(**row._mapping) for row in rows}


def sources_of_coming_events(engine: Engine, *, since: str, until: str) -> set[str]:
    """Return the slugs of sources that told of an event dated within some days.

    Args:
        since, until: days as 2026-01-31, both included; an event that is dated to
            the month or worse is on no day.
    """
    day = sa.func.substr(EVENTS.c.event_date, 1, 10)
    query = (
        sa.select(MENTIONS.c.source)
        .join(EVENT_MENTIONS, EVENT_MENTIONS.c.mention_id == MENTIONS.c.id)
        .join(EVENTS, EVENTS.c.id == EVENT_MENTIONS.c.event_id)
        .where(
            EVENTS.c.event_date_precision.in_(("minute", "day")),
            day.between(since, until),
            EVENTS.c.status.not_in(_ENDED),
        )
        .distinct()
    )
    with reading(engine, "sources_of_coming_events") as connection:
        return set(connection.scalars(query))
