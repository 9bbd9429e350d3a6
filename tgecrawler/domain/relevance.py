"""How likely a text is news of a token event of a named project, and why.

The score is the logistic function of a sum of weights, each of them a
``Reason``: the prior, one for every rule and field it matches in, and facts
about the whole record (``Signal``). Words and weights are the lexicon's.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.domain.matching import Span
from tgecrawler.domain.naming import Lists, Named, find_ticker, name_project
from tgecrawler.domain.reading import MAX_TITLE_CHARS, Part, Reader, Reading
from tgecrawler.domain.subjects import CompanyFinder, CompanyMatch, words_between
from tgecrawler.items import Assessment, Kind, Medium, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tgecrawler.domain.lexicon import Lexicon, Signal
    from tgecrawler.domain.watchlist import Watchlist

CODE_VERSION = "1"
"""Raise it when this module, ``matching``, ``naming`` or ``subjects`` judges differently."""

LEAD_WORDS = 150  # of summary and text, in which a company may still be the subject
NEAR_WORDS = 15  # between a company and an event there
PROMO_RULES = 2  # in a summary; one is enough in a headline
DIGEST_CHARS = 12


@dataclass(frozen=True, slots=True)
class Subject:
    """A watchlist company that a text is about, with the place that says so."""

    match: CompanyMatch
    part: Part


class Assessor:
    """Judges texts by a watchlist and a lexicon; immutable, and safe to share.

    Args:
        min_score: threshold of ``relevant``, from 0 to 1.
        discovery: also judge projects outside the watchlist relevant.

    Raises:
        ValueError: ``min_score`` is not between 0 and 1.
    """

    def __init__(
        self, watchlist: Watchlist, lexicon: Lexicon, *, min_score: float, discovery: bool = True
    ) -> None:
        if not 0 <= min_score <= 1:
            raise ValueError(f"min_score must be from 0 to 1, not {min_score}")
        self.min_score = min_score
        self.discovery = discovery
        self.lexicon = lexicon
        self._finder = CompanyFinder(watchlist, lexicon)
        self._lists = Lists.of(lexicon.all_sets())
        self._reader = Reader(lexicon, self._finder.names())
        self.rules_version = rules_version(
            watchlist, lexicon, min_score=min_score, discovery=discovery
        )

    def assess(
        self, title: str, summary: str = "", text: str = "", *, medium: Medium = "article"
    ) -> Assessment:
        """Return what is to be thought of a text; any strings will do, blank ones too."""
        reading = self.read(title, summary, text, medium=medium)
        subjects = self._subjects(reading)
        named = None if subjects else self._name_project(reading)
        token = self._token(reading)
        reasons = tuple(self._reasons(reading, subjects, named))
        score = logistic(sum(reason.weight for reason in reasons))
        project = _project(subjects, named, token)
        relevant = score >= self.min_score and bool(subjects or (self.discovery and project))
        kind = self._kind(reading) if relevant else "none"
        return Assessment(
            score=score,
            relevant=relevant,
            kind=kind,
            status=self._status(reading, kind) if relevant else "none",
            companies=tuple(dict.fromkeys(subject.match.company.name for subject in subjects)),
            project=project,
            token=token,
            promo=_is_promo(reading),
            reasons=reasons,
            missing=() if relevant else tuple(self._missing(reading, score, subjects, project)),
        )

    def read(self, title: str, summary: str, text: str, *, medium: Medium) -> Reading:
        """Return the parts of a record and every rule that matches in them."""
        return self._reader.read(title, summary, text, medium)

    def companies(self, reading: Reading) -> tuple[str, ...]:
        """Return every watchlist company that a record names, its subject or not."""
        matches = (m for part in reading.parts for m in self._matches(reading, part))
        return tuple(dict.fromkeys(match.company.name for match in matches))

    def _matches(self, reading: Reading, part: Part) -> list[CompanyMatch]:
        trade = reading.spans(part, "event", "context")
        if not trade and reading.of("event"):
            # "Fabric is here": another field says that this one speaks of the trade.
            trade = [Span(0, max(len(part.found.words), 1))]
        return self._finder.find(part.found, trade)

    def _subjects(self, reading: Reading) -> list[Subject]:
        """Return the companies that the record is about, the headline's first."""
        head = reading.parts[0]
        return [
            Subject(match, part)
            for part in reading.parts
            for match in self._matches(reading, part)
            if (part is head and reading.of("event"))
            or _is_near(match.span, reading.spans(part, "event"))
        ]

    def _name_project(self, reading: Reading) -> Named | None:
        for part in reading.parts:
            events = reading.spans(part, "event")
            if events or part is reading.parts[0]:
                named = name_project(part.found, events, self._lists)
                if named is not None:
                    return named
        return None

    def _token(self, reading: Reading) -> str:
        ticker = find_ticker([part.found for part in reading.parts], self._lists)
        return "" if ticker is None else ticker[0].words.phrase(ticker[1])

    def _reasons(
        self, reading: Reading, subjects: Sequence[Subject], named: Named | None
    ) -> Iterator[Reason]:
        head = reading.parts[0]
        yield Reason(rule="prior", weight=self.lexicon.prior, field=head.field)
        for hit in reading.hits:
            factor = hit.rule.fields.of(hit.part.role)
            yield _reason(hit.rule.name, hit.rule.weight * factor, hit.part, hit.spans[0])
        for signal in _signals(reading, named is not None):
            if weight := self.lexicon.signals.get(signal, 0.0):
                yield Reason(rule=signal, weight=weight, field=head.field)
        if subjects:
            named_out = [s for s in subjects if s.match.how != "symbol"]
            signal = "watchlist_subject" if named_out else "watchlist_symbol"
            best = (named_out or subjects)[0]
            weight = self.lexicon.signals.get(signal, 0.0)
            yield _reason(signal, weight, best.part, best.match.span)

    def _kind(self, reading: Reading) -> Kind:
        """Return the kind that speaks first: in the headline, else the summary, else the text."""
        for part in reading.parts:
            spoken = {hit.rule.kind for hit in reading.of("event", part)}
            for kind in self.lexicon.kind_order:
                if kind in spoken:
                    return kind
        return "token_launch"

    def _status(self, reading: Reading, kind: Kind) -> Status:
        for part in reading.parts:
            spoken = {hit.rule.status for hit in reading.hits if hit.part is part}
            for status in self.lexicon.status_order:
                if status in spoken:
                    return status
        return self.lexicon.usual_status.get(kind, "announced")

    def _missing(
        self, reading: Reading, score: float, subjects: Sequence[Subject], project: str
    ) -> Iterator[str]:
        if not any(hit.part.role != "text" for hit in reading.of("event")):
            yield "no event word in title or summary"
        if score < self.min_score:
            yield f"score {_below(score, self.min_score)} below {self.min_score:.2f}"
        if not self.discovery and not subjects:
            yield "no watchlist company is its subject"
        elif self.discovery and not (subjects or project):
            yield "no project could be named"


