"""JSON Feed 1.0 and 1.1 as a Feed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.urls import resolve_url
from tgecrawler.items import Entry, Feed
from tgecrawler.sources.feed_text import clean_lang, full_text, line_text, summary_text
from tgecrawler.sources.feed_xml_repair import MOST_ENTRIES

if TYPE_CHECKING:
    from datetime import datetime

_VERSION = "jsonfeed.org/version/"
_HEAD = 10_000  # characters in which a cut document must name its version
_ITEMS = re.compile(r'"items"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")

Item = dict[str, Any]


def read_json_feed(text: str, *, url: str) -> Feed | None:
    """Return the JSON Feed that `text` is, or None where it is none.

    A document that is cut off or breaks in the middle gives the items before
    the fault, with ``recovered`` set.
    """
    document, recovered = _load(text)
    items = document.get("items")
    if not isinstance(items, list) or _VERSION not in _string(document, "version"):
        return None
    link = resolve_url(_string(document, "home_page_url"), url)
    lang = clean_lang(_string(document, "language"))
    entries = [
        _read_item(item, base=link or url, lang=lang, author=_author(document))
        for item in items[:MOST_ENTRIES]
    ]
    linked = tuple(entry for entry in entries if entry is not None)
    return Feed(
        format="json",
        title=line_text(_string(document, "title")),
        lang=lang,
        url=link,
        entries=linked,
        without_link=len(entries) - len(linked),
        recovered=recovered,
    )


def _load(text: str) -> tuple[Item, bool]:
    try:
        document = orjson.loads(_LONE_SURROGATES.sub("", text))
    except orjson.JSONDecodeError:
        return _salvage(text), True
    return (document if isinstance(document, dict) else {}), False


def _salvage(text: str) -> Item:
    """Return title, version and the items before the fault of a broken JSON Feed."""
    start = _ITEMS.search(text)
    version = text.find(_VERSION, 0, _HEAD)
    if not start or version < 0:
        return {}
    items: list[Any] = []
    decoder = json.JSONDecoder(strict=False)
    at = start.end()
    while len(items) < MOST_ENTRIES:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        try:
            item, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        items.append(item)
    return {"version": _VERSION, "items": items, **_salvage_head(text[: start.start()])}


def _salvage_head(head: str) -> Item:
    try:
        document = json.loads(head.rstrip().rstrip(",") + "}", strict=False)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _read_item(item: Any, *, base: str, lang: str, author: str) -> Entry | None:
    """Return the entry that `item` is, or None where it has no usable link."""
    if not isinstance(item, dict):
        return None
    link = _link(item, base)
    if not link:
        return None
    content = _string(item, "content_html") or _string(item, "content_text")
    summary = summary_text(_string(item, "summary"))
    text = full_text(content, summary)
    return Entry(
        url=link,
        title=line_text(_string(item, "title")),
        summary=summary if summary or text else summary_text(content),
        text=text,
        author=_author(item) or author,
        lang=clean_lang(_string(item, "language")) or lang,
        guid=line_text(_string(item, "id")),
        published_at=_moment(item),
    )


def _link(item: Item, base: str) -> str:
    for name in ("url", "external_url", "id"):
        href = _string(item, name)
        if href and (name != "id" or href.startswith(("http://", "https://"))):
            resolved = resolve_url(href, base)
            if resolved:
                return resolved
    return ""


def _moment(item: Item) -> datetime | None:
    return parse_date(_string(item, "date_published")) or parse_date(_string(item, "date_modified"))


def _author(holder: Item) -> str:
    """Return the names in `authors` (1.1) or `author` (1.0), joined by commas, or ""."""
    authors = holder.get("authors")
    people = authors[:10] if isinstance(authors, list) else [holder.get("author")]
    names = [line_text(_string(person, "name")) for person in people if isinstance(person, dict)]
    return line_text(", ".join(name for name in names if name))


def _string(holder: Item, name: str) -> str:
    value = holder.get(name)
    if isinstance(value, int) and not isinstance(value, bool):  # ids are often numbers
        return str(value) if abs(value) < 10**30 else ""
    return value if isinstance(value, str) else ""
