"""How often Python looks for garbage while a crawl runs."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Self

from scrapy import signals

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

# Objects made and not yet freed before a look at the young ones; Python's 700 are met several
# times a page, and most of what is looked at is in use. A tenth of the CPU time a page
# (tests/bench/bench_pages.py); 5,000 gain half of that, and 100,000 no more. Peak memory is the
# same: pages are freed when they are done with, and wait for no look.
YOUNG_OBJECTS = 20_000


class Collector:
    """Sets what is loaded before the crawl aside, and looks at the rest less often.

    The lexicon, the weights, the watchlist and a few hundred modules stay until the process
    ends: to look through them again and again finds nothing.
    """

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        collector = cls()
        crawler.signals.connect(collector.engine_started, signal=signals.engine_started)
        crawler.signals.connect(collector.engine_stopped, signal=signals.engine_stopped)
        return collector

    def engine_started(self) -> None:
        self._thresholds = gc.get_threshold()
        gc.collect()  # what is set aside is never freed: no garbage among it
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *self._thresholds[1:])

    def engine_stopped(self) -> None:
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()
