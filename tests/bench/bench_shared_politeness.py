"""How polite workers that share a crawl are, by the server's log: as polite as one.

A gap is measured where the server's machine received the requests, by the kernel's own clock;
see `shared_server`. What a worker was interrupted for between its turn and its sending is in it.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from itertools import pairwise

from bench_shared_chaos import crawl_of
from shared_chaos import Stored, end_leftovers, stored_in
from shared_crawl import LEASE_S, Crawl, Crew
from shared_log import Politeness, politeness_of, polls_of
from shared_world import World

from run import Row

CREWS = (1, 2, 10)
WORLD = World(10, 160)
GAP_S = 0.25  # ten workers take half a minute to start on two cores, and all are to take part
WATCHED = World(20, 40, first=4, grow_s=3.0)
EVERY_S = 3.0
WATCH_LATENCY_S = 0.2  # of the server, so that whoever is killed has polls under way
WATCH_S = 48.0
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Cycle:
    """What the server saw of a cycle.

    Attributes:
        polls: how often each feed was asked for.
        workers: that fetched pages.
    """

    politeness: Politeness
    polls: list[int]
    workers: int
    lost: int
    seconds: float
    bad_ends: list[int]


@dataclass(frozen=True, slots=True)
class Watching:
    """What came of feeds that were watched.

    Attributes:
        between_s: from a poll of a feed to its next one, in order.
        early: those below `EVERY_S`.
        lost: of the entries that were published in time to be polled once more.
    """

    politeness: Politeness
    between_s: list[float]
    early: int
    feeds: int
    lost: int
    stored: Stored
    bad_ends: list[int]


def cycle(size: int, world: World = WORLD, gap_s: float = GAP_S) -> Cycle:
    """Return what a crew of a size did on a world."""
    with crawl_of(world, DOWNLOAD_DELAY=gap_s) as (crawl, _):
        started_s = time.monotonic()
        with Crew(crawl, size) as crew:
            crew.finish(PATIENCE_S)
        seconds = time.monotonic() - started_s
        stored, visits = stored_in(crawl.database_url), crawl.visits
        end_leftovers(crawl)
        return Cycle(
            politeness=politeness_of(visits, gap_s),
            polls=[len(times) for times in polls_of(visits).values()],
            workers=len({visit.who for visit in visits}),
            lost=len(crawl.world.published() - stored.mentions),
            seconds=seconds,
            bad_ends=crew.bad_ends,
        )


def watch(world: World = WATCHED, watch_s: float = WATCH_S, size: int = 3) -> Watching:
    """Return what came of a watch in which each worker is killed once, and started anew."""
    every = {"TGE_POLL_SHORTEST_S": EVERY_S, "TGE_POLL_LONGEST_S": EVERY_S}
    with crawl_of(world, latency_s=WATCH_LATENCY_S, **every) as (crawl, _):
        with Crew(crawl, size, "-a", "watch=1") as crew:
            _wait_for_polls(crawl, crew)
            for worker in crew.workers:
                time.sleep(watch_s / 2 / size)
                worker.kill()
                time.sleep(watch_s / 2 / size)
                crew.tend()
            time.sleep(EVERY_S)
            for worker in crew.workers:
                worker.signal(signal.SIGTERM)
            ended_s = time.time()
            crew.finish(PATIENCE_S)
        visits, stored = crawl.visits, stored_in(crawl.database_url)
        end_leftovers(crawl)
        polls = polls_of(visits)
        between_s = sorted(
            after - before for times in polls.values() for before, after in pairwise(times)
        )
        return Watching(
            politeness=politeness_of(visits, float(str(crawl.given("DOWNLOAD_DELAY")))),
            between_s=between_s,
            early=sum(one < EVERY_S for one in between_s),
            feeds=sum(times[-1] > ended_s - 2 * EVERY_S - LEASE_S for times in polls.values()),
            lost=len(_due(crawl, ended_s) - stored.mentions),
            stored=stored,
            bad_ends=crew.bad_ends,
        )


def bench_shared_politeness() -> list[Row]:
    """A cycle of one, two and ten workers, and a watch of three."""
    rows: list[Row] = []
    for size in CREWS:
        found = cycle(size)
        name = f"{size} worker{'s' if size > 1 else ''}, {WORLD.hosts} hosts, gap {GAP_S:g} s"
        rows += [
            Row(f"{name}: requests of a host at a time", found.politeness.parallel, "", 1),
            *_gaps(found.politeness),
            Row("  most polls of a feed", max(found.polls), "", 1, f"{len(found.polls)} feeds"),
            Row("  workers that took no part", size - found.workers, "", 0),
            Row("  pages not stored", found.lost, "", 0),
            Row("  took", found.seconds, "s", None, _load()),
        ]
    return rows + _watch_rows(watch())


def _watch_rows(found: Watching) -> list[Row]:
    between_s = found.between_s
    name = (
        f"3 workers watch {WATCHED.hosts} feeds, each due every {EVERY_S:g} s, each is killed once"
    )
    return [
        Row(f"{name}: polls too early", found.early, f"of {len(between_s)}", 0),
        Row("  between polls, least", between_s[0], "s", None),
        Row("  median", between_s[len(between_s) // 2], "s", None),
        Row("  95 %", between_s[int(len(between_s) * 0.95)], "s", None),
        Row("  most", between_s[-1], "s", EVERY_S + LEASE_S + 5),
        Row("  feeds polled no more", WATCHED.hosts - found.feeds, "", 0),
        Row("  entries not stored", found.lost, f"of {len(found.stored.mentions)}", 0),
        Row("  requests of a host at a time", found.politeness.parallel, "", 1),
        *_gaps(found.politeness),
        Row("  workers that ended badly", len(found.bad_ends), "", 0, _load()),
    ]


def _gaps(found: Politeness) -> list[Row]:
    return [
        Row("  gaps too short", found.violations, f"of {found.gaps}", 0),
        Row("  smallest gap", found.smallest_s * 1e3, "ms", None),
    ]


def _wait_for_polls(crawl: Crawl, crew: Crew) -> None:
    """Return once every feed was polled."""
    ends = time.monotonic() + PATIENCE_S
    while len(polls_of(crawl.visits)) < crawl.world.hosts:
        if time.monotonic() > ends or crew.tend(restart=False) < len(crew.workers):
            raise RuntimeError(crew.said[-3_000:])
        time.sleep(0.1)


def _due(crawl: Crawl, ended_s: float) -> set[str]:
    """Return the ids of entries that were there a poll, a page and a batch before the end."""
    return crawl.world.published(ended_s - EVERY_S - LEASE_S - 5)


def _load() -> str:
    return "load " + ", ".join(f"{one:.1f}" for one in os.getloadavg())
