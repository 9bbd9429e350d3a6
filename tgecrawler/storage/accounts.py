"""Watched accounts, and how many follow them: one row for an account and day."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.storage.cleaning import clean_row
from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import ACCOUNTS, FOLLOWER_SNAPSHOTS
from tgecrawler.storage.upsert import insert_into, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from sqlalchemy import Connection, Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account; ``account_id`` and ``name`` are "" until the platform has told them."""

    platform: str
    handle: str
    account_id: str = ""
    name: str = ""
    company: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerRow:
    """An account's numbers of a day (UTC), as last read at ``taken_at``."""

    platform: str
    handle: str
    day: date
    followers: int
    following: int
    posts: int
    taken_at: datetime


def write_accounts(connection: Connection, accounts: Iterable[AccountRow], now: datetime) -> None:
    """Insert accounts, or update those that are there; ``added_at`` stays."""
    rows = {(one.platform, one.handle): one for one in accounts}
    values = [clean_row(ACCOUNTS, {**asdict(one), "added_at": now}) for one in rows.values()]
    upsert(connection, ACCOUNTS, values, "account_id", "name", "company")


def write_followers(connection: Connection, readings: Iterable[FollowerRow]) -> None:
    """Keep the last reading of each account and day, in whatever order they come."""
    last: dict[tuple[str, str, date], FollowerRow] = {}
    for one in sorted(readings, key=lambda one: one.taken_at):
        last[one.platform, one.handle, one.day] = one
    if not last:
        return
    insert = insert_into(connection, FOLLOWER_SNAPSHOTS)
    names = ("followers", "following", "posts", "taken_at")
    changes: dict[str, Any] = {name: insert.excluded[name] for name in names}
    newer = FOLLOWER_SNAPSHOTS.c.taken_at < insert.excluded.taken_at
    keys = ["platform", "handle", "day"]
    statement = insert.on_conflict_do_update(index_elements=keys, set_=changes, where=newer)
    connection.execute(statement, [asdict(one) for one in last.values()])


def follower_history(
    engine: Engine, platform: str, handle: str, *, since: date
) -> list[FollowerRow]:
    """Return an account's days from one on, the oldest first."""
    table = FOLLOWER_SNAPSHOTS
    query = (
        sa.select(table)
        .where(table.c.platform == platform, table.c.handle == handle, table.c.day >= since)
        .order_by(table.c.day)
    )
    with reading(engine, "follower_history") as connection:
        return [FollowerRow(**row._mapping) for row in connection.execute(query)]
