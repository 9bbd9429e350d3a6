"""The address that a page gives itself: when it is taken, and when it is a template's fault."""

from __future__ import annotations

import pytest
from lxml import html

from tgecrawler.sources.metadata import canonical_of, read_declared

URL = "https://desk.example/2026/story?id=7"


def canonical(*hrefs: str, og_url: str = "", url: str = URL) -> str:
    links = "".join(f'<link rel="canonical" href="{href}">' for href in hrefs)
    meta = f'<meta property="og:url" content="{og_url}">'
    tree = html.fromstring(f"<html><head>{links}{meta}</head><body>x</body></html>")
    return canonical_of(tree, read_declared(tree), url)


@pytest.mark.parametrize(
    "href",
    [
        "https://desk.example/2026/story",
        "https://www.desk.example/2026/story",
        "http://desk.example/2026/story",
        "https://desk.example/?p=7",
        "https://desk.example/de/story",
        "https://desk.example/faq",
    ],
)
def test_an_address_of_its_own_is_taken(href: str) -> None:
    assert canonical(href) == href


def test_the_scheme_may_be_left_to_the_page() -> None:
    assert canonical("//www.desk.example/story") == "https://www.desk.example/story"


@pytest.mark.parametrize(
    "href",
    [
        "",
        " ",
        "/",
        "/2026/story",
        "2026/story",
        "?id=8",
        "#",
        "desk.example/2026/story",
        "https:/story",
        "https://desk.example",
        "https://desk.example/",
        "https://www.desk.example/index.html",
        "https://m.desk.example/?utm_source=canonical",
        "https://desk.example/en/",
        "https://desk.example/pt-BR",
        "https://origin.example/",
        "https://origin.example/2026/the-same-story",
        "https://origin.example:8443/2026/the-same-story",
        "https://origin.example/en",
        "https://desk.example/2026/story#comments",
        "https://desk.example/#",
        "https://desk.example/#/story",
        "http://localhost:3000/2026/story",
        "http://127.0.0.1/2026/story",
        "http://[::1]/2026/story",
        "http://wordpress/2026/story",
        "http://build.internal/2026/story",
        "https://user:secret@desk.example/2026/story",
        "javascript:alert(1)",
        "http://[::1",
    ],
)
def test_a_fault_of_a_template_is_not_taken(href: str) -> None:
    assert canonical(href) == URL
    assert canonical(og_url=href) == URL
    assert canonical(href, "https://desk.example/own") == "https://desk.example/own"
    assert canonical(href, og_url="https://desk.example/own") == "https://desk.example/own"


@pytest.mark.parametrize(
    ("url", "href"),
    [
        ("https://desk.example/?utm_source=x", "https://desk.example/"),
        ("http://www.desk.example/index.html", "https://desk.example/"),
        ("https://desk.example/en/?ref=rss", "https://desk.example/en"),
        ("http://127.0.0.1:8000/a?b=1", "http://127.0.0.1:8000/a"),
    ],
)
def test_a_front_page_and_a_local_page_may_name_themselves(url: str, href: str) -> None:
    assert canonical(href, url=url) == href


def test_the_first_link_counts_before_the_meta_tag() -> None:
    links = ("https://desk.example/one", "https://desk.example/two")
    assert canonical(*links, og_url="https://desk.example/three") == links[0]
