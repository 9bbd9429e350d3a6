"""What every spider shares: arguments, entries on their way, article pages."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from scrapy import Request, Spider, signals

from tgecrawler.domain.fingerprint import content_key, mention_key, rules_key, url_key
from tgecrawler.domain.freshness import AgeLimit
from tgecrawler.domain.url_redirects import is_feed_proxy
from tgecrawler.domain.urls import unwrap_url
from tgecrawler.drops import EntryDropped
from tgecrawler.errors import ArgumentError, SourceError
from tgecrawler.extensions.health import SourceHealth
from tgecrawler.extensions.ledger import WAITING, EntryLedger
from tgecrawler.extensions.store import Store
from tgecrawler.items import Article, Mention
from tgecrawler.scheduling.host_gate import host_key
from tgecrawler.scheduling.process_gate import gate_of_crawler
from tgecrawler.sources.article_reader import ArticleReader
from tgecrawler.sources.glance import glance
from tgecrawler.spiders.failures import describe_failure, is_put_off, rests_until
from tgecrawler.spiders.polls import PollBook, poll_bounds
from tgecrawler.spiders.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from scrapy.http import Response
    from twisted.python.failure import Failure

    from tgecrawler.domain.delivery import Account, Delivery
    from tgecrawler.domain.polling import PollHints
    from tgecrawler.fleet.fleet import Fleet
    from tgecrawler.fleet.shared_pages import SharedQueue
    from tgecrawler.items import Entry
    from tgecrawler.runtime import Runtime
    from tgecrawler.sources.glance import Glance
    from tgecrawler.spiders.waiting import SourceRow

logger = logging.getLogger(__name__)

PAGES_KEPT = 128  # parsed pages held for a second source, each under its one or two addresses
# A glance holds a page some twenty times over; the process that reads articles has its own bound.
MOST_GLANCED_BYTES = 2**20
FEED_PRIORITY = 100  # feeds before pages: they tell which pages are wanted
NOT_MODIFIED = 304


class TgeSpider(Spider):
    """Base of the spiders: from entries to mentions.

    Arguments (``-a name=value``): ``only`` (slugs, comma-separated) and
    ``max_age_days``; an unknown one ends the run with exit code 2.
    """

    arguments: ClassVar[tuple[str, ...]] = ("only", "max_age_days")
    stores = True  # opens the database; see `Store`
    shares = False  # its sources and pages fall to all workers of a crawl; see `Fleet`
    # Of a request that comes from Redis; see `request_json`. Pages alone travel.
    shared_callbacks = frozenset({"read_page", "page_failed"})
    shared_meta = frozenset({"kind"})

    def __init__(self, name: str | None = None, **arguments: Any) -> None:
        for argument in arguments:
            # scrapyd hands its own arguments over with a leading underscore
            if argument not in self.arguments and not argument.startswith("_"):
                raise ArgumentError(self._unknown(argument))
        super().__init__(name, **arguments)
        self.age_limit = AgeLimit()
        self._pages: OrderedDict[str, Article] = OrderedDict()
        self._waiting: dict[str, list[Waiting]] = {}
        self._polls: PollBook | None = None
        self.fleet: Fleet | None = None

    def share(self, queue: SharedQueue) -> None:
        """Join the other workers of the crawl; called by the scheduler that they share."""
        if self.shares:
            from tgecrawler.fleet.fleet import Fleet  # a single process loads no Redis

            self.fleet = Fleet.of(self.crawler, queue, self.ledger, self.polls)

    def configure(self, runtime: Runtime) -> None:
        """Take the runtime, before any component is built.

        Raises:
            ArgumentError: a spider argument cannot be used.
        """
        self.runtime = runtime
        days = getattr(self, "max_age_days", None)
        if days is not None and not str(days).isdecimal():
            raise ArgumentError(f"max_age_days is a whole number, 0 or more, not {days!r}")
        self.age_limit = AgeLimit(
            int(runtime.options["TGE_MAX_AGE_DAYS"] if days is None else days)
        )
        poll_bounds(runtime.options)  # wrong ones end the process here
        slugs = [slug.strip() for slug in getattr(self, "only", "").split(",") if slug.strip()]
        self.sources = runtime.sources.select(slugs) if slugs else runtime.sources
        self.reader = ArticleReader(int(runtime.options["TGE_READERS"]))

    @property
    def ledger(self) -> EntryLedger:
        """The run's ledger."""
        return extension_of(self, EntryLedger)

    @property
    def health(self) -> SourceHealth:
        """The run's book of sources."""
        return extension_of(self, SourceHealth)

    @property
    def verdict_version(self) -> str:
        """Under what rules and limit a rejection holds; others look again."""
        return f"{self.runtime.assessor.rules_version}/{self.age_limit}"

    @property
    def polls(self) -> PollBook:
        """The run's plan of polls, made when the spider starts."""
        if self._polls is None:
            self._polls = PollBook.from_crawler(self.crawler)
        return self._polls

    def stale_sources(self, now: datetime) -> list[str]:
        """Return the sources that answer, but have told nothing for much longer than usual."""
        return self._polls.stale(now) if self._polls is not None else []

    def poll_request(
        self, source: SourceRow, url: str, kind: str, *, validators: bool = True, **given: Any
    ) -> Request:
        """Return the request that asks a source what is new.

        The cache may hold its body, but whether that is the newest one the host
        must say. Not filtered: two rows may name one address, and each is a source.
        """
        now = datetime.now(UTC)
        rules = rules_key(self.verdict_version)
        return Request(
            url,
            headers=self.polls.validators(source.slug, rules, now) if validators else {},
            meta={
                "kind": kind,
                "cache_revalidate": True,
                "handle_httpstatus_list": [NOT_MODIFIED],
                "shared": False,  # the poll is this worker's; see `SharedPolls`
            },
            priority=FEED_PRIORITY,
            **given,
        )

    def is_unchanged(self, source: SourceRow, response: Response, hints: PollHints) -> bool:
        """Book an answer of which nothing is left to do; False for one that is to be read."""
        whole = response.status != NOT_MODIFIED
        key = content_key(response.body, self.verdict_version)
        if whole and not self.polls.is_settled(source.slug, key):
            return False
        at = fetched_at(response)
        self.health.unchanged(source.slug, at)
        is_body = whole and "not-modified" not in response.flags
        self.polls.unchanged(source.slug, at, hints, whole=is_body)
        return True

    def delivery_of(self, source: SourceRow, response: Response) -> Delivery:
        """Return the account of a body that is about to be read."""
        return self.polls.delivery(
            source.slug,
            content_key(response.body, self.verdict_version),
            header_of(response, "ETag"),
            header_of(response, "Last-Modified"),
        )

    def take(
        self,
        source: SourceRow,
        entry: Entry,
        seen_at: datetime,
        delivery: Delivery | None = None,
    ) -> Iterator[Any]:
        """Yield what an entry leads to: a mention, a request for its page, or nothing.

        Nothing means that its outcome is booked already, or that it waits for a
        page which is on its way for another source. `delivery` is told the outcome.
        """
        entry_id = mention_key(source.slug, entry.url)
        poll = self.fleet.poll_of(source.slug) if self.fleet is not None else None
        if not self._is_wanted(entry_id, entry, seen_at, delivery, poll):
            return
        if entry.title and not self._worth_fetching(entry):
            self.ledger.close(entry_id, "filtered_early")
            self._avoid("screened")
        else:
            yield from self._read(Waiting(entry_id, source, entry, seen_at), delivery)

    async def learn(self, source: SourceRow, entries: Iterable[Entry]) -> None:
        """Look up what other workers have stored of a body's entries, where there are others."""
        if self.fleet is not None:
            ids = [mention_key(source.slug, entry.url) for entry in entries]
            await asyncio.to_thread(extension_of(self, Store).learn, ids)

    def answered(self, slug: str) -> None:
        """Note that an answer of a source was dealt with."""
        if self.fleet is not None:
            self.fleet.polls.answered(slug)

    async def read_page(
        self, response: Response, page: str, waiting: dict[str, Any] | None = None
    ) -> AsyncIterator[Mention]:
        """Turn an article page into a mention for each entry that waits for it.

        Args:
            page: the key under which entries wait here.
            waiting: the entry that came with the request, where workers share them.
        """
        if waiting is not None and not self._arrived(response.request, page, waiting):
            return
        async for mention in self._mentions_of(response, page):
            yield mention

    def _arrived(self, request: Request | None, page: str, waiting: dict[str, Any]) -> bool:
        """Let a request's own entry wait for its page; return whether it is wanted."""
        if self.fleet is None or request is None:
            raise RuntimeError("a page came from a queue that this process does not share")
        if waiting.get("id") != page:  # two entries under one key, and one would wait for ever
            raise ValueError(f"the page of another entry: {page!r:.100}")
        one = self.fleet.pages.arrived(request, waiting)
        if one is not None:
            self._waiting[page] = [one]
        return one is not None

    async def _mentions_of(self, response: Response, page: str) -> AsyncIterator[Mention]:
        article, error = None, ""
        try:
            if not self._is_worth_extracting(page, response):
                return
            article = await self.reader.read(
                response.body, url=response.url, content_type=content_type_of(response)
            )
        except SourceError as failure:
            error = str(failure)
        waiting = self._waiting.pop(page)  # also what came while the page was read
        if article is None:
            for mention in self._without_page(waiting, error):
                yield mention
            return
        for one in waiting:
            self._keep(url_key(one.entry.url), article)
        self._keep(url_key(article.canonical_url), article)
        for one in waiting:
            yield mention_of(one, article)

    def _is_worth_extracting(self, page: str, response: Response) -> bool:
        """Return whether an entry still waits for this page; those that it cannot help end here.

        Raises:
            SourceError: no page.
        """
        if is_feed_proxy(response.url):  # its own words are not the article's
            raise SourceError("a feed's proxy that leads to no article")
        waiting = self._waiting[page]
        if len(response.body) > MOST_GLANCED_BYTES:
            return True
        untitled = any(not one.entry.title for one in waiting)
        seen = glance(response.body, content_type_of(response), with_title=untitled)
        worth = [one for one in waiting if self._may_be_relevant(one, seen, response)]
        waiting[:] = worth  # in place: the request's meta names the same list
        if not worth:
            del self._waiting[page]
        return bool(worth)

    def _may_be_relevant(self, one: Waiting, seen: Glance, response: Response) -> bool:
        title = one.entry.title or seen.title
        verdict = self.runtime.page_gate.look(title, one.entry.summary, seen.text)
        if not verdict.worth_extracting:
            self._pass_over(one, response, verdict.reason)
        return verdict.worth_extracting

    def _pass_over(self, one: Waiting, response: Response, reason: str) -> None:
        """Book an entry as irrelevant, as a pipeline would: most pages end here."""
        self.crawler.stats.inc_value("tge/article/passed_over")
        self.crawler.signals.send_catch_log(
            signals.item_dropped,
            item=mention_of(one, None),
            response=response,
            exception=EntryDropped(f"{reason} {one.entry.url}", outcome="irrelevant"),
            spider=self,
        )

    async def closed(self, reason: str) -> None:
        """End what reads the pages, and this worker's part in a shared crawl."""
        await self.reader.close()
        if self.fleet is not None:
            await self.fleet.close()

    def page_failed(self, failure: Failure) -> Iterator[Mention]:
        """Fall back on the feed's own words where the page cannot be had.

        A host that asks to be left alone will have it later, and so the entry waits
        for its source's next poll.
        """
        request: Request = failure.request  # type: ignore[attr-defined]
        page: str = request.cb_kwargs["page"]
        if self.fleet is not None and "waiting" in request.cb_kwargs:
            until = self._rest_behind(failure)
            if until is not None and self.fleet.pages.travels(request):
                self.fleet.pages.put_off(request, until)
                return
            if not self._arrived(request, page, request.cb_kwargs["waiting"]):
                return
        waiting = self._waiting.pop(page)
        if is_put_off(failure):
            for one in waiting:
                self.ledger.close(one.entry_id, "pending")
            return
        yield from self._without_page(waiting, describe_failure(failure))

    def _rest_behind(self, failure: Failure) -> datetime | None:
        """Return until when a page's host wants to be left alone; None where it does not."""
        if not is_put_off(failure):
            return None
        host = host_key(failure.request.url)  # type: ignore[attr-defined]
        return rests_until(failure) or gate_of_crawler(self.crawler).rests_until(host)

    def _is_wanted(
        self, entry_id: str, entry: Entry, seen_at: datetime, *accounts: Account | None
    ) -> bool:
        """Open an entry; return False where its outcome is booked at once."""
        if not self.ledger.open(entry_id, *accounts):
            return False
        if self.age_limit.excludes(entry.published_at, seen_at):
            self.ledger.close(entry_id, "too_old")
            return False
        if extension_of(self, Store).knows(entry_id, self.verdict_version):
            self.ledger.close(entry_id, "duplicate")
            self._avoid("known")
            return False
        return True

    def _worth_fetching(self, entry: Entry) -> bool:
        return self.runtime.screen.screen(entry.title, entry.summary).worth_fetching

    def _read(self, one: Waiting, delivery: Delivery | None = None) -> Iterator[Any]:
        page = url_key(one.entry.url)
        if one.entry.text and not is_feed_proxy(one.entry.url):
            self._avoid("full_text")
            yield mention_of(one, None)
        elif page in self._pages:
            self._avoid("same_page")
            yield mention_of(one, self._pages[page])
        elif self.fleet is not None:
            # each entry has a request of its own: a second one finds the page in the cache
            yield self.fleet.pages.put(self._page_request(one.entry_id, one), one, delivery)
        elif page in self._waiting:
            self._avoid("same_page")
            self._waiting[page].append(one)
        else:
            self._waiting[page] = [one]
            request = self._page_request(page, one)
            request.meta[WAITING] = self._waiting[page]
            yield request

    def _page_request(self, page: str, one: Waiting) -> Request:
        self.reader.prepare()
        return Request(
            unwrap_url(one.entry.url),  # past a redirector that bears its target
            callback=self.read_page,
            errback=self.page_failed,
            cb_kwargs={"page": page},
            meta={"kind": "article"},
            priority=-one.source.tier,
            # entries of one address are gathered in _waiting; a request that the
            # dupefilter swallowed would take its entry with it
            dont_filter=True,
        )

    def _without_page(self, waiting: list[Waiting], error: str) -> Iterator[Mention]:
        self.crawler.stats.inc_value("tge/article/failed")
        for one in waiting:
            logger.debug("%s: page of an entry: %s (%s)", one.source.slug, error, one.entry.url)
            yield mention_of(one, None, page_error=error)

    def _keep(self, page: str, article: Article) -> None:
        self._pages[page] = article
        if len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)

    def _avoid(self, why: str) -> None:
        self.crawler.stats.inc_value("tge/requests/avoided")
        self.crawler.stats.inc_value(f"tge/requests/avoided/{why}")

    def _unknown(self, argument: str) -> str:
        near = difflib.get_close_matches(argument, self.arguments, n=1)
        known = ", ".join(self.arguments)
        hint = f"did you mean {near[0]}?" if near else f"it takes: {known}"
        return f"spider {self.name} has no argument {argument!r}; {hint}"


