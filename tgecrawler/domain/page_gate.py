"""Whether a fetched page is worth taking its text apart, by its words as they stand.

To extract a page's text costs twenty times what it costs to read its words with all
its menus. What the assessment would say of the text is not known then; but it is a
sum, and how much of it a text can bring is. A page whose title and summary stay
below the threshold by more than that is let go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.domain.phrase_pattern import CompanySearch, PhraseSearch, fold_text

if TYPE_CHECKING:
    from tgecrawler.domain.lexicon import Lexicon, Role
    from tgecrawler.domain.relevance import Assessor


@dataclass(frozen=True, slots=True)
class PageVerdict:
    """Whether a page is worth it, and what speaks against it where not."""

    worth_extracting: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    """Title, summary and words of a page, and whether the first two may name a company."""

    text: str
    folded: bytes
    titled_company: bool


class PageGate:
    """Looks at pages with an assessor's rules. Pure; about 0.3 ms for a page of 9,000 characters.

    It lets through whatever the assessor would find relevant, as far as the
    lexicon's ``page_gains`` hold: they are measured, not proved.
    """

    def __init__(self, assessor: Assessor) -> None:
        lexicon = assessor.lexicon
        self._assessor = assessor
        self._gains = lexicon.page_gains
        self._events = _search(lexicon, "event")
        self._trade = _search(lexicon, "crypto", "context")
        self._companies = CompanySearch(assessor.spellings())
        self._company_gain = sum(max(0.0, weight) for weight in lexicon.signals.values())
        self._hand_gain = sum(max(0.0, rule.weight * rule.fields.text) for rule in lexicon.rules)
        self._threshold = _log_odds(assessor.min_score)

    def look(self, title: str, summary: str, page_text: str) -> PageVerdict:
        """Return whether the text of a page may make it relevant.

        Args:
            title: as it will be assessed; the page's own where its entry has none.
            page_text: all words of the page, in any order of its parts.
        """
        reading = self._assessor.read(title, summary, "", medium="article")
        text = f"{title} | {summary} | {page_text}"
        page = _Page(text, fold_text(text), self._assessor.may_name_company(reading))
        if not self._assessor.discovery and not self._has_company(page):
            return PageVerdict(False, "no watchlist company on the page")
        log_odds = self._assessor.log_odds(reading)
        if self._may_bring(page, self._threshold - log_odds):
            return PageVerdict(True)
        return PageVerdict(False, f"log-odds {log_odds:.1f} of its title, too little on the page")

    def _may_bring(self, page: _Page, lacking: float) -> bool:
        """Return whether the words of a page may add what its title lacks, in log-odds.

        The cheap questions come first: to look for events takes longest.
        """
        gains, lacking = self._gains, lacking - self._hand_gain
        if page.titled_company:
            lacking -= self._company_gain
        if lacking <= gains.nothing:
            return True
        trade = self._trade.may_stand_in(page.folded)
        if trade and lacking <= gains.either:
            return True
        with_event = gains.both if trade else gains.either
        if lacking > with_event and not page.titled_company and self._has_company(page):
            with_event += self._company_gain  # in the text it must stand beside an event
        return lacking <= with_event and self._events.may_stand_in(page.folded)

    def _has_company(self, page: _Page) -> bool:
        return page.titled_company or self._companies.may_stand_in(page.text, page.folded)


def _search(lexicon: Lexicon, *roles: Role) -> PhraseSearch:
    phrases = [phrase for rule in lexicon.rules if rule.role in roles for phrase in rule.phrases]
    return PhraseSearch(phrases, lexicon.all_sets())


def _log_odds(score: float) -> float:
    """Return what a sum must reach for a score from 0 to 1."""
    if score <= 0:
        return -math.inf
    return math.log(score / (1 - score)) if score < 1 else math.inf
