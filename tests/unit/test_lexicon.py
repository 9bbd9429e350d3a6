"""The lexicon's shape, and that the one shipped has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

import tgecrawler.config
from tgecrawler.domain.lexicon import Element, FieldFactors, Lexicon, parse_phrase
from tgecrawler.items import KINDS, STATUSES

SHIPPED = Path(tgecrawler.config.__file__).with_name("lexicon.yaml")


@pytest.fixture(scope="module")
def shipped() -> Lexicon:
    return Lexicon.model_validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))


def lexicon(**changes: Any) -> Lexicon:
    rules = [{"name": "tge", "role": "event", "phrases": ["token generation event"]}]
    return Lexicon.model_validate({"version": 1, "prior": -1, "rules": rules, **changes})


def test_the_shipped_lexicon_speaks_for_every_kind_and_status(shipped: Lexicon) -> None:
    kinds = {rule.kind for rule in shipped.rules if rule.role == "event"}
    statuses = {rule.status for rule in shipped.rules}
    assert kinds == set(KINDS) - {"none"}
    assert statuses == set(STATUSES)


def test_the_orders_name_every_kind_and_status_once(shipped: Lexicon) -> None:
    assert sorted(shipped.kind_order) == sorted(set(KINDS) - {"none"})
    assert sorted(shipped.status_order) == sorted(set(STATUSES) - {"none"})


def test_nothing_is_weighed_by_hand_that_was_fitted(shipped: Lexicon) -> None:
    assert [rule.name for rule in shipped.rules if rule.weight] == ["v_other_token"]
    assert set(shipped.signals) == {"watchlist_subject", "watchlist_symbol"}


def test_a_lexicon_cannot_be_changed(shipped: Lexicon) -> None:
    with pytest.raises(ValidationError):
        shipped.prior = 3  # type: ignore[misc]


def test_phrases_are_read() -> None:
    assert parse_phrase("Launch|launches *2 <token>") == (
        Element(words=frozenset({"launch", "launches"})),
        Element(gap=2),
        Element(set_name="token"),
    )
    assert parse_phrase("a * b")[1].gap == 4


@pytest.mark.parametrize(
    "phrase",
    ["* token", "token *", "", "a * * b", "pre-sale", "a *x b", "<A b>", "a * b * c * d * e"],
)
def test_a_phrase_outside_the_grammar_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match=r"phrase|cannot read"):
        parse_phrase(phrase)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version"),
        ({"colour": "red"}, "colour"),
        ({"rules": []}, "rules"),
        ({"rules": [{"name": "a", "phrases": ["<nowhere>"]}]}, "no set <nowhere>"),
        ({"rules": [{"name": "a", "phrases": ["x"]}] * 2}, "two rules are named 'a'"),
        ({"rules": [{"name": "Not a name", "phrases": ["x"]}]}, "name"),
        ({"screening": {"rules": ["absent"]}}, "absent"),
        ({"signals": {"full_moon": 1.0}}, "full_moon"),
        ({"prior": 100}, "prior"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        lexicon(**changes)


def test_only_sets_that_a_phrase_refers_to_are_used() -> None:
    rules = [{"name": "a", "phrases": ["<verb> token"]}]
    made = lexicon(rules=rules, sets={"verb": ["issues"]}, names={"exchanges": ["Acme"]})
    assert made.used_sets() == {"verb": ("issues",)}


def test_factors_by_field() -> None:
    factors = FieldFactors(title=1, summary=0.5, text=0)
    assert (factors.of("title"), factors.of("summary"), factors.of("text")) == (1, 0.5, 0)
