"""Asks again where that may help, after a pause."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Self

from scrapy.exceptions import NotConfigured
from scrapy.utils.python import global_object_name
from scrapy.utils.response import response_status_message

from tgecrawler.domain.retrying import (
    is_temporary_error,
    is_temporary_status,
    pause_s,
    rule_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.statscollectors import StatsCollector

logger = logging.getLogger(__name__)

MOST_CAUSES = 16  # of one error; a chain may lead back to its beginning
TOTAL_DEADLINE = "(total deadline)"  # how the transport says that its time was spent


class RetryMiddleware:
    """Adapter around `domain.retrying`; replaces Scrapy's, and keeps its stats.

    Honours ``dont_retry`` and ``max_retry_times`` in a request's meta; RETRY_TIMES
    bounds the retries of every kind. Gives up at the level RETRY_GIVE_UP_LOG_LEVEL.
    """

    def __init__(
        self,
        stats: StatsCollector,
        *,
        most_retries: int,
        priority_adjust: int = -1,
        give_up_level: int = logging.DEBUG,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.stats = stats
        self.most_retries = most_retries
        self.priority_adjust = priority_adjust
        self.give_up_level = give_up_level
        self.jitter = jitter

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        if not settings.getbool("RETRY_ENABLED") or settings.get("TGE_REPLAY"):
            raise NotConfigured  # an archive answers the same again
        return cls(
            crawler.stats,
            most_retries=settings.getint("RETRY_TIMES"),
            priority_adjust=settings.getint("RETRY_PRIORITY_ADJUST"),
            give_up_level=_level_of(settings["RETRY_GIVE_UP_LOG_LEVEL"]),
        )

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        has_retry_after = "Retry-After" in response.headers
        if not is_temporary_status(response.status, has_retry_after=has_retry_after):
            return response
        return await self._retry(request, response_status_message(response.status)) or response

    async def process_exception(self, request: Request, exception: Exception) -> Request | None:
        causes = {name for cause in _causes_of(exception) for name in _names_of(cause)}
        if not is_temporary_error(_names_of(exception), causes):
            return None
        if TOTAL_DEADLINE in str(exception):
            return None
        return await self._retry(request, global_object_name(type(exception)))

    async def _retry(self, request: Request, reason: str) -> Request | None:
        """Return the request anew, after its pause; None where it has been tried enough."""
        if request.meta.get("dont_retry"):
            return None
        rule = rule_for(
            str(request.meta.get("kind", "")),
            int(request.meta.get("max_retry_times", self.most_retries)),
        )
        tried = int(request.meta.get("retry_times", 0)) + 1
        if tried >= rule.tries:
            self.stats.inc_value("retry/max_reached")
            logger.log(self.give_up_level, "gave up %s after %d tries: %s", request, tried, reason)
            return None
        self.stats.inc_value("retry/count")
        self.stats.inc_value(f"retry/reason_count/{reason}")
        pause = pause_s(rule, tried, self.jitter())
        logger.debug("%s again in %.1f s (try %d): %s", request, pause, tried + 1, reason)
        await asyncio.sleep(pause)
        return request.replace(
            dont_filter=True,
            priority=request.priority + self.priority_adjust,
            meta={**request.meta, "retry_times": tried},
        )


def _causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield what led to an error, nearest first, at most `MOST_CAUSES`.

    Twisted keeps the causes of a failed response in ``reasons``, each within ``value``.
    """
    waiting, met = [error], 0
    while waiting and met < MOST_CAUSES:
        cause = waiting.pop(0)
        met += 1
        if cause is not error:
            yield cause
        own = (cause.__cause__, cause.__context__)
        wrapped = (
            getattr(reason, "value", None) for reason in getattr(cause, "reasons", None) or ()
        )
        waiting += [one for one in (*own, *wrapped) if isinstance(one, BaseException)]


def _names_of(error: BaseException) -> set[str]:
    classes = type(error).__mro__
    return {one.__name__ for one in classes} | {
        f"{one.__module__}.{one.__name__}" for one in classes
    }


def _level_of(name: object) -> int:
    level = logging.getLevelName(name) if isinstance(name, str) else name
    return level if isinstance(level, int) else logging.ERROR
