from __future__ import annotations

from base64 import urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.url_redirects import is_feed_proxy, wrapped_url
from tgecrawler.domain.urls import DEEPEST_WRAP, canonicalize_url, unwrap_url

STORY = "https://desk.example/2026/story?a=1&b=2"
INNER = quote(STORY, safe="")


@pytest.mark.parametrize(
    "url",
    [
        f"https://www.google.com/url?q={INNER}&sa=D",
        f"https://www.google.com/url?rct=j&sa=t&url={INNER}&ct=ga",
        f"https://google.co.uk/url?url={INNER}",
        f"HTTPS://WWW.GOOGLE.DE/url?url={INNER}",
        f"https://news.google.com/news/url?sa=t&url={INNER}",
        f"http://www.bing.com/news/apiclick.aspx?ref=FexRss&aid=&url={INNER}&c=1",
        f"https://duckduckgo.com/l/?uddg={INNER}&rut=1",
        f"https://l.facebook.com/l.php?u={INNER}&h=AT",
        f"https://lm.facebook.com/l.php?u={INNER}",
        f"https://m.facebook.com/l.php?u={INNER}",
        f"https://l.instagram.com/?u={INNER}&e=A",
        f"https://out.reddit.com/?url={INNER}&token=A",
        f"https://out.reddit.com/t3_abc?url={INNER}",
        f"https://t.umblr.com/redirect?z={INNER}&t=A",
        f"https://www.youtube.com/redirect?event=description&q={INNER}&v=abcdefghijk",
        f"https://exit.sc/?url={INNER}",
        f"https://slack-redir.net/link?url={INNER}",
        f"https://steamcommunity.com/linkfilter/?u={INNER}",
        f"https://vk.com/away.php?to={INNER}&cc_key=",
        f"https://medium.com/r/?url={INNER}",
        f"https://t.me/iv?url={INNER}&rhash=0",
        f"https://eur01.safelinks.protection.outlook.com/?url={INNER}&data=05",
        f"https://href.li/?{STORY}",
        f"https://href.li/?{INNER}",
        f"https://anonym.to/?{STORY}",
        "https://www.google.com/amp/s/desk.example/2026/story?a=1&b=2",
        "https://www.google.de/amp/s/desk.example/2026/story?a=1&b=2",
        "https://www.bing.com/amp/s/desk.example/2026/story?a=1&b=2",
        "https://desk-example.cdn.ampproject.org/c/s/desk.example/2026/story?a=1&b=2",
        "https://desk-example.cdn.ampproject.org/v/s/desk.example/2026/story?a=1&b=2",
        "https://cdn.ampproject.org/c/s/desk.example/2026/story?a=1&b=2",
        "https://desk-example.bing-amp.com/c/s/desk.example/2026/story?a=1&b=2",
    ],
)
def test_a_carried_address_is_read(url: str) -> None:
    assert unwrap_url(url) == STORY
    assert canonicalize_url(url) == STORY


def test_a_cache_tells_whether_the_page_is_encrypted() -> None:
    assert unwrap_url("https://www.google.com/amp/desk.example/a") == "http://desk.example/a"


@pytest.mark.parametrize(
    "url",
    [
        STORY,
        "https://feedproxy.google.com/~r/desk/~3/abcdef/",
        "https://t.co/abcdef",
        "https://www.google.com/search?q=https://desk.example/a",
        "https://www.google.com/url?q=/search",
        "https://www.google.com/url?q=desk.example",
        "https://www.google.com/url?q=javascript:alert(1)",
        "https://www.google.com/url?q=ftp://desk.example/a",
        "https://www.google.com/url?q=https://user:secret@desk.example/a",
        "https://www.google.com/url?q=https://desk.example@evil.example/",
        "https://www.google.com/url?q=http://[::1",
        "https://www.google.com/url",
        "https://www.google.com/amp/s/story",
        "https://google.evil.example/url?q=https://desk.example/a",
        "https://notgoogle.com/url?q=https://desk.example/a",
        "https://www.facebook.com/desk?u=https://desk.example/a",
        "https://www.youtube.com/watch?v=abcdefghijk&q=https://desk.example/a",
        "https://medium.com/@r/story?url=https://desk.example/a",
        "https://href.li/",
        "https://href.li/?story",
        "https://news.google.com/topics/CAAqBwgKMN",
        "https://user:secret@www.google.com/url?q=https://desk.example/a",
        "no address",
        "",
    ],
)
def test_what_carries_no_address_stays(url: str) -> None:
    assert unwrap_url(url) == url


def test_of_two_targets_the_first_is_followed() -> None:
    url = (
        f"https://www.google.com/url?q={INNER}&q=https://other.example/&url=https://other.example/"
    )
    assert unwrap_url(url) == STORY


