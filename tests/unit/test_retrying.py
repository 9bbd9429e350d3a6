"""What is asked again, how often, and after how long."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from scrapy import Request, exceptions
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.spiders import Spider
from scrapy.statscollectors import MemoryStatsCollector
from scrapy.utils.test import get_crawler
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from virtual_time import VirtualClock

from middlewares.retry import RetryMiddleware
from tgecrawler.domain.retrying import (
    DEFAULT_RULE,
    LONGEST_PAUSE_S,
    RULES,
    RetryRule,
    pause_s,
    rule_for,
)
from tgecrawler.scheduling.resting import HostRestingError

URL = "https://h.example/a"


@pytest.fixture
def retry() -> RetryMiddleware:
    crawler = get_crawler(Spider, {"RETRY_TIMES": 5, "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG"})
    middleware = RetryMiddleware.from_crawler(crawler)
    middleware.jitter = lambda: 0.0
    return middleware


def counted(retry: RetryMiddleware) -> dict[str, Any]:
    assert isinstance(retry.stats, MemoryStatsCollector)
    found = retry.stats.get_stats()
    return {key: value for key, value in found.items() if key.startswith("retry/")}


def tries(
    clock: VirtualClock, retry: RetryMiddleware, outcome: int | Exception, **meta: Any
) -> tuple[int, float]:
    """Answer a request in the same way until it is given up; return the tries and the seconds."""
    request: Request | None = Request(URL, meta=meta)
    began_s, made = clock.passed_s, 0

    async def crawl() -> None:
        nonlocal request, made
        while request is not None:
            made += 1
            if isinstance(outcome, Exception):
                request = await retry.process_exception(request, outcome)
            else:
                after = await retry.process_response(request, Response(URL, status=outcome))
                request = after if isinstance(after, Request) else None

    clock.run(crawl())
    return made, clock.passed_s - began_s


@pytest.mark.parametrize(
    ("status", "retried"),
    [
        (200, False), (301, False), (304, False), (400, False), (401, False), (403, False),
        (404, False), (410, False), (408, True), (425, True), (429, False), (451, False),
        (500, True), (501, False), (502, True), (503, False), (504, True), (505, False),
        (511, False), (520, True), (521, True), (522, True), (523, True), (524, True), (526, False),
    ],
)  # fmt: skip
def test_statuses(clock: VirtualClock, retry: RetryMiddleware, status: int, retried: bool) -> None:
    assert tries(clock, retry, status, kind="feed")[0] == (2 if retried else 1)


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


KEY = ConnectionKey("h.example", 443, True, True, None, None, None)
CERTIFICATE = aiohttp.ClientConnectorCertificateError(
    KEY, ssl.SSLCertVerificationError("self-signed certificate")
)


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (exceptions.DownloadTimeoutError("silent for 10 s (idle deadline)"), True),
        (exceptions.DownloadTimeoutError("no connection within 5 s (connect deadline)"), True),
        (exceptions.DownloadTimeoutError("not read within 20 s (total deadline)"), False),
        (exceptions.DownloadConnectionRefusedError("refused"), True),
        (exceptions.DownloadFailedError("reset"), True),
        (exceptions.ResponseDataLossError("cut"), True),
        (exceptions.CannotResolveHostError("no such name"), False),
        (exceptions.DownloadCancelledError("too large"), False),
        (exceptions.UnsupportedURLSchemeError("gopher"), False),
        (exceptions.NotSupported("gopher"), False),
        (exceptions.IgnoreRequest("robots.txt forbids this address"), False),
        (HostRestingError("h.example", datetime(2026, 11, 24, 12, tzinfo=UTC), 429), False),
        (caused(exceptions.DownloadFailedError("TLS"), ssl.SSLError("handshake")), False),
        (caused(exceptions.DownloadConnectionRefusedError("TLS"), CERTIFICATE), False),
        (exceptions.DownloadFailedError("a bare one"), True),
        (ValueError("ours"), False),
    ],
    ids=lambda value: f"{type(value).__name__}: {value}",
)
def test_errors(
    clock: VirtualClock, retry: RetryMiddleware, error: Exception, retried: bool
) -> None:
    assert tries(clock, retry, error, kind="feed")[0] == (2 if retried else 1)


def test_a_certificate_within_what_twisted_wraps(
    clock: VirtualClock, retry: RetryMiddleware
) -> None:
    wrapped = ResponseFailed([Failure(ssl.SSLCertVerificationError("expired"))])
    error = caused(exceptions.DownloadFailedError("x"), wrapped)
    assert tries(clock, retry, error)[0] == 1


def test_a_chain_of_causes_that_leads_back_to_itself(
    clock: VirtualClock, retry: RetryMiddleware
) -> None:
    error, other = exceptions.DownloadFailedError("x"), OSError("y")
    error.__cause__, other.__cause__ = other, error
    assert tries(clock, retry, error)[0] == 2


@pytest.mark.parametrize(
    ("kind", "made", "paused_s"),
    [
        ("feed", 2, 2), ("sitemap", 2, 2), ("listing", 2, 2), ("article", 3, 6), ("robots", 2, 1),
        ("", 2, 2),
    ],
)  # fmt: skip
def test_kinds(
    clock: VirtualClock, retry: RetryMiddleware, kind: str, made: int, paused_s: float
) -> None:
    assert tries(clock, retry, 500, kind=kind) == (made, paused_s)
    assert made == RULES.get(kind, DEFAULT_RULE).tries


@pytest.mark.parametrize(
    ("meta", "made"),
    [({"dont_retry": True}, 1), ({"max_retry_times": 0}, 1), ({"max_retry_times": 1}, 2)],
)
def test_what_a_request_says_itself(
    clock: VirtualClock, retry: RetryMiddleware, meta: dict[str, Any], made: int
) -> None:
    assert tries(clock, retry, 500, kind="article", **meta)[0] == made


def test_a_host_that_says_when_is_left_to_the_gate(
    clock: VirtualClock, retry: RetryMiddleware
) -> None:
    response = Response(URL, status=500, headers={"Retry-After": "9"})
    assert clock.run(retry.process_response(Request(URL), response)) is response


def test_what_is_asked_again_is_the_same_and_counted(
    clock: VirtualClock, retry: RetryMiddleware, caplog: pytest.LogCaptureFixture
) -> None:
    request = Request(URL, priority=5, meta={"kind": "feed"}, cb_kwargs={"a": 1})
    with caplog.at_level(logging.DEBUG, logger="middlewares.retry"):
        again = clock.run(retry.process_response(request, Response(URL, status=504)))
        assert isinstance(again, Request)
        last = clock.run(retry.process_exception(again, exceptions.DownloadTimeoutError("slow")))
    assert (again.url, again.cb_kwargs, again.dont_filter) == (URL, {"a": 1}, True)
    assert (again.priority, again.meta) == (4, {"kind": "feed", "retry_times": 1})
    assert request.meta == {"kind": "feed"}
    assert last is None
    assert counted(retry) == {
        "retry/count": 1,
        "retry/reason_count/504 Gateway Time-out": 1,
        "retry/max_reached": 1,
    }
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_pauses_double_spread_and_are_bounded() -> None:
    rule = RetryRule(tries=9, first_pause_s=2)
    assert [pause_s(rule, tried, 0) for tried in (1, 2, 3, 4, 5, 99)] == [2, 4, 8, 16, 30, 30]
    chance = Random(3)
    pauses = [pause_s(rule, 1, chance.random()) for _ in range(1000)]
    assert 2 <= min(pauses) < 2.1
    assert 2.9 < max(pauses) <= 3
    assert pause_s(rule, 99, 1) == 1.5 * LONGEST_PAUSE_S


@pytest.mark.parametrize(("most", "made"), [(0, 1), (1, 2), (2, 3), (9, 3), (-1, 1)])
def test_retry_times_bounds_every_kind(most: int, made: int) -> None:
    assert rule_for("article", most).tries == made


@pytest.mark.parametrize("settings", [{"RETRY_ENABLED": False}, {"TGE_REPLAY": "a.warc"}])
def test_where_nothing_is_asked_again(settings: dict[str, Any]) -> None:
    with pytest.raises(NotConfigured):
        RetryMiddleware.from_crawler(get_crawler(Spider, settings))
