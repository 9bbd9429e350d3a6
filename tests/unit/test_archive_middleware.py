"""Every response is kept in order, and a disk that fails costs no page."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, Spider
from scrapy.exceptions import NotConfigured
from scrapy.http import Headers, Response
from scrapy.utils.test import get_crawler
from warcio.archiveiterator import ArchiveIterator

from middlewares.archive import ArchiveMiddleware
from tgecrawler.archive.warc import ArchivedResponse, WarcIndex
from tgecrawler.errors import OptionError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Desk(Spider):
    name = "desk"


def middleware_for(folder: Path) -> ArchiveMiddleware:
    crawler = get_crawler(Desk, settings_dict={"TGE_ARCHIVE": str(folder)})
    return ArchiveMiddleware.from_crawler(crawler)


def response(path: str = "/a", **changes: Any) -> tuple[Request, Response]:
    meta, method = changes.pop("meta", {}), changes.pop("method", "GET")
    url = f"https://desk.example{path}"
    return Request(url, meta=meta, method=method), Response(url, **{"body": b"text", **changes})


def run(
    middleware: ArchiveMiddleware, *given: tuple[Request, Response], close: bool = True
) -> None:
    async def crawl() -> None:
        passing: list[Awaitable[Response]] = [
            middleware.process_response(request, response) for request, response in given
        ]
        passed = await asyncio.gather(*passing)
        assert all(after is before for after, (_, before) in zip(passed, given, strict=True))
        if close:
            await middleware.spider_closed()

    asyncio.run(crawl())


def stats(middleware: ArchiveMiddleware) -> dict[str, Any]:
    found = middleware.stats.get_stats()
    return {key: value for key, value in found.items() if key.startswith("tge/")}


def failing(error: OSError) -> Callable[[ArchivedResponse], int]:
    def write(_: ArchivedResponse) -> int:
        raise error

    return write


def test_responses_are_kept_as_they_came(tmp_path: Path) -> None:
    middleware = middleware_for(tmp_path / "deep" / "archive")
    headers = Headers({"Content-Type": "text/html", "Set-Cookie": ["a=1", "b=2"]})
    headers["X-Raw"] = b"caf\xe9 \xc3\xa9"
    before = datetime.now(UTC)
    run(middleware, response("/a", headers=headers, body=b"\x1f\x8b packed", status=203))
    index = WarcIndex.open(tmp_path / "deep" / "archive")
    found = index.get("https://desk.example/a")
    assert found is not None
    assert (found.status, found.body) == (203, b"\x1f\x8b packed")
    assert found.headers == (
        ("Content-Type", "text/html"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Raw", "caf\xe9 \xc3\xa9"),
    )
    assert before <= found.fetched_at <= datetime.now(UTC)
    (file,) = (tmp_path / "deep" / "archive").iterdir()
    assert file.name.startswith("tgecrawler-desk-")
    assert stats(middleware) == {
        "tge/archive/responses": 1,
        "tge/archive/bytes": file.stat().st_size,
    }


def test_the_moment_of_a_replay_is_kept(tmp_path: Path) -> None:
    run(middleware_for(tmp_path), response(meta={"fetched_at": NOON + timedelta(microseconds=7)}))
    assert WarcIndex.open(tmp_path).newest_at == NOON + timedelta(microseconds=7)


def test_records_follow_the_order_of_responses(tmp_path: Path) -> None:
    given = [response(f"/{n}", body=b"x" * (40_000 if n % 3 == 0 else 10)) for n in range(60)]
    run(middleware_for(tmp_path), *given)
    (file,) = tmp_path.iterdir()
    with file.open("rb") as archive:
        urls = [record.rec_headers["WARC-Target-URI"] for record in ArchiveIterator(archive)]
    assert urls[1:] == [request.url for request, _ in given]


def test_the_loop_does_not_write(tmp_path: Path) -> None:
    middleware = middleware_for(tmp_path)
    write, threads = middleware.writer.write, []

    def watched(record: ArchivedResponse) -> int:
        threads.append(threading.current_thread())
        return write(record)

    middleware.writer.write = watched  # type: ignore[method-assign]
    run(middleware, response("/a"), response("/b"))
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()


def test_head_is_not_kept(tmp_path: Path) -> None:
    run(middleware_for(tmp_path), response(method="HEAD", body=b""), response("/b"))
    assert len(WarcIndex.open(tmp_path)) == 1


def test_a_crawl_without_responses_leaves_nothing(tmp_path: Path) -> None:
    run(middleware_for(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_two_crawls_of_one_second(tmp_path: Path) -> None:
    first, second = middleware_for(tmp_path), middleware_for(tmp_path)
    run(first, response("/a"))
    run(second, response("/b"))
    assert len(list(tmp_path.iterdir())) == 2
    assert len(WarcIndex.open(tmp_path)) == 2


def test_a_full_disk_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    middleware = middleware_for(tmp_path)
    middleware.writer.write = failing(OSError(errno.ENOSPC, "No space left"))  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        run(middleware, *[response(f"/{n}") for n in range(5)])
    assert stats(middleware) == {"tge/archive/failed": 5}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "No space left" in caplog.text


def test_a_file_that_is_closed_already_is_counted(tmp_path: Path) -> None:
    middleware = middleware_for(tmp_path)
    middleware.writer.close()
    run(middleware, response())
    assert stats(middleware) == {"tge/archive/failed": 1}


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    for folder in (blocked, blocked / "below"):
        with pytest.raises(OptionError, match=r"TGE_ARCHIVE.*blocked"):
            middleware_for(folder)


def test_without_the_option_there_is_none() -> None:
    for given in ({}, {"TGE_ARCHIVE": ""}):
        with pytest.raises(NotConfigured):
            ArchiveMiddleware.from_crawler(get_crawler(Desk, settings_dict=given))
