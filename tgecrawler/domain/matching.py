"""Words of a text, and which phrases and names of a vocabulary stand where among them.

A text is cut into words once; every word is then looked up once in a table
that leads from a first word to the phrases and names that begin with it. The
cost hardly grows with the number of names (measured on 6,000 characters: 0.7 ms
with 20 names, 0.9 ms with 5,000), and no pattern engine's ASCII idea of a word
boundary is involved.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.lexicon import Element, parse_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_CHARS = 20_000  # of a field; a long article has 10,000
MAX_MATCHES = 8  # of one rule or name in one field; the first ones matter
MAX_SYMBOLS = 64  # ticker-like words kept of one field
_JOINT_CHARS = 4  # between neighbours of a phrase: a space, a hyphen, "'s ", ", "

# Scripts written without spaces: each sign is a word, so that a Latin name
# between them has boundaries.
_SIGN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTERS = f"[^\\W{_SIGN}]+"
# Combining accents and invisible marks (soft hyphen, zero-width space) lie inside words.
_MARKS = "\u0300-\u036f\u00ad\u200b-\u200d\u2060\ufeff"
_TOKEN = re.compile(
    r"(?i:https?://|www\.)\S+"  # group 0 only: an address is neither word nor boundary
    rf"|({_LETTERS}(?:[{_MARKS}]+(?:{_LETTERS})?|['’]{_LETTERS})*|[{_SIGN}])"
    r"|([.!?…](?=[\"'”’)\]]{0,3}(?:\s{1,3}[^\sa-z]|\s{0,3}\Z))|[;|\n。！？–—•]|(?<=\s)-(?=\s))"
)
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff")) | {ord("’"): "'"}


class Span(NamedTuple):
    """Words ``start`` to ``end`` (exclusive), counted in words of one field."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: folded, with their places in characters of ``text``.

    ``first[i]`` says that word i begins a sentence (or a part set off by a dash,
    a bar or a line break). A possessive "'s" belongs to no word.
    """

    text: str
    folded: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    first: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.folded)

    def written(self, at: int) -> str:
        """Return word ``at`` as it stands in the text."""
        return self.text[self.starts[at] : self.ends[at]]

    def place(self, span: Span) -> tuple[int, int]:
        """Return a span as offsets in characters into ``text``."""
        return self.starts[span.start], self.ends[span.end - 1]

    def phrase(self, span: Span) -> str:
        """Return the text of a span as written."""
        start, end = self.place(span)
        return self.text[start:end]

    def before(self, at: int) -> str:
        """Return the character before word ``at``, "" at the beginning."""
        return self.text[self.starts[at] - 1 : self.starts[at]]

    def joined(self, at: int) -> bool:
        """Return whether word ``at`` directly follows the one before it."""
        return not self.first[at] and self.starts[at] - self.ends[at - 1] <= _JOINT_CHARS


def fold(word: str) -> str:
    """Return a word as it is compared: without case and invisible marks, "’" as "'"."""
    return (word if word.isascii() else word.translate(_INVISIBLE)).casefold()


def word_set(words: str) -> frozenset[str]:
    """Return words written one after the other, for tables in the code."""
    return frozenset(words.split())


def split_words(text: str, max_chars: int = MAX_CHARS) -> Words:
    """Return the words of the first ``max_chars`` characters; a word cut there is left out."""
    folded: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    first: list[bool] = []
    new_part = True
    for match in _TOKEN.finditer(text, 0, max_chars):
        kind = match.lastindex
        if kind == 1:
            word, start, end = fold(match.group()), match.start(), match.end()
            if word.endswith("'s"):
                word, end = word[:-2], end - 2
            folded.append(word)
            starts.append(start)
            ends.append(end)
            first.append(new_part)
            new_part = False
        elif kind == 2:
            new_part = True
    if folded and ends[-1] == max_chars < len(text):
        whole = _TOKEN.match(text, starts[-1], max_chars + 1)
        if whole is not None and whole.end() > max_chars:
            for column in (folded, starts, ends, first):
                column.pop()
    return Words(text, tuple(folded), tuple(starts), tuple(ends), tuple(first))


def phrase_key(phrase: str) -> tuple[str, ...]:
    """Return the folded words of a name or of a set's entry."""
    return split_words(phrase).folded


@dataclass(slots=True)
class Found:
    """What a vocabulary finds in one text, in order of place.

    ``rules`` and ``names`` map to at most ``MAX_MATCHES`` spans. ``sets`` maps
    a set's name to the first words of its entries, each with the end of the longest.
    """

    words: Words
    rules: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    names: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    sets: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))

    def in_set(self, name: str, at: int) -> int:
        """Return where the entry of a set that begins at word ``at`` ends, else 0."""
        return self.sets[name].get(at, 0) if name in self.sets else 0