def mention_of(one: Waiting, article: Article | None, *, page_error: str = "") -> Mention:
    """Return an entry and its page, where there is one, as one mention."""
    entry, source = one.entry, one.source
    page = article or Article(url=entry.url, canonical_url=entry.url)
    return Mention(
        entry_id=one.entry_id,
        source=source.slug,
        owner=source.owner,
        tier=source.tier,
        url=entry.url,
        canonical_url=page.canonical_url,
        title=entry.title or page.title,
        summary=entry.summary,
        text=page.text or entry.text,
        author=entry.author or page.author,
        lang=page.lang or entry.lang or source.lang,
        published_at=entry.published_at or page.published_at,
        seen_at=one.seen_at,
        page_error=page_error,
        links=page.links,
    )


def fetched_at(response: Response) -> datetime:
    """Return when the response left its host: now, or in a replay when it was archived."""
    moment = response.meta.get("fetched_at")
    return moment if isinstance(moment, datetime) else datetime.now(UTC)


def was_conditional(response: Response) -> bool:
    """Return whether the response answers a request that bore validators."""
    sent = response.request.headers if response.request is not None else {}
    return any(name in sent for name in ("If-None-Match", "If-Modified-Since"))


def content_type_of(response: Response) -> str:
    """Return the Content-Type header, "" where there is none."""
    return header_of(response, "Content-Type")


def header_of(response: Response, name: str) -> str:
    """Return a header's value, "" where there is none."""
    return (response.headers.get(name) or b"").decode("latin-1")


Extension = TypeVar("Extension")


def extension_of(spider: Spider, kind: type[Extension]) -> Extension:
    """Return the running extension of a class.

    Raises:
        RuntimeError: it is not among the settings.
    """
    extension = spider.crawler.get_extension(kind)
    if extension is None:
        raise RuntimeError(f"{kind.__module__}.{kind.__name__} is not in EXTENSIONS")
    return extension
