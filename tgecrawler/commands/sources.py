"""``scrapy sources``: what is crawled, and how it fares."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tgecrawler.cli import TgeCommand, database_exists, json_flag, one_of, open_database
from tgecrawler.config.loader import load_sources
from tgecrawler.domain.alert import rfc3339
from tgecrawler.errors import ArgumentError
from tgecrawler.storage.queries import SourceRow, source_health

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from tgecrawler.domain.source_list import FeedSource, SiteSource, SourceList

ACTIONS = ("list",)


@dataclass(frozen=True, slots=True)
class Listed:
    """A source and how it fared when it was last polled."""

    slug: str
    kind: str
    tier: int
    owner: str
    lang: str
    url: str
    last_success_at: str | None
    consecutive_failures: int
    last_error: str


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
        health = source_health(open_database(options)) if database_exists(url) else []
        rows = listed(load_sources(str(options["TGE_SOURCES"])), health)
        if opts.json:
            shown = orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2)
            sys.stdout.write(shown.decode() + "\n")
        else:
            print_sources(rows)


def listed(sources: SourceList, health: Iterable[SourceRow]) -> list[Listed]:
    """Return every source, in the order of the file, with its health where it was polled."""
    by_slug = {row.slug: row for row in health}
    addresses: list[tuple[FeedSource | SiteSource, str, str]] = []
    addresses += [(feed, "feed", feed.url) for feed in sources.feeds]
    addresses += [
        (site, "sitemap" if site.sitemap else "listing", site.sitemap or site.listing)
        for site in sources.sites
    ]
    return [_listed(source, kind, url, by_slug.get(source.slug)) for source, kind, url in addresses]


def print_sources(rows: Sequence[Listed]) -> None:
    """Print the sources as a table."""
    table = Table(title=f"{len(rows)} sources", title_justify="left")
    for column in ("slug", "kind", "tier", "owner", "last success", "failures", "url"):
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = (
            row.slug,
            row.kind,
            str(row.tier),
            row.owner,
            row.last_success_at or "never",
            f"{row.consecutive_failures or ''} {row.last_error}".strip(),
            row.url,
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console(file=sys.stdout).print(table)


def _listed(
    source: FeedSource | SiteSource, kind: str, url: str, health: SourceRow | None
) -> Listed:
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
    )
