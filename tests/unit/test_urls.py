from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.urls import (
    LONGEST_URL,
    canonicalize_url,
    host_of,
    resolve_url,
)

BASE = "https://news.example/2026/story.html"


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("/x y", "https://news.example/x%20y"),
        ("next.html", "https://news.example/2026/next.html"),
        ("//other.example/a", "https://other.example/a"),
        (" https://other.example/a\n", "https://other.example/a"),
        ("http://exämple.example/ü", "http://xn--exmple-cua.example/%C3%BC"),
        ("/\ud800", "https://news.example/?"),
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
VARIANTS = [
    "https://amp.example.com/b/~user?a=1&id=5",
    "https://m.example.com/b/~user?a=1&id=5",
    "https://mobile.example.com/b/~user?a=1&id=5",
    "https://www.m.example.com/b/~user?a=1&id=5",
    "https://m.www.example.com:80/b/~user?a=1&id=5",
    "https://example.com./b/~user?a=1&id=5",
    "https://example.com/amp/b/~user?a=1&id=5",
    "https://example.com/b/~user/amp?a=1&id=5",
    "https://example.com/b/~user/amp/?a=1&id=5",
    "https://example.com/b/~user.amp?a=1&id=5",
    "https://example.com/b/~user/index.html/amp?a=1&id=5",
    "https://example.com/b/~user?a=1&amp;id=5",
    "https://example.com/b/~user?amp&a=1&id=5",
    "https://example.com/b/~user?amp=1&a=1&id=5",
    "https://example.com/b/~user?a=1&id=5&outputType=amp",
    "https://example.com/b/~user?a=1&id=5&output=amp",
    "https://example.com//b///~user;jsessionid=0AB1?a=1&&id=5",
    "https://example.com/b/~user?%61=1&id=5&UTM%5FSource=x",
    "https://www.google.com/url?q=https%3A%2F%2Fexample.com%2Fb%2F~user%3Fa%3D1%26id%3D5",
    "https://example-com.cdn.ampproject.org/c/s/example.com/b/~user/amp?a=1&id=5",
]


def test_eleven_spellings_are_one_page() -> None:
    assert len(SPELLINGS) == 11
    assert {canonicalize_url(url) for url in SPELLINGS} == {SPELLINGS[0]}


@pytest.mark.parametrize("url", VARIANTS)
def test_variants_are_one_page(url: str) -> None:
    assert canonicalize_url(url) == SPELLINGS[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://e.example/story.amp.html", "https://e.example/story.html"),
        ("https://e.example/story.html.amp", "https://e.example/story.html"),
        ("https://e.example/wiki/Token_%28Greek%29", "https://e.example/wiki/Token_(Greek)"),
        ("https://e.example/%40name/%e2%82%ac", "https://e.example/@name/%E2%82%AC"),
        ("https://e.example/?q=a%20b%2Fc", "https://e.example/?q=a+b/c"),
        ("http://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://e.example:8443/a/", "https://e.example:8443/a"),
        ("http://[::1]:80/a", "https://[::1]/a"),
        ("https://e.example/Default.aspx", "https://e.example/"),
        ("https://e.example/index.php?p=7", "https://e.example/?p=7"),
        ("https://e.example/#:~:text=token", "https://e.example/"),
        ("https://e.example/#!/news/7", "https://e.example/#!/news/7"),
        ("https://e.example/story#/photo/7", "https://e.example/story"),
        ("https://./a", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_canonicalize_url(url: str, expected: str) -> None:
    assert canonicalize_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://m.co/a",
        "https://m.co.uk/a",
        "https://amp.dev/a",
        "https://mobile.substack.com/p/a",
        "https://amp.github.io/a",
        "https://e.example/amp",
        "https://e.example/.amp",
        "https://e.example/coins/amp",
        "https://e.example/en/tag/amp",
        "https://e.example/a/amp/b",
        "https://e.example/a/m/b",
        "https://e.example/preamp",
        "https://e.example/?amp=5",
        "https://github.com/amp/tokens",
        "https://x.com/amp/likes",
        "https://e.example/a?s=1&t=2",
        "https://e.example/a?ref=main",
        "https://e.example/a?ref=v1.2",
        "https://e.example/a?source=main",
        "https://e.example/a?source=desk.example",
        "https://e.example/a?campaign_id=7",
    ],
)
def test_what_only_looks_like_a_variant_stays(url: str) -> None:
    assert canonicalize_url(url) == url


