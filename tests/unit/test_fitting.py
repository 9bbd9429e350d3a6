"""Fitting the weights: what belongs together, what is learnt, and that it is measured fairly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.metrics import LabelledRecord
from tgecrawler.domain.relevance import Assessor, logistic
from tgecrawler.domain.watchlist import Watchlist
from tgecrawler.domain.weights import BIAS, Weights, best_class, parse_weights
from tgecrawler.fitting.crossval import cross_validate, held_out, learning_curve
from tgecrawler.fitting.dataset import (
    Example,
    count_groups,
    group_records,
    make_examples,
    portion,
    split_groups,
)
from tgecrawler.fitting.train import WRITTEN, Settings, best_threshold, calibration, fit_weights
from tgecrawler.items import Assessment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEXICON = Lexicon.model_validate(
    {
        "version": 1,
        "names": {
            "exchanges": ["Acme", "Borealis"],
            "common_words": [
                *("lists", "token", "sale", "opens", "a", "painter", "hires", "studio", "airdrop"),
                *("hints", "at", "something", "the", "is", "live", "soon", "for", "of"),
            ],
        },
        "rules": [
            {"name": "lists", "role": "event", "kind": "listing", "phrases": ["<exchanges> lists"]},
            {"name": "sale", "role": "event", "kind": "token_sale", "phrases": ["token sale"]},
            {"name": "live", "status": "live", "phrases": ["is live"]},
        ],
    }
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """On matrices this small, threads that wait for each other take ten times as long."""
    with threadpool_limits(limits=1):
        yield


NOBODY = Watchlist(version=1, companies=())
SETTINGS = Settings()


def assessor_with(weights: Weights | None = None) -> Assessor:
    return Assessor(NOBODY, LEXICON, weights, min_score=0.5)


ASSESSOR = assessor_with()


def project(at: int) -> str:
    """Return a made-up name, another one for every number; "Quaaon", "Quabon"..."""
    return f"Qu{chr(97 + at // 26)}{chr(97 + at % 26)}on"


def record(at: int, title: str, **labels: Any) -> LabelledRecord:
    """Return a labelled record; ``{}`` in a title stands for the record's own name."""
    given = {"id": f"r{at}", "tge": False, **labels}
    return LabelledRecord(title=title.format(project(at)), **given)


def clear_records(first: int = 0, number: int = 80) -> list[LabelledRecord]:
    """Return listings, sales, and as many records without an event; each of its own project."""
    records = []
    for at in range(first, first + number):
        name = project(at)
        if at % 2:
            title = "{} hires a painter" if at % 4 == 1 else "a painter hires {}"
            records.append(record(at, title))
            continue
        sort = at % 4 == 0
        title = "Acme lists {}" if sort else "{} token sale opens"
        records.append(
            record(
                at,
                f"{title}, is live" if at % 3 else title,
                tge=True,
                kind="listing" if sort else "token_sale",
                status="live" if at % 3 else "announced",
                project=name,
                token=f"Q{at}L" if at % 8 == 0 else "",
                summary=f"The ${f'Q{at}L'} token of {name}" if at % 8 == 0 else "",
            )
        )
    return records


def plain_records(first: int = 0, number: int = 60) -> list[LabelledRecord]:
    """Return records whose label a headline tells, and nothing but the label: quick to fit."""
    return [
        record(at, "{} hires a painter" if at % 2 else "Acme lists {}", tge=at % 2 == 0)
        for at in range(first, first + number)
    ]


@cache
def clear_examples() -> tuple[Example, ...]:
    return tuple(make_examples(clear_records(), [], ASSESSOR))


@cache
def clear_weights() -> Weights:
    return fit_weights(clear_examples(), SETTINGS)


def log_odds(example: Example, weights: Weights) -> float:
    relevance = weights.relevance
    return relevance[BIAS] + sum(relevance.get(cue, 0.0) for cue in example.cues)


def fit_lines(
    records: Sequence[LabelledRecord],
    written: Sequence[LabelledRecord] = (),
    settings: Settings = SETTINGS,
) -> list[str]:
    return list(fit_weights(make_examples(records, written, ASSESSOR), settings).lines())


