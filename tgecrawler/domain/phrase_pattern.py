"""Phrases of a lexicon as patterns of RE2, to ask a long text whether any may stand in it.

A pattern matches wherever ``Vocabulary.find`` finds its phrase, and at times where
it does not: a sentence's end stops no pattern, and letters outside ASCII end a word.
RE2 runs thousands of them over a page at once, in linear time.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import re2

from tgecrawler.domain.lexicon import parse_phrase
from tgecrawler.domain.matching import fold, phrase_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tgecrawler.domain.lexicon import Element
    from tgecrawler.domain.subjects import Spellings

_MEMORY_BYTES = 256 << 20  # at most; the bundled lexicon takes less than a tenth of it
_JOINT = r"(?:'s)?\W{0,4}"  # between neighbours; as far as `Words.joined` reaches
# Words and what parts them share no ASCII character but "'": RE2 builds few states for it.
_GAP = r"(?:'s)?(?:\W+(?:[\w'[:^ascii:]]+|https?://\S+|www\.\S+)){0,%d}\W+"
_ADDRESSES = 2  # in a gap; they are no words, and stop nothing
_ASCII_WORD = re.compile(r"\w", re.ASCII)
_NEVER = r"[^\x00-\x{10FFFF}]"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"


class PhraseSearch:
    """Phrases in the lexicon's grammar, compiled; safe to share between threads.

    Args:
        sets: the entries of every set that a phrase refers to.
    """

    def __init__(self, phrases: Iterable[str], sets: Mapping[str, Sequence[str]]) -> None:
        @cache
        def of_set(name: str) -> str:
            return _one_of(_name(entry) for entry in sets[name])

        self._find = _compile(_phrase(parse_phrase(phrase), of_set) for phrase in phrases)

    def may_stand_in(self, folded: bytes) -> bool:
        """Return whether any phrase may stand in a text; see ``fold_text``."""
        return self._find(folded) is not None


class CompanySearch:
    """The spellings of a watchlist, compiled; safe to share between threads."""

    def __init__(self, spellings: Spellings) -> None:
        names = (_name(name) for name in spellings.names if phrase_key(name))
        handles = (f"@{_word(fold(handle))}" for handle in spellings.handles)
        cashtags = (f"[$]{_word(fold(symbol))}" for symbol in spellings.symbols)
        self._find = _compile((*names, *handles, *cashtags))
        self._find_bare = _compile(_word(symbol.upper()) for symbol in spellings.symbols)

    def may_stand_in(self, text: str, folded: bytes) -> bool:
        """Return whether a company may stand in a text; a bare ticker counts in capitals."""
        if self._find(folded) is not None:
            return True
        return self._find_bare(text.encode(errors="replace")) is not None


def fold_text(text: str) -> bytes:
    """Return a text as its words are compared (see ``matching.fold``), in UTF-8."""
    if not text.isascii():
        text = text.replace("’", "'")
        for mark in _INVISIBLE:
            text = text.replace(mark, "")
    return text.casefold().encode(errors="replace")


def _compile(patterns: Iterable[str]) -> Callable[[bytes], object | None]:
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    found: Callable[[bytes], object | None]
    found = re2.compile(("|".join(sorted(set(patterns))) or _NEVER).encode(), options).search
    return found


def _phrase(elements: Sequence[Element], of_set: Callable[[str], str]) -> str:
    pattern = ""
    for at, element in enumerate(elements):
        if element.gap:
            pattern += _GAP % (element.gap + _ADDRESSES)
            continue
        if at and not elements[at - 1].gap:
            pattern += _JOINT
        words = map(_word, element.words)
        pattern += of_set(element.set_name) if element.set_name else _one_of(words)
    return pattern


def _name(name: str) -> str:
    return _JOINT.join(map(_word, phrase_key(name)))


def _word(word: str) -> str:
    """Return a folded word with its edges; RE2 knows those of ASCII words alone."""
    before = r"\b" if _ASCII_WORD.match(word[0]) else ""
    after = r"\b" if _ASCII_WORD.match(word[-1]) else ""
    return f"{before}{re2.escape(word)}{after}"


def _one_of(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(set(patterns)))})"
