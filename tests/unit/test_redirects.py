"""Redirects are followed, and nothing is said at a start about referrers."""

from __future__ import annotations

import asyncio
import logging

import pytest
from scrapy import Request, signals
from scrapy.http import HtmlResponse, Response
from scrapy.spiders import Spider
from scrapy.utils.test import get_crawler

from middlewares.meta_refresh import QuickMetaRefreshMiddleware
from middlewares.redirect import UnreferredRedirectMiddleware

URL = "https://h.example/a"


@pytest.mark.parametrize("cls", [UnreferredRedirectMiddleware, QuickMetaRefreshMiddleware])
def test_a_start_is_quiet(cls: type, caplog: pytest.LogCaptureFixture) -> None:
    crawler = get_crawler(Spider)
    middleware = cls.from_crawler(crawler)  # type: ignore[attr-defined]
    with caplog.at_level(logging.INFO):
        asyncio.run(crawler.signals.send_catch_log_async(signals.engine_started))
    assert middleware.crawler is crawler
    assert caplog.records == []


def test_a_redirect_bears_no_referrer() -> None:
    middleware = UnreferredRedirectMiddleware.from_crawler(get_crawler(Spider))
    request = Request(URL, headers={"Referer": "https://secret.example/?token=1"})
    response = Response(URL, status=302, headers={"Location": "/b"})
    redirected = middleware.process_response(request, response)
    assert isinstance(redirected, Request)
    assert redirected.url == "https://h.example/b"
    assert "Referer" not in redirected.headers


def test_a_refreshing_page_is_followed() -> None:
    middleware = QuickMetaRefreshMiddleware.from_crawler(get_crawler(Spider))
    body = b'<html><head><meta http-equiv="Refresh" content="0; url=/b"></head></html>'
    redirected = middleware.process_response(Request(URL), HtmlResponse(URL, body=body))
    assert isinstance(redirected, Request)
    assert redirected.url == "https://h.example/b"
