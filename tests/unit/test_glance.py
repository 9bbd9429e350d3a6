"""The cheap text of a page, and its title."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.errors import SourceError
from tgecrawler.sources.article import parse_article
from tgecrawler.sources.glance import LARGEST_PAGE, glance

WORDS = "<p>" + "A sentence of the story that goes on for a while. " * 5 + "</p>"


def text_of(markup: str) -> str:
    return glance(markup.encode()).text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One</p><p>Two</p>", "One Two"),
        ("<ul><li>Menu<li>More</ul>\n\n text", "Menu More text"),
        ("<title>Head</title><body>Body", "Head Body"),
        ("a<script>var token = '<p>sale</p>';</script>b", "a b"),
        ("a<SCRIPT src=x></SCRIPT >b", "a b"),
        ("a<style>.token{}</style>b", "a b"),
        ("a<!-- a token sale -- -> --><p>b", "a b"),
        ("a<!-->b</p>-->c", "a c"),
        ("a<script>never closed <p>b", "a"),
        ("a<p never closed b", "a"),
        ("1 < 2 &amp; 3 &gt; 2", "1 < 2 & 3 > 2"),
        ("<scripted>a</scripted>", "a"),
    ],
)
def test_words_are_read(markup: str, text: str) -> None:
    assert text_of(f"<i></i>{markup}") == text


def test_the_body_that_only_json_ld_holds_is_read() -> None:
    script = '<script type="application/ld+json">{"articleBody": "The token sale"}</script>'
    assert "The token sale" in text_of(script)


@pytest.mark.parametrize(
    "head",
    [
        "<title>From the title | The Desk</title>",
        "<title>Named</title><meta property='og:title' content='Declared &amp; told'>",
        '<meta content="Turned round" property="og:title"><h1>Heading</h1>',
        "<title>Named</title><h1 class=a>The <b>only</b> heading</h1>",
        "<title>Named page of the site</title><h1>One</h1><h1>Two</h1>",
        '<meta name="twitter:title" content="A > B"><title>C</title>',
        "<META NAME=dc.title CONTENT=Bare>",
        '<meta name="og:site_name" content="Desk"><meta name="og:title" content="A - Desk">',
        '<script type="application/ld+json">{"@type":"NewsArticle","headline":"In JSON"}</script>',
        '<script type="application/ld+json">{broken</script><title>Instead of JSON</title>',
        "<script>var a = '<title>Scripted</title>'</script><title>Real</title>",
        "<h1></h1><title>Without a heading</title>",
        "",
    ],
)
def test_the_title_is_that_of_the_article(head: str) -> None:
    body = f"<html><head>{head}</head><body>{WORDS}</body></html>".encode()
    assert glance(body).title == parse_article(body, url="https://desk.example/a").title


def test_the_title_may_be_left() -> None:
    assert glance(b"<title>Named</title>", with_title=False).title == ""


def test_the_encoding_is_minded() -> None:
    page = "<p>Zażółć</p>".encode("iso-8859-2")
    assert glance(page, "text/html; charset=iso-8859-2").text == "Zażółć"


@pytest.mark.parametrize(
    "body",
    [b"", b" \n ", b"%PDF-1.7", b"only words", b"<p>" + b"x" * LARGEST_PAGE],
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        glance(body)


@pytest.mark.parametrize(
    "bomb",
    [
        "<div>" * 100_000,
        "".join(f"<b id={n}><div>" for n in range(20_000)) + "</b>" * 20_000,
        "<p " + " ".join(f"a{n}=1" for n in range(100_000)) + ">",
        "<p>x</p>" * 50_000,
        "<script>" * 100_000,
        "<!--" * 100_000,
        "<!-" * 100_000,
        "<" * 500_000,
        "<a " * 100_000,
        "<meta " * 100_000,
        "<meta '" * 100_000,
        '<meta a="' * 100_000,
        "<h1>" * 100_000,
        "<title>" * 100_000,
        '<script type="application/ld+json">' * 20_000,
        '<script type="application/ld+json">' + "[" * 100_000,
        "<script " * 100_000,
        "<script " * 100_000 + "ld+json>",
        "<meta title" + "a" * 1_000_000 + ">",
        "<meta title " + "a " * 500_000 + ">",
        "<meta title=" + " " * 1_000_000 + ">",
        "<meta title" + " " * 1_000_000 + ">",
        '<meta title="' + "a=" * 500_000 + ">",
    ],
    ids=lambda bomb: f"{bomb[:12]}...{bomb[-8:]}",
)
def test_a_bomb_costs_no_more_than_its_length(bomb: str) -> None:
    """Quadratic time would take minutes: the limit is far from both."""
    started = time.process_time()
    glance(f"<i>a</i>{bomb}".encode())
    assert time.process_time() - started < 20


@given(st.text(alphabet="<>/!-aA bscriptyle\"'=&;", max_size=80))
def test_any_markup_gives_a_line_without_known_tags(markup: str) -> None:
    text = glance(f"<i>{markup}".encode()).text
    assert "\n" not in text
    assert "<a>" not in text
