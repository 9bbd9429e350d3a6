"""Entries of a listing page, by the CSS selector of its items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.text import clean_text
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import SourceError
from tgecrawler.items import Entry
from tgecrawler.sources.decoding import decode_html

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

MOST_ITEMS = 1000  # of one page; a longer list is an archive, and back-fill takes sitemaps
TITLE_CHARS = 500
_HEADINGS = "h1, h2, h3, h4"


def parse_listing(body: bytes, *, url: str, item: str, content_type: str = "") -> tuple[Entry, ...]:
    """Return the entries that the selector `item` finds, each address once, in page order.

    An item is a link, or holds one; its title is its heading's text, else the
    link's; its date that of a ``<time datetime>``.

    Raises:
        SourceError: nothing on the page matches, or no match holds a link.
    """
    tree = LexborHTMLParser(decode_html(body, content_type))
    entries = {
        entry.url: entry
        for node in reversed(tree.css(item)[:MOST_ITEMS])
        if (entry := _entry(node, url)) is not None
    }
    if not entries:
        raise SourceError(f"no entry on the page matches {item!r}")
    return tuple(reversed(entries.values()))


def check_selector(selector: str) -> None:
    """Return if `selector` is a CSS selector.

    Raises:
        ValueError: it is none.
    """
    try:
        LexborHTMLParser("<p></p>").css(selector)
    except SelectolaxError:
        raise ValueError(f"{selector!r} is no CSS selector, such as 'article a'") from None


def _entry(node: LexborNode, base: str) -> Entry | None:
    link = node if node.tag == "a" else node.css_first("a[href]")
    href = link.attributes.get("href") if link is not None else None
    url = resolve_url(href or "", base)
    if link is None or not url:
        return None
    heading = node.css_first(_HEADINGS)
    time = node.css_first("time[datetime]")
    title = clean_text((heading or link).text(separator=" "), limit=TITLE_CHARS)
    return Entry(
        url=url,
        title=title,
        published_at=parse_date(time.attributes.get("datetime") or "") if time else None,
    )
