"""The watchlist companies that mentions name."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tgecrawler.storage.models import COMPANIES, MENTION_COMPANIES
from tgecrawler.storage.upsert import select_in

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection


def read_companies(connection: Connection, ids: Collection[str]) -> dict[str, list[str]]:
    """Return the companies of each mention that names any, in the assessment's order."""
    table = MENTION_COMPANIES.c
    query = sa.select(table.mention_id, table.company).order_by(table.position)
    found: dict[str, list[str]] = defaultdict(list)
    for mention_id, company in select_in(connection, query, table.mention_id, ids):
        found[mention_id].append(company)
    return found


def names_like(connection: Connection, name: str) -> list[str]:
    """Return the company of that name, or where there is none, those that differ in case alone."""
    names = sa.select(COMPANIES.c.name)
    if connection.scalar(names.where(COMPANIES.c.name == name)) is not None:
        return [name]
    # Neither engine folds more than ASCII by itself; who writes it in another case waits for it.
    folded = name.casefold()
    return [known for known in connection.scalars(names) if known.casefold() == folded]
