"""The texts of an archive: entries of feeds, their pages, and pages of no feed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
import pytest
import zstandard

from tgecrawler.archive.content import content_of, header_of
from tgecrawler.archive.texts import MOST_REDIRECTS, is_archive, read_texts
from tgecrawler.archive.warc import ArchivedResponse, WarcIndex, WarcWriter
from tgecrawler.domain.backtest import Text
from tgecrawler.errors import SourceError
from tgecrawler.sources.decoding import LARGEST_BODY

NOW = datetime(2026, 10, 12, 8, tzinfo=UTC)
FEED = "https://desk.example/feed.xml"
HTML = ("Content-Type", "text/html; charset=utf-8")
XML = ("Content-Type", "application/rss+xml")
Tell = Callable[..., list[Text]]


def response(
    url: str, body: str | bytes, *headers: tuple[str, str], **given: int
) -> ArchivedResponse:
    return ArchivedResponse(
        url=url,
        status=given.get("status", 200),
        headers=headers or (HTML,),
        body=body.encode() if isinstance(body, str) else body,
        fetched_at=NOW + timedelta(hours=given.get("hour", 0)),
    )


def page(url: str, title: str, text: str, head: str = "", **given: int) -> ArchivedResponse:
    body = "".join(
        f"<p>{text} Sentence {number} of it goes on like this.</p>" for number in (1, 2, 3)
    )
    markup = (
        f"<!doctype html><html><head><title>{title}</title>{head}</head>"
        f"<body><article>{body}</article></body></html>"
    )
    return response(url, markup, HTML, **given)


def feed(*items: str, url: str = FEED, **given: int) -> ArchivedResponse:
    told = f"<rss version='2.0'><channel><title>Desk</title>{''.join(items)}</channel></rss>"
    return response(url, told, XML, **given)


def item(path: str, title: str = "Told", more: str = "<description>In short.</description>") -> str:
    return f"<item><title>{title}</title><link>https://desk.example{path}</link>{more}</item>"


def moved(url: str, target: str) -> ArchivedResponse:
    return response(url, "", ("Location", target), status=301)


def write(path: Path, *responses: ArchivedResponse) -> None:
    with WarcWriter(path) as writer:
        for one in responses:
            writer.write(one)


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Return the texts of an archive of some responses."""

    def told(*responses: ArchivedResponse, besides: tuple[str, ...] = ()) -> list[Text]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.warc.gz"
        write(path, *responses)
        return list(read_texts(path, WarcIndex.open(path), besides=besides))

    return told


def test_an_entry_is_told_with_its_page(tell: Tell) -> None:
    date = "<description>In short.</description><pubDate>Sun, 11 Oct 2026 09:00:00 GMT</pubDate>"
    link = '<link rel="canonical" href="https://desk.example/a-story">'
    (text,) = tell(
        feed(item("/a?utm_source=rss", more=date)),
        page("https://desk.example/a?utm_source=rss", "The page's own", "Whole.", link),
    )
    assert (text.title, text.summary) == ("Told", "In short.")
    assert text.text.startswith("Whole. Sentence 1")
    assert text.url == "https://desk.example/a-story"
    assert text.published_at == datetime(2026, 10, 11, 9, tzinfo=UTC)
    assert text.screened


def test_links_of_a_page_are_told(tell: Tell) -> None:
    story = page("https://desk.example/a", "A", "See <a href='/claim'>the portal</a>.")
    (told,) = tell(feed(item("/a")), story)
    assert set(told.links) == {("https://desk.example/claim", "the portal")}
    (alone,) = tell(story)
    assert alone.links == told.links


def test_an_entry_without_a_page_is_told_in_the_feeds_own_words(tell: Tell) -> None:
    (text,) = tell(
        feed(item("/gone")), page("https://desk.example/gone", "Sorry", "No.", status=404)
    )
    assert text == Text(
        title="Told",
        summary="In short.",
        url="https://desk.example/gone",
        published_at=NOW,
        screened=True,
    )


def test_an_entry_without_a_title_takes_that_of_its_page_and_is_not_screened(tell: Tell) -> None:
    (text,) = tell(feed(item("/a", title="")), page("https://desk.example/a", "Its page", "Whole."))
    assert text.title == "Its page"
    assert not text.screened


def test_full_text_of_a_feed_is_the_text(tell: Tell) -> None:
    words = "The feed has it all. " * 60
    more = f'<content:encoded xmlns:content="http://purl.org/rss/1.0/modules/content/">{words}</content:encoded>'
    (text,) = tell(feed(item("/a", more=more)), page("https://desk.example/a", "A", "The page."))
    assert text.text.startswith("The feed has it all.")
    assert "The page." not in text.text