TRACKERS = (
    *("utm_source", "utm_id", "mtm_campaign", "pk_kwd", "piwik_kwd", "matomo_kwd", "mc_cid"),
    *("mc_eid", "mkt_tok", "fbclid", "gclid", "gclsrc", "dclid", "wbraid", "gbraid", "msclkid"),
    *("yclid", "ysclid", "twclid", "ttclid", "li_fat_id", "igshid", "igsh", "_ga", "_gl"),
    *("_hsenc", "_hsmi", "hsa_cam", "hsCtaTracking", "s_cid", "sc_cid", "ito", "ref_src"),
    *("ref_url", "referrer"),
)


@pytest.mark.parametrize("name", TRACKERS)
def test_trackers_name_no_page(name: str) -> None:
    assert canonicalize_url(f"https://e.example/a?{name}=x&id=1") == "https://e.example/a?id=1"


@pytest.mark.parametrize(
    "pair",
    [
        "source=rss",
        "source=rss----ab12---4",
        "source=post_page-----e52ab---",
        "ref=twitter",
        "ref=desk.example",
        "mod=rss_a",
    ],
)
def test_the_channel_that_a_reader_came_by_names_no_page(pair: str) -> None:
    assert canonicalize_url(f"https://e.example/a?{pair}") == "https://e.example/a"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://e.example/a", "https://e.example/b"),
        ("https://e.example/a", "https://e.example/"),
        ("https://e.example/?p=1", "https://e.example/?p=2"),
        ("https://e.example/?p=1", "https://e.example/"),
        ("https://e.example/a?id=1", "https://e.example/a?id=2"),
        ("https://e.example/a?id=1", "https://e.example/a?ID=1"),
        ("https://e.example/a?id=Q", "https://e.example/a?id=q"),
        ("https://e.example/a?page=2", "https://e.example/a"),
        ("https://e.example/a/page/2", "https://e.example/a"),
        ("https://e.example/a?lang=de", "https://e.example/a?lang=en"),
        ("https://e.example/A", "https://e.example/a"),
        ("https://e.example/", "https://blog.e.example/"),
        ("https://e.example/a", "https://e.example:8443/a"),
        ("https://e.example/a", "https://e.example.org/a"),
        ("https://e.example/a%2Fb", "https://e.example/a/b"),
        ("https://e.example/a%3Fb", "https://e.example/a?b"),
        ("https://e.example/a?b=1%262", "https://e.example/a?b=1&2"),
        ("https://e.example/a+b", "https://e.example/a%2Bb"),
        ("https://e.example/m/a", "https://e.example/a"),
        ("https://e.example/a/amp/b", "https://e.example/a/b"),
        ("https://e.example/amp", "https://e.example/"),
        ("https://e.example/coins/amp", "https://e.example/coins"),
        ("https://e.example/a.html", "https://e.example/a"),
        ("https://e.example/index/a", "https://e.example/a"),
        ("https://m.substack.com/p/a", "https://substack.com/p/a"),
        ("https://m.co/a", "https://co/a"),
        ("https://e.example/#/a", "https://e.example/#/b"),
        (
            "https://www.youtube.com/watch?v=abcdefghijk",
            "https://www.youtube.com/watch?v=Abcdefghijk",
        ),
        ("https://x.com/a/status/1", "https://x.com/a/status/2"),
        ("https://x.com/amp/status/1", "https://x.com/status/1"),
        ("https://t.me/chan/1", "https://t.me/chan/2"),
        ("https://t.me/chan/1", "https://t.me/other/1"),
    ],
)
def test_different_pages_stay_apart(one: str, other: str) -> None:
    assert canonicalize_url(one) != canonicalize_url(other)


