"""Whose token a text is about, and its ticker, where no watchlist says so.

A guess from how names are written: capitals, a cashtag, a handle, and how far
from the words of the event they stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.domain.matching import Found, Span, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_NAME_WORDS = 4
MAX_CANDIDATES = 40  # runs of capitals looked at in one field
NEAR_WORDS = 60  # words of a field in which a name is looked for
_TICKER_LENGTHS = range(2, 11)
_BARE_TICKER_LENGTHS = range(3, 8)
# Costs in words of distance: a name after the event is less often its subject,
# one behind "on" or "via" is the place, an old coin or an exchange the last resort.
_COST_AFTER = 1.5
_COST_PLACE = 4.0
_COST_ESTABLISHED = 3.0
_COST_CAPITALS = 2.0
_COST_HOST = 4.0
_COST_FORWARDED = 1.0
_GAIN_FIRST = 1.0
_GAIN_TICKER_FOLLOWS = 2.0
_AMOUNT = re.compile(r"\d+(?:m|k|b|bn|x|th|st|nd|rd|h)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lists:
    """Folded entries of the lexicon's sets of names, by first word and as whole phrases."""

    exchanges: frozenset[str]
    established: frozenset[str]
    organisations: frozenset[str]
    not_names: frozenset[str]
    not_tickers: frozenset[str]
    common_words: frozenset[str]
    place_words: frozenset[str]
    host_words: frozenset[str]

    @classmethod
    def of(cls, names: Mapping[str, Sequence[str]]) -> Lists:
        """Return the lists among a lexicon's sets; an absent one is empty."""
        return cls(**{
            key: frozenset(map(fold, names.get(key, ()))) for key in cls.__dataclass_fields__
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """A project as written, where it stands, and how dear the guess is (0 = beside the event)."""

    text: str
    span: Span
    cost: float


def find_ticker(founds: Iterable[Found], lists: Lists) -> tuple[Found, Span] | None:
    """Return the first of: ``$SYM``, ``(SYM)``, a word of capitals; over the fields in order."""
    kept = list(founds)
    for test in (_is_cashtag, _is_bracketed, _is_bare_ticker):
        for found in kept:
            for at in range(min(len(found.words), NEAR_WORDS)):
                if test(found, at) and _may_be_ticker(found, at, lists):
                    return found, Span(at, at + 1)
    return None


def _may_be_ticker(found: Found, at: int, lists: Lists) -> bool:
    word = found.words.folded[at]
    barred = lists.not_tickers | lists.exchanges | lists.organisations
    return word not in barred and not word.isdigit()


def _is_cashtag(found: Found, at: int) -> bool:
    written = found.words.written(at)
    return (
        found.words.before(at) == "$" and written[0].isalpha() and len(written) in _TICKER_LENGTHS
    )


def _is_bracketed(found: Found, at: int) -> bool:
    words = found.words
    written, end = words.written(at), words.ends[at]
    return (
        words.before(at) in "($"
        and words.before(at) != ""
        and words.text[end : end + 1] == ")"
        and len(written) in _TICKER_LENGTHS
        and any(map(str.isupper, written))
        and written.upper() == written
    )


def _is_bare_ticker(found: Found, at: int) -> bool:
    written = found.words.written(at)
    return (
        len(written) in _BARE_TICKER_LENGTHS
        and written.isascii()
        and written.isalnum()
        and written.isupper()
        and found.words.before(at) not in ("@", "-", ".", "/")
        and not is_shouting(found)
    )


def is_shouting(found: Found) -> bool:
    """Return whether most words of a field are all capitals, so that capitals say nothing."""
    words = [found.words.written(at) for at in range(min(len(found.words), NEAR_WORDS))]
    capital = sum(word.isupper() for word in words if len(word) > 1)
    return len(words) > 1 and capital * 2 > len(words)


def name_project(found: Found, events: Sequence[Span], lists: Lists) -> Named | None:
    """Return the cheapest name near the events of a field, None where there is none."""
    best: Named | None = None
    for span in _candidates(found, lists):
        cost = _cost(found, span, events, lists)
        if cost is not None and (best is None or cost < best.cost):
            best = Named(found.words.phrase(span), span, cost)
    return best


def _candidates(found: Found, lists: Lists) -> Iterator[Span]:
    """Yield runs of words that are written like a name, at most ``MAX_CANDIDATES``."""
    end = given = 0
    for at in range(min(len(found.words), NEAR_WORDS)):
        if at < end or not _is_name_word(found, at, lists):
            continue
        end = at + 1
        while end - at < MAX_NAME_WORDS and _continues(found, end, lists):
            end += 1
        yield Span(at, end)
        given += 1
        if given == MAX_CANDIDATES:
            return


def _is_name_word(found: Found, at: int, lists: Lists) -> bool:
    words = found.words
    written, folded = words.written(at), words.folded[at]
    if words.before(at) == "$" or _is_bracketed(found, at) or folded in lists.not_names:
        return False
    if words.before(at) == "@":
        return True
    if not any(map(str.isupper, written)) or _AMOUNT.fullmatch(written):
        return False
    inner_capital = any(map(str.isupper, written[1:])) and not written.isupper()
    return inner_capital or folded not in lists.common_words


def _continues(found: Found, at: int, lists: Lists) -> bool:
    words = found.words
    if at >= len(words) or words.first[at] or words.before(at) in ("@", "$", "("):
        return False
    between = words.text[words.ends[at - 1] : words.starts[at]]
    if between not in (" ", ".", ". ", "-", "&", " & "):
        return False
    is_version = words.folded[at].isdigit() and len(words.folded[at]) == 1
    return is_version or _is_name_word(found, at, lists)


def _cost(found: Found, span: Span, events: Sequence[Span], lists: Lists) -> float | None:
    """Return how unlikely a run of capitals is the event's subject; None where it cannot be."""
    words = found.words
    name = " ".join(words.folded[span.start : span.end])
    barred = (lists.exchanges, lists.organisations)
    if any(name in names or words.folded[span.start] in names for names in barred):
        return None
    cost = min((_distance(span, event) for event in events), default=float(span.start))
    if (
        span.start
        and words.folded[span.start - 1] in lists.place_words
        and not words.first[span.start]
    ):
        cost += _COST_PLACE
    if span.end < len(words) and words.folded[span.end] in lists.host_words:
        cost += _COST_HOST
    if name in lists.established:
        cost += _COST_ESTABLISHED
    if words.written(span.start).isupper():
        cost += _COST_CAPITALS
    if span.start and words.folded[span.start - 1] == "rt":
        cost += _COST_FORWARDED
    elif span.start == 0:
        cost -= _GAIN_FIRST
    if span.end < len(words) and words.before(span.end) in ("(", "$"):
        cost -= _GAIN_TICKER_FOLLOWS
    return cost


def _distance(name: Span, event: Span) -> float:
    if name.end <= event.start:
        return float(event.start - name.end)
    if event.end <= name.start:
        return name.start - event.end + _COST_AFTER
    return 0.0