# ---- what belongs together


def groups_of(*records: dict[str, str]) -> list[int]:
    """Return the groups of records, numbered as they first occur."""
    made = [LabelledRecord(id=str(at), tge=False, **one) for at, one in enumerate(records)]
    numbers: dict[int, int] = {}
    return [numbers.setdefault(group, len(numbers)) for group in group_records(made)]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([{"project": "Quillon"}, {"project": "Varro"}], [0, 1]),
        ([{"project": "Quillon"}, {"project": "quillon Network"}], [0, 0]),
        ([{"project": "Quillon"}, {"project": "The Quillon"}], [0, 1]),
        ([{"project": "Ｑuillon"}, {"project": "Quillon"}], [0, 0]),
        ([{"project": "Квиллон"}, {"project": "КВИЛЛОН"}], [0, 0]),
        ([{"project": "🚀"}, {"project": "🚀"}], [0, 1]),
        ([{}, {}], [0, 1]),
        ([{"title": "one two three"}, {"title": "One, two: three!"}], [0, 0]),
        ([{"title": "one two three"}, {"text": "one two three"}], [0, 0]),
        ([{"title": "one two three"}, {"summary": "one two three"}], [0, 1]),
        ([{"title": "one two"}, {"title": "one two"}], [0, 1]),
        ([{"title": "a b c d e f g h i j k"}, {"title": "a b c d e f g h i j x"}], [0, 0]),
        ([{"title": "a b c d e f g h i j"}, {"title": "a b c d e f g h i x"}], [0, 1]),
        (
            [
                {"project": "Quillon", "title": "one two three"},
                {"project": "Varro"},
                {"project": "Tavrik"},
                {"project": "Varro", "text": "one two three"},
            ],
            [0, 0, 1, 0],
        ),
    ],
)
def test_records_of_a_project_or_a_story_are_one_group(
    records: list[dict[str, str]], expected: list[int]
) -> None:
    assert groups_of(*records) == expected


def test_a_chain_of_records_is_one_group() -> None:
    chain = [
        {"project": f"Quillon{at}", "title": f"story of number {(at + 1) // 2}"} for at in range(40)
    ]
    chain += [{"project": f"Quillon{at}", "text": f"tale of number {at // 2}"} for at in range(40)]
    assert set(groups_of(*chain)) == {0}
    assert len(set(groups_of(*chain[:40]))) == 21


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 6), st.integers(0, 99))
def test_no_group_is_in_two_folds(groups: list[int], folds: int, seed: int) -> None:
    fold_of = split_groups(groups, folds, seed)
    assert len(fold_of) == len(groups)
    assert len(set(zip(groups, fold_of, strict=True))) == len(set(groups))
    assert set(fold_of) <= set(range(folds))
    assert fold_of == split_groups(groups, folds, seed)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 6))
def test_folds_differ_by_no_more_than_the_largest_group(groups: list[int], folds: int) -> None:
    filled = Counter(split_groups(groups, folds, 0))
    sizes = [filled[fold] for fold in range(folds)]
    assert max(sizes) - min(sizes) <= max(Counter(groups).values())


def test_folds_of_small_groups_are_of_one_size() -> None:
    assert sorted(Counter(split_groups(list(range(100)), 10, 0)).values()) == [10] * 10
    groups = [7] * 20 + list(range(100, 180))
    assert sorted(Counter(split_groups(groups, 5, 0)).values()) == [20] * 5


def test_the_seed_decides_the_folds() -> None:
    groups = list(range(40))
    assert split_groups(groups, 5, 0) != split_groups(groups, 5, 1)