class _Phrase(NamedTuple):
    """A phrase of a rule, and what a text must hold for it beside the first place."""

    rule: str
    elements: tuple[Element, ...]
    one_of: frozenset[str]
    set_name: str


class Vocabulary:
    """Rules, sets and names, compiled once; ``find`` may be called from any thread.

    Args:
        rules: phrases of each rule, in the lexicon's grammar.
        sets: entries of each set, plain words.
        names: spellings of each name, plain words.
    """

    def __init__(
        self,
        rules: Mapping[str, Sequence[str]],
        sets: Mapping[str, Sequence[str]],
        names: Mapping[str, Sequence[str]],
    ) -> None:
        self._sets = _index((name, entry) for name, entries in sets.items() for entry in entries)
        self._names = _index((name, entry) for name, entries in names.items() for entry in entries)
        self._rules: dict[str, list[_Phrase]] = defaultdict(list)
        heads = {
            name: {phrase_key(entry)[0] for entry in entries} for name, entries in sets.items()
        }
        for rule, phrases in rules.items():
            for elements in map(parse_phrase, phrases):
                phrase = _Phrase(rule, elements, *_needs(elements))
                for word in elements[0].words or heads[elements[0].set_name]:
                    self._rules[word].append(phrase)

        self._firsts = {*self._sets, *self._names, *self._rules}

    def find(self, text: str, max_chars: int = MAX_CHARS) -> Found:
        """Return every rule, set and name that stands in the text."""
        words = split_words(text, max_chars)
        found = Found(words)
        later: list[tuple[int, list[_Phrase]]] = []
        for at, word in enumerate(words.folded):
            if word not in self._firsts:
                continue
            for name, rest in self._sets.get(word, ()):
                if end := _follows(words, at, rest):
                    entries = found.sets[name]
                    entries[at] = max(end, entries.get(at, 0))
            for name, rest in self._names.get(word, ()):
                if (end := _follows(words, at, rest)) and len(found.names[name]) < MAX_MATCHES:
                    found.names[name].append(Span(at, end))
            if phrases := self._rules.get(word):
                later.append((at, phrases))
        present = set(words.folded)
        for at, phrases in later:
            for rule, elements, one_of, set_name in phrases:
                if one_of and one_of.isdisjoint(present):
                    continue
                if set_name and set_name not in found.sets:
                    continue
                if len(found.rules.get(rule, ())) >= MAX_MATCHES:
                    continue
                if end := _match(found, elements, 0, at, at):
                    found.rules[rule].append(Span(at, end))
        return found


def _needs(elements: Sequence[Element]) -> tuple[frozenset[str], str]:
    """Return the fewest words of which a match needs one, and a set of which it needs an entry."""
    words = [element.words for element in elements[1:] if element.words]
    sets = [element.set_name for element in elements[1:] if element.set_name]
    return min(words, key=len, default=frozenset()), next(iter(sets), "")


def _index(entries: Iterable[tuple[str, str]]) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    index: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for name, entry in entries:
        key = phrase_key(entry)
        if key and (name, key[1:]) not in index[key[0]]:
            index[key[0]].append((name, key[1:]))
    return dict(index)


def _follows(words: Words, at: int, rest: tuple[str, ...]) -> int:
    """Return the end of ``at`` plus the words ``rest``, 0 where they do not follow."""
    end = at + 1
    for word in rest:
        if end >= len(words.folded) or words.folded[end] != word or not words.joined(end):
            return 0
        end += 1
    return end


def _match(found: Found, elements: tuple[Element, ...], place: int, at: int, start: int) -> int:
    """Return where elements from ``place`` on end if they begin at word ``at``, else 0."""
    if place == len(elements):
        return at
    element, words = elements[place], found.words
    if at >= len(words.folded):
        return 0
    if element.gap:
        return _match_gap(found, elements, place, at, start)
    if at > start and words.first[at]:
        return 0
    if place and not elements[place - 1].gap and not words.joined(at):
        return 0
    if element.set_name:
        end = found.in_set(element.set_name, at)
    else:
        end = at + 1 if words.folded[at] in element.words else 0
    return _match(found, elements, place + 1, end, start) if end else 0


def _match_gap(found: Found, elements: tuple[Element, ...], place: int, at: int, start: int) -> int:
    for skipped in range(elements[place].gap + 1):
        if at + skipped >= len(found.words.folded) or found.words.first[at + skipped]:
            return 0
        if end := _match(found, elements, place + 1, at + skipped, start):
            return end
    return 0
