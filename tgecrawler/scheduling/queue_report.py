"""What an operator is shown of a shared crawl: its queues, workers, clocks, and Redis itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.redis_link import Script
from tgecrawler.scheduling.queue_scripts import VALUES
from tgecrawler.scheduling.queue_upkeep import QueueUpkeep, queue_prefix
from tgecrawler.scheduling.seen_scripts import BUCKETS, NOW, SEEN
from tgecrawler.scheduling.shared_clock import prefix_of as clock_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import Redis

MOST_HOSTS = 10
SAMPLED = 64  # buckets of the filter, for one that is measured; digests spread evenly
CLOCK_KEYS = ("due", "cycle", "holder", "polled", "state", "settled", "epoch")
_QUEUE_SIGNS = ("req", "dead", "seen", "workers")

# ARGV: most hosts. Answers JSON and the payload of the oldest request. The oldest is looked for
# among the first ones of the hosts: of equal priority, those are their hosts' oldest.
_LOOK = Script(
    f"""{NOW}{VALUES}
local hosts, rows, oldest, oldest_seq = {{}}, {{}}, nil, nil
local function meet(names)
  for _, name in ipairs(names) do hosts[name] = true end
end
meet(redis.call('ZRANGE', P .. 'ready', 0, -1))
meet(redis.call('ZRANGE', P .. 'waiting', 0, -1))
meet(redis.call('HKEYS', P .. 'act'))
for host in pairs(hosts) do
  local queued = redis.call('ZCARD', P .. 'q:' .. host)
  local in_flight = tonumber(redis.call('HGET', P .. 'act', host) or 0)
  local until_ms = redis.call('ZSCORE', P .. 'waiting', host)
  rows[#rows + 1] = {{host, queued, in_flight, until_ms and until_ms - now or -1}}
  local first = redis.call('ZRANGE', P .. 'q:' .. host, 0, 0, 'WITHSCORES')
  local seq = first[2] and first[2] % 2 ^ 38
  if seq and (not oldest_seq or seq < oldest_seq) then
    oldest, oldest_seq = {{first[1], host}}, seq
  end
end
table.sort(rows, function(a, b) return a[2] > b[2] or (a[2] == b[2] and a[1] < b[1]) end)
for at = #rows, tonumber(ARGV[1]) + 1, -1 do rows[at] = nil end
local shares = {{}}
local held = redis.call('HGETALL', P .. 'held')
for at = 1, #held, 2 do
  local token, flies = string.match(held[at + 1], '^(.*)\\t.*\\t(%d)$')
  local worker = string.match(token or '', '^(.*)#%d+$') or ''
  local share = shares[worker] or {{leased = 0, in_flight = 0}}
  local left = (redis.call('ZSCORE', P .. 'leases', held[at]) or now) - now
  share.leased = share.leased + 1
  if flies == '1' then share.in_flight = share.in_flight + 1 end
  share.next_ms = math.min(share.next_ms or left, left)
  shares[worker] = share
end
local value = oldest and redis.call('HGET', P .. 'req', oldest[1]) or ''
local head = head_of(value)
return {{cjson.encode({{hosts = rows, oldest = oldest, shares = shares}}),
  head and string.sub(value, head.at) or value}}
"""
)

# ARGV: seen_ms, step
_SEEN_BYTES = Script(
    f"""{NOW}
local seen_ms, step, bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
{SEEN}
for age = 0, 1 do
  local name = string.format('%.0f', generation - age)
  for number = 0, {BUCKETS} - 1, step do
    bytes = bytes + (redis.call('MEMORY', 'USAGE', P .. 'df:' .. name .. ':' .. number) or 0)
  end
end
return bytes * step
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostShare:
    """A host; `waits_s` is for how long it wants to be left alone, None where it does not."""

    host: str
    queued: int
    in_flight: int
    waits_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerShare:
    """What a worker has.

    Attributes:
        heard_s_ago: None for one that was not heard of for a day.
        in_flight: of those leased, not answered yet.
        next_deadline_s: when the first of its leases runs out; below 0: whoever asks next has it.
    """

    worker: str
    heard_s_ago: float | None
    leased: int
    in_flight: int
    next_deadline_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestRequest:
    """The request that is longest in line; `since` as its spider wrote it, "" where it did not."""

    id: str
    host: str
    url: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFigures:
    """The shared clock of a spider's sources.

    Attributes:
        due: may be polled now.
        leased: some worker polls them.
        in_cycle: a running cycle has still to ask them.
        next_due_s: until the next one is due; None where none is to come.
    """

    sources: int
    due: int
    leased: int
    in_cycle: int
    next_due_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiderShare:
    """What a spider has in Redis; see `QueueStats` for the counts."""

    spider: str
    requests: int
    queued: int
    leased: int
    in_flight: int
    delayed: int
    dead: int
    tried: int
    oldest: OldestRequest | None
    hosts: tuple[HostShare, ...]
    workers: tuple[WorkerShare, ...]
    clock: ClockFigures
    seen: int
    seen_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisMemory:
    """What Redis takes, of how much it may; `most_bytes` 0 = whatever there is."""

    used_bytes: int
    most_bytes: int
    policy: str


async def spiders_with_keys(client: Redis, spiders: Iterable[str]) -> list[str]:
    """Return those of the spiders of which Redis keeps anything.

    Raises:
        redis.RedisError: as of any command.
    """
    found = []
    for spider in spiders:
        keys = [f"{queue_prefix(spider)}{name}" for name in _QUEUE_SIGNS]
        times = [f"{clock_prefix(spider)}{name}" for name in CLOCK_KEYS]
        if await client.exists(*keys) or await client.exists(*times):
            found.append(spider)
    return found


async def share_of(client: Redis, spider: str, *, seen_s: float) -> SpiderShare:
    """Return what a spider has in Redis at this moment.

    Args:
        seen_s: for how long the workers' filter knows a fingerprint.

    Raises:
        redis.RedisError: as of any command.
    """
    upkeep = QueueUpkeep(client, queue_prefix(spider), seen_s=seen_s)
    stats = await upkeep.stats()
    told, payload = await _LOOK.run(client, [upkeep.prefix], [MOST_HOSTS])
    look = orjson.loads(told.decode(errors="replace"))
    seen_bytes = await _SEEN_BYTES.run(client, [upkeep.prefix], [upkeep.seen_ms, SAMPLED])
    return SpiderShare(
        spider=spider,
        requests=stats.requests,
        queued=max(0, stats.requests - stats.leased - stats.delayed),
        leased=stats.leased,
        in_flight=stats.in_flight,
        delayed=stats.delayed,
        dead=stats.dead,
        tried=stats.tried,
        oldest=_oldest(look.get("oldest"), payload),
        hosts=tuple(_host(*row) for row in look["hosts"] or ()),
        workers=tuple(_workers(dict(stats.workers), look["shares"] or {})),
        clock=await clock_figures(client, spider),
        seen=stats.seen,
        seen_bytes=int(seen_bytes),
    )


async def clock_figures(client: Redis, spider: str) -> ClockFigures:
    """Return what the shared clock of a spider's sources has.

    Raises:
        redis.RedisError: as of any command.
    """
    prefix = clock_prefix(spider)
    seconds, micros = await client.time()
    now_ms = seconds * 1_000 + micros // 1_000
    due: Any = await client.zrange(f"{prefix}due", 0, -1, withscores=True)
    holders: Any = await client.hgetall(f"{prefix}holder")
    in_cycle = await client.zcard(f"{prefix}cycle")
    coming = [at for _, at in due if at > now_ms]
    return ClockFigures(
        sources=len(due),
        due=len(due) - len(coming),
        leased=sum(at > now_ms and source in holders for source, at in due),
        in_cycle=int(in_cycle),
        next_due_s=(min(coming) - now_ms) / 1_000 if coming else None,
    )


async def forget_clock(client: Redis, spider: str) -> int:
    """Remove the shared clock of a spider's sources; return how many it knew.

    Raises:
        redis.RedisError: as of any command.
    """
    prefix = clock_prefix(spider)
    known = int(await client.zcard(f"{prefix}due"))
    await client.delete(*(f"{prefix}{name}" for name in CLOCK_KEYS))
    return known


async def redis_memory(client: Redis, spider: str) -> RedisMemory:
    """Return what the server takes that has a spider's queue.

    Raises:
        redis.RedisError: as of any command.
    """
    arguments: dict[str, Any] = {}
    if hasattr(client, "get_node_from_key"):  # of a cluster
        await client.initialize()
        arguments["target_nodes"] = client.get_node_from_key(queue_prefix(spider))
    found: Any = await client.info("memory", **arguments)
    return RedisMemory(
        used_bytes=int(found["used_memory"]),
        most_bytes=int(found.get("maxmemory", 0)),
        policy=str(found.get("maxmemory_policy", "")),
    )


def url_of(payload: bytes) -> str:
    """Return the address of a request as it lies in the queue; "" where it is none of ours."""
    url = _told(payload).get("url")
    return url if isinstance(url, str) else ""


def _told(payload: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(payload)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _oldest(found: list[str] | None, payload: bytes) -> OldestRequest | None:
    if not found:
        return None
    since = ""
    given = _told(payload).get("cb_kwargs")
    waiting = given.get("waiting") if isinstance(given, dict) else None  # as our spiders send it
    if isinstance(waiting, dict):
        since = str(waiting.get("seen_at", ""))
    return OldestRequest(id=found[0], host=found[1], url=url_of(payload), since=since)


def _host(host: str, queued: int, in_flight: int, waits_ms: float) -> HostShare:
    waits_s = None if waits_ms < 0 else waits_ms / 1_000
    return HostShare(host=host, queued=queued, in_flight=in_flight, waits_s=waits_s)


def _workers(heard: dict[str, float], shares: dict[str, Any]) -> list[WorkerShare]:
    """Return the workers, the last one heard of first; those that were not, at the end."""
    names = sorted({*heard, *shares}, key=lambda name: (heard.get(name, float("inf")), name))
    rows = []
    for name in names:
        share = shares.get(name, {})
        deadline_ms = share.get("next_ms")
        rows.append(
            WorkerShare(
                worker=name,
                heard_s_ago=heard.get(name),
                leased=share.get("leased", 0),
                in_flight=share.get("in_flight", 0),
                next_deadline_s=None if deadline_ms is None else deadline_ms / 1_000,
            )
        )
    return rows
