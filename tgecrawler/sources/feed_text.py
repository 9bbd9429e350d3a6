"""The texts of an entry, whatever its format: line, summary, language, whole article."""

from __future__ import annotations

import re

from tgecrawler.domain.text import clean_text

LONGEST_LINE = 500  # characters of a title, a name or an id
LONGEST_SUMMARY = 2_000
LONGEST_ARTICLE = 100_000

_LANG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{1,8}){0,3}")

# The rule for "the whole article"; see full_text.
SHORTEST_ARTICLE = 600
_LONGER_THAN_SUMMARY = 1.5
_LONGEST_TEASER = 1_500  # a "summary" longer than this is the article once more

_ENDING = 300  # characters looked at for a cut
_FOOTER = re.compile(
    r"\s*(?:The post|L'article|Der Beitrag|La entrada|Сообщение) [^\n]{1,300}? "
    r"(?:(?:first )?appeared first on|appeared on|est apparu en premier sur|"
    r"erschien zuerst auf|se publicó primero en|появились сначала на) [^\n]{1,100}$"
)
_CUT = re.compile(
    r"(?:\[?(?:…|\.\.\.)\]?"
    r"|\(more(?:…|\.\.\.)?\)"
    r"|\b(?:read|view|see) (?:more|on|full (?:article|story|post))"
    r"|\b(?:read|view|see) the (?:full|rest|whole)[^\n]{0,60}"
    r"|\bcontinue reading\b[^\n]{0,120}|\bkeep reading\b[^\n]{0,60}"
    r"|\b(?:weiterlesen|lire la suite|leer más|continua a leggere|читать далее)"
    r"|阅读全文|続きを読む|더 보기)"
    r"[\s.:>»→❯]*$",
    re.IGNORECASE,
)


def line_text(markup: str) -> str:
    """Return the plain text of a title, a name or an id, at most 500 characters."""
    return clean_text(markup, limit=LONGEST_LINE)


def clean_lang(tag: str) -> str:
    """Return a language tag in lower case with hyphens ("en-us"), or "" where it is none."""
    tag = tag.strip().replace("_", "-").lower()
    return tag if _LANG.fullmatch(tag) else ""


def summary_text(markup: str) -> str:
    """Return the plain text of a description, at most 2,000 characters."""
    return clean_text(markup, limit=LONGEST_SUMMARY)


def full_text(markup: str, summary: str) -> str:
    """Return the article that a feed's content element holds, or "" where it is a teaser.

    It is the whole article when, as plain text, it

    - has at least 600 characters,
    - is at least 1.5 times as long as the summary (a summary counts 1,500
      characters at most: feeds that carry the article in both are whole, too),
    - does not end in a cut: "[…]", "...", "read more", "continue reading".

    A footer "The post … appeared first on …" is taken off before the end is
    looked at: blogs append it to excerpts and to whole articles alike.
    """
    if len(markup) < SHORTEST_ARTICLE:
        return ""
    text = clean_text(markup, keep_breaks=True, limit=LONGEST_ARTICLE)
    text = _without_footer(text)
    least = max(SHORTEST_ARTICLE, _LONGER_THAN_SUMMARY * min(len(summary), _LONGEST_TEASER))
    if len(text) < least or is_cut(text):
        return ""
    return text


def is_cut(text: str) -> bool:
    """Return whether plain `text` ends the way teasers end."""
    return _CUT.search(text[-_ENDING:]) is not None


def _without_footer(text: str) -> str:
    at = max(0, len(text) - 2 * _ENDING)
    return text[:at] + _FOOTER.sub("", text[at:])
