"""Where a token event takes place: the chain, and the exchange or launchpad.

A name alone says little: "an Arbitrum airdrop" is Arbitrum's own, and "Binance's
founder" sells nothing. What counts is how a name stands in its sentence: "on
Solana", "Solana-based"; "listed on Binance", "Coinbase to list".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.matching import Span, phrase_key, word_set
from tgecrawler.domain.subjects import words_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tgecrawler.domain.matching import Found, Words

MAX_NAME_WORDS = 4
MAX_WORDS = 400  # of a field: what an event's report says of its place stands early
_AHEAD = 8  # words in which the verb may follow: "Acme is thrilled to announce the new listing"
_BACK = 4  # words from a preposition: "on the leading exchange Acme"
_COST_ATTRIBUTE = 3.0  # in words of distance: "on Base" says more than "Base memecoin"
_COST_AFAR = 8.0  # no event in the sentence


_ON = word_set("across atop on onto via")
_WITHIN = word_set("for in of over to using within")
_MOVES = word_set(
    "arrives bridged bridges brings brought come comes coming deployed deploys expand expanding"
    " expands migrate migrates migrating moved moves moving native port ports"
)
# "bets on Solana" tells of an opinion, "built on Solana" of a place
_STANCES = word_set(
    "bearish bet bets betting big bullish contingent depending down eye eyes focus focused focuses"
    " focusing impact light long opinion pressure report reports short take up update view views"
)
_HOSTING = word_set("based hosted native powered")
_NETWORKS = word_set("blockchain chain ecosystem mainnet network")
_MEMES = word_set("meme memecoin memecoins memes")
# "on Ethereum ETF news": another thing that only bears the chain's name
_NOT_THE_CHAIN = word_set(
    "conference developers devs etf etfs etp exchange exchanges foundation founder futures halving"
    " holders investors labs miners mining options price prices supply traders treasuries treasury"
    " whale whales"
)
_AT = word_set("at by for from into on onto over through to via")
_VENUES = word_set("cex dex exchange exchanges launchpad marketplace platform platforms")
_SELLS = word_set(
    "add added adding adds airdrop airdrops available brings conduct conducts debut enables futures"
    " host hosted hosting hosts ico ido ieo introduces launch launched launches launching launchpad"
    " launchpool list listed listing listings lists onboards opens pair pairs perpetual perpetuals"
    " presale roadmap sale spot starts support supports welcomes"
)
_NOT_THE_VENUE = word_set(
    "alumni backed cards ceo chain cofounder coin custody executive founder incubated invested"
    " labs lawsuit research shares smart stock users ventures"
)
_NOT_AFTER = word_set("beyond ex former formerly like rival than unlike versus vs")
_TITLES = word_set("dao finance foundation labs network protocol")
_HANDLE_ENDS = ("official", "exchange", "global", "app", "com", "india", "pro", "io", "hq", "us")
_FILLERS = word_set("a an both crypto its leading major the top")


@dataclass(frozen=True, slots=True)
class Places:
    """Folded names of chains, and of exchanges and launchpads as venues; words joined by one space.

    One of ``everyday`` is also a word of the language: it needs a capital.
    """

    chains: frozenset[str]
    venues: frozenset[str]
    everyday: frozenset[str] = frozenset()
    firsts: frozenset[str] = field(init=False, repr=False)
    """Words that names begin with; most words of a text begin none."""

    def __post_init__(self) -> None:
        firsts = frozenset(name.partition(" ")[0] for name in self.chains | self.venues)
        object.__setattr__(self, "firsts", firsts)

    @classmethod
    def of(cls, names: Mapping[str, Sequence[str]]) -> Places:
        """Return the lists among a lexicon's sets; an absent one is empty."""

        def key(name: str) -> frozenset[str]:
            return frozenset(" ".join(phrase_key(entry)) for entry in names.get(name, ()))

        venues = key("exchanges") | key("launchpads")
        return cls(key("chains"), venues, key("everyday_places"))


class Place(NamedTuple):
    """A chain or a venue as written; ``start`` and ``end`` are characters of the field."""

    text: str
    start: int
    end: int


def find_chain(
    found: Found, events: Sequence[Span], places: Places, project: str = ""
) -> Place | None:
    """Return the chain that the event nearest to it takes place on, None for none named.

    The project itself is no place: "airdrop on the Near network" by Near Protocol.
    """
    core = _core(phrase_key(project))
    spans = [
        span
        for span in _find_names(found.words, places.chains, places)
        if not core or _core(found.words.folded[span.start : span.end]) != core
    ]
    return _nearest(found.words, spans, events, _chain_cost)


def find_exchange(found: Found, events: Sequence[Span], places: Places) -> Place | None:
    """Return the exchange or launchpad that lists, sells or distributes, None for none."""
    spans = _find_names(found.words, places.venues, places)
    return _nearest(found.words, spans, events, _venue_cost)


