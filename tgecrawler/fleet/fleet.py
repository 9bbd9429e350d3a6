"""A spider's part in a crawl that several workers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from scrapy import signals

from tgecrawler.addon import runtime_of
from tgecrawler.fleet.shared_pages import SharedPages
from tgecrawler.fleet.shared_polls import SharedPolls
from tgecrawler.redis_link import connect_async
from tgecrawler.scheduling.shared_clock import SharedClock, prefix_of

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler

    from tgecrawler.extensions.ledger import EntryLedger
    from tgecrawler.fleet.shared_pages import SharedQueue
    from tgecrawler.fleet.shared_polls import PollLease
    from tgecrawler.spiders.polls import PollBook


class Fleet:
    """What a worker takes from the others and gives to them. Option: TGE_REDIS_URL.

    Polls of sources fall to one worker each; the pages that their entries lead to
    go into the queue, and fall to any.
    """

    def __init__(self, pages: SharedPages, polls: SharedPolls) -> None:
        self.pages = pages
        self.polls = polls

    @classmethod
    def of(cls, crawler: Crawler, queue: SharedQueue, ledger: EntryLedger, book: PollBook) -> Self:
        """Return the part of a crawler's spider, once its components are made."""
        options = runtime_of(crawler).options
        lease_s = float(options["TGE_LEASE_S"])
        name = crawler.spider.name if crawler.spider is not None else ""
        client = connect_async(str(options["TGE_REDIS_URL"]))
        clock = SharedClock(client, prefix_of(name), queue.worker, lease_s=lease_s)
        fleet = cls(
            SharedPages(queue, ledger, book),
            SharedPolls(clock, book, lease_s=lease_s, is_full=lambda: queue.is_full),
        )
        crawler.signals.connect(fleet.request_dropped, signal=signals.request_dropped)
        return fleet

    def poll_of(self, slug: str) -> PollLease | None:
        """Return the poll of a source, while it is this worker's."""
        return self.polls.leases.get(slug)

    def request_dropped(self, request: Request) -> None:
        """Note that a request to a source will have no answer: it was asked before."""
        source = request.cb_kwargs.get("source")
        if request.meta.get("shared") is False and source is not None:
            self.polls.answered(source.slug)

    async def close(self) -> None:
        """Hand on what this worker has begun, and disconnect."""
        await self.polls.close()
        await self.polls.clock.client.aclose()
