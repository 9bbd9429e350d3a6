"""A scheduler that shares one crawl with other processes, and loses nothing when one dies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from scrapy_redis.scheduler import Scheduler as RedisScheduler

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from scrapy import Request, Spider
    from scrapy.crawler import Crawler
    from twisted.internet.defer import Deferred

    from tgecrawler.scheduling.queue_values import PushStatus

SHARED = "shared"  # request.meta: False keeps a request in this process
LEASE_ID = "lease_id"  # request.meta: a second request of the same id is the same request
LEASE_GROUP = "lease_group"  # request.meta: whose account the request is on


class LeasedScheduler(RedisScheduler):  # type: ignore[misc]
    """Hands out requests on lease; see `tgecrawler.scheduling.leased_queue`.

    Attributes:
        on_pushed: told what became of each shared request that was enqueued here:
            "new", "queued" (the same id is on its way already) or "seen" (it was, once).
            A request that finds the queue full is told of once it was taken.
        on_group_closed: told of a group once all its requests are done: its name, and the
            payload and number of unfinished ones that `close_group` and the ends gave.
    """

    on_pushed: Callable[[Request, PushStatus], None] | None = None
    on_group_closed: Callable[[str, bytes, int], None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        raise NotImplementedError

    @property
    def is_full(self) -> bool:
        """Whether the shared queue took no more at the last time: whoever makes requests waits."""
        raise NotImplementedError

    def open(self, spider: Spider) -> Deferred[None] | None:
        raise NotImplementedError

    def close(self, reason: str) -> Deferred[None] | None:
        raise NotImplementedError

    def has_pending_requests(self) -> bool:
        raise NotImplementedError

    def enqueue_request(self, request: Request) -> bool:
        raise NotImplementedError

    def next_request(self) -> Request | None:
        raise NotImplementedError

    def group_of(self, request: Request) -> str:
        """Return the group of a leased request; "" where it has none, or is none."""
        raise NotImplementedError

    def hold(self, request: Request) -> None:
        """Keep a request's lease until it is released as often as it was held.

        Any request: for one that is not leased, this and `release` do nothing.
        """
        raise NotImplementedError

    def release(self, request: Request, *, unfinished: bool = False, again: bool = False) -> None:
        """Take one hold away.

        Args:
            unfinished: its group is told that something of it is still to do.
            again: nobody has kept what it brought: the request is made again later.
        """
        raise NotImplementedError

    def put_off(self, request: Request, until: datetime) -> None:
        """Put a leased request back once it has ended here; its host waits until a moment."""
        raise NotImplementedError

    def close_group(
        self, group: str, payload: bytes, unfinished: int = 0, *, after: Request | None = None
    ) -> None:
        """Say that all requests of a group were enqueued.

        Args:
            after: the group is closed once this request has left the engine, since what
                a callback yields is enqueued later than it is yielded.
        """
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def flush(self) -> Any:
        raise NotImplementedError
