"""The leased queue from an operator's side: look, retry, clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.redis_link import Script
from tgecrawler.scheduling import seen_scripts, upkeep_scripts
from tgecrawler.scheduling.queue_scripts import MOST_DEAD
from tgecrawler.scheduling.queue_values import DeadRequest, QueueStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

SEEN_S = 7 * 86_400.0
STEP = 200  # requests, and
BUCKETS_STEP = 1_024  # of the filter, that one script goes through


def queue_prefix(name: str) -> str:
    """Return what all keys of a spider's queue begin with; one slot of a cluster has them."""
    return f"{{tge:1:queue:{name}}}:"


class QueueUpkeep:
    """Looks at a queue, retries and clears.

    All methods raise ``redis.RedisError``, as any command does.

    Args:
        prefix: see `queue_prefix`.
        seen_s: for how long the filter knows a fingerprint; the same for all who use it.
    """

    _stats = Script(upkeep_scripts.STATS)
    _retry = Script(upkeep_scripts.RETRY)
    _purge_queue = Script(upkeep_scripts.PURGE_QUEUE)
    _purge_dead = Script(upkeep_scripts.PURGE_DEAD)
    _forget_buckets = Script(seen_scripts.FORGET_BUCKETS)

    def __init__(self, client: Redis, prefix: str, *, seen_s: float = SEEN_S) -> None:
        self.client = client
        self.prefix = prefix
        self.seen_ms = int(seen_s * 1000)

    async def stats(self) -> QueueStats:
        """Return the figures of the present moment."""
        found = orjson.loads(await self._stats.run(self.client, [self.prefix]))
        deadline_ms = found.pop("next_deadline_ms")
        workers = tuple((name, age_ms / 1000) for name, age_ms in found.pop("workers") or ())
        next_deadline_s = None if deadline_ms == -1 else deadline_ms / 1000
        return QueueStats(**found, workers=workers, next_deadline_s=next_deadline_s)

    async def dead(self, most: int = MOST_DEAD) -> list[DeadRequest]:
        """Return the requests that were given up, the oldest first."""
        found: list[DeadRequest] = []
        while len(found) < most:
            step = min(STEP, most - len(found))
            ids = await self._dead_ids(len(found), step)
            if not ids:
                break
            records: Any = await self.client.hmget(f"{self.prefix}dead", ids)
            found += [
                _read_dead(id_, record) for id_, record in zip(ids, records, strict=True) if record
            ]
        return found

    async def retry(self, ids: Sequence[str] | None = None) -> int:
        """Put dead requests back into the queue; return how many there were.

        Args:
            ids: None = all. What is none of ours stays where it is.
        """
        chosen: Sequence[str | bytes] = (
            await self._dead_ids(0, MOST_DEAD) if ids is None else list(ids)
        )
        retried = 0
        for start in range(0, len(chosen), STEP):
            step = chosen[start : start + STEP]
            retried += await self._retry.run(self.client, [self.prefix], [self.seen_ms, *step])
        return retried

    async def purge_queue(self) -> int:
        """Remove all requests, leased ones as well; return how many there were.

        The filter knows them further on: see `forget_seen`.
        """
        return int(await self._purge_queue.run(self.client, [self.prefix]))

    async def purge_dead(self) -> int:
        """Remove the requests that were given up; return how many there were."""
        return int(await self._purge_dead.run(self.client, [self.prefix]))

    async def forget_seen(self) -> None:
        """Empty the filter, so that all may be fetched anew."""
        for first in range(0, seen_scripts.BUCKETS, BUCKETS_STEP):
            args = [self.seen_ms, first, first + BUCKETS_STEP - 1]
            await self._forget_buckets.run(self.client, [self.prefix], args)

    async def _dead_ids(self, start: int, count: int) -> list[bytes]:
        ids: Any = await self.client.zrange(f"{self.prefix}died", start, start + count - 1)
        return list(ids)


def _read_dead(id_: bytes, record: bytes) -> DeadRequest:
    head, _, value = record.partition(b"\n")
    try:
        note = orjson.loads(head)
    except ValueError:  # a reason may name what was found in a foreign payload
        note = {"reason": "", "attempts": 0, "reclaims": 0, "at": 0}
    ours = value.startswith(b"1") and b"\n" in value[9:]
    return DeadRequest(
        id=id_.decode(errors="backslashreplace"),
        payload=value[9:].partition(b"\n")[2] if ours else value,
        reason=note["reason"],
        attempts=note["attempts"],
        reclaims=note["reclaims"],
        died_at_s=note["at"] / 1000,
    )
