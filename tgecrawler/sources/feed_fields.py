"""The children of a feed's element by name, and the text in them."""

from __future__ import annotations

from html import escape

from lxml import etree

from tgecrawler.domain.text import HTML_TAGS

Fields = dict[str, list[etree._Element]]

_ATOM = ("http://www.w3.org/2005/Atom", "http://purl.org/atom/ns#")
_PREFIXES = {
    **dict.fromkeys(_ATOM, "atom:"),
    "http://purl.org/dc/elements/1.1/": "dc:",
    "http://purl.org/dc/terms/": "dcterms:",
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/rss/1.0/modules/syndication/": "sy:",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner:",
    "http://www.pheedo.com/namespace/pheedo": "pheedo:",
    "http://search.yahoo.com/mrss/": "media:",
    "http://search.yahoo.com/mrss": "media:",
}
_KNOWN_PREFIXES = frozenset(_PREFIXES.values())
_RSS = frozenset(
    (
        "http://purl.org/rss/1.0/",
        "http://my.netscape.com/rdf/simple/0.9/",
        "http://channel.netscape.com/rdf/simple/0.9/",
        "http://backend.userland.com/rss2",
        "http://blogs.law.harvard.edu/tech/rss",
    )
)


def collect_fields(parent: etree._Element) -> Fields:
    """Return the children of `parent` by name: "title", "dc:date", "content:encoded".

    The feed's own vocabulary has no prefix, and the known ones have the usual
    one, whatever the feed calls them. Others are kept apart by their namespace,
    so that ``itunes:title`` is no title.
    """
    own = namespace_of(parent)
    fields: Fields = {}
    for child in parent:
        if isinstance(child.tag, str):
            fields.setdefault(_field_name(child, own), []).append(child)
    return fields


def namespace_of(element: etree._Element) -> str:
    """Return the URI of the element's namespace, or ""."""
    return str(element.tag).rpartition("}")[0].removeprefix("{")


def local_name(element: etree._Element) -> str:
    """Return the element's name without namespace or prefix."""
    return str(element.tag).rpartition("}")[2].rpartition(":")[2]


def inner_text(element: etree._Element) -> str:
    """Return all text within `element`."""
    return "".join(map(str, element.itertext())) if len(element) else element.text or ""


def inner_markup(element: etree._Element) -> str:
    """Return what stands inside `element`: its text, or its child elements as HTML."""
    if not len(element):
        return element.text or ""
    for descendant in element.iterdescendants():
        if isinstance(descendant.tag, str):
            name = local_name(descendant).lower()  # "xhtml:p" is a paragraph, too
            descendant.tag = name if name in HTML_TAGS else "span"
    children = (_to_html(child) for child in element)
    return escape(element.text or "", quote=False) + "".join(children)


def _to_html(element: etree._Element) -> str:
    return str(etree.tostring(element, encoding="unicode", method="html"))


def first_text(fields: Fields, *names: str) -> str:
    """Return the first text that is not blank among `names`, in their order, or ""."""
    for name in names:
        for element in fields.get(name, ()):
            text = inner_text(element).strip()
            if text:
                return text
    return ""


def first_markup(fields: Fields, *names: str) -> str:
    """Return the first markup that is not blank among `names`, in their order, or ""."""
    for name in names:
        for element in fields.get(name, ()):
            markup = inner_markup(element).strip()
            if markup:
                return markup
    return ""


def _field_name(element: etree._Element, own: str) -> str:
    space = namespace_of(element)
    if not space:
        prefix, colon, name = str(element.tag).rpartition(":")  # one that nobody declared
        return f"{prefix}:{name}" if prefix + colon in _KNOWN_PREFIXES else str(element.tag)
    name = local_name(element)
    if space == own or space in _RSS:
        return name
    return _PREFIXES.get(space, f"{space} ") + name
