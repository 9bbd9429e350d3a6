"""Plain text out of whatever a feed or page calls text."""

from __future__ import annotations

import re
import unicodedata
from html import unescape

LONGEST_TEXT = 100_000  # characters; a long read has about 40,000

# Markup may be far longer than the text in it (inline images, styles): this much
# of it is read, in characters, or ten times the limit where that is more.
_LONGEST_MARKUP = 200_000
_ESCAPE_LEVELS = 4  # how often "&amp;lt;" is unwrapped; feeds in the wild go to 2

_BLOCKS = (
    "address article aside blockquote body br caption center dd details dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html li main menu nav ol "
    "optgroup option p pre section summary table tbody td tfoot th thead tr ul"
)
_INLINES = (
    "a abbr acronym applet area audio b base bdi bdo big button canvas cite code col colgroup "
    "data datalist del dfn em embed font frame frameset i img input ins kbd label legend link "
    "map mark marquee meta meter nobr object output param picture progress q rp rt ruby s samp "
    "select slot small source span strike strong style sub sup svg template time title track tt "
    "u var video wbr"
)
# their content is not text, and runs to their end tag or to the end (the rule of HTML)
_RAW = "iframe math noembed noframes noscript script style textarea xmp"

HTML_TAGS = frozenset(f"{_BLOCKS} {_INLINES} {_RAW}".split())
"""Names that make ``<name …>`` markup; in "if <widget> in title" nothing is markup."""

_BREAK = "\x1e"  # stands for a block's edge; control characters are gone by then

_KNOWN_TAG = re.compile(
    rf"</?(?:{'|'.join(sorted(HTML_TAGS, key=len, reverse=True))})(?=[\s/>])|<!--|<!\[CDATA\[",
    re.IGNORECASE,
)
# One piece of markup. Every alternative matches to the end of the text where its
# own end is missing, so that no character is looked at twice: linear time.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    rf"|<(?P<raw>{_RAW.replace(' ', '|')})(?=[\s/>]).*?(?=</(?P=raw)(?=[\s/>])|\Z)"
    r"|<(?:/?(?P<name>[a-z])(?P<rest>[\w:.-]*)|[!?])"
    r"(?:[^>=]++|=\s*\"[^\"]*(?:\"|\Z)|=\s*'[^']*(?:'|\Z)|=)*(?P<end>>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_CDATA_EDGE = re.compile(r"<!\[CDATA\[|\]\]>", re.IGNORECASE)
_BLOCK_NAMES = frozenset(_BLOCKS.split())
_ENTITY = re.compile(r"&(?:#\d{1,8}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)

# Controls but tab and line breaks, soft hyphen, zero-width characters, marks and
# overrides of direction, surrogates, non-characters and tags. They hide words
# from the eye or from the matcher, and databases refuse some of them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff"
    "\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)
# numbers 128 to 159 mean Windows-1252 wherever people write them (HTML, 13.2.5.84)
_C1 = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if code not in (0x81, 0x85, 0x8D, 0x8F, 0x90, 0x9D)
}
_HAS_C1 = re.compile("[\x80-\x84\x86-\x9f]")

# Normalising sorts runs of combining marks in quadratic time; Unicode's
# stream-safe form (UAX 15, section 13) allows 30 in a row, and so do we.
_LONGEST_MARKS = 30
_MARKS = re.compile(r"[^\w\s\x00-\u02ff]{31,}")


