"""``scrapy queue``: what the workers of a crawl share in Redis."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tgecrawler.cli import TgeCommand, json_flag, one_of, print_json, print_table
from tgecrawler.domain.timing import in_words
from tgecrawler.errors import ArgumentError, OptionError, RedisUnavailableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from tgecrawler.scheduling.queue_report import RedisMemory, SpiderShare, WorkerShare
    from tgecrawler.scheduling.queue_upkeep import QueueUpkeep
    from tgecrawler.scheduling.queue_values import DeadRequest

ACTIONS = ("stats", "dead", "retry", "purge")
# What `purge` deletes, by flag.
PARTS = {
    "queue": "its requests, leased ones as well; what they lead to is lost unless its source "
    "still tells it",
    "dead": "the requests that were given up",
    "seen": "the filter of duplicates",
    "clock": "when each source is due, and the validators and rhythm that workers share; the "
    "database still has both",
}
FLAGS = {"all": ("retry",), "yes": ("purge",), **dict.fromkeys(PARTS, ("purge",))}
SHOWN_WORKERS = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A connected Redis, and what was asked of whose queues."""

    client: Redis
    spiders: list[str]
    seen_s: float
    ids: list[str]
    opts: argparse.Namespace


class Command(TgeCommand):
    """stats, dead, retry ID | --all, purge"""

    most_arguments = 2

    def syntax(self) -> str:
        return "[options] <stats | dead | retry ID | retry --all | purge>"

    def short_desc(self) -> str:
        return "Show the queue that several workers share, retry or clear it"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--spider", metavar="NAME", help="this one's queue (default: all that have keys)"
        )
        parser.add_argument("--all", action="store_true", help="retry: all dead requests")
        for name, what in PARTS.items():
            parser.add_argument(f"--{name}", action="store_true", help=f"purge: {what}")
        parser.add_argument(
            "--yes", action="store_true", help="purge: yes, also with --queue, which loses requests"
        )
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if not args:
            raise ArgumentError(f"queue takes one of {', '.join(ACTIONS)}")
        action = one_of(args[0], ACTIONS, "action")
        _refuse_mixtures(action, args[1:], opts)
        options = self.options()
        if not (url := str(options["TGE_REDIS_URL"])):
            raise OptionError(
                "TGE_REDIS_URL is empty: a single process has no shared queue; name the Redis "
                "of the workers, such as -s TGE_REDIS_URL=redis://localhost:6379/0"
            )
        spiders = self.spiders()
        if opts.spider:
            spiders = [one_of(opts.spider, spiders, "spider")]
        seen_s = float(options["TGE_QUEUE_SEEN_DAYS"]) * 86_400
        asyncio.run(_ask(url, spiders, seen_s, action, args[1:], opts))


def _refuse_mixtures(action: str, rest: list[str], opts: argparse.Namespace) -> None:
    for flag, actions in FLAGS.items():
        if getattr(opts, flag) and action not in actions:
            raise ArgumentError(f"--{flag} goes with {' and '.join(actions)}, not {action}")
    if rest and action != "retry":
        raise ArgumentError(f"{action} takes nothing more, not {rest[0]!r}")
    if action == "retry" and bool(rest) == opts.all:
        raise ArgumentError("retry takes the id of a dead request, or --all")
    if action == "purge" and not any(getattr(opts, part) for part in PARTS):
        parts = "; ".join(f"--{part} ({what})" for part, what in PARTS.items())
        raise ArgumentError(f"purge deletes what is asked for: {parts}")


