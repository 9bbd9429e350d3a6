"""What a crawl that three workers share loses when they die and their servers go away: nothing.

The short form is that of tests/services/test_shared_chaos.py; the soak is 20,000 pages over 50
hosts, with 200 kills, some ten minutes. What is promised, and with what:

- Redis with ``appendfsync always`` (`shared_crawl.LASTING`) keeps what it has confirmed, over a
  kill as over a loss of power: nothing is lost, and no feed need be polled again.
- With ``everysec`` (Redis's own default) a kill keeps what was written, save where the disk was
  slow; a loss of power may take the last two seconds. What that takes out of the queue is
  fetched at the next poll of its feed: a body whose entries did not all come to rest is read
  anew. So it is late, and not lost. `soak_shared_everysec` measures it.
- Delivery is at least once: a page may be fetched twice, and a row written twice is one row.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from shared_chaos import Outcome, Plan, run
from shared_crawl import Crawl, PostgresqlServer, lasting_redis, serving, web
from shared_scenes import Scene, empty_redis, poison, restart_everything
from shared_world import MOST_ENTRIES, MOST_HOSTS, World

from run import Row

SHORT_WORLD = World(10, 24)
SHORT_GAP_S = 0.25  # so that there is something left to do for those who come after the dead
SHORT = Plan(
    kills=4, pause_s=None, redis_restarts=2, redis_away_s=1, frozen_s=0, seed=3
)  # fmt: skip
SCENE_WORLD = World(20, 100)
EVERYSEC = ("--appendfsync", "everysec")


@contextmanager
def crawl_of(
    world: World,
    *options: str,
    server: PostgresqlServer | None = None,
    latency_s: float = 0.01,
    **settings: object,
) -> Iterator[tuple[Crawl, PostgresqlServer]]:
    """Yield a crawl of a world, with servers of its own unless a PostgreSQL is given."""
    with (
        tempfile.TemporaryDirectory(prefix="tge-shared-") as name,
        nullcontext(server) if server else serving() as database,
    ):
        folder = Path(name)
        with (
            database.database() as url,
            lasting_redis(folder / "redis", *options) as redis,
            web(world, folder, latency_s) as served,
        ):
            yield Crawl(served, folder, url, redis, settings), database


def bench_shared_chaos() -> list[Row]:
    """A few pages and a few kills."""
    with crawl_of(SHORT_WORLD, DOWNLOAD_DELAY=SHORT_GAP_S) as (crawl, database):
        return rows_of(run(crawl, SHORT, database=database), crawl.world)


def soak_shared_chaos() -> list[Row]:
    """The whole of it: 20,000 pages, 200 kills, Redis stopped 11 times, once for half a minute."""
    world = World(MOST_HOSTS, MOST_ENTRIES)
    with crawl_of(world, DOWNLOAD_DELAY=0.05, TGE_READERS=0) as (crawl, database):
        return rows_of(run(crawl, Plan(), database=database), crawl.world)


def soak_shared_everysec() -> list[Row]:
    """The same in small with Redis's own default, and with PostgreSQL's restarts."""
    plan = Plan(kills=20, redis_restarts=6, redis_away_s=5, database_restarts=3, seed=11)
    with crawl_of(World(20, 100), *EVERYSEC) as (crawl, database):
        return rows_of(run(crawl, plan, database=database), crawl.world, "everysec, PostgreSQL too")


def soak_shared_scenes() -> list[Row]:
    """Everything restarted at once; an emptied Redis; pickles in the queue."""
    rows: list[Row] = []
    with crawl_of(SCENE_WORLD) as (crawl, database):
        rows += scene_rows("all killed at once", restart_everything(crawl, database), crawl.world)
    with crawl_of(SCENE_WORLD) as (crawl, _):
        rows += scene_rows("FLUSHDB in mid-crawl", empty_redis(crawl), crawl.world)
    with crawl_of(SCENE_WORLD) as (crawl, _):
        trap = crawl.folder / "sprung"
        scene = poison(crawl, trap)
        rows += scene_rows("pickles in the queue", scene, crawl.world)
        rows += [
            Row("  of two: run", int(trap.exists()), "", 0),
            Row("  of two: not among the dead", 2 - len(scene.dead), "", 0),
        ]
    return rows


def rows_of(found: Outcome, world: World, title: str = "") -> list[Row]:
    published, told = world.published(), found.told
    again = {page: count for page, count in found.fetches.items() if count > 1}
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    name = f"{world.pages} pages, {found.kills} kills" + (f", {title}" if title else "")
    return [
        Row(f"{name}: lost", len(published - found.after.mentions), "", 0, f"load {load}"),
        Row("  stored by a further poll alone", len(published - found.before.mentions), "", None),
        Row("  further cycles", found.cycles, "", None),
        Row("  rows that should not be there", _surplus(found, published), "", 0),
        Row("  pages without an alert of their own", world.pages - len(found.after.alerts), "", 0),
        Row("  pages without an event of their own", world.pages - found.after.events, "", 0),
        Row("  alerts not on the stream", len(found.after.alerts - set(told.alerts)), "", 0),
        Row("  alerts on the stream twice", _twice(told.alerts), "", 0),
        Row("  messages that a reader got twice", _twice(told.delivered), "", 0),
        Row("  messages that a reader did not get", told.left, "", 0),
        Row("  dead requests", len(found.dead), "", 0),
        Row("  requests left in the queue", found.left, "", 0),
        Row("  processes left behind", found.leftovers, "", 0),
        Row("  workers that ended badly", len(found.bad_ends), "", None, str(found.bad_ends)),
        Row("  processes", found.lives, "", None),
        Row("  leases of the dead taken over, at least", found.reclaimed, "", None),
        Row("  pages fetched more than once", len(again), "", None, _times(again)),
        Row("  most polls of a feed", max(found.polls.values(), default=0), "", None),
        Row("  requests of a host at a time", found.politeness.parallel, "", 1),
        Row("  gaps too short", found.politeness.violations, f"of {found.politeness.gaps}", 0),
        Row("  smallest gap", found.politeness.smallest_s * 1e3, "ms", None),
        Row("  the disasters took", found.disasters_s, "s", None),
        Row("  all took", found.seconds, "s", None),
    ]


def scene_rows(name: str, found: Scene, world: World) -> list[Row]:
    published = world.published()
    return [
        Row(
            f"{name}: lost", len(published - found.after.mentions), "", 0, f"{found.at} were there"
        ),
        Row("  stored by a further poll alone", len(published - found.before.mentions), "", None),
        Row("  further cycles", found.cycles, "", None),
        Row("  rows that should not be there", found.after.duplicates, "", 0),
        Row("  workers that ended badly", len(found.bad_ends), "", 0, str(found.bad_ends)),
    ]


def _surplus(found: Outcome, published: set[str]) -> int:
    return found.after.duplicates + len(found.after.mentions - published)


def _twice(counts: dict[str, int]) -> int:
    return sum(count > 1 for count in counts.values())


def _times(again: dict[str, int]) -> str:
    return f"at most {max(again.values())} times" if again else ""
