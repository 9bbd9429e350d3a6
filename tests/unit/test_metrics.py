"""Agreement of assessments with labels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.metrics import (
    LabelledRecord,
    evaluate,
    parse_labelled,
    same_project,
    same_token,
)
from tgecrawler.items import Assessment

KEYS = [
    "records", "positives", "tp", "fp", "fn", "precision", "recall", "f1", "f1_sure",
    "kind_accuracy", "status_accuracy", "project_accuracy", "token_accuracy",
    "project_named_accuracy",
]  # fmt: skip


def label(tge: bool, **fields: Any) -> LabelledRecord:
    return LabelledRecord(id="x", tge=tge, **fields)


def answer(relevant: bool, **fields: Any) -> Assessment:
    return Assessment(score=0.5, relevant=relevant, **fields)


def test_a_worked_example() -> None:
    pairs = [
        (
            label(True, kind="airdrop", status="live", project="Zyntho", token="$ZYN"),
            answer(True, kind="airdrop", status="live", project="zyntho labs", token="ZYN"),
        ),
        (
            label(True, kind="listing", status="live", project="", token="", sure=False),
            answer(True, kind="airdrop", status="live", project="Acme", token=""),
        ),
        (label(True), answer(False)),
        (label(False, sure=False), answer(True)),
        (label(False), answer(False)),
    ]
    report = evaluate(pairs).as_dict()
    assert list(report) == KEYS
    assert report == {
        "records": 5,
        "positives": 3,
        "tp": 2,
        "fp": 1,
        "fn": 1,
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "f1_sure": pytest.approx(2 / 3),
        "kind_accuracy": 0.5,
        "status_accuracy": 1.0,
        "project_accuracy": 1.0,
        "token_accuracy": 1.0,
        "project_named_accuracy": 1.0,
    }


def test_nothing_gives_zeros() -> None:
    assert set(evaluate([]).as_dict().values()) == {0}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=30))
def test_ratios_are_ratios(rows: list[tuple[bool, bool, bool]]) -> None:
    pairs = [(label(tge, sure=sure), answer(relevant)) for tge, relevant, sure in rows]
    report = evaluate(pairs).as_dict()
    assert all(0 <= report[key] <= 1 for key in KEYS[5:])
    assert report["tp"] + report["fn"] == report["positives"] <= report["records"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Zyntho", "zyntho", True),
        ("Zyntho", "Zyntho Labs", True),
        ("Zyntho Labs", "Zyntho", True),
        ("Zyntho", "Acme", False),
        ("", "", True),
        ("", "Acme", True),
        ("Acme", "", False),
    ],
)
def test_projects(one: str, other: str, same: bool) -> None:
    assert same_project(one, other) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("$ZYN", "ZYN", True), ("zyn", "ZYN", True), ("", "", True), ("ZYN", "", False)],
)
def test_tokens(one: str, other: str, same: bool) -> None:
    assert same_token(one, other) is same


def test_a_line_is_read() -> None:
    line = json.dumps(
        {"id": 7, "medium": "tweet", "title": "t", "tge": 1, "kind": "airdrop", "status": "",
         "summary": None, "sure": False, "stratum": "left aside", "event": "acme/airdrop/1"}
    )  # fmt: skip
    assert parse_labelled(line) == LabelledRecord(
        id="7", medium="post", title="t", tge=True, kind="airdrop", sure=False,
        event="acme/airdrop/1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not a line of JSON"),
        ("[" * 100_000, "not a line of JSON"),
        ("[]", "JSON object"),
        ("{}", "lacks id and tge and title, summary or text"),
        ('{"id": "a", "title": "t"}', "lacks tge"),
        ('{"id": "a", "tge": true, "title": " "}', "lacks title, summary or text"),
        ('{"id": "a", "tge": "yes", "title": "t"}', "tge must be true or false"),
        ('{"id": "a", "tge": true, "title": "t", "kind": "party"}', "kind must be one of"),
        ('{"id": "a", "tge": true, "title": "t", "status": 3}', "status must be one of"),
        ('{"id": "a", "tge": true, "title": "t", "medium": "radio"}', "medium must be one of"),
        ('{"id": "a", "tge": true, "title": "t", "token": 3}', "token must be a string"),
        ('{"id": "a", "tge": true, "title": "t", "sure": []}', "sure must be true or false"),
    ],
)
def test_a_bad_line_is_explained(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_labelled(line)
