"""The cache of responses, in the form that Scrapy's HTTP cache asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from scrapy.http import Headers
from scrapy.responsetypes import responsetypes

from tgecrawler.cache.opening import open_cache

if TYPE_CHECKING:
    from scrapy import Request, Spider
    from scrapy.http import Response
    from scrapy.settings import BaseSettings

    from tgecrawler.cache.entry import Hit
    from tgecrawler.cache.tiered import TieredCache

TIER_OF_KIND = {
    "feed": "feed",
    "sitemap": "feed",
    "listing": "feed",
    "article": "article",
    "robots": "robots",
}
"""By request.meta["kind"]; what is of no kind, or of another one, is not cached."""

REVALIDATE = "cache_revalidate"  # request.meta: never served unasked, but by a conditional request
MAX_AGE_S = "cache_max_age_s"  # request.meta: served unasked only if it was checked since
MOVED = "moved"
"""The tier of permanent redirects: a source that has moved is not asked where to at each poll."""

NOT_MODIFIED = "not-modified"  # response.flags: the host said 304, the body is the stored one

WARMED = 500
"""Entries loaded into memory when the first crawler of a process starts; takes some 25 ms."""

_FRESH = "_cache_fresh"  # request.meta: what the storage found, for the policy
_VALIDATORS = {b"ETag": b"If-None-Match", b"Last-Modified": b"If-Modified-Since"}
# A 304 has no body, and what some hosts say of it all the same is not true of the stored one.
_ABOUT_THE_BODY = (
    b"Content-Encoding",
    b"Content-Length",
    b"Content-Range",
    b"Content-Type",
    b"Transfer-Encoding",
)
_TOO_MANY_REQUESTS = 429


class TieredCachePolicy:
    """What may be cached and used; for HTTPCACHE_POLICY.

    By kind and tier, not by Cache-Control: its heuristics and long max-ages hide
    news, and ``no-store`` is about caches that others read. Only GET and only
    200; of robots.txt also what says that there is none. An error of the host is
    always seen, never hidden by an older copy.
    """

    def __init__(self, settings: BaseSettings) -> None:
        pass

    def should_cache_request(self, request: Request) -> bool:
        return (
            request.method == "GET"
            and request.meta.get("kind") in TIER_OF_KIND
            and request.url.startswith(("http://", "https://"))
        )

    def should_cache_response(self, response: Response, request: Request) -> bool:
        if _has_moved(request, response):
            return True
        if request.meta.get("kind") != "robots" or response.status == 200:
            return response.status == 200
        # 429 is a wish to be asked later, not an answer; a 304 says nothing by itself
        return response.status < 500 and response.status not in (304, _TOO_MANY_REQUESTS)

    def is_cached_response_fresh(self, cachedresponse: Response, request: Request) -> bool:
        """Return whether no request is needed; where one is, make it conditional."""
        if request.meta.pop(_FRESH, False):
            return True
        for header, asking in _VALIDATORS.items():
            # not those of the spider: a 304 has to be about the body that we hold
            request.headers.pop(asking, None)
            if value := cachedresponse.headers.get(header):
                request.headers[asking] = value
        return False

    def is_cached_response_valid(
        self, cachedresponse: Response, response: Response, request: Request
    ) -> bool:
        """Return whether the host said that the stored body still holds."""
        if response.status != 304:
            return False
        for header in _ABOUT_THE_BODY:
            response.headers.pop(header, None)
        cachedresponse.flags.append(NOT_MODIFIED)
        return True


class TieredCacheStorage:
    """Adapter around `TieredCache`; for HTTPCACHE_STORAGE. Options: TGE_CACHE_….

    Bodies are stored as they cross the wire, since the middleware stands before
    the one that decompresses them. The cache is shared by all crawlers of the
    process. Counts ``tge/cache/<tier>/hits|misses|revalidated``.
    """

    def __init__(self, settings: BaseSettings) -> None:
        self.cache: TieredCache = open_cache(settings)

    def open_spider(self, spider: Spider) -> None:
        self._fingerprinter = spider.crawler.request_fingerprinter
        self._stats = spider.crawler.stats
        if self.cache.is_cold:
            self.cache.warm(WARMED)

    def close_spider(self, spider: Spider) -> None:
        self.cache.flush()

    def retrieve_response(self, spider: Spider, request: Request) -> Response | None:
        """Return the stored response, fresh or not; the policy learns which through the meta."""
        key = self._key(request)
        hit = self._look_up(_tier(request), key, _max_age_s(request))
        if hit is None and request.meta.get(REVALIDATE):
            moved = self._look_up(MOVED, key, None)
            hit = moved if moved is not None and moved.fresh else None
        if hit is None:
            request.meta.pop(_FRESH, None)
            return None
        request.meta[_FRESH] = hit.fresh
        return _response(hit)

    def _look_up(self, tier: str, key: str, max_age_s: float | None) -> Hit | None:
        hit = self.cache.lookup(tier, key, max_age_s=max_age_s)
        self._count(tier, "hits" if hit is not None and hit.fresh else "misses")
        return hit

    def store_response(self, spider: Spider, request: Request, response: Response) -> None:
        """Store a response; of one that a 304 has confirmed, the headers alone."""
        tier = MOVED if _has_moved(request, response) else _tier(request)
        key, meta = self._key(request), _pack(response)
        if tier == MOVED:  # or the body of before would be looked up first
            self.cache.delete(_tier(request), key)
        if NOT_MODIFIED in response.flags:
            self._count(tier, "revalidated")
            if self.cache.touch(tier, key, meta=meta):
                return
        self.cache.set(tier, key, response.body, meta=meta)

    def _key(self, request: Request) -> str:
        return self._fingerprinter.fingerprint(request).hex()

    def _count(self, tier: str, what: str) -> None:
        self._stats.inc_value(f"tge/cache/{tier}/{what}")


def _has_moved(request: Request, response: Response) -> bool:
    permanent = response.status in (301, 308) and "Location" in response.headers
    return permanent and bool(request.meta.get(REVALIDATE))


def _tier(request: Request) -> str:
    return TIER_OF_KIND[request.meta["kind"]]


def _max_age_s(request: Request) -> float | None:
    if request.meta.get(REVALIDATE):
        return 0.0
    age_s: float | None = request.meta.get(MAX_AGE_S)
    return age_s


def _pack(response: Response) -> bytes:
    """Return all but the body; in a header each character stands for one byte (latin-1)."""
    headers = [
        [name.decode("latin-1"), [value.decode("latin-1") for value in values]]
        for name, values in response.headers.items()
    ]
    return orjson.dumps([response.url, response.status, headers])


def _response(hit: Hit) -> Response:
    url, status, pairs = orjson.loads(hit.meta)
    headers = Headers(
        {
            name.encode("latin-1"): [value.encode("latin-1") for value in values]
            for name, values in pairs
        }
    )
    kind: Any = responsetypes.from_args(headers=headers, url=url, body=hit.value)
    response: Response = kind(url=url, status=status, headers=headers, body=hit.value)
    return response
