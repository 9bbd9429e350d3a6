"""Labelled records made ready to fit on: their cues, and which belong together."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.domain.cues import find_cues
from tgecrawler.domain.fingerprint import normal_words
from tgecrawler.domain.naming import Describer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tgecrawler.domain.candidates import Candidate
    from tgecrawler.domain.metrics import LabelledRecord
    from tgecrawler.domain.reading import Reading
    from tgecrawler.domain.relevance import Assessor

SAME_WORDS = 10  # first words of a title or text that make two records one story
SHORTEST_STORY = 3  # words


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled record with everything that can be known of it without its label.

    ``written`` says that it was written for the project and not found in the
    world. Records of one ``group`` speak of one project or story.
    """

    record: LabelledRecord
    reading: Reading
    cues: tuple[str, ...]
    rules_kind: str
    rules_status: str
    candidates: tuple[tuple[Candidate, tuple[str, ...]], ...]
    group: int
    written: bool = False


def make_examples(
    found: Sequence[LabelledRecord], written: Sequence[LabelledRecord], assessor: Assessor
) -> list[Example]:
    """Return examples of records found in the world and of records written for the project."""
    records = [*found, *written]
    groups = group_records(records)
    return [
        _example(record, group, at >= len(found), assessor)
        for at, (record, group) in enumerate(zip(records, groups, strict=True))
    ]


def _example(record: LabelledRecord, group: int, written: bool, assessor: Assessor) -> Example:
    reading = assessor.read(record.title, record.summary, record.text, medium=record.medium)
    described = Describer(reading, assessor.names).described() if record.tge else ()
    return Example(
        record=record,
        reading=reading,
        cues=tuple(cue.name for cue in find_cues(reading, assessor.shaper)),
        rules_kind=assessor.spoken_kind(reading),
        rules_status=assessor.spoken_status(reading),
        candidates=tuple((one, tuple(cues)) for one, cues in described),
        group=group,
        written=written,
    )


def group_records(records: Sequence[LabelledRecord]) -> list[int]:
    """Return a number for each record; records that share a project or a story share it.

    A project is the first word of its name, so that "Pi" and "Pi Network" are
    one; a story is the same first words of a title or text.
    """
    parents = list(range(len(records)))
    first_with: dict[tuple[str, ...], int] = {}
    for at, record in enumerate(records):
        for key in _keys(record):
            other = first_with.setdefault(key, at)
            parents[_root(parents, at)] = _root(parents, other)
    return [_root(parents, at) for at in range(len(records))]


def _keys(record: LabelledRecord) -> Iterator[tuple[str, ...]]:
    if project := normal_words(record.project):
        yield ("project", project[0])
    for text in (record.title, record.text):
        words = normal_words(text[:400])[:SAME_WORDS]
        if len(words) >= SHORTEST_STORY:
            yield ("story", *words)


def _root(parents: list[int], at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


def split_groups(groups: Sequence[int], folds: int, seed: int) -> list[int]:
    """Return the fold of each record: whole groups, folds of about equal size."""
    sizes = Counter(groups)
    order = sorted(sizes)
    random.Random(seed).shuffle(order)  # noqa: S311 - a split, not a secret
    order.sort(key=lambda group: -sizes[group])
    filled = [0] * folds
    fold_of: dict[int, int] = {}
    for group in order:
        fold_of[group] = min(range(folds), key=filled.__getitem__)
        filled[fold_of[group]] += sizes[group]
    return [fold_of[group] for group in groups]


def portion(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """Return the examples of a random share of the groups, for a learning curve."""
    groups = sorted({example.group for example in examples})
    random.Random(seed).shuffle(groups)  # noqa: S311 - a split, not a secret
    kept = set(groups[: round(len(groups) * share)])
    return [example for example in examples if example.group in kept]


def count_groups(examples: Iterable[Example]) -> Counter[str]:
    """Return in how many groups each cue stands."""
    seen = {(cue, example.group) for example in examples for cue in example.cues}
    return Counter(cue for cue, _ in seen)
