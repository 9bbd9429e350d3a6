"""The cheap text of a page: what may stand on it, before anything is taken apart.

No tree is built. Scripts and tags go in two passes whose every alternative runs to the end of
the text where its own end is missing, so that the cost is linear in the markup:
the nesting, the formatting elements and the attributes that take the parsers of
HTML quadratic time and worse cost nothing here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING

from tgecrawler.domain.text import fold_space
from tgecrawler.errors import SourceError
from tgecrawler.sources.decoding import decode_html
from tgecrawler.sources.metadata import choose_title, gather_declared, is_json_ld

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_PAGE = 4_000_000  # characters of markup; larger ones are read by nobody
_MOST_TAGS = 500  # meta tags, scripts and headings looked at for a title
_LONGEST_VALUE = 10_000  # characters of an attribute's value


def _any_case(name: str) -> str:
    """Return a pattern of a name in any case, faster than the flag: that slows down all around."""
    return "".join(f"[{letter}{letter.upper()}]" for letter in name)


_SCRIPT, _STYLE = _any_case("cript"), _any_case("tyle")
# Scripts and styles with their content, and comments. JSON-LD stays: an article that a script
# paints has its body there, and the extractor takes it from there.
_HIDDEN = re.compile(
    rf"<(?:[sS](?:{_SCRIPT}\b(?![^>]{{0,300}}{_any_case('ld')}\+{_any_case('json')})"
    rf"[^<]*+(?:<(?!/[sS]{_SCRIPT})[^<]*+)*+(?:</[sS]{_SCRIPT})?[^>]*+(?:>|\Z)"
    rf"|{_STYLE}\b[^<]*+(?:<(?!/[sS]{_STYLE})[^<]*+)*+(?:</[sS]{_STYLE})?[^>]*+(?:>|\Z))"
    r"|!--(?:[^-]++|-(?!->))*+(?:-->|\Z))"
)
# What stands between the end of a tag and the beginning of the next one. A page has several
# times as many tags as pieces of text: to collect these is cheaper than to replace those.
_TEXT = re.compile(r">\s*+(?!<[a-zA-Z/!?])([^<]*+(?:<(?![a-zA-Z/!?])[^<]*+)*+)")
_META = re.compile(
    rf"<meta\b((?:[^>\"']++|\"[^\"]{{0,{_LONGEST_VALUE}}}\"|'[^']{{0,{_LONGEST_VALUE}}}')*+)",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"(?<![^\s\"'/])([^\s\"'>/=]++)\s*+=\s*+(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]++))"
)
_JSON_LD = "ld+json"
_JSON_LD_BEGIN = re.compile(r"<script\b([^>]{0,300}?ld\+json)", re.IGNORECASE)
_JSON_LD_REST = re.compile(r"([^>]*+)>([^<]*+(?:<(?!/script)[^<]*+)*+)", re.IGNORECASE)
_LONGEST_BEGIN = len("<script") + 300 + len(_JSON_LD)
_HEADING = re.compile(r"<h1\b[^>]*+>([^<]*+(?:<(?!/h1)[^<]*+)*+)", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^>]*+>([^<]*+(?:<(?!/title)[^<]*+)*+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Glance:
    """The words of a page, its menus and asides included, and its headline."""

    text: str
    title: str = ""


def glance(body: bytes, content_type: str = "", *, with_title: bool = True) -> Glance:
    """Return what a page says, at a small part of what `parse_article` costs.

    ``text`` holds the words of the article and everything around it, in order,
    white space folded. A word that a tag parts stays parted. ``title`` is the one
    that `parse_article` gives; without ``with_title`` it is not looked for.

    Raises:
        SourceError: no page, or too large.
    """
    markup = decode_html(body, content_type)
    if len(markup) > LARGEST_PAGE:
        raise SourceError(f"a page of {len(markup):,} characters; {LARGEST_PAGE:,} are read")
    if "<" not in markup:
        raise SourceError("no markup, not a page")
    shown = _HIDDEN.sub(" ", markup)
    return Glance(text=_words(shown), title=_title_of(shown) if with_title else "")


def _words(markup: str) -> str:
    text = " ".join(_TEXT.findall(f">{markup}"))
    return fold_space(unescape(text) if "&" in text else text)


def _title_of(markup: str) -> str:
    # a page's scripts may stand anywhere; tags that declare a title stand in its head
    head = markup[: max(markup.find("<body"), 0) or None]
    declared = gather_declared(_meta_tags(head), _json_scripts(markup))
    return choose_title(declared, _texts(_HEADING, markup), _texts(_TITLE, markup))


def _meta_tags(markup: str) -> Iterator[dict[str, str]]:
    for tag in islice(_META.finditer(markup), _MOST_TAGS):
        lowered = tag[1].lower()
        if "title" in lowered or "site_name" in lowered:  # of all, what a title is made of
            yield {
                name.lower(): unescape(double or single or bare)
                for name, double, single, bare in _ATTRIBUTE.findall(tag[1])
            }


def _json_scripts(markup: str) -> Iterator[str]:
    at = done = 0
    for _ in range(_MOST_TAGS):
        # to the few scripts without a look at all the other tags
        if (at := markup.find(_JSON_LD, at)) < 0:
            return
        at += len(_JSON_LD)
        begin = _JSON_LD_BEGIN.search(markup, max(at - _LONGEST_BEGIN, done), at)
        rest = _JSON_LD_REST.match(markup, at) if begin else None
        if begin is None or rest is None:
            continue
        at = done = rest.end()
        kinds = (a for name, *values in _ATTRIBUTE.findall(begin[1] + rest[1])
                 if name.lower() == "type" for a in values if a)  # fmt: skip
        if is_json_ld(next(kinds, None)):
            yield rest[2]


def _texts(element: re.Pattern[str], markup: str) -> Iterator[str]:
    """Yield the words of each element of a kind."""
    for found in islice(element.finditer(markup), _MOST_TAGS):
        yield _words(found[1])
