"""Which feed entries are worth fetching their page."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import tgecrawler.config
from tgecrawler.config.loader import load_weights
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.relevance import Assessor
from tgecrawler.domain.screening import Screen, latin_ratio
from tgecrawler.domain.watchlist import Watchlist

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("TGE_SHARED_DATA", ROOT.parent / "shared" / "data"))
FIXTURES = ROOT / "tests" / "fixtures" / "relevance"
RAW = yaml.safe_load(
    Path(tgecrawler.config.__file__).with_name("lexicon.yaml").read_text(encoding="utf-8")
)
WATCHLIST = Watchlist.model_validate(
    {
        "version": 1,
        "companies": [
            {"name": "Zyntho", "symbols": ["ZYN"], "priority": "high", "status": "pre_token"},
            {"name": "Fabric", "priority": "high", "status": "pre_token"},
        ],
    }
)


WEIGHTS = load_weights()


def make_screen(**screening: object) -> Screen:
    raw = {**RAW, "screening": {**RAW["screening"], **screening}}
    return Screen(Assessor(WATCHLIST, Lexicon.model_validate(raw), WEIGHTS, min_score=0.5))


SCREEN = make_screen()


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_relevant_article_is_fetched(path: Path) -> None:
    for record in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if record["expected"].get("relevant") and record.get("medium") != "post":
            screening = SCREEN.screen(record["title"], record["summary"])
            assert screening.worth_fetching, record
            assert screening.matches


@pytest.mark.parametrize(
    ("title", "summary", "worth"),
    [
        ("City council opens a new bridge", "Residents welcome it.", False),
        ("A widow announced a new partnership", "", False),
        ("Zyntho opens an office in the city", "", True),
        ("$ZYN is here for all of us", "", True),
        ("Fabric softener for all the family", "It is soft.", False),
        ("Bitcoin climbs again as traders return", "Bulls are back.", False),
        ("A new partner joins the network", "The native token follows.", True),
    ],
)
def test_screening(title: str, summary: str, worth: bool) -> None:
    assert SCREEN.screen(title, summary).worth_fetching is worth


def test_an_entry_of_few_words_goes_by_the_lexicon() -> None:
    assert SCREEN.screen("Big news", "").matches == ("short",)
    assert SCREEN.screen("", "").worth_fetching
    assert not SCREEN.screen("Big news", "The council opens a bridge.").worth_fetching
    assert not make_screen(fetch_short=False).screen("Big news", "").worth_fetching


def test_an_entry_of_another_script_goes_by_the_lexicon() -> None:
    title = "Городской совет открывает новый мост"
    assert not SCREEN.screen(title).worth_fetching
    assert make_screen(fetch_unknown_script=True).screen(title).matches == ("unknown_script",)
    assert SCREEN.screen(f"{title} Zyntho").matches == ("Zyntho",)


def test_a_heap_of_contrary_signs_holds_an_entry_back() -> None:
    title = "Hackers exploit fake airdrop: SEC lawsuit, ETF stocks plunge, analyst warns bulls"
    assert not make_screen(min_log_odds=-1).screen(title).worth_fetching
    assert make_screen(min_log_odds=-20).screen(title).worth_fetching


def test_latin_ratio() -> None:
    assert latin_ratio("Zürich 123") == 1.0
    assert latin_ratio("") == 1.0
    assert latin_ratio("мост") == 0.0


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_can_be_screened(title: str, summary: str) -> None:
    screening = SCREEN.screen(title, summary)
    assert isinstance(screening.worth_fetching, bool)


def read_lines(name: str) -> list[dict[str, str]]:
    path = SHARED / "labelled" / name
    if not path.exists():
        pytest.skip(f"no labelled data at {path}; set TGE_SHARED_DATA")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_recall_on_labelled_articles() -> None:
    positives = [r for r in read_lines("dev.jsonl") if r["tge"] and r["medium"] == "article"]
    worth = [SCREEN.screen(r["title"], r["summary"]).worth_fetching for r in positives]
    assert sum(worth) / len(worth) >= 0.97


def test_share_let_through_of_a_natural_stream() -> None:
    records = read_lines("stream_window.jsonl")
    worth = [SCREEN.screen(r["title"], r["summary"]).worth_fetching for r in records]
    assert sum(worth) / len(worth) <= 0.30
