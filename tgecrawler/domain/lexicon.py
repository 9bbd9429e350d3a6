"""The words that the assessment of a text goes by: a closed shape for ``lexicon.yaml``.

The file is data: a rule is a name, phrases and a weight; nothing in the code
knows a phrase. The grammar of a phrase, as ``parse_phrase`` reads it:

    token sale          these words, one after the other
    launch|launches     one of these words
    <launch>            any entry of the named set; an entry may have several words
    *                   up to four words of any kind; ``*2``: up to two

Words are compared without case and without a possessive ``'s``. No phrase
reaches over the end of a sentence.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tgecrawler.items import Kind, Status, TextField

Role = Literal["event", "veto", "promo", "crypto", "context", "plain"]
"""What a match means beside its weight: a token event, a family of texts that only
look like news of one, advertising, what is said of crypto alone, or words of the trade."""

Signal = Literal["watchlist_subject", "watchlist_symbol"]
"""Facts that bear a weight by hand; ``domain.relevance`` finds them."""

NameSet = Literal[
    "exchanges",
    "established",
    "organisations",
    "not_names",
    "not_tickers",
    "common_words",
    "chains",
    "launchpads",
    "everyday_places",
]
"""Sets that the search for names asks for; an absent one is empty. ``common_words``
are words of the language, which are no names even where a headline gives them capitals;
``everyday_places`` are chains and venues that are words too, and need a capital."""

GAP_WORDS = 4
MAX_GAPS = 3  # a phrase is tried in at most 10**3 ways at one place

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Phrase = Annotated[str, Field(min_length=1, max_length=500)]
Weight = Annotated[float, Field(ge=-20, le=20)]

_ELEMENT = re.compile(r"\*(?P<gap>[1-9]?)|<(?P<set>[a-z][a-z0-9_]*)>|(?P<words>[\w'|]+)")


class Element(NamedTuple):
    """One place of a phrase: words, the name of a set, or a gap of up to ``gap`` words."""

    words: frozenset[str] = frozenset()
    set_name: str = ""
    gap: int = 0


def parse_phrase(phrase: str) -> tuple[Element, ...]:
    """Return the places of a phrase in order.

    Raises:
        ValueError: an element that is none of the grammar's, a gap at an end or
            beside a gap, or more than ``MAX_GAPS`` gaps.
    """
    elements = tuple(_parse_element(word) for word in phrase.split())
    gaps = [at for at, element in enumerate(elements) if element.gap]
    if not elements or elements[0].gap or elements[-1].gap:
        raise ValueError(f"phrase {phrase!r} must begin and end with a word")
    if len(gaps) > MAX_GAPS or any(later - gap == 1 for gap, later in pairwise(gaps)):
        raise ValueError(f"phrase {phrase!r} has too many gaps")
    return elements


def _parse_element(word: str) -> Element:
    match = _ELEMENT.fullmatch(word)
    if match is None:
        raise ValueError(f"cannot read {word!r}: write words, a|b, <set>, * or *2")
    if match["set"]:
        return Element(set_name=match["set"])
    if match["words"]:
        return Element(words=frozenset(match["words"].casefold().split("|")) - {""})
    return Element(gap=int(match["gap"] or GAP_WORDS))


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldFactors(_Frozen):
    """What a rule's weight is multiplied with, by where it matches; 0 = not looked at.

    A post has no headline: its text counts as ``title``.
    """

    title: float = Field(default=1.0, ge=-4, le=4)
    summary: float = Field(default=0.3, ge=-4, le=4)
    text: float = Field(default=0.0, ge=-4, le=4)

    def of(self, field: TextField) -> float:
        """Return the factor of one field."""
        if field == "title":
            return self.title
        return self.summary if field == "summary" else self.text


class Rule(_Frozen):
    """A named group of phrases; it counts once a field, however often it matches.

    ``weight``, in log-odds, is added by hand to what was fitted for the rule. ``kind``
    and ``status`` are what a match speaks for.
    """

    name: Name
    role: Role = "plain"
    weight: Weight = 0.0
    fields: FieldFactors = FieldFactors()
    kind: Kind = "none"
    status: Status = "none"
    phrases: tuple[Phrase, ...] = Field(min_length=1)


class Screening(_Frozen):
    """When a feed entry's page is worth fetching; ``domain.screening`` says how.

    Entries with an event rule or one of ``rules`` pass, unless their log-odds
    stay below ``min_log_odds``. An entry of fewer than
    ``short_words`` words and no summary, or with less than ``known_ratio`` of
    its letters in Latin script, cannot be judged by these words.
    """

    min_log_odds: Weight = -6.0
    rules: tuple[Name, ...] = ()
    short_words: int = Field(default=4, ge=0, le=20)
    fetch_short: bool = True
    known_ratio: float = Field(default=0.5, ge=0, le=1)
    fetch_unknown_script: bool = False


class PageGains(_Frozen):
    """The most that a page's text adds to the log-odds of its title and summary.

    By what stands anywhere on the page: no word of an event or of the trade, one of
    the two, or both. ``domain.page_gate`` goes by it. Measure again after a fit.
    """

    nothing: Weight = 1.0
    either: Weight = 2.5
    both: Weight = 5.0


class Lexicon(_Frozen):
    """``lexicon.yaml``: sets of words, rules over them, and weights.

    ``prior`` is added by hand to the log-odds of every text. Of several kinds (or
    statuses) that speak in the same field, the first of ``kind_order``
    (``status_order``) wins.
    """

    version: Literal[1]
    prior: Weight = 0.0
    screening: Screening = Screening()
    page_gains: PageGains = PageGains()
    signals: dict[Signal, Weight] = Field(default_factory=dict)
    kind_order: tuple[Kind, ...] = (
        "airdrop",
        "token_sale",
        "tokenomics",
        "listing",
        "token_launch",
    )
    status_order: tuple[Status, ...] = (
        "cancelled",
        "postponed",
        "rumour",
        "scheduled",
        "completed",
        "live",
        "announced",
    )
    everyday_names: tuple[Phrase, ...] = ()
    """One-word names that are also words of the language: they need crypto words nearby."""
    names: dict[NameSet, tuple[Phrase, ...]] = Field(default_factory=dict)
    sets: dict[Name, tuple[Phrase, ...]] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = Field(min_length=1)

    def used_sets(self) -> dict[str, tuple[str, ...]]:
        """Return the sets, of ``sets`` and ``names`` together, that a phrase refers to."""
        phrases = (phrase for rule in self.rules for phrase in rule.phrases)
        used = {element.set_name for phrase in phrases for element in parse_phrase(phrase)}
        return {name: entries for name, entries in self.all_sets().items() if name in used}

    def all_sets(self) -> dict[str, tuple[str, ...]]:
        """Return ``names`` and ``sets`` together: what ``<...>`` may refer to."""
        return {**{str(name): entries for name, entries in self.names.items()}, **self.sets}

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [rule.name for rule in self.rules]
        for twice in (name for name in names if names.count(name) > 1):
            raise ValueError(f"two rules are named {twice!r}: give each its own name")
        for unknown in set(self.screening.rules) - set(names):
            raise ValueError(f"screening names the rule {unknown!r}, which does not exist")
        return self

    @model_validator(mode="after")
    def _check_phrases(self) -> Self:
        known = self.all_sets()
        for rule in self.rules:
            for element in (part for phrase in rule.phrases for part in parse_phrase(phrase)):
                if element.set_name and element.set_name not in known:
                    raise ValueError(f"rule {rule.name!r}: there is no set <{element.set_name}>")
        return self
