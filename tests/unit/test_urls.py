from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.urls import LONGEST_URL, canonicalize_url, host_of, resolve_url

BASE = "https://news.example/2026/story.html"


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("/x y", "https://news.example/x%20y"),
        ("next.html", "https://news.example/2026/next.html"),
        ("//other.example/a", "https://other.example/a"),
        (" https://other.example/a\n", "https://other.example/a"),
        ("http://exämple.example/ü", "http://xn--exmple-cua.example/%C3%BC"),
        ("javascript:alert(1)", ""),
        ("java\nscript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("mailto:a@b.example", ""),
        ("ftp://files.example/a", ""),
        ("file:///etc/passwd", ""),
        ("http://user:secret@host.example/", ""),
        ("http://[::1", ""),
        ("http:///", ""),
        ("", ""),
        ("https://host.example/" + "a" * LONGEST_URL, ""),
    ],
)
def test_resolve_url(href: str, expected: str) -> None:
    assert resolve_url(href, BASE) == expected


def test_resolve_url_with_a_useless_base() -> None:
    assert resolve_url("story.html", "no base") == ""
    assert resolve_url("https://a.example/b", "no base") == "https://a.example/b"


SPELLINGS = [
    "https://example.com/b/~user?a=1&id=5",
    "http://example.com/b/~user?a=1&id=5",
    "https://www.example.com/b/~user?a=1&id=5",
    "https://EXAMPLE.com:443/b/~user?a=1&id=5",
    "https://example.com/b/~user/?a=1&id=5",
    "https://example.com/a/../b/~user?a=1&id=5",
    "https://example.com/b/%7euser?a=1&id=5",
    "https://example.com/b/~user?id=5&a=1",
    "https://example.com/b/~user?a=1&id=5#comments",
    "https://example.com/b/~user?a=1&utm_source=rss&id=5&fbclid=Q",
    "https://example.com/b/~user/index.html?a=1&id=5",
]


def test_eleven_spellings_are_one_page() -> None:
    assert {canonicalize_url(url) for url in SPELLINGS} == {SPELLINGS[0]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://e.example/a", "https://e.example/b"),
        ("https://e.example/?p=1", "https://e.example/?p=2"),
        ("https://e.example/A", "https://e.example/a"),
        ("https://e.example/", "https://blog.e.example/"),
        ("https://e.example/a%2Fb", "https://e.example/a/b"),
    ],
)
def test_different_pages_stay_apart(one: str, other: str) -> None:
    assert canonicalize_url(one) != canonicalize_url(other)


@given(st.text())
def test_any_text_is_resolved_or_refused(text: str) -> None:
    resolved = resolve_url(text, BASE)
    assert resolved == "" or resolved.startswith(("http://", "https://"))
    assert resolve_url(resolved) == resolved


@given(st.text(max_size=60))
def test_the_canonical_form_is_its_own(path: str) -> None:
    once = canonicalize_url(f"https://e.example/{path}")
    assert canonicalize_url(once) == once


def test_host_of() -> None:
    assert host_of("https://News.Example:8080/a") == "news.example"
    assert host_of("http://[::1") == ""
    assert host_of("story") == ""
