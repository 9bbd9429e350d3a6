"""The adapters around gate and robots.txt without a server: what they count, what they skip."""

from __future__ import annotations

import logging
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import DownloadTimeoutError, IgnoreRequest, NotConfigured
from scrapy.http import Response
from scrapy.utils.test import get_crawler
from virtual_time import VirtualClock

from middlewares.politeness import PolitenessMiddleware
from middlewares.robots import SHORTEST_LIFETIME, RobotsMiddleware, origin_of
from tgecrawler.domain.robots_term import LIFETIME
from tgecrawler.scheduling.host_gate import HostGate
from tgecrawler.scheduling.host_lane import utc_now
from tgecrawler.scheduling.resting import HostRestingError

URL = "https://news.example/a"
RULES = b"User-agent: *\nDisallow: /no\nCrawl-delay: 7\n"


class Engine:
    """Answers what the middleware fetches; stands for the crawl's own downloader."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []

    async def download_async(self, request: Request) -> Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def robots(crawler: Crawler, *answers: Response | Exception) -> tuple[RobotsMiddleware, Engine]:
    engine = Engine(*answers)
    crawler.engine = engine  # type: ignore[assignment]
    return RobotsMiddleware(crawler, HostGate()), engine


def answer(body: bytes = RULES, **given: Any) -> Response:
    return Response("https://news.example/robots.txt", body=body, **given)


@pytest.fixture
def crawler() -> Crawler:
    return get_crawler(Spider)


def test_the_gate_learns_from_the_network_and_refuses(clock: VirtualClock) -> None:
    crawler = get_crawler(Spider)
    middleware = PolitenessMiddleware(HostGate(), crawler.stats)
    request = Request(URL)
    middleware.process_request(request)
    middleware.downloaded(Response(URL, status=200), request)
    middleware.process_request(request)
    middleware.downloaded(Response(URL, status=503, headers={"Retry-After": "60"}), request)
    with pytest.raises(HostRestingError) as refused:
        middleware.process_request(request)
    middleware.process_exception(request, refused.value)
    middleware.process_exception(request, DownloadTimeoutError())
    assert crawler.stats.get_stats() == {
        "tge/politeness/rests": 1,
        "tge/politeness/rests/503": 1,
        "tge/politeness/refused": 1,
        "tge/politeness/turns": 0,
        "tge/politeness/waits_s": 0.0,
        "tge/politeness/violations": 0,
    }


def test_it_listens_to_what_the_network_answers() -> None:
    crawler = get_crawler(Spider)
    middleware = PolitenessMiddleware.from_crawler(crawler)
    request = Request("https://listening.example/")
    response = Response(request.url, status=429)
    crawler.signals.send_catch_log(
        signals.response_downloaded, response=response, request=request, spider=None
    )
    assert middleware.gate.rests_until("listening.example") is not None


def test_an_archive_needs_no_politeness() -> None:
    with pytest.raises(NotConfigured):
        PolitenessMiddleware.from_crawler(get_crawler(Spider, {"TGE_REPLAY": "a.warc"}))
    with pytest.raises(NotConfigured):
        RobotsMiddleware.from_crawler(get_crawler(Spider, {"ROBOTSTXT_OBEY": False}))


def test_what_needs_no_robots_txt(clock: VirtualClock, crawler: Crawler) -> None:
    middleware, engine = robots(crawler)
    for url, meta in ((URL, {"dont_obey_robotstxt": True}), ("data:,x", {}), ("file:///x", {})):
        clock.run(middleware.process_request(Request(url, meta=meta)))
    assert engine.asked == []


def test_the_request_for_robots_txt(clock: VirtualClock, crawler: Crawler) -> None:
    middleware, engine = robots(crawler, answer())
    clock.run(middleware.process_request(Request("https://User:pw@News.example:8443/a")))
    (request,) = engine.asked
    assert request.url == "https://news.example:8443/robots.txt"
    assert request.meta["kind"] == "robots"
    assert request.meta["dont_obey_robotstxt"]
    assert middleware.gate._lane("news.example").state.crawl_delay_s == 7


def test_a_crawl_delay_outlives_the_gates_memory(clock: VirtualClock, crawler: Crawler) -> None:
    middleware, engine = robots(crawler, answer())
    clock.run(middleware.process_request(Request(URL)))
    middleware.gate = HostGate()
    clock.run(middleware.process_request(Request(URL)))
    assert middleware.gate._lane("news.example").state.crawl_delay_s == 7
    assert len(engine.asked) == 1


def test_a_resting_host_is_said_to_rest(clock: VirtualClock, crawler: Crawler) -> None:
    rests = HostRestingError("news.example", utc_now(), 429)
    middleware, engine = robots(crawler, rests, answer())
    with pytest.raises(HostRestingError):
        clock.run(middleware.process_request(Request(URL)))
    clock.run(middleware.process_request(Request(URL)))  # the rest is over
    assert len(engine.asked) == 2


def test_an_old_copy_is_used_while_the_host_fails(clock: VirtualClock, crawler: Crawler) -> None:
    middleware, engine = robots(crawler, answer(), answer(status=500), answer(b""))
    for passed_s in (0.0, LIFETIME.total_seconds(), 30.0):
        clock.passed_s += passed_s
        with pytest.raises(IgnoreRequest, match="forbids this address"):
            clock.run(middleware.process_request(Request("https://news.example/no")))
    assert len(engine.asked) == 2
    assert crawler.stats.get_value("tge/robots/used_stale") == 2
    clock.passed_s += 90  # asked again, and this time there is nothing that forbids it
    clock.run(middleware.process_request(Request("https://news.example/no")))


@pytest.mark.parametrize(
    "error", [DownloadTimeoutError("slow"), IgnoreRequest("refused, port: 25")]
)
def test_the_reason_is_said(clock: VirtualClock, crawler: Crawler, error: Exception) -> None:
    middleware, _ = robots(crawler, error)
    reason = "no answer in time" if isinstance(error, DownloadTimeoutError) else "refused, port: 25"
    with pytest.raises(IgnoreRequest) as refused:
        clock.run(middleware.process_request(Request(URL)))
    assert str(refused.value) == f"robots.txt: {reason}"


def test_a_fault_of_ours_is_loud(
    clock: VirtualClock, crawler: Crawler, caplog: pytest.LogCaptureFixture
) -> None:
    middleware, _ = robots(crawler, TypeError("ours"))
    with pytest.raises(IgnoreRequest):
        clock.run(middleware.process_request(Request(URL)))
    (record,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert record.exc_info


@pytest.mark.parametrize(
    ("flags", "hours_old", "holds_h"),
    [
        ([], 20, 24),
        (["cached"], 20, 4),
        (["cached"], 400, SHORTEST_LIFETIME.total_seconds() / 3600),
        (["cached"], -5, 24),
        (["cached", "not-modified"], 20, 24),
    ],
)
def test_a_copy_from_the_cache_is_as_old_as_it_says(
    clock: VirtualClock, crawler: Crawler, flags: list[str], hours_old: float, holds_h: float
) -> None:
    date = format_datetime(utc_now() - timedelta(hours=hours_old), usegmt=True)
    middleware, engine = robots(
        crawler, answer(flags=flags, headers={"Date": date}), answer(), answer()
    )
    clock.run(middleware.process_request(Request(URL)))
    clock.passed_s += holds_h * 3600 - 60
    clock.run(middleware.process_request(Request(URL)))
    assert len(engine.asked) == 1
    clock.passed_s += 61
    clock.run(middleware.process_request(Request(URL)))
    assert len(engine.asked) == 2


def test_each_origin_has_its_own() -> None:
    urls = ("http://a.example/x", "https://a.example/x", "https://a.example:444/", "https://[::1]/")
    assert [origin_of(url) for url in urls] == [
        "http://a.example", "https://a.example", "https://a.example:444", "https://[::1]",
    ]  # fmt: skip
