"""RSS 0.9x, 1.0, 2.0 and Atom 0.3, 1.0: an element tree as a Feed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tgecrawler.domain.dates import parse_date
from tgecrawler.items import Entry, Feed
from tgecrawler.sources.feed_fields import (
    Fields,
    collect_fields,
    first_markup,
    first_text,
    inner_markup,
    inner_text,
    local_name,
    namespace_of,
)
from tgecrawler.sources.feed_links import RDF_ABOUT, entry_link, feed_link
from tgecrawler.sources.feed_text import clean_lang, full_text, line_text, summary_text
from tgecrawler.sources.feed_xml_repair import MOST_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from lxml import etree

LONGEST_TTL_S = 7 * 86_400  # a feed may ask for a week of silence, and no more

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_PERIODS_S = {
    "hourly": 3_600,
    "daily": 86_400,
    "weekly": 604_800,
    "monthly": 2_592_000,
    "yearly": 31_536_000,
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MAIL_NAME = re.compile(r"[^\s@()]{1,100}@[^\s@()]{1,200}\s*\(([^()]{1,200})\)")
_MOST_AUTHORS = 10
_NO_TEXT = ("image/", "audio/", "video/", "application/octet-stream")

_DATES = (
    *("pubDate", "published", "issued", "dc:date", "atom:published", "dcterms:issued"),
    *("dcterms:created", "created", "pubdate", "date"),
    *("updated", "modified", "atom:updated", "dcterms:modified"),
)


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What an entry takes from its feed where it says nothing itself."""

    base: str
    lang: str
    author: str


def read_feed(root: etree._Element, *, url: str, recovered: bool = False) -> Feed | None:
    """Return the feed under `root`, or None where `root` is no feed's.

    Args:
        url: where the feed was fetched; links are resolved against ``xml:base``,
            else the feed's own link, else this.
    """
    name = local_name(root).lower()
    if name not in ("rss", "rdf", "feed", "channel"):
        return None
    is_atom = name == "feed"
    channel = root if is_atom else _find_channel(root)
    fields = collect_fields(channel)
    link = feed_link(fields, channel, url)
    written = first_text(fields, "language", "dc:language")
    lang = _lang(root) or _lang(channel) or clean_lang(written)
    inherited = _Inherited(link or url, lang, _author(fields) if is_atom else "")
    entries = [
        _read_entry(element, inherited)
        for element in _elements(root, channel, "entry" if is_atom else "item")
    ]
    linked = tuple(entry for entry in entries if entry is not None)
    return Feed(
        format="atom" if is_atom else "rss",
        title=line_text(first_markup(fields, "title", "dc:title", "atom:title")),
        lang=lang,
        url=link,
        entries=linked,
        without_link=len(entries) - len(linked),
        recovered=recovered,
        ttl_s=_ttl_s(fields),
        skip_hours=_skip_hours(channel),
        skip_days=_skip_days(channel),
    )


def _find_channel(root: etree._Element) -> etree._Element:
    return next(root.iterchildren("{*}channel"), root)


def _elements(root: etree._Element, channel: etree._Element, name: str) -> Iterator[etree._Element]:
    """Yield the elements called `name`, also where a fault has nested or moved them."""
    space = namespace_of(channel)
    tag = f"{{{space}}}{name}" if space else name
    found = next(root.iter(tag), None) is not None
    return islice(root.iter(tag if found else f"{{*}}{name}"), MOST_ENTRIES)


def _read_entry(element: etree._Element, inherited: _Inherited) -> Entry | None:
    """Return the entry that `element` is, or None where it has no usable link."""
    fields = collect_fields(element)
    link = entry_link(fields, element, inherited.base)
    if not link:
        return None
    summary, text = _texts(fields)
    own_lang = _lang(element) or clean_lang(first_text(fields, "dc:language", "language"))
    guid = first_text(fields, "guid", "id", "atom:id") or element.get(RDF_ABOUT, "")
    return Entry(
        url=link,
        title=line_text(first_markup(fields, "title", "dc:title", "atom:title")),
        summary=summary,
        text=text,
        author=_author(fields) or inherited.author,
        lang=own_lang or inherited.lang,
        guid=line_text(guid),
        published_at=_first_date(fields),
    )


