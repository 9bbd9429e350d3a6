"""Names and tickers that stand in a record, as candidates for its project and its token.

A guess from how things are written: capitals, a cashtag, a handle, brackets.
Which of them is meant, ``naming`` decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tgecrawler.domain.matching import Span, fold, word_set
from tgecrawler.domain.shapes import is_shouting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tgecrawler.domain.matching import Words
    from tgecrawler.domain.reading import Part

Sort = Literal["cashtag", "bracketed", "capitals", "name", "handle", "hashtag", "word"]

TITLE_WORDS = 60  # of a headline, in which names are looked for
BODY_WORDS = 70  # of each field behind it
MOST_CANDIDATES = 40  # of one field
MAX_NAME_WORDS = 4
LONGEST_SYMBOL = 12
SHORTEST_WORD = 4  # of a name without any capital: "fartcoin"

_AMOUNT = re.compile(r"\d+(?:m|k|b|bn|x|th|st|nd|rd|h)?", re.IGNORECASE)
_JOINTS = frozenset({" ", ".", ". ", "-", "&", " & "})
# What makes a name of an ordinary word before it: Mind Network, Bad Idea AI.
_TAILS = word_set(
    "network protocol finance labs lab dao ai chain wallet swap inu foundation games verse"
)
_SIGN_SORTS: dict[str, Sort] = {"@": "handle", "#": "hashtag"}


@dataclass(frozen=True, slots=True)
class Names:
    """Folded entries of the lexicon's sets of names."""

    exchanges: frozenset[str]
    established: frozenset[str]
    organisations: frozenset[str]
    not_names: frozenset[str]
    not_tickers: frozenset[str]
    common_words: frozenset[str]

    @classmethod
    def of(cls, sets: Mapping[str, Sequence[str]]) -> Names:
        """Return the names among a lexicon's sets; an absent one is empty."""
        return cls(**{
            key: frozenset(map(fold, sets.get(key, ()))) for key in cls.__dataclass_fields__
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name or ticker as written, and where it stands."""

    text: str
    part: Part
    span: Span
    sort: Sort

    @property
    def is_symbol(self) -> bool:
        """Whether it is written like a ticker."""
        return self.sort in ("cashtag", "bracketed", "capitals")


def find_candidates(parts: Sequence[Part], names: Names) -> list[Candidate]:
    """Return what is written like a name or a ticker, in order of place."""
    found: list[Candidate] = []
    for part in parts:
        most = TITLE_WORDS if part is parts[0] else BODY_WORDS
        found += _of_part(part, names, min(most, len(part.found.words)))
    return found


def _of_part(part: Part, names: Names, end: int) -> list[Candidate]:
    words = part.found.words
    shouting = is_shouting(words)
    found: list[Candidate] = []
    at = 0
    while at < end and len(found) < MOST_CANDIDATES:
        sort, after = _at(words, at, end, names, shouting)
        if sort is not None:
            span = Span(at, after)
            found.append(Candidate(words.phrase(span), part, span, sort))
        at = after
    return found


def _at(words: Words, at: int, end: int, names: Names, shouting: bool) -> tuple[Sort | None, int]:
    """Return the sort of the candidate that begins at a word, and the word after it."""
    before, written = words.before(at), words.written(at)
    if before == "$":
        is_symbol = written[0].isalpha() and len(written) <= LONGEST_SYMBOL
        return ("cashtag" if is_symbol else None), at + 1
    if _is_bracketed(words, at):
        return "bracketed", at + 1
    if _is_name_word(words, at, names, shouting):
        if before in _SIGN_SORTS:
            return _SIGN_SORTS[before], at + 1
        after = _name_end(words, at, end, names, shouting)
        capitals = after == at + 1 and written.isupper() and len(written) > 1
        return ("capitals" if capitals else "name"), after
    if not shouting and _has_tail(words, at, end, names):
        return "name", at + 2
    return ("word" if _is_unknown_word(words, at, names) else None), at + 1


def _is_bracketed(words: Words, at: int) -> bool:
    written = words.written(at)
    return (
        words.before(at) == "("
        and words.text[words.ends[at] : words.ends[at] + 1] == ")"
        and len(written) <= LONGEST_SYMBOL
        and any(map(str.isalpha, written))
        and written.upper() == written
    )


def _is_name_word(words: Words, at: int, names: Names, shouting: bool) -> bool:
    written, folded = words.written(at), words.folded[at]
    if words.before(at) == "$" or folded in names.not_names:
        return False
    if words.before(at) in _SIGN_SORTS:
        return any(map(str.isalpha, written))
    if not any(map(str.isupper, written)) or _AMOUNT.fullmatch(written):
        return False
    if written.isupper():
        return folded not in names.common_words or (len(written) > 1 and not shouting)
    return folded not in names.common_words or any(map(str.isupper, written[1:]))


def _name_end(words: Words, at: int, end: int, names: Names, shouting: bool) -> int:
    after = at + 1
    while after < end and after - at < MAX_NAME_WORDS and _goes_on(words, after, names, shouting):
        after += 1
    return after


def _goes_on(words: Words, at: int, names: Names, shouting: bool) -> bool:
    if words.first[at] or words.before(at) in ("@", "$", "#", "("):
        return False
    if words.text[words.ends[at - 1] : words.starts[at]] not in _JOINTS:
        return False
    folded = words.folded[at]
    is_version = folded.isdigit() and len(folded) == 1
    is_tail = folded in _TAILS and words.written(at)[0].isupper()
    return is_version or is_tail or _is_name_word(words, at, names, shouting)


def _has_tail(words: Words, at: int, end: int, names: Names) -> bool:
    """Return whether an ordinary word with a capital begins a name: "Mind Network"."""
    return (
        at + 1 < end
        and words.written(at)[0].isupper()
        and words.folded[at] not in names.not_names
        and words.folded[at + 1] in _TAILS
        and words.written(at + 1)[0].isupper()
        and words.text[words.ends[at] : words.starts[at + 1]] == " "
    )


def _is_unknown_word(words: Words, at: int, names: Names) -> bool:
    written, folded = words.written(at), words.folded[at]
    return (
        len(written) >= SHORTEST_WORD
        and written.isascii()
        and written.isalpha()
        and written.islower()
        and folded not in names.common_words
        and folded not in names.not_names
    )