def wrap(url: str, times: int) -> str:
    for _ in range(times):
        url = f"https://www.google.com/url?q={quote(url, safe='')}"
    return url


def test_redirectors_within_redirectors() -> None:
    facebook = f"https://l.facebook.com/l.php?u={quote(wrap(STORY, 1), safe='')}"
    assert unwrap_url(f"https://href.li/?{facebook}") == STORY
    assert unwrap_url(wrap(STORY, DEEPEST_WRAP)) == STORY


def test_what_is_wrapped_too_often_stays() -> None:
    url = wrap(STORY, DEEPEST_WRAP + 1)
    assert unwrap_url(url) == url


def test_a_bad_target_leaves_the_redirector_that_named_it() -> None:
    inner = "https://www.google.com/url?q=javascript:alert(1)"
    assert unwrap_url(f"https://href.li/?{inner}") == inner


def news_name(url: bytes, rest: bytes = b"") -> str:
    """Return the name that Google News gave to an article until 2024."""
    size = len(url)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    message = b"\x08\x13\x22" + length + url + rest
    return urlsafe_b64encode(message).rstrip(b"=").decode()


AMP_PAGE = b"\xd2\x01\x1ahttps://amp.desk.example/a"


def test_a_name_of_google_news_is_pinned() -> None:
    name = "CBMiFmh0dHBzOi8vZGVzay5leGFtcGxlL2HSARpodHRwczovL2FtcC5kZXNrLmV4YW1wbGUvYQ"
    assert news_name(b"https://desk.example/a", AMP_PAGE) == name
    assert unwrap_url(f"https://news.google.com/rss/articles/{name}?oc=5") == (
        "https://desk.example/a"
    )


@pytest.mark.parametrize("path", ["rss/articles", "articles", "__i/rss/rd/articles", "read"])
@pytest.mark.parametrize("rest", [b"", b"\xd2\x01\x00", AMP_PAGE])
@pytest.mark.parametrize("url", [STORY, STORY + "&long=" + "x" * 200])
def test_articles_of_google_news_until_2024(path: str, rest: bytes, url: str) -> None:
    name = news_name(url.encode(), rest)
    assert unwrap_url(f"https://news.google.com/{path}/{name}?oc=5&hl=en-US") == url


@pytest.mark.parametrize(
    "name",
    [
        news_name(b"AU_yqLN3he6m66di3u4dJBtpZlLiCR91SaAEDZMe4st3UfU0vY6FyW95ePgL1Gcdzf"),
        news_name(b"ftp://desk.example/a"),
        news_name(b"javascript:alert(1)"),
        news_name(b"https://desk.example/\xff"),
        news_name(b""),
        "CBMi",
        "CBMiF",
        "A",
        "CAAqJggKIiBDQkFTRWdvSUwyMHZNRGx1YlY4U0FtVnVHZ0pWVXlnQVAB",
    ],
)
def test_an_article_of_google_news_that_cannot_be_read_stays(name: str) -> None:
    url = f"https://news.google.com/rss/articles/{name}?oc=5"
    assert unwrap_url(url) == url
    assert canonicalize_url(url) == f"https://news.google.com/articles/{name}"


@given(st.binary(max_size=40))
def test_any_name_of_google_news_is_read_or_left(message: bytes) -> None:
    name = urlsafe_b64encode(b"\x08\x13\x22" + message).decode()
    target = wrapped_url("news.google.com", f"/rss/articles/{name}", "")
    assert target == "" or target.startswith(("http://", "https://"))


@given(st.text())
def test_any_text_is_unwrapped_or_left(text: str) -> None:
    assert unwrap_url(text) == text
    inside = unwrap_url(f"https://href.li/?https://desk.example/{text}")
    assert inside.startswith(("https://desk.example/", "https://href.li/"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://feedproxy.google.com/~r/desk/~3/abcdef/", True),
        ("http://feeds.feedburner.com/~r/desk/~3/abcdef/", True),
        ("http://feeds2.feedburner.com:80/desk/1", True),
        ("http://rss.cnn.com/~r/rss/edition/~3/abcdef/index.html", True),
        ("http://feeds.feedblitz.com/~/123/0/desk~Story/", True),
        ("http://news.desk.example/~/123/0/desk~Story/", True),
        ("http://rss.feedsportal.com/c/1/story01.htm", True),
        ("https://desk.example/~reporter/story", False),
        ("https://desk.example/feedburner.com/story", False),
        ("https://notfeedburner.com/story", False),
        (STORY, False),
        ("", False),
    ],
)
def test_is_feed_proxy(url: str, expected: bool) -> None:
    assert is_feed_proxy(url) is expected
