"""Records from a file: what others have collected goes the way of crawled entries."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tgecrawler.domain.fingerprint import mention_key
from tgecrawler.errors import ArgumentError, SourceError
from tgecrawler.sources.records import parse_record, read_lines
from tgecrawler.spiders.base import TgeSpider, mention_of
from tgecrawler.spiders.waiting import NamedSource, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tgecrawler.items import Mention
    from tgecrawler.runtime import Runtime

UNNAMED = "records"
SLUG_CHARS = 64


class RecordsSpider(TgeSpider):
    """Reads ``-a file=PATH`` (.jsonl or .jsonl.gz, see `parse_record`); fetches nothing.

    Each record is judged by what it says, so that a back-fill needs no page
    that may be gone. Its age counts as that of an entry does: give
    ``-a max_age_days=0`` for an archive.
    """

    name = "records"
    arguments: ClassVar[tuple[str, ...]] = ("max_age_days", "file")

    def configure(self, runtime: Runtime) -> None:
        super().configure(runtime)
        given = getattr(self, "file", "")
        if not given:
            raise ArgumentError("records takes a file: -a file=PATH (.jsonl or .jsonl.gz)")
        self.path = Path(given)
        if not self.path.is_file():
            raise ArgumentError(f"there is no file {given}")
        named = (*runtime.sources.feeds, *runtime.sources.sites)
        self._sources: dict[str, Any] = {source.slug: source for source in named}

    async def start(self) -> AsyncIterator[Any]:
        self.health.polled(UNNAMED)
        seen_at = datetime.now(UTC)
        count = 0
        try:
            for line in read_lines(self.path):
                count += 1
                for mention in self._mentions(line, seen_at):
                    yield mention
        except SourceError as error:
            self.health.failed(UNNAMED, str(error))
        else:
            self.health.succeeded(UNNAMED, seen_at, entries=count)

    def _mentions(self, line: str, seen_at: datetime) -> Iterator[Mention]:
        try:
            name, entry = parse_record(line)
        except SourceError as error:
            self.ledger.settle("failed")
            self.crawler.stats.inc_value("tge/records/unreadable")
            self.logger.debug("%s: %s", self.path, error)
            return
        source = self._source(name)
        entry_id = mention_key(source.slug, entry.url)
        if self._is_wanted(entry_id, entry, seen_at):
            yield mention_of(Waiting(entry_id, source, entry, seen_at), None)

    def _source(self, name: str) -> Any:
        slug = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:SLUG_CHARS] or UNNAMED
        if slug not in self._sources:
            self._sources[slug] = NamedSource(slug, owner=slug)
        return self._sources[slug]
