"""Any feed's bytes as a Feed: RSS 0.9x, 1.0, 2.0, Atom 0.3, 1.0, JSON Feed 1.x."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tgecrawler.errors import SourceError
from tgecrawler.sources.encoding import decode_body, inflate_body
from tgecrawler.sources.feed_fallback import read_with_feedparser
from tgecrawler.sources.feed_fields import local_name
from tgecrawler.sources.feed_json import read_json_feed
from tgecrawler.sources.feed_xml import read_feed
from tgecrawler.sources.feed_xml_repair import parse_xml

if TYPE_CHECKING:
    from tgecrawler.items import Feed

# An element of the tree takes a quarter of a kilobyte, and `<item/>` seven bytes of the feed. The
# 5,000 entries that are read have, as feeds are written, fewer.
MOST_TAGS = 100_000
_LOOKED_AT = 100_000  # characters of a page in which the kind of page shows
_HTML = re.compile(
    r"\s*(?:<!--.{0,2000}?-->\s*|<\?xml[^>]{0,200}>\s*)?<(?:!doctype\s+html|html)\b", re.I | re.S
)
_CDATA = re.compile(r"<!\[CDATA\[.*?(?:\]\]>|\Z)", re.S)  # always matches: linear
_LOGIN = re.compile(
    r"""type\s*=\s*["']?password\b|<title[^>]{0,200}>[^<]{0,100}\b(?:log ?in|sign ?in)\b""", re.I
)
_CHALLENGE = re.compile(r"just a moment\.\.\.|cf-chl|captcha|attention required!", re.I)
_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"PK\x03\x04", "a ZIP archive"),
)
_ROOTS = {
    "urlset": "a sitemap, not a feed",
    "sitemapindex": "a sitemap index, not a feed",
    "opml": "an OPML list of feeds, not a feed",
    "html": "an HTML page, not a feed",
}


def parse_feed(body: bytes, *, url: str, content_type: str = "") -> Feed:
    """Return the feed in `body`; an empty feed is a feed.

    ``recovered`` is set where compression, encoding or markup were not what they
    should be. At most 5,000 entries are read. Nothing outside `body` is opened.

    Args:
        url: where it was fetched, after redirects; relative links start here
            unless the feed says otherwise.
        content_type: the header of that name; only its charset counts.

    Raises:
        SourceError: it is no feed; the message says what it looks like.
    """
    inflated = inflate_body(body)
    text, misread = decode_body(inflated, content_type=content_type)
    if not text.strip("\x00 \t\r\n\ufeff"):
        raise SourceError("an empty body")
    _refuse_other_formats(inflated, text)
    feed = _read(text.lstrip("\ufeff"), url)
    return replace(feed, recovered=feed.recovered or misread)


def _refuse_other_formats(body: bytes, text: str) -> None:
    for magic, name in _MAGIC:
        if body.startswith(magic):
            raise SourceError(f"{name}, not a feed")
    if _HTML.match(text):
        raise SourceError(_describe_html(text[:_LOOKED_AT]))


def _describe_html(page: str) -> str:
    if _CHALLENGE.search(page):
        return "an HTML page that asks for proof of being human, not a feed"
    if _LOGIN.search(page):
        return "an HTML login page, not a feed"
    return "an HTML page, not a feed"


def _read(text: str, url: str) -> Feed:
    start = text.lstrip()[:1]
    if start in ("{", "["):
        feed = read_json_feed(text, url=url)
        if feed is None:
            raise SourceError("JSON, but not a JSON Feed")
        return feed
    if "<" not in text:
        raise SourceError("plain text, not a feed")
    if text.count("<") > MOST_TAGS and _markup(text) > MOST_TAGS:
        raise SourceError(f"more than {MOST_TAGS:,} tags")
    root, mended = parse_xml(text)
    feed = None if root is None else read_feed(root, url=url, recovered=mended)
    if feed is None or (mended and not feed.entries and not feed.without_link):
        feed = read_with_feedparser(text, url=url) or feed
    if feed is None:
        name = "" if root is None else local_name(root)[:40]
        raise SourceError(_ROOTS.get(name.lower(), _describe_root(name)))
    return feed


def _markup(text: str) -> int:
    """Return how many tags are markup of the feed's own, and not of the pages that it quotes."""
    quoted = sum(match.group().count("<") for match in _CDATA.finditer(text))
    return text.count("<") - quoted


def _describe_root(name: str) -> str:
    return f"XML with root <{name}>, not a feed" if name else "markup that is no feed"
