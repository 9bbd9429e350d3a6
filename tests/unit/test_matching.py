"""Words, phrases and names in texts, at exact places."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.matching import (
    MAX_CHARS,
    MAX_MATCHES,
    Found,
    Span,
    Vocabulary,
    fold,
    split_words,
)

VOCABULARY = Vocabulary(
    rules={
        "sale": ["ido", "token sale"],
        "launch": ["<verb> *2 token|coin", "goes live"],
        "own": ["<exchange> lists"],
        "far": ["begins * ends"],
    },
    sets={"verb": ["launches", "rolls out"], "exchange": ["Acme", "Acme Pro"]},
    names={"caldera": ["Caldera", "Caldera Labs"], "dots": ["Acme.xyz"], "sharp": ["Straße"]},
)


def found_names(text: str) -> list[str]:
    found = VOCABULARY.find(text)
    return [found.words.phrase(span) for spans in found.names.values() for span in spans]


def found_rules(text: str) -> dict[str, list[str]]:
    found = VOCABULARY.find(text)
    return {rule: [found.words.phrase(s) for s in spans] for rule, spans in found.rules.items()}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Caldera", ["Caldera"]),
        ("CALDERA and caldera", ["CALDERA", "caldera"]),
        ("Caldera's token, Caldera’s chain", ["Caldera", "Caldera"]),
        ("a Caldera-based rollup", ["Caldera"]),
        ("(Caldera)", ["Caldera"]),
        ("#Caldera @Caldera", ["Caldera", "Caldera"]),
        ("Caldera推出代币", ["Caldera"]),
        ("Cal\u200bdera", ["Cal\u200bdera"]),
        ("İİİ Caldera", ["Caldera"]),
        ("Acme.xyz opens", ["Acme.xyz"]),
        ("STRASSE", ["STRASSE"]),
        ("calderas", []),
        ("ÜCaldera", []),
        ("Caldera\u0301", []),
        ("Caldera_X", []),
        ("https://caldera.example/Caldera x", []),
        ("Acme. Xyz is another", []),
    ],
)
def test_names_stand_alone(text: str, names: list[str]) -> None:
    assert found_names(text) == names


def test_a_long_name_and_its_beginning_are_both_found() -> None:
    assert sorted(found_names("Caldera Labs")) == ["Caldera", "Caldera Labs"]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("a widow", {}),
        ("an IDO", {"sale": ["IDO"]}),
        ("Token-sale", {"sale": ["Token-sale"]}),
        ("launches a new token", {"launch": ["launches a new token"]}),
        ("launches its very new token", {}),
        ("rolls out coin", {"launch": ["rolls out coin"]}),
        ("launches it. Token x", {}),
        ("launches it – token", {}),
        ("launches v1.2 token", {"launch": ["launches v1.2 token"]}),
        ("It goes. Live music", {}),
        ("Acme Pro lists it", {"own": ["Acme Pro lists"]}),
        ("Acme's lists", {"own": ["Acme's lists"]}),
    ],
)
def test_phrases(text: str, rules: dict[str, list[str]]) -> None:
    assert found_rules(text) == rules


def test_words_know_what_stands_before_them() -> None:
    words = split_words("$CAL (ABC) x")
    assert [words.before(at) for at in range(3)] == ["$", "(", " "]
    assert words.written(0) == "CAL"
    assert split_words("CAL").before(0) == ""


def test_sentences_begin_where_they_begin() -> None:
    words = split_words("One two. Three e.g. four! five\nsix")
    assert [w for w, first in zip(words.folded, words.first, strict=True) if first] == [
        "one",
        "three",
        "six",
    ]


def test_folding() -> None:
    assert fold("Don’t") == "don't"
    assert fold("Ca\u00adl") == "cal"


def test_a_word_cut_at_the_end_is_left_out() -> None:
    assert split_words("one twothree", max_chars=7).folded == ("one",)
    assert split_words("one two three", max_chars=7).folded == ("one", "two")


def test_matches_are_bounded() -> None:
    found = VOCABULARY.find("Caldera token sale " * 500)
    assert len(found.names["caldera"]) == len(found.rules["sale"]) == MAX_MATCHES


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "$CAL " * 10_000,
        "." * 60_000,
        "'" * 60_000,
        "begins " * 9_000,
        "\u0301" * 60_000,
    ],
)
def test_hostile_texts_are_cut(text: str) -> None:
    words = VOCABULARY.find(text).words
    assert not words.ends or words.ends[-1] <= MAX_CHARS


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet=st.sampled_from("aé İß’'-.$#@ \n–Caldera推\u200b\u0301LIDO"), max_size=80))
def test_spans_lie_in_the_text(text: str) -> None:
    found: Found = VOCABULARY.find(text)
    words = found.words
    assert list(words.starts) == sorted(words.starts)
    for at in range(len(words)):
        assert words.written(at) == text[words.starts[at] : words.ends[at]]
        assert fold(words.written(at)) == words.folded[at]
    for spans in [*found.rules.values(), *found.names.values()]:
        for span in spans:
            assert 0 <= span.start < span.end <= len(words)


def test_thousands_of_names() -> None:
    names = {f"n{at}": [f"Acme{at}", f"Acme{at} Labs"] for at in range(5_000)}
    found = Vocabulary({}, {}, names).find("Acme4999 Labs and Acme17")
    assert dict(found.names) == {"n4999": [Span(0, 1), Span(0, 2)], "n17": [Span(3, 4)]}