def test_examples_know_what_can_be_known_without_the_label() -> None:
    found = [record(0, "Acme lists {}", tge=True, project=project(0)), record(1, "a painter")]
    written = [record(2, "Borealis lists {}", tge=True), record(0, "x", project=project(0))]
    examples = make_examples(found, written, ASSESSOR)
    assert [example.record for example in examples] == [*found, *written]
    assert [example.written for example in examples] == [False, False, True, True]
    assert examples[0].group == examples[3].group
    assert len({example.group for example in examples}) == 3
    assert examples[0].cues[0] == "lists@title"
    assert examples[0].cues[1:] == tuple(c for c in examples[2].cues if c != "lists@title")
    assert (examples[0].rules_kind, examples[0].rules_status) == ("listing", "none")
    assert [one.text for one, _ in examples[0].candidates] == ["Acme", project(0)]
    assert examples[1].candidates == ()


def test_a_portion_keeps_whole_groups() -> None:
    records = [
        record(at, f"{project(at % 20)} number {at} is live", project=project(at % 20))
        for at in range(60)
    ]
    examples = make_examples(records, [], ASSESSOR)
    sizes = Counter(example.group for example in examples)
    for share in (0.0, 0.25, 0.5, 1.0):
        kept = portion(examples, share, 3)
        counts = Counter(example.group for example in kept)
        assert len(counts) == round(20 * share)
        assert all(counts[group] == sizes[group] for group in counts)
        assert kept == [example for example in examples if example.group in counts]
        assert kept == portion(examples, share, 3)
    assert portion(examples, 0.5, 3) != portion(examples, 0.5, 4)


def test_a_cue_is_counted_once_a_group() -> None:
    records = [
        record(0, "Acme lists {}", project="Quillon"),
        record(1, "Acme lists {}", project="Quillon Labs"),
        record(2, "Acme lists {}"),
        record(3, "a painter"),
    ]
    counts = count_groups(make_examples(records, [], ASSESSOR))
    assert (counts["lists@title"], counts["title: a painter"]) == (2, 1)
    assert counts["events=0"] == 1
    assert counts["unheard"] == 0


# ---- what is learnt


def test_a_clear_rule_is_learnt_and_half_is_the_threshold() -> None:
    weights = clear_weights()
    for example in clear_examples():
        assert (logistic(log_odds(example, weights)) >= 0.5) is example.record.tge
    unseen = make_examples(clear_records(first=200, number=60), [], ASSESSOR)
    scores: dict[bool, list[float]] = {True: [], False: []}
    for example in unseen:
        scores[example.record.tge].append(logistic(log_odds(example, weights)))
    assert max(scores[False]) < 0.1
    assert min(scores[True]) > 0.9
    assert not {one.project for one in clear_records()} & {e.record.project for e in unseen} - {""}


def test_weights_point_to_the_label_that_a_cue_goes_with() -> None:
    relevance = clear_weights().relevance
    assert relevance["lists@title"] > 0
    assert relevance["sale@title"] > 0
    assert relevance["title: a painter"] < 0
    assert relevance["events=0"] < 0
    assert all(abs(w) >= SETTINGS.smallest for cue, w in relevance.items() if cue != BIAS)


def test_kind_and_status_project_and_token_are_learnt() -> None:
    assessor = assessor_with(clear_weights())
    for one in clear_records(first=200, number=60):
        assessment = assessor.assess(one.title, one.summary)
        assert assessment.relevant is one.tge
        if one.tge:
            answer = (assessment.kind, assessment.status, assessment.project, assessment.token)
            assert answer == (one.kind, one.status, one.project, one.token)


def test_a_kind_that_the_rules_do_not_know_is_learnt_from_words() -> None:
    def records(first: int) -> list[LabelledRecord]:
        titles = {"airdrop": "Acme lists {}", "tokenomics": "Acme lists a {} something"}
        pairs = [*titles.items()] * 15
        return [
            record(first + at, title, tge=True, kind=kind) for at, (kind, title) in enumerate(pairs)
        ]

    painters = [one for one in plain_records(100) if not one.tge]
    examples = make_examples([*records(0), *painters], [], ASSESSOR)
    kinds = fit_weights(examples, SETTINGS).kind
    assert set(kinds[BIAS]) == {"airdrop", "tokenomics"}
    for example in make_examples(records(300), [], ASSESSOR):
        assert example.rules_kind == "listing"
        cues = (f"rules={example.rules_kind}", *example.cues)
        assert best_class(kinds, cues) == example.record.kind


