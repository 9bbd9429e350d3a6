"""Assessments of invented records, and what must hold of every assessment."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.config.loader import load_lexicon, load_weights
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.metrics import same_project
from tgecrawler.domain.relevance import Assessor, logistic, rules_version
from tgecrawler.domain.watchlist import Watchlist
from tgecrawler.domain.weights import BIAS, Weights
from tgecrawler.items import KINDS, STATUSES, Assessment

FIXTURES = Path(__file__).parents[1] / "fixtures" / "relevance"
LEXICON = load_lexicon()
WATCHLIST = Watchlist.model_validate(
    {
        "version": 1,
        "companies": [
            {
                "name": "Caldera",
                "aliases": ["Caldera Labs"],
                "symbols": ["CAL"],
                "exclusions": ["volcanic caldera", "volcano", "eruption"],
                "priority": "high",
                "status": "pre_token",
                "x_handle": "CalderaXYZ",
            },
            *(
                {"name": name, "priority": "medium", "status": "pre_token"}
                for name in ("Succinct", "Clique", "Treasure")
            ),
            {
                "name": "Espresso",
                "aliases": ["Espresso Systems"],
                "exclusions": ["espresso machine"],
                "priority": "high",
                "status": "pre_token",
            },
            {
                "name": "Fabric",
                "exclusions": ["fabric softener"],
                "priority": "high",
                "status": "pre_token",
            },
            {
                "name": "Camelot",
                "symbols": ["GRAIL"],
                "exclusions": ["king arthur"],
                "priority": "medium",
                "status": "has_token",
            },
            {"name": "Curvance", "symbols": ["CRV"], "priority": "low", "status": "pre_token"},
        ],
    }
)
WEIGHTS = load_weights()
ASSESSOR = Assessor(WATCHLIST, LEXICON, WEIGHTS, min_score=0.5)
EVIDENCE = {"event_date", "chain", "exchange", "claim_url"}
MOST_CUES = 2_000  # one of each place in a bounded number of words
RECORDS = [
    json.loads(line)
    for path in sorted(FIXTURES.glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]


def assess(record: dict[str, Any], assessor: Assessor = ASSESSOR) -> Assessment:
    return assessor.assess(
        record.get("title", ""),
        record.get("summary", ""),
        record.get("text", ""),
        medium=record.get("medium", "article"),
    )


def check(assessment: Assessment, texts: dict[str, str]) -> None:
    """Assert what holds of every assessment."""
    assert assessment.score == logistic(sum(reason.weight for reason in assessment.reasons))
    assert 0 <= assessment.score <= 1
    assert assessment.kind in KINDS
    assert assessment.status in STATUSES
    assert assessment.relevant != bool(assessment.missing)
    assert assessment.relevant == (assessment.kind != "none")
    assert assessment.reasons[0].rule == "prior"
    for reason in assessment.reasons:
        assert texts[reason.field][reason.start : reason.end] == reason.text
        assert math.isfinite(reason.weight)


def test_there_are_enough_records() -> None:
    assert len(RECORDS) >= 60
    assert len({record["id"] for record in RECORDS}) == len(RECORDS)
    kinds = {record["expected"].get("kind") for record in RECORDS}
    statuses = {record["expected"].get("status") for record in RECORDS}
    assert kinds - {None} == set(KINDS) - {"none"}
    assert statuses - {None} == set(STATUSES) - {"none"}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_record(record: dict[str, Any]) -> None:
    assessment = assess(record)
    answer = {
        "relevant": assessment.relevant,
        "kind": assessment.kind,
        "status": assessment.status,
        "companies": list(assessment.companies),
        "token": assessment.token,
        "promo": assessment.promo,
    }
    expected = dict(record["expected"])
    assert same_project(expected.pop("project", ""), assessment.project)
    assert {key: answer[key] for key in expected} == expected, assessment
    check(assessment, {field: record.get(field, "") for field in ("title", "summary", "text")})


@settings(deadline=None, max_examples=150)
@given(*[st.text(max_size=120)] * 3, st.sampled_from(["article", "post"]))
def test_any_text_gets_an_assessment(title: str, summary: str, text: str, medium: Any) -> None:
    assessment = ASSESSOR.assess(title, summary, text, medium=medium)
    check(assessment, {"title": title, "summary": summary, "text": text})


WORDS = [
    "Caldera",
    "$CAL",
    "CAL",
    "airdrop",
    "token",
    "launches",
    "listed on",
    "Kraken",
    "@CalderaXYZ",
]
WORDS += [
    "volcano",
    "TGE",
    "?",
    ".",
    "\n",
    "100x",
    "İ",
    "“Fabric”",
    "Espresso’s",
    "https://a.example/x",
]


@settings(deadline=None, max_examples=150)
@given(*[st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)] * 3)
def test_any_mixture_gets_an_assessment(title: str, summary: str, text: str) -> None:
    check(ASSESSOR.assess(title, summary, text), {"title": title, "summary": summary, "text": text})


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "$CAL " * 10_000, "Caldera airdrop " * 5_000, "A " * 20_000]
)
def test_hostile_texts_are_bounded(text: str) -> None:
    assessment = ASSESSOR.assess(text, text, text)
    assert len(assessment.reasons) < MOST_CUES
    assert len(assessment.project) < 200


HOSTILE_NAMES = Watchlist.model_validate(
    {"version": 1, "companies": [{"name": "(a+)+$", "aliases": ["(x*)*y", "a" * 200, ".*"]}]}
)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 5_000 + "!",
        "\u202eZyntho airdrop\u202c " * 20_000,
        "Zyn\u200btho air\u200bdrop " * 20_000,
        "(" * 200_000,
        "Oct. 14, 10:00 UTC " * 50_000,
        "https://claim.zyntho.example/ " * 30_000,
        "1," * 400_000,
    ],
)
def test_a_name_is_no_pattern_and_no_text_is_endless(text: str) -> None:
    assessor = Assessor(HOSTILE_NAMES, LEXICON, WEIGHTS, min_score=0.0)
    links = [(f"https://x{at}.example/claim", "claim") for at in range(1_000)]
    assessment = assessor.assess(text, text, text, url="https://news.example/", links=links)
    assert len(assessment.reasons) < MOST_CUES
    assert assessment.companies in ((), ("(a+)+$",))


def test_without_discovery_only_the_watchlist_counts() -> None:
    strict = Assessor(WATCHLIST, LEXICON, WEIGHTS, min_score=0.5, discovery=False)
    outsider = strict.assess("Zyntho announces airdrop for early users")
    assert not outsider.relevant
    assert outsider.missing == ("no watchlist company is its subject",)
    assert outsider.score > 0.5
    assert strict.assess("Caldera announces airdrop for early users").relevant


def test_what_is_missing_is_said() -> None:
    quiet = ASSESSOR.assess("City council opens a bridge")
    assert quiet.missing[0] == "no event word in title or summary"
    assert quiet.missing[1] == f"score {quiet.score:.2f} below 0.50"
    unnamed = Assessor(WATCHLIST, LEXICON, min_score=0.0).assess("the airdrop is live now")
    assert unnamed.missing == ("no project could be named",)


def test_a_company_named_far_from_the_event_is_no_subject() -> None:
    text = (
        "Zyntho will airdrop its token. " + "It is a busy month. " * 10 + "Caldera Labs was there."
    )
    assert ASSESSOR.assess("Zyntho confirms airdrop", text).companies == ()


def test_an_event_in_the_headline_outweighs_one_in_the_summary() -> None:
    headline = ASSESSOR.assess("Zyntho confirms airdrop date", "It is soon.")
    summary = ASSESSOR.assess("It is soon.", "Zyntho confirms airdrop date")
    assert headline.score > summary.score


def test_a_watchlist_company_raises_the_score() -> None:
    known = ASSESSOR.assess("Caldera confirms airdrop date")
    unknown = ASSESSOR.assess("Zyntho confirms airdrop date")
    assert known.score > unknown.score


def test_the_beginning_of_a_post_given_as_title_does_not_count_twice() -> None:
    text = "Zyntho airdrop claim is live"
    with_title = ASSESSOR.assess(text, "", text, medium="post")
    assert with_title.score == ASSESSOR.assess("", "", text, medium="post").score


@pytest.mark.parametrize("min_score", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_the_scale_is_refused(min_score: float) -> None:
    with pytest.raises(ValueError, match="min_score"):
        Assessor(WATCHLIST, LEXICON, min_score=min_score)


def test_the_version_of_the_rules_tells_any_change() -> None:
    def version(
        watchlist: Watchlist = WATCHLIST,
        lexicon: Lexicon = LEXICON,
        weights: Weights = WEIGHTS,
        min_score: float = 0.5,
        discovery: bool = True,
    ) -> str:
        return rules_version(watchlist, lexicon, weights, min_score=min_score, discovery=discovery)

    fewer = Watchlist.model_validate(
        {"version": 1, "companies": [{"name": "Acme", "priority": "low", "status": "pre_token"}]}
    )
    versions = [
        version(),
        version(watchlist=fewer),
        version(lexicon=LEXICON.model_copy(update={"prior": -0.9})),
        version(weights=Weights(relevance={"(bias)": -1.0})),
        version(min_score=0.6),
        version(discovery=False),
    ]
    assert len(set(versions)) == len(versions)
    assert all(len(one) == 12 and int(one, 16) >= 0 for one in versions)
    assert version() == ASSESSOR.rules_version


@pytest.mark.parametrize(("log_odds", "expected"), [(0, 0.5), (1e9, 1.0), (-1e9, 0.0)])
def test_logistic(log_odds: float, expected: float) -> None:
    assert logistic(log_odds) == pytest.approx(expected, abs=1e-12)


def test_a_rule_counts_by_the_field_it_matches_in() -> None:
    assessment = ASSESSOR.assess("Zyntho sets TGE date", "The TGE is soon.", "A TGE at last.")
    weights = {r.rule: r.weight for r in assessment.reasons if r.rule.startswith("tge@")}
    known = WEIGHTS.relevance
    cues = [cue for cue in ("tge@title", "tge@summary", "tge@text") if cue in known]
    assert cues
    assert weights == {cue: known[cue] for cue in cues}


def test_a_weight_by_hand_is_added_to_the_fitted_one() -> None:
    rules = tuple(
        rule.model_copy(update={"weight": 1.5}) if rule.name == "tge" else rule
        for rule in LEXICON.rules
    )
    lexicon = LEXICON.model_copy(update={"rules": rules, "prior": -0.25})
    by_hand = Assessor(WATCHLIST, lexicon, WEIGHTS, min_score=0.5).assess("Zyntho sets TGE date")
    fitted = ASSESSOR.assess("Zyntho sets TGE date")
    added = {r.rule: r.weight for r in by_hand.reasons}
    for reason in fitted.reasons:
        more = {"tge@title": 1.5, "prior": -0.25}.get(reason.rule, 0.0)
        assert added[reason.rule] == pytest.approx(reason.weight + more)


def test_every_reason_is_a_line_of_the_weights_or_named_by_hand() -> None:
    assessment = ASSESSOR.assess("Caldera opens ERA airdrop claims on Oct. 14", "Users may claim.")
    by_hand = {"prior", *LEXICON.signals, *EVIDENCE}
    for reason in assessment.reasons:
        assert reason.rule in by_hand or reason.rule in WEIGHTS.relevance
    assert assessment.reasons[0].weight == WEIGHTS.relevance[BIAS]


def test_details_carry_their_evidence() -> None:
    title = "Caldera opens ERA claims on Oct. 14, 10:00 UTC on Arbitrum"
    summary = "Users claim at https://claim.caldera.example, says the team."
    watched = Watchlist.model_validate(
        {"version": 1, "companies": [{"name": "Caldera", "domains": ["caldera.example"]}]}
    )
    assessor = Assessor(watched, LEXICON, WEIGHTS, min_score=0.5)
    assessment = assessor.assess(title, summary, published_at=datetime(2025, 10, 1, tzinfo=UTC))
    assert assessment.event_date == "2025-10-14T10:00Z"
    assert assessment.event_date_precision == "minute"
    assert assessment.chain == "Arbitrum"
    assert assessment.claim_url == "https://claim.caldera.example"
    assert assessment.claim_url_official is True
    evidence = {r.rule: r.text for r in assessment.reasons if r.rule in EVIDENCE}
    assert evidence == {
        "event_date": "Oct. 14, 10:00 UTC",
        "chain": "Arbitrum",
        "claim_url": "https://claim.caldera.example",
    }


@pytest.mark.parametrize(
    "address", ["https://caldera-claim.example/x", "https://claim.caldera.example.evil.example"]
)
def test_a_look_alike_claim_link_is_suspect(address: str) -> None:
    watched = Watchlist.model_validate(
        {"version": 1, "companies": [{"name": "Caldera", "domains": ["caldera.example"]}]}
    )
    assessor = Assessor(watched, LEXICON, WEIGHTS, min_score=0.5)
    assessment = assessor.assess("Caldera airdrop is live", f"Claim your tokens at {address} now.")
    assert assessment.claim_url == address
    assert assessment.claim_url_official is False
    assert any(reason.rule.startswith("claim_url_suspect: ") for reason in assessment.reasons)


def test_a_claim_link_of_the_page_is_found() -> None:
    links = [
        ("https://news.example/tag/airdrop", "Airdrop"),
        ("https://claim.zyntho.example", "Claim"),
    ]
    assessment = ASSESSOR.assess(
        "Zyntho opens airdrop claims", url="https://news.example/zyntho", links=links
    )
    assert assessment.claim_url == "https://claim.zyntho.example"
    assert assessment.claim_url_official is None


NAMESAKES = [
    ("Fabric Launches Public Sale of Remnants", "Everything must go at the family-owned shop."),
    ("Espresso Chain Rolls Out Loyalty Tokens", "Every tenth cup gets customers a wooden token."),
]


@pytest.mark.parametrize(("title", "summary"), NAMESAKES)
def test_a_namesake_says_why_it_is_none(title: str, summary: str) -> None:
    assessment = ASSESSOR.assess(title, summary)
    assert not assessment.relevant
    assert "nothing is said of crypto" in assessment.missing[-1]


def test_an_exclusion_in_passing_does_not_silence_the_company() -> None:
    title = "Caldera, named after a volcanic caldera, opens airdrop claims for testnet users"
    assessment = ASSESSOR.assess(title)
    assert assessment.companies == ("Caldera",)
    assert assessment.relevant
