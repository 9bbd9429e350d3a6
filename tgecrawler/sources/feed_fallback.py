"""feedparser's reading of a feed, for what nothing else can read."""

from __future__ import annotations

import logging
from io import BytesIO
from typing import Any

import feedparser

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.urls import resolve_url
from tgecrawler.items import Entry, Feed
from tgecrawler.sources.feed_text import clean_lang, full_text, line_text, summary_text
from tgecrawler.sources.feed_xml_repair import MOST_ENTRIES

logger = logging.getLogger(__name__)

# feedparser reads about 1 MB a second on one core
LONGEST_FALLBACK_CHARS = 1_000_000


def read_with_feedparser(text: str, *, url: str) -> Feed | None:
    """Return the feed that feedparser finds in `text`, or None where it finds no entry."""
    if len(text) > LONGEST_FALLBACK_CHARS or ("<item" not in text and "<entry" not in text):
        return None
    try:
        parsed = feedparser.parse(  # a stream: a string could be an address or a file name
            BytesIO(text.encode("utf-8", "replace")),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception:
        logger.warning("feedparser failed on %s", url, exc_info=True)
        return None
    if not parsed.entries:
        return None
    link = resolve_url(_string(parsed.feed, "link"), url)
    lang = clean_lang(_string(parsed.feed, "language"))
    entries = [_read_entry(entry, link or url, lang) for entry in parsed.entries[:MOST_ENTRIES]]
    linked = tuple(entry for entry in entries if entry is not None)
    return Feed(
        format="atom" if parsed.get("version", "").startswith("atom") else "rss",
        title=line_text(_string(parsed.feed, "title")),
        lang=lang,
        url=link,
        entries=linked,
        without_link=len(entries) - len(linked),
        recovered=True,
    )


def _read_entry(entry: Any, base: str, lang: str) -> Entry | None:
    link = resolve_url(_string(entry, "feedburner_origlink") or _string(entry, "link"), base)
    if not link:
        return None
    content = next((_string(part, "value") for part in entry.get("content", ())), "")
    summary = summary_text(_string(entry, "summary"))
    text = full_text(content, summary)
    return Entry(
        url=link,
        title=line_text(_string(entry, "title")),
        summary=summary if summary or text else summary_text(content),
        text=text,
        author=line_text(_string(entry, "author")),
        lang=lang,
        guid=line_text(_string(entry, "id")),
        published_at=parse_date(_string(entry, "published"))
        or parse_date(_string(entry, "updated")),
    )


def _string(holder: Any, name: str) -> str:
    value = dict.get(holder, name)  # its own get() maps names to others, with a warning
    return value if isinstance(value, str) else ""
