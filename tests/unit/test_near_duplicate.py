"""Which texts say the same nearly word for word."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.matching import word_set
from tgecrawler.domain.near_duplicate import (
    BANDS,
    FEWEST_LONG_WORDS,
    LEAST_SIMILAR,
    LONG,
    LONG_BYTES,
    MOST_SHORT_WORDS,
    MOST_WORDS,
    PERMUTATIONS,
    SHORT,
    VERSION,
    are_copies,
    band_keys,
    is_fingerprint,
    make_fingerprint,
    similarity,
)

ORDINARY = word_set(
    "3 4 airdrop april asks claim claims community day early everybody finds for lists march may"
    " more new next now opens out price raises says sale seed soon tag today token tokens trading"
    " users wallet year"
)
STORY = "Quillon opens claims for its token and every early user may take part. " * 6
POST = "Quillon opens claims for its QLN token today"
HEAD_LONG, HEAD_SHORT = bytes([VERSION]) + LONG, bytes([VERSION]) + SHORT
VOCABULARY = [f"word{number}" for number in range(500)]


def short(title: str) -> bytes:
    return make_fingerprint(title, "", "", ORDINARY)


def body(words: list[str]) -> bytes:
    return make_fingerprint("", "", " ".join(words), ORDINARY)


def long_text(seed: int, count: int = 300) -> list[str]:
    rng = random.Random(seed)
    return [rng.choice(VOCABULARY) for _ in range(count)]


def test_fingerprints_are_pinned():
    """Stored fingerprints must not change under a database: a new rule takes a new version."""
    assert (VERSION, LONG, SHORT) == (2, b"L", b"S")
    of_body = make_fingerprint("", "", STORY, ORDINARY)
    assert len(of_body) == LONG_BYTES == 778
    assert (
        hashlib.sha256(of_body).hexdigest()
        == "b8c8c6c2dd30e3133e3803e13d00ef57452b18c6528bc6c52a3cf4882cee186d"
    )
    assert band_keys(of_body)[:2] == (14466586264178960267, 9824791447431043012)
    assert (
        short(POST).hex()
        == "025300000000000000006b335d4aa74531b34b10b11275de589ca49766645e2a2e2229827124f8f1ff37"
    )
    assert (
        hashlib.sha256(short(POST)).hexdigest()
        == "3a9ffdff34139b24dea92c43516ec3586a26c32dd398a3e8f3289d0731442d44"
    )
    named = make_fingerprint(POST, "", "", ORDINARY, project="quillon", token="QLN")
    assert named[:10].hex() == "02534b10b1124ea0a847"
    assert named[10:] == short(POST)[10:]


@pytest.mark.parametrize(
    ("title", "summary", "text", "same_as"),
    [
        (POST, "", "", POST),
        (POST, "Marrow sets another thing", "Velum says something else", POST),
        ("", "Marrow sets another thing", POST, POST),
        ("", POST, "", POST),
    ],
)
def test_a_short_text_is_known_by_its_title_text_or_summary(title, summary, text, same_as):
    assert make_fingerprint(title, summary, text, ORDINARY) == short(same_as)


def test_a_body_alone_is_what_a_long_text_is_known_by():
    text = " ".join(long_text(1))
    assert make_fingerprint("A", "B", text, ORDINARY) == make_fingerprint("", "", text, frozenset())


def test_how_many_words_make_a_body():
    words = long_text(1)
    assert body(words[:FEWEST_LONG_WORDS])[1:2] == LONG
    assert body(words[: FEWEST_LONG_WORDS - 1])[1:2] == SHORT
    assert body(["same"] * FEWEST_LONG_WORDS)[1:2] == LONG


def test_of_a_long_body_the_rest_is_left_out():
    words = long_text(1, MOST_WORDS)
    assert body([*words, *long_text(2)]) == body(words)
    assert body([*words[:-300], *long_text(2)]) != body(words)


@pytest.mark.parametrize(
    "title",
    [
        "",
        " ",
        "🚀 🚀 🚀 🚀 🚀",
        "https://e.example/quillon-opens-claims-today",
        "Quillon opens claims",  # three words
        "Quillon opens its claims for you",  # three of them no stop words
        "community opens claims today for token users",  # no name
        "it is what they have and this was it",
    ],
)
def test_what_says_too_little(title):
    assert short(title) == b""
    assert not are_copies(short(title), short(title))


def test_eighteen_bytes_and_four_for_each_word_but_stop_words():
    assert len(short("Quillon opens claims today")) == 18 + 4 * 4
    assert len(short("Quillon opens the claims for its users today")) == 18 + 4 * 5
    many = " ".join(VOCABULARY[:MOST_SHORT_WORDS])
    assert len(short(many)) == 18 + 4 * MOST_SHORT_WORDS
    assert short(f"{many} and Marrow") == short(many)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (POST, POST.upper()),
        (POST, f"{POST}!"),
        (POST, f"“{POST}”"),
        (POST, f"  {POST} 🚀"),
        (POST, POST.replace("Quillon", "Ｑｕｉｌｌｏｎ")),
        (POST, POST.replace("QLN", "$QLN")),
        (POST, POST.replace("Quillon", "@quillon")),
        (POST, POST.replace("its", "the")),
        (POST, f"{POST} https://e.example/a?b=c"),
        (POST, f"{POST} www.e.example/a"),
        (POST, f"RT @velum: {POST}"),
        (POST, f"BREAKING: {POST}"),
        (POST, f"🚨 Just in | {POST}"),
        (POST, f"{POST} via @velum"),
        (POST, f"{POST} - Velum Daily"),
        (POST, f"{POST} | Velum Daily"),
        (POST, f"{POST} — Velum Daily"),
        (POST, f"{POST} The post {POST} appeared first on Velum Daily."),
        ("Quillon's token claims open", "Quillon token claims open"),
        ("Quillon’s token claims open", "Quillon token claims open"),
        ("Quillon can't open token claims", "Quillon cant open token claims"),
        ("Zoë opens claims for tokens", "Zoe\u0308 opens claims for tokens"),
        ("Quillon raises $100m for its token", "Quillon raises $100 million for its token"),
        ("Quillon raises $100mn for its token", "Quillon raises $100 mln for its token"),
        ("Quillon raises $1.5bn for its token", "Quillon raises 1.5 billion for its token"),
        ("Quillon raises $1,500 for its token", "Quillon raises $1500 for its token"),
        ("Quillon claims 5 % of new tokens", "Quillon claims 5% of new tokens"),
        ("Quillon opens claims on day 3", "Quillon opens claims on day 3."),
    ],
)
def test_the_same_whatever_its_form(one, other):
    assert short(one) == short(other) != b""
    assert similarity(short(one), short(other)) == 1.0
    assert are_copies(short(one), short(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # a template with another name in it
        ("Binance lists Quillon (QLN) with seed tag", "Binance lists Marrow (MRW) with seed tag"),
        ("Binance lists Quillon with seed tag", "Hexbay lists Quillon with seed tag"),
        ("Quillon opens claims for token users", "Quillon and Marrow opens claims for token users"),
        ("Квиллон opens claims for users", "Маррон opens claims for users"),
        # another turn
        ("Quillon opens claims for its token", "Quillon delays claims for its token"),
        ("Quillon opens claims for its token", "Quillon closes claims for its token"),
        ("Quillon opens claims for its token", "Quillon cancels claims for its token"),
        ("Quillon pauses claims for its token", "Quillon resumes claims for its token"),
        ("Quillon token claims for early users", "Quillon token claims open for early users"),
        ("Quillon opens claims for its token", "Quillon opens no claims for its token"),
        ("Quillon approves token sale for users", "Quillon rejects token sale for users"),
        ("Quillon token price rises more today", "Quillon token price falls more today"),
        ("Quillon claims open for early users", "Quillon claims open soon for early users"),
        ("Quillon token sale for users", "Quillon token sale over for users"),
        # other numbers and months
        ("Day 3 of the Quillon token sale", "Day 4 of the Quillon token sale"),
        ("Quillon raises $100M for its token", "Quillon raises $200M for its token"),
        ("Quillon raises $100m for its token", "Quillon raises $100b for its token"),
        ("Quillon raises $100m for its token", "Quillon raises $100 for its token"),
        ("Quillon raises $1.5m for its token", "Quillon raises $15m for its token"),
        ("Quillon claims 5% of new tokens", "Quillon claims 5 of new tokens"),
        ("Quillon airdrop in March for early users", "Quillon airdrop in April for early users"),
        ("Quillon airdrop in may for early users", "Quillon airdrop in jun for early users"),
        # an ordinary word that is marked as a name
        ("Quillon and $TAG open claims for users", "Quillon and tag open claims for users"),
    ],
)
def test_templates_stay_apart(one, other):
    assert short(one)
    assert short(other)
    assert band_keys(short(one)) != band_keys(short(other))
    assert similarity(short(one), short(other)) == similarity(short(other), short(one)) == 0.0
    assert not are_copies(short(one), short(other))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Quillon opens claims for token", "Quillon starts claims for token", 3 / 4),
        ("Quillon opens new token claims today", "Quillon opens token claims today", 10 / 11),
        ("Quillon opens claims token users", "Quillon users token claims opens", 2 / 5),
        ("Quillon a1 b2 c3 asks d4 e5 f6", "f6 e5 d4 asks c3 b2 a1 Quillon", 1 / 8),
    ],
)
def test_short_texts_are_alike_as_far_as_their_words_follow_in_order(one, other, alike):
    assert similarity(short(one), short(other)) == pytest.approx(alike)
    assert are_copies(short(one), short(other)) == (alike >= 0.82)


@pytest.mark.parametrize(
    ("changed", "copies"), [(0, True), (5, True), (20, True), (60, False), (150, False)]
)
def test_bodies(changed, copies):
    one = long_text(1)
    other = [*long_text(2)[:changed], *one[changed:]]
    assert are_copies(body(one), body(other)) == are_copies(body(other), body(one)) == copies


def test_a_body_is_the_same_whatever_its_form():
    text = STORY.replace("Quillon", "Ｑuillon").upper().replace(". ", "!\n\n")
    assert make_fingerprint("x", "y", text, frozenset()) == make_fingerprint(
        "", "", STORY, ORDINARY
    )


@pytest.mark.parametrize("changed", [10, 30, 60, 100, 200])
def test_the_estimate_is_near_the_jaccard_index(changed):
    one, other = long_text(1), [*long_text(2)[:changed], *long_text(1)[changed:]]
    sets = [{tuple(w[at : at + 3]) for at in range(len(w) - 2)} for w in (one, other)]
    jaccard = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    error = (jaccard * (1 - jaccard) / PERMUTATIONS) ** 0.5
    assert similarity(body(one), body(other)) == pytest.approx(jaccard, abs=4 * error)


def test_copies_share_a_band_and_other_bodies_none():
    one = long_text(1)
    keys = band_keys(body(one))
    assert len(keys) == len(set(keys)) == BANDS
    assert set(keys) & set(band_keys(body([*one[:-5], *long_text(3)[:5]])))
    assert not set(keys) & set(band_keys(body(long_text(2))))
    assert similarity(body(one), body(long_text(2))) < 0.05
    assert len(band_keys(short(POST))) == 1
    assert all(0 <= key < 2**64 for key in keys)


@pytest.mark.parametrize(
    ("one", "other", "copies"),
    [
        (("", ""), ("", ""), True),
        (("quillon", "QLN"), ("quillon", "QLN"), True),
        (("quillon", "QLN"), ("marrow", "MRW"), False),
        (("quillon", "QLN"), ("quillon", "MRW"), False),
        (("quillon", "QLN"), ("marrow", "QLN"), True),  # the token goes before the project
        (("quillon", ""), ("marrow", ""), False),
        (("quillon", "QLN"), ("marrow", ""), False),
        (("quillon", "QLN"), ("quillon", ""), True),
        (("quillon", "QLN"), ("", "QLN"), True),
        # not known is no difference, nor can a project be held against a token
        (("quillon", "QLN"), ("", ""), True),
        (("quillon", ""), ("", "MRW"), True),
        (("", "QLN"), ("", "MRW"), False),
    ],
)
@pytest.mark.parametrize(("title", "text"), [("", STORY), (POST, "")])
def test_texts_about_different_tokens_are_no_copies(title, text, one, other, copies):
    prints = [
        make_fingerprint(title, "", text, ORDINARY, project=project, token=token)
        for project, token in (one, other)
    ]
    assert similarity(*prints) == similarity(*prints[::-1]) == float(copies)
    assert are_copies(*prints) == are_copies(*prints[::-1]) == copies
    assert all(is_fingerprint(value) for value in prints)
    assert band_keys(prints[0]) == band_keys(prints[1])  # of who may be compared


def test_of_what_says_too_little_no_token_makes_a_fingerprint():
    assert make_fingerprint("Claims", "", "", ORDINARY, project="quillon", token="QLN") == b""


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x01",
        b"\x01L",
        b"\x01S",
        HEAD_SHORT + bytes(16),  # no words
        HEAD_SHORT + bytes(19),
        HEAD_LONG + bytes(LONG_BYTES - 3),
        HEAD_LONG + bytes(LONG_BYTES - 1),
        bytes([VERSION]) + b"X" + bytes(20),
        bytes([VERSION + 1]) + SHORT + bytes(20),
        bytes([VERSION - 1]) + SHORT + bytes(20),
        bytes([VERSION + 1]) + LONG + bytes(LONG_BYTES - 2),
    ],
)
def test_bytes_that_are_no_fingerprint(value):
    assert not is_fingerprint(value)
    assert band_keys(value) == ()
    assert similarity(value, value) == 0.0
    assert not are_copies(value, value)


def test_those_of_two_sorts_are_not_compared():
    of_body, of_post = make_fingerprint("", "", STORY, ORDINARY), short(POST)
    assert is_fingerprint(of_body)
    assert is_fingerprint(of_post)
    assert is_fingerprint(HEAD_SHORT + bytes(20))
    assert similarity(of_body, of_post) == similarity(of_post, of_body) == 0.0
    assert similarity(of_body, of_body) == similarity(of_post, of_post) == 1.0


def test_the_floor_is_below_what_counts_as_a_copy():
    """The comment beside it: a quarter of a standard error below 0.8."""
    assert pytest.approx(0.8 - (0.8 * 0.2 / PERMUTATIONS) ** 0.5 / 4, abs=1e-3) == LEAST_SIMILAR


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=120), st.text(max_size=120))
def test_any_text(one, other):
    prints = [short(one), short(other), make_fingerprint("", one, other, frozenset())]
    for fingerprint in prints:
        assert fingerprint == b"" or is_fingerprint(fingerprint)
        assert similarity(fingerprint, fingerprint) == float(bool(fingerprint))
    assert 0.0 <= similarity(*prints[:2]) == similarity(*prints[1::-1]) <= 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Binance lists three new tokens - Quillon", "Binance lists three new tokens - Marrow"),
        ("Quillon airdrop claims for users - Day 3", "Quillon airdrop claims for users - Day 4"),
        ("Quillon opens claims for users - then delays sale", "Quillon opens claims for users"),
    ],
)
def test_the_tail_of_a_headline_may_be_what_matters(one, other):
    assert not are_copies(short(one), short(other))


def test_an_outlets_name_behind_a_headline_does_not_matter():
    assert are_copies(
        short("Quillon opens claims for users - Acme News"), short("Quillon opens claims for users")
    )


def test_an_amount_is_the_same_however_it_is_written():
    sums = ("$100M", "$100m", "$100 Million", "$100 million")
    assert len({short(f"Quillon raises {one} for its token") for one in sums}) == 1
