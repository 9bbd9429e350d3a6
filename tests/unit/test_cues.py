"""What a record shows, by name and place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.cues import (
    BODY_SHAPES,
    MOST_COUNTED,
    TITLE_SHAPES,
    TITLE_WORDS,
    Cue,
    find_cues,
)
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.matching import Span
from tgecrawler.domain.reading import Reader, Reading
from tgecrawler.domain.shapes import Shaper

if TYPE_CHECKING:
    from tgecrawler.items import Medium

LEXICON = Lexicon.model_validate(
    {
        "version": 1,
        "names": {
            "exchanges": ["Acme", "Borealis Exchange"],
            "common_words": ["lists", "sale", "token", "opens", "the", "is", "a", "of"],
        },
        "rules": [
            {"name": "lists", "role": "event", "phrases": ["<exchanges> lists", "listing"]},
            {"name": "sale", "role": "event", "phrases": ["token sale", "presale"]},
            {"name": "airdrop", "role": "event", "phrases": ["airdrop"]},
            {"name": "tge", "role": "event", "phrases": ["tge"]},
            {"name": "hack", "role": "veto", "phrases": ["hack"]},
            {"name": "price", "role": "veto", "phrases": ["price"]},
            {"name": "trade", "role": "context", "phrases": ["trading"]},
            {"name": "chain", "role": "crypto", "phrases": ["blockchain"]},
            {
                "name": "deep",
                "phrases": ["vesting"],
                "fields": {"title": 0, "summary": 0, "text": 1},
            },
        ],
    }
)
READER = Reader(LEXICON, {})
SHAPER = Shaper(LEXICON.all_sets())


def read(title: str, summary: str = "", text: str = "", medium: Medium = "article") -> Reading:
    return READER.read(title, summary, text, medium)


def cues(title: str, summary: str = "", text: str = "", medium: Medium = "article") -> list[Cue]:
    return find_cues(read(title, summary, text, medium), SHAPER)


def names(title: str, summary: str = "", text: str = "", medium: Medium = "article") -> set[str]:
    return {cue.name for cue in cues(title, summary, text, medium)}


def facts(title: str, summary: str = "", text: str = "", medium: Medium = "article") -> set[str]:
    """Return the cues that are neither a rule's nor about neighbouring words."""
    return {
        name
        for name in names(title, summary, text, medium)
        if not name.startswith(("title: ", "body: ")) and "@" not in name
    }


def grams(prefix: str, title: str, summary: str = "", text: str = "") -> list[str]:
    found = [cue.name for cue in cues(title, summary, text)]
    return [name.removeprefix(prefix) for name in found if name.startswith(prefix)]


def places(found: list[Cue]) -> list[tuple[str, str, Span | None]]:
    return [(cue.name, cue.part.field if cue.part else "", cue.span) for cue in found]


def test_the_next_exchange_and_the_next_token_show_the_same_cues() -> None:
    one = names("Acme lists Quillon (QLN)", "Trading of Quillon opens at 14:00")
    other = names("Borealis Exchange lists Varro Labs (VRO)", "Trading of Varro opens at 16:30")
    assert "title: <exchange> lists <name>" in one
    assert one == other


def test_a_rule_is_a_cue_of_the_role_in_which_it_matches() -> None:
    found = {cue.name: cue for cue in cues("the token sale", "airdrop, a token sale", "vesting")}
    assert {name for name in found if "@" in name} == {
        *("sale@title", "sale@summary", "airdrop@summary", "deep@text"),
    }
    place = found["sale@summary"]
    assert place.part is not None
    assert (place.part.field, place.span) == ("summary", Span(2, 4))


def test_a_rule_is_no_cue_of_a_field_in_which_it_is_not_looked_at() -> None:
    assert not {name for name in names("vesting", "vesting") if name.startswith("deep@")}


def test_a_post_is_weighed_as_a_headline() -> None:
    found = names("", "", "the token sale opens", "post")
    assert {"sale@title", "title: ^ the token", "post"} <= found
    assert names("the token sale opens") == found - {"post"}


