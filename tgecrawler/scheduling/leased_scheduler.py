"""A scheduler that shares one crawl with other processes, and loses nothing when one dies.

All that the engine asks is answered from this process; rounds with the queue are made in
the background. What a request leads to is stored before its lease is acknowledged. A
request with ``meta["shared"] = False`` stays in this process, as does, with a warning, one
that cannot be sent. A redirect or a retry stays too, under the lease of the request that it
continues: should this process die, that one is done again from its start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals
from scrapy.core.scheduler import Scheduler
from scrapy.dupefilters import RFPDupeFilter
from scrapy.utils.defer import deferred_from_coro
from scrapy.utils.misc import load_object
from scrapy_redis.scheduler import Scheduler as RedisScheduler

from tgecrawler.options import PREFIX, read_options
from tgecrawler.redis_link import connect_async
from tgecrawler.scheduling import request_json
from tgecrawler.scheduling.engine_view import EngineView
from tgecrawler.scheduling.host_gate import host_key
from tgecrawler.scheduling.lease_batches import LeaseBatches
from tgecrawler.scheduling.lease_book import TOKEN, LeaseBook
from tgecrawler.scheduling.lease_outbox import Outbox
from tgecrawler.scheduling.lease_rounds import LeaseRounds
from tgecrawler.scheduling.leased_queue import RETRY_S, LeasedQueue
from tgecrawler.scheduling.queue_upkeep import queue_prefix
from tgecrawler.scheduling.queue_values import Close, Offer
from tgecrawler.scheduling.recent_prints import RecentPrints
from tgecrawler.scheduling.resting import HostRestingError

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable
    from datetime import datetime

    from scrapy import Request, Spider
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from tgecrawler.scheduling.lease_batches import Marking
    from tgecrawler.scheduling.lease_book import Lease
    from tgecrawler.scheduling.queue_values import ClosedGroup, Leased, MarkStatus, PushStatus

logger = logging.getLogger(__name__)

SHARED = "shared"  # request.meta: False keeps a request in this process
LEASE_ID = "lease_id"  # request.meta: a second request of the same id is the same request
LEASE_GROUP = "lease_group"  # request.meta: whose account a request is on; not in a callback of
# a leased request: what is on an account waits here while the queue is full
LEAST_CAPACITY = 1_000  # leases: those whose items wait for a commit are among them
LEAST_PREFETCHED = 32  # beyond what the engine may have; half as many as that, where it is more
STOP_S = 6.0  # for the round that is under way, and
CLOSE_S = 10.0  # for what is left to say; it comes back by itself otherwise


class LeasedScheduler(RedisScheduler):  # type: ignore[misc]
    """Hands out requests on lease; see `tgecrawler.scheduling.leased_queue`.

    Options: TGE_REDIS_URL, TGE_LEASE_S, TGE_QUEUE_…. Of scrapy-redis's settings,
    SCHEDULER_FLUSH_ON_START is honoured; the queue is never deleted at the end.

    Attributes:
        worker: name of this process among the others.
        on_pushed: told what became of each shared request that was enqueued here:
            "new", "queued" (the same id is on its way already) or "seen" (it was, once).
            A request that finds the queue full is told of once it was taken.
        on_group_closed: told of a group once all its requests are done: its name, and the
            payload and number of unfinished ones that `close_group` and the ends gave.
    """

    retry_s = RETRY_S
    on_pushed: Callable[[Request, PushStatus], None] | None = None
    on_group_closed: Callable[[str, bytes, int], None] | None = None

    def __init__(
        self, crawler: Crawler, queue: LeasedQueue, local: Scheduler, *, flush_on_start: bool
    ) -> None:
        super().__init__(
            server=queue.client,
            persist=True,
            flush_on_start=flush_on_start,
            queue_key=queue.prefix,
            dupefilter=local.df,
        )
        self.crawler = crawler
        self.stats: Any = crawler.stats
        self.worker = queue.worker
        self.shared_queue = queue
        self.local = local
        self.book = LeaseBook()
        self.outbox = Outbox()
        self._recent = RecentPrints()
        self._here = 0  # requests in `local`
        self._is_locals_turn = True
        self._tasks: list[Task[None]] = []

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        options = read_options(
            {name: settings[name] for name in settings if name.startswith(PREFIX)}, {}
        )
        name = crawler.spider.name if crawler.spider is not None else crawler.spidercls.name
        queue = LeasedQueue(
            connect_async(str(options["TGE_REDIS_URL"])),
            queue_prefix(name),
            f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}",
            lease_s=float(options["TGE_LEASE_S"]),
            per_host=int(options["TGE_QUEUE_PER_HOST"]),
            attempts=int(options["TGE_QUEUE_ATTEMPTS"]),
            reclaims=int(options["TGE_QUEUE_RECLAIMS"]),
            most_requests=int(options["TGE_QUEUE_MAX_REQUESTS"]),
            seen_s=float(options["TGE_QUEUE_SEEN_DAYS"]) * 86_400,
            retry_s=cls.retry_s,
        )
        return cls(
            crawler,
            queue,
            _local_scheduler(crawler),
            flush_on_start=settings.getbool("SCHEDULER_FLUSH_ON_START"),
        )

    @property
    def is_full(self) -> bool:
        """Whether the shared queue took no more at the last time: whoever makes requests waits."""
        return self.outbox.is_full

    def __len__(self) -> int:
        return self.book.ready + len(self.outbox) + self._here

    # the engine's side

    def open(self, spider: Spider) -> Deferred[None]:
        """Begin to make rounds; a spider with a method `share` is given this scheduler.

        Raises:
            RuntimeError: see `EngineView`.
        """
        self.spider = spider
        opened: Deferred[None] = deferred_from_coro(self._open(spider))
        return opened

    async def _open(self, spider: Spider) -> None:
        self.view = EngineView(self.crawler)
        settings = self.crawler.settings
        concurrency = settings.getint("CONCURRENT_REQUESTS") or LEAST_CAPACITY
        self.rounds = LeaseRounds(
            self.shared_queue,
            LeaseBatches(self.book, self.outbox, self.view),
            self,
            capacity=max(LEAST_CAPACITY, 4 * concurrency),
            most_not_landed=concurrency + max(LEAST_PREFETCHED, concurrency // 2),
        )
        self.local.open(spider)
        if self.flush_on_start:
            await self.flush()
        self.crawler.signals.connect(self._spider_error, signals.spider_error)
        self.crawler.signals.connect(self._item_error, signals.item_error)
        if share := getattr(spider, "share", None):
            share(self)
        self._tasks = [
            asyncio.create_task(self.rounds.run()), asyncio.create_task(self.rounds.beat())
        ]  # fmt: skip

    def close(self, reason: str) -> Deferred[None]:
        """Give back what is not done, say what is left to say, and disconnect."""
        closed: Deferred[None] = deferred_from_coro(self._close(reason))
        return closed

    async def _close(self, reason: str) -> None:
        if not self._tasks:  # it could not be opened
            return
        self.rounds.stop()
        running, beating = self._tasks
        beating.cancel()
        await asyncio.wait([running], timeout=STOP_S)
        running.cancel()
        await asyncio.wait(self._tasks)
        try:
            await self.rounds.finish(CLOSE_S)
        except TimeoutError:
            logger.error(
                "queue: Redis cannot be used at the end: %d leases run out by themselves, and "
                "%d requests are not stored; what brought those is done again",
                *(len(self.book.open), len(self.outbox)),
            )
        self.local.close(reason)
        await self.server.aclose()

    async def flush(self) -> None:
        """Delete the shared queue and what was seen, for all workers.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        logger.warning(
            "queue: SCHEDULER_FLUSH_ON_START deletes all requests of spider %s, also those that "
            "other workers are at, and what was seen",
            self.spider.name,
        )
        await self.shared_queue.purge_queue()
        await self.shared_queue.forget_seen()

    def has_pending_requests(self) -> bool:
        """Whether any worker has something to do, as far as is known."""
        return (
            not self.rounds.is_quiet or self._here > 0 or bool(self.book.open) or bool(self.outbox)
        )

    def enqueue_request(self, request: Request) -> bool:
        """Take a request in; False where it is known to be a duplicate already."""
        if lease := self.book.continued(request, self.view.requests, self.view.scraped):
            self._continue(request, lease)
            return True
        request.meta.pop(TOKEN, None)
        if request.meta.get(SHARED) is False:
            return self._enqueue_here(request)
        return self._offer(request)

    def next_request(self) -> Request | None:
        """Return a leased request or one of this process's own, in turns."""
        takes = (self._next_here, self._next_leased)
        for take in takes if self._is_locals_turn else takes[::-1]:
            if request := take():
                self._is_locals_turn = take is not takes[0]
                return request
        self.rounds.wake()
        return None

    # the spider's side

    def hold(self, request: Request) -> None:
        """Keep a request's lease until it is released as often as it was held.

        Any request: for one that is not leased, this and `release` do nothing.
        """
        if lease := self.book.of(request):
            self.book.hold(lease)

    def release(self, request: Request, *, unfinished: bool = False, again: bool = False) -> None:
        """Take one hold away.

        Args:
            unfinished: its group is told that something of it is still to do.
            again: nobody has kept what it brought: the request is made again later.
        """
        if lease := self.book.of(request):
            lease.unfinished = lease.unfinished or unfinished
            if again:
                lease.give_back(after_a_while=True)
            self.book.release(lease)

    def put_off(self, request: Request, until: datetime) -> None:
        """Put a leased request back once it has ended here; its host waits until a moment."""
        if lease := self.book.of(request):
            lease.put_off(until.timestamp())

    def close_group(
        self, group: str, payload: bytes, unfinished: int = 0, *, after: Request | None = None
    ) -> None:
        """Say that all requests of a group were enqueued.

        Args:
            after: the group is closed once this request has left the engine, since what
                a callback yields is enqueued later than it is yielded.
        """
        close = Close(group=group, payload=payload, unfinished=unfinished)
        self.rounds.batches.close_group(close, after)
        self.rounds.note_change()

    # the rounds' side; see `Desk`

    def load(self, leased: Leased) -> Request:
        """Return the request that was leased."""
        request = request_json.loads(leased.payload, self.spider)
        if request.errback is None:
            request.errback = self._pass_failure
        return request

    def pushed(self, request: Request, status: PushStatus) -> None:
        """Count a request, and tell the spider of it."""
        if status == "new":
            self.count("scheduler/enqueued")
            self.count("scheduler/enqueued/redis")
        else:
            self.count("dupefilter/filtered")
            self.crawler.signals.send_catch_log(
                signals.request_dropped, request=request, spider=self.spider
            )
        _tell(self.on_pushed, request, status)

    def marked(self, marking: Marking, status: MarkStatus) -> None:
        """Make a continuation, unless its address was asked for already."""
        if status == "new":
            self.book.carry_on(marking.request, marking.lease)
            self.view.wake()
            return
        if status == "seen":
            self.count("dupefilter/filtered")
        self.book.drop(marking.lease)

    def group_closed(self, closed: ClosedGroup) -> None:
        """Tell the spider that a group is done."""
        _tell(self.on_group_closed, closed.group, closed.payload, closed.unfinished)

    def buried(self, count: int) -> None:
        """Count the dead; their fingerprints may be offered anew."""
        self.count("tge/queue/dead", count)
        self._recent.clear()

    def is_busy(self) -> bool:
        """Return whether this process has something to do that is not in the queue."""
        own = len(self.view.requests) - self.book.running
        return own > 0 or bool(self.outbox) or self._here > 0

    def count(self, name: str, count: int = 1) -> None:
        """Count something among the stats."""
        if count:
            self.stats.inc_value(name, count)

    def _next_here(self) -> Request | None:
        """Return a request of this process's own; to ask for one where there is none is dear."""
        request = self.local.next_request() if self._here else None
        self._here -= request is not None
        return request

    def _next_leased(self) -> Request | None:
        request = self.book.next()
        if request is not None:
            self.count("scheduler/dequeued")
            self.count("scheduler/dequeued/redis")
        return request

    def _continue(self, request: Request, lease: Lease) -> None:
        self.count("scheduler/enqueued")
        self.book.expect(lease)
        if request.dont_filter:
            self.book.carry_on(request, lease)
        else:
            self.rounds.batches.mark(request, lease, self._fingerprint_of(request))
            self.rounds.note_change()

    def _offer(self, request: Request) -> bool:
        fingerprint = b"" if request.dont_filter else self._fingerprint_of(request)
        if fingerprint and self._recent.meets(fingerprint):
            self.count("dupefilter/filtered")
            return False
        if request.errback == self._pass_failure:  # a copy of a leased request
            request.errback = None
        try:
            offer = self._offer_of(request, fingerprint)
        except ValueError as error:
            return self._keep_here(request, error)
        self.outbox.put(request, offer)
        self.rounds.note_change()
        return True

    def _offer_of(self, request: Request, fingerprint: bytes) -> Offer:
        return Offer(
            id=request.meta.get(LEASE_ID) or fingerprint.hex() or uuid.uuid4().hex,
            host=host_key(request.url),
            priority=request.priority,
            payload=request_json.dumps(request, self.spider),
            fingerprint=fingerprint,
            group=request.meta.get(LEASE_GROUP, ""),
            bounded=self._is_bounded(request),
        )

    def _keep_here(self, request: Request, error: Exception) -> bool:
        name = "scheduler/unserializable"
        level = logging.DEBUG if self.stats.get_value(name) else logging.WARNING
        logger.log(
            level,
            "queue: %s cannot be sent to other workers, and would be lost with this one: %s; "
            "no more of such are shown, see the stat %s",
            *(request, error, name),
        )
        self.count(name)
        return self._enqueue_here(request)

    def _enqueue_here(self, request: Request) -> bool:
        is_new = self.local.enqueue_request(request)
        self._here += is_new
        return is_new

    def _is_bounded(self, request: Request) -> bool:
        """Return whether no leased request can have brought this one."""
        if LEASE_GROUP in request.meta or request.meta.get("is_start_request"):
            return True
        return not self.book.has_any_of(self.view.scraped)

    def _fingerprint_of(self, request: Request) -> bytes:
        fingerprinter: Any = self.crawler.request_fingerprinter  # set before any request is made
        fingerprint: bytes = fingerprinter.fingerprint(request)
        return fingerprint

    def _pass_failure(self, failure: Failure) -> Failure:
        """Put a request off whose host wants it so, where its spider hears of no failures."""
        if isinstance(failure.value, HostRestingError):
            self.put_off(failure.request, failure.value.until)  # type: ignore[attr-defined]
        return failure

    def _spider_error(self, failure: Failure, response: Response | Failure) -> None:
        self._fail(getattr(response, "request", None), failure)

    def _item_error(self, response: Response | None, failure: Failure) -> None:
        self._fail(getattr(response, "request", None), failure)

    def _fail(self, request: Request | None, failure: Failure) -> None:
        lease = self.book.of(request) if request is not None else None
        if lease is not None:
            message = " ".join(str(failure.value).split())
            lease.fail(f"{type(failure.value).__name__}: {message}")


def _tell(listener: Callable[..., None] | None, *what: Any) -> None:
    """Tell the spider; a fault of its own does not end the round that others' work hangs on."""
    if listener is None:
        return
    try:
        listener(*what)
    except Exception:
        logger.exception("queue: %r failed", listener)


def _local_scheduler(crawler: Crawler) -> Scheduler:
    """Return Scrapy's own scheduler, in memory, with its own filter of duplicates."""
    settings = crawler.settings
    return Scheduler(
        dupefilter=RFPDupeFilter.from_crawler(crawler),
        mqclass=load_object(settings["SCHEDULER_MEMORY_QUEUE"]),
        pqclass=load_object(settings["SCHEDULER_PRIORITY_QUEUE"]),
        stats=crawler.stats,
        crawler=crawler,
    )