def _texts(fields: Fields) -> tuple[str, str]:
    """Return summary and full text; a teaser in the content element makes a summary."""
    content = _content(fields)
    description = first_markup(fields, "description", "summary", "dc:description", "atom:summary")
    summary = summary_text(description)
    text = full_text(content, summary)
    if not summary and not text:
        summary = summary_text(content or _media_description(fields))
    return summary, text


def _first_date(fields: Fields) -> datetime | None:
    for name in _DATES:
        for element in fields.get(name, ()):
            moment = parse_date(inner_text(element))
            if moment is not None:
                return moment
    return None


def _content(fields: Fields) -> str:
    """Return the markup of the element meant for the whole text, or ""."""
    for name in ("content:encoded", "content", "atom:content", "encoded"):
        for element in fields.get(name, ()):
            kind = element.get("type", "").lower()
            readable = element.get("mode", "") != "base64" and not kind.startswith(_NO_TEXT)
            markup = inner_markup(element) if readable else ""
            if markup.strip():
                return markup
    return ""


def _media_description(fields: Fields) -> str:
    """Return the description of a media entry (video feeds have no other), or ""."""
    direct = first_markup(fields, "media:description")
    if direct:
        return direct
    groups = (collect_fields(group) for group in fields.get("media:group", ()))
    nested = (first_markup(group, "description", "media:description") for group in groups)
    return next((markup for markup in nested if markup), "")


def _author(fields: Fields) -> str:
    """Return the authors' names, joined by commas, or ""."""
    for name in ("dc:creator", "author", "atom:author", "managingEditor"):
        names = [_person(element) for element in fields.get(name, ())[:_MOST_AUTHORS]]
        people = list(dict.fromkeys(person for person in names if person))
        if people:
            return line_text(", ".join(people))
    return ""


def _person(element: etree._Element) -> str:
    """Return the name in an Atom person, or in RSS's "mail (name)", or the text as it is."""
    inner = collect_fields(element)
    written = first_text(inner, "name", "atom:name") or inner_text(element).strip()
    mail = _MAIL_NAME.fullmatch(written)
    return line_text(mail.group(1) if mail else written)


def _ttl_s(fields: Fields) -> int | None:
    """Return how long the feed asks pollers to wait, in seconds, at most a week; or None."""
    minutes = _positive(first_text(fields, "ttl"))
    if minutes:
        return min(minutes * 60, LONGEST_TTL_S)
    period_s = _PERIODS_S.get(first_text(fields, "sy:updatePeriod").lower())
    if period_s is None:
        return None
    times = _positive(first_text(fields, "sy:updateFrequency")) or 1
    return min(max(period_s // times, 1), LONGEST_TTL_S)


def _skip_hours(channel: etree._Element) -> frozenset[int]:
    """Return the hours of RSS's skipHours; 24 is midnight in its oldest version."""
    written = (inner_text(hour).strip() for hour in channel.iterfind("{*}skipHours/{*}hour"))
    hours = (int(hour) for hour in written if hour.isascii() and hour.isdigit() and len(hour) < 3)
    return frozenset(hour % 24 for hour in hours if hour <= 24)


def _skip_days(channel: etree._Element) -> frozenset[int]:
    written = (inner_text(day).strip().lower() for day in channel.iterfind("{*}skipDays/{*}day"))
    return frozenset(_WEEKDAYS.index(day) for day in written if day in _WEEKDAYS)


def _positive(digits: str) -> int:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0


def _lang(element: etree._Element) -> str:
    return clean_lang(element.get(_XML_LANG, ""))