@pytest.mark.parametrize(
    ("title", "summary", "expected"),
    [
        ("a painter", "", {"events=0", "vetoes=0", "events*vetoes=0*0", "events_anywhere=0"}),
        (
            "the token sale",
            "airdrop",
            {"events=1", "vetoes=0", "events*vetoes=1*0", "events_anywhere=2"},
        ),
        (
            "airdrop hack",
            "airdrop",
            {"events=1", "vetoes=1", "events*vetoes=1*1", "events_anywhere=1", "airdrop*hack"},
        ),
        (
            "airdrop token sale",
            "hack",
            {"events=2", "vetoes=0", "events*vetoes=2*0", "events_anywhere=2", "sale*airdrop"},
        ),
    ],
)
def test_events_and_vetoes_are_counted(title: str, summary: str, expected: set[str]) -> None:
    counted = {name for name in facts(title, summary) if "=" in name or "*" in name}
    assert counted - {name for name in counted if name.startswith("length=")} == expected


def test_counts_are_capped() -> None:
    found = facts("listing token sale airdrop tge hack price")
    assert {f"events={MOST_COUNTED}", "vetoes=2", "events*vetoes=2*2"} <= found
    assert f"events_anywhere={MOST_COUNTED}" in found
    assert {"lists*hack", "tge*price", "lists*sale", "airdrop*tge"} <= found
    assert "hack*price" not in found


@pytest.mark.parametrize(
    ("title", "fact"),
    [
        ("is it a sale? yes", "question"),
        ("is it a sale?  ", "question_ends"),
        ("a sale of $QLN", "dollar"),
        ("a sale of...", "cut"),
        ("a sale of …", "cut"),
        ("a painter", "no_context"),
    ],
)
def test_facts(title: str, fact: str) -> None:
    assert fact in facts(title)
    assert fact not in facts("the trading is a sale.")


@pytest.mark.parametrize("summary", ["trading", "blockchain"])
def test_context_may_stand_anywhere(summary: str) -> None:
    assert "no_context" in facts("a painter", "a sculptor")
    assert "no_context" not in facts("a painter", summary)


def test_a_question_within_is_no_question_at_the_end() -> None:
    assert facts("is it a sale? yes") & {"question", "question_ends"} == {"question"}
    assert "question" not in facts("a sale", "is it?")


@pytest.mark.parametrize(
    ("words", "bucket"), [(0, 0), (3, 0), (4, 1), (31, 7), (32, 8), (33, 8), (150, 8)]
)
def test_length_is_told_in_steps_of_four_words(words: int, bucket: int) -> None:
    lengths = {name for name in names("a " * words) if name.startswith("length=")}
    assert lengths == {f"length={bucket}"}


def test_up_to_three_neighbours_of_a_headline() -> None:
    assert grams("title: ", "the sale opens") == [
        *("^", "^ the", "^ the sale"),
        *("the", "the sale", "the sale opens"),
        *("sale", "sale opens", "sale opens $"),
        *("opens", "opens $"),
        "$",
    ]


def test_up_to_two_neighbours_of_what_follows() -> None:
    assert grams("body: ", "x", "the sale", "opens") == [
        *("the", "the sale", "sale", "sale |", "|", "opens", "opens |"),
    ]


def test_a_cue_stands_at_its_first_place() -> None:
    found = {cue.name: cue.span for cue in cues("Quillon sale, the Varro Labs sale")}
    assert found["title: <name> sale"] == Span(0, 2)
    assert found["title: sale"] == Span(1, 2)
    assert found["title: the <name>"] == Span(2, 5)


def test_a_headline_cue_is_no_body_cue() -> None:
    title, body = names("zembl", "x"), names("x", "zembl")
    assert "title: zembl" in title - body
    assert "body: zembl" in body - title


def test_what_is_left_blank_shows_no_body_cues() -> None:
    assert grams("body: ", "a sale", "  ", "") == []
    assert grams("title: ", "") == ["^", "^ $", "$"]


