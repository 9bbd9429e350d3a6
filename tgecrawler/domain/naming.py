"""Whose token a text is about, and its ticker, where no watchlist says so.

Every candidate is described by what stands around it, and the fitted weights
say which description belongs to the project and which to the token.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.domain.candidates import Candidate, Names, find_candidates
from tgecrawler.domain.matching import word_set
from tgecrawler.domain.weights import BIAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tgecrawler.domain.matching import Span
    from tgecrawler.domain.reading import Reading

MOST_PARTS = 3
FARTHEST = 8  # words between a candidate and an event that are told apart

_TOKEN_WORDS = word_set(
    "token tokens coin coins airdrop airdrops listing ico ido ieo presale launch tge tokenomics"
    " sale memecoin stablecoin ticker price"
)
_VERBS = word_set(
    "lists list listed adds launches launch announces announced confirms reveals unveils to"
    " will sets goes is has opens airdrops raises completes plans gets hits debuts introduces"
    " delays postpones"
)
_PLACES = word_set(
    "on via at from by with for after amid as over under against following like versus vs"
    " despite using through into and to of in"
)
_NEIGHBOURS = _TOKEN_WORDS | _VERBS | _PLACES
_NEIGHBOURS |= word_set(
    "rt the a its new native own based backed founder ceo holders users exchange network team"
    " community"
)
# What a candidate is the ground of rather than the subject: "Solana-based", "Cardano founder".
_HOSTS = word_set(
    "based themed backed powered linked inspired native focused affiliated like style mainnet"
    " layer l2 holders founder ceo whales community co cofounder creator developer testnet"
    " blockchain ecosystem"
)


@dataclass(frozen=True, slots=True)
class Named:
    """The best candidate and what its description sums to, in log-odds."""

    candidate: Candidate
    log_odds: float


class Describer:
    """Describes the candidates of one record; see ``describe``."""

    def __init__(self, reading: Reading, names: Names) -> None:
        self.reading = reading
        self.names = names
        self.candidates = find_candidates(reading.parts[:MOST_PARTS], names)
        self._counts = Counter(one.text.casefold() for one in self.candidates)
        self._symbols = {one.text for one in self.candidates if one.is_symbol}
        self._named = {one.text for one in self.candidates if one.sort in ("name", "handle")}
        self._events = [reading.spans(part, "event") for part in reading.parts[:MOST_PARTS]]
        kinds = {hit.rule.kind for hit in reading.of("event")}
        self._lead = "listing" if "listing" in kinds else "other"

    def described(self) -> list[tuple[Candidate, list[str]]]:
        """Return every candidate with its cues, in order of place."""
        return [(one, self.describe(one)) for one in self.candidates]

    def describe(self, one: Candidate) -> list[str]:
        """Return the cues of a candidate; those that the kind of event bends come twice."""
        cues = [
            *self._writing(one),
            *self._place(one),
            *self._neighbours(one),
            *self._relations(one),
            *self._membership(one),
        ]
        bent = ("sort=", "exchange", "before=", "event=", "no_symbols", "established", "common")
        sorted_by = ("before=", "after=", "verb_follows", "token_word_follows", "host")
        more = [f"{cue}&{self._lead}" for cue in cues if cue.startswith(bent)]
        more += [f"{cue}&{one.sort}" for cue in cues if cue.startswith(sorted_by)]
        if not self._symbols:
            more += [f"{cue}&no_symbols" for cue in cues if cue.startswith((*sorted_by, "event="))]
        if "established" in cues or "exchange" in cues:
            what = "established" if "established" in cues else "exchange"
            joined = (*sorted_by, "candidate_", "first", "possessive", "hyphen_", "position=")
            more += [f"{cue}&{what}" for cue in cues if cue.startswith(joined)]
            alone = all(self._is_known(other) for other in self.candidates)
            more.append(f"{what}:{'alone' if alone else 'beside_others'}")
        return cues + more

    def _writing(self, one: Candidate) -> Iterator[str]:
        sort = one.sort
        yield f"sort={sort}"
        yield f"{self._side(one)}:sort={sort}"
        if self.reading.medium == "post":
            yield f"post:sort={sort}"
        yield f"words={one.span.end - one.span.start}"
        yield f"characters={min(len(one.text), 10)}"
        if one.is_symbol:
            yield f"symbol_characters={min(len(one.text), 8)}"
        if not self._symbols:
            yield f"no_symbols:{sort}"

    def _place(self, one: Candidate) -> Iterator[str]:
        start, end = one.span
        yield f"side={self._side(one)}"
        yield f"position={min(start, 12) // 2}"
        if start == 0:
            yield "first"
        events = self._events[self._index(one)]
        if not events:
            yield "no_event"
            return
        distance = min((_distance(one.span, event) for event in events), key=abs)
        yield f"event={max(-FARTHEST, min(FARTHEST, distance))}"
        if any(event.start <= start and end <= event.end for event in events):
            yield "inside_event"

    def _neighbours(self, one: Candidate) -> Iterator[str]:
        words = one.part.found.words
        start, end = one.span
        before = self._neighbour(words.folded[start - 1] if start else "^", start, one)
        after = words.folded[end] if end < len(words) and not words.first[end] else "$"
        goes_on = after != "$" and end + 1 < len(words) and not words.first[end + 1]
        second = words.folded[end + 1] if goes_on else ""
        yield f"before={before}"
        yield f"after={self._neighbour(after, end, one)}"
        if after in _TOKEN_WORDS or second in _TOKEN_WORDS:
            yield "token_word_follows"
        if after in _VERBS or second in _VERBS:
            yield "verb_follows"
        gap = words.text[words.ends[end - 1] : words.starts[end]] if end < len(words) else ""
        if gap.casefold().startswith(("'s", "’s")):
            yield "possessive"
        if gap.startswith(" (") and end < len(words):
            yield "bracket_follows"
        if end < len(words) and words.before(end) == "$":
            yield "cashtag_follows"
        if gap == "-":
            yield "hyphen_follows"
        if start and words.text[words.ends[start - 1] : words.starts[start]] == "-":
            yield "hyphen_before"
        if after in _HOSTS:
            yield "host"
            yield f"host:{'hyphen' if gap == '-' else 'space'}"

    def _neighbour(self, word: str, at: int, one: Candidate) -> str:
        if word in ("^", "$"):
            return word
        if at == one.span.start and one.part.found.words.first[at]:
            return "|"
        if word in _NEIGHBOURS:
            return word
        return "<exchange>" if word in self.names.exchanges else "other"

    def _relations(self, one: Candidate) -> Iterator[str]:
        text, sort = one.text, one.sort
        folded = text.casefold()
        yield f"count={min(self._counts[folded], 4)}"
        if any(
            other.startswith(f"{folded} ") or other == f"{folded}coin" for other in self._counts
        ):
            yield "prefix"
        if any(abbreviates(symbol, text) for symbol in self._symbols):
            yield "abbreviated"
            yield f"abbreviated:{sort}"
        if (one.is_symbol or sort == "hashtag") and any(
            abbreviates(text, name) for name in self._named
        ):
            yield "abbreviates"
            yield f"abbreviates:{sort}"
        if one.is_symbol and folded in map(str.casefold, self._named):
            yield "same_as_name"
        if sort in ("name", "hashtag", "handle") and folded in map(str.casefold, self._symbols):
            yield "same_as_symbol"
        same_part = [other.span for other in self.candidates if other.part is one.part]
        if any(span.start == one.span.end for span in same_part):
            yield "candidate_follows"
        if any(span.end == one.span.start for span in same_part):
            yield "candidate_before"

    def _membership(self, one: Candidate) -> Iterator[str]:
        names = self.names
        first = one.part.found.words.folded[one.span.start]
        if _is_in(one, names.exchanges):
            yield "exchange"
            yield f"exchange:{self._side(one)}{'first' if one.span.start == 0 else ''}"
        if _is_in(one, names.organisations):
            yield "organisation"
        if _is_in(one, names.established):
            yield "established"
            yield f"established:{one.sort}"
            if len(self._named | self._symbols) <= 1:
                yield "established:only"
        if first in names.common_words:
            yield "common"
            yield f"common:{one.sort}"
        if first in names.not_tickers:
            yield "not_ticker"

    def _is_known(self, one: Candidate) -> bool:
        names = self.names
        known = (names.established, names.exchanges, names.organisations)
        return any(_is_in(one, entries) for entries in known)

    def _index(self, one: Candidate) -> int:
        return next(at for at, part in enumerate(self.reading.parts) if part is one.part)

    def _side(self, one: Candidate) -> str:
        return "title" if one.part is self.reading.parts[0] else "body"


def _is_in(one: Candidate, names: frozenset[str]) -> bool:
    """Return whether a candidate, or its first word, is one of some folded names."""
    folded = one.part.found.words.folded[one.span.start : one.span.end]
    return folded[0] in names or " ".join(folded) in names


def best_candidate(
    described: Iterable[tuple[Candidate, Sequence[str]]], weights: Mapping[str, float]
) -> Named | None:
    """Return the candidate whose cues sum highest; the first of equals, None without any."""
    bias = weights.get(BIAS, 0.0)
    best: Named | None = None
    for one, cues in described:
        log_odds = bias + sum(weights.get(cue, 0.0) for cue in cues)
        if best is None or log_odds > best.log_odds:
            best = Named(one, log_odds)
    return best


def abbreviates(symbol: str, name: str) -> bool:
    """Return whether a symbol is made of a name's letters in order: BWB, Bitget Wallet."""
    short = "".join(filter(str.isalnum, symbol.casefold()))
    long = "".join(filter(str.isalnum, name.casefold()))
    if not short or not long or short[0] != long[0] or short == long:
        return False
    letters = iter(long)
    return all(letter in letters for letter in short)


def _distance(name: Span, event: Span) -> int:
    """Return the words from a name to an event: negative where the event comes first."""
    if name.end <= event.start:
        return event.start - name.end
    if event.end <= name.start:
        return event.end - name.start - 1
    return 0
