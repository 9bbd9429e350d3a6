"""What one crawl works with: options, configuration and the rules built from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.config.loader import load_lexicon, load_sources, load_watchlist, load_weights
from tgecrawler.domain.relevance import Assessor
from tgecrawler.domain.screening import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tgecrawler.domain.source_list import SourceList
    from tgecrawler.domain.watchlist import Watchlist
    from tgecrawler.options import Value


@dataclass(frozen=True, slots=True)
class Runtime:
    """Loaded and compiled once per crawl; shared by spiders and pipelines."""

    options: Mapping[str, Value]
    watchlist: Watchlist
    sources: SourceList
    assessor: Assessor
    screen: Screen

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
        )


def load_assessor(
    options: Mapping[str, Value], watchlist: Watchlist, *, discovery: bool | None = None
) -> Assessor:
    """Return the assessor for `options`; `discovery` overrides TGE_DISCOVERY."""
    return Assessor(
        watchlist,
        load_lexicon(str(options["TGE_LEXICON"])),
        load_weights(str(options["TGE_WEIGHTS"])),
        min_score=float(options["TGE_RELEVANCE_MIN_SCORE"]),
        discovery=bool(options["TGE_DISCOVERY"]) if discovery is None else discovery,
    )
