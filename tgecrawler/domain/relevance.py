"""How likely a text is news of a token event of a named project, and why.

The score is the logistic function of a sum of weights, each of them a
``Reason``: the prior, and one for every cue of the record (``cues``) that has
a weight. What is a cue, the lexicon says; what it counts for is fitted
(``weights``), and the lexicon may add to it by hand.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from tgecrawler.domain.candidates import Names
from tgecrawler.domain.cues import cue_names, find_cues
from tgecrawler.domain.details import Surroundings, find_details
from tgecrawler.domain.entities import Places
from tgecrawler.domain.naming import Describer, Named, best_candidate
from tgecrawler.domain.reading import Part, Reader, Reading
from tgecrawler.domain.shapes import Shaper, is_shouting
from tgecrawler.domain.subjects import CompanyFinder, CompanyMatch, bears_symbol, words_between
from tgecrawler.domain.weights import BIAS, Weights, best_class
from tgecrawler.items import Assessment, Kind, Medium, Reason, Status, TextField

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tgecrawler.domain.cues import Cue
    from tgecrawler.domain.lexicon import Lexicon, Signal
    from tgecrawler.domain.matching import Found, Span
    from tgecrawler.domain.subjects import Spellings
    from tgecrawler.domain.watchlist import Watchlist

CODE_VERSION = "2"
"""Raise it when this module or one that it is built on judges differently."""

LEAD_WORDS = 150  # of summary and text, in which a company may still be the subject
NEAR_WORDS = 15  # between a company and an event there
PROMO_RULES = 2  # in a summary; one is enough in a headline
DIGEST_CHARS = 12
_TOKEN_WORDS = frozenset({"token", "tokens", "coin", "coins", "airdrop", "claims", "tokenomics"})


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
        self,
        watchlist: Watchlist,
        lexicon: Lexicon,
        weights: Weights | None = None,
        *,
        min_score: float,
        discovery: bool = True,
    ) -> None:
        if not 0 <= min_score <= 1:
            raise ValueError(f"min_score must be from 0 to 1, not {min_score}")
        self.min_score = min_score
        self.discovery = discovery
        self.lexicon = lexicon
        self.weights = weights or Weights()
        sets = lexicon.all_sets()
        self.names = Names.of(sets)
        self.shaper = Shaper(sets)
        self._places = Places.of(sets)
        self._finder = CompanyFinder(watchlist, lexicon)
        self._reader = Reader(lexicon, self._finder.names())
        self._relevance = _with_hand_weights(self.weights.relevance, lexicon)
        self.rules_version = rules_version(
            watchlist, lexicon, self.weights, min_score=min_score, discovery=discovery
        )

    def assess(
        self,
        title: str,
        summary: str = "",
        text: str = "",
        *,
        medium: Medium = "article",
        published_at: datetime | None = None,
        url: str = "",
        links: Sequence[tuple[str, str]] = (),
    ) -> Assessment:
        """Return what is to be thought of a text; any strings will do, blank ones too.

        Args:
            published_at: what "tomorrow" and a date without a year are counted from.
            url: the record's own address; a claim link leads elsewhere.
            links: absolute addresses on its page, each with the words it stands on.
        """
        reading = self.read(title, summary, text, medium=medium)
        subjects = self._subjects(reading)
        cues = find_cues(reading, self.shaper)
        reasons = (*self._reasons(reading, cues), *self._signals(reading, subjects))
        score = logistic(sum(reason.weight for reason in reasons))
        likely = score >= self.min_score
        project, token = self._named(reading, subjects) if likely else ("", "")
        namesake = "" if subjects else self._namesake(reading)
        found = bool(subjects) or (self.discovery and bool(project) and not namesake)
        relevant = likely and found
        missing = () if relevant else tuple(self._missing(reading, score, subjects, project))
        if namesake and not relevant:
            missing += (f"nothing is said of crypto, so {namesake} is not the company",)
        if not relevant:
            return Assessment(
                score=score,
                relevant=False,
                companies=_company_names(subjects),
                project=project,
                token=token,
                promo=_is_promo(reading),
                reasons=reasons,
                missing=missing,
            )
        kind = self._kind(reading, cues)
        domains = subjects[0].match.company.domains if subjects else ()
        around = Surroundings(published_at=published_at, url=url, links=links, domains=domains)
        details = find_details(reading, kind, project, around, self._places)
        return Assessment(
            score=score,
            relevant=True,
            kind=kind,
            status=self._status(reading, cues),
            companies=_company_names(subjects),
            project=project,
            token=token,
            event_date=details.event_date,
            event_date_precision=details.event_date_precision,
            chain=details.chain,
            exchange=details.exchange,
            claim_url=details.claim_url,
            claim_url_official=details.claim_url_official,
            promo=_is_promo(reading),
            reasons=(reasons[0], *details.evidence, *reasons[1:]),
        )

    def read(self, title: str, summary: str, text: str, *, medium: Medium) -> Reading:
        """Return the parts of a record and every rule that matches in them."""
        return self._reader.read(title, summary, text, medium)

    def spellings(self) -> Spellings:
        """Return everything under which a watchlist company may stand in a text."""
        return self._finder.spellings()

    def may_name_company(self, reading: Reading) -> bool:
        """Return whether a name, a handle or a ticker of the watchlist stands in a record."""
        return any(self._finder.may_stand_in(part.found) for part in reading.parts)

    def companies(self, reading: Reading) -> tuple[str, ...]:
        """Return every watchlist company that a record names, its subject or not."""
        signs = self._signs_of_crypto(reading)
        matches = (m for part in reading.parts for m in self._matches(reading, part, signs))
        return tuple(dict.fromkeys(match.company.name for match in matches))

    def _matches(self, reading: Reading, part: Part, signs: int) -> list[CompanyMatch]:
        trade = reading.spans(part, "event", "context", "crypto")
        return self._finder.find(part.found, trade, signs)

    def _subjects(self, reading: Reading) -> list[Subject]:
        """Return the companies that the record is about, the headline's first."""
        if not self.may_name_company(reading):
            return []
        head = reading.parts[0]
        signs = self._signs_of_crypto(reading)
        spoken_of = bool(signs or reading.of("event") or reading.of("context"))
        return [
            Subject(match, part)
            for part in reading.parts
            for match in self._matches(reading, part, signs)
            if (part is head and (spoken_of or _is_plain(match, part)))
            or _is_near(match.span, reading.spans(part, "event"))
        ]

    def _namesake(self, reading: Reading) -> str:
        """Return an everyday word that is a company's name too, in a record without crypto."""
        if not any(part.found.names for part in reading.parts) or self._signs_of_crypto(reading):
            return ""
        parts = ((part.found, self._finder.namesakes(part.found)) for part in reading.parts)
        return next((found.words.phrase(spans[0]) for found, spans in parts if spans), "")

    def _signs_of_crypto(self, reading: Reading) -> int:
        """Return how often a record says what is said of crypto alone."""
        spans = sum(len(hit.spans) for hit in reading.of("crypto"))
        return spans + any(_names_ticker(part.found, self.names) for part in reading.parts)

    def log_odds(self, reading: Reading) -> float:
        """Return what the cues of a record sum to, without its watchlist."""
        weights = self._relevance
        names = cue_names(reading, self.shaper)
        return weights.get(BIAS, 0.0) + sum([weights.get(name, 0.0) for name in names])

    def _named(self, reading: Reading, subjects: Sequence[Subject]) -> tuple[str, str]:
        """Return the project and the token that a record is about, "" for unknown."""
        described = Describer(reading, self.names).described()
        token = best_candidate(described, self.weights.token)
        symbol = token.candidate.text if token and token.log_odds > 0 else ""
        if subjects:
            return subjects[0].match.company.name, symbol
        project = best_candidate(described, self.weights.project)
        return _project_name(project) or symbol, symbol

    def _reasons(self, reading: Reading, cues: Sequence[Cue]) -> Iterator[Reason]:
        head = reading.parts[0]
        yield Reason(rule="prior", weight=self._relevance.get(BIAS, 0.0), field=head.field)
        for cue in cues:
            if weight := self._relevance.get(cue.name):
                yield _reason(cue.name, weight, cue.part or head, cue.span)

    def _signals(self, reading: Reading, subjects: Sequence[Subject]) -> Iterator[Reason]:
        """Yield what is told by hand: the watchlist has no labels to fit its weight on."""
        if subjects:
            named_out = [s for s in subjects if s.match.how != "symbol"]
            best = (named_out or subjects)[0]
            signal: Signal = "watchlist_subject" if named_out else "watchlist_symbol"
            yield from self._signal(signal, best.part, best.match.span)

    def _signal(self, signal: Signal, part: Part, span: Span | None) -> Iterator[Reason]:
        if weight := self.lexicon.signals.get(signal, 0.0):
            yield _reason(signal, weight, part, span)

    def _kind(self, reading: Reading, cues: Sequence[Cue]) -> Kind:
        spoken = self.spoken_kind(reading)
        fitted = best_class(self.weights.kind, (f"rules={spoken}", *(cue.name for cue in cues)))
        return cast("Kind", fitted) if fitted else spoken

    def _status(self, reading: Reading, cues: Sequence[Cue]) -> Status:
        spoken = self.spoken_status(reading)
        names = (f"rules={spoken}", *(cue.name for cue in cues))
        fitted = best_class(self.weights.status, names)
        if fitted:
            return cast("Status", fitted)
        return spoken if spoken != "none" else "announced"

    def spoken_kind(self, reading: Reading) -> Kind:
        """Return the kind that speaks first: in the headline, else the summary, else the text."""
        for part in reading.parts:
            spoken = {hit.rule.kind for hit in reading.of("event", part)}
            for kind in self.lexicon.kind_order:
                if kind in spoken:
                    return kind
        return "token_launch"

    def spoken_status(self, reading: Reading) -> Status:
        """Return the status that speaks first, "none" where none does."""
        for part in reading.parts:
            spoken = {hit.rule.status for hit in reading.hits if hit.part is part}
            for status in self.lexicon.status_order:
                if status in spoken:
                    return status
        return "none"

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
    watchlist: Watchlist,
    lexicon: Lexicon,
    weights: Weights,
    *,
    min_score: float,
    discovery: bool,
) -> str:
    """Return a short hex digest that changes whenever a text may be judged differently."""
    rules = {
        "code": CODE_VERSION,
        "watchlist": watchlist.model_dump(mode="json"),
        "lexicon": lexicon.model_dump(mode="json"),
        "weights": hashlib.sha256("\n".join(weights.lines()).encode()).hexdigest(),
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


def _with_hand_weights(fitted: Mapping[str, float], lexicon: Lexicon) -> dict[str, float]:
    """Return the fitted weights with what the lexicon adds to them."""
    weights = dict(fitted)
    weights[BIAS] = weights.get(BIAS, 0.0) + lexicon.prior
    for rule in lexicon.rules:
        for role in get_args(TextField):
            if added := rule.weight * rule.fields.of(role):
                cue = f"{rule.name}@{role}"
                weights[cue] = weights.get(cue, 0.0) + added
    return weights


def _is_plain(match: CompanyMatch, part: Part) -> bool:
    """Return whether a company is meant beyond doubt: by its handle, or with its ticker."""
    return match.how == "handle" or bears_symbol(part.found, match.company)


def _names_ticker(found: Found, names: Names) -> bool:
    """Return whether a ticker stands beside a token word: "$CAL", "its ERA token"."""
    words = found.words
    for at in range(min(len(words), LEAD_WORDS)):
        if words.before(at) == "$" and words.written(at)[0].isalpha():
            return True
        beside = at + 1 < len(words) and words.folded[at + 1] in _TOKEN_WORDS
        if beside and words.written(at).isupper() and words.folded[at] not in names.not_tickers:
            return len(words.written(at)) > 1 and not is_shouting(words)
    return False


def _is_near(span: Span, events: Sequence[Span]) -> bool:
    return span.start < LEAD_WORDS and any(
        words_between(span, event) <= NEAR_WORDS for event in events
    )


def _is_promo(reading: Reading) -> bool:
    rules = {hit.rule.name for hit in reading.of("promo")}
    return bool(reading.of("promo", reading.parts[0])) or len(rules) >= PROMO_RULES


def _company_names(subjects: Sequence[Subject]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subject.match.company.name for subject in subjects))


def _project_name(project: Named | None) -> str:
    return project.candidate.text if project is not None else ""


def _reason(rule: str, weight: float, part: Part, span: Span | None) -> Reason:
    words = part.found.words
    if span is None or span.start >= len(words):
        return Reason(rule=rule, weight=weight, field=part.field)
    start = words.starts[span.start]
    end = words.ends[max(min(span.end, len(words)), span.start + 1) - 1]
    return Reason(
        rule=rule, weight=weight, field=part.field, start=start, end=end, text=words.text[start:end]
    )


def _below(score: float, threshold: float) -> str:
    """Return a score with as many digits as it takes to see that it is below the threshold."""
    for digits in (2, 3, 4, 6):
        if round(score, digits) < round(threshold, digits):
            return f"{score:.{digits}f}"
    return repr(score)