def test_what_has_one_class_or_no_name_needs_no_weights() -> None:
    weights = fit_weights(make_examples(plain_records(), [], ASSESSOR), SETTINGS)
    assert weights.relevance
    assert (weights.kind, weights.status, weights.project, weights.token) == ({}, {}, {}, {})


def test_a_cue_must_stand_in_so_many_groups() -> None:
    rare = [
        record(at, "Acme lists {} something" if at < 6 else "Acme lists {}", tge=True)
        for at in range(0, 60, 2)
    ]
    painters = [one for one in plain_records() if not one.tge]
    examples = make_examples([*rare, *painters], [], ASSESSOR)
    assert count_groups(examples)["title: something"] == 3
    bare = replace(SETTINGS, smallest=0.0)
    assert "title: something" in fit_weights(examples, bare).relevance
    stricter = replace(bare, title_groups=4)
    assert "title: something" not in fit_weights(examples, stricter).relevance
    assert "title: something" in fit_weights(examples, replace(bare, rule_groups=4)).relevance


def test_the_same_examples_give_the_same_lines() -> None:
    lines = list(clear_weights().lines())
    assert len(lines) > 100
    assert {line.partition("\t")[0].partition("/")[0] for line in lines} == {
        *("relevance", "kind", "status", "project", "token"),
    }
    assert fit_lines(clear_records()) == lines
    assert fit_lines(clear_records(number=78)) != lines


def test_lines_of_a_fit_are_read_back() -> None:
    lines = list(clear_weights().lines())
    assert list(parse_weights(lines).lines()) == lines


@pytest.mark.slow
def test_the_same_lines_in_another_process() -> None:
    script = "import test_fitting; print('\\n'.join(test_fitting.clear_weights().lines()))"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parent,
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines() == list(clear_weights().lines())


# ---- what a record counts for


def disputed(**labels: dict[str, Any]) -> list[LabelledRecord]:
    """Return clear records, and listings of "something" that ``yes`` and ``no`` label apart."""
    more = [
        record(
            100 + at,
            "Acme lists {} something",
            tge=at % 2 == 0,
            **labels["no" if at % 2 else "yes"],
        )
        for at in range(24)
    ]
    return [*plain_records(), *more]


def weight_of_something(settings: Settings = SETTINGS, **labels: dict[str, Any]) -> float:
    examples = make_examples(disputed(**labels), [], ASSESSOR)
    relevance = fit_weights(examples, replace(settings, smallest=0.0)).relevance
    return relevance["title: something"] / relevance["lists@title"]


def test_a_heavier_record_counts_for_more() -> None:
    even = weight_of_something(yes={"weight": 1.0}, no={"weight": 1.0})
    assert weight_of_something(yes={"weight": 5.0}, no={"weight": 1.0}) > even
    assert weight_of_something(yes={"weight": 1.0}, no={"weight": 5.0}) < even


def test_an_unsure_record_counts_for_less() -> None:
    labels: dict[str, dict[str, Any]] = {"yes": {}, "no": {"sure": False}}
    sure = weight_of_something(replace(SETTINGS, unsure_weight=1.0), **labels)
    unsure = weight_of_something(replace(SETTINGS, unsure_weight=0.1), **labels)
    assert unsure > sure


@pytest.mark.parametrize("at", [0, 30, 60])
def test_a_record_of_weight_0_changes_nothing(at: int) -> None:
    records = clear_records(number=60)
    unheard = record(300, "Acme lists {} for the studio", tge=False, weight=0.0, kind="tokenomics")
    with_it = [*records[:at], unheard, *records[at:]]
    assert fit_lines(with_it) == fit_lines(records)


def test_many_records_of_weight_0_change_nothing() -> None:
    wrong = [replace(one, tge=not one.tge, weight=0.0) for one in plain_records(100)]
    assert fit_lines([*plain_records(), *wrong]) == fit_lines(plain_records())


