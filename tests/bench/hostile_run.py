"""``python hostile_run.py PORT SLOW FOLDER`` asks healthy hosts beside SLOW slow ones.

As JSON it prints, in milliseconds, how long each healthy answer took: by ``download_latency``,
and from when it was due to be asked for until the spider had it. The project's own settings hold,
except that nobody rests between requests, no robots.txt is asked for, nothing is cached, and the
deadline is short.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response
from scrapy.utils.project import get_project_settings
from twisted.python.failure import Failure

PORT, SLOW, FOLDER = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
HEALTHY, BEATS = 50, 20
WARM = 4  # beats before those that count: connections, and the slow hosts' beginning
BEAT_S = 0.25  # from one request to a healthy host to the next
DEADLINE_S = 4.0
TOTAL_DEADLINE = "(total deadline)"


class Beside(Spider):
    """Asks every healthy host once a beat, in turns; a slow one again as soon as it has ended."""

    name = "beside"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.latencies_ms: list[float] = []
        self.waits_ms: list[float] = []
        self.slow_under_way: list[int] = []
        self.ended: dict[str, int] = {"deadline": 0, "otherwise": 0}
        self.healthy_failed = 0
        self.left = HEALTHY * (WARM + BEATS)
        self.done = asyncio.Event()

    async def start(self) -> AsyncIterator[Any]:
        for number in range(SLOW):
            # the first ends are spread over a deadline, and so are all that follow; they begin
            # before the beats that count: the first one of a process was seen to cost it a pause
            spread_s = WARM * BEAT_S / 2 + DEADLINE_S * number / SLOW
            yield self.slow(number, spread_s)
        begun = time.monotonic()
        for turn in range(self.left):
            due = begun + turn * BEAT_S / HEALTHY
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield self.healthy(turn, due)
        await self.done.wait()
        self.tell()

    def healthy(self, turn: int, due: float) -> Request:
        beat, host = divmod(turn, HEALTHY)
        return Request(
            f"http://127.2.0.{host + 1}:{PORT}/late/{turn}",
            callback=self.answered,
            errback=self.unanswered,
            meta={"kind": "feed", "dont_cache": True, "due": due, "counts": beat >= WARM},
        )

    def slow(self, number: int, deadline_s: float = DEADLINE_S) -> Request:
        path = ("slow-headers", "slow-body")[number % 2]
        return Request(
            f"http://127.1.0.{number + 1}:{PORT}/{path}",
            callback=self.ended_otherwise,
            errback=self.ended_slow,
            dont_filter=True,
            meta={
                "kind": "feed",
                "dont_cache": True,
                "slow": number,
                "download_timeout": deadline_s,
            },
        )

    def answered(self, response: Response) -> None:
        meta = response.meta
        if meta["counts"]:
            self.latencies_ms.append(1000 * meta["download_latency"])
            self.waits_ms.append(1000 * (time.monotonic() - meta["due"]))
            assert self.crawler.engine is not None
            active = self.crawler.engine.downloader.active
            self.slow_under_way.append(sum("slow" in request.meta for request in active))
        self.count_down()

    def unanswered(self, failure: Failure) -> None:
        self.healthy_failed += 1
        self.count_down()

    def count_down(self) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()

    def ended_slow(self, failure: Failure) -> Iterator[Request]:
        by_deadline = TOTAL_DEADLINE in str(failure.value)
        self.ended["deadline" if by_deadline else "otherwise"] += 1
        yield self.slow(failure.request.meta["slow"])  # type: ignore[attr-defined]

    def ended_otherwise(self, response: Response) -> Iterator[Request]:
        self.ended["otherwise"] += 1
        yield self.slow(response.meta["slow"])

    def tell(self) -> None:
        found = {
            "latencies_ms": self.latencies_ms,
            "waits_ms": self.waits_ms,
            "slow_under_way": self.slow_under_way,
            "ended": self.ended,
            "healthy_failed": self.healthy_failed,
            "cpu_s": time.process_time(),
        }
        print(json.dumps(found), flush=True)
        os._exit(0)  # the slow ones under way are not waited for


def main() -> None:
    settings = get_project_settings()
    settings.setdict(
        {
            "TGE_ALLOW_PRIVATE_NETWORKS": "1",
            "TGE_DATABASE_URL": f"sqlite:///{FOLDER}/tge.db",
            "ROBOTSTXT_OBEY": False,
            "AUTOTHROTTLE_ENABLED": False,
            "DOWNLOAD_DELAY": 0,
            "LOG_LEVEL": "ERROR",
        },
        priority="cmdline",
    )
    process = CrawlerProcess(settings)
    process.crawl(Beside)
    process.start()


if __name__ == "__main__":
    main()
