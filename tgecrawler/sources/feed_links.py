"""The address of an entry's article, and of the site that a feed belongs to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tgecrawler.domain.url_redirects import is_feed_proxy
from tgecrawler.domain.urls import resolve_url, unwrap_url
from tgecrawler.sources.feed_fields import Fields, inner_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

RDF_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"

_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_ABSOLUTE = re.compile(r"\s*https?://", re.IGNORECASE)
_ESCAPED_AMPERSAND = re.compile(r"&(?:amp|#0{0,3}38);", re.IGNORECASE)


def entry_link(fields: Fields, element: etree._Element, base: str) -> str:
    """Return the article's own absolute address, or "".

    First what a feed proxy noted as the original; then the link (Atom: the HTML
    alternate); then a permanent id. Enclosures are never articles. A link that
    only counts clicks stands back behind all of these, and one that carries the
    article's address gives way to it.
    """
    counted = ""
    for href, holder in _link_candidates(fields, element):
        resolved = unwrap_url(_resolve(href, holder, base))
        if resolved and not is_feed_proxy(resolved):
            return resolved
        counted = counted or resolved
    return counted


def _link_candidates(fields: Fields, entry: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    for name in ("feedburner:origLink", "pheedo:origLink"):
        for element in fields.get(name, ()):
            yield inner_text(element), element
    links = fields.get("link", [])
    for element in links:
        if not element.get("href"):
            yield inner_text(element), element
    yield from _alternates(links)
    for element in fields.get("guid", ()):
        guid = inner_text(element)
        if element.get("isPermaLink", "true").strip().lower() != "false" and _ABSOLUTE.match(guid):
            yield guid, element
    yield from _alternates(fields.get("atom:link", []))
    for element in fields.get("id", ()):
        if _ABSOLUTE.match(inner_text(element)):
            yield inner_text(element), element
    about = entry.get(RDF_ABOUT, "")
    if _ABSOLUTE.match(about):
        yield about, entry


def _alternates(links: list[etree._Element]) -> Iterator[tuple[str, etree._Element]]:
    """Yield the hrefs of rel=alternate (also where rel is missing), HTML before the rest."""
    alternates = [
        link
        for link in links
        if link.get("href") and link.get("rel", "alternate").strip().lower() == "alternate"
    ]
    alternates.sort(key=lambda link: "html" not in link.get("type", "text/html"))
    for link in alternates:
        yield link.get("href", ""), link


def feed_link(fields: Fields, channel: etree._Element, url: str) -> str:
    """Return the address of the site that the feed belongs to, or ""."""
    for href, holder in _channel_links(fields):
        resolved = _resolve(href, holder, url)
        if resolved:
            return resolved
    about = channel.get(RDF_ABOUT, "")
    return _resolve(about, channel, url) if _ABSOLUTE.match(about) else ""


def _channel_links(fields: Fields) -> Iterator[tuple[str, etree._Element]]:
    links = fields.get("link", [])
    for element in links:
        if not element.get("href"):
            yield inner_text(element), element
    yield from _alternates(links)
    yield from _alternates(fields.get("atom:link", []))


def _resolve(href: str, holder: etree._Element, base: str) -> str:
    if not href.strip():
        return ""
    href = _ESCAPED_AMPERSAND.sub("&", href)
    for ancestor in (holder, *holder.iterancestors()):
        written = ancestor.get(_XML_BASE)
        if written:
            base = resolve_url(written, base) or base
            break
    return resolve_url(href, base)