def written_records() -> list[LabelledRecord]:
    return [
        record(
            400 + at,
            "{} something the studio" if at % 2 else "Acme lists {} something",
            tge=at % 2 == 0,
            id=f"w{at}",
        )
        for at in range(40)
    ]


def test_private_copies_of_written_records_never_reach_the_weights() -> None:
    written = written_records()
    bare = replace(SETTINGS, smallest=0.0)
    weights = fit_weights(make_examples(clear_records(), written, ASSESSOR), bare)
    assert "title: something" in weights.relevance
    known = {cue for e in make_examples(clear_records(), written, ASSESSOR) for cue in e.cues}
    assert set(weights.relevance) - {BIAS} <= known
    assert not [line for line in weights.lines() if WRITTEN in line]


def test_a_private_copy_takes_up_what_is_particular_to_written_records() -> None:
    examples = make_examples(plain_records(), written_records(), ASSESSOR)

    def share(copy_scale: float) -> float:
        settings = replace(SETTINGS, smallest=0.0, copy_scale=copy_scale, written_weight=1.0)
        relevance = fit_weights(examples, settings).relevance
        return abs(relevance["title: the studio"]) / relevance["lists@title"]

    assert share(5.0) < share(1.0) < share(0.01)


def test_a_written_record_counts_for_less() -> None:
    against = [
        record(400 + at, "Acme lists {} something", tge=False, id=f"w{at}") for at in range(24)
    ]
    found = [*plain_records(), *disputed(yes={}, no={})[-24::2]]
    examples = make_examples(found, against, ASSESSOR)

    def weight(written_weight: float) -> float:
        settings = replace(SETTINGS, smallest=0.0, written_weight=written_weight, copy_scale=0.0)
        relevance = fit_weights(examples, settings).relevance
        return relevance["title: something"] / relevance["lists@title"]

    assert weight(0.05) > weight(0.5) > weight(2.0)


# ---- the threshold


def test_half_is_where_f1_is_best_and_not_where_labels_are_even() -> None:
    # A third of the hints are events. The balanced regression leans to yes, F1 to no.
    records = [record(at, "Acme lists {}", tge=True) for at in range(20)]
    records += [record(20 + at, "{} hints at something", tge=at % 3 == 0) for at in range(15)]
    records += [record(40 + at, "{} hires a painter") for at in range(65)]
    examples = make_examples(records, [], ASSESSOR)
    weights = fit_weights(examples, SETTINGS)
    scores: dict[str, list[float]] = defaultdict(list)
    for example in examples:
        scores[example.record.title.split()[1]].append(logistic(log_odds(example, weights)))
    assert min(scores["lists"]) > 0.5
    assert max(scores["hints"]) < 0.5
    assert min(scores["hints"]) > max(scores["hires"])


def test_written_records_have_no_say_in_the_threshold() -> None:
    # Were they asked, half of the listings would be no event, and 0.5 stood higher.
    against = [record(400 + at, "Acme lists {}", tge=False, id=f"w{at}") for at in range(30)]
    settings = replace(SETTINGS, written_weight=1e-6)
    alone = fit_weights(make_examples(plain_records(), [], ASSESSOR), settings)
    beside = fit_weights(make_examples(plain_records(), against, ASSESSOR), settings)
    for weights in (alone, beside):
        for example in make_examples(plain_records(200), [], ASSESSOR):
            score = logistic(log_odds(example, weights))
            assert (score > 0.9) if example.record.tge else (score < 0.1)


@pytest.mark.parametrize(
    ("labels", "scores", "threshold"),
    [
        ([1, 1, 0, 0], [3.0, 2.0, 1.0, 0.0], 1.5),
        ([0, 1, 0, 1], [0.0, 3.0, 1.0, 2.0], 1.5),
        ([1, 0, 1, 0, 0, 0], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0], 2.5),
        ([1, 1, 1, 0, 0, 0, 0, 1], [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], 4.5),
        ([1, 0], [-3.0, -5.0], -4.0),
        ([1, 1], [2.0, 1.0], 1.0),
    ],
)
def test_the_best_threshold(labels: list[int], scores: list[float], threshold: float) -> None:
    assert best_threshold(np.array(labels, dtype=bool), np.array(scores)) == threshold


