"""An element tree out of XML as it is found: strict where it can be, mended where not."""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from lxml import etree

from tgecrawler.domain.text import HTML_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_ENTRIES = 5_000  # of one feed; the longest real ones seen have about 2,000
_LONGEST_PROLOGUE = 65_536  # characters of warnings and blank lines before a feed

# names that feeds give a meaning, and that are no HTML within a broken feed
_FEED_NAMES = frozenset(
    [
        "author",
        "category",
        "content",
        "entry",
        "feed",
        "item",
        "image",
        "language",
        "link",
        "name",
        "source",
        "subtitle",
        "summary",
        "title",
        "ttl",
    ]
)
_FEED_START = re.compile(r"<\?xml[\s?]|<(?:[\w-]{1,20}:)?(?:rss|feed|rdf)[\s>]", re.IGNORECASE)
_DECLARATION = re.compile(r"<\?xml\s[^>]{0,300}\?>")
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]{0,1000}(?:\[(?P<subset>.*?)\]\s*)?>", re.DOTALL | re.I)
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LITERAL = r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)"  # always matches: linear
_FAULTS = re.compile(
    rf"(?P<literal>{_LITERAL})"
    r"|&(?P<entity>#\d{1,8};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z][a-zA-Z0-9]{1,31};)?"
    r"|(?P<stray>\]\]>|<(?![a-zA-Z/!?_]))",
    re.DOTALL,
)
_HTML_START = re.compile(
    rf"(?P<literal>{_LITERAL})"
    rf"|<(?=/?(?:{'|'.join(sorted(HTML_TAGS - _FEED_NAMES, key=len, reverse=True))})[\s/>])",
    re.DOTALL | re.IGNORECASE,
)
_ENTRY_START = re.compile(
    rf"(?P<literal>{_LITERAL})|<(?:[\w-]{{1,20}}:)?(?:item|entry)(?=[\s>])", re.DOTALL
)
_NAMESPACE = re.compile(r"""\sxmlns:([\w-]{1,40})\s*=\s*["']([^"'<>]{1,300})["']""")
_XML_ENTITIES = frozenset(("amp;", "lt;", "gt;", "quot;", "apos;"))


def parse_xml(text: str) -> tuple[etree._Element | None, bool]:
    """Return the root of `text`, or None where it holds no element, and whether it was mended.

    Tried in this order, each only if the one before failed: as it stands; with
    entities, ampersands and illegal characters mended; with bare HTML escaped;
    and then entry by entry, so that a fault in one leaves the others whole.
    Entities that the document itself declares are never expanded, and nothing
    outside it is opened.
    """
    text, mended = _trim(text)
    root = _parse_strict(text)
    if root is not None:
        return root, mended
    text = _mend(text)
    root = _parse_strict(text)
    if root is None:
        text = _escape_html(text)
        root = _parse_strict(text)
    if root is None:
        root = _parse_entries(text)
    return root, True


def _trim(text: str) -> tuple[str, bool]:
    """Return `text` without declaration, DOCTYPE and junk, and whether there was junk."""
    start = _FEED_START.search(text, 0, _LONGEST_PROLOGUE)
    junk = False
    if start and not text.startswith(("<?xml-", "<!")):
        before = text[: start.start()]
        junk = bool(before) and (start.group().startswith("<?") or not before.isspace())
        text = text[start.start() :]
    declaration = _DECLARATION.match(text)
    if declaration:
        text = text[declaration.end() :]
    at = text.find("<!DOCTYPE", 0, _LONGEST_PROLOGUE)
    doctype = _DOCTYPE.match(text, at, at + _LONGEST_PROLOGUE) if at >= 0 else None
    if doctype:
        text = text[:at] + text[doctype.end() :]
    return text, junk


def _parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        recover=recover,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _parse_strict(text: str) -> etree._Element | None:
    try:
        return etree.fromstring(text.encode("utf-8", "replace"), _parser(recover=False))
    except (etree.XMLSyntaxError, ValueError):
        return None


def _mend(text: str) -> str:
    return _FAULTS.sub(_mend_fault, _ILLEGAL.sub("", text))


def _mend_fault(match: re.Match[str]) -> str:
    if match["literal"]:
        return match["literal"]
    if match["stray"]:
        return "]]&gt;" if match["stray"] == "]]>" else "&lt;"
    entity = match["entity"]
    if not entity:
        return "&amp;"
    if entity in _XML_ENTITIES:
        return match.group()
    meant = unescape(f"&{entity}")
    if meant == f"&{entity}":  # no entity of HTML either
        return f"&amp;{entity}"
    return "" if meant == "\ufffd" else escape(_ILLEGAL.sub("", meant))


def _escape_html(text: str) -> str:
    """Return `text` with bare tags of HTML as escaped ones, which is what was meant."""
    return _HTML_START.sub(lambda match: match["literal"] or "&lt;", text)


def _parse_entries(text: str) -> etree._Element | None:
    """Return a root with what could be read of each entry, parsed one by one."""
    starts = list(_entry_starts(text))
    head = text[: starts[0]] if starts else text
    root = _parse_lenient(head)
    if root is None:
        return None
    channel = next((child for child in root if str(child.tag).endswith("channel")), root)
    opening = _opening_tag(root, text[:_LONGEST_PROLOGUE])
    # a last entry cut short keeps its whole elements: half a link is another link
    whole = len(text) if text.rstrip().endswith(">") else text.rfind(">") + 1
    for start, end in pairwise([*starts, whole]):
        wrapped = _parse_lenient(f"{opening}{text[start:end]}</entries>")
        if wrapped is not None:
            channel.extend(list(wrapped))
    return root


def _opening_tag(root: etree._Element, head: str) -> str:
    """Return a start tag under which an entry's prefixes mean what they meant in the feed."""
    spaces = dict(_NAMESPACE.findall(head))
    opening = "".join(f' xmlns:{prefix}="{escape(uri)}"' for prefix, uri in spaces.items())
    default = root.nsmap.get(None)
    if default:
        opening += f' xmlns="{escape(default)}"'
    return f"<entries{opening}>"


def _entry_starts(text: str) -> Iterator[int]:
    found = 0
    for match in _ENTRY_START.finditer(text):
        if not match["literal"]:
            yield match.start()
            found += 1
            if found > MOST_ENTRIES:
                return


def _parse_lenient(text: str) -> etree._Element | None:
    try:
        return etree.fromstring(text.encode("utf-8", "replace"), _parser(recover=True))
    except (etree.XMLSyntaxError, ValueError):
        return None
