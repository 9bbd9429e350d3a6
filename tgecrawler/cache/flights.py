"""Single flight: of those who want the same thing at the same time, one fetches it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tgecrawler.cache.level import Key


class Flights:
    """Fetches on their way, of threads and of event loops; these two do not see each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[Key, Future[bytes]] = {}
        self._tasks: dict[tuple[int, Key], asyncio.Task[bytes]] = {}

    def share(self, key: Key, fetch: Callable[[], bytes]) -> bytes:
        """Return what `fetch`, called by this thread or by another one, returns or raises."""
        with self._lock:
            flight = self._threads.get(key)
            if own := flight is None:
                flight = self._threads[key] = Future()
        if own:
            self._fly(key, flight, fetch)
        return flight.result()

    async def share_async(self, key: Key, fetch: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return what `fetch`, begun by this task or by another one of its loop, returns or raises.

        Whoever is cancelled leaves alone: the fetch goes on for the others.
        """
        place = (id(asyncio.get_running_loop()), key)
        task = self._tasks.get(place)
        if task is None:
            task = self._tasks[place] = asyncio.ensure_future(_awaited(fetch))
            task.add_done_callback(lambda done: self._landed(place, done))
        return await asyncio.shield(task)

    def _fly(self, key: Key, flight: Future[bytes], fetch: Callable[[], bytes]) -> None:
        try:
            flight.set_result(fetch())
        except BaseException as error:  # handed on to everyone who waits, this thread included
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._threads[key]

    def _landed(self, place: tuple[int, Key], task: asyncio.Task[bytes]) -> None:
        del self._tasks[place]
        if not task.cancelled():
            task.exception()  # taken note of, also where everybody has left


async def _awaited(fetch: Callable[[], Awaitable[bytes]]) -> bytes:
    return await fetch()
