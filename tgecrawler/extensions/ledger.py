"""The entry ledger wired to Scrapy's signals and stats."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals

from tgecrawler.domain.ledger import Ledger
from tgecrawler.items import OUTCOMES, Mention, Outcome

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector
    from twisted.python.failure import Failure

    from tgecrawler.domain.delivery import Account

logger = logging.getLogger(__name__)

WAITING = "waiting"  # request.meta: what waits for the response; each bears an entry_id


class EntryLedger:
    """Books each entry's outcome; see `tgecrawler.domain.ledger.Ledger`.

    Spiders open entries; a drop, an error or a commit closes them. What is open
    when the spider closes early is ``pending`` and will be seen again by the
    next run; what is open after a whole crawl was lost by a fault of ours, and
    is said at ERROR.
    """

    def __init__(self, stats: StatsCollector) -> None:
        self.book = Ledger()
        self.accounts: defaultdict[str, list[Account]] = defaultdict(list)
        self.stats = stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        ledger = cls(crawler.stats)
        connect = crawler.signals.connect
        connect(ledger.item_dropped, signal=signals.item_dropped)
        connect(ledger.item_error, signal=signals.item_error)
        connect(ledger.spider_error, signal=signals.spider_error)
        connect(ledger.spider_closed, signal=signals.spider_closed)
        return ledger

    def open(self, entry_id: str, *accounts: Account | None) -> bool:
        """Count an entry as seen; False where the same one is still on its way.

        Each account is told of its outcome, also of one that an earlier body brought.
        """
        is_new = self.book.open(entry_id)
        for account in accounts:
            if account is not None:
                self.accounts[entry_id].append(account)
                account.opened()
        return is_new

    def hand_over(self, entry_id: str, *, anew: bool) -> None:
        """Let go of an open entry that waits in the queue which several processes share.

        Whoever takes it from there counts it. Where it was there already (`anew` is
        False), for an earlier body's sake, this body does not hear of its outcome, and
        is read again for as long as it waits: Redis may lose it.
        """
        self.book.withdraw(entry_id)
        for account in self.accounts.pop(entry_id, ()):
            if anew:
                account.handed_over()
            else:
                account.closed("pending", again=True)

    def close(self, entry_id: str, outcome: Outcome, *, again: bool = False) -> None:
        """Book an entry's outcome; a second one for the same entry is a fault of ours.

        `again` says that its source is to tell it once more; see `Delivery.closed`.
        """
        if not self.book.close(entry_id, outcome):
            logger.error("accounting: %s", self.book.faults.pop())
            self.stats.inc_value("tge/accounting/faults")
            return
        for account in self.accounts.pop(entry_id, ()):
            account.closed(outcome, again=again)

    def settle(self, outcome: Outcome, count: int = 1) -> None:
        """Book entries that are seen and decided in one go."""
        self.book.settle(outcome, count)

    def item_dropped(self, item: Any, exception: BaseException) -> None:
        if isinstance(item, Mention):
            self.close(item.entry_id, getattr(exception, "outcome", "failed"))

    def item_error(self, item: Any) -> None:
        if isinstance(item, Mention):
            self.close(item.entry_id, "failed")

    def spider_error(self, failure: Failure, response: Any) -> None:
        request = getattr(failure, "request", None) or getattr(response, "request", None)
        waiting = request.meta.get(WAITING, ()) if request is not None else ()
        for entry_id in [one.entry_id for one in waiting if self.book.is_open(one.entry_id)]:
            self.close(entry_id, "failed")

    def spider_closed(self, reason: str) -> None:
        rest = self.book.close_rest("pending")
        if rest and reason == "finished":
            logger.error("accounting: %d entries ended in no outcome", rest)
            self.stats.inc_value("tge/accounting/faults", rest)
        self.publish()

    def publish(self) -> None:
        """Put the counts of the run so far among the stats."""
        self.stats.set_value("tge/entries_seen", self.book.seen)
        for outcome in OUTCOMES:
            self.stats.set_value(f"tge/outcome/{outcome}", self.book.outcomes[outcome])