def test_of_thresholds_as_good_the_middle_is_the_best() -> None:
    # 500 sure ones, then a yes and a no in turn: F1 is level over the mixed ones.
    scores = np.arange(1_000, 0, -1, dtype=float)
    labels = np.array([True] * 500 + [True, False] * 20 + [False] * 460)
    threshold = best_threshold(labels, scores)
    assert 1_000 - 540 < threshold < 1_000 - 500


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-20, 20)), min_size=1, max_size=40))
def test_a_threshold_lies_among_the_scores(pairs: list[tuple[bool, int]]) -> None:
    assume(any(label for label, _ in pairs))
    labels = np.array([label for label, _ in pairs])
    scores = np.array([float(score) for _, score in pairs])
    assert scores.min() <= best_threshold(labels, scores) <= scores.max()


def test_records_that_are_all_unsure_can_be_fitted() -> None:
    unsure = [replace(one, sure=False) for one in plain_records()]
    assert fit_weights(make_examples(unsure, [], ASSESSOR), SETTINGS).relevance["lists@title"] > 0


def test_records_of_fewer_groups_than_folds_can_be_fitted() -> None:
    few = [replace(one, project=f"Quillon{at // 2 % 4}") for at, one in enumerate(plain_records())]
    assert fit_weights(make_examples(few, [], ASSESSOR), SETTINGS).relevance["lists@title"] > 0


def test_three_records_of_two_kinds_can_be_fitted() -> None:
    painters = [one for one in plain_records(100) if not one.tge]
    few = [one for one in clear_records() if one.tge][:3]
    few = [replace(one, status="none", project="", token="") for one in few]
    assert fit_weights(make_examples([*few, *painters], [], ASSESSOR), SETTINGS).kind == {}


# ---- that it is measured fairly


@dataclass
class Spy:
    """An assessor of weights that keeps what it was asked, with the cues that it knows."""

    weights: Weights
    log: list[tuple[str, frozenset[str]]]

    def assess(self, title: str, *args: Any, **kwargs: Any) -> Assessment:
        self.log.append((title, frozenset(self.weights.relevance)))
        return Assessment(score=0.5, relevant=False)


@dataclass
class Spies:
    """Makes spies; ``log`` is what all of them were asked, ``made`` how many they are."""

    log: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    made: int = 0

    def __call__(self, weights: Weights) -> Any:
        self.made += 1
        return Spy(weights, self.log)


def marked_examples() -> list[Example]:
    """Return examples that bear their group's mark in the headline: "mark7x", 3 of each.

    A group's project binds it; a mark is a cue of its group alone.
    """
    found = [
        record(
            at,
            f"mark{at % 24}x number{at}x {'Acme lists' if at % 2 else 'a painter hires'} {{}}",
            tge=bool(at % 2),
            project=f"Quillon{at % 24}",
        )
        for at in range(72)
    ]
    written = [
        record(
            200 + at,
            f"mark{at}x number{200 + at}x {'Acme lists' if at % 2 else 'a painter hires'} {{}}",
            tge=bool(at % 2),
            project=f"Quillon{at}",
        )
        for at in range(0, 24, 3)
    ]
    return make_examples(found, written, ASSESSOR)


# With these every cue of a record that was fitted on has a weight, were it 0.
TELLTALE = replace(SETTINGS, smallest=0.0, rule_groups=1, title_groups=1, body_groups=1)


def mark_of(title: str) -> str:
    return f"title: {title.split()[0]}"


def is_found(example: Example) -> bool:
    return not example.written


def test_a_mark_tells_on_what_was_fitted() -> None:
    examples = marked_examples()
    assert len({example.group for example in examples}) == 24
    known = fit_weights(examples, TELLTALE).relevance
    assert {mark_of(example.record.title) for example in examples} <= set(known)


