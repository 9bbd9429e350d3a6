"""``scrapy sources``: what is crawled, and how it fares."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tgecrawler.cli import TgeCommand, database_exists, json_flag, one_of
from tgecrawler.config.loader import load_sources
from tgecrawler.domain.alert import rfc3339
from tgecrawler.domain.feed_history import FeedHistory, usual_gap_s
from tgecrawler.domain.feed_rhythm import is_stale
from tgecrawler.domain.timing import in_words
from tgecrawler.errors import ArgumentError
from tgecrawler.storage.queries import SourceRow, source_health

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from tgecrawler.domain.source_list import FeedSource, SiteSource, SourceList

ACTIONS = ("list",)
TOLD_DAYS = 7


@dataclass(frozen=True, slots=True)
class Listed:
    """A source, how it fared when it was last polled, and its rhythm.

    ``usual_gap_s`` is its usual time between two entries; ``stale`` tells one that
    answers, but has told nothing for much longer than usual. ``mentions`` counts what
    it told in the last `TOLD_DAYS` days that was stored, copies included.
    """

    slug: str
    kind: str
    tier: int
    owner: str
    lang: str
    url: str
    last_success_at: str | None
    consecutive_failures: int
    last_error: str
    polled_at: str | None
    next_poll_at: str | None
    changed_at: str | None
    polls: int
    not_modified: int
    usual_gap_s: float | None
    stale: bool
    mentions: int
    last_mention_at: str | None


class Command(TgeCommand):
    """list"""

    most_arguments = 1

    def syntax(self) -> str:
        return "[options] list"

    def short_desc(self) -> str:
        return "List the sources and how they fared"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if not args:
            raise ArgumentError(f"sources takes one of {', '.join(ACTIONS)}")
        one_of(args[0], ACTIONS, "action")
        options = self.options()
        url = str(options["TGE_DATABASE_URL"])
        now = datetime.now(UTC)
        since = now - timedelta(days=TOLD_DAYS)
        exists = database_exists(url)
        health = source_health(self.open_database(), since=since) if exists else []
        rows = listed(load_sources(str(options["TGE_SOURCES"])), health, now)
        if opts.json:
            shown = orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2)
            sys.stdout.write(shown.decode() + "\n")
        else:
            print_sources(rows)


def listed(sources: SourceList, health: Iterable[SourceRow], now: datetime) -> list[Listed]:
    """Return every source, in the order of the file, with its health where it was polled."""
    by_slug = {row.slug: row for row in health}
    addresses: list[tuple[FeedSource | SiteSource, str, str]] = []
    addresses += [(feed, "feed", feed.url) for feed in sources.feeds]
    addresses += [
        (site, "sitemap" if site.sitemap else "listing", site.sitemap or site.listing)
        for site in sources.sites
    ]
    return [
        _listed(source, kind, url, by_slug.get(source.slug), now) for source, kind, url in addresses
    ]


def print_sources(rows: Sequence[Listed]) -> None:
    """Print the sources as a table."""
    table = Table(title=f"{len(rows)} sources", title_justify="left")
    for column in (
        "slug",
        "kind",
        "tier",
        "last success",
        "state",
        f"told in {TOLD_DAYS} days",
        "usual gap",
        "next poll",
        "url",
    ):
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = (
            row.slug,
            row.kind,
            str(row.tier),
            row.last_success_at or "never",
            _state(row),
            str(row.mentions or ""),
            in_words(row.usual_gap_s) if row.usual_gap_s else "",
            row.next_poll_at or "",
            row.url,
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console(file=sys.stdout).print(table)


def _state(row: Listed) -> str:
    if row.consecutive_failures:
        return f"{row.consecutive_failures} failed: {row.last_error}"
    return "stale: answers, but tells nothing new" if row.stale else ""


def _listed(
    source: FeedSource | SiteSource, kind: str, url: str, health: SourceRow | None, now: datetime
) -> Listed:
    history = FeedHistory.from_json(health.history if health else "")
    return Listed(
        slug=source.slug,
        kind=kind,
        tier=source.tier,
        owner=source.owner,
        lang=source.lang,
        url=url,
        last_success_at=rfc3339(health.last_success_at) if health else None,
        consecutive_failures=health.consecutive_failures if health else 0,
        last_error=health.last_error if health and health.consecutive_failures else "",
        polled_at=rfc3339(health.polled_at) if health else None,
        next_poll_at=rfc3339(health.next_poll_at) if health else None,
        changed_at=rfc3339(health.changed_at) if health else None,
        polls=health.polls if health else 0,
        not_modified=health.not_modified if health else 0,
        usual_gap_s=usual_gap_s(history),
        stale=is_stale(history, now),
        mentions=health.mentions if health else 0,
        last_mention_at=rfc3339(health.last_mention_at) if health else None,
    )
