"""How candidates are described, and which of them the weights choose."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.candidates import Names
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.naming import FARTHEST, Describer, abbreviates, best_candidate
from tgecrawler.domain.reading import Reader
from tgecrawler.domain.weights import BIAS

if TYPE_CHECKING:
    from tgecrawler.items import Medium

LEXICON = Lexicon.model_validate(
    {
        "version": 1,
        "names": {
            "exchanges": ["Acme", "Borealis Pro"],
            "established": ["Oldcoin", "Grand Coin"],
            "organisations": ["Ministry of Coins"],
            "not_tickers": ["usd"],
            "common_words": [
                *("the", "lists", "opens", "sale", "token", "a", "of", "and", "on", "for", "is"),
                *("now", "based", "to", "by", "listing", "x", "airdrop", "liquid", "thanks"),
                *("founder", "will"),
            ],
        },
        "rules": [
            {"name": "lists", "role": "event", "kind": "listing", "phrases": ["lists", "listing"]},
            {"name": "sale", "role": "event", "kind": "token_sale", "phrases": ["token sale"]},
            {"name": "drop", "role": "event", "kind": "airdrop", "phrases": ["<token> *2 airdrop"]},
        ],
        "sets": {"token": ["token", "quillon"]},
    }
)
READER = Reader(LEXICON, {})
NAMES = Names.of(LEXICON.all_sets())


def describer(
    title: str, summary: str = "", text: str = "", medium: Medium = "article"
) -> Describer:
    return Describer(READER.read(title, summary, text, medium), NAMES)


def described(
    title: str, summary: str = "", text: str = "", medium: Medium = "article"
) -> dict[str, set[str]]:
    """Return the cues of each candidate by its text; of equal ones the last one's."""
    pairs = describer(title, summary, text, medium).described()
    return {one.text: set(cues) for one, cues in pairs}


def plain(cues: set[str]) -> set[str]:
    """Return the cues that are not joined to another one."""
    return {cue for cue in cues if "&" not in cue}


def test_a_candidate_is_described_by_what_stands_around_it() -> None:
    found = described("Acme lists Quillon (QLN)")
    assert list(found) == ["Acme", "Quillon", "QLN"]
    assert plain(found["Quillon"]) == {
        *("sort=name", "title:sort=name", "words=1", "characters=7", "side=title", "position=1"),
        *("event=-1", "before=lists", "after=other", "bracket_follows", "count=1"),
        *("abbreviated", "abbreviated:name", "candidate_follows"),
    }
    assert plain(found["QLN"]) == {
        *("sort=bracketed", "title:sort=bracketed", "words=1", "characters=3"),
        *("symbol_characters=3", "side=title", "position=1", "event=-2", "before=other"),
        *("after=$", "count=1", "abbreviates", "abbreviates:bracketed", "candidate_before"),
    }
    assert plain(found["Acme"]) == {
        *("sort=name", "title:sort=name", "words=1", "characters=4", "side=title", "position=0"),
        *("first", "event=0", "before=^", "after=lists", "verb_follows", "count=1"),
        *("exchange", "exchange:titlefirst", "exchange:beside_others"),
    }


def test_cues_that_the_kind_of_event_or_the_writing_bends_come_joined_too() -> None:
    joined = described("Acme lists Quillon")["Quillon"] - plain(
        described("Acme lists Quillon")["Quillon"]
    )
    assert joined == {
        *("sort=name&listing", "before=lists&listing", "event=-1&listing"),
        *("before=lists&name", "after=$&name", "no_symbols:name&listing"),
        *("before=lists&no_symbols", "after=$&no_symbols", "event=-1&no_symbols"),
    }
    other = described("$QLN token sale")["QLN"]
    assert {"sort=cashtag&other", "before=^&cashtag", "token_word_follows&cashtag"} <= other
    assert not {cue for cue in other if cue.endswith("&listing")}


