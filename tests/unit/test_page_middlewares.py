"""The middlewares that stand in for Scrapy's own on a page's way in: the same, for less."""

from __future__ import annotations

import gzip
import zlib

import pytest
from scrapy import Request
from scrapy.downloadermiddlewares.httpcompression import HttpCompressionMiddleware
from scrapy.downloadermiddlewares.redirect import MetaRefreshMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import HtmlResponse, Response
from scrapy.utils.test import get_crawler

from middlewares.compression import CompressionMiddleware
from middlewares.meta_refresh import QuickMetaRefreshMiddleware

URL = "https://news.example/story"
PAGE = b"<html><body>" + b"Quillon opens its airdrop. " * 4_000 + b"</body></html>"
PACKED = gzip.compress(PAGE, mtime=0)  # or the cases would have other names each second


def unpack(
    kind: type[HttpCompressionMiddleware], body: bytes, encoding: str = "gzip", most: int = 0
) -> bytes | str:
    """Return what a middleware makes of a packed page, or the name of what it raises."""
    request = Request(URL, meta={"download_maxsize": most})
    headers = {"Content-Type": "text/html", "Content-Encoding": encoding}
    middleware = kind.from_crawler(get_crawler())
    try:
        made = middleware.process_response(request, Response(URL, headers=headers, body=body))
    except (OSError, EOFError, zlib.error, IgnoreRequest) as error:
        return type(error).__name__
    assert isinstance(made, HtmlResponse)
    assert "Content-Encoding" not in made.headers
    return made.body


@pytest.mark.parametrize(
    ("body", "encoding", "most"),
    [
        (PACKED, "gzip", 0),
        (PACKED, "x-gzip", 10 * len(PAGE)),
        (PACKED, "gzip", len(PAGE)),  # exactly what is allowed
        (PACKED, "gzip", len(PAGE) - 1),  # one byte more
        (PACKED[:-8], "gzip", 0),  # cut before the checksum
        (PACKED[: len(PACKED) // 2], "gzip", 0),
        (PACKED[:-8] + b"\x00" * 8, "gzip", 0),  # a checksum that is wrong
        (PACKED + gzip.compress(b"<p>More.</p>", mtime=0), "gzip", 0),  # two members
        (PACKED + b"junk", "gzip", 0),
        (b"no gzip at all", "gzip", 0),
        (gzip.compress(b"", mtime=0), "gzip", 0),
        (zlib.compress(PAGE), "deflate", 0),
    ],
)
def test_a_body_is_unpacked_as_scrapy_does(body: bytes, encoding: str, most: int) -> None:
    ours = unpack(CompressionMiddleware, body, encoding, most)
    assert ours == unpack(HttpCompressionMiddleware, body, encoding, most)


def test_a_plain_body_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise AssertionError("Scrapy's own was asked")

    monkeypatch.setattr(HttpCompressionMiddleware, "_decode", staticmethod(refuse))
    assert unpack(CompressionMiddleware, PACKED, most=10 * len(PAGE)) == PAGE


REFRESH = '<html><head><meta http-equiv="Refresh" content="0; url=/moved"></head></html>'


@pytest.mark.parametrize(
    ("markup", "encoding"),
    [
        (REFRESH, "utf-8"),
        (REFRESH.replace("Refresh", "REFRESH"), "latin-1"),
        (REFRESH, "utf-16"),
        (REFRESH, "utf-16-le"),
        ("é" * 3_000 + REFRESH, "utf-8"),  # within the characters that Scrapy reads
        ("領" * 4_000 + REFRESH, "utf-8"),
        ("x" * 4_200 + REFRESH, "utf-8"),  # behind them
        ("<p>They refresh the page.</p>", "utf-8"),
        ("<p>A story.</p>", "utf-8"),
        ("", "utf-8"),
    ],
)
def test_a_page_leads_on_where_scrapy_says_so(markup: str, encoding: str) -> None:
    headers = {"Content-Type": f"text/html; charset={encoding}"}
    response = HtmlResponse(URL, headers=headers, body=markup.encode(encoding))
    led_to = [
        kind.from_crawler(get_crawler()).process_response(Request(URL), response).url
        for kind in (QuickMetaRefreshMiddleware, MetaRefreshMiddleware)
    ]
    assert led_to[0] == led_to[1]
    assert ("/moved" in led_to[0]) == ("http-equiv" in markup and "x" * 4_200 not in markup)
