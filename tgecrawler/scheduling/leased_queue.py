"""A queue of requests that several workers share, each of which has them only on lease.

What a worker takes comes back to the others unless it says that it is done, or keeps
saying that it works on it. Requests are handed out by priority, first come first served
among equals, across hosts; of one host no more than `per_host` are in flight at once, all
workers together. Keys are described in ``queue_scripts.py``.

A round is one script and one round trip. Whatever is asked a second time because the
answer was not heard has been done once.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.redis_link import Script
from tgecrawler.scheduling import queue_scripts
from tgecrawler.scheduling.queue_upkeep import SEEN_S, QueueUpkeep
from tgecrawler.scheduling.queue_values import (
    Batch,
    ClosedGroup,
    Leased,
    MarkStatus,
    Offer,
    PushStatus,
    RoundResult,
)
from tgecrawler.scheduling.seen_scripts import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis.asyncio import Redis

MOST_WANTED = 300  # leases of one round
MOST_PRIORITY = 2**14 - 1  # beside 38 bits of a running number, within the 53 of a score
LONGEST_REASON = 300
RETRY_S = 5.0

_STATUSES: dict[str, PushStatus] = {"n": "new", "q": "queued", "s": "seen", "f": "full"}
_MARKS: dict[str, MarkStatus] = {"n": "new", "s": "seen", "l": "lost"}


class LeasedQueue(QueueUpkeep):
    """The queue as one worker sees it.

    All methods raise ``redis.RedisError``, as any command does.

    Args:
        prefix: see `queue_prefix`.
        worker: name of this one; no other ever has had the same.
        lease_s: who is not heard of for so long loses what it has.
        per_host: requests of one host that may be in flight; 0 = any number.
        attempts: failures after which a request is dead.
        reclaims: leases that may run out before a request is dead.
        most_requests: beyond so many, bounded offers are not taken.
        seen_s: for how long the filter knows a fingerprint; the same for all who use it.
        retry_s: pause after the first failure; the second one's is twice as long, and so on.
    """

    _round = Script(queue_scripts.ROUND)
    _prolong = Script(queue_scripts.PROLONG)

    def __init__(
        self,
        client: Redis,
        prefix: str,
        worker: str,
        *,
        lease_s: float = 30.0,
        per_host: int = 0,
        attempts: int = 5,
        reclaims: int = 10,
        most_requests: int = 1_000_000,
        seen_s: float = SEEN_S,
        retry_s: float = RETRY_S,
    ) -> None:
        super().__init__(client, prefix, seen_s=seen_s)
        self.worker = worker
        self.lease_ms = int(lease_s * 1000)
        self._bounds = {
            "worker": worker,
            "lease_ms": self.lease_ms,
            "per_host": per_host,
            "attempts": attempts,
            "reclaims": reclaims,
            "most": most_requests,
            "seen_ms": self.seen_ms,
            "retry_ms": int(retry_s * 1000),
        }
        self._number = 0
        self._unheard: Batch | None = None

    async def round(self, batch: Batch) -> RoundResult:
        """Offer, mark, acknowledge, close and lease; return what came of it.

        Where the answer was not heard (a connection broke), the same `batch` object given
        again has its effects once. An answer that is an error had none.
        """
        if batch is not self._unheard:
            self._number += 1
            self._unheard = batch
        head, arguments = self._ask(batch)
        answer = await self._round.run(self.client, [self.prefix], [orjson.dumps(head), *arguments])
        self._unheard = None
        return self._read(answer)

    async def prolong(self, leases: Sequence[Leased]) -> list[Leased]:
        """Keep leases for another `lease_s`; return those that are others' by now."""
        ask = {
            "worker": self.worker,
            "lease_ms": self.lease_ms,
            "leases": [(one.id, one.token) for one in leases],
        }
        lost = await self._prolong.run(self.client, [self.prefix], [orjson.dumps(ask)])
        return [leases[at] for at in lost]

    def _ask(self, batch: Batch) -> tuple[dict[str, Any], list[bytes]]:
        now_s = time.time()
        offers, arguments = [], []
        for offer in batch.offers:
            offers.append(_told(offer))
            arguments += [digest_of(offer.fingerprint) if offer.fingerprint else b"", offer.payload]
        arguments += [digest_of(mark.fingerprint) for mark in batch.marks]
        arguments += [close.payload for close in batch.closes]
        head = {
            **self._bounds,
            "number": self._number,
            "busy": int(batch.busy),
            "leaving": int(batch.leaving),
            "offers": offers,
            "marks": [(mark.id, mark.token) for mark in batch.marks],
            "landed": [(one.id, one.token) for one in batch.landed],
            "acks": [
                (
                    ack.id,
                    ack.token,
                    ack.verdict,
                    ack.reason[:LONGEST_REASON].encode(errors="replace").decode(),
                    int(ack.delay_s * 1000),
                    max(0, int((ack.until_s - now_s) * 1000)),  # a span: clocks differ
                    int(ack.unfinished),
                    random.random(),  # noqa: S311 - spreads retries
                )
                for ack in batch.acks
            ],
            "closes": [(close.group, close.unfinished) for close in batch.closes],
            "want": min(max(batch.want, 0), MOST_WANTED),
            "mine": batch.mine,
        }
        return head, arguments

    def _read(self, answer: list[bytes]) -> RoundResult:
        told = orjson.loads(answer[0])
        token = f"{self.worker}#{self._number}"
        leased = [
            Leased(
                id=id_,
                token=token,
                payload=payload,
                attempts=attempts,
                reclaims=reclaims,
                group=group,
            )
            for (id_, attempts, reclaims, group), payload in _beside(told["leased"], answer[1:])
        ]
        closed = [
            ClosedGroup(group=group, payload=payload, unfinished=unfinished)
            for (group, unfinished), payload in _beside(told["closed"], answer[1 + len(leased) :])
        ]
        return RoundResult(
            pushed=tuple(_STATUSES[letter] for letter in told["pushed"]),
            marked=tuple(_MARKS[letter] for letter in told["marked"]),
            leased=tuple(leased),
            closed_groups=tuple(closed),
            outstanding=told["outstanding"],
            busy_others=told["others"],
            reclaimed=told["reclaimed"],
            buried=told["buried"],
            wait_s=None if told["wait_ms"] < 0 else told["wait_ms"] / 1000,
        )


def _told(offer: Offer) -> tuple[str, str, int, int, str, int]:
    return (
        offer.id,
        offer.host,
        max(-MOST_PRIORITY, min(MOST_PRIORITY, offer.priority)),
        int(offer.delay_s * 1000),
        offer.group,
        int(offer.bounded),
    )


def _beside(rows: Any, payloads: Sequence[bytes]) -> Iterable[tuple[Any, bytes]]:
    """Return each row with its payload; Lua cannot tell an empty list from an empty table."""
    return zip(rows or (), payloads, strict=False)
