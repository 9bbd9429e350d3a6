"""Sitemaps: urlsets, indexes, news sitemaps, and plain lists of addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.text import clean_text
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import SourceError
from tgecrawler.sources.decoding import LARGEST_BODY, unpack_gzip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MOST_PAGES = 50_000  # the protocol's own limit for one sitemap
TITLE_CHARS = 500


@dataclass(frozen=True, slots=True)
class SitemapLink:
    """A sitemap that an index names."""

    url: str
    lastmod: datetime | None = None


@dataclass(frozen=True, slots=True)
class SitemapPage:
    """A page; the last three come from a news sitemap."""

    url: str
    lastmod: datetime | None = None
    published_at: datetime | None = None
    title: str = ""
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What one sitemap holds: usually either children or pages."""

    children: tuple[SitemapLink, ...] = ()
    pages: tuple[SitemapPage, ...] = ()


def parse_sitemap(body: bytes, *, url: str) -> Sitemap:
    """Return the sitemaps and pages that a sitemap names, in its order, http(s) only.

    Namespaces are not minded: half of the wild gets them wrong.

    Raises:
        SourceError: it is empty, a page of HTML, or holds no address at all.
    """
    content = unpack_gzip(body)
    if len(content) > LARGEST_BODY:
        raise SourceError(f"larger than {LARGEST_BODY >> 20} MB")
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise SourceError("an empty sitemap")
    sitemap = _parse_xml(start, url) if start.startswith(b"<") else _parse_lines(content)
    if not sitemap.children and not sitemap.pages and b"<urlset" not in start[:2000]:
        raise SourceError("no sitemap: it names no address")
    return sitemap


def _parse_xml(content: bytes, base: str) -> Sitemap:
    parser = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise SourceError(f"no sitemap: {error.msg}") from None
    if root is None or _name(root) == "html":
        raise SourceError("a page of HTML, not a sitemap")
    children: list[SitemapLink] = []
    pages: list[SitemapPage] = []
    for element in root.iter(etree.Element):
        if len(pages) + len(children) >= MOST_PAGES:
            break
        values = _values(element) if _name(element) in ("url", "sitemap") else {}
        address = resolve_url(values.get("loc", ""), base)
        if not address:
            continue
        if _name(element) == "sitemap":
            children.append(SitemapLink(address, parse_date(values.get("lastmod", ""))))
        else:
            pages.append(_page(address, values))
    return Sitemap(tuple(children), tuple(pages))


def _page(address: str, values: dict[str, str]) -> SitemapPage:
    return SitemapPage(
        url=address,
        lastmod=parse_date(values.get("lastmod", "")),
        published_at=parse_date(values.get("publication_date", "")),
        title=clean_text(values.get("title", ""), limit=TITLE_CHARS),
        lang=values.get("language", "").strip().lower()[:2],
    )


def _values(element: etree._Element) -> dict[str, str]:
    """Return the texts below an element by their names, the first of each."""
    values: dict[str, str] = {}
    for below in _below(element):
        values.setdefault(_name(below), (below.text or "").strip())
    return values


def _below(element: etree._Element) -> Iterator[etree._Element]:
    """Yield children, and the children of <news:news>, but not of <image:image>."""
    for child in element.iterchildren(etree.Element):
        yield child
        if _name(child) == "news":
            for part in child.iter(etree.Element):
                if part is not child:
                    yield part


def _parse_lines(content: bytes) -> Sitemap:
    lines = content.decode("utf-8", "replace").split(maxsplit=MOST_PAGES)
    absolute = [line for line in lines[:MOST_PAGES] if line.startswith(("http://", "https://"))]
    return Sitemap(pages=tuple(SitemapPage(url) for line in absolute if (url := resolve_url(line))))


def _name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()
