"""The quality gate on real labelled records, where they are at hand.

The bundled weights were fitted on them, so these figures are not what the rules
are worth on new ones (`make fit` prints that, by nested cross-validation); they
catch a change that makes the rules worse.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tgecrawler.config.loader import load_lexicon, load_watchlist, load_weights
from tgecrawler.domain.metrics import EvaluationReport, assess_record, evaluate, parse_labelled
from tgecrawler.domain.relevance import Assessor

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TGE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "labelled"

pytestmark = pytest.mark.skipif(
    not (DATA / "dev.jsonl").exists(), reason=f"no real records in {DATA} (TGE_SHARED_DATA)"
)

FLOORS = {
    "dev.jsonl": {"f1": 0.90, "f1_sure": 0.95, "kind_accuracy": 0.95, "status_accuracy": 0.85},
    "clusters_dev.jsonl": {"f1": 0.90, "f1_sure": 0.95, "project_accuracy": 0.84},
}
MOST_FALSE_ALARMS = 6  # of 769 consecutive records


def report_of(name: str) -> EvaluationReport:
    assessor = Assessor(load_watchlist(), load_lexicon(), load_weights(), min_score=0.5)
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    records = [parse_labelled(line) for line in lines]
    return evaluate((record, assess_record(assessor, record)) for record in records)


@pytest.mark.parametrize("name", FLOORS)
def test_floors(name: str) -> None:
    figures = report_of(name).as_dict()
    below = {key: figures[key] for key, floor in FLOORS[name].items() if figures[key] < floor}
    assert below == {}


def test_false_alarms_at_the_natural_rate() -> None:
    report = report_of("stream_window.jsonl")
    assert report.fp <= MOST_FALSE_ALARMS
    assert report.fn <= 4
