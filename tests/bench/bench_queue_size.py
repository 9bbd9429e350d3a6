"""A million queued requests and ten million known fingerprints.

Memory is Redis's own count of what it holds; operations a second are those of one worker
that waits for each round.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

from queue_bench import redis_server
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from scrapy import Request, Spider

from run import Row
from tgecrawler.scheduling.lease_outbox import MOST_OFFERS
from tgecrawler.scheduling.leased_queue import MOST_WANTED, LeasedQueue
from tgecrawler.scheduling.queue_values import Ack, Batch, Leased, Offer
from tgecrawler.scheduling.request_json import dumps
from tgecrawler.scheduling.seen_scripts import SEE, digest_of

MILLION = 1_000_000
REQUESTS = int(os.environ.get("BENCH_REQUESTS", str(MILLION)))
FINGERPRINTS = int(os.environ.get("BENCH_FINGERPRINTS", str(10 * MILLION)))
HOSTS = 200
LEASED = 60_000  # taken and acknowledged
SEEN_STEP = 1_000
WEEK_MS = 7 * 86_400_000
MOST_BYTES_SEEN = 13.6  # a fingerprint in hash buckets of the best size; 88 with scrapy-redis


class Pages(Spider):
    name = "pages"

    def parse(self, response: object) -> None: ...


def offers() -> Iterator[Offer]:
    spider = Pages()
    for number in range(REQUESTS):
        host = f"www.site-{number % HOSTS}.example"
        url = f"https://{host}/news/2026/11/30/some-words-of-a-title-{number}"
        request = Request(url, spider.parse, meta={"depth": 2}, priority=-(number % 3))
        fingerprint = number.to_bytes(20, "big")
        yield Offer(
            id=fingerprint.hex(),
            host=host,
            priority=request.priority,
            payload=dumps(request, spider),
            fingerprint=fingerprint,
        )


def bench_queue_of_a_million() -> list[Row]:
    with redis_server() as port:
        return asyncio.run(_queue_rows(port))


async def _queue_rows(port: int) -> list[Row]:
    client = AsyncRedis(port=port)
    queue = LeasedQueue(client, "{bench}:", "one", per_host=4, most_requests=2 * REQUESTS)
    before = (await client.info("memory"))["used_memory"]
    source, size, spent_s = offers(), 0, 0.0
    while step := tuple(offer for _, offer in zip(range(MOST_OFFERS), source, strict=False)):
        size += sum(len(offer.payload) for offer in step)
        began_s = time.perf_counter()
        await queue.round(Batch(offers=step))
        spent_s += time.perf_counter() - began_s
    taken = (await client.info("memory"))["used_memory"] - before
    handed_s = await _hand_out(queue)
    await client.aclose()
    note = f"with its fingerprint; {size / REQUESTS:.0f} bytes of JSON"
    return [
        Row("queue: memory of a request", taken / REQUESTS, "bytes", None, note),
        Row("queue: stored", REQUESTS / spent_s, "requests/s"),
        Row("queue: leased, landed, acknowledged", LEASED / handed_s, "requests/s"),
    ]


async def _hand_out(queue: LeasedQueue) -> float:
    """Return the seconds that it takes to take some and say that they are done."""
    began_s, count = time.perf_counter(), 0
    leased: tuple[Leased, ...] = ()
    while count < LEASED:
        acks = tuple(Ack(id=one.id, token=one.token, verdict="done") for one in leased)
        leased = (await queue.round(Batch(landed=leased, acks=acks, want=MOST_WANTED))).leased
        count += len(leased)
    return time.perf_counter() - began_s


def bench_fingerprints_of_ten_million() -> list[Row]:
    rows = []
    with redis_server() as port:
        client = Redis(port=port)
        see = client.register_script(SEE)
        before = client.info("memory")["used_memory"]
        spent_s, marks = 0.0, {MILLION, FINGERPRINTS}
        for start in range(0, FINGERPRINTS, SEEN_STEP):
            digests = [digest_of(at.to_bytes(20, "big")) for at in range(start, start + SEEN_STEP)]
            began_s = time.perf_counter()
            known = see(keys=["{bench}:"], args=[WEEK_MS, *digests])
            spent_s += time.perf_counter() - began_s
            assert not any(known), "a fingerprint was taken for another"
            if (count := start + SEEN_STEP) in marks:
                size = (client.info("memory")["used_memory"] - before) / count
                name = f"filter: bytes a fingerprint of {count / MILLION:g} million"
                rows.append(Row(name, size, "bytes", MOST_BYTES_SEEN))
        rows.append(Row("filter: remembered", FINGERPRINTS / spent_s, "a second"))
        client.close()
    return rows
