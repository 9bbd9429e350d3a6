"""What one crawl works with: options, configuration and the rules built from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.config.loader import load_lexicon, load_sources, load_watchlist, load_weights
from tgecrawler.domain.event_traits import keys_of
from tgecrawler.domain.page_gate import PageGate
from tgecrawler.domain.relevance import Assessor
from tgecrawler.domain.screening import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tgecrawler.domain.lexicon import Lexicon
    from tgecrawler.domain.source_list import SourceList
    from tgecrawler.domain.watchlist import Watchlist
    from tgecrawler.options import Value


@dataclass(frozen=True, slots=True)
class Runtime:
    """Loaded and compiled once per crawl; shared by spiders and pipelines.

    ``anybodys`` are the project keys of exchanges, media and people, whose names
    do not tell whose token a text is about; ``ordinary`` are the words of the
    language, which do not tell one short text from another.
    """

    options: Mapping[str, Value]
    watchlist: Watchlist
    sources: SourceList
    assessor: Assessor
    screen: Screen
    page_gate: PageGate
    anybodys: frozenset[str]
    ordinary: frozenset[str]

    @classmethod
    def load(cls, options: Mapping[str, Value]) -> Runtime:
        """Return the runtime for `options`.

        Raises:
            ConfigError: one of the four files cannot be used.
        """
        watchlist = load_watchlist(str(options["TGE_WATCHLIST"]))
        assessor = load_assessor(options, watchlist)
        return cls(
            options=options,
            watchlist=watchlist,
            sources=load_sources(str(options["TGE_SOURCES"])),
            assessor=assessor,
            screen=Screen(assessor),
            page_gate=PageGate(assessor),
            anybodys=anybodys_of(assessor.lexicon),
            ordinary=ordinary_words(assessor.lexicon),
        )


def anybodys_of(lexicon: Lexicon) -> frozenset[str]:
    """Return the project keys of the lexicon's exchanges and organisations."""
    sets = lexicon.all_sets()
    return keys_of(name for kind in ("exchanges", "organisations") for name in sets.get(kind, ()))


def ordinary_words(lexicon: Lexicon) -> frozenset[str]:
    """Return the lexicon's common words."""
    return frozenset(lexicon.names.get("common_words", ()))


def load_assessor(
    options: Mapping[str, Value],
    watchlist: Watchlist,
    *,
    discovery: bool | None = None,
    min_score: float | None = None,
) -> Assessor:
    """Return the assessor for `options`.

    Args:
        discovery: in place of TGE_DISCOVERY.
        min_score: in place of TGE_RELEVANCE_MIN_SCORE.
    """
    if min_score is None:
        min_score = float(options["TGE_RELEVANCE_MIN_SCORE"])
    return Assessor(
        watchlist,
        load_lexicon(str(options["TGE_LEXICON"])),
        load_weights(str(options["TGE_WEIGHTS"])),
        min_score=min_score,
        discovery=bool(options["TGE_DISCOVERY"]) if discovery is None else discovery,
    )
