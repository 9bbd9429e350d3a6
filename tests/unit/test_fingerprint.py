from __future__ import annotations

from tgecrawler.domain.fingerprint import (
    FEWEST_WORDS,
    TEXT_VERSION,
    URL_VERSION,
    mention_key,
    text_key,
    url_key,
)

STORY = "Nimbus opens claims for its token today and every early user can take part. " * 3


def test_digests_are_pinned() -> None:
    """Stored keys must not change under a database: a new rule takes a new version."""
    assert (URL_VERSION, TEXT_VERSION) == ("2", "1")
    assert url_key("https://e.example/a") == "230d495dab6bf98d1bf6f9f3e38592dc2"
    assert mention_key("acme", "https://e.example/a") == "27dbc5dcfecc247e70ff8a9eefa837a54"
    assert text_key(STORY) == "1ed5238b56768f9da708331402966138b"


def test_spellings_share_a_key() -> None:
    assert url_key("http://www.e.example/a/?utm_source=x") == url_key("https://e.example/a")
    assert url_key("https://www.google.com/url?q=https://e.example/a") == url_key(
        "https://amp.e.example/a/amp/"
    )
    assert mention_key("s", "https://e.example/a#x") == mention_key("s", "https://e.example/a")


def test_two_sources_of_one_page_are_two_mentions() -> None:
    assert mention_key("a", "https://e.example/a") != mention_key("b", "https://e.example/a")


def test_case_punctuation_and_space_do_not_make_a_new_text() -> None:
    assert text_key(STORY.upper().replace(" ", "\n ") + "!!") == text_key(STORY)
    assert text_key(STORY + " More.") != text_key(STORY)


def test_a_short_text_identifies_no_story() -> None:
    assert text_key("word " * (FEWEST_WORDS - 1)) == ""
    assert text_key("word " * FEWEST_WORDS) != ""


def test_word_borders_count() -> None:
    assert text_key("ab c " * 30) != text_key("a bc " * 30)