def test_a_page_is_found_behind_redirects(tell: Tell) -> None:
    (text,) = tell(
        feed(item("/a")),
        moved("https://desk.example/a", "/b"),
        moved("https://desk.example/b", "https://new.example/c"),
        page("https://new.example/c", "C", "At last."),
    )
    assert text.text.startswith("At last.")
    assert text.title == "Told"


def test_a_page_that_only_mentions_another_place_is_the_page(tell: Tell) -> None:
    story = page("https://desk.example/a", "A", "Whole.")
    elsewhere = response(story.url, story.body, *story.headers, ("Location", "/b"))
    (text,) = tell(feed(item("/a")), elsewhere)
    assert text.text.startswith("Whole.")


def test_a_loop_of_redirects_ends(tell: Tell) -> None:
    (text,) = tell(feed(item("/a")), moved("https://desk.example/a", "/a"))
    assert text.text == ""


def test_as_many_redirects_are_followed_as_in_a_crawl(tell: Tell) -> None:
    hops = [moved(f"https://desk.example/{n}", f"/{n + 1}") for n in range(MOST_REDIRECTS)]
    end = page(f"https://desk.example/{MOST_REDIRECTS}", "End", "At last.")
    assert tell(feed(item("/0")), *hops, end)[0].text.startswith("At last.")


def test_one_more_redirect_is_not(tell: Tell) -> None:
    hops = [moved(f"https://desk.example/{n}", f"/{n + 1}") for n in range(MOST_REDIRECTS + 1)]
    end = page(f"https://desk.example/{MOST_REDIRECTS + 1}", "End", "At last.")
    told = tell(feed(item("/0")), *hops, end)
    assert [(text.title, bool(text.text)) for text in told] == [("Told", False), ("End", True)]


def test_a_page_of_no_feed_is_told_by_itself(tell: Tell) -> None:
    told = tell(
        page("https://desk.example/alone", "Alone", "By itself."),
        feed(item("/a")),
        page("https://desk.example/a", "A", "Whole."),
    )
    assert [(text.title, text.screened) for text in told] == [("Told", True), ("Alone", False)]
    assert told[1].text.startswith("By itself.")
    assert told[1].url == "https://desk.example/alone"


@pytest.mark.parametrize("path", ["/a?utm_source=feed", "/a/", "/a"])
def test_another_spelling_of_an_entrys_page_is_not_told_again(tell: Tell, path: str) -> None:
    told = tell(feed(item("/a")), page(f"https://desk.example{path}", "A", "Whole."))
    assert [text.title for text in told] == ["Told"]


def test_a_copy_that_names_an_entrys_page_as_its_original_is_not_told_again(tell: Tell) -> None:
    link = '<link rel="canonical" href="https://desk.example/a">'
    copy = page("https://desk.example/amp/a", "A", "Whole.", link)
    assert len(tell(feed(item("/a")), page("https://desk.example/a", "A", "Whole."), copy)) == 1


def test_the_original_that_an_entrys_page_names_is_not_told_again(tell: Tell) -> None:
    link = '<link rel="canonical" href="https://desk.example/story">'
    story = page("https://desk.example/a", "A", "Whole.", link)
    assert (
        len(tell(feed(item("/a")), story, page("https://desk.example/story", "A", "Whole."))) == 1
    )


@pytest.mark.parametrize(
    "head", ["", '<meta property="article:published_time" content="2026-10-09">']
)
def test_a_text_is_as_old_as_its_page_says_else_as_its_capture(tell: Tell, head: str) -> None:
    expected = datetime(2026, 10, 9, tzinfo=UTC) if head else NOW + timedelta(hours=3)
    told = tell(
        feed(item("/a"), hour=3),
        page("https://desk.example/a", "A", "Whole.", head, hour=1),
        page("https://desk.example/alone", "Alone", "Whole.", head, hour=3),
    )
    assert [text.published_at for text in told] == [expected, expected]


def test_pages_of_one_address_are_told_once(tell: Tell) -> None:
    link = '<link rel="canonical" href="https://desk.example/a">'
    told = tell(*(page(f"https://desk.example/{n}", "A", "Whole.", link) for n in "abc"))
    assert len(told) == 1


def test_of_a_page_the_newest_capture_counts(tell: Tell) -> None:
    told = tell(*(page("https://desk.example/a", f"At {h}", "Whole.", hour=h) for h in (2, 3, 1)))
    assert [text.title for text in told] == ["At 3"]


