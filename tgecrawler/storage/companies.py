"""The watchlist companies that mentions name."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tgecrawler.storage.models import MENTION_COMPANIES
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
