"""Storage and policy under Scrapy's own middleware, with real requests and responses."""

from __future__ import annotations

import gzip

import pytest
from cache_cases import Clock
from scrapy import Request, Spider
from scrapy.downloadermiddlewares.httpcompression import HttpCompressionMiddleware
from scrapy.exceptions import DownloadTimeoutError
from scrapy.http import HtmlResponse, Response, XmlResponse
from scrapy.utils.test import get_crawler

from middlewares.tiered_cache import TieredCacheMiddleware
from tgecrawler.cache.http import TieredCachePolicy
from tgecrawler.cache.opening import close_caches
from tgecrawler.options import OPTIONS

URL = "https://desk.example/rss"
FEED = b"<rss><channel><title>Desk</title></channel></rss>"


class Host:
    """A spider's requests, as the middleware sends them on and gets the answers."""

    def __init__(self, folder) -> None:
        options = {option.name: option.default for option in OPTIONS}
        settings = options | {
            "TGE_CACHE_URL": f"sqlite:///{folder}/cache.sqlite",
            "HTTPCACHE_ENABLED": True,
            "HTTPCACHE_STORAGE": "tgecrawler.cache.http.TieredCacheStorage",
            "HTTPCACHE_POLICY": "tgecrawler.cache.http.TieredCachePolicy",
            "ADDONS": {},
        }
        self.crawler = get_crawler(Spider, settings)
        self.crawler.spider = self.crawler._create_spider("desk")
        self.middleware = TieredCacheMiddleware.from_crawler(self.crawler)
        self.middleware.spider_opened(self.crawler.spider)
        self.clock = Clock()
        levels = self.middleware.storage.cache._levels
        self.middleware.storage.cache._clock = self.clock
        levels.shared._clock = self.clock

    def ask(self, request: Request) -> Response | None:
        """Return what the cache answers by itself; None where a request goes out."""
        return self.middleware.process_request(request)

    def answer(self, request: Request, response: Response) -> Response:
        return self.middleware.process_response(request, response)

    def fetch(self, request: Request, response: Response) -> Response:
        assert self.ask(request) is None
        return self.answer(request, response)

    def stat(self, name: str) -> int:
        return self.crawler.stats.get_value(f"tge/cache/{name}", 0)


@pytest.fixture
def host(tmp_path):
    yield Host(tmp_path)
    close_caches()


def feed(**meta) -> Request:
    return Request(URL, meta={"kind": "feed", **meta})


def answer(body: bytes = FEED, status: int = 200, **headers: str) -> Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return XmlResponse(URL, status=status, headers=given, body=body)


def not_modified(**headers: str) -> Response:
    return answer(b"", 304, **headers)


def test_a_fresh_copy_is_served_as_it_was(host):
    first = host.fetch(feed(), answer(ETag='"1"', Content_Type="text/xml", X_Name="naïve"))
    assert first.flags == []
    served = host.ask(feed())
    assert (served.url, served.status, served.body) == (URL, 200, FEED)
    assert type(served) is XmlResponse
    assert served.headers == first.headers
    assert served.flags == ["cached"]
    assert (host.stat("feed/hits"), host.stat("feed/misses")) == (1, 1)


def test_an_older_copy_is_asked_for_by_its_validators(host):
    host.fetch(feed(), answer(ETag='W/"1"', Last_Modified="Mon, 12 Oct 2026 08:00:00 GMT"))
    host.clock.pass_s(601)
    request = feed()
    assert host.ask(request) is None
    assert request.headers[b"If-None-Match"] == b'W/"1"'
    assert request.headers[b"If-Modified-Since"] == b"Mon, 12 Oct 2026 08:00:00 GMT"
    served = host.answer(request, not_modified(ETag='W/"2"'))
    assert (served.status, served.body) == (200, FEED)
    assert served.flags == ["cached", "not-modified"]
    assert host.stat("feed/revalidated") == 1
    # its time begins anew, and the new validator is kept
    assert host.ask(feed()).headers[b"ETag"] == b'W/"2"'
    assert "cached_response" not in request.meta


def test_a_304_touches_and_does_not_store_again(host, monkeypatch):
    host.fetch(feed(), answer(ETag='"1"'))
    host.clock.pass_s(601)
    monkeypatch.setattr(host.middleware.storage.cache, "set", None)  # would raise
    assert host.fetch(feed(), not_modified()).flags == ["cached", "not-modified"]


def test_what_a_304_says_of_a_body_is_not_believed(host):
    """Else a body that is stored compressed would not be decompressed, or the other way round."""
    body = gzip.compress(FEED)
    host.fetch(feed(), answer(body, ETag='"1"', Content_Encoding="gzip", Content_Length="70"))
    host.clock.pass_s(601)
    lie = not_modified(Content_Encoding="br", Content_Length="0", Content_Type="text/plain")
    served = host.fetch(feed(), lie)
    assert served.headers[b"Content-Encoding"] == b"gzip"
    assert served.headers[b"Content-Length"] == b"70"


def test_bodies_are_stored_as_they_crossed_the_wire(host):
    body = gzip.compress(FEED * 100)
    host.fetch(feed(), answer(body, Content_Encoding="gzip", Content_Type="text/xml"))
    request = feed()
    served = host.ask(request)
    assert served.body == body
    decompressing = HttpCompressionMiddleware.from_crawler(host.crawler)
    assert decompressing.process_response(request, served).body == FEED * 100


def test_a_copy_that_has_to_be_checked_is_never_served_unasked(host):
    host.fetch(feed(), answer(ETag='"1"'))
    request = feed(cache_revalidate=True)
    assert host.ask(request) is None
    assert request.headers[b"If-None-Match"] == b'"1"'
    assert host.answer(request, not_modified()).body == FEED