def test_every_tested_record_is_judged_once_by_weights_that_never_saw_its_group() -> None:
    examples = marked_examples()
    spies = Spies()
    judged = cross_validate(examples, is_found, spies, TELLTALE, folds=6)
    expected = sorted(example.record.id for example in examples if is_found(example))
    assert sorted(one.id for one, _ in judged) == expected
    assert len(spies.log) == len(expected)
    assert spies.made == 6
    marks = {mark_of(example.record.title) for example in examples}
    for title, known in spies.log:
        assert mark_of(title) not in known
        assert len(known & marks) == 24 - 4  # those of the other five folds, and all of them


def test_only_a_share_is_fitted_on() -> None:
    examples = marked_examples()
    spies = Spies()
    cross_validate(examples, is_found, spies, TELLTALE, folds=6, share=0.5)
    marks = {mark_of(example.record.title) for example in examples}
    for title, known in spies.log:
        assert mark_of(title) not in known
        assert len(known & marks) == 10


def test_the_others_only_help_to_fit() -> None:
    examples = marked_examples()
    spies = Spies()

    def is_tested(example: Example) -> bool:
        return example.record.project == "Quillon6"

    judged = cross_validate(examples, is_tested, spies, TELLTALE, folds=6)
    assert [one.project for one, _ in judged] == ["Quillon6"] * 4
    assert [mark_of(title) for title, _ in spies.log] == ["title: mark6x"] * 4


def test_what_is_held_out_is_judged_by_weights_without_its_groups() -> None:
    examples = marked_examples()
    spies = Spies()
    held = {"r0", "r25"}
    judged = held_out(examples, lambda example: example.record.id in held, spies, TELLTALE)
    assert [one.id for one, _ in judged] == ["r0", "r25"]
    assert spies.made == 1
    marks = {mark_of(example.record.title) for example in examples}
    for _, known in spies.log:
        assert known & marks == marks - {"title: mark0x", "title: mark1x"}


def test_a_clear_rule_is_measured_as_clear() -> None:
    examples = list(clear_examples())
    judged = cross_validate(examples, is_found, assessor_with, SETTINGS, folds=5)
    assert len(judged) == len(examples)
    assert all(assessment.relevant is one.tge for one, assessment in judged)


def test_a_label_without_a_rule_is_measured_as_chance() -> None:
    # Were a tested record seen, its unique name would give it away.
    examples = make_examples(
        [record(at, f"mark{at}x lists a painter", tge=at % 3 == 0) for at in range(90)],
        [],
        ASSESSOR,
    )
    judged = cross_validate(examples, is_found, assessor_with, TELLTALE, folds=5)
    scores: dict[bool, list[float]] = {True: [], False: []}
    for one, assessment in judged:
        scores[one.tge].append(assessment.score)
    assert abs(np.mean(scores[True]) - np.mean(scores[False])) < 0.1


def test_the_learning_curve() -> None:
    unsure = [replace(one, sure=at % 5 > 0) for at, one in enumerate(plain_records())]
    examples = make_examples(unsure, [], ASSESSOR)
    spies = Spies()
    assert list(learning_curve(examples, is_found, spies, SETTINGS)) == [
        *((0.25, 0.0, 0.0), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0)),  # a spy finds nothing relevant
    ]
    assert spies.made == 3 * 5
    assert list(learning_curve(examples, is_found, assessor_with, SETTINGS, shares=[1.0])) == [
        (1.0, 1.0, 1.0)
    ]


def test_calibration() -> None:
    pairs = [(0.05, False), (0.09, True), (0.5, True), (0.55, True), (1.0, True), (0.95, False)]
    first, middle, last = calibration(pairs)
    assert first == {"score": pytest.approx(0.07), "positive": 0.5, "records": 2}
    assert middle == {"score": pytest.approx(0.525), "positive": 1.0, "records": 2}
    assert last == {"score": pytest.approx(0.975), "positive": 0.5, "records": 2}
    assert len(calibration(pairs, bins=1)) == 1
    assert calibration([]) == []
