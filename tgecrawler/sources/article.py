"""An article page: its body text and what it says about itself."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, cast

from htmldate import find_date
from lxml.etree import ElementDefaultClassLookup, LxmlError, XPath, tostring
from lxml.html import HtmlComment, HtmlElement, HtmlEntity, HtmlProcessingInstruction
from trafilatura import bare_extraction
from trafilatura.utils import HTML_PARSER, load_html

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.text import LONGEST_TEXT, clean_text
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import SourceError
from tgecrawler.items import Article
from tgecrawler.sources import metadata
from tgecrawler.sources.decoding import decode_html

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

# Characters of markup. The largest of 181 benchmark pages has 1.3 million; extraction takes
# about a second for a million, and blocks the crawl meanwhile.
LARGEST_PAGE = 4_000_000
DEEPEST_PAGE = 200  # levels of elements; the extractor recurses
MOST_ELEMENTS = 50_000
# "<" in the markup, counted before a tree is made: an element with its attributes takes a
# kilobyte of that, and of 181 real pages none has more than 3,300.
MOST_BRACKETS = 120_000
MOST_LINKS = 1_000
MOST_LINK_TEXTS = 20
LONGEST_LINK_TEXT = 200
_FEW_ELEMENTS = MOST_LINK_TEXTS // 2  # an anchor of fewer has at most MOST_LINK_TEXTS texts
# Level by level, so that no node is looked at twice.
_TOO_DEEP = XPath(f"boolean(./{'/'.join('*' * (DEEPEST_PAGE + 1))})")
# Counted without a Python object for each: elements, comments and instructions
_NODES = XPath(
    "count(descendant-or-self::*) + count(.//comment()) + count(.//processing-instruction())"
)
_TOO_MANY = f"more than {MOST_ELEMENTS:,} elements, or {DEEPEST_PAGE} levels"
_READABLE = XPath(".//text()[not(ancestor::script or ancestor::style)]")

# lxml.html asks a function in Python for the class of every element that is looked at, a
# twentieth of what a page takes; nothing here needs the classes that it has for forms.
HTML_PARSER.set_element_class_lookup(
    ElementDefaultClassLookup(
        element=HtmlElement,
        comment=HtmlComment,
        pi=HtmlProcessingInstruction,
        entity=HtmlEntity,
    )
)
# They log what we raise, at ERROR and without saying where.
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
logging.getLogger("htmldate").setLevel(logging.CRITICAL)


def parse_article(body: bytes, *, url: str, content_type: str = "") -> Article:
    """Return the article of a page; the tree is parsed once.

    The body is trafilatura's in its fast mode (F1 0.962 on the public extraction
    benchmark), paragraphs on lines of their own. A date that the page does not
    declare is looked for in its text, to the day.

    Raises:
        SourceError: no page, too large or too deep, or without text.
    """
    tree = _parse(decode_html(body, content_type))
    declared = metadata.read_declared(tree)
    links = tuple(_links(tree, url))  # before the extraction, which takes the tree apart
    text = _body_text(tree)
    if not text:
        raise SourceError("a page without text")
    return Article(
        url=url,
        canonical_url=metadata.canonical_of(tree, declared, url),
        title=metadata.title_of(tree, declared),
        text=text,
        author=metadata.author_of(declared),
        lang=metadata.language_of(tree, declared),
        published_at=metadata.published_of(tree, declared) or _dated(tree, url),
        links=links,
    )


def _parse(markup: str) -> HtmlElement:
    if len(markup) > LARGEST_PAGE:
        raise SourceError(f"a page of {len(markup):,} characters; {LARGEST_PAGE:,} are read")
    if "<" not in markup:
        raise SourceError("no markup, not a page")
    if markup.count("<") > MOST_BRACKETS:
        raise SourceError(_TOO_MANY)
    try:
        tree = load_html(markup)
    except (LxmlError, ValueError, AssertionError) as error:
        raise SourceError(f"cannot be parsed: {error}") from None
    if tree is None:
        raise SourceError("no HTML, not a page")
    _refuse_bomb(tree)
    return tree


def _refuse_bomb(tree: HtmlElement) -> None:
    if cast("float", _NODES(tree)) > MOST_ELEMENTS or _TOO_DEEP(tree):
        raise SourceError(_TOO_MANY)


def _links(tree: HtmlElement, url: str) -> Iterator[tuple[str, str]]:
    """Yield the addresses of a page with their words, the first ones."""
    declared = next(tree.iter("base"), None)
    base = resolve_url(declared.get("href") or "", url) if declared is not None else ""
    for anchor in islice(tree.iter("a"), MOST_LINKS):
        address = resolve_url(anchor.get("href") or "", base or url)
        if address:
            yield address, clean_text(_words_on(anchor), limit=LONGEST_LINK_TEXT)


def _words_on(anchor: HtmlElement) -> str:
    """Return the first texts of an anchor as one, without those of scripts and styles."""
    tags = [element.tag for element in islice(anchor.iter(), _FEW_ELEMENTS)]
    if len(tags) == _FEW_ELEMENTS or "script" in tags or "style" in tags:
        readable = cast("list[str]", _READABLE(anchor))
        return "".join(readable[:MOST_LINK_TEXTS])
    # nearly every anchor, at a third of what the expression costs
    return tostring(anchor, method="text", encoding="unicode", with_tail=False)


def _body_text(tree: HtmlElement) -> str:
    try:
        document = bare_extraction(
            tree, fast=True, include_comments=False, include_tables=True, with_metadata=False
        )
    except (ValueError, TypeError, AttributeError, LxmlError, RecursionError) as error:
        raise SourceError(f"its text cannot be extracted: {type(error).__name__}") from None
    text = (document.text or "") if document is not None else ""  # type: ignore[union-attr]
    return clean_text(text, keep_breaks=True, limit=LONGEST_TEXT)


def _dated(tree: HtmlElement, url: str) -> datetime | None:
    """Return the day that the page's markup and text suggest."""
    try:
        found = find_date(tree, extensive_search=False, original_date=True, url=url)
    except (ValueError, TypeError, AttributeError, LxmlError, RecursionError):
        return None  # a guess that fails is no date
    return parse_date(found or "")