def test_an_exchange_and_an_old_coin_are_joined_with_their_place() -> None:
    exchange = described("Acme lists Quillon")["Acme"]
    assert {"first&exchange", "position=0&exchange", "verb_follows&exchange"} <= exchange
    assert "exchange:beside_others" in exchange
    old = described("the Oldcoin token sale")["Oldcoin"]
    assert {"established", "established:name", "established:only"} <= old
    assert {"before=the&established", "established:alone"} <= old
    both = described("Acme lists Oldcoin")
    assert "established:alone" in both["Oldcoin"]
    assert "exchange:alone" in both["Acme"]
    assert "established:only" not in both["Oldcoin"]


def test_an_old_coin_of_two_words_stands_alone_too() -> None:
    cues = described("Grand Coin token sale")["Grand Coin"]
    assert "established" in cues
    assert "established:alone" in cues


@pytest.mark.parametrize(
    ("title", "name", "cue"),
    [
        ("Acme lists Quillon", "Acme", "exchange"),
        ("Acme Labs is on", "Acme Labs", "exchange"),
        ("the Borealis Pro listing", "Borealis Pro", "exchange"),
        ("the Oldcoin listing", "Oldcoin", "established"),
        ("the Grand Coin listing", "Grand Coin", "established"),
        ("$USD listing", "USD", "not_ticker"),
        ("NOW is a token", "NOW", "common"),
        ("the $liquid token", "liquid", "common:cashtag"),
        ("Ministry", "Ministry", "count=1"),
    ],
)
def test_membership(title: str, name: str, cue: str) -> None:
    assert cue in described(title)[name]
    assert (
        not {"exchange", "established", "organisation", "not_ticker", "common"}
        & described("the Quillon listing")["Quillon"]
    )


def test_an_organisation_is_known_by_its_whole_name_or_first_word() -> None:
    names = Names.of({"organisations": ["Ministry", "Court Hall"]})
    for title in ("Ministry Hall opens", "Court Hall opens"):
        pairs = Describer(READER.read(title, "", "", "article"), names).described()
        assert "organisation" in pairs[0][1]


@pytest.mark.parametrize(
    ("title", "name", "event"),
    [
        ("Quillon token sale", "Quillon", "event=0"),
        ("Quillon opens token sale", "Quillon", "event=1"),
        ("token sale Quillon", "Quillon", "event=-1"),
        ("token sale opens for Quillon", "Quillon", "event=-3"),
        ("listing of Quillon and the token sale", "Quillon", "event=-2"),
        ("Quillon " + "x " * 20 + "listing", "Quillon", f"event={FARTHEST}"),
        ("listing " + "x " * 20 + "Quillon", "Quillon", f"event={-FARTHEST}"),
        ("token Quillon airdrop", "Quillon", "event=0"),
        ("listing opens for Quillon x token sale", "Quillon", "event=1"),
        ("token Quillon airdrop", "Quillon", "inside_event"),
        ("the Quillon", "Quillon", "no_event"),
    ],
)
def test_distance_to_the_nearest_event(title: str, name: str, event: str) -> None:
    assert event in described(title)[name]


def test_an_event_in_another_field_is_far() -> None:
    found = described("the Quillon", "token sale of Varro")
    assert "no_event" in found["Quillon"]
    assert "event=-2" in found["Varro"]
    assert "no_event" not in found["Varro"]


@pytest.mark.parametrize(
    ("title", "cues"),
    [
        ("Quillon token", {"after=token", "token_word_follows"}),
        ("Quillon x token", {"after=other", "token_word_follows"}),
        ("Quillon lists", {"after=lists", "verb_follows"}),
        ("Quillon x lists", {"after=other", "verb_follows"}),
        ("Quillon's now", {"after=other", "possessive"}),
        ("Quillon’s now", {"after=other", "possessive"}),
        ("Quillon (now)", {"bracket_follows"}),
        ("Quillon $VRO", {"cashtag_follows", "candidate_follows"}),
        ("Quillon-based now", {"after=based", "hyphen_follows", "host", "host:hyphen"}),
        ("Quillon founder", {"after=founder", "host", "host:space"}),
        ("x-Quillon", {"before=other", "hyphen_before"}),
        ("now. Quillon", {"before=|"}),
        ("Quillon. Now", {"after=$"}),
        ("Quillon Acme", {"sort=name", "words=2"}),
        ("Quillon, Acme", {"after=<exchange>", "candidate_follows"}),
        ("on Quillon", {"before=on"}),
        ("Quillon", {"before=^", "after=$", "first"}),
    ],
)
def test_neighbours(title: str, cues: set[str]) -> None:
    first, described_as = describer(title).described()[-1 if title[0].islower() else 0]
    assert first.text.startswith("Quillon")
    found = set(described_as)
    assert cues <= found
    watched = {
        *("token_word_follows", "verb_follows", "possessive", "bracket_follows", "host"),
        *("cashtag_follows", "hyphen_follows", "hyphen_before", "candidate_follows"),
    }
    assert found & watched == cues & watched


