"""The replay answers requests as the live server did."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request
from scrapy.core.downloader.handlers import DownloadHandlers
from scrapy.exceptions import DownloadCancelledError
from scrapy.http import HtmlResponse, Response, TextResponse, XmlResponse
from scrapy.utils.test import get_crawler

from tgecrawler.archive.replay import ReplayDownloadHandler, open_index
from tgecrawler.archive.warc import ArchivedResponse, WarcWriter
from tgecrawler.errors import ReplayError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
CLASS = "tgecrawler.archive.replay.ReplayDownloadHandler"


def page(path: str, body: bytes = b"text", status: int = 200, **headers: str) -> ArchivedResponse:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return ArchivedResponse(
        url=f"https://desk.example{path}", status=status, headers=named, body=body, fetched_at=NOON
    )


PAGES = (
    page("/page", b"<p>text", Content_Type="text/html", Content_Length="7"),
    page("/feed", b"<rss/>", Content_Type="application/rss+xml"),
    page("/packed", gzip.compress(b"<p>"), Content_Type="text/html", Content_Encoding="gzip"),
    page("/image", b"\x89PNG\r\n\x1a\n", Content_Type="image/png"),
    page("/bare", b"<html><p>no head"),
    page("/moved", b"", 302, Location="/caf\xc3\xa9"),
    page("/gone", b"gone", 410, ETag='"g"'),
    page("/lies", b"four", Content_Length="9", Connection="close", Keep_Alive="timeout=5"),
    page("/large", b"x" * 5000, Content_Length="5000", ETag='"l"'),
    page("/tagged", b"tagged", ETag='W/"1"', Last_Modified=DATE, Content_Type="text/html"),
    page("/dated", b"dated", Last_Modified=DATE),
    page("/cookie", Set_Cookie="a=1"),
)


@pytest.fixture(autouse=True)
def _no_index_from_before() -> Iterator[None]:
    open_index.cache_clear()
    yield
    open_index.cache_clear()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with WarcWriter(tmp_path / "a.warc.gz") as writer:
        for one in PAGES:
            writer.write(one)
        writer.write(
            ArchivedResponse(
                url="https://desk.example/last",
                status=200,
                headers=(),
                body=b"",
                fetched_at=NOON + timedelta(minutes=5),
            )
        )
    return tmp_path / "a.warc.gz"


class Asker:
    """Asks a handler, in a loop of its own for each request."""

    def __init__(self, archive: Path, **settings: Any) -> None:
        self.crawler = get_crawler(settings_dict={"TGE_REPLAY": str(archive), **settings})
        self.handler = ReplayDownloadHandler.from_crawler(self.crawler)

    def ask(self, path: str, **request: Any) -> Response:
        async def answer() -> Response:
            asked = Request(f"https://desk.example{path}", **request)
            response = await self.handler.download_request(asked)
            response.request = asked
            return response

        return asyncio.run(answer())

    def stat(self, name: str) -> Any:
        return self.crawler.stats.get_value(name)


@pytest.fixture
def asker(archive: Path) -> Asker:
    return Asker(archive)


@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.url.rpartition("/")[2])
def test_status_and_body(asker: Asker, one: ArchivedResponse) -> None:
    response = asker.ask(one.url.removeprefix("https://desk.example"))
    assert (response.status, response.body, response.url) == (one.status, one.body, one.url)
    assert response.meta["fetched_at"] == NOON
    assert response.protocol == "HTTP/1.1"
    assert asker.stat("tge/replay/hits") == 1
    assert asker.stat("tge/replay/missing") is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/page", HtmlResponse),
        ("/feed", XmlResponse),
        ("/image", Response),
        ("/bare", HtmlResponse),
        ("/cookie", TextResponse),
    ],
)
def test_the_class_of_a_response(asker: Asker, path: str, kind: type[Response]) -> None:
    assert type(asker.ask(path)) is kind


def test_headers(asker: Asker) -> None:
    assert asker.ask("/page").headers.to_unicode_dict() == {
        "Content-Type": "text/html",
        "Content-Length": "7",
    }
    assert asker.ask("/packed").headers["Content-Encoding"] == b"gzip"
    assert asker.ask("/moved").headers["Location"] == "/café".encode()
    assert asker.ask("/lies").headers == {}


def test_a_page_that_is_not_there(asker: Asker) -> None:
    response = asker.ask("/missing")
    assert (response.status, response.body) == (404, b"")
    assert response.meta["fetched_at"] == NOON + timedelta(minutes=5)
    assert asker.stat("tge/replay/missing") == 1
    assert asker.stat("tge/replay/hits") is None


def test_the_fragment_is_dropped_as_from_a_live_response(asker: Asker) -> None:
    assert asker.ask("/page#part").url == "https://desk.example/page"


def test_head(asker: Asker) -> None:
    response = asker.ask("/large", method="HEAD", meta={"download_maxsize": 10})
    assert (response.status, response.body) == (200, b"")
    assert response.headers["Content-Length"] == b"5000"
    assert asker.ask("/missing", method="HEAD").status == 404


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/tagged", {"If-None-Match": 'W/"1"'}, 304),
        ("/tagged", {"If-None-Match": '"0", "1"'}, 304),
        ("/tagged", {"If-None-Match": "*"}, 304),
        ("/tagged", {"If-None-Match": '"2"'}, 200),
        ("/tagged", {"If-None-Match": '"2"', "If-Modified-Since": DATE}, 200),
        ("/tagged", {"If-Modified-Since": DATE}, 304),
        ("/dated", {"If-Modified-Since": DATE}, 304),
        ("/dated", {"If-Modified-Since": DATE.replace("24 Nov", "25 Nov")}, 304),
        ("/dated", {"If-Modified-Since": DATE.replace("24 Nov", "23 Nov")}, 200),
        ("/dated", {"If-Modified-Since": "yesterday"}, 200),
        ("/dated", {"If-Modified-Since": "Tue, 99 Nov 2026 99:00:00 GMT"}, 200),
        ("/dated", {"If-Modified-Since": DATE.replace("GMT", "-0000")}, 200),
        ("/dated", {"If-None-Match": '"1"'}, 200),
        ("/dated", {"If-None-Match": "*"}, 200),
        ("/page", {"If-Modified-Since": DATE}, 200),
        ("/gone", {"If-None-Match": '"g"'}, 410),
        ("/missing", {"If-None-Match": '"g"'}, 404),
    ],
)
def test_conditional_requests(
    asker: Asker, path: str, headers: dict[str, str], status: int
) -> None:
    response = asker.ask(path, headers=headers)
    assert response.status == status
    assert bool(response.body) == (status in (200, 410))


def test_not_modified_repeats_the_validators(asker: Asker) -> None:
    response = asker.ask("/tagged", headers={"If-None-Match": 'W/"1"'})
    assert response.headers.to_unicode_dict() == {"Etag": 'W/"1"', "Last-Modified": DATE}
    assert response.meta["fetched_at"] == NOON


def test_not_modified_needs_no_body(asker: Asker) -> None:
    small = {"download_maxsize": 10}
    assert asker.ask("/large", headers={"If-None-Match": '"l"'}, meta=small).status == 304


class TestLargeBodies:
    def test_above_the_setting(self, archive: Path) -> None:
        asker = Asker(archive, DOWNLOAD_MAXSIZE=4999)
        with pytest.raises(DownloadCancelledError, match="5,000 bytes"):
            asker.ask("/large")
        assert asker.ask("/large", meta={"download_maxsize": 5000}).status == 200
        assert asker.ask("/page").status == 200

    def test_above_the_request_s_own_limit(self, asker: Asker) -> None:
        with pytest.raises(DownloadCancelledError):
            asker.ask("/large", meta={"download_maxsize": 10})
        assert asker.ask("/large", meta={"download_maxsize": 0}).status == 200


class TestTheIndex:
    def test_is_shared(self, archive: Path, caplog: pytest.LogCaptureFixture) -> None:
        archive.write_bytes(archive.read_bytes()[:-10])
        with caplog.at_level(logging.WARNING):
            first, second = Asker(archive), Asker(archive)
        assert first.handler.index is second.handler.index
        assert [record.getMessage() for record in caplog.records] == [
            f"replay: a.warc.gz is cut after {len(PAGES)} responses; those are replayed"
        ]

    @pytest.mark.parametrize("content", [None, b"rubbish"])
    def test_no_archive(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "none.warc.gz"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ReplayError, match=r"none\.warc\.gz"):
            Asker(path)

    def test_no_path(self) -> None:
        with pytest.raises(ReplayError, match="TGE_REPLAY"):
            open_index("")

    def test_a_failed_look_is_not_kept(self, archive: Path) -> None:
        path = archive.with_name("later.warc.gz")
        with pytest.raises(ReplayError):
            open_index(str(path))
        path.write_bytes(archive.read_bytes())
        assert len(open_index(str(path))) == len(PAGES) + 1


def test_scrapy_takes_it_for_both_schemes(archive: Path) -> None:
    crawler = get_crawler(
        settings_dict={
            "TGE_REPLAY": str(archive),
            "DOWNLOAD_HANDLERS": {"http": CLASS, "https": CLASS},
        }
    )
    handlers = DownloadHandlers(crawler)
    built = [handlers._get_handler(scheme) for scheme in ("http", "https")]
    assert all(isinstance(handler, ReplayDownloadHandler) for handler in built)
    assert not handlers._notconfigured
