"""Where a text speaks of a company of the watchlist, and not of its namesake.

A company stands under its name or an alias, its handle (``@CalderaXYZ``), its
cashtag (``$CAL``), or its ticker in capitals beside token words. An exclusion
nearby means that the everyday word was meant; a name that is an everyday word
needs a capital and words of the trade nearby.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

from tgecrawler.domain.matching import MAX_MATCHES, Found, Span, fold
from tgecrawler.domain.naming import is_shouting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tgecrawler.domain.lexicon import Lexicon
    from tgecrawler.domain.watchlist import Company, Watchlist

CONTEXT_WORDS = 12  # between an everyday name and a word of the trade
EXCLUSION_WORDS = 15  # between a name and the phrase that excludes it
SYMBOL_WORDS = 3  # between a bare ticker and a token word
_JOINED_BEFORE = frozenset("@-.&_")  # a bare ticker behind one of these is part of something


class CompanyMatch(NamedTuple):
    """One place where a company stands; ``how`` says under what."""

    company: Company
    span: Span
    how: Literal["name", "handle", "symbol"]


class CompanyFinder:
    """The watchlist's names, compiled for a ``Vocabulary`` and judged in its findings."""

    def __init__(self, watchlist: Watchlist, lexicon: Lexicon) -> None:
        self._companies = tuple(watchlist.companies)
        self._everyday = {fold(name) for name in lexicon.everyday_names}
        established = {fold(name) for name in lexicon.names.get("established", ())}
        self._symbols: dict[str, list[tuple[str, Company]]] = defaultdict(list)
        self._handles: dict[str, list[Company]] = defaultdict(list)
        for company in self._companies:
            if company.x_handle:
                self._handles[fold(company.x_handle.lstrip("@"))].append(company)
            for symbol in company.symbols:
                # The ticker that a company without a token will take is a guess: where an
                # old coin bears it, the old coin is meant.
                if company.status != "pre_token" or fold(symbol) not in established:
                    self._symbols[fold(symbol)].append((symbol, company))

    def names(self) -> dict[str, tuple[str, ...]]:
        """Return what a vocabulary must look for: names under "name:i", exclusions "not:i"."""
        names = {f"name:{at}": (c.name, *c.aliases) for at, c in enumerate(self._companies)}
        excluded = {f"not:{at}": tuple(c.exclusions) for at, c in enumerate(self._companies)}
        return names | excluded

    def find(self, found: Found, trade: Sequence[Span]) -> list[CompanyMatch]:
        """Return the companies of a field; ``trade`` are its context and event matches."""
        matches = [*self._by_name(found, trade), *self._by_sign(found, trade)]
        return sorted(matches, key=lambda match: match.span)

    def _by_name(self, found: Found, trade: Sequence[Span]) -> Iterator[CompanyMatch]:
        for key in [key for key in found.names if key.startswith("name:")]:
            at = int(key.removeprefix("name:"))
            exclusions = found.names.get(f"not:{at}", [])
            for span in found.names[key]:
                if not is_excluded(span, exclusions) and self._is_meant(found, span, trade):
                    yield CompanyMatch(self._companies[at], span, "name")

    def _is_meant(self, found: Found, span: Span, trade: Sequence[Span]) -> bool:
        """Return whether a name is more than an everyday word at this place."""
        if span.end - span.start > 1 or found.words.folded[span.start] not in self._everyday:
            return True
        is_name = found.words.written(span.start)[0].isupper()
        return is_name and any(words_between(span, other) <= CONTEXT_WORDS for other in trade)

    def _by_sign(self, found: Found, trade: Sequence[Span]) -> Iterator[CompanyMatch]:
        left = MAX_MATCHES * 4
        for at, word in enumerate(found.words.folded):
            if word not in self._symbols and word not in self._handles:
                continue
            left -= 1
            if left < 0:
                return
            span, before = Span(at, at + 1), found.words.before(at)
            if before == "@":
                for company in self._handles.get(word, ()):
                    yield CompanyMatch(company, span, "handle")
                continue
            for symbol, company in self._symbols.get(word, ()):
                if before == "$" or _is_bare_symbol(found, at, symbol, trade):
                    yield CompanyMatch(company, span, "symbol")


def _is_bare_symbol(found: Found, at: int, symbol: str, trade: Sequence[Span]) -> bool:
    return (
        found.words.written(at) == symbol.upper()
        and found.words.before(at) not in _JOINED_BEFORE
        and not is_shouting(found)
        and any(words_between(Span(at, at + 1), other) <= SYMBOL_WORDS for other in trade)
    )


def is_excluded(span: Span, exclusions: Sequence[Span]) -> bool:
    """Return whether an exclusion speaks against a name; a full name only where they overlap."""
    reach = EXCLUSION_WORDS if span.end - span.start == 1 else -1
    return any(words_between(span, other) <= reach for other in exclusions)


def words_between(one: Span, other: Span) -> int:
    """Return the number of words between two spans, -1 where they overlap."""
    first, second = sorted((one, other))
    return max(second.start - first.end, -1) if first.end <= second.start else -1
