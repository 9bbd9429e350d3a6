from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.text import HTML_TAGS, clean_text, cut_text, fold_space, has_markup


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ""),
        ("  two \t\n words\u00a0here ", "two words here"),
        # plain text that only looks like markup
        ("a < b and AT&T", "a < b and AT&T"),
        ("5<10", "5<10"),
        ("I <3 Norwyn & co", "I <3 Norwyn & co"),
        ("if <widget> in title", "if <widget> in title"),
        ("https://x.example/?a=1&copy=2", "https://x.example/?a=1&copy=2"),
        # entities, once and more than once
        ("AT&amp;T &#39;x&#39; caf&eacute;&nbsp;y", "AT&T 'x' café y"),
        ("&amp;lt;p&amp;gt;twice &amp;amp;amp; more&amp;lt;/p&amp;gt;", "twice & more"),
        ("&lt;b&gt;bold&lt;/b&gt; move", "bold move"),
        # tags
        ("<b>Bit</b>coin", "Bitcoin"),
        ("<p>One</p><p>Two<br>three</p>", "One Two three"),
        ("<P CLASS='a>b'>x</P>", "x"),
        ("I <3 you <i>much</i>", "I <3 you much"),
        ("cut off in <a href='https://x.exa", "cut off in"),
        ("<o:p>Office</o:p><p>paste</p>", "Office paste"),
        ("<![CDATA[left &amp; over]]>", "left & over"),
        ("before<!-- <p>hidden --> after", "before after"),
        # what must leave nothing
        ("<img src=x onerror=alert(1)>", ""),
        ("a<script>alert('x')</script>b<style>p{}</style>c", "abc"),
        ("a<script>never closed", "a"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;ok", "ok"),
        ("<scr\u200bipt>alert(1)</script>x", "x"),
        ("<p>the &lt;script&gt; tag explained</p>", "the tag explained"),
        # characters
        ("zero\u200bwidth\u202eover\u2066ride\ufeff \u00adsoft\x00\x1b", "zerowidthoverride soft"),
        ("it\x92s &#146;quoted&#146;", "it’s ’quoted’"),
        ("cafe\u0301", "café"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("line\u2028separator", "line separator"),
    ],
)
def test_clean_text(value: str, expected: str) -> None:
    assert clean_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<p>One\nline</p>\n\n<p>Two</p>", "One line\nTwo"),
        ("<ul><li>a</li><li>b</li></ul>c", "a\nb\nc"),
        ("&lt;p&gt;One&lt;/p&gt;&lt;p&gt;Two&lt;/p&gt;", "One\nTwo"),
        ("plain\r\n\r\n  lines\nkept ", "plain\nlines\nkept"),
        ("<p>literal &lt;b&gt;tag&lt;/b&gt;</p><p>next</p>", "literal tag\nnext"),
    ],
)
def test_clean_text_keeps_breaks(value: str, expected: str) -> None:
    assert clean_text(value, keep_breaks=True) == expected


def test_limit_cuts_between_words() -> None:
    assert clean_text("one two three", limit=9) == "one two"
    assert clean_text("one two three", limit=7) == "one two"
    assert clean_text("x" * 50, limit=10) == "x" * 10
    assert cut_text("short", 10) == "short"


def test_limit_counts_text_and_not_markup() -> None:
    assert clean_text("<p class='" + "x" * 5_000 + "'>word</p>", limit=10) == "word"


def test_marks_in_a_row_are_bounded() -> None:
    cleaned = clean_text("a" + "\u0316\u0301" * 50_000)
    assert sum(unicodedata.combining(char) > 0 for char in cleaned) <= 30


def test_fold_space() -> None:
    assert fold_space(" a\u00a0\u2003b\n\tc ") == "a b c"


def test_has_markup() -> None:
    assert has_markup("a <br/> b")
    assert not has_markup("a <bread> b")


PIECES = st.sampled_from(
    [
        *sorted(f"<{tag}>" for tag in HTML_TAGS),
        "</p>",
        "</script>",
        "<",
        ">",
        "&",
        "&lt;",
        "&amp;",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        '"',
        "'",
        "=",
        "&#x200b;",
        "&#60;",
        "word ",
        "\n",
    ]
)
HTML = st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join)
KNOWN_TAG = re.compile(rf"</?(?:{'|'.join(HTML_TAGS)})[\s/>]", re.IGNORECASE)


@settings(max_examples=300, deadline=None)
@given(HTML, st.booleans(), st.integers(1, 50))
def test_result_is_plain_whatever_comes(value: str, keep_breaks: bool, limit: int) -> None:
    cleaned = clean_text(value, keep_breaks=keep_breaks, limit=limit)
    assert len(cleaned) <= limit
    assert cleaned == cleaned.strip()
    assert not KNOWN_TAG.search(cleaned)
    assert all(char == "\n" or char.isprintable() or char > "\x9f" for char in cleaned)
    assert "\n\n" not in cleaned
    assert "  " not in cleaned
    assert keep_breaks or "\n" not in cleaned


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="<&"), max_size=60))
def test_cleaning_plain_text_twice_changes_nothing(value: str) -> None:
    once = clean_text(value)
    assert clean_text(once) == once
