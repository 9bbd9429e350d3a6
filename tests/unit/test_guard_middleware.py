"""Every request passes the guard, and what it refuses is counted by its cause."""

from __future__ import annotations

from typing import Any

import pytest
from scrapy import Request
from scrapy.exceptions import IgnoreRequest
from scrapy.utils.test import get_crawler

from middlewares.guard import GuardMiddleware
from tgecrawler.transport.refusal import RequestRefused
from tgecrawler.transport.sizes import MOST_BYTES


def guard(**settings: Any) -> GuardMiddleware:
    return GuardMiddleware.from_crawler(get_crawler(settings_dict={"TGE_REPLAY": "", **settings}))


def refused(middleware: GuardMiddleware, url: str) -> str:
    with pytest.raises(RequestRefused) as caught:
        middleware.process_request(Request(url))
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1/", "address"),
        ("http://user:word@news.example/", "credentials"),
        ("file:///etc/passwd", "scheme"),
        ("http://news.example:6379/", "port"),
        ("http://1.2.3.4.5/", "host"),
    ],
)
def test_refuses_in_one_line_and_counts(url: str, cause: str) -> None:
    middleware = guard()
    assert refused(middleware, url).startswith(f"refused, {cause}: ")
    assert middleware.stats.get_value(f"tge/guard/refused/{cause}") == 1


def test_a_refusal_is_never_retried() -> None:
    assert issubclass(RequestRefused, IgnoreRequest)


def test_lets_the_web_pass() -> None:
    assert guard().process_request(Request("https://news.example/rss")) is None


@pytest.mark.parametrize(
    "settings", [{"TGE_ALLOW_PRIVATE_NETWORKS": True}, {"TGE_REPLAY": "demo.warc.gz"}]
)
def test_addresses_pass_by_option_and_in_a_replay_but_nothing_else(
    settings: dict[str, Any],
) -> None:
    middleware = guard(**settings)
    assert middleware.process_request(Request("http://127.0.0.1:8080/")) is None
    assert "scheme" in refused(middleware, "ftp://127.0.0.1/")
    assert "credentials" in refused(middleware, "http://user:word@127.0.0.1/")


def test_bounds_the_body_by_the_kind_of_request() -> None:
    request = Request("https://news.example/rss", meta={"kind": "feed"})
    guard(DOWNLOAD_MAXSIZE=10 * 2**20).process_request(request)
    assert request.meta["download_maxsize"] == MOST_BYTES["feed"]
