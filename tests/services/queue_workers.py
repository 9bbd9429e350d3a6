"""Workers of a leased queue, as the tests speak of them: each step is one round, and waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from tgecrawler.scheduling.leased_queue import LeasedQueue
from tgecrawler.scheduling.queue_upkeep import queue_prefix
from tgecrawler.scheduling.queue_values import Ack, Batch, Close, Leased, Mark, Offer, RoundResult

PREFIX = queue_prefix("test")


class Worker:
    """One worker; `took` is what it has leased, by id."""

    def __init__(self, runner: asyncio.Runner, url: str, name: str, **options: Any) -> None:
        self.runner = runner
        self.client = Redis.from_url(url)
        self.queue = LeasedQueue(self.client, PREFIX, name, **options)
        self.took: dict[str, Leased] = {}

    def round(self, **parts: Any) -> RoundResult:
        return self.run(self.queue.round(Batch(**parts)))

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def push(self, *offers: Offer) -> tuple[str, ...]:
        return self.round(offers=offers).pushed

    def lease(self, want: int = 100) -> list[str]:
        leased = self.round(want=want).leased
        self.took |= {one.id: one for one in leased}
        return [one.id for one in leased]

    def land(self, *ids: str) -> None:
        self.round(landed=tuple(self.took[id_] for id_ in ids))

    def ack(self, id_: str, verdict: str = "done", **more: Any) -> RoundResult:
        return self.round(acks=(self.acknowledged(id_, verdict, **more),))

    def acknowledged(self, id_: str, verdict: str = "done", **more: Any) -> Ack:
        return Ack(id=id_, token=self.took[id_].token, verdict=verdict, **more)

    def mark(self, id_: str, fingerprint: bytes) -> str:
        mark = Mark(id=id_, token=self.took[id_].token, fingerprint=fingerprint)
        return self.round(marks=(mark,)).marked[0]

    def close_group(self, group: str, payload: bytes = b"", unfinished: int = 0) -> RoundResult:
        return self.round(closes=(Close(group=group, payload=payload, unfinished=unfinished),))

    def prolong(self, *ids: str) -> list[str]:
        return [one.id for one in self.run(self.queue.prolong([self.took[id_] for id_ in ids]))]

    def stats(self) -> Any:
        return self.run(self.queue.stats())

    def dead(self) -> list[Any]:
        return self.run(self.queue.dead())

    def leave(self) -> None:
        self.run(self.client.aclose())


def offer(id_: str, host: str = "a.example", priority: int = 0, **more: Any) -> Offer:
    made = Offer(id=id_, host=host, priority=priority, payload=f"payload of {id_}".encode())
    return replace(made, **more)


def expire_leases(client: BlockingRedis, *ids: str) -> None:
    """Let leases run out now: of these requests, or all."""
    for id_ in ids or client.zrange(f"{PREFIX}leases", 0, -1):
        client.zadd(f"{PREFIX}leases", {id_: 1}, xx=True)


def pass_delays(client: BlockingRedis) -> None:
    """Let all that is delayed or waits be due now."""
    for name in ("delayed", "waiting"):
        for id_ in client.zrange(f"{PREFIX}{name}", 0, -1):
            client.zadd(f"{PREFIX}{name}", {id_: 1}, xx=True)