async def _ask(
    url: str,
    spiders: list[str],
    seen_s: float,
    action: str,
    ids: list[str],
    opts: argparse.Namespace,
) -> None:
    """Do an action on a Redis.

    Raises:
        UserError: Redis cannot be used, or does not have what was asked for.
    """
    # this module is loaded by every command, and a single process loads no Redis
    from tgecrawler.redis_link import REDIS_FAILURES, connect_async
    from tgecrawler.scheduling.queue_report import spiders_with_keys

    try:
        client = connect_async(url)
    except ValueError as error:
        raise OptionError(f"TGE_REDIS_URL: {error}") from None
    try:
        found = await spiders_with_keys(client, spiders)
        if not found:
            whose = f"of {opts.spider} " if opts.spider else ""
            raise ArgumentError(f"Redis has no queue {whose}yet; a crawl with TGE_REDIS_URL has")
        await _DO[action](Asked(client, found, seen_s, ids, opts))
    except REDIS_FAILURES as error:
        line = " ".join(str(error).split()) or type(error).__name__
        raise RedisUnavailableError(f"TGE_REDIS_URL: Redis cannot be asked ({line})") from error
    finally:
        await client.aclose()


async def _stats(asked: Asked) -> None:
    from tgecrawler.scheduling.queue_report import redis_memory, share_of

    shares = [await share_of(asked.client, name, seen_s=asked.seen_s) for name in asked.spiders]
    memory = await redis_memory(asked.client, asked.spiders[0])
    if asked.opts.json:
        print_json({"redis": asdict(memory), "spiders": [asdict(share) for share in shares]})
        return
    for share in shares:
        _print_share(share)
    print(_memory_line(memory))


async def _dead(asked: Asked) -> None:
    from tgecrawler.scheduling.queue_report import url_of

    found = [(name, one) for name in asked.spiders for one in await _upkeep(asked, name).dead()]
    now_s = (await asked.client.time())[0]
    if asked.opts.json:
        print_json([_dead_json(name, one, url_of(one.payload), now_s) for name, one in found])
        return
    if not found:
        print("no dead requests")
        return
    columns = ("spider", "id", "reason", "attempts", "reclaims", "age", "address")
    rows = [_dead_cells(name, one, url_of(one.payload), now_s) for name, one in found]
    print_table(f"{len(found)} dead requests, the oldest first", columns, rows)


async def _retry(asked: Asked) -> None:
    ids = asked.ids or None
    retried = {name: await _upkeep(asked, name).retry(ids) for name in asked.spiders}
    if ids and not any(retried.values()):
        kept = [one.id for name in asked.spiders for one in await _upkeep(asked, name).dead()]
        if ids[0] in kept:
            raise ArgumentError(f"{ids[0]!r} is no request of ours, and cannot be retried")
        raise ArgumentError(f"no dead request {ids[0]!r}; `scrapy queue dead` lists them")
    if asked.opts.json:
        print_json({"retried": retried})
        return
    for name, count in retried.items():
        print(f"{name}: {count} requests are in the queue again")


async def _purge(asked: Asked) -> None:
    if asked.opts.queue and not asked.opts.yes:
        lost = [await _would_lose(asked, name) for name in asked.spiders]
        raise ArgumentError(f"--queue loses {'; '.join(lost)}; add --yes if that is meant")
    parts = [part for part in PARTS if getattr(asked.opts, part)]
    purged = {
        name: {part: await _PURGES[part](asked, name) for part in parts} for name in asked.spiders
    }
    if asked.opts.json:
        print_json({"purged": purged})
        return
    for name, counts in purged.items():
        told = ", ".join(f"{counts[part]} {_PURGED[part]}" for part in parts)
        print(f"{name}: deleted {told}")


async def _would_lose(asked: Asked, name: str) -> str:
    stats = await _upkeep(asked, name).stats()
    return f"{stats.requests} requests of {name}, {stats.leased} of them leased"


async def _purge_queue(asked: Asked, name: str) -> int:
    return await _upkeep(asked, name).purge_queue()


async def _purge_dead(asked: Asked, name: str) -> int:
    return await _upkeep(asked, name).purge_dead()


async def _purge_seen(asked: Asked, name: str) -> int:
    upkeep = _upkeep(asked, name)
    known = (await upkeep.stats()).seen
    await upkeep.forget_seen()
    return known


