"""How well assessments agree with labelled records: what ``scrapy evaluate`` prints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tgecrawler.domain.dates import parse_date
from tgecrawler.items import KINDS, STATUSES, Assessment, Kind, Medium, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tgecrawler.domain.relevance import Assessor

_T = TypeVar("_T")
_MEDIA: dict[str, Medium] = {"article": "article", "tweet": "post", "post": "post"}
_TEXTS = ("title", "summary", "text", "source", "url", "published", "project", "token", "date")
_KINDS: dict[str, Kind] = {kind: kind for kind in KINDS}
_STATUSES: dict[str, Status] = {status: status for status in STATUSES}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRecord:
    """One line of a labelled file. ``event`` and ``dup_of`` are "" where it has none.

    ``weight`` is what the record counts for when weights are fitted, from 0 on.
    """

    id: str
    medium: Medium = "article"
    source: str = ""
    url: str = ""
    published: str = ""
    title: str = ""
    summary: str = ""
    text: str = ""
    tge: bool
    kind: Kind = "none"
    status: Status = "none"
    project: str = ""
    token: str = ""
    date: str = ""
    promo: bool = False
    sure: bool = True
    event: str = ""
    dup_of: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """Counts and ratios; a ratio over nothing is 0.0. The accuracies are over true positives.

    A project is right where one of label and answer contains the other, case
    folded: with an empty label every answer is right, while an empty answer to
    a label that names one is wrong. ``project_named_accuracy`` leaves empty
    labels out. A token is right where they are equal without ``$``.
    """

    records: int
    positives: int
    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float
    f1_sure: float
    kind_accuracy: float
    status_accuracy: float
    project_accuracy: float
    token_accuracy: float
    project_named_accuracy: float

    def as_dict(self) -> dict[str, int | float]:
        """Return the report under its contract's keys, in their order."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class _Counts:
    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def parse_labelled(line: str) -> LabelledRecord:
    """Return the record of one JSON line. Unknown keys are left aside.

    ``medium`` is ``article`` (taken where it is missing), ``tweet`` or ``post``;
    a blank kind or status counts as ``none``.

    Raises:
        ValueError: not a JSON object; a missing ``id`` or ``tge``, or neither
            title, summary nor text; or a value of the wrong sort, named.
    """
    record = _load_object(line)
    missing = [key for key in ("id", "tge") if record.get(key) is None]
    if not any(str(record.get(key) or "").strip() for key in ("title", "summary", "text")):
        missing.append("title, summary or text")
    if missing:
        raise ValueError(f"a labelled record lacks {' and '.join(missing)}")
    texts = {key: _text(record, key) for key in (*_TEXTS, "event", "dup_of")}
    return LabelledRecord(
        id=str(record["id"]),
        medium=_one_of(_MEDIA, record, "medium", "article"),
        tge=_flag(record, "tge", False),
        kind=_one_of(_KINDS, record, "kind", "none"),
        status=_one_of(_STATUSES, record, "status", "none"),
        promo=_flag(record, "promo", False),
        sure=_flag(record, "sure", True),
        weight=_number(record, "weight", 1.0),
        **texts,
    )


def assess_record(assessor: Assessor, record: LabelledRecord) -> Assessment:
    """Return the assessment of a labelled record."""
    return assessor.assess(
        record.title,
        record.summary,
        record.text,
        medium=record.medium,
        published_at=parse_date(record.published),
        url=record.url,
    )


def evaluate(pairs: Iterable[tuple[LabelledRecord, Assessment]]) -> EvaluationReport:
    """Return how well assessments agree with labels; no pairs give zeros."""
    kept = list(pairs)
    counts = _count(kept)
    found = [(label, answer) for label, answer in kept if label.tge and answer.relevant]
    return EvaluationReport(
        records=len(kept),
        positives=counts.tp + counts.fn,
        tp=counts.tp,
        fp=counts.fp,
        fn=counts.fn,
        precision=counts.precision,
        recall=counts.recall,
        f1=counts.f1,
        f1_sure=_count([pair for pair in kept if pair[0].sure]).f1,
        kind_accuracy=_share(label.kind == answer.kind for label, answer in found),
        status_accuracy=_share(label.status == answer.status for label, answer in found),
        project_accuracy=_share(same_project(label.project, a.project) for label, a in found),
        project_named_accuracy=_share(
            same_project(label.project, answer.project)
            for label, answer in found
            if label.project.strip()
        ),
        token_accuracy=_share(same_token(label.token, answer.token) for label, answer in found),
    )


def same_project(label: str, answer: str) -> bool:
    """Return whether one name contains the other, case folded; no answer to a name is wrong."""
    one, other = label.strip().casefold(), answer.strip().casefold()
    return one in other or bool(other and other in one)


def same_token(label: str, answer: str) -> bool:
    """Return whether two tokens are equal without ``$`` and case."""
    return _bare(label) == _bare(answer)


def _bare(token: str) -> str:
    return token.strip().lstrip("$").casefold()


def _count(pairs: Iterable[tuple[LabelledRecord, Assessment]]) -> _Counts:
    verdicts = [(label.tge, answer.relevant) for label, answer in pairs]
    return _Counts(
        tp=verdicts.count((True, True)),
        fp=verdicts.count((False, True)),
        fn=verdicts.count((True, False)),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _share(hits: Iterable[bool]) -> float:
    kept = list(hits)
    return _ratio(sum(kept), len(kept))


def _load_object(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a line of JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError("a labelled record is a JSON object")
    return record


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a string, not {value!r:.40}")
    return value


def _flag(record: dict[str, Any], key: str, default: bool) -> bool:
    value = record.get(key, default)
    if value not in (True, False):  # 0 and 1 count
        raise ValueError(f"{key} must be true or false, not {value!r:.40}")
    return bool(value)


def _number(record: dict[str, Any], key: str, default: float) -> float:
    value = record.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError(f"{key} must be a number from 0 to 100, not {value!r:.40}")
    return float(value)


def _one_of(table: dict[str, _T], record: dict[str, Any], key: str, default: str) -> _T:
    value = record.get(key) or default
    if not isinstance(value, str) or value not in table:
        raise ValueError(f"{key} must be one of {', '.join(table)}, not {value!r:.40}")
    return table[value]
