"""Fits the weights: logistic regressions over cues (scikit-learn).

Every number here was chosen by cross-validation on real records; after a
change, `make fit` prints the figures again.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from tgecrawler.domain.metrics import same_project, same_token
from tgecrawler.domain.weights import BIAS, Weights
from tgecrawler.fitting.dataset import count_groups, split_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tgecrawler.fitting.dataset import Example

Matrix = Any  # scipy.sparse.csr_matrix
Vector = Any  # numpy.ndarray of floats
WRITTEN = "written for the project: "
AS_GOOD = 0.003


@dataclass(frozen=True, slots=True)
class Settings:
    """How to fit. Scales say how easily a sort of cue takes weight; C is sklearn's.

    ``copy_scale`` gives records written for the project a second, private copy
    of each cue that takes up what is particular to them.
    """

    rule_scale: float = 0.25
    title_scale: float = 0.3
    body_scale: float = 0.15
    copy_scale: float = 0.2
    rule_groups: int = 3  # a cue must stand in so many groups
    title_groups: int = 3
    body_groups: int = 4
    regularisation_c: float = 10.0
    unsure_weight: float = 0.6
    written_weight: float = 0.2
    smallest: float = 0.02  # weights below are left out
    inner_folds: int = 5
    seed: int = 0


def fit_weights(examples: Sequence[Example], settings: Settings) -> Weights:
    """Return weights fitted on examples; the same ones for the same examples.

    Raises:
        ValueError: not both labels are there.
    """
    examples = [example for example in examples if _importance(example, settings) > 0]
    positives = [example for example in examples if example.record.tge]
    return Weights(
        relevance=_fit_relevance(examples, settings),
        kind=_fit_classes(positives, "kind", settings),
        status=_fit_classes(positives, "status", settings),
        project=_fit_names(positives, "project", settings),
        token=_fit_names(positives, "token", settings),
    )


def _fit_relevance(examples: Sequence[Example], settings: Settings) -> dict[str, float]:
    matrix, columns, scales = _cue_matrix(examples, settings)
    labels = np.array([example.record.tge for example in examples])
    weights = np.array([_importance(example, settings) for example in examples])
    threshold, slope = _threshold(examples, matrix, labels, weights, settings)
    model = _regression(settings).fit(matrix, labels, sample_weight=weights)
    fitted = {
        cue: slope * float(weight) * scale
        for cue, weight, scale in zip(columns, model.coef_[0], scales, strict=True)
        if not cue.startswith(WRITTEN)
    }
    kept = {cue: weight for cue, weight in fitted.items() if abs(weight) >= settings.smallest}
    return kept | {BIAS: slope * (float(model.intercept_[0]) - threshold)}


def _threshold(
    examples: Sequence[Example], matrix: Matrix, labels: Vector, weights: Vector, settings: Settings
) -> tuple[float, float]:
    """Return the log-odds that become a score of 0.5, and the slope that calibrates others.

    Out-of-fold scores of records found in the world decide: the threshold is
    half way between the best one for F1 over all of them and over those whose
    label is sure; the slope is Platt's (1999).
    """
    scores = _out_of_fold(
        [e.group for e in examples], matrix, labels, weights, _regression(settings), settings
    )
    found = np.array([not example.written for example in examples])
    sure = found & np.array([example.record.sure for example in examples])
    kept = [some for some in (found, sure) if labels[some].any() and not labels[some].all()]
    kept = kept or [np.ones(len(examples), dtype=bool)]
    threshold = sum(best_threshold(labels[some], scores[some]) for some in kept) / len(kept)
    found = kept[0]
    platt = LogisticRegression(C=1e6).fit(scores[found].reshape(-1, 1), labels[found])
    return threshold, float(platt.coef_[0][0])


def _out_of_fold(
    groups: Sequence[int],
    matrix: Matrix,
    labels: Vector,
    weights: Vector,
    model: LogisticRegression,
    settings: Settings,
) -> Vector:
    """Return what models that never saw a row's group make of it; 0 where none can be fitted."""
    folds = np.array(split_groups(groups, settings.inner_folds, settings.seed + 1))
    scores = np.zeros(len(labels))
    for fold in range(settings.inner_folds):
        inside = folds != fold
        if inside.all() or len(set(labels[inside])) < 2:
            continue
        model.fit(matrix[inside], labels[inside], sample_weight=weights[inside])
        scores[~inside] = model.decision_function(matrix[~inside])
    return scores