async def _purge_clock(asked: Asked, name: str) -> int:
    from tgecrawler.scheduling.queue_report import forget_clock

    return await forget_clock(asked.client, name)


def _upkeep(asked: Asked, name: str) -> QueueUpkeep:
    from tgecrawler.scheduling.queue_upkeep import QueueUpkeep, queue_prefix

    return QueueUpkeep(asked.client, queue_prefix(name), seen_s=asked.seen_s)


def _print_share(share: SpiderShare) -> None:
    print(
        f"{share.spider}: {share.requests} requests: {share.queued} queued, {share.leased} leased "
        f"({share.in_flight} in flight), {share.delayed} delayed; {share.dead} dead"
    )
    if share.oldest:
        since = f", since {share.oldest.since}" if share.oldest.since else ""
        print(f"longest in line: {share.oldest.url or share.oldest.id}{since}")
    print(f"filter: {share.seen} fingerprints in {share.seen_bytes / 1e6:.1f} MB")
    clock = share.clock
    following = "" if clock.next_due_s is None else f", the next in {in_words(clock.next_due_s)}"
    print(
        f"clock: {clock.sources} sources, {clock.leased} being polled, {clock.due} due"
        f"{following}; {clock.in_cycle} left of a cycle"
    )
    if share.workers:
        title = f"{len(share.workers)} workers in a day"
        columns = ("worker", "heard of", "leased", "in flight", "first runs out in")
        rows = [_worker_cells(one) for one in share.workers[:SHOWN_WORKERS]]
        print_table(title, columns, rows)
    if share.hosts:
        rows = [
            (
                one.host,
                f"{one.queued}",
                f"{one.in_flight}",
                "" if one.waits_s is None else in_words(one.waits_s),
            )
            for one in share.hosts
        ]
        print_table("longest queues", ("host", "queued", "in flight", "to be left alone"), rows)


def _worker_cells(one: WorkerShare) -> tuple[str, ...]:
    heard = "not in a day" if one.heard_s_ago is None else f"{in_words(one.heard_s_ago)} ago"
    deadline = "" if one.next_deadline_s is None else in_words(max(0.0, one.next_deadline_s))
    return one.worker, heard, f"{one.leased}", f"{one.in_flight}", deadline


def _memory_line(memory: RedisMemory) -> str:
    if not memory.most_bytes:
        return f"Redis: {memory.used_bytes / 1e6:.1f} MB, without a limit"
    return (
        f"Redis: {memory.used_bytes / 1e6:.1f} of {memory.most_bytes / 1e6:.1f} MB, "
        f"and then {memory.policy}"
    )


def _dead_json(name: str, one: DeadRequest, url: str, now_s: float) -> dict[str, Any]:
    return {
        "spider": name,
        "id": one.id,
        "reason": one.reason,
        "attempts": one.attempts,
        "reclaims": one.reclaims,
        "age_s": round(max(0.0, now_s - one.died_at_s), 1),
        "url": url,
        "payload": one.payload.decode(errors="backslashreplace"),
    }


def _dead_cells(name: str, one: DeadRequest, url: str, now_s: float) -> tuple[str, ...]:
    age = in_words(max(0.0, now_s - one.died_at_s))
    shown = url or f"not ours: {one.payload[:60]!r}"
    return name, one.id, one.reason, f"{one.attempts}", f"{one.reclaims}", age, shown


_PURGED = {
    "queue": "requests",
    "dead": "dead requests",
    "seen": "fingerprints",
    "clock": "sources of the clock",
}
_PURGES: dict[str, Callable[[Asked, str], Awaitable[int]]] = {
    "queue": _purge_queue,
    "dead": _purge_dead,
    "seen": _purge_seen,
    "clock": _purge_clock,
}
_DO: dict[str, Callable[[Asked], Awaitable[None]]] = {
    "stats": _stats,
    "dead": _dead,
    "retry": _retry,
    "purge": _purge,
}
