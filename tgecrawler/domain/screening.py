"""Whether a feed's entry is worth fetching its page, by title and summary alone.

High recall comes first: any event word lets an entry through, as does any of
the rules that the lexicon names for it, and a watchlist name. Only a heap of
signs of something else (``min_log_odds``) holds it back.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tgecrawler.domain.reading import Reading
    from tgecrawler.domain.relevance import Assessor

_LETTERS_LOOKED_AT = 400


@dataclass(frozen=True, slots=True)
class Screening:
    """The verdict, and the names of the rules and companies that spoke for it."""

    worth_fetching: bool
    matches: tuple[str, ...] = ()


class Screen:
    """Screens entries with an assessor's rules. Pure; cheap (below a millisecond)."""

    def __init__(self, assessor: Assessor) -> None:
        self._assessor = assessor
        self._limits = assessor.lexicon.screening
        self._passing = set(self._limits.rules)

    def screen(self, title: str, summary: str = "") -> Screening:
        """Return whether the page behind an entry is worth a request.

        Two kinds of entry cannot be judged and go by the lexicon's rule: without
        a summary and with hardly any words (``fetch_short``), and in a script
        that the lexicon has no words of (``fetch_unknown_script``). A match
        decides before either.
        """
        reading = self._assessor.read(title, summary, "", medium="article")
        companies = self._assessor.companies(reading)
        if companies:
            return Screening(True, companies)
        matches = self._matches(reading)
        if matches:
            return Screening(self._assessor.log_odds(reading) >= self._limits.min_log_odds, matches)
        if not summary.strip() and len(reading.parts[0].found.words) < self._limits.short_words:
            return Screening(
                self._limits.fetch_short, ("short",) if self._limits.fetch_short else ()
            )
        if latin_ratio(f"{title} {summary}") < self._limits.known_ratio:
            unknown = self._limits.fetch_unknown_script
            return Screening(unknown, ("unknown_script",) if unknown else ())
        return Screening(False)

    def _matches(self, reading: Reading) -> tuple[str, ...]:
        return tuple(dict.fromkeys(
            hit.rule.name
            for hit in reading.hits
            if hit.rule.role == "event" or hit.rule.name in self._passing
        ))  # fmt: skip


def latin_ratio(text: str) -> float:
    """Return the share of Latin ones among the first letters of a text; 1.0 without letters."""
    letters = [char for char in text[: 4 * _LETTERS_LOOKED_AT] if char.isalpha()]
    letters = letters[:_LETTERS_LOOKED_AT]
    if not letters:
        return 1.0
    latin = sum(char.isascii() or "LATIN" in unicodedata.name(char, "") for char in letters)
    return latin / len(letters)
