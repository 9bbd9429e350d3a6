"""Reads the stream: in a group that shares the messages, or alone from now on."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from redis import ResponseError

from tgecrawler.stream.messages import (
    KINDS,
    STREAM,
    BrokenMessageError,
    Message,
    decode,
)
from tgecrawler.stream.stream_scripts import LAST, MISSED, TIDY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

logger = logging.getLogger(__name__)

TAKE_OVER_S = 60.0
REMEMBERED = 50_000
"""Ids that a reader knows it has handled, should Redis be emptied: a day's messages or more."""

CONSUMER_KEPT_S = 86_400
LONGEST_BLOCK_S = 2.0  # in one command; the client gives an answer up after 5 s

Entries = list[tuple[bytes, dict[bytes, bytes]]]


class StreamReader:
    """One consumer of a group: each message goes to one of the group, until it is acknowledged.

    A message is delivered again only if its consumer did not acknowledge it within
    `take_over_s`: it has died, or hangs. Such a message has ``again``; whether it was
    handled before its consumer died, only what it was handled for can tell, by its id. A
    group that lags behind by more than the stream keeps misses messages, which is logged.

    Blocking, and not for several threads at once.

    Args:
        client: of ``redis_link.connect``.
        group: what reads together; made where it is not there yet.
        consumer: a name that no other living reader has; one that is started again under its
            name goes on at once with what it has not acknowledged. A new name by default.
        start: where a new group begins: "0" with all that the stream has, "$" from now on.
    """

    def __init__(
        self,
        client: Redis,
        group: str,
        consumer: str = "",
        *,
        start: str = "0",
        take_over_s: float = TAKE_OVER_S,
        key: str = STREAM,
    ) -> None:
        self.client = client
        self.group = group
        self.consumer = consumer or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.start = start
        self.take_over_s = take_over_s
        self.key = key
        self.skipped = 0
        self.missed = 0
        self._own_from: str | None = "0" if consumer else None
        self._next_look_s = 0.0
        self._is_behind = True
        self._has_read = False
        self._handled = _Remembered(REMEMBERED)

    def read(self, count: int = 100, block_s: float = 2.0) -> list[Message]:
        """Return up to `count` messages, or none where nothing comes for `block_s`.

        Raises:
            redis.RedisError, OSError: Redis is away; nothing is lost by reading again.
        """
        give_up_s = time.monotonic() + block_s
        while True:
            left_s = max(0.001, give_up_s - time.monotonic())
            try:
                entries, again = self._next(count, left_s)
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                self._make_group()
                continue
            messages = self._messages(entries, again=again)
            if messages or (not entries and time.monotonic() >= give_up_s):
                return messages

    def acknowledge(self, messages: Iterable[Message]) -> int:
        """Note that messages were handled; return how many were still this group's to handle."""
        return self._acknowledge([message.id for message in messages])

    def keep(self, messages: Iterable[Message]) -> None:
        """Say that messages are still being handled, lest another consumer takes them over."""
        ids: list[Any] = [message.id for message in messages]
        if ids:
            self.client.xclaim(self.key, self.group, self.consumer, 0, ids, idle=0, justid=True)

    def _next(self, count: int, block_s: float) -> tuple[Entries, bool]:
        """Return the next entries, and whether somebody had them before."""
        if self._own_from is not None and (own := self._read_own(count)):
            return own, True
        if time.monotonic() >= self._next_look_s:
            TIDY.run_blocking(self.client, [self.key], [self.group, CONSUMER_KEPT_S * 1_000])
            if left := self._take_over(count):
                return left, True
            self._next_look_s = time.monotonic() + self.take_over_s / 2
        if self._is_behind:
            self._note_missed(int(MISSED.run_blocking(self.client, [self.key], [self.group])))
        wait_s = min(block_s, LONGEST_BLOCK_S, max(0.001, self._next_look_s - time.monotonic()))
        entries = self._read(">", count, block_ms=max(1, int(wait_s * 1_000)))
        self._is_behind = len(entries) == count
        self._has_read = True
        return entries, False

    def _read_own(self, count: int) -> Entries:
        own = self._read(str(self._own_from), count)
        self._own_from = own[-1][0].decode() if own else None
        return own

    def _read(self, after: str, count: int, block_ms: int | None = None) -> Entries:
        answer: Any = self.client.xreadgroup(
            self.group, self.consumer, {self.key: after}, count=count, block=block_ms
        )
        return _entries(answer)

    def _take_over(self, count: int) -> Entries:
        """Return what consumers have not acknowledged for too long, if there is any."""
        idle_ms, cursor = int(self.take_over_s * 1_000), b"0-0"
        while True:
            answer: Any = self.client.xautoclaim(
                self.key, self.group, self.consumer, idle_ms, cursor, count=count
            )
            cursor, entries, *cut = answer
            self._note_missed(len(cut[0]) if cut else 0)
            if entries or cursor == b"0-0":
                break
        if entries:
            logger.info("stream: %d messages of %s are taken over", len(entries), self.group)
        return [entry for entry in entries if entry[0] is not None]

    def _messages(self, entries: Entries, *, again: bool) -> list[Message]:
        """Return the messages of entries; what need not be handled is acknowledged here."""
        found: list[Message] = []
        done: list[str] = []
        for id_, fields in entries:
            message = None
            if not fields:  # of those that were given to this consumer before
                self._note_missed(1)
            elif id_.decode() not in self._handled:
                message = decoded(id_, fields, again=again)
                self.skipped += message is None
            if message is None or message.kind not in KINDS:
                done.append(id_.decode())
            else:
                found.append(message)
        self._acknowledge(done)
        return found

    def _acknowledge(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        # Before the command: it may have been carried out though its answer is lost.
        self._handled.add(ids)
        return int(self.client.xack(self.key, self.group, *ids))

    def _make_group(self) -> None:
        """Make the group where it is not there: at the first time, or Redis was emptied."""
        start = "0" if self._has_read else self.start
        try:
            self.client.xgroup_create(self.key, self.group, id=start, mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _note_missed(self, count: int) -> None:
        if count:
            self.missed += count
            logger.error(
                "stream: %s has missed %d messages, which were cut off before they were read;"
                " TGE_STREAM_MAX_MESSAGES says how many are kept",
                self.group,
                count,
            )


class Tail:
    """The stream from now on, for a reader of its own that need not see everything.

    A Redis that was emptied meanwhile, and is told the last day once more, repeats nothing here.
    """

    def __init__(self, client: Redis, *, key: str = STREAM) -> None:
        self.client = client
        self.key = key
        self.skipped = 0
        self._last = ""

    def read(self, count: int = 100, block_s: float = 2.0) -> list[Message]:
        """Return up to `count` messages, or none where nothing comes for `block_s`.

        Raises:
            redis.RedisError, OSError: Redis is away.
        """
        if not self._last:
            self._last = str(LAST.run_blocking(self.client, [self.key]).decode())
        block_ms = max(1, int(min(block_s, LONGEST_BLOCK_S) * 1_000))
        answer: Any = self.client.xread({self.key: self._last}, count, block_ms)
        messages = []
        for id_, fields in _entries(answer):
            self._last = id_.decode()
            message = decoded(id_, fields)
            self.skipped += message is None
            if message and message.kind in KINDS:
                messages.append(message)
        return messages


def decoded(id_: bytes, fields: dict[bytes, bytes], *, again: bool = False) -> Message | None:
    """Return the message of an entry; None, which is logged, where it is none of ours."""
    try:
        return decode(id_, fields, again=again)
    except BrokenMessageError as error:
        logger.warning("stream: an entry is passed over: %s", error)
        return None


def _entries(answer: Any) -> Entries:
    """Return the entries of the one stream that was read, in either version of the protocol."""
    if not answer:
        return []
    ((_, entries),) = answer.items() if isinstance(answer, dict) else answer
    if entries and isinstance(entries[0], list):
        entries = entries[0]
    return [(id_, fields) for id_, fields in entries]


class _Remembered:
    """The last so many ids that were added."""

    def __init__(self, most: int) -> None:
        self._order: deque[str] = deque()
        self._ids: set[str] = set()
        self._most = most

    def __contains__(self, id_: str) -> bool:
        return id_ in self._ids

    def add(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            if id_ not in self._ids:
                self._ids.add(id_)
                self._order.append(id_)
        while len(self._order) > self._most:
            self._ids.discard(self._order.popleft())