def test_a_copy_may_have_to_be_younger(host):
    host.fetch(feed(), answer(ETag='"1"'))
    host.clock.pass_s(100)
    assert host.ask(feed(cache_max_age_s=101)).flags == ["cached"]
    assert host.ask(feed(cache_max_age_s=99)) is None


def test_a_304_for_a_body_that_nobody_has_is_handed_on(host):
    request = feed(cache_revalidate=True)
    request.headers[b"If-None-Match"] = b'"kept by the source"'
    assert host.ask(request) is None
    assert request.headers[b"If-None-Match"] == b'"kept by the source"'
    served = host.answer(request, not_modified())
    assert (served.status, served.body, served.flags) == (304, b"", [])
    assert host.ask(feed()) is None  # and nothing was stored


def test_the_validators_sent_are_those_of_the_body_that_is_held(host):
    host.fetch(feed(), answer(Last_Modified="Mon, 12 Oct 2026 08:00:00 GMT"))
    request = feed(cache_revalidate=True)
    request.headers[b"If-None-Match"] = b'"of another body"'
    host.ask(request)
    assert b"If-None-Match" not in request.headers
    assert request.headers[b"If-Modified-Since"] == b"Mon, 12 Oct 2026 08:00:00 GMT"


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_an_error_is_seen_and_the_copy_stays(host, status):
    host.fetch(feed(), answer(ETag='"1"'))
    host.clock.pass_s(601)
    served = host.fetch(feed(), answer(b"sorry", status))
    assert (served.status, served.body, served.flags) == (status, b"sorry", [])
    request = feed()
    assert host.ask(request) is None
    assert host.answer(request, not_modified()).body == FEED


def test_a_failed_connection_is_no_reason_to_serve_an_older_copy(host):
    host.fetch(feed(), answer(ETag='"1"'))
    host.clock.pass_s(601)
    request = feed()
    assert host.ask(request) is None
    assert host.middleware.process_exception(request, DownloadTimeoutError()) is None
    assert "cached_response" not in request.meta


def test_a_new_body_takes_the_place_of_the_old_one(host):
    host.fetch(feed(), answer(ETag='"1"'))
    host.clock.pass_s(601)
    assert host.fetch(feed(), answer(b"<rss/>", ETag='"2"')).flags == []
    assert host.ask(feed()).body == b"<rss/>"


def test_cache_control_decides_nothing(host):
    """A year of max-age would hide news; no-store is meant for caches that others read."""
    for control in ("max-age=31536000", "no-store", "no-cache"):
        host.middleware.storage.cache.clear()
        host.fetch(feed(), answer(Cache_Control=control))
        assert host.ask(feed()).body == FEED
        host.clock.pass_s(601)
        assert host.ask(feed()) is None


@pytest.mark.parametrize(
    ("kind", "tier"),
    [
        ("feed", "feed"),
        ("sitemap", "feed"),
        ("listing", "feed"),
        ("article", "article"),
        ("robots", "robots"),
        ("post", None),
        (None, None),
    ],
)
def test_the_kind_names_the_tier(host, kind, tier):
    request = Request(URL, meta={"kind": kind} if kind else {})
    host.fetch(request, HtmlResponse(URL, body=b"<p>news"))
    served = host.ask(request.copy())
    assert (served is not None) == (tier is not None)
    if tier:
        assert host.stat(f"{tier}/hits") == 1


@pytest.mark.parametrize(
    "request_",
    [
        Request(URL, method="POST", meta={"kind": "feed"}),
        Request(URL, method="HEAD", meta={"kind": "feed"}),
        Request("data:,x", meta={"kind": "feed"}),
    ],
    ids=["POST", "HEAD", "data"],
)
def test_only_a_get_over_http_is_cached(request_):
    assert not TieredCachePolicy({}).should_cache_request(request_)


@pytest.mark.parametrize(
    ("kind", "status", "kept"),
    [
        ("feed", 200, True),
        ("feed", 206, False),
        ("feed", 301, False),
        ("feed", 404, False),
        ("robots", 200, True),
        ("robots", 301, True),
        ("robots", 404, True),
        ("robots", 304, False),
        ("robots", 429, False),
        ("robots", 500, False),
        ("robots", 503, False),
    ],
)
def test_which_answers_are_kept(host, kind, status, kept):
    def request():
        return Request(URL, meta={"kind": kind})

    assert host.fetch(request(), answer(b"x", status)).status == status
    served = host.ask(request())
    assert (served is not None) == kept
    assert served is None or served.status == status


def test_a_copy_that_cannot_be_read_is_a_miss(host):
    """Scrapy catches what a storage raises; what it then fetches is stored again."""
    request = feed()
    key = host.middleware.storage._key(request)
    host.middleware.storage.cache.set("feed", key, FEED, meta=b"none of ours")
    assert host.ask(request) is None
    host.answer(request, answer(ETag='"1"'))
    assert host.ask(feed()).body == FEED


def test_crawlers_of_a_process_share_the_cache(host, tmp_path):
    host.fetch(feed(), answer())
    other = Host(tmp_path)
    assert other.middleware.storage.cache is host.middleware.storage.cache
    assert other.ask(feed()).body == FEED
    other.middleware.spider_closed(other.crawler.spider)


def test_a_process_starts_with_what_was_used_most(host, tmp_path):
    host.fetch(feed(), answer())
    assert host.middleware.storage.cache.is_cold is False
    close_caches()
    other = Host(tmp_path)
    assert other.middleware.storage.cache.stats()["memory_entries"] == 1