def best_threshold(labels: Vector, scores: Vector) -> float:
    """Return the middle of the thresholds whose F1 is as good as the highest.

    As good is within `AS_GOOD`, a quarter of the sampling error of F1 over a
    thousand positives: the single highest one would follow chance.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(labels) + 1) + labels.sum())
    good = np.flatnonzero(f1 >= f1.max() - AS_GOOD)
    best = int(np.argmax(f1))
    near = good[np.abs(good - best) <= len(labels) // 20]
    last = min(int(near[-1]) + 1, len(labels) - 1)
    return float(scores[order][near[0]] + scores[order][last]) / 2


def _importance(example: Example, settings: Settings) -> float:
    weight = example.record.weight
    if not example.record.sure:
        weight *= settings.unsure_weight
    return weight * settings.written_weight if example.written else weight


def _cue_matrix(
    examples: Sequence[Example], settings: Settings
) -> tuple[Matrix, list[str], list[float]]:
    """Return examples by cues, the cues' names, and their scales."""
    groups = count_groups(examples)
    kept = {cue for cue, count in groups.items() if count >= _sort(cue, settings)[1]}
    columns = {cue: at for at, cue in enumerate(sorted(kept))}
    copies = {
        cue: len(columns) + at
        for at, cue in enumerate(sorted({c for e in examples if e.written for c in e.cues} & kept))
    }
    names = [*columns, *(WRITTEN + cue for cue in copies)]
    scales = [_sort(cue, settings)[0] for cue in columns]
    scales += [_sort(cue, settings)[0] * settings.copy_scale for cue in copies]
    rows = [
        [columns[cue] for cue in example.cues if cue in columns]
        + [copies[cue] for cue in example.cues if example.written and cue in copies]
        for example in examples
    ]
    return _binary(rows, scales), names, scales


def _sort(cue: str, settings: Settings) -> tuple[float, int]:
    if cue.startswith("title: "):
        return settings.title_scale, settings.title_groups
    if cue.startswith("body: "):
        return settings.body_scale, settings.body_groups
    return settings.rule_scale, settings.rule_groups


def _binary(rows: Sequence[Sequence[int]], scales: Sequence[float]) -> Matrix:
    """Return a matrix whose row i holds, in the columns of ``rows[i]``, their scales."""
    pointers = np.cumsum([0, *map(len, rows)])
    indices = np.array([column for row in rows for column in row], dtype=np.int32)
    data = np.asarray(scales, dtype=np.float64)[indices]
    return sparse.csr_matrix((data, indices, pointers), shape=(len(rows), len(scales)))


def _regression(settings: Settings, **kwargs: Any) -> LogisticRegression:
    return LogisticRegression(
        **{"C": settings.regularisation_c, "class_weight": "balanced", "max_iter": 3000, **kwargs}
    )


def _fit_classes(
    positives: Sequence[Example], label: str, settings: Settings
) -> dict[str, dict[str, float]]:
    """Return weights of a multinomial regression over rules, headline and the rules' own answer."""
    known = [example for example in positives if getattr(example.record, label) != "none"]
    cues = [_class_cues(example, label) for example in known]
    counts = Counter(cue for row in cues for cue in set(row))
    columns = {cue: at for at, cue in enumerate(sorted(c for c, n in counts.items() if n >= 4))}
    scales = [1.5 if cue.startswith("rules=") else _sort(cue, settings)[0] for cue in columns]
    rows = [[columns[cue] for cue in row if cue in columns] for row in cues]
    answers = [getattr(example.record, label) for example in known]
    weights = [_importance(example, settings) for example in known]
    if len(set(answers)) < 2 or not columns:
        return {}
    model = _regression(settings, C=3.0, class_weight=None).fit(
        _binary(rows, scales), answers, sample_weight=weights
    )
    return _by_class(model, columns, scales, settings)


