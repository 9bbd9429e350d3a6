"""Feeds: entries that are worth it lead to their article pages."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from tgecrawler.domain.cache_control import max_age_s
from tgecrawler.domain.polling import PollHints
from tgecrawler.errors import ArgumentError, SourceError
from tgecrawler.sources.feed import parse_feed
from tgecrawler.spiders.base import (
    TgeSpider,
    content_type_of,
    fetched_at,
    header_of,
    was_conditional,
)
from tgecrawler.spiders.failures import describe_failure, rests_until
from tgecrawler.spiders.polls import OVERDUE_AFTER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy import Request
    from scrapy.http import Response
    from twisted.python.failure import Failure

    from tgecrawler.domain.source_list import FeedSource
    from tgecrawler.items import Feed
    from tgecrawler.runtime import Runtime

LONGEST_SLEEP_S = 60  # a clock that was set, or a laptop that slept, is noticed


class RssSpider(TgeSpider):
    """Polls the feeds of sources.yaml.

    One cycle asks every feed once; with ``due=1`` only those whose time has
    come, for a run every few minutes. ``watch=1`` polls for ever, each feed by
    its own rhythm.
    """

    name = "rss"
    shares = True
    arguments: ClassVar[tuple[str, ...]] = (*TgeSpider.arguments, "watch", "due")

    def configure(self, runtime: Runtime) -> None:
        super().configure(runtime)
        self.watches = _switch("watch", getattr(self, "watch", "0"))
        self.only_due = _switch("due", getattr(self, "due", "0"))
        if self.watches and runtime.options["TGE_REPLAY"]:
            raise ArgumentError("watch=1 polls live feeds; an archive is read once, without it")

    async def start(self) -> AsyncIterator[Any]:
        now = datetime.now(UTC)
        self._rescheduled = asyncio.Event()
        if self.fleet is not None:
            feeds = {feed.slug: feed for feed in self.sources.feeds}
            async for request in self.fleet.polls.requests(
                feeds,
                lambda slug: self._poll(feeds[slug]),
                "due" if self.watches else "cycle",
                only_due=self.only_due,
            ):
                yield request
            return
        for feed in self.sources.feeds:
            due_at = self.polls.due_at(feed.slug, now) if self.only_due or self.watches else now
            if self.watches:
                self.polls.clock.schedule(feed.slug, due_at)
            elif due_at <= now:
                yield self._poll(feed)
        if self.watches:
            async for request in self._watch():
                yield request

    async def _watch(self) -> AsyncIterator[Request]:
        feeds = {feed.slug: feed for feed in self.sources.feeds}
        clock = self.polls.clock
        while feeds:
            now = datetime.now(UTC)
            for slug in clock.take_due(now):
                clock.schedule(slug, now + OVERDUE_AFTER)  # its answer will schedule it better
                yield self._poll(feeds[slug])
            await self._sleep_until(clock.next_at())

    async def _sleep_until(self, at: datetime | None) -> None:
        left_s = LONGEST_SLEEP_S if at is None else (at - datetime.now(UTC)).total_seconds()
        self._rescheduled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(left_s, 0.01), LONGEST_SLEEP_S)):
                await self._rescheduled.wait()

    def _poll(self, feed: FeedSource) -> Request:
        self.health.polled(feed.slug)
        return self.poll_request(
            feed,
            feed.url,
            "feed",
            callback=self.read_feed,
            errback=self.feed_failed,
            cb_kwargs={"source": feed},
            dont_filter=True,
        )

    async def read_feed(self, response: Response, source: Any) -> AsyncIterator[Any]:
        """Take every entry of a feed that has changed."""
        try:
            if not self.is_unchanged(source, response, _hints(response)):
                async for result in self._read_body(response, source):
                    yield result
        finally:
            self._dealt_with(source.slug)

    async def _read_body(self, response: Response, source: FeedSource) -> AsyncIterator[Any]:
        seen_at = fetched_at(response)
        try:
            feed = parse_feed(
                response.body, url=response.url, content_type=content_type_of(response)
            )
        except SourceError as error:
            self._failed(source.slug, str(error), None)
            return
        self._count(source, feed, seen_at)
        self.polls.read(
            source.slug,
            feed.entries,
            seen_at,
            _hints(response, feed),
            conditional=was_conditional(response),
        )
        delivery = self.delivery_of(source, response)
        await self.learn(source, feed.entries)
        for entry in feed.entries:
            for result in self.take(source, entry, seen_at, delivery):
                yield result
        delivery.taken()

    def _count(self, source: FeedSource, feed: Feed, seen_at: datetime) -> None:
        self.health.succeeded(source.slug, seen_at, entries=len(feed.entries) + feed.without_link)
        if feed.recovered:
            self.crawler.stats.inc_value("tge/feed/recovered")
        if feed.without_link:
            self.ledger.settle("failed", feed.without_link)
            self.crawler.stats.inc_value("tge/feed/entries_without_link", feed.without_link)

    def feed_failed(self, failure: Failure) -> None:
        """Book a feed that could not be had."""
        source = failure.request.cb_kwargs["source"]  # type: ignore[attr-defined]
        self._failed(source.slug, describe_failure(failure), rests_until(failure))
        self._dealt_with(source.slug)

    def _dealt_with(self, slug: str) -> None:
        self._rescheduled.set()
        self.answered(slug)

    def _failed(self, slug: str, error: str, not_before_at: datetime | None) -> None:
        self.health.failed(slug, error)
        self.polls.failed(slug, error, datetime.now(UTC), not_before_at)


def _hints(response: Response, feed: Feed | None = None) -> PollHints:
    names = ("Cache-Control", "Expires", "Age")
    held_s = max_age_s(*(header_of(response, name) for name in names), now=fetched_at(response))
    if feed is None:
        return PollHints(max_age_s=held_s)
    return PollHints(
        ttl_s=feed.ttl_s,
        skip_hours=feed.skip_hours,
        skip_days=feed.skip_days,
        max_age_s=held_s,
    )


def _switch(name: str, value: str) -> bool:
    if value not in ("0", "1"):
        raise ArgumentError(f"{name} is 1 or 0, not {value!r}")
    return value == "1"
