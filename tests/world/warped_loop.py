"""An event loop that goes on to its next timer instead of waiting for it.

Use it as ASYNCIO_EVENT_LOOP in a process that `virtual_clock` was installed in. It moves
the clock only when all is quiet: nothing is readable or writable, no thread of an
executor (or of Twisted's pool) works, and the world's server has taken in every byte
that was sent. The server is asked for that (`ServerLink`); it may move the clock while
the loop waits for its answer, to the moment when, say, a latency is over.
"""

from __future__ import annotations

import asyncio
import math
import os
import selectors
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from virtual_clock import CLOCK_VARIABLE, NS, VirtualClock

SERVER_VARIABLE = "VIRTUAL_SERVER"
NEVER = 2**62
THREAD_WAIT_S = 0.02  # real: a thread that ends wakes the loop at once, so this hardly matters
IDLE_WAIT_S = 0.1  # real: no timer at all is set, only a signal can end the wait
_MOMENT = struct.Struct("<q")


class ServerLink:
    """The line to the world's server, which is let work until it did something.

    The server is asked only if it may have something to do: bytes went to it, or a
    connection was opened or closed (`touched`), or its own next moment is near.
    """

    touched = True

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._next_ns = NEVER
        _note_touches(self)

    def settle(self, until_ns: int) -> int:
        """Return when the server will next act by itself (ns; NEVER), but for `until_ns`.

        Before that it has taken in all that was sent. If it then had nothing to say, it
        has moved the clock to its next moment, at most to `until_ns`, and acted.
        """
        if self.touched or self._next_ns <= until_ns:
            self.touched = False
            self._socket.send(_MOMENT.pack(until_ns))
            answer = self._socket.recv(_MOMENT.size, socket.MSG_WAITALL)
            if len(answer) < _MOMENT.size:
                raise ConnectionError("the world's server is gone")
            self._next_ns = _MOMENT.unpack(answer)[0]
            self.touched = False  # the question itself was a `send`
        return self._next_ns


def _note_touches(link: ServerLink) -> None:
    """Let every use of a socket that its other end may notice be noted."""

    def noting(method: Any) -> Any:
        def call(sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
            link.touched = True
            return method(sock, *args, **kwargs)

        return call

    for name in ("send", "sendall", "sendmsg", "connect", "connect_ex", "shutdown", "close"):
        setattr(socket.socket, name, noting(getattr(socket.socket, name)))


class WarpedSelector(selectors.DefaultSelector):
    """Waits by moving the clock."""

    def __init__(self, clock: VirtualClock, threads_work: Callable[[], bool]) -> None:
        super().__init__()
        self._clock = clock
        self._threads_work = threads_work
        path = os.environ.get(SERVER_VARIABLE)
        self._settle: Callable[[int], int] = ServerLink(path).settle if path else lambda _: NEVER

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        until_ns = NEVER if timeout is None else self._clock.now_ns + math.ceil(timeout * NS)
        while not events and self._clock.now_ns < until_ns:
            if self._threads_work():
                events = super().select(THREAD_WAIT_S)
            else:
                events = self._move_on(until_ns)
        return events

    def _move_on(self, until_ns: int) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock to the next thing that happens, unless something is ready now."""
        next_ns = min(self._settle(until_ns), until_ns)
        events = super().select(0)
        if not events and next_ns == NEVER:
            return super().select(IDLE_WAIT_S)
        if not events:
            self._clock.advance_to(next_ns)
        return events


class WarpedLoop(asyncio.SelectorEventLoop):
    """The loop: name it ``warped_loop.WarpedLoop``."""

    def __init__(self) -> None:
        self._jobs = 0
        clock = VirtualClock(Path(os.environ[CLOCK_VARIABLE]))
        super().__init__(WarpedSelector(clock, self._threads_work))

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._end_job)
        return future

    def _end_job(self, _: object) -> None:
        self._jobs -= 1

    def _threads_work(self) -> bool:
        return self._jobs > 0 or _twisted_threads_work()


def _twisted_threads_work() -> bool:
    reactor = sys.modules.get("twisted.internet.reactor")
    pool = getattr(reactor, "threadpool", None)
    if pool is None:
        return False
    statistics = pool._team.statistics()
    return bool(statistics.busyWorkerCount or statistics.backloggedWorkCount)