def test_only_the_first_words_count() -> None:
    title = " ".join(f"w{at}x" for at in range(TITLE_WORDS + 20))
    assert f"title: w{TITLE_SHAPES - 1}x" in names(title)
    assert f"title: w{TITLE_SHAPES}x" not in names(title)
    body = " ".join(f"w{at}x" for at in range(BODY_SHAPES + 40))
    assert f"body: w{BODY_SHAPES - 1}x" in names("x", body)
    assert f"body: w{BODY_SHAPES}x" not in names("x", body)


def test_the_summary_leaves_less_room_for_the_text() -> None:
    body = " ".join(f"w{at}x" for at in range(BODY_SHAPES - 3))
    assert {"body: one", "body: two"} <= names("x", body, "one two three")
    assert "body: three" not in names("x", body, "one two three")


def is_placed(cue: Cue) -> bool:
    """Return whether a cue's span lies in its field; "$" is the place behind the last word."""
    if cue.span is None or cue.part is None:
        return cue.span is None and cue.part is None
    return 0 <= cue.span.start <= cue.span.end <= len(cue.part.found.words)


@pytest.mark.parametrize("words", [3, 60])
def test_the_break_behind_a_field_is_placed_at_its_end(words: int) -> None:
    found = {cue.name: cue for cue in cues("x", "zembl " * words)}
    assert all(is_placed(cue) for cue in found.values())
    assert found["body: |"].span == Span(words, words)


PIECES = st.sampled_from(
    [
        *("Acme", "lists", "Borealis Exchange", "Quillon", "(QLN)", "$QLN", "@quillon", "#1"),
        *("token sale", "airdrop", "hack", "price", "trading", "vesting", "$1,000", "5%"),
        *(".", "?", "...", "…", "–", "\n", "\t", "領", "Квиллон", "токен", "🚀", "İ", "'s"),
        *("\u200b", "\u202e", "\u0301", "https://a.example/x", " ", " ", " ", " "),
    ]
)
ANY = st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join)
MEDIA: st.SearchStrategy[Medium] = st.sampled_from(["article", "post"])


@settings(deadline=None, max_examples=150)
@given(ANY, ANY, ANY, MEDIA)
def test_names_are_unique_and_fit_in_a_line_of_the_weights(
    title: str, summary: str, text: str, medium: Medium
) -> None:
    found = [cue.name for cue in cues(title, summary, text, medium)]
    assert len(set(found)) == len(found)
    for name in found:
        assert name.splitlines() == [name]
        assert "\t" not in name


@settings(deadline=None, max_examples=150)
@given(ANY, ANY, ANY, MEDIA)
def test_places_lie_in_the_fields(title: str, summary: str, text: str, medium: Medium) -> None:
    reading = read(title, summary, text, medium)
    for cue in find_cues(reading, SHAPER):
        if cue.name.startswith("body: ") and cue.name.endswith("|"):
            continue  # see the break behind a field
        assert is_placed(cue)
        if cue.part is not None:
            assert any(cue.part is part for part in reading.parts)
            in_head = cue.part is reading.parts[0]
            assert not cue.name.startswith("body: " if in_head else "title: ")


@settings(deadline=None, max_examples=100)
@given(ANY, ANY, ANY, MEDIA)
def test_the_same_record_shows_the_same_cues(
    title: str, summary: str, text: str, medium: Medium
) -> None:
    once = places(cues(title, summary, text, medium))
    assert once == places(cues(title, summary, text, medium))


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "Quillon ", "Acme lists ", "token sale hack ", "$QLN ", "?", "領", "1,", "'", "\n"),
        *("\u0301", "\u200b", "🚀", "w. W "),
    ],
)
def test_hostile_texts_show_a_bounded_number(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    found = cues(text, text, text)
    assert len(found) <= 3 * (TITLE_SHAPES + 2) + 2 * BODY_SHAPES + 3 * len(LEXICON.rules) + 40
    assert all(len(cue.name) < 4_000 for cue in found)
