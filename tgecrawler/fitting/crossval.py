"""What fitted weights are worth: nested cross-validation, grouped by project.

Whatever is fitted or chosen (weights, vocabulary, threshold, slope) is fitted
and chosen again without the tested fold; no project and no story is in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tgecrawler.domain.metrics import assess_record, evaluate
from tgecrawler.fitting.dataset import portion, split_groups
from tgecrawler.fitting.train import fit_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tgecrawler.domain.metrics import LabelledRecord
    from tgecrawler.domain.relevance import Assessor
    from tgecrawler.domain.weights import Weights
    from tgecrawler.fitting.dataset import Example
    from tgecrawler.fitting.train import Settings
    from tgecrawler.items import Assessment

Judged = list[tuple["LabelledRecord", "Assessment"]]


def cross_validate(
    examples: Sequence[Example],
    tested: Callable[[Example], bool],
    assessor_with: Callable[[Weights], Assessor],
    settings: Settings,
    *,
    folds: int = 10,
    share: float = 1.0,
) -> Judged:
    """Return every tested record with what weights think that never saw its group.

    Args:
        tested: which examples are judged; the others only ever help to fit.
        assessor_with: makes an assessor of weights, with discovery on.
        share: of the groups outside the tested fold to fit on.
    """
    fold_of = split_groups([example.group for example in examples], folds, settings.seed)
    judged: Judged = []
    for fold in range(folds):
        inside = [e for e, of in zip(examples, fold_of, strict=True) if of != fold]
        outside = [e for e, of in zip(examples, fold_of, strict=True) if of == fold and tested(e)]
        if share < 1:
            inside = portion(inside, share, settings.seed + fold)
        assessor = assessor_with(fit_weights(inside, settings))
        judged += [(example.record, assess_record(assessor, example.record)) for example in outside]
    return judged


def held_out(
    examples: Sequence[Example],
    tested: Callable[[Example], bool],
    assessor_with: Callable[[Weights], Assessor],
    settings: Settings,
) -> Judged:
    """Return the tested records judged by weights fitted without them and their groups."""
    groups = {example.group for example in examples if tested(example)}
    inside = [example for example in examples if example.group not in groups]
    assessor = assessor_with(fit_weights(inside, settings))
    return [(e.record, assess_record(assessor, e.record)) for e in examples if tested(e)]


def learning_curve(
    examples: Sequence[Example],
    tested: Callable[[Example], bool],
    assessor_with: Callable[[Weights], Assessor],
    settings: Settings,
    shares: Sequence[float] = (0.25, 0.5, 1.0),
) -> Iterator[tuple[float, float, float]]:
    """Yield share of the labels, F1, and F1 over the sure ones."""
    for share in shares:
        report = evaluate(
            cross_validate(examples, tested, assessor_with, settings, folds=5, share=share)
        )
        yield share, report.f1, report.f1_sure
