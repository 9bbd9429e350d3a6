"""What a page says about itself: JSON-LD first, then meta tags, then what a reader sees."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.text import clean_text
from tgecrawler.domain.urls import canonicalize_url, host_of, resolve_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from lxml.html import HtmlElement

TITLE_CHARS = 500
AUTHOR_CHARS = 200
_LARGEST_JSON = 1_000_000  # characters of one JSON-LD script
_MOST_NODES = 500  # of all JSON-LD on a page

_ARTICLE = re.compile(r"(?:\w*Article|\w*Posting|Report|Review|Report\w*)", re.ASCII)
_SUFFIX = re.compile(r"\s+[|–—·»-]\s+[^|–—·»]{2,60}$")
_PUBLISHED = (
    "article:published_time", "og:published_time", "datepublished", "date", "dc.date",
    "dc.date.issued", "dcterms.created", "pubdate", "publishdate", "publish-date",
    "parsely-pub-date", "sailthru.date", "cxenseparse:recs:publishtime",
)  # fmt: skip
_AUTHOR = ("author", "article:author", "dc.creator", "parsely-author", "byl", "sailthru.author")
_TITLE = ("og:title", "twitter:title", "parsely-title", "dc.title")
_ABSOLUTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_FRONT = re.compile(r"(?:[a-z]{2}(?:[-_][a-z]{2})?)?", re.IGNORECASE)  # of a site, or of a language
_META_NAMES = ("property", "name", "itemprop", "http-equiv")
_LANG = ("og:locale", "content-language", "dc.language", "language")


@dataclass(slots=True)
class Declared:
    """Meta tags by lower-case name (the first of each), and the page's JSON-LD nodes."""

    meta: dict[str, str] = field(default_factory=dict)
    nodes: list[dict[str, Any]] = field(default_factory=list)

    def first_meta(self, names: tuple[str, ...]) -> str:
        """Return the first non-empty one of some meta tags."""
        return next((self.meta[name] for name in names if self.meta.get(name)), "")

    def article(self, key: str) -> Any:
        """Return a value of the first JSON-LD article that has it."""
        for node in self.nodes:
            if node.get(key) and _is_article(node.get("@type")):
                return node[key]
        return None


def read_declared(tree: HtmlElement) -> Declared:
    """Return what the head and the scripts of a page declare."""
    return gather_declared(
        (tag.attrib for tag in tree.iter("meta")),
        (script.text or "" for script in tree.iter("script") if is_json_ld(script.get("type"))),
    )


def gather_declared(tags: Iterable[Mapping[Any, Any]], scripts: Iterable[str]) -> Declared:
    """Return what the attributes of meta tags and the texts of JSON-LD scripts declare."""
    declared = Declared()
    for attributes in tags:
        name = next(filter(None, map(attributes.get, _META_NAMES)), None)
        if name and (content := attributes.get("content")):
            declared.meta.setdefault(name.strip().lower(), content.strip())
    for script in scripts:
        declared.nodes += _json_nodes(script)
    return declared


def is_json_ld(script_type: str | None) -> bool:
    """Return whether a script of a type is JSON-LD."""
    return (script_type or "").strip().lower() == "application/ld+json"


def title_of(tree: HtmlElement, declared: Declared) -> str:
    """Return the headline, without the site's name behind it."""
    return choose_title(
        declared,
        (node.text_content() for node in tree.iter("h1")),
        (node.text_content() for node in tree.iter("title")),
    )


def choose_title(declared: Declared, headings: Iterable[str], named: Iterable[str]) -> str:
    """Return the headline of a page, without the site's name behind it, "" without any.

    Args:
        headings: of the first level, looked at only where nothing is declared.
        named: the page's titles, looked at only where there is not one heading.
    """
    headline = declared.article("headline")
    if isinstance(headline, str) and (title := clean_text(headline, limit=TITLE_CHARS)):
        return title
    if title := clean_text(declared.first_meta(_TITLE), limit=TITLE_CHARS):
        return _without_site(title, declared)
    found = [clean_text(heading, limit=TITLE_CHARS) for heading in headings]
    if len(found) == 1 and found[0]:
        return found[0]
    title = clean_text(next(iter(named), ""), limit=TITLE_CHARS)
    return _without_site(title, declared)


