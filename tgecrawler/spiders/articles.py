"""Sites without a feed: sitemaps, news sitemaps and listing pages."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from scrapy import Request

from tgecrawler.domain.freshness import AgeLimit
from tgecrawler.errors import ArgumentError, SourceError
from tgecrawler.items import Entry
from tgecrawler.sources.listing import parse_listing
from tgecrawler.sources.sitemap import Sitemap, SitemapPage, parse_sitemap
from tgecrawler.spiders.base import TgeSpider, content_type_of, fetched_at, was_conditional
from tgecrawler.spiders.failures import describe_failure, rests_until
from tgecrawler.spiders.polls import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from scrapy.http import Response
    from twisted.python.failure import Failure

    from tgecrawler.domain.delivery import Delivery
    from tgecrawler.domain.source_list import SiteSource
    from tgecrawler.runtime import Runtime

DEEPEST_INDEX = 3  # an index of indexes of indexes; deeper is a loop or an attack
MOST_CHILDREN = 100  # sitemaps of one site read in a run, newest first
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class ArticlesSpider(TgeSpider):
    """Reads every site of sources.yaml once; ``since=2026-01-01`` goes back further."""

    name = "articles"
    shares = True
    arguments: ClassVar[tuple[str, ...]] = (*TgeSpider.arguments, "since")

    def configure(self, runtime: Runtime) -> None:
        super().configure(runtime)
        if (since := getattr(self, "since", None)) is not None:
            self.age_limit = AgeLimit(since=_day(since))
        self.most_pages = int(runtime.options["TGE_SITE_MAX_PAGES"])
        self._pages_of: Counter[str] = Counter()
        self._children_of: Counter[str] = Counter()

    async def start(self) -> AsyncIterator[Any]:
        if self.fleet is not None:
            sites = {site.slug: site for site in self.sources.sites}
            async for request in self.fleet.polls.requests(
                sites, lambda slug: self._poll(sites[slug]), "cycle"
            ):
                yield request
            return
        for site in self.sources.sites:
            yield self._poll(site)

    def _poll(self, site: SiteSource) -> Request:
        self.health.polled(site.slug)
        self._pages_of[site.slug] = self._children_of[site.slug] = 0
        return self._request(site, site.sitemap or site.listing, depth=0)

    async def read_sitemap(self, response: Response, source: Any, depth: int) -> AsyncIterator[Any]:
        """Take the pages of a sitemap and follow the sitemaps of an index."""
        try:
            async for result in self._read_sitemap(response, source, depth):
                yield result
        finally:
            self.answered(source.slug)

    async def _read_sitemap(
        self, response: Response, source: Any, depth: int
    ) -> AsyncIterator[Any]:
        if depth == 0 and self.is_unchanged(source, response, NO_HINTS):
            return
        try:
            sitemap = parse_sitemap(response.body, url=response.url)
        except SourceError as error:
            self._source_failed(source, depth, str(error))
            return
        seen_at = fetched_at(response)
        self.health.succeeded(source.slug, seen_at, entries=len(sitemap.pages))
        entries = list(self._recent(sitemap.pages, seen_at))
        delivery = self._delivered(source, response, entries, depth)
        await self.learn(source, entries)
        for request in self._children(source, sitemap, seen_at, depth):
            yield request
        for result in self._take_bounded(source, entries, seen_at, delivery):
            yield result
        # an index that stays the same says nothing of its sitemaps
        if delivery is not None and not sitemap.children:
            delivery.taken()

    async def read_listing(self, response: Response, source: Any, depth: int) -> AsyncIterator[Any]:
        """Take the entries of a listing page."""
        try:
            async for result in self._read_listing(response, source, depth):
                yield result
        finally:
            self.answered(source.slug)

    async def _read_listing(
        self, response: Response, source: Any, depth: int
    ) -> AsyncIterator[Any]:
        if self.is_unchanged(source, response, NO_HINTS):
            return
        try:
            entries = parse_listing(
                response.body,
                url=response.url,
                item=source.item,
                content_type=content_type_of(response),
            )
        except SourceError as error:
            self._source_failed(source, depth, str(error))
            return
        seen_at = fetched_at(response)
        self.health.succeeded(source.slug, seen_at, entries=len(entries))
        delivery = self._delivered(source, response, entries, depth)
        await self.learn(source, entries)
        for result in self._take_bounded(source, entries, seen_at, delivery):
            yield result
        if delivery is not None:
            delivery.taken()

    def source_failed(self, failure: Failure) -> None:
        """Book a sitemap or listing that could not be had."""
        arguments = failure.request.cb_kwargs  # type: ignore[attr-defined]
        source, depth = arguments["source"], arguments["depth"]
        self._source_failed(source, depth, describe_failure(failure), rests_until(failure))
        self.answered(source.slug)

    def _source_failed(
        self, source: Any, depth: int, error: str, not_before_at: datetime | None = None
    ) -> None:
        if depth == 0:
            self.health.failed(source.slug, error)
            self.polls.failed(source.slug, error, datetime.now(UTC), not_before_at)
            return
        # one sitemap of an index: the site itself is alive
        self.logger.warning("%s: a sitemap of its index: %s", source.slug, error)
        self.crawler.stats.inc_value("tge/sitemap/failed")

    def _delivered(
        self, source: Any, response: Response, entries: Sequence[Entry], depth: int
    ) -> Delivery | None:
        """Book what a site's own address told; its further sitemaps are parts of that."""
        if depth:
            return None
        at, conditional = fetched_at(response), was_conditional(response)
        self.polls.read(source.slug, entries, at, NO_HINTS, conditional=conditional)
        return self.delivery_of(source, response)

    def _children(
        self, source: Any, sitemap: Sitemap, seen_at: datetime, depth: int
    ) -> Iterator[Request]:
        newest = sorted(sitemap.children, key=lambda child: child.lastmod or LONG_AGO, reverse=True)
        for child in newest if depth < DEEPEST_INDEX else ():
            if self.age_limit.excludes(child.lastmod, seen_at):
                continue
            if self._children_of[source.slug] == MOST_CHILDREN:
                self.logger.warning(
                    "%s: more than %d sitemaps; the rest is left", source.slug, MOST_CHILDREN
                )
                return
            self._children_of[source.slug] += 1
            if self.fleet is not None:
                self.fleet.polls.asked(source.slug)
            yield self._request(source, child.url, depth=depth + 1)

    def _recent(self, pages: Iterable[SitemapPage], seen_at: datetime) -> Iterator[Entry]:
        """Yield entries, newest first, without pages that did not change for too long.

        A page that was last changed long ago was published long ago; one changed
        today says nothing, and its own date decides once it is read.
        """
        for page in sorted(pages, key=_latest_date, reverse=True):
            if page.published_at is None and self.age_limit.excludes(page.lastmod, seen_at):
                self.ledger.settle("too_old")
                continue
            yield Entry(
                url=page.url, title=page.title, lang=page.lang, published_at=page.published_at
            )

    def _take_bounded(
        self,
        source: Any,
        entries: Iterable[Entry],
        seen_at: datetime,
        delivery: Delivery | None,
    ) -> Iterator[Any]:
        left = 0
        for entry in entries:
            if self._pages_of[source.slug] >= self.most_pages:
                left += 1
                continue
            for result in self.take(source, entry, seen_at, delivery):
                self._pages_of[source.slug] += isinstance(result, Request)
                yield result
        if left:
            self.ledger.settle("pending", left)
            if delivery is not None:
                delivery.left(left)
            self.logger.warning(
                "%s: %d pages left for the next run (TGE_SITE_MAX_PAGES=%d)",
                source.slug,
                left,
                self.most_pages,
            )

    def _request(self, source: Any, url: str, *, depth: int) -> Request:
        return self.poll_request(
            source,
            url,
            "sitemap" if source.sitemap else "listing",
            validators=depth == 0,
            callback=self.read_sitemap if source.sitemap else self.read_listing,
            errback=self.source_failed,
            cb_kwargs={"source": source, "depth": depth},
            # a site's own address twice is two rows; an index that names itself
            # again is stopped by the dupefilter
            dont_filter=depth == 0,
        )


def _latest_date(page: SitemapPage) -> datetime:
    return page.published_at or page.lastmod or LONG_AGO


def _day(value: str) -> datetime:
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentError(f"since is a day such as 2026-01-01, not {value!r}") from None
