"""Words as the weights know them: a name, a ticker or an amount by its shape.

A weight learnt on "Binance lists Quillon (QLN)" must hold for the next exchange
and the next token, so what is particular to a text is replaced by what it is:
``<exchange> lists <name> <ticker>``. Ordinary words stay as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.matching import Span, fold, word_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tgecrawler.domain.matching import Found, Words

LONGEST_TICKER = 6  # capitals; longer ones are shouted words
BREAK = "|"  # a sentence's end, a dash or a line break
SHOUTING_WORDS = 15  # the first ones tell whether a text is all capitals

# In this order: the first set that has an entry at a word names it.
_SETS = {"exchanges": "<exchange>", "organisations": "<organisation>", "established": "<old>"}
_MARKS = frozenset("?!:")
_SEPARATORS = frozenset({",", ".", "'", "’", ":", "/"})
_MULTIPLE = re.compile(r"\d+x")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_SMALL = re.compile(r"\d{1,2}")
_MONTHS = word_set(
    "jan feb mar apr jun jul aug sep sept oct nov dec january february march april june july"
    " august september october november december"
)
_DAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
_SIGNS = {"$": "<cashtag>", "@": "<handle>", "#": "<hashtag>"}


class Shape(NamedTuple):
    """One word or run of words, as the weights know it; ``span`` counts words."""

    text: str
    span: Span


class Shaper:
    """Shapes the words of a text.

    Args:
        names: the lexicon's sets; ``common_words`` and ``not_names`` stay as written.
    """

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.common = frozenset(map(fold, names.get("common_words", ())))
        self._plain = self.common | frozenset(map(fold, names.get("not_names", ())))

    def shape(self, found: Found, most_words: int) -> list[Shape]:
        """Return the shapes of the first words of a field, sentence breaks between them."""
        words, shapes = found.words, []
        end = min(len(words), most_words)
        shouting = is_shouting(words)
        at = 0
        while at < end:
            if at and words.first[at]:
                shapes.append(Shape(BREAK, Span(at, at)))
            text, after = self._word(found, at, shouting)
            span = Span(at, min(after, end))
            if text == "<name>" and shapes and shapes[-1].text == text:
                shapes[-1] = Shape(text, Span(shapes[-1].span.start, span.end))
            else:
                shapes.append(Shape(text, span))
            at = span.end
            mark = words.text[words.ends[at - 1] : words.ends[at - 1] + 1]
            if mark in _MARKS:
                shapes.append(Shape(mark, Span(at, at)))
        return shapes

    def _word(self, found: Found, at: int, shouting: bool) -> tuple[str, int]:
        """Return the shape at word ``at`` and the word after it."""
        words = found.words
        word, written, before = words.folded[at], words.written(at), words.before(at)
        for name, shape in _SETS.items():
            end = found.in_set(name, at)
            if end and self._is_meant(word, written, before, end - at):
                return shape, end
        if word[0].isdigit():
            return _amount(words, at)
        if before in _SIGNS:
            return _SIGNS[before], at + 1
        if written[0].isupper() and (word in _MONTHS or word in _DAYS):
            return ("<month>" if word in _MONTHS else "<day>"), at + 1
        if word in self._plain:
            return word, at + 1
        if not shouting and 2 <= len(written) <= LONGEST_TICKER and _is_capitals(written):
            return "<ticker>", at + 1
        if any(map(str.isupper, written)):
            return "<name>", at + 1
        return (word if word.isascii() else "<foreign>"), at + 1

    def _is_meant(self, word: str, written: str, before: str, length: int) -> bool:
        """Return whether a name of a set is more than a word of the language ("liquid")."""
        return length > 1 or before in _SIGNS or written[0].isupper() or word not in self.common


def is_shouting(words: Words) -> bool:
    """Return whether most of the first words are all capitals, so that capitals say nothing."""
    written = [words.written(at) for at in range(min(len(words), SHOUTING_WORDS))]
    capital = sum(word.isupper() for word in written if len(word) > 1)
    return len(written) > 1 and capital * 2 > len(written)


def _is_capitals(written: str) -> bool:
    return written.isascii() and written.isalnum() and written.isupper()


def _amount(words: Words, at: int) -> tuple[str, int]:
    """Return the shape of a number that may go on over separators ("1,000.50")."""
    word, end = words.folded[at], at + 1
    while end < len(words) and words.folded[end][0].isdigit() and _touches(words, end):
        end += 1
    after = words.text[words.ends[end - 1] : words.ends[end - 1] + 1]
    if words.before(at) in ("$", "€", "£") or after in ("$", "€", "£"):
        return "<money>", end
    if after == "%":
        return "<percent>", end
    for pattern, shape in ((_MULTIPLE, "<multiple>"), (_YEAR, "<year>"), (_ORDINAL, "<ordinal>")):
        if pattern.fullmatch(word):
            return shape, end
    return ("<small>" if end == at + 1 and _SMALL.fullmatch(word) else "<number>"), end


def _touches(words: Words, at: int) -> bool:
    """Return whether a mark inside a number is all that stands before a word."""
    return words.text[words.ends[at - 1] : words.starts[at]] in _SEPARATORS
