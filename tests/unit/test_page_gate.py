"""Which pages are worth extracting."""

from __future__ import annotations

import pytest

from tgecrawler.config.loader import load_lexicon, load_weights
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.page_gate import PageGate
from tgecrawler.domain.relevance import Assessor
from tgecrawler.domain.watchlist import Watchlist

WATCHLIST = Watchlist.model_validate(
    {
        "version": 1,
        "companies": [
            {"name": "Zyntho", "symbols": ["ZYN"], "priority": "high", "status": "pre_token"}
        ],
    }
)
LEXICON, WEIGHTS = load_lexicon(), load_weights()
FAR = "The cathedral choir sings at noon"  # far from any event
NEAR = "Brightling: a date at last"


def make_gate(*, min_score: float = 0.5, discovery: bool = True, **lexicon: object) -> PageGate:
    raw = {**LEXICON.model_dump(mode="json"), **lexicon}
    assessor = Assessor(
        WATCHLIST,
        Lexicon.model_validate(raw),
        WEIGHTS,
        min_score=min_score,
        discovery=discovery,
    )
    return PageGate(assessor)


GATE = make_gate()


@pytest.mark.parametrize(
    ("title", "page_text", "worth"),
    [
        ("Caldera opens claims of its CAL token airdrop", "", True),
        (FAR, "", False),
        (FAR, "Tickets are sold at the door.", False),
        (NEAR, "Its token generation event comes on Friday, with an airdrop of tokens.", True),
        (NEAR, "Its chairs and tables come on Friday.", False),
        ("", "", False),
    ],
)
def test_what_a_page_says_decides(title: str, page_text: str, worth: bool) -> None:
    assert GATE.look(title, "", page_text).worth_extracting is worth


def test_the_summary_counts_with_the_title() -> None:
    told = "The project sets its token generation event and airdrop for Friday."
    assert GATE.look(NEAR, told, "").worth_extracting


def test_a_refusal_says_why() -> None:
    verdict = GATE.look(FAR, "", "Tickets at the door.")
    assert verdict.reason.startswith("log-odds -")
    assert GATE.look("Airdrop of the ABC token starts", "", "").reason == ""


def test_a_company_in_the_title_or_beside_an_event_counts() -> None:
    gains = {"nothing": -20, "either": 0, "both": 0}
    gate = make_gate(page_gains=gains, signals={"watchlist_subject": 20})
    assert not gate.look(FAR, "", "A public sale.").worth_extracting
    assert gate.look(FAR, "", "A public sale by Zyntho.").worth_extracting
    assert gate.look(FAR, "", "A public sale of ZYN.").worth_extracting
    assert gate.look(f"{FAR} of Zyntho", "", "A public sale.").worth_extracting
    assert not gate.look(FAR, "", "A concert by Zyntho.").worth_extracting


def test_without_discovery_a_company_must_stand_on_the_page() -> None:
    gate = make_gate(discovery=False)
    title = "Airdrop of the ABC token starts"
    assert gate.look(title, "", "A token sale").reason == "no watchlist company on the page"
    assert gate.look(title, "", "A token sale of Zyntho").worth_extracting
    assert gate.look(f"{title} at Zyntho", "", "").worth_extracting


def test_the_threshold_moves_the_gate() -> None:
    assert make_gate(min_score=0).look(FAR, "", "").worth_extracting
    assert not make_gate(min_score=1).look("Airdrop of the ABC token", "", "").worth_extracting
    assert not make_gate(min_score=0.999).look(NEAR, "", "token airdrop").worth_extracting


def test_a_weight_by_hand_on_the_text_is_allowed_for() -> None:
    rules = [dict(rule) for rule in LEXICON.model_dump(mode="json")["rules"]]
    assert not GATE.look(FAR, "", "").worth_extracting
    rules[0] |= {"weight": 20, "fields": {"title": 0, "summary": 0, "text": 1}}
    assert make_gate(rules=rules).look(FAR, "", "").worth_extracting
