"""Patterns of phrases: they miss nothing that the vocabulary finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.matching import Vocabulary
from tgecrawler.domain.phrase_pattern import CompanySearch, PhraseSearch, fold_text
from tgecrawler.domain.subjects import Spellings

SETS = {"venue": ["binance", "crypto com", "café"], "token": ["token", "meme coin", "币安"]}
PHRASES = ["listed *2 on <venue>", "<token> sale|drop", "isn't live", "to * <token> holders", "é"]
WORDS = [
    "listed", "on", "Binance", "Binance's", "crypto", "com", "crypto.com", "café", "TOKEN",
    "tok\u00aden", "meme", "meme-coin", "coin’s", "币安", "币", "安", "sale", "drop",
    "isn’t", "isn't", "live", "to", "all", "holders", "https://a.example/b", "é", "5%", "ﬁ",
    "listed-on", "|", ".",
]  # fmt: skip
VOCABULARY = Vocabulary({phrase: [phrase] for phrase in PHRASES}, SETS, {})
SEARCHES = {phrase: PhraseSearch([phrase], SETS) for phrase in PHRASES}


@settings(max_examples=500)
@given(st.lists(st.sampled_from(WORDS), max_size=14), st.sampled_from([" ", ", ", " - ", "\n", ""]))
def test_whatever_the_vocabulary_finds_may_stand_there(words: list[str], joint: str) -> None:
    text = joint.join(words)
    found = {phrase for phrase in PHRASES if VOCABULARY.find(text).rules.get(phrase)}
    assert found <= {phrase for phrase in PHRASES if SEARCHES[phrase].may_stand_in(fold_text(text))}


@pytest.mark.parametrize(
    "text",
    [
        "listed",
        "tokensale",
        "token of a sale",
        "unlisted on binance",
        "listed a b c d e on binance",
    ],
)
def test_words_apart_are_no_phrase(text: str) -> None:
    search = PhraseSearch(["listed *2 on <venue>", "<token> sale"], SETS)
    assert not search.may_stand_in(fold_text(text))


def test_without_phrases_nothing_is_found() -> None:
    assert not PhraseSearch([], {}).may_stand_in(fold_text("token sale"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Zyntho opens", True),
        ("the zyntho's", True),
        ("Gold-Mine", True),
        ("Straße", True),
        ("zynthos", False),
        ("ZYN is up", True),
        ("the $zyn", True),
        ("a zyn of it", False),
        ("@zynthohq said", True),
        ("zynthohq", False),
        ("", False),
    ],
)
def test_companies_stand_under_their_spellings(text: str, found: bool) -> None:
    spellings = Spellings(("Zyntho", "gold mine", "strasse", "!"), ("ZynthoHQ",), ("Zyn",))
    assert CompanySearch(spellings).may_stand_in(text, fold_text(text)) is found


def test_an_empty_watchlist_stands_nowhere() -> None:
    assert not CompanySearch(Spellings((), (), ())).may_stand_in("x", b"x")


def test_a_long_watchlist_is_compiled() -> None:
    names = tuple(f"Company {n} Labs{n}" for n in range(5_000))
    search = CompanySearch(Spellings(names, (), ()))
    text = "a word " * 2000 + "company 4999 labs4999"
    assert search.may_stand_in(text, fold_text(text))
    assert not search.may_stand_in("company 1 labs2", b"company 1 labs2")
