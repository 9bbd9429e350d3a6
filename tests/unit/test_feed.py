from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.errors import SourceError
from tgecrawler.items import Entry, Feed
from tgecrawler.sources.feed import MOST_TAGS, parse_feed
from tgecrawler.sources.feed_text import full_text, is_cut
from tgecrawler.sources.feed_xml_repair import MOST_ENTRIES

FEEDS = Path(__file__).parents[1] / "fixtures" / "feeds"
URL = "https://fetched.example/feeds/all.xml"
CASES = sorted(path for path in FEEDS.iterdir() if not path.name.endswith(".expected.json"))


def plain(feed: Feed) -> dict[str, Any]:
    """Return the feed as JSON would hold it, without what is empty."""
    values = asdict(feed)
    values["entries"] = [
        {
            name: value.isoformat() if name == "published_at" else value
            for name, value in entry.items()
            if value
        }
        for entry in values["entries"]
    ]
    return {name: value for name, value in values.items() if value or name == "entries"}


def rss(*items: str) -> bytes:
    return f"<rss version='2.0'><channel>{''.join(items)}</channel></rss>".encode()


def item(title: str, link: str = "https://a.example/1") -> str:
    return f"<item><title>{title}</title><link>{link}</link></item>"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_fixture(path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    content_type = expected.get("content_type", "")
    if "error" in expected:
        with pytest.raises(SourceError) as caught:
            parse_feed(path.read_bytes(), url=URL, content_type=content_type)
        assert str(caught.value) == expected["error"]
    else:
        feed = parse_feed(path.read_bytes(), url=URL, content_type=content_type)
        assert plain(feed) == expected["feed"]


def test_every_expectation_has_its_feed() -> None:
    expectations = {path.name.removesuffix(".expected.json") for path in FEEDS.glob("*.expected.*")}
    assert expectations == {path.stem for path in CASES}
    assert len(CASES) >= 20


def test_relative_links_start_at_the_feeds_url_where_it_has_no_link() -> None:
    feed = parse_feed(rss(item("t", "story")), url=URL)
    assert feed.entries == (Entry(url="https://fetched.example/feeds/story", title="t"),)


@pytest.mark.parametrize(
    ("words", "summary_length", "ending", "is_full"),
    [
        (200, 0, "", True),
        (200, 200, "", True),
        (50, 0, "", False),  # 400 characters
        (100, 700, "", False),  # hardly longer than the summary
        (1000, 2000, "", True),  # the summary is the article once more
        (200, 100, " […]", False),
        (200, 100, " ...", False),
        (200, 100, "<p>Read more »</p>", False),
        (200, 100, "<p>Continue reading <a>Norwyn opens its vaults</a> →</p>", False),
        (200, 100, "<p>The post <a>Norwyn</a> appeared first on <a>Gazette</a>.</p>", True),
        (200, 100, " [&#8230;]<p>The post Norwyn appeared first on Gazette.</p>", False),
    ],
)
def test_full_text_rule(words: int, summary_length: int, ending: str, is_full: bool) -> None:
    text = full_text(f"<p>{'article ' * words}</p>{ending}", "s" * summary_length)
    assert bool(text) is is_full
    assert "appeared first" not in text


def test_is_cut_looks_at_the_end_only() -> None:
    assert is_cut("It goes on…")
    assert not is_cut("Wait … there is more to read. The end.")


def test_entries_are_bounded() -> None:
    feed = parse_feed(rss(*[item("t")] * (MOST_ENTRIES + 10)), url=URL)
    assert len(feed.entries) == MOST_ENTRIES
    broken = parse_feed(rss("<q>", *[item("t")] * (MOST_ENTRIES + 10)), url=URL)
    assert len(broken.entries) == MOST_ENTRIES


def test_texts_are_bounded() -> None:
    long = "word " * 50_000
    body = rss(f"<item><title>{long}</title><link>https://a.example</link>"
               f"<description>{long}</description></item>")  # fmt: skip
    (entry,) = parse_feed(body, url=URL).entries
    assert len(entry.title) <= 500
    assert len(entry.summary) <= 2_000


def test_a_compression_bomb_is_refused() -> None:
    with pytest.raises(SourceError, match="larger than 10240 KiB"):
        parse_feed(gzip.compress(bytes(50_000_000)), url=URL)


def test_half_a_gzip_file_is_read_as_far_as_it_goes() -> None:
    items = [item(f"t{n}", f"https://a.example/{n * 7919}") for n in range(300)]
    packed = gzip.compress(rss(*items))
    feed = parse_feed(packed[: len(packed) // 2], url=URL)
    assert feed.recovered
    assert 50 < len(feed.entries) < 300
    assert feed.entries[0].url == "https://a.example/0"
    known = {f"https://a.example/{n * 7919}" for n in range(300)}
    assert {entry.url for entry in feed.entries} <= known


@pytest.mark.parametrize(
    "body",
    [
        "<rss><channel>" + "<a>" * 100_000 + item("t"),
        "<rss><channel><item><description>" + "<div>" * 100_000 + "x",
        "<rss>" + "&" * 500_000,
        "<rss>" + "<![CDATA[" * 100_000,
        "<rss>" + "<!DOCTYPE [" * 100_000,
        "<feed>" + "<entry " * 50_000,
        '{"version": "https://jsonfeed.org/version/1", "items": [' + '{"a":' * 200_000,
        "<!-- " * 50_000 + "<html>",
    ],
    ids=["deep", "deep_html", "ampersands", "cdata", "doctypes", "entries", "json", "comments"],
)
def test_hostile_bodies_end(body: str) -> None:
    try:
        feed = parse_feed(body.encode(), url=URL)
    except SourceError:
        return
    assert len(feed.entries) <= 1


def test_files_are_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do-not-read")
    doctype = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    body = doctype.encode() + rss(item("&x;"))
    assert "do-not-read" not in str(parse_feed(body, url=URL))
    with pytest.raises(SourceError):
        parse_feed(str(secret).encode(), url=URL)


def check(body: bytes) -> None:
    """Assert what holds for the result of any bytes."""
    try:
        feed = parse_feed(body, url=URL)
    except SourceError:
        return
    for entry in feed.entries:
        assert entry.url.startswith(("http://", "https://"))
        assert entry.published_at is None or entry.published_at.tzinfo is not None
        json.dumps(plain(feed)).encode()
        f"{entry.title}{entry.summary}{entry.text}{entry.guid}{entry.author}".encode()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(body: bytes) -> None:
    check(body)


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from([path.read_bytes() for path in CASES]),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.binary(max_size=8)),
        min_size=1,
        max_size=4,
    ),
)
def test_mutated_feeds(body: bytes, changes: list[tuple[float, int, bytes]]) -> None:
    for place, removed, inserted in changes:
        at = int(place * len(body))
        body = body[:at] + inserted + body[at + removed :]
    check(body)


def test_a_feed_of_nothing_but_tags_is_refused_before_it_becomes_a_tree() -> None:
    flood = b"<rss><channel>" + b"<item/>" * MOST_TAGS + b"</channel></rss>"
    with pytest.raises(SourceError, match="more than 100,000 tags"):
        parse_feed(flood, url="https://news.example/rss")


def test_the_tags_of_quoted_pages_do_not_count() -> None:
    quoted = "<br>" * MOST_TAGS
    body = (
        "<rss version='2.0'><channel><item><title>One</title><link>https://a.example/</link>"
        f"<description><![CDATA[{quoted}]]></description></item></channel></rss>"
    )
    assert len(parse_feed(body.encode(), url="https://news.example/rss").entries) == 1