def clean_text(value: str, *, keep_breaks: bool = False, limit: int = LONGEST_TEXT) -> str:
    """Return `value` as plain text: no markup, no entities, NFC, white space folded.

    Whether `value` is HTML is told by the names of its tags: "a < b", "5<10" and
    "if <widget> in title" are plain text, and so is "AT&T". HTML that was escaped
    once more than it should is unwrapped. Scripts, styles and comments leave
    nothing, nor do control, zero-width and direction characters.

    Args:
        keep_breaks: keep one line break between blocks (paragraphs, list items,
            table cells) and where plain text has one.
        limit: longest result in characters; a longer one is cut between words.
    """
    text = value[: max(_LONGEST_MARKUP, 10 * limit)]
    if text.isascii() and text.isprintable() and "<" not in text and "&" not in text:
        return cut_text(fold_space(text), limit)  # one line without anything to clean
    text = _drop_invisible(text)
    is_html = False
    for _ in range(_ESCAPE_LEVELS):
        if "<" not in text and "&" not in text:
            break
        before = text
        if has_markup(text):
            text = _strip_markup(text, nested=is_html)
            is_html = True
        text = _drop_invisible(_decode_entities(text, is_html=is_html))
        if text == before:
            break
    if has_markup(text):  # escaped more often than is looked at: leave no tag
        text = _KNOWN_TAG.sub(lambda match: "< " + match.group()[1:], text)
    text = _shorten_marks(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    folded = _fold_lines(text) if keep_breaks else fold_space(text)
    return cut_text(folded, limit)


def fold_space(value: str) -> str:
    """Return `value` with every run of white space as one space, and none at the ends."""
    return " ".join(value.split())


def cut_text(value: str, limit: int) -> str:
    """Return at most `limit` characters of `value`, cut between words where one is near."""
    if len(value) <= limit:
        return value
    cut = value[:limit]
    space = max(cut.rfind(" "), cut.rfind("\n"))
    if space > max(0, limit - 40) and not value[limit].isspace():
        cut = cut[:space]
    return cut.rstrip()


def has_markup(value: str) -> bool:
    """Return whether `value` holds a tag of HTML, a comment or a CDATA mark."""
    return "<" in value and _KNOWN_TAG.search(value) is not None


def _drop_invisible(text: str) -> str:
    if text.isascii() and _is_printable(text):  # most text, ten times as fast
        return text
    if _HAS_C1.search(text):
        text = text.translate(_C1)
    return _INVISIBLE.sub("", text)


def _is_printable(text: str) -> bool:
    return text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable()


def _strip_markup(text: str, *, nested: bool) -> str:
    """Return `text` without its tags; the edges of blocks become line breaks.

    Args:
        nested: the tags were escaped inside HTML. There ``&lt;script&gt;`` without
            an end is a word about a script, and must not swallow what follows.
    """
    # line breaks mean nothing in HTML; once it is text, they are its blocks' edges
    text = _disarm_raw(text) if nested else text.replace("\n", " ").replace("\r", " ")
    text = _MARKUP.sub(_replace_markup, _CDATA_EDGE.sub("", text))
    return text.replace(_BREAK, "\n")


def _disarm_raw(text: str) -> str:
    lower = text.lower()
    for name in _RAW.split():
        if f"<{name}" in lower and f"</{name}" not in lower:
            text = re.sub(rf"<{name}(?=[\s/>])[^<>]*>?", "", text, flags=re.IGNORECASE)
    return text


def _decode_entities(text: str, *, is_html: bool) -> str:
    """Return `text` with one level of entities decoded; in plain text only those with ";"."""
    if "&" not in text:
        return text
    return unescape(text) if is_html else _ENTITY.sub(lambda match: unescape(match[0]), text)


def _replace_markup(match: re.Match[str]) -> str:
    name, rest, end = match.group("name", "rest", "end")
    if name is None:  # comment, declaration, or raw element
        return ""
    if not end and "=" not in match.group():
        return match.group()  # "x <b and y": never closed, no attribute: words
    return _BREAK if (name + rest).lower() in _BLOCK_NAMES else ""


def _shorten_marks(text: str) -> str:
    return _MARKS.sub(lambda match: _keep_marks(match.group()), text)


def _keep_marks(run: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in run:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _LONGEST_MARKS:
            kept.append(char)
    return "".join(kept)


def _fold_lines(text: str) -> str:
    lines = (fold_space(line) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