def test_a_shouted_possessive() -> None:
    assert "possessive" in described("QUILLON'S TOKEN SALE")["QUILLON"]


@pytest.mark.parametrize(
    ("title", "cue"),
    [
        ("thanks to Quillon now. Lists", "verb_follows"),
        ("thanks to Quillon. The sale", "token_word_follows"),
    ],
)
def test_nothing_follows_over_the_end_of_a_sentence(title: str, cue: str) -> None:
    assert cue not in described(title)["Quillon"]


@pytest.mark.parametrize(
    ("title", "name", "cues"),
    [
        ("Quillon and Quillon", "Quillon", {"count=2"}),
        ("Quillon and QUILLON", "Quillon", {"count=2", "same_as_symbol"}),
        ("Quillon and QUILLON", "QUILLON", {"count=2", "same_as_name"}),
        ("Quillon, Quillon, Quillon, Quillon, Quillon", "Quillon", {"count=4"}),
        ("Quillon and Quillon Labs", "Quillon", {"count=1", "prefix"}),
        ("Quillon and Quilloncoin", "Quillon", {"prefix"}),
        ("Quillon and Quillonia", "Quillon", {"count=1"}),
        ("Quillon (QLN)", "Quillon", {"abbreviated", "abbreviated:name"}),
        ("@quillon and $QLN", "QLN", {"abbreviates", "abbreviates:cashtag"}),
        ("Quillon Varro and #qv", "qv", {"abbreviates", "abbreviates:hashtag"}),
        ("#quillon and $QUILLON", "quillon", {"same_as_symbol"}),
        ("Quillon and $VRO", "Quillon", {"count=1"}),
    ],
)
def test_relations_to_other_candidates(title: str, name: str, cues: set[str]) -> None:
    found = described(title)[name]
    relations = {
        cue
        for cue in plain(found)
        if cue.startswith(("count=", "abbreviate", "same_as_", "prefix"))
    }
    assert cues <= relations
    assert {cue for cue in relations if not cue.startswith("count=")} == {
        cue for cue in cues if not cue.startswith("count=")
    }


def test_a_field_is_told_from_the_headline() -> None:
    found = described("the Quillon token", "the Varro token", "the Tavrik token")
    assert {"side=title", "title:sort=name"} <= found["Quillon"]
    assert {"side=body", "body:sort=name"} <= found["Varro"] & found["Tavrik"]
    assert "post:sort=name" not in found["Quillon"]
    post = described("", "", "the Quillon token", "post")["Quillon"]
    assert {"side=title", "post:sort=name"} <= post


def test_neighbours_are_of_one_field() -> None:
    found = described("Quillon", "the Varro", "the x Tavrik")
    assert not {"candidate_follows", "candidate_before"} & set.union(*found.values())


def test_lengths_are_capped() -> None:
    found = described("Quillonquillon and $QUILLONQUIL")
    assert {"characters=10", "words=1"} <= found["Quillonquillon"]
    assert {"characters=10", "symbol_characters=8"} <= found["QUILLONQUIL"]


def test_without_any_symbol_that_is_said() -> None:
    assert "no_symbols:name" in described("the Quillon token")["Quillon"]
    assert "no_symbols:name" not in described("the Quillon token $VRO")["Quillon"]