def _class_cues(example: Example, label: str) -> list[str]:
    rules = example.rules_kind if label == "kind" else example.rules_status
    return [f"rules={rules}", *(cue for cue in example.cues if not cue.startswith("body: "))]


def _by_class(
    model: LogisticRegression, columns: Iterable[str], scales: Sequence[float], settings: Settings
) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = defaultdict(dict)
    names = [str(name) for name in model.classes_]
    coefficients = model.coef_ if len(names) > 2 else np.vstack([-model.coef_, model.coef_])
    biases = model.intercept_ if len(names) > 2 else [-model.intercept_[0], model.intercept_[0]]
    for name, bias, row in zip(names, biases, coefficients, strict=True):
        table[BIAS][name] = float(bias)
        for cue, weight, scale in zip(columns, row, scales, strict=True):
            if abs(weight * scale) >= settings.smallest * 2:
                table[cue][name] = float(weight * scale)
    return dict(table)


def _fit_names(positives: Sequence[Example], label: str, settings: Settings) -> dict[str, float]:
    """Return weights that tell the candidates that a label names from the others.

    The bias is such that a sum above 0 is worth giving as an answer.
    """
    known = [example for example in positives if example.candidates]
    rows = [cues for example in known for _, cues in example.candidates]
    answers = np.array([_is_named(e, c.text, label) for e in known for c, _ in e.candidates])
    if not answers.any() or answers.all():
        return {}
    owners = np.array([at for at, e in enumerate(known) for _ in e.candidates])
    counts = Counter(cue for row in rows for cue in row)
    columns = {cue: at for at, cue in enumerate(sorted(c for c, n in counts.items() if n >= 5))}
    indexed = [[columns[cue] for cue in row if cue in columns] for row in rows]
    matrix = _binary(indexed, [1.0] * len(columns))
    weights = np.array([_importance(known[owner], settings) for owner in owners])
    threshold = _name_threshold(known, owners, matrix, answers, weights, label, settings)
    model = _name_regression(settings).fit(matrix, answers, sample_weight=weights)
    fitted = {cue: float(weight) for cue, weight in zip(columns, model.coef_[0], strict=True)}
    kept = {cue: weight for cue, weight in fitted.items() if abs(weight) >= settings.smallest}
    return kept | {BIAS: float(model.intercept_[0]) - threshold}


def _is_named(example: Example, text: str, label: str) -> bool:
    wanted = getattr(example.record, label)
    return bool(wanted) and (same_project if label == "project" else same_token)(wanted, text)


def _name_regression(settings: Settings) -> LogisticRegression:
    return _regression(settings, C=0.1, class_weight=None)


def _name_threshold(
    known: Sequence[Example],
    owners: Vector,
    matrix: Matrix,
    answers: Vector,
    weights: Vector,
    label: str,
    settings: Settings,
) -> float:
    """Return the log-odds from which giving the best candidate is right more often than not.

    Out of fold: of all thresholds the one with the most right answers, an empty
    answer being right where the label is empty.
    """
    scores = _out_of_fold(
        [known[owner].group for owner in owners],
        matrix,
        answers,
        weights,
        _name_regression(settings),
        settings,
    )
    best: dict[int, int] = {}
    for at, owner in enumerate(owners):
        if owner not in best or scores[at] > scores[best[owner]]:
            best[owner] = at
    tops = [(scores[at], bool(answers[at]), owner) for owner, at in best.items()]
    tops.sort(reverse=True)
    empty = {at for at, example in enumerate(known) if not getattr(example.record, label)}
    right = len(empty)  # while nothing is answered
    most, threshold = right, 0.0
    for score, hit, owner in tops:
        right += int(hit) - int(owner in empty)
        if right > most:
            most, threshold = right, float(score) - 1e-6
    return threshold


def calibration(pairs: Iterable[tuple[float, bool]], bins: int = 10) -> list[Mapping[str, float]]:
    """Return for each bin of scores: mean score, share of positives, number."""
    table: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for score, label in pairs:
        table[min(bins - 1, math.floor(score * bins))].append((score, label))
    return [
        {
            "score": sum(score for score, _ in rows) / len(rows),
            "positive": sum(label for _, label in rows) / len(rows),
            "records": len(rows),
        }
        for _, rows in sorted(table.items())
    ]