def author_of(declared: Declared) -> str:
    """Return the author's name, "" where none is declared or it is an address."""
    for found in (*_names(declared.article("author")), declared.first_meta(_AUTHOR)):
        name = clean_text(found, limit=AUTHOR_CHARS)
        if name and not resolve_url(name):
            return name
    return ""


def published_of(tree: HtmlElement, declared: Declared) -> datetime | None:
    """Return when the page says that it was published."""
    candidates = [declared.article("datePublished"), declared.first_meta(_PUBLISHED)]
    candidates += [
        node.get("datetime")
        for node in tree.iter("time")
        if node.get("datetime") and (node.get("pubdate") is not None or node.get("itemprop"))
    ]
    moments = (parse_date(found) for found in candidates if isinstance(found, str) and found)
    return next((moment for moment in moments if moment is not None), None)


def language_of(tree: HtmlElement, declared: Declared) -> str:
    """Return the declared language as two or three lower-case letters, "" where unknown."""
    declared_lang = tree.get("lang") or tree.get("xml:lang") or declared.first_meta(_LANG)
    language = re.split(r"[-_,; ]", declared_lang.strip().lower(), maxsplit=1)[0]
    return language if re.fullmatch(r"[a-z]{2,3}", language) else ""


def canonical_of(tree: HtmlElement, declared: Declared, url: str) -> str:
    """Return the address that the page gives itself, or `url` where that cannot be its own.

    A page may name another spelling of itself, and another host of its own
    site. It may not pass itself off as a stranger's page: that would let it take
    a story over, and real copies are known by their text. A front page, a part
    of a page and a relative address are faults of a template: each would make all
    articles of a site one story.
    """
    links = (
        node.get("href") or ""
        for node in tree.iter("link")
        if "canonical" in (node.get("rel") or "").lower().split()
    )
    for candidate in (*links, declared.meta.get("og:url", "")):
        written = _ABSOLUTE.match(candidate) and "#" not in candidate
        resolved = resolve_url(candidate, url) if written else ""
        if resolved and _may_be(resolved, url):
            return resolved
    return url


def _is_article(kinds: Any) -> bool:
    named = kinds if isinstance(kinds, list) else [kinds]
    return any(isinstance(kind, str) and _ARTICLE.fullmatch(kind) for kind in named)


def _may_be(canonical: str, url: str) -> bool:
    if _site(canonical) != _site(url):
        return False
    known = canonicalize_url(canonical)
    is_front = _FRONT.fullmatch(known.partition("://")[2].partition("/")[2]) is not None
    return not is_front or known == canonicalize_url(url)


def _site(url: str) -> str:
    """Return the last two labels of a host: www, m and amp hosts of a site are the site."""
    host = host_of(url)
    labels = host.split(".")
    # an address has no site, and a second label as short as "co" is a registry's
    if host.replace(".", "").isdigit() or len(labels) < 3:
        return host
    return ".".join(labels[-3:] if len(labels[-2]) <= 3 else labels[-2:])


def _without_site(title: str, declared: Declared) -> str:
    site = clean_text(declared.meta.get("og:site_name", ""))
    for separator in ("|", "-", "–", "—", "·", "»", ":"):
        if site and title.endswith(f" {separator} {site}"):
            return title[: -len(f" {separator} {site}")].rstrip()
    shorter = _SUFFIX.sub("", title)
    return shorter if len(shorter) >= 20 else title


def _names(author: Any) -> Iterator[str]:
    for one in author if isinstance(author, list) else [author]:
        name = one.get("name") if isinstance(one, dict) else one
        if isinstance(name, str):
            yield name


def _json_nodes(script: str) -> list[dict[str, Any]]:
    """Return the objects of a JSON-LD script, those of its @graph included."""
    if len(script) > _LARGEST_JSON:
        return []
    try:
        loaded = orjson.loads(script.strip().removesuffix(";").encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return []
    nodes: list[dict[str, Any]] = []
    waiting = [loaded]
    while waiting and len(nodes) < _MOST_NODES:
        found = waiting.pop(0)
        if isinstance(found, list):
            waiting += found[:_MOST_NODES]
        elif isinstance(found, dict):
            nodes.append(found)
            waiting += [found[key] for key in ("@graph", "mainEntity") if key in found]
    return nodes
