"""The shared level on Redis, for processes on several machines."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
from redis import RedisError, ResponseError

from tgecrawler.cache.level import Gone, LevelError, TierSize
from tgecrawler.cache.redis_scripts import (
    DROP_MEMBERS,
    DROP_TAG,
    OVERHEAD_BYTES,
    USED,
    WRITE,
    WRITE_HEAD,
)
from tgecrawler.redis_link import REDIS_FAILURES, Script, connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from redis import Redis
    from redis.client import PubSub

    from tgecrawler.cache.level import Key, Stored, Usage

PREFIX = "{tge:cache}:"  # braces: in a cluster all keys lie on one node
TIMEOUT_S = 0.5
"""How long Redis is waited for: a look-up may stand in an event loop."""

STEP_ENTRIES = 512
"""Entries that one script drops at most, so that Redis answers others meanwhile."""


class RedisLevel:
    """See `SharedLevel`. Nothing connects before the first use.

    What is dropped is told to the other processes by pub/sub. After a lost
    connection `heard` returns `Gone()`: nobody knows what was said meanwhile.
    """

    def __init__(self, url: str, most_bytes: int, *, prefix: str = PREFIX) -> None:
        # One try alone: whoever asks does without the cache rather than wait.
        self.client: Redis = connect(url, timeout_s=TIMEOUT_S, retries=0)
        self.most_bytes = most_bytes
        self.prefix = prefix
        self.evictions = 0
        self._ear: PubSub | None = None
        self._listening = threading.Lock()

    def read(self, key: Key, now_s: float) -> tuple[bytes, bytes] | None:
        with _surviving():
            found: Any = self.client.hmget(f"{self.prefix}e:{_member(key)}", ["h", "b"])
        head, body = found
        return None if head is None or body is None else (head, body)

    def write(self, key: Key, stored: Stored, now_s: float) -> None:
        member = _member(key)
        size = len(stored.head) + len(stored.body) + len(member) + OVERHEAD_BYTES
        tags = orjson.dumps(stored.tags)
        keep_ms = _keep_ms(stored.gone_s, now_s)
        bounds = (size, self.most_bytes, STEP_ENTRIES)
        self.evictions += int(
            self._run(WRITE, member, stored.head, stored.body, tags, keep_ms, now_s, *bounds)
        )

    def write_head(self, key: Key, head: bytes, gone_s: float, now_s: float) -> bool:
        keep_ms = _keep_ms(gone_s, now_s)
        return bool(self._run(WRITE_HEAD, _member(key), head, keep_ms, now_s))

    def drop(self, gone: Gone, now_s: float) -> int:
        if gone.tag is not None:
            dropped = self._drop_tag(gone.tag)
        elif gone.tier is not None and gone.key is not None:
            dropped = int(self._run(DROP_MEMBERS, _member((gone.tier, gone.key))))
        else:
            dropped = self._drop_tier(gone.tier)
        told = orjson.dumps([gone.tag, gone.tier, gone.key])
        with _surviving():
            self.client.publish(self._channel, told)
        return dropped

    def heard(self) -> Sequence[Gone]:
        with self._listening, _surviving():
            if self._ear is None:
                self._listen()
                return [Gone()]
            try:
                return list(self._messages(self._ear))
            except RedisError:
                self._ear.close()
                self._ear = None
                raise

    def record(self, usage: Usage) -> None:
        places = usage.uses.items()
        marks = [(_member(key), uses, used_s) for key, (uses, used_s) in places]
        self._run(USED, *(part for mark in marks for part in mark))
        with _surviving(), self.client.pipeline(transaction=False) as pipe:
            for (tier, name), number in usage.counts.items():
                pipe.hincrbyfloat(f"{self.prefix}counts", f"{tier}:{name}", number)
            pipe.execute()

    def counts(self) -> Mapping[tuple[str, str], float]:
        with _surviving():
            found: Any = self.client.hgetall(f"{self.prefix}counts")
        return {_key(place): float(number) for place, number in found.items()}

    def hottest(self, limit: int) -> Sequence[Key]:
        if limit < 1:
            return []
        with _surviving():
            found: Any = self.client.zrevrange(f"{self.prefix}uses", 0, limit - 1)
        return [_key(member) for member in found]

    def sizes(self) -> Mapping[str, TierSize]:
        found: dict[str, TierSize] = {}
        with _surviving():
            for member, size in self.client.hscan_iter(f"{self.prefix}sizes", count=STEP_ENTRIES):
                tier, _ = _key(member)
                old = found.get(tier, TierSize(0, 0))
                found[tier] = TierSize(old.entries + 1, old.size_bytes + int(size))
        return found

    def used_bytes(self) -> int:
        with _surviving():
            return int(self.client.get(f"{self.prefix}bytes") or 0)

    def close(self) -> None:
        with self._listening:
            if self._ear is not None:
                self._ear.close()
                self._ear = None
        self.client.close()

    @property
    def _channel(self) -> str:
        return f"{self.prefix}gone"

    def _run(self, script: Script, *values: Any) -> Any:
        with _surviving():
            return script.run_blocking(self.client, [self.prefix], values)

    def _listen(self) -> None:
        ear: PubSub = self.client.pubsub()  # type: ignore[no-untyped-call]
        try:
            ear.subscribe(self._channel)
            ear.get_message(timeout=TIMEOUT_S)  # the receipt: from here on nothing is missed
        except RedisError:
            ear.close()
            raise
        self._ear = ear

    def _messages(self, ear: PubSub) -> Iterator[Gone]:
        while message := ear.get_message(timeout=0):
            # another receipt: the client has lost its connection and taken a new one
            yield _told(message["data"]) if message["type"] == "message" else Gone()

    def _drop_tag(self, tag: str) -> int:
        dropped = 0
        while True:
            popped, gone = self._run(DROP_TAG, tag, STEP_ENTRIES)
            dropped += int(gone)
            if popped < STEP_ENTRIES:
                return dropped

    def _drop_tier(self, tier: str | None) -> int:
        pattern = "*" if tier is None else f"{tier}:*"
        with _surviving():
            scan = self.client.hscan_iter(f"{self.prefix}sizes", match=pattern, count=STEP_ENTRIES)
            members = [member for member, _ in scan]
        return sum(int(self._run(DROP_MEMBERS, *some)) for some in _in_steps(members))


@contextmanager
def _surviving() -> Iterator[None]:
    """Turn what Redis raises into LevelError; it names no URL, which may hold a password."""
    try:
        yield
    except REDIS_FAILURES as error:
        # what it has answered costs no time: a full Redis, say, still serves look-ups
        raise LevelError(f"Redis: {error}", rests=not isinstance(error, ResponseError)) from error


def _told(data: bytes) -> Gone:
    """Return an announcement; everything is gone where it cannot be read."""
    try:
        tag, tier, key = orjson.loads(data)
    except ValueError:
        return Gone()
    return Gone(tag, tier, key)


def _in_steps(members: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (members[at : at + STEP_ENTRIES] for at in range(0, len(members), STEP_ENTRIES))


def _keep_ms(gone_s: float, now_s: float) -> int:
    return max(1, int((gone_s - now_s) * 1_000))


def _member(key: Key) -> str:
    return ":".join(key)  # no tier bears a colon


def _key(member: bytes) -> Key:
    tier, _, key = member.decode("utf-8", "surrogateescape").partition(":")
    return tier, key