def rules_version(
    watchlist: Watchlist, lexicon: Lexicon, *, min_score: float, discovery: bool
) -> str:
    """Return a short hex digest that changes whenever a text may be judged differently."""
    rules = {
        "code": CODE_VERSION,
        "watchlist": watchlist.model_dump(mode="json"),
        "lexicon": lexicon.model_dump(mode="json"),
        "min_score": float(min_score),
        "discovery": discovery,
    }
    data = json.dumps(rules, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(data.encode("ascii")).hexdigest()[:DIGEST_CHARS]


def logistic(log_odds: float) -> float:
    """Return the probability that a sum of log-odds stands for, without overflow."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(max(log_odds, -700.0))
    return odds / (1.0 + odds)


def _signals(reading: Reading, project_named: bool) -> Iterator[Signal]:
    """Yield what is true of the record as a whole."""
    head = reading.parts[0]
    events, vetoes = reading.of("event", head), reading.of("veto", head)
    if not events:
        yield "no_event_in_headline"
    if not reading.of("event"):
        yield "no_event"
    if events and not vetoes:
        yield "event_without_veto"
    if len(events) > 1:
        yield "second_event"
    if len(vetoes) > 1:
        yield "second_veto"
    if "?" in head.found.words.text[:MAX_TITLE_CHARS]:
        yield "question"
    if reading.medium == "post":
        yield "post"
    if not (reading.of("context") or reading.of("event")):
        yield "no_context"
    if any(head.found.words.before(at) == "$" for at in range(len(head.found.words))):
        yield "cashtag"
    if project_named:
        yield "project_named"


def _is_near(span: Span, events: Sequence[Span]) -> bool:
    return span.start < LEAD_WORDS and any(
        words_between(span, event) <= NEAR_WORDS for event in events
    )


def _is_promo(reading: Reading) -> bool:
    rules = {hit.rule.name for hit in reading.of("promo")}
    return bool(reading.of("promo", reading.parts[0])) or len(rules) >= PROMO_RULES


def _project(subjects: Sequence[Subject], named: Named | None, token: str) -> str:
    if subjects:
        return subjects[0].match.company.name
    return named.text if named is not None else token


def _reason(rule: str, weight: float, part: Part, span: Span) -> Reason:
    start, end = part.found.words.place(span)
    return Reason(
        rule=rule,
        weight=weight,
        field=part.field,
        start=start,
        end=end,
        text=part.found.words.text[start:end],
    )


def _below(score: float, threshold: float) -> str:
    """Return a score with as many digits as it takes to see that it is below the threshold."""
    for digits in (2, 3, 4, 6):
        if round(score, digits) < round(threshold, digits):
            return f"{score:.{digits}f}"
    return repr(score)