def test_weights_choose_the_candidate() -> None:
    pairs = describer("Acme lists Quillon (QLN)").described()
    weights = {BIAS: -1.0, "before=lists": 3.0, "sort=bracketed": 2.5, "exchange": -4.0}
    best = best_candidate(pairs, weights)
    assert best is not None
    assert (best.candidate.text, best.log_odds) == ("Quillon", 2.0)
    worse = best_candidate(pairs, {**weights, "sort=name": -1.0})
    assert worse is not None
    assert (worse.candidate.text, worse.log_odds) == ("QLN", 1.5)


def test_of_equal_candidates_the_first_is_chosen() -> None:
    pairs = describer("the Quillon, Varro").described()
    best = best_candidate(pairs, {})
    assert best is not None
    assert (best.candidate.text, best.log_odds) == ("Quillon", 0.0)
    assert best_candidate([], {BIAS: 5.0}) is None


def test_a_doubtful_candidate_is_still_the_best() -> None:
    best = best_candidate(describer("the Quillon").described(), {BIAS: -9.0})
    assert best is not None
    assert best.log_odds == -9.0


@pytest.mark.parametrize(
    ("symbol", "name", "expected"),
    [
        ("QLN", "Quillon", True),
        ("qln", "QUILLON", True),
        ("QV", "Quillon Varro", True),
        ("Q.L-N", "Quillon", True),
        ("QNL", "Quillon", False),
        ("QLLLN", "Quillon", False),
        ("ILN", "Quillon", False),
        ("QUILLON", "Quillon", False),
        ("Quillon", "QLN", False),
        ("КВ", "Квиллон", True),
        ("", "Quillon", False),
        ("QLN", "", False),
        ("🚀", "🚀", False),
    ],
)
def test_abbreviations(symbol: str, name: str, expected: bool) -> None:
    assert abbreviates(symbol, name) is expected


PIECES = st.sampled_from(
    [
        *("Acme", "lists", "Quillon", "quillon", "(QLN)", "$QLN", "@quillon", "#Quillon", "QLN"),
        *("Grand Coin", "Oldcoin", "token sale", "airdrop", "Labs", "$5M", "USD", "-based", "-"),
        *(".", "?", ",", "'s", "’S", "–", "\n", "領", "Квиллон", "İ", "🚀", "founder", "token"),
        *("\u200b", "\u202e", "\u0301", "https://a.example/x", " ", " ", " ", " "),
    ]
)
ANY = st.text(max_size=50) | st.lists(PIECES, max_size=25).map("".join)
MEDIA: st.SearchStrategy[Medium] = st.sampled_from(["article", "post"])


@settings(deadline=None, max_examples=200)
@given(ANY, ANY, ANY, MEDIA)
def test_any_text_is_described(title: str, summary: str, text: str, medium: Medium) -> None:
    pairs = describer(title, summary, text, medium).described()
    for one, cues in pairs:
        assert len(set(cues)) == len(cues), one.text
        for cue in cues:
            assert cue.splitlines() == [cue]
            assert "\t" not in cue
    best = best_candidate(pairs, {"sort=name": 1.0})
    assert (best is None) is (pairs == [])
    if best is not None:
        assert any(best.candidate is one for one, _ in pairs)


@given(st.text(max_size=12), st.text(max_size=30))
def test_an_abbreviation_is_shorter_than_its_name(symbol: str, name: str) -> None:
    if abbreviates(symbol, name):
        letters = [sum(map(str.isalnum, text.casefold())) for text in (symbol, name)]
        assert 0 < letters[0] < letters[1]
        assert not abbreviates(name, symbol)


@pytest.mark.parametrize(
    "piece",
    ["a", "A", "$QLN ", "(QLN) ", "Quillon, ", "@quillon ", "Quillon lists ", "領", "A.", "\n"],
)
def test_time_is_bounded(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    made = describer(text, text, text)
    started_at = perf_counter()
    assert len(made.described()) <= 120
    assert perf_counter() - started_at < 0.3  # it takes 3 ms
