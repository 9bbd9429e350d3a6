"""A crawl that three workers share, while they and their servers die: nothing lost, nothing twice.

The soak of `make bench` does the same for longer; see tests/bench/bench_shared_chaos.py.
"""

from __future__ import annotations

import pytest
from bench_shared_chaos import SHORT, SHORT_GAP_S, SHORT_WORLD, crawl_of
from postgresql_server import unavailable
from redis_server import RedisServer
from shared_chaos import run
from shared_scenes import empty_redis, poison, restart_everything
from shared_world import World

pytestmark = pytest.mark.slow

SMALL = World(6, 20)


@pytest.fixture(autouse=True)
def _redis() -> None:
    if RedisServer.binary() is None:
        unavailable("no redis-server found in PATH")


def test_workers_killed_and_servers_restarted(postgresql):
    with crawl_of(SHORT_WORLD, server=postgresql, DOWNLOAD_DELAY=SHORT_GAP_S) as (crawl, database):
        found = run(crawl, SHORT, database=database)
    published, told = crawl.world.published(), found.told
    assert found.kills == SHORT.kills
    assert found.before.mentions == published, found.said[-5_000:]  # no feed was polled again
    assert found.cycles == 0
    assert found.after.duplicates == 0
    assert len(found.after.alerts) == found.after.events == len(published)
    assert set(told.alerts) == found.after.alerts
    assert set(told.alerts.values()) == {1}
    assert set(told.delivered.values()) == {1}
    assert told.left == 0
    assert found.dead == {}
    assert found.left == 0
    assert found.leftovers == 0
    assert found.politeness.parallel == 1


def test_everything_killed_at_once(postgresql):
    with crawl_of(SMALL, server=postgresql) as (crawl, database):
        found = restart_everything(crawl, database, size=2)
    assert found.before.mentions == crawl.world.published(), found.said[-5_000:]
    assert found.after.duplicates == 0
    assert found.bad_ends == []


def test_an_emptied_redis(postgresql):
    with crawl_of(SMALL, server=postgresql) as (crawl, _):
        found = empty_redis(crawl, size=2)
    # what the queue had is told by the next poll of its feed
    assert found.after.mentions == crawl.world.published(), found.said[-5_000:]
    assert found.cycles <= 1
    assert found.after.duplicates == 0
    assert found.bad_ends == []


def test_a_pickle_in_the_queue(postgresql):
    with crawl_of(SMALL, server=postgresql) as (crawl, _):
        trap = crawl.folder / "sprung"
        found = poison(crawl, trap, size=2)
        assert not trap.exists()
    assert set(found.dead) == {b"foreign-value", b"foreign-payload"}
    assert found.before.mentions == crawl.world.published(), found.said[-5_000:]
    assert found.bad_ends == []