def _nearest(
    words: Words,
    spans: Iterable[Span],
    events: Sequence[Span],
    cost_of: Callable[[Words, Span], float | None],
) -> Place | None:
    """Return the cheapest of the names that stand as a place; of equals the first."""
    costs = ((cost_of(words, span), span) for span in spans)
    likely = [
        (cost + _distance(words, span, events), span) for cost, span in costs if cost is not None
    ]
    if not likely:
        return None
    span = min(likely)[1]
    return Place(words.phrase(span), *words.place(span))


def _find_names(words: Words, names: frozenset[str], places: Places) -> Iterator[Span]:
    """Yield where names of a set stand, the longest at each place."""
    at, last = 0, min(len(words), MAX_WORDS)
    while at < last:
        if words.folded[at] not in places.firsts and words.before(at) != "@":
            at += 1
            continue
        end = _longest(words, at, names)
        is_written = end and words.written(at)[0].isupper()
        if is_written or (end and _name(words, Span(at, end)) not in places.everyday):
            yield Span(at, end)
        at = max(end, at + 1)


def _longest(words: Words, at: int, names: frozenset[str]) -> int:
    """Return where the longest name that begins at word ``at`` ends, 0 for none."""
    if words.before(at) == "@" and _handle_core(words.folded[at]) in names:
        return at + 1
    longest, end = 0, at + 1
    while end <= len(words) and end - at <= MAX_NAME_WORDS:
        if _name(words, Span(at, end)) in names:
            longest = end
        if end == len(words) or not words.joined(end):
            break
        end += 1
    return longest


def _handle_core(handle: str) -> str:
    """Return "mexc" of the handles "mexc_global", "mexc_official" and "_mexc"."""
    core = handle.replace("_", "")
    return next((core.removesuffix(end) for end in _HANDLE_ENDS if core.endswith(end)), core)


def _core(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a name without those that any project may add."""
    return tuple(word for word in words if word not in _NETWORKS | _TITLES)


def _name(words: Words, span: Span) -> str:
    return " ".join(words.folded[span.start : span.end])


def _distance(words: Words, span: Span, events: Sequence[Span]) -> float:
    """Return how many words lie between a place and the nearest event."""
    if not events:
        return float(span.start)
    return min(
        max(words_between(span, event), 0) + _COST_AFAR * _is_apart(words, span, event)
        for event in events
    )


def _is_apart(words: Words, one: Span, other: Span) -> bool:
    """Return whether a sentence begins between two spans."""
    first, second = sorted((one, other))
    return any(words.first[first.end : second.start + 1])


def _chain_cost(words: Words, span: Span) -> float | None:
    """Return how little a chain's name says of a place, None where it is none."""
    behind, hyphened = _behind(words, span)
    if _is_possessive(words, span) or behind in _NOT_THE_CHAIN:
        return None
    if behind in _HOSTING:
        return 0.0
    back = 2 if _before(words, span.start, 1) in ("the", "its") else 1
    before, further = (_before(words, span.start, back + more) for more in (0, 1))
    if before in _ON and further not in _STANCES and not hyphened:
        return 0.0
    if before in _WITHIN and behind in _NETWORKS:
        return 0.0
    if before == "to" and further in _MOVES:
        return 0.0
    return _COST_ATTRIBUTE if behind in _MEMES else None


def _venue_cost(words: Words, span: Span) -> float | None:
    """Return how little a venue's name says of a sale or listing there, None for nothing."""
    behind, _ = _behind(words, span)
    if behind in _NOT_THE_VENUE or _before(words, span.start, 1) in _NOT_AFTER:
        return None
    back = 1
    while back < _BACK and _before(words, span.start, back) in _VENUES | _FILLERS:
        back += 1
    if _before(words, span.start, back) in _AT:
        return 0.0
    if _is_possessive(words, span) and behind in ("airdrop", "airdrops"):
        return None  # an exchange's own, as a rule of long ago: "beats Uniswap's airdrop"
    return next((ahead / 2 for ahead, word in _ahead(words, span) if word in _SELLS), None)


def _ahead(words: Words, span: Span) -> Iterator[tuple[int, str]]:
    """Yield the words that follow a span in its sentence, each with how many lie between."""
    for at in range(span.end, min(span.end + _AHEAD, len(words))):
        if words.first[at]:
            return
        yield at - span.end, words.folded[at]


def _behind(words: Words, span: Span) -> tuple[str, bool]:
    """Return the word that follows a span in its sentence, and whether a hyphen joins it."""
    if span.end >= len(words) or words.first[span.end]:
        return "", False
    return words.folded[span.end], words.before(span.end) == "-"


def _before(words: Words, at: int, back: int) -> str:
    """Return the word some words before ``at`` in the same sentence, else ""."""
    if at - back < 0 or any(words.first[at - back + 1 : at + 1]):
        return ""
    return words.folded[at - back]


def _is_possessive(words: Words, span: Span) -> bool:
    end = words.ends[span.end - 1]
    return words.text[end : end + 2].replace("’", "'").casefold() == "'s"
