"""The links of an article page: absolute addresses with the words they stand on."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.urls import resolve_url
from tgecrawler.sources.article import (
    LONGEST_LINK_TEXT,
    MOST_LINK_TEXTS,
    MOST_LINKS,
    parse_article,
)

URL = "https://news.example/2026/story"
STORY = "Quillon opens its airdrop to the friends of the house, and Varro follows. " * 5


def links(markup: str, *, head: str = "", url: str = URL) -> list[tuple[str, str]]:
    page = (
        f"<html><head><meta charset='utf-8'>{head}</head>"
        f"<body><article><p>{STORY}</p>{markup}</article></body></html>"
    )
    return list(parse_article(page.encode("utf-8", "replace"), url=url).links)


def addresses(markup: str) -> list[str]:
    return [address for address, _ in links(markup)]


def words(inside: str) -> str:
    [(_, text)] = links(f'<a href="/x">{inside}</a>')
    return text


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("https://quillon.example/claim", "https://quillon.example/claim"),
        ("http://quillon.example", "http://quillon.example/"),
        ("//quillon.example/claim", "https://quillon.example/claim"),
        ("/claim", "https://news.example/claim"),
        ("claim?a=1&amp;b=2#c", "https://news.example/2026/claim?a=1&b=2#c"),
        ("../claim", "https://news.example/claim"),
        ("#top", f"{URL}#top"),
        (" /claim\n", "https://news.example/claim"),
        ("/领取", "https://news.example/%E9%A2%86%E5%8F%96"),
        ("https://quillon.example/\u202eclaim", "https://quillon.example/%E2%80%AEclaim"),
    ],
)
def test_addresses_are_absolute(href: str, expected: str) -> None:
    assert addresses(f'<a href="{href}">x</a>') == [expected]


@pytest.mark.parametrize(
    "href",
    [
        "",
        " ",
        "javascript:alert(1)",
        "java\nscript:alert(1)",
        "mailto:claim@quillon.example",
        "tel:123",
        "data:text/html,x",
        "ftp://quillon.example/claim",
        "https://user:secret@quillon.example/",
        "https://quillon.example@evil.example/",
        "http://[::1",
        "https://exa mple/",
        "https://xn--/",
        "/" + "x" * 3_000,
    ],
)
def test_what_is_no_address_is_left_out(href: str) -> None:
    assert addresses(f'<a href="{href}">x</a><a href="/kept">x</a>') == [
        "https://news.example/kept"
    ]


def test_an_anchor_without_address_is_left_out() -> None:
    assert addresses('<a name="top">x</a><a>y</a><a href>z</a>') == []


def test_links_are_told_in_the_order_of_the_page() -> None:
    markup = '<a href="/b">two</a><p><a href="/a">one</a></p><a href="/b">again</a>'
    assert links(markup) == [
        ("https://news.example/b", "two"),
        ("https://news.example/a", "one"),
        ("https://news.example/b", "again"),
    ]


def test_links_outside_the_article_are_told_too() -> None:
    page = (
        '<html><body><nav><a href="/home">Home</a></nav><article>'
        f'<p>{STORY}<a href="/claim">Claim</a></p></article>'
        '<footer><a href="/about">About</a></footer></body></html>'
    )
    article = parse_article(page.encode(), url=URL)
    assert [text for _, text in article.links] == ["Home", "Claim", "About"]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("Claim now", "Claim now"),
        ("Claim <b>your <i>QLN</i></b> now", "Claim your QLN now"),
        ("  Claim\n\n  now ", "Claim now"),
        ("AT&amp;T", "AT&T"),
        ("Получить токены", "Получить токены"),
        ("领\u200b取代币", "领取代币"),
        ("\u202emialc\u202c 🚀", "mialc 🚀"),
        ("Claim<!-- hidden --> now", "Claim now"),
        ('<img src="/x.png" alt="Claim">', ""),
        ("", ""),
        ("e\u0301", "é"),
    ],
)
def test_the_words_of_a_link(inside: str, expected: str) -> None:
    assert words(inside) == expected


@pytest.mark.parametrize(
    "inside",
    [
        "<style>.x{}</style>Claim",
        "<script>var claim = 1</script>Claim",
        "<svg><style>.x{}</style></svg>Claim",
    ],
)
def test_scripts_and_styles_are_no_words_of_a_link(inside: str) -> None:
    assert words(inside) == "Claim"


def test_the_base_of_a_page_counts() -> None:
    head = '<base href="https://other.example/dir/">'
    assert links('<a href="claim">x</a>', head=head) == [("https://other.example/dir/claim", "x")]


def test_words_are_cut() -> None:
    long = words("Claim " * 100)
    assert long.startswith("Claim Claim")
    assert LONGEST_LINK_TEXT - 10 < len(long) <= LONGEST_LINK_TEXT
    assert words("x" * 1_000) == "x" * LONGEST_LINK_TEXT
    assert words("<b>x </b>" * 100).split() == ["x"] * MOST_LINK_TEXTS


def test_only_the_first_links_are_told() -> None:
    found = links("".join(f'<a href="/{at}">x</a>' for at in range(MOST_LINKS + 5)))
    assert len(found) == MOST_LINKS
    assert found[-1] == (f"https://news.example/{MOST_LINKS - 1}", "x")


def test_a_page_without_links_has_none() -> None:
    assert links("<p>x</p>") == []


def test_the_pages_own_address_may_be_none() -> None:
    markup = '<a href="/claim">x</a><a href="https://quillon.example/">y</a>'
    assert links(markup, url="") == [("https://quillon.example/", "y")]


PIECES = st.sampled_from(
    [
        *("<a href=", "'", '"', "/x", "https://quillon.example/", "javascript:", "//", "#", "?"),
        *(">", "</a>", "<b>", "</b>", "<a>", "<!--", "-->", "<script>", "</script>", "<svg>"),
        *("<", "&amp;", "&#x202e;", "&#0;", "Claim", "领", "İ", "🚀", "\u200b", "\x00", "\n", " "),
    ]
)


@settings(deadline=None, max_examples=100)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_markup_gives_addresses_and_plain_words(markup: str) -> None:
    for address, text in links(markup):
        assert resolve_url(address) == address
        assert len(text) <= LONGEST_LINK_TEXT
        assert text.isprintable()
        assert text == " ".join(text.split())


@pytest.mark.parametrize(
    "piece", ["<a href='/x'>", "<a href='/x'>x</a>", "<a href='//", "<a>x</a>"]
)
def test_time_is_bounded(piece: str) -> None:
    markup = piece * (20_000 // len(piece))
    started_at = perf_counter()
    assert len(links(markup)) <= MOST_LINKS
    assert perf_counter() - started_at < 3  # it takes 70 ms


def test_a_link_text_of_a_megabyte() -> None:
    started_at = perf_counter()
    assert words("x" * 1_000_000) == "x" * LONGEST_LINK_TEXT
    assert perf_counter() - started_at < 3  # it takes 80 ms
