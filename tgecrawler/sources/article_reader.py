"""Reads articles without holding up the event loop: in processes of their own, or in place."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import tgecrawler
from tgecrawler.errors import SourceError
from tgecrawler.options import PREFIX
from tgecrawler.sources.article_messages import page_head, size_of, unpack_article

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from tgecrawler.items import Article

DEADLINE_S = 20.0  # for a page; extraction takes about a second for a million characters
# The event loop comes round every 20 to 50 ms while it assesses and stores, a page takes 10 ms,
# and a pipe holds 64 kB: without both of these a process waits for the loop most of the time.
AHEAD = 4  # pages on their way to a process
BUFFER_BYTES = 1 << 20  # of the socket; Linux grants a part of it
_MODULE = "tgecrawler.sources.article_worker"


def read_in_place(body: bytes, *, url: str, content_type: str = "") -> Article:
    """Return the article of a page, as `parse_article` does, which is loaded at the first one.

    The extractor takes most of a second and 40 MB to load, and most processes,
    a crawl's own among them, read no article.
    """
    from tgecrawler.sources.article import parse_article

    return parse_article(body, url=url, content_type=content_type)


class ArticleReader:
    """Hands pages to `workers` processes; 0 reads in place.

    They start with `prepare`, or with their first page. A page that takes longer
    than `deadline_s`, or takes its process down, has no article, and the process
    is replaced. How many pages wait is up to the caller.
    """

    def __init__(self, workers: int, deadline_s: float = DEADLINE_S) -> None:
        self._workers = [_Worker(deadline_s) for _ in range(workers)]

    async def read(self, body: bytes, *, url: str, content_type: str = "") -> Article:
        """Return the article of a page.

        Raises:
            SourceError: as `parse_article` does; or it took too long, or its process down.
        """
        if not self._workers:
            return read_in_place(body, url=url, content_type=content_type)
        worker = min(self._workers, key=lambda one: len(one.asked))
        page = page_head(body, url, content_type), body
        return unpack_article(await worker.ask(page))

    def prepare(self) -> None:
        """Start the processes, so that they are there when the first page is."""
        for worker in self._workers:
            worker.work()

    async def close(self) -> None:
        """End the processes, and wait for their end."""
        for worker in self._workers:
            await worker.close()


class _Page(NamedTuple):
    message: tuple[bytes, bytes]  # apart: hundreds may wait, and nobody needs their bodies twice
    answer: asyncio.Future[bytes]


class _Reading(NamedTuple):
    """A process with both ends of what it is spoken to through."""

    process: Process
    pages: asyncio.StreamWriter
    answers: asyncio.StreamReader

    @classmethod
    async def start(cls) -> _Reading:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _MODULE,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the crawl, which ends in order
            )
        answers, pages = await asyncio.open_unix_connection(sock=ours)
        return cls(process, pages, answers)

    async def receive(self) -> bytes:
        head = await self.answers.readuntil(b"\n")
        return await self.answers.readexactly(size_of(head))

    async def kill(self) -> None:
        self.pages.close()
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def end(self) -> None:
        self.pages.close()
        await self.process.wait()


class _Worker:
    """A process and the pages it was asked for, in order; the first `sent` are on their way."""

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.asked: deque[_Page] = deque()
        self.sent = 0
        self.reading: _Reading | None = None
        self.task: asyncio.Task[None] | None = None

    async def ask(self, message: tuple[bytes, bytes]) -> bytes:
        page = _Page(message, asyncio.get_running_loop().create_future())
        self.asked.append(page)
        self.work()
        if self.reading is not None:
            self.send(self.reading)
        return await page.answer

    def work(self) -> None:
        """See to it that there is a process, and that its answers are taken."""
        if self.task is None or (self.asked and self.task.done()):
            self.task = asyncio.create_task(self.answer_all())

    async def answer_all(self) -> None:
        """Take answers from the process as long as any are awaited."""
        try:
            with suppress(OSError):  # if it cannot be started, the first page will say so
                self.reading = self.reading or await _Reading.start()
            await self.answer_asked()
        except Exception as error:  # a fault of ours: whoever waits must hear of it
            while self.asked:
                _settle(self.asked.popleft().answer, error)
            await self.kill()

    async def answer_asked(self) -> None:
        while self.asked:
            try:
                found: bytes | SourceError = await self.next_answer()
            except TimeoutError:
                found = SourceError(f"its text took more than {self.deadline_s:g} s")
            except (OSError, EOFError) as error:  # it cannot be started, or has died
                found = SourceError(f"its text took its process down ({type(error).__name__})")
            page = self.asked.popleft()
            self.sent -= 1
            if isinstance(found, SourceError):
                await self.kill()
            _settle(page.answer, found)

    async def next_answer(self) -> bytes:
        if self.reading is None:
            self.reading = await _Reading.start()
        self.send(self.reading)
        async with asyncio.timeout(self.deadline_s):
            return await self.reading.receive()

    def send(self, reading: _Reading) -> None:
        """Send as many pages as may be on their way."""
        while self.sent < min(AHEAD, len(self.asked)):
            reading.pages.writelines(self.asked[self.sent].message)
            self.sent += 1

    async def kill(self) -> None:
        """End the process at once; what else was on its way goes to the next one."""
        reading, self.reading, self.sent = self.reading, None, 0
        if reading is not None:
            await reading.kill()

    async def close(self) -> None:
        if self.task is not None:
            if self.asked:  # nobody waits for these any more
                self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        reading, self.reading = self.reading, None
        if reading is not None:
            await reading.end()


def _environment() -> dict[str, str]:
    """Return ours without options: who reads what strangers wrote needs no secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    here = str(Path(tgecrawler.__file__).parents[1])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (here, kept.get("PYTHONPATH"))))
    return kept


def _settle(answer: asyncio.Future[bytes], found: bytes | Exception) -> None:
    if answer.done():  # who asked has gone
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