@given(st.text())
def test_any_text_is_resolved_or_refused(text: str) -> None:
    resolved = resolve_url(text, BASE)
    assert resolved == "" or resolved.startswith(("http://", "https://"))
    assert resolve_url(resolved) == resolved


HOSTS = (
    *("e.example", "www.e.example", "m.amp.e.example", "m.co", "m.co.uk", "www.www.co.uk", "."),
    *(
        "..",
        "e.example:80",
        "e.example.:443",
        "[::1]",
        "x.com",
        "m.twitter.com",
        "youtu.be",
        "t.me",
    ),
    *("www.google.de", "m.google.com", "news.google.com", "href.li", "l.facebook.com", "bing.com"),
    *("a-b.cdn.ampproject.org", "m.youtube.com"),
)
PATH_PARTS = (
    *("/", "/a", "/amp", "/.amp", "/a.amp", ".html", "/index.html", ";jsessionid=1", "//", "/.."),
    *("/%2e", "%%34%31", "%%36%31", "%C3", "%2F", "é", "(", "'", "/amp/s/", "/c/s/", "e.example"),
    *("/url", "/l.php", "/s/", "/name", "/status/12", "/12", "/watch", "/articles/CBMi", "/iv"),
)
QUERY_PARTS = (
    *("a=1", "b", "&", "amp", "amp;", "amp=1", "utm_id=1", "%26", "%3D", "%%32%36", "%20", "+"),
    *("'", "q=", "u=", "url=", "https://", "http%3A%2F%2F", "v=abcdefghijk", "#!/a", "#/%%34%31"),
)
parts = st.builds(
    "https://{}{}?{}".format,
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from(PATH_PARTS), max_size=5).map("".join),
    st.lists(st.sampled_from(QUERY_PARTS), max_size=5).map("".join),
)
urls = st.recursive(parts, lambda inner: st.builds("{}{}".format, parts, inner), max_leaves=6)


@given(st.one_of(st.text(), st.text(max_size=60).map("https://e.example/{}".format), urls))
def test_the_canonical_form_is_its_own(text: str) -> None:
    once = canonicalize_url(text)
    assert once == "" or once.startswith("https://")
    assert canonicalize_url(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        "/amp",
        ".amp",
        "/",
        "m.",
        "%",
        "%25",
        "%%34%31",
        "&amp;",
        "&",
        "?",
        "/index.html",
        "/index.html/amp",
        ";",
        "a.",
        "/~",
        "ref=a.",
        "&v=",
        "https://href.li/?",
        "https:%2F%2F",
        "rss-",
        "/a/../",
        "status/1/",
    ],
)
@pytest.mark.parametrize(
    "start", ["https://e.example/", "https://x.com/", "https://google.com/amp/"]
)
def test_hostile_urls_end(start: str, unit: str) -> None:
    """No rule looks twice at what it has passed, so the longest URLs take milliseconds."""
    for filled in (start + unit * 2000, start + "?" + unit * 2000, "https://" + unit * 2000):
        once = canonicalize_url(filled[: LONGEST_URL - 1])
        assert canonicalize_url(once) == once


def test_a_canonical_form_is_no_longer_than_a_url() -> None:
    longest = "http://e.example/".ljust(LONGEST_URL, "a")
    assert resolve_url(longest)
    assert canonicalize_url(longest) == ""


def test_host_of() -> None:
    assert host_of("https://News.Example:8080/a") == "news.example"
    assert host_of("http://[::1") == ""
    assert host_of("story") == ""
