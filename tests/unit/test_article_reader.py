"""Articles read by other processes: the same as read here, whatever happens to a process."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tgecrawler.errors import SourceError
from tgecrawler.sources.article import parse_article
from tgecrawler.sources.article_messages import page_head
from tgecrawler.sources.article_reader import ArticleReader

pytestmark = pytest.mark.slow

URL = "https://desk.example/story"


def page(number: int, words: int = 200) -> bytes:
    text = " ".join(f"word{at} of page {number}" for at in range(words))
    return (
        f"<html lang='en'><head><title>Page {number}</title><meta name='date' "
        f"content='2026-10-1{number % 10}T08:00:00Z'></head><body><article><h1>Page {number}</h1>"
        f"<p>{text}. See <a href='/more/{number}'>more</a>.</p></article></body></html>"
    ).encode()


def run(test: Callable[[ArticleReader], Awaitable[None]], deadline_s: float = 30) -> None:
    async def within() -> None:
        reader = ArticleReader(1, deadline_s)
        try:
            await test(reader)
        finally:
            await reader.close()

    asyncio.run(within())


def pid_of(reader: ArticleReader) -> int:
    reading = reader._workers[0].reading
    assert reading is not None
    return reading.process.pid


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_articles_are_the_same_as_read_here() -> None:
    pages = [page(number) for number in range(12)]

    async def test(reader: ArticleReader) -> None:
        found = await asyncio.gather(*(reader.read(body, url=URL) for body in pages))
        assert found == [parse_article(body, url=URL) for body in pages]
        assert found[3].published_at is not None
        assert found[3].links == (("https://desk.example/more/3", "more"),)

    run(test)


def test_why_a_page_has_no_article_is_told() -> None:
    async def test(reader: ArticleReader) -> None:
        with pytest.raises(SourceError) as here:
            parse_article(b"no page", url=URL)
        with pytest.raises(SourceError, match=str(here.value)):
            await reader.read(b"no page", url=URL)
        assert (await reader.read(page(1), url=URL)).title == "Page 1"

    run(test)


def test_a_page_larger_than_a_pipe_gets_through() -> None:
    async def test(reader: ArticleReader) -> None:
        large = page(1, words=120_000)
        assert len(large) > 2_000_000
        assert (await reader.read(large, url=URL)).text.startswith("Page 1\nword0 of page 1")

    run(test)


def test_a_page_that_takes_too_much_memory_costs_one_page() -> None:
    letters = " ".join("abcdefghijklmnopqrstuvwxyz")
    heavy = page(1) + f"<a {letters}>".encode() * 70_000

    async def test(reader: ArticleReader) -> None:
        with pytest.raises(SourceError, match=r"memory|no HTML|cannot be parsed|process down"):
            await reader.read(heavy, url=URL)
        assert (await reader.read(page(2), url=URL)).title == "Page 2"

    run(test)


def test_a_process_that_dies_costs_one_page() -> None:
    async def test(reader: ArticleReader) -> None:
        await reader.read(page(0), url=URL)
        first = pid_of(reader)
        os.kill(first, signal.SIGSTOP)
        asked = [asyncio.create_task(reader.read(page(at), url=URL)) for at in range(8)]
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found[0], SourceError)
        assert found[1:] == [parse_article(page(at), url=URL) for at in range(1, 8)]
        assert pid_of(reader) != first

    run(test)


def test_a_page_that_takes_too_long_is_given_up_and_its_process_ended() -> None:
    async def test(reader: ArticleReader) -> None:
        await reader.read(page(0), url=URL)
        first = pid_of(reader)
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(SourceError, match="took more than 5 s"):
            await reader.read(page(1), url=URL)
        assert not is_running(first)
        assert (await reader.read(page(2), url=URL)).title == "Page 2"

    run(test, deadline_s=5)


def test_a_prepared_process_is_there_before_the_first_page() -> None:
    async def test(reader: ArticleReader) -> None:
        reader.prepare()
        while reader._workers[0].reading is None:
            await asyncio.sleep(0.01)
        first = pid_of(reader)
        assert (await reader.read(page(1), url=URL)).title == "Page 1"
        assert pid_of(reader) == first

    run(test)


def test_closing_ends_the_process() -> None:
    async def test(reader: ArticleReader) -> None:
        await reader.read(page(0), url=URL)
        running = pid_of(reader)
        await reader.close()
        assert not is_running(running)

    run(test)


def test_it_can_be_closed_while_a_process_starts_or_reads() -> None:
    async def test(reader: ArticleReader) -> None:
        reader.prepare()
        await reader.close()
        asked = asyncio.create_task(reader.read(page(1), url=URL))
        await asyncio.sleep(0)
        await reader.close()
        assert reader._workers[0].reading is None
        asked.cancel()

    run(test)


@pytest.mark.parametrize("cut", [0, 5, -5])
def test_the_process_ends_without_a_word_when_its_crawl_is_killed(cut: int) -> None:
    """With an answer that nobody has taken, and in the middle of asking for the next page."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tgecrawler.sources.article_worker"],
            stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    with ours:
        asked = page_head(page(1), URL, "") + page(1)
        ours.sendall(asked + asked[:cut])
        select.select([ours], [], [], 60)
    assert process.communicate(timeout=60) == (None, "")
    assert process.returncode == 0


def test_the_process_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TGE_X_BEARER_TOKEN", "hush")

    async def test(reader: ArticleReader) -> None:
        await reader.read(page(0), url=URL)
        environment = Path(f"/proc/{pid_of(reader)}/environ").read_bytes()
        assert b"hush" not in environment
        assert b"PATH=" in environment

    run(test)


def test_without_processes_it_reads_in_place() -> None:
    async def read() -> None:
        reader = ArticleReader(0)
        assert await reader.read(page(1), url=URL) == parse_article(page(1), url=URL)
        await reader.close()

    asyncio.run(read())
