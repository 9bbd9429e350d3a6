"""Where a text speaks of a company of the watchlist, and not of its namesake.

A company stands under its name or an alias, its handle (``@CalderaXYZ``), its
cashtag (``$CAL``), or its ticker in capitals beside token words. A name that is
an everyday word needs a capital, and that the record says something which is
said of crypto alone; beside an exclusion it needs more of that.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

from tgecrawler.domain.matching import MAX_MATCHES, Found, Span, fold
from tgecrawler.domain.shapes import is_shouting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tgecrawler.domain.lexicon import Lexicon
    from tgecrawler.domain.watchlist import Company, Watchlist

SIGNS_BESIDE_EXCLUSION = 2  # of crypto, that outweigh an exclusion said in passing
EXCLUSION_WORDS = 15  # between a name and the phrase that excludes it
SYMBOL_WORDS = 3  # between a bare ticker and a token word
_JOINED_BEFORE = frozenset("@-.&_")  # a bare ticker behind one of these is part of something


class CompanyMatch(NamedTuple):
    """One place where a company stands; ``how`` says under what."""

    company: Company
    span: Span
    how: Literal["name", "handle", "symbol"]


class Spellings(NamedTuple):
    """Under what the companies of a watchlist stand; handles and symbols without their sign."""

    names: tuple[str, ...]
    handles: tuple[str, ...]
    symbols: tuple[str, ...]


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

    def spellings(self) -> Spellings:
        """Return everything under which a company may stand."""
        return Spellings(
            names=tuple(name for one in self._companies for name in (one.name, *one.aliases)),
            handles=tuple(self._handles),
            symbols=tuple(symbol for rows in self._symbols.values() for symbol, _ in rows),
        )

    def may_stand_in(self, found: Found) -> bool:
        """Return whether a field holds a name, a handle or a ticker of any company."""
        if found.names:
            return True
        return any(
            word in self._symbols or word in self._handles for word in set(found.words.folded)
        )

    def find(self, found: Found, trade: Sequence[Span], signs: int) -> list[CompanyMatch]:
        """Return the companies of a field.

        Args:
            trade: where words of the trade stand in it.
            signs: how often the whole record says what is said of crypto alone.
        """
        matches = [*self._by_name(found, signs), *self._by_sign(found, trade)]
        return sorted(matches, key=lambda match: match.span)

    def _by_name(self, found: Found, signs: int) -> Iterator[CompanyMatch]:
        for key in [key for key in found.names if key.startswith("name:")]:
            at = int(key.removeprefix("name:"))
            exclusions = found.names.get(f"not:{at}", [])
            for span in found.names[key]:
                company = self._companies[at]
                if self._is_meant(company, found, span, exclusions, signs):
                    yield CompanyMatch(company, span, "name")

    def _is_meant(
        self,
        company: Company,
        found: Found,
        span: Span,
        exclusions: Sequence[Span],
        signs: int,
    ) -> bool:
        """Return whether a name is more than an everyday word at this place."""
        if any(words_between(span, other) < 0 for other in exclusions):
            return False  # it is part of the exclusion: "volcanic caldera"
        if span.end - span.start > 1:
            return True
        if bears_symbol(found, company):
            return True
        if is_excluded(span, exclusions) and signs < SIGNS_BESIDE_EXCLUSION:
            return False
        if found.words.folded[span.start] not in self._everyday:
            return True
        is_name = found.words.written(span.start)[0].isupper()
        return is_name and signs > 0

    def namesakes(self, found: Found) -> list[Span]:
        """Return where everyday words stand in a field that are names of companies too."""
        return [
            span
            for key, spans in found.names.items()
            if key.startswith("name:")
            for span in spans
            if span.end - span.start == 1 and found.words.folded[span.start] in self._everyday
        ]

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
        and not is_shouting(found.words)
        and any(words_between(Span(at, at + 1), other) <= SYMBOL_WORDS for other in trade)
    )


def bears_symbol(found: Found, company: Company) -> bool:
    """Return whether a company's ticker stands in capitals in a field that names it."""
    words = found.words
    folded = {fold(symbol) for symbol in company.symbols} - {fold(company.name)}
    return any(
        word in folded and words.written(at).isupper() for at, word in enumerate(words.folded)
    ) and not is_shouting(words)


def is_excluded(span: Span, exclusions: Sequence[Span]) -> bool:
    """Return whether an exclusion near a name speaks against it."""
    return any(words_between(span, other) <= EXCLUSION_WORDS for other in exclusions)


def words_between(one: Span, other: Span) -> int:
    """Return the number of words between two spans, -1 where they overlap."""
    first, second = sorted((one, other))
    return max(second.start - first.end, -1) if first.end <= second.start else -1
