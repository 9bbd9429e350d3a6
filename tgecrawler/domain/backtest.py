"""What other rules would change: the alerts that known texts gain and lose by them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.metrics import EvaluationReport, LabelledRecord, evaluate
from tgecrawler.domain.screening import Screen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tgecrawler.domain.relevance import Assessor
    from tgecrawler.items import Assessment, Kind, Medium

MOST_CUES = 5  # of one alert; what follows them changes little
LEAST_CHANGE = 1e-9  # of a weight, or of an F1; smaller ones are rounding
HELD_BACK = "title and summary are not worth its page"
TITLE_CHARS = 120  # of a text that stands in for a title


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to judge, with all that `Assessor.assess` asks.

    ``screened``: a source told its title, so that a crawl goes on only where
    title and summary are worth it. ``label`` is None where nobody labelled it.
    """

    title: str = ""
    summary: str = ""
    text: str = ""
    medium: Medium = "article"
    url: str = ""
    published_at: datetime | None = None
    links: tuple[tuple[str, str], ...] = ()
    screened: bool = False
    label: LabelledRecord | None = None

    @property
    def heading(self) -> str:
        """The title, or how the text begins where it has none; one line."""
        if title := " ".join(self.title.split()):
            return title
        return " ".join((self.summary.strip() or self.text).split())[:TITLE_CHARS]


class CueChange(NamedTuple):
    """A cue and its weight in log-odds under both rules, 0.0 where it was not found."""

    cue: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An alert gained or lost: a text that the two rules judge differently."""

    text: Text
    before: Assessment
    after: Assessment

    @property
    def gained(self) -> bool:
        """Whether only the new rules make it an alert."""
        return self.after.relevant

    @property
    def kind(self) -> Kind:
        """The kind of the alert, by the rules that make it one."""
        return self.after.kind if self.gained else self.before.kind

    @property
    def missing(self) -> tuple[str, ...]:
        """What it lacks, by the rules under which it is no alert."""
        return self.before.missing if self.gained else self.after.missing

    @property
    def right(self) -> bool | None:
        """Whether the new rules agree with the label; None without one."""
        return None if self.text.label is None else self.text.label.tge == self.after.relevant

    def cues(self) -> tuple[CueChange, ...]:
        """Return the cues whose weight changed most, the largest change first."""
        before, after = _weights(self.before), _weights(self.after)
        changes = (
            CueChange(cue, before.get(cue, 0.0), after.get(cue, 0.0)) for cue in before | after
        )
        moved = [cue for cue in changes if abs(cue.after - cue.before) > LEAST_CHANGE]
        moved.sort(key=lambda cue: (-abs(cue.after - cue.before), cue.cue))
        return tuple(moved[:MOST_CUES])

    def as_dict(self) -> dict[str, Any]:
        """Return what is shown of it; ``right`` is null without a label."""
        return {
            "title": self.text.heading,
            "url": self.text.url,
            "kind": self.kind,
            "score_before": self.before.score,
            "score_after": self.after.score,
            "right": self.right,
            "missing": list(self.missing),
            "cues": [cue._asdict() for cue in self.cues()],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """How one set of rules fares; ``report`` is None where nothing is labelled."""

    rules_version: str
    alerts: int
    report: EvaluationReport | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return version and alerts, and the figures of the report beside them."""
        figures = self.report.as_dict() if self.report else {}
        return {"rules_version": self.rules_version, "alerts": self.alerts, **figures}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What `compare` returns; of gained and lost, the largest change of score first."""

    texts: int
    before: Side
    after: Side
    gained: tuple[Change, ...] = ()
    lost: tuple[Change, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any alert was gained or lost."""
        return bool(self.gained or self.lost)

    @property
    def f1_change(self) -> float:
        """By how much F1 rose; 0.0 within rounding, and where nothing is labelled."""
        if self.before.report is None or self.after.report is None:
            return 0.0
        change = self.after.report.f1 - self.before.report.f1
        return change if abs(change) > LEAST_CHANGE else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as ``scrapy backtest --json`` prints it."""
        return {
            "texts": self.texts,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "gained": [change.as_dict() for change in self.gained],
            "lost": [change.as_dict() for change in self.lost],
        }


def compare(texts: Iterable[Text], before: Assessor, after: Assessor) -> Comparison:
    """Return what changes where `after` judges instead of `before`.

    Texts are taken one by one; only those that changed are kept.
    """
    old, new = _Judge(before), _Judge(after)
    count = 0
    changes: list[Change] = []
    for text in texts:
        count += 1
        change = Change(text=text, before=old.judge(text), after=new.judge(text))
        if change.before.relevant != change.after.relevant:
            changes.append(change)
    changes.sort(key=_by_size)
    return Comparison(
        texts=count,
        before=old.side(),
        after=new.side(),
        gained=tuple(change for change in changes if change.gained),
        lost=tuple(change for change in changes if not change.gained),
    )


def text_of(record: LabelledRecord) -> Text:
    """Return the text of a labelled record; it is judged as ``scrapy evaluate`` judges it."""
    return Text(
        title=record.title,
        summary=record.summary,
        text=record.text,
        medium=record.medium,
        url=record.url,
        published_at=parse_date(record.published),
        label=record,
    )


class _Judge:
    """One set of rules: judges texts as a crawl does, and keeps count."""

    def __init__(self, assessor: Assessor) -> None:
        self._assessor = assessor
        self._screen = Screen(assessor)
        self._alerts = 0
        self._labelled: list[tuple[LabelledRecord, Assessment]] = []

    def judge(self, text: Text) -> Assessment:
        """Return the assessment of a text; of a labelled one, it is remembered."""
        assessment = self._assess(text)
        if assessment.relevant and text.screened and not self._is_worth_fetching(text):
            assessment = replace(assessment, relevant=False, missing=(HELD_BACK,))
        self._alerts += assessment.relevant
        if text.label is not None:
            self._labelled.append((text.label, replace(assessment, reasons=(), missing=())))
        return assessment

    def side(self) -> Side:
        """Return how it fared so far."""
        report = evaluate(self._labelled) if self._labelled else None
        return Side(rules_version=self._assessor.rules_version, alerts=self._alerts, report=report)

    def _assess(self, text: Text) -> Assessment:
        return self._assessor.assess(
            text.title,
            text.summary,
            text.text,
            medium=text.medium,
            published_at=text.published_at,
            url=text.url,
            links=text.links,
        )

    def _is_worth_fetching(self, text: Text) -> bool:
        return self._screen.screen(text.title, text.summary).worth_fetching


def _weights(assessment: Assessment) -> dict[str, float]:
    weights: dict[str, float] = defaultdict(float)
    for reason in assessment.reasons:
        weights[reason.rule] += reason.weight
    return weights


def _by_size(change: Change) -> tuple[float, str, str]:
    size = abs(change.after.score - change.before.score)
    return -size, change.text.heading, change.text.url
