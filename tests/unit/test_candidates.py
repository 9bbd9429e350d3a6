"""What is written like a name or a ticker, and as what it is written."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.candidates import (
    BODY_WORDS,
    LONGEST_SYMBOL,
    MAX_NAME_WORDS,
    MOST_CANDIDATES,
    TITLE_WORDS,
    Candidate,
    Names,
    find_candidates,
)
from tgecrawler.domain.matching import Vocabulary
from tgecrawler.domain.reading import Part
from tgecrawler.items import TextField

NAMES = Names.of(
    {
        "exchanges": ["Acme"],
        "not_names": ["Monday", "Web3"],
        "common_words": [
            *("the", "lists", "opens", "sale", "token", "a", "of", "and", "on", "for", "is", "it"),
            *("now", "mind", "new", "network"),
        ],
    }
)
VOCABULARY = Vocabulary({}, {}, {})
FIELDS: tuple[TextField, ...] = ("title", "summary", "text")


def parts(*texts: str, max_chars: int = 20_000) -> list[Part]:
    return [
        Part(field, field, VOCABULARY.find(text, max_chars))
        for field, text in zip(FIELDS, texts, strict=False)
    ]


def find(*texts: str) -> list[Candidate]:
    return find_candidates(parts(*texts), NAMES)


def found(*texts: str) -> list[str]:
    return [f"{one.sort} {one.text}" for one in find(*texts)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the sale of $QLN opens", ["cashtag QLN"]),
        ("the sale of $quillon opens", ["cashtag quillon"]),
        ("the sale of $web3 opens", ["cashtag web3"]),
        (f"${'q' * LONGEST_SYMBOL}", [f"cashtag {'q' * LONGEST_SYMBOL}"]),
        (f"${'q' * (LONGEST_SYMBOL + 1)}", []),
        ("$5M and $1,000", []),
        ("the token (QLN) opens", ["bracketed QLN"]),
        ("the token (1QL) opens", ["bracketed 1QL"]),
        ("the token (qln) opens", []),
        ("the token (Qln) opens", ["name Qln"]),
        ("the token (2026) opens", []),
        ("the token (QLN token) opens", ["capitals QLN"]),
        ("the token, QLN) opens", ["capitals QLN"]),
        (f"({'Q' * LONGEST_SYMBOL})", [f"bracketed {'Q' * LONGEST_SYMBOL}"]),
        (f"({'Q' * (LONGEST_SYMBOL + 1)})", [f"capitals {'Q' * (LONGEST_SYMBOL + 1)}"]),
        ("the QLN token", ["capitals QLN"]),
        ("the Q token", ["name Q"]),
        ("it is NOW", ["capitals NOW"]),
    ],
)
def test_symbols(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("$QLN", True), ("(QLN)", True), ("the QLN", True), ("Quillon", False), ("@quillon", False)],
)
def test_what_is_written_like_a_ticker_is_a_symbol(text: str, symbol: bool) -> None:
    assert [one.is_symbol for one in find(text)] == [symbol]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Acme lists Quillon", ["name Acme", "name Quillon"]),
        ("Quillon Varro Zemblor opens", ["name Quillon Varro Zemblor"]),
        ("Quillon Varro Zemblor Tavrik Oxbow", ["name Quillon Varro Zemblor Tavrik", "name Oxbow"]),
        ("Quillon.xyz opens", ["name Quillon"]),
        ("Quillon.Xyz opens", ["name Quillon.Xyz"]),
        ("Quillon-Varro opens", ["name Quillon-Varro"]),
        ("Quillon & Varro opens", ["name Quillon & Varro"]),
        ("Quillon, Varro opens", ["name Quillon", "name Varro"]),
        ("Quillon's Varro opens", ["name Quillon", "name Varro"]),
        ("Quillon. Varro opens", ["name Quillon", "name Varro"]),
        ("Quillon (QLN) opens", ["name Quillon", "bracketed QLN"]),
        ("Quillon $QLN opens", ["name Quillon", "cashtag QLN"]),
        ("Quillon 2 opens", ["name Quillon 2"]),
        ("Quillon 22 opens", ["name Quillon"]),
        ("Quillon 10x", ["name Quillon"]),
        ("10X 5M 3RD 1inch 1INCH", ["capitals 1INCH"]),
        ("the New Token opens", []),
        ("A sale opens", []),
        ("iQuillon opens", ["name iQuillon"]),
        ("Monday and Web3", []),
        ("THE the nOw", ["capitals THE", "name nOw"]),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the Mind Network opens", ["name Mind Network"]),
        ("Mind network opens", []),
        ("mind Network opens", []),
        ("Mind, Network", []),
        ("Mind. Network", []),
        ("Monday Network", []),
        ("Quillon Network opens", ["name Quillon Network"]),
        ("Quillon network opens", ["name Quillon"]),
        ("Quillon Token opens", ["name Quillon"]),
        ("MIND NETWORK OPENS NOW", []),
    ],
)
def test_a_tail_makes_a_name_of_an_ordinary_word(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@quillon opens", ["handle quillon"]),
        ("#quillon opens", ["hashtag quillon"]),
        ("@the opens", ["handle the"]),
        ("@web3 opens", []),
        ("quillon opens", ["word quillon"]),
        ("qui opens", []),
        ("quillon2 opens", []),
        ("web3 monday mind", []),
        ("токен", []),
    ],
)
def test_handles_and_words_without_capitals(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@quillon Varro opens", ["handle quillon", "name Varro"]),
        ("#Quillon Varro opens", ["hashtag Quillon", "name Varro"]),
        ("#1 Varro opens", ["name Varro"]),
    ],
)
def test_a_handle_or_hashtag_ends_at_a_space(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TOKEN SALE OF QUILLON OPENS NOW", ["capitals QUILLON"]),
        ("a token sale of quillon is NOW", ["word quillon", "capitals NOW"]),
    ],
)
def test_in_a_shouted_text_common_words_are_no_names(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Квиллон opens", ["name Квиллон"]),
        ("領取QLN代幣", ["capitals QLN"]),
        ("(\u202eQLN\u202c)", ["capitals QLN"]),
        ("$\u200bQLN", ["capitals QLN"]),
        ("Qui\u200bllon", ["name Qui\u200bllon"]),
        ("🚀Quillon🚀", ["name Quillon"]),
        ("İstanbul", ["name İstanbul"]),
        ("https://quillon.example/QLN", []),
        ("ǅabc", []),
        ("", []),
    ],
)
def test_other_alphabets_and_hidden_marks(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_candidates_come_in_order_of_place() -> None:
    one, two, three = find("the Quillon", "sale of $QLN", "")[0:2] + find("", "", "a Varro")
    assert (one.text, one.part.field, one.span) == ("Quillon", "title", (1, 2))
    assert (two.text, two.part.field, two.span) == ("QLN", "summary", (2, 3))
    assert (three.text, three.part.field, three.span) == ("Varro", "text", (1, 2))


def test_only_the_first_words_of_a_field_are_looked_at() -> None:
    assert found("a " * (TITLE_WORDS - 1) + "Quillon Varro") == ["name Quillon"]
    assert found("a " * TITLE_WORDS + "Quillon") == []
    assert found("", "a " * (BODY_WORDS - 1) + "Quillon") == ["name Quillon"]
    assert found("", "a " * BODY_WORDS + "Quillon") == []


def test_candidates_of_a_field_are_bounded() -> None:
    both = find("$QLN " * 100, "Quillon, " * 100)
    assert [one.sort for one in both].count("cashtag") == MOST_CANDIDATES
    assert [one.sort for one in both].count("name") == MOST_CANDIDATES


def test_no_fields_have_no_candidates() -> None:
    assert find() == []


def test_names_are_folded_and_an_absent_set_is_empty() -> None:
    names = Names.of({"exchanges": ["ACME Pro", "Caf\u00ad’"], "chains": ["Zemblor"]})
    assert names.exchanges == {"acme pro", "caf'"}
    assert names.established == names.common_words == frozenset()


PIECES = st.sampled_from(
    [
        *("$", "@", "#", "(", ")", "QLN", "Quillon", "quillon", "Network", "Mind", "the", "NOW"),
        *("5M", "2", "10x", "Q", "-", ".", "&", ", ", "'s", "’", "–", "\n", "?"),
        *("İ", "ǅ", "²", "領", "Квиллон", "🚀", "\u200b", "\u202e", "\u0301", "_", " ", " ", " "),
    ]
)
ANY = st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join)


@settings(deadline=None, max_examples=200)
@given(ANY, ANY)
def test_candidates_stand_where_they_say_and_never_overlap(title: str, summary: str) -> None:
    fields = parts(title, summary)
    at = {"title": 0, "summary": 0}
    for one in find_candidates(fields, NAMES):
        words = one.part.found.words
        assert any(one.part is part for part in fields)
        assert one.text == words.phrase(one.span)
        assert at[one.part.field] <= one.span.start < one.span.end <= len(words)
        assert one.span.end - one.span.start <= MAX_NAME_WORDS
        assert one.span.end - one.span.start == 1 or not one.is_symbol
        at[one.part.field] = one.span.end


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "A", "1", "$", "(", "QLN ", "$QLN ", "(QLN) ", "Quillon ", "quillon ", "@a ", "領"),
        *("Mind Network ", "\u0301", "Q\u200b", "\u202e", "🚀", "'s", "A.", "A-", "A&", "\n"),
    ],
)
def test_time_is_bounded(piece: str) -> None:
    fields = parts(*[piece * (1_000_000 // len(piece))] * 3)
    started_at = perf_counter()
    assert len(find_candidates(fields, NAMES)) <= 3 * MOST_CANDIDATES
    assert perf_counter() - started_at < 0.5  # it takes 1 ms


@pytest.mark.parametrize("piece", ["a", "A", "1", "é", "İ", "Q\u200b"])
def test_one_word_of_a_megabyte_is_looked_at_in_time(piece: str) -> None:
    word = piece * (1_000_000 // len(piece))
    fields = parts(f"the ${word}, {word} ({word}) @{word}", max_chars=10_000_000)
    assert len(fields[0].found.words) == 5
    started_at = perf_counter()
    assert len(find_candidates(fields, NAMES)) <= 4
    assert perf_counter() - started_at < 1  # it takes 100 ms
