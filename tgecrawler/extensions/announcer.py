"""Tells who listens to the stream what the crawl has committed, soon after."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from tgecrawler.addon import runtime_of
from tgecrawler.errors import DatabaseError, OptionError
from tgecrawler.extensions.store import Store

if TYPE_CHECKING:
    from redis import Redis
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector

    from tgecrawler.stream.publisher import Publisher

logger = logging.getLogger(__name__)

PAUSE_S = 0.2
"""Between two looks at the outbox: what is committed meanwhile goes together."""

UNASKED_S = 5.0
"""After which it is looked at though nothing was committed here: a neighbour may have died."""

FORGET_EVERY_S = 3_600.0
CLOSE_S = 15.0
"""For which the close waits for a Redis that does not answer; the rows stay where they are."""


class Announcer:
    """Adapter around `tgecrawler.stream.publisher`. Options: TGE_REDIS_URL, TGE_STREAM_….

    In a thread of its own, so that neither the crawl nor the writer waits for Redis. Any
    worker tells what any has committed; while Redis is away, rows wait in the database.
    """

    def __init__(self, client: Redis, most_messages: int, stats: StatsCollector) -> None:
        self.client = client
        self.most_messages = most_messages
        self.stats = stats
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._away = ""
        self._forget_s = 0.0
        self._thread: threading.Thread | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        options = runtime_of(crawler).options
        if not options["TGE_REDIS_URL"] or not getattr(crawler.spider, "stores", False):
            raise NotConfigured
        from tgecrawler.redis_link import connect  # here: a single process needs none of it

        try:
            client = connect(str(options["TGE_REDIS_URL"]))
        except ValueError as error:
            raise OptionError(f"TGE_REDIS_URL: {error}") from None
        announcer = cls(client, int(options["TGE_STREAM_MAX_MESSAGES"]), crawler.stats)

        def spider_opened() -> None:
            if (store := crawler.get_extension(Store)) is not None:
                announcer.start(store)

        crawler.signals.connect(spider_opened, signal=signals.spider_opened, weak=False)
        crawler.signals.connect(announcer.close, signal=signals.spider_closed)
        return announcer

    def start(self, store: Store) -> None:
        """Tell what a store commits from now on, and what others have left."""
        from tgecrawler.stream.publisher import Publisher

        publisher = Publisher(store.engine, self.client, self.most_messages)
        store.on_commit.append(self._woken.set)
        # A Redis that swallows packets must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._run, args=(publisher,), name="announcer", daemon=True
        )
        self._thread.start()

    async def close(self) -> None:
        """Tell the rest; by now the pipelines have committed all they will."""
        if self._thread is None:
            return
        self._closing.set()
        self._woken.set()
        await asyncio.to_thread(self._thread.join, CLOSE_S)

    def _run(self, publisher: Publisher) -> None:
        while not self._closing.is_set():
            self._publish(publisher)
            self._closing.wait(PAUSE_S)
            self._woken.wait(UNASKED_S)
            self._woken.clear()
        self._publish(publisher)
        self.client.close()

    def _publish(self, publisher: Publisher) -> None:
        from tgecrawler.redis_link import REDIS_FAILURES

        try:
            told = publisher.publish()
            if time.monotonic() >= self._forget_s:
                publisher.forget()
                self._forget_s = time.monotonic() + FORGET_EVERY_S
        except REDIS_FAILURES as error:
            self._note_away(f"Redis: {error}")
        except DatabaseError as error:
            self._note_away(f"database: {error}")
        except Exception:  # the crawl goes on, and what is not told waits
            logger.exception("stream: alerts and events wait in the database")
        else:
            self._note_told(told)

    def _note_away(self, why: str) -> None:
        self.stats.inc_value("tge/stream/failures")
        if not self._away:
            logger.error("stream: alerts and events wait in the database; %s", why)
        self._away = why

    def _note_told(self, told: int) -> None:
        if told:
            self.stats.inc_value("tge/stream/messages", told)
        if self._away:
            logger.info("stream: it is told again, %d messages that had to wait", told)
        self._away = ""
