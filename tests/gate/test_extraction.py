"""The bodies that are extracted, against the public article-extraction benchmark.

Its measure: precision and recall over the four-word shingles of the body, each
averaged over the pages, and the F1 of the two averages.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tgecrawler.errors import SourceError
from tgecrawler.sources.article import parse_article

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TGE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "extraction"
LEAST_F1 = 0.95  # measured 0.962
WORDS = 4

pytestmark = pytest.mark.skipif(
    not (DATA / "ground-truth.json").exists(),
    reason=f"no extraction benchmark in {DATA} (TGE_SHARED_DATA)",
)


def shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    count = max(1, len(words) - WORDS + 1) if words else 0
    return Counter(tuple(words[at : at + WORDS]) for at in range(count))


def scores_of(expected: str, found: str) -> tuple[float, float]:
    """Return precision and recall of one page."""
    wanted, got = shingles(expected), shingles(found)
    right = (wanted & got).total()
    return (
        right / got.total() if got else float(not wanted),
        right / wanted.total() if wanted else 1.0,
    )


def body_of(name: str, url: str) -> str:
    body = gzip.decompress((DATA / "html" / f"{name}.html.gz").read_bytes())
    try:
        return parse_article(body, url=url or "https://desk.example/a").text
    except SourceError:
        return ""


def test_shingles_are_counted() -> None:
    assert scores_of("a b c d e", "a b c d") == (1.0, 0.5)
    assert scores_of("a b", "a b") == (1.0, 1.0)
    assert scores_of("a b c d", "") == (0.0, 0.0)


@pytest.mark.slow
def test_bodies_are_as_good_as_the_extractor_was_chosen_for() -> None:
    truth = json.loads((DATA / "ground-truth.json").read_text(encoding="utf-8"))
    scores = [
        scores_of(page["articleBody"], body_of(name, page.get("url", "")))
        for name, page in truth.items()
    ]
    precision, recall = (sum(column) / len(scores) for column in zip(*scores, strict=True))
    f1 = 2 * precision * recall / (precision + recall)
    print(f"{len(scores)} pages: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.4f}")
    assert len(scores) == 181
    assert f1 >= LEAST_F1
