"""The gate on events and duplicates over real labelled records, where they are at hand.

The bundled weights were fitted on these records, so the figure is not what
grouping is worth on new ones: docs/events.md has that. It catches a change that
makes it worse.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tgecrawler.commands.evaluate import Found, read_labelled
from tgecrawler.config.loader import load_lexicon, load_watchlist, load_weights
from tgecrawler.domain.relevance import Assessor

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TGE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "labelled"
CLUSTERS = DATA / "clusters_dev.jsonl"

pytestmark = pytest.mark.skipif(
    not CLUSTERS.exists(), reason=f"no real records in {DATA} (TGE_SHARED_DATA)"
)

LEAST_F1 = 0.86


def test_floors() -> None:
    lenient = Assessor(load_watchlist(), load_lexicon(), load_weights(), min_score=0.0)
    figures = Found.of(list(read_labelled(CLUSTERS)), lenient).figures()
    assert figures["events_f1"] >= LEAST_F1
    assert figures["dups_precision"] == 1.0