def test_every_capture_of_a_feed_counts_and_an_entry_once(tmp_path: Path) -> None:
    for hour in (5, 3, 1, 4, 2):
        told = feed(item("/a", f"At {hour}"), item(f"/{hour}", f"New at {hour}"), hour=hour)
        write(tmp_path / f"{hour}.warc.gz", told)
    write(tmp_path / "0.warc.gz.bak", feed(item("/a", "At 0")))
    (tmp_path / "6.warc.gz").symlink_to("gone")
    index = WarcIndex.open(tmp_path)
    assert index.warnings == ("6.warc.gz cannot be read: No such file or directory",)
    told = list(read_texts(tmp_path, index))
    assert [text.title for text in told] == ["At 1", *(f"New at {hour}" for hour in range(1, 6))]
    assert told[0].published_at == NOW + timedelta(hours=1)


def test_two_feeds_may_tell_one_page(tell: Tell) -> None:
    told = tell(
        feed(item("/a", "One")),
        feed(item("/a", "Other"), url="https://wire.example/feed"),
        page("https://desk.example/a", "A", "Whole."),
    )
    assert [(text.title, text.text[:6]) for text in told] == [
        ("One", "Whole."),
        ("Other", "Whole."),
    ]


def test_a_page_that_is_no_article_may_be_left_out(tell: Tell) -> None:
    told = tell(
        page("https://desk.example/notes/", "Notes", "Lists."),
        besides=("https://desk.example/notes",),
    )
    assert told == []


def test_what_is_neither_feed_nor_page_is_passed_over(tell: Tell) -> None:
    sitemap = "<urlset><url><loc>https://desk.example/a</loc></url></urlset>"
    prose = "<doc>" + "<p>A paragraph of some length, as pages have.</p>" * 9 + "</doc>"
    story = page("https://desk.example/lost", "Lost", "Whole.").body
    told = tell(
        response(
            "https://desk.example/robots.txt", "User-agent: *", ("Content-Type", "text/plain")
        ),
        response("https://desk.example/sitemap.xml", sitemap, ("Content-Type", "application/xml")),
        response("https://desk.example/notes.xml", prose, ("Content-Type", "application/xml")),
        response("https://desk.example/data", '{"a": 1}', ("Content-Type", "application/json")),
        response("https://desk.example/lost", story, HTML, status=404),
        response("https://desk.example/late", feed(item("/a")).body, XML, status=503),
    )
    assert told == []


def test_a_page_whose_sort_nobody_declares_is_read(tell: Tell) -> None:
    story = page("https://desk.example/a", "A", "Whole.").body
    assert len(tell(response("https://desk.example/a", story, ("Server", "old")))) == 1


def test_a_body_that_is_too_large_costs_nobody_else(tell: Tell) -> None:
    large = response("https://desk.example/large", b"<html>" + b" " * LARGEST_BODY)
    told = tell(large, feed(item("/large")), page("https://desk.example/a", "A", "Whole."))
    assert [text.title for text in told] == ["Told", "A"]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("br", bytes),  # an archive that keeps the header of a body that it has unpacked
        ("zstd", bytes),
    ],
)
def test_compressed_feeds_and_pages_are_read(
    tell: Tell, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = [
        response(one.url, pack(one.body), *one.headers, ("content-encoding", encoding))
        for one in (feed(item("/a")), page("https://desk.example/a", "A", "Whole."))
    ]
    (text,) = tell(*packed)
    assert text.text.startswith("Whole.")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("br", brotli.compress), ("zstd", zstandard.compress)]
)
def test_a_compression_bomb_is_refused(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = response(FEED, pack(bytes(10 * LARGEST_BODY)), ("Content-Encoding", encoding))
    assert len(bomb.body) < 20_000
    with pytest.raises(SourceError, match="larger than"):
        content_of(bomb)


def test_a_large_compressed_body_is_whole() -> None:
    body = bytes(range(256)) * 30_000
    for encoding, pack in (("br", brotli.compress), ("zstd", zstandard.compress)):
        assert content_of(response(FEED, pack(body), ("Content-Encoding", encoding))) == body


def test_headers_are_found_whatever_their_case() -> None:
    found = response(FEED, "", ("X-One", "1"), ("x-one", "2"))
    assert header_of(found, "x-ONE") == "1"
    assert header_of(found, "absent") == ""


def test_what_is_an_archive(tmp_path: Path) -> None:
    write(tmp_path / "a.warc.gz", feed())
    (tmp_path / "crawl").write_bytes((tmp_path / "a.warc.gz").read_bytes())
    (tmp_path / "plain").write_bytes(b"WARC/1.1\r\n")
    (tmp_path / "labelled.jsonl").write_text('{"id": "1"}\n')
    assert is_archive(tmp_path)
    assert is_archive(tmp_path / "crawl")
    assert is_archive(tmp_path / "plain")
    assert is_archive(tmp_path / "missing.WARC")
    assert not is_archive(tmp_path / "labelled.jsonl")
    with pytest.raises(FileNotFoundError):
        is_archive(tmp_path / "missing.jsonl")
