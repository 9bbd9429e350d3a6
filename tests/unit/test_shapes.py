"""A text's words as shapes: what is particular to it is replaced by what it is."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.matching import Span, Vocabulary, split_words
from tgecrawler.domain.shapes import BREAK, LONGEST_TICKER, Shape, Shaper, is_shouting

SETS = {
    "exchanges": ["Acme", "Acme Pro", "Both", "Now Pro"],
    "organisations": ["Ministry of Coins"],
    "established": ["Oldcoin", "Liquid", "Both"],
}
SHAPER = Shaper(
    {
        **SETS,
        "common_words": ["lists", "opens", "now", "the", "sale", "token", "is", "Liquid", "А"],
        "not_names": ["Monday", "Web3"],
    }
)
VOCABULARY = Vocabulary({}, SETS, {})


def shape(text: str, most_words: int = 60) -> list[Shape]:
    return SHAPER.shape(VOCABULARY.find(text), most_words)


def shaped(text: str, most_words: int = 60) -> str:
    return " ".join(one.text for one in shape(text, most_words))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Acme lists Quillon (QLN)", "<exchange> lists <name> <ticker>"),
        ("Acme Pro lists Varro", "<exchange> lists <name>"),
        ("acme pro lists Varro", "<exchange> lists <name>"),
        ("Oldcoin is old", "<old> is old"),
        ("the Ministry of Coins", "the <organisation>"),
        ("the ministry of coins", "the <organisation>"),
        ("Both opens", "<exchange> opens"),
        ("the Sale", "the sale"),
        ("Quillon Varro Zemblor opens", "<name> opens"),
        ("Quillon lists Varro", "<name> lists <name>"),
        ("Web3 opens", "web3 opens"),
        ("unheard words", "unheard words"),
        ("iQuillon opens", "<name> opens"),
    ],
)
def test_names(text: str, expected: str) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the liquid sale", "the liquid sale"),
        ("the Liquid sale", "the <old> sale"),
        ("the $liquid sale", "the <old> sale"),
        ("the @liquid sale", "the <old> sale"),
        ("the oldcoin sale", "the <old> sale"),
        ("now pro lists", "<exchange> lists"),
        ("now lists", "now lists"),
    ],
)
def test_a_name_that_is_a_word_of_the_language_needs_a_capital_or_a_sign(
    text: str, expected: str
) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$qln", "<cashtag>"),
        ("$the", "<cashtag>"),
        ("@quillon", "<handle>"),
        ("#quillon", "<hashtag>"),
        ("#March", "<hashtag>"),
        ("is QLN", "is <ticker>"),
        ("is Q2L", "is <ticker>"),
        ("is Q", "is <name>"),
        (f"is {'Q' * LONGEST_TICKER}", "is <ticker>"),
        (f"is {'Q' * (LONGEST_TICKER + 1)}", "is <name>"),
        ("is NOW", "is now"),
        ("is ÄÖÜ", "is <name>"),
    ],
)
def test_tickers_and_tags(text: str, expected: str) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$5", "<money>"),
        ("$1,000.50", "<money>"),
        ("€5m", "<money>"),
        ("5€", "<money>"),
        ("£5", "<money>"),
        ("5%", "<percent>"),
        ("1,000.5%", "<percent>"),
        ("100x", "<multiple>"),
        ("2026", "<year>"),
        ("1926", "<year>"),
        ("1826", "<number>"),
        ("20260", "<number>"),
        ("3rd", "<ordinal>"),
        ("21st", "<ordinal>"),
        ("7", "<small>"),
        ("12", "<small>"),
        ("123", "<number>"),
        ("1,5", "<number>"),
        ("3d", "<number>"),
        ("²", "<number>"),
        ("on 14 sites", "on <small> sites"),
    ],
)
def test_amounts(text: str, expected: str) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14 2026", "<small> <year>"),
        ("2026 100x", "<year> <multiple>"),
        ("7 5%", "<small> <percent>"),
    ],
)
def test_two_amounts_with_a_space_between_are_two(text: str, expected: str) -> None:
    assert shaped(text) == expected


def test_two_sentences_share_no_amount() -> None:
    for end in (". ", "\n", "|", " – "):
        assert shaped(f"is 5{end}7 is") == f"is <small> {BREAK} <small> is"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("March", "<month>"),
        ("Sept", "<month>"),
        ("the march", "the march"),
        ("Sunday", "<day>"),
        ("the sunday", "the sunday"),
        ("Monday", "<day>"),
    ],
)
def test_months_and_days_have_a_capital(text: str, expected: str) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the sale opens. Now is", "the sale opens | now is"),
        ("the sale – now", "the sale | now"),
        ("the sale\nnow", "the sale | now"),
        ("Quillon. Varro", "<name> | <name>"),
        ("is it?", "is it ?"),
        ("it is! Now", "it is ! | now"),
        ("Quillon: sale", "<name> : sale"),
        ("Quillon: Varro", "<name> : <name>"),
        (". now", "now"),
    ],
)
def test_breaks_and_marks(text: str, expected: str) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Квиллон", "<name>"),
        ("токен", "<foreign>"),
        ("а", "а"),  # a common word of another alphabet stays as it is
        ("领取", "<foreign> <foreign>"),
        ("推出Quillon代币", "<foreign> <foreign> <name> <foreign> <foreign>"),
        ("QUIL\u200bLON and the", "<name> and the"),
        ("sa\u200ble", "sale"),
        ("sa\u00adle", "sale"),
        ("\u202eQLN\u202c is", "<ticker> is"),
        ("🚀sale🚀 opens", "sale opens"),
        ("🚀", ""),
        ("", ""),
        ("İstanbul", "<name>"),
        ("éte\u0301", "<foreign>"),
    ],
)
def test_other_alphabets_and_hidden_marks(text: str, expected: str) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ZMB SALE OPENS NOW", "<name> sale opens now"),
        ("ZMB sale opens now", "<ticker> sale opens now"),
        ("ACME LISTS ZMB", "<exchange> lists <name>"),
        ("ZMB", "<ticker>"),
        ("ZMB A B C", "<ticker> <name>"),
    ],
)
def test_in_a_shouted_text_capitals_are_no_ticker(text: str, expected: str) -> None:
    assert shaped(text) == expected


@pytest.mark.parametrize(
    ("text", "shouting"),
    [
        ("ONE TWO three", True),
        ("ONE two", False),
        ("ONE two A B", False),
        ("ONE", False),
        ("", False),
        ("領取 代幣", False),
        ("one " * 15 + "TWO " * 90, False),
        ("ONE " * 8 + "two " * 90, True),
    ],
)
def test_shouting(text: str, shouting: bool) -> None:
    assert is_shouting(split_words(text)) is shouting


def test_spans_count_words() -> None:
    assert shape("Acme Pro lists Quillon Varro? Now $1,000.50") == [
        Shape("<exchange>", Span(0, 2)),
        Shape("lists", Span(2, 3)),
        Shape("<name>", Span(3, 5)),
        Shape("?", Span(5, 5)),
        Shape(BREAK, Span(5, 5)),
        Shape("now", Span(5, 6)),
        Shape("<money>", Span(6, 9)),
    ]


def test_only_the_first_words_are_shaped() -> None:
    assert shaped("the sale opens now", 2) == "the sale"
    assert shape("the Ministry of Coins", 2) == [
        Shape("the", Span(0, 1)),
        Shape("<organisation>", Span(1, 2)),
    ]
    assert shaped("the sale", 0) == ""


PIECES = st.sampled_from(
    [
        *("Acme", "Pro", "Ministry of Coins", "Liquid", "liquid", "QLN", "$QLN", "@quillon", "#1"),
        *("1,000", "5%", "€", "$", "2026", "3rd", "100x", "Quillon", "the", "March", "NOW", "²"),
        *(".", "?", ":", "!", " - ", "–", "\n", ",", "'s", "’S", "İ", "ß", "领", "токен", "🚀"),
        *("\u200b", "\u202e", "\u0301", "\ufeff", "https://a.example/x", " ", " ", " ", " "),
    ]
)
ANY = st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join)


@settings(deadline=None, max_examples=200)
@given(ANY, st.integers(0, 30))
def test_spans_are_in_order_and_inside_the_text(text: str, most_words: int) -> None:
    found = VOCABULARY.find(text)
    shapes = SHAPER.shape(found, most_words)
    at = 0
    for one in shapes:  # together they hold every word once
        assert one.span.start == at
        assert one.span.end >= at
        at = one.span.end
        empty = one.text in (BREAK, "?", "!", ":")
        assert empty is (one.span.start == one.span.end)
    assert at == min(len(found.words), most_words)


@settings(deadline=None, max_examples=150)
@given(ANY)
def test_a_shape_is_one_word(text: str) -> None:
    for one in shape(text):
        assert one.text.split() == [one.text]


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "A", "1", "1,", "1 ", "QLN ", "Quillon ", "$QLN ", "?! ", "acme pro ", "领", "é"),
        *("\u0301", "Q\u200b", "\u202e", "🚀", "'s", "a.A ", "\n"),
    ],
)
def test_time_is_bounded(piece: str) -> None:
    found = VOCABULARY.find(piece * (1_000_000 // len(piece)))
    started_at = perf_counter()
    assert len(SHAPER.shape(found, 60)) <= 3 * 60
    is_shouting(found.words)
    assert perf_counter() - started_at < 0.5  # it takes 5 ms


@pytest.mark.parametrize("piece", ["a", "A", "1", "é", "İ", "Q\u200b", "a\u0301"])
def test_one_word_of_a_megabyte_is_shaped_in_time(piece: str) -> None:
    found = VOCABULARY.find(f"{piece * (1_000_000 // len(piece))} is", max_chars=1_000_100)
    assert len(found.words) == 2
    started_at = perf_counter()
    assert len(SHAPER.shape(found, 60)) == 2
    assert perf_counter() - started_at < 1  # it takes 50 ms
