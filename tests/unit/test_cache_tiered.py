"""The cache as its users see it, on a clock that is set by hand."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from cache_cases import DAY_S, MB, Clock, cache_over

from tgecrawler.cache.entry import MOST_VALUE_BYTES
from tgecrawler.cache.guarded import REST_S
from tgecrawler.cache.level import LevelError
from tgecrawler.cache.report import advise, tier_rows
from tgecrawler.cache.sqlite import SqliteLevel
from tgecrawler.cache.tiered import TieredCache
from tgecrawler.cache.tiers import TIERS
from tgecrawler.cache.two_levels import HEAR_EVERY_S
from tgecrawler.cache.usage import MOST_WAITING


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def level(tmp_path):
    level = SqliteLevel(tmp_path / "cache.sqlite", 50 * MB)
    yield level
    level.close()


@pytest.fixture
def cache(level, clock):
    return cache_over(level, clock)


@pytest.fixture
def second(tmp_path, clock):
    """The cache of another process over the same file."""
    level = SqliteLevel(tmp_path / "cache.sqlite", 50 * MB)
    yield cache_over(level, clock)
    level.close()


class BrokenLevel:
    """Fails, whatever is asked; counts how often."""

    def __init__(self, *, rests):
        self.rests = rests
        self.tries = 0
        self.evictions = 0

    def __getattr__(self, name):
        def fail(*_):
            self.tries += 1
            raise LevelError("out of order", rests=self.rests)

        return fail


@pytest.mark.parametrize(("tier", "ttl_s"), [(t.name, t.ttl_s) for t in TIERS.values()])
def test_each_tier_has_its_time(cache, clock, tier, ttl_s):
    cache.set(tier, "k", b"value")
    clock.pass_s(ttl_s - 1)
    assert cache.get(tier, "k") == b"value"
    clock.pass_s(1)
    assert cache.get(tier, "k") is None


def test_what_the_table_says():
    assert {name: tier.ttl_s for name, tier in TIERS.items()} == {
        "feed": 600,
        "article": 3 * DAY_S,
        "x_user": 3_600,
        "search": 300,
        "moved": 86_400,
        "robots": DAY_S,
        "host": DAY_S,
        "validators": DAY_S,
    }
    for tier in TIERS.values():
        assert tier.shortest_ttl_s <= tier.ttl_s <= tier.longest_ttl_s


def test_an_unknown_tier_is_our_error(cache):
    for call in (cache.get, cache.lookup, cache.delete):
        with pytest.raises(KeyError):
            call("feeds", "k")
    with pytest.raises(KeyError):
        cache.set("feeds", "k", b"")
    with pytest.raises(KeyError):
        cache.clear("feeds")


def test_what_has_expired_can_still_be_asked_for_again(cache, clock):
    cache.set("feed", "k", b"value", meta=b"etag 1", tags=("the-block",))
    stored_at = cache.lookup("feed", "k").stored_at
    clock.pass_s(700)
    hit = cache.lookup("feed", "k")
    assert (hit.value, hit.meta, hit.tags, hit.fresh) == (
        b"value",
        b"etag 1",
        ("the-block",),
        False,
    )
    assert hit.stored_at == stored_at
    assert hit.stored_at.timestamp() == clock() - 700


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_touch_begins_the_time_anew_and_writes_no_body(level, clock, in_memory):
    cache = cache_over(level, clock)
    cache.set("feed", "k", b"value", meta=b"etag 1")
    clock.pass_s(700)
    level.write = None  # would raise
    toucher = cache if in_memory else cache_over(level, clock)
    assert toucher.touch("feed", "k", meta=b"etag 2") is True
    hit = cache_over(level, clock).lookup("feed", "k")
    assert (hit.value, hit.meta, hit.fresh) == (b"value", b"etag 2", True)
    assert (hit.stored_at.timestamp(), hit.checked_at.timestamp()) == (clock() - 700, clock())
    assert toucher.stats()["feed"]["revalidated"] == 1


def test_what_is_gone_cannot_be_touched(cache, clock, level):
    assert cache.touch("feed", "k") is False
    cache.set("feed", "k", b"value")
    cache.clear()
    assert cache.touch("feed", "k") is False


def test_an_entry_that_left_the_shared_level_is_written_again_by_a_touch(cache, clock, second):
    cache.set("feed", "k", b"value")
    second.get("feed", "other")
    second._levels.shared.level.most_bytes = 1
    second.set("feed", "other", b"drives it out")
    assert cache.touch("feed", "k") is True
    second._levels.shared.level.most_bytes = 50 * MB
    assert second.get("feed", "k") == b"value"


def test_the_age_may_be_held_shorter_but_never_longer(cache, clock):
    cache.set("feed", "k", b"value")
    clock.pass_s(100)
    assert cache.lookup("feed", "k", max_age_s=101).fresh
    assert not cache.lookup("feed", "k", max_age_s=100).fresh
    assert not cache.lookup("feed", "k", max_age_s=0).fresh
    clock.pass_s(600)
    assert not cache.lookup("feed", "k", max_age_s=10_000).fresh


def test_what_another_process_stored_is_found(cache, second, clock):
    cache.set("feed", "k", b"one")
    assert second.get("feed", "k") == b"one"
    clock.pass_s(601)
    cache.set("feed", "k", b"two")
    assert second.get("feed", "k") == b"two"  # its own copy has expired, the other's is newer


def test_what_another_process_dropped_is_gone_soon(cache, second, clock):
    for name in ("a", "b"):
        cache.set("feed", name, b"value", tags=(name,))
        assert second.get("feed", name) == b"value"
    assert cache.invalidate_tag("a") == 1
    clock.pass_s(HEAR_EVERY_S + 0.01)
    assert second.get("feed", "a") is None
    assert second.get("feed", "b") == b"value"
    assert cache.delete("feed", "b") is True
    assert cache.delete("feed", "b") is False
    clock.pass_s(HEAR_EVERY_S + 0.01)
    assert second.get("feed", "b") is None


def test_names_that_nobody_can_encode_fail_nothing(cache, second):
    cache.set("feed", "half \ud83d", b"value", tags=("half \ud83d",))
    assert second.get("feed", "half \ud83d") == b"value"
    assert cache.touch("feed", "half \ud83d")
    assert cache.get_or_fetch("feed", "half \ud83d", bytes) == b"value"
    assert cache.invalidate_tag("half \ud83d") == 1
    assert cache.delete("feed", "half \ud83d") is False
    assert cache.stats()["shared_failures"] == 0


def test_clearing_a_tier_leaves_the_others(cache):
    cache.set("feed", "k", b"value")
    cache.set("article", "k", b"value")
    assert cache.clear("feed") == 1
    assert cache.get("feed", "k") is None
    assert cache.get("article", "k") == b"value"
    assert cache.clear() == 1


def test_a_value_that_is_too_large_is_not_kept_nor_the_one_before(cache):
    cache.set("article", "k", b"small")
    cache.set("article", "k", bytes(MOST_VALUE_BYTES + 1))
    assert cache.lookup("article", "k") is None
    assert cache.stats()["oversize"] == 1


def test_warming_loads_the_most_used(level, clock, second):
    cache = cache_over(level, clock)
    for name in "abcdef":
        cache.set("feed", name, name.encode())
    for name in "bbbdd":
        cache.get("feed", name)
    cache.flush()
    assert second.warm(2) == 2
    level.read = None
    second._levels.shared.level.read = None  # would raise: what follows comes from memory
    assert [second.get("feed", name) for name in "bd"] == [b"b", b"d"]


def test_warming_stops_when_memory_is_full(level, clock):
    cache = cache_over(level, clock)
    for number in range(50):
        cache.set("feed", str(number), bytes(10_000))
    small = TieredCache(level, memory_bytes=100_000, clock=clock)
    assert 5 < small.warm(50) < 10
    assert small.stats()["memory_bytes"] <= 100_000


def test_times_follow_how_often_the_original_changes(cache, clock):
    for number in range(12):
        cache.set("feed", "busy", str(number).encode())
        cache.set("feed", "idle", b"the same")
        clock.pass_s(600)
    cache.set("feed", "busy", b"again")
    assert cache.touch("feed", "idle")

    def lifetime_s(key):
        return cache.lookup("feed", key).entry.expires_s - clock()

    assert 60 <= lifetime_s("busy") < 200
    assert lifetime_s("idle") == TIERS["feed"].longest_ttl_s
    row = cache.stats()["feed"]
    assert (row["changed"], row["revalidated"]) == (12, 1)


def test_the_history_outlives_the_process(cache, second, clock):
    for _ in range(12):
        cache.set("feed", "idle", b"the same")
        clock.pass_s(600)
    assert second.touch("feed", "idle")
    assert second.lookup("feed", "idle").entry.expires_s == clock() + TIERS["feed"].longest_ttl_s


def test_a_time_that_is_given_holds(cache, clock):
    cache.set("host", "a.example", b"rests", ttl_s=12.5)
    clock.pass_s(12)
    assert cache.get("host", "a.example") == b"rests"
    clock.pass_s(1)
    assert cache.lookup("host", "a.example") is None or not cache.lookup("host", "a.example").fresh


@pytest.mark.parametrize("rests", [True, False])
def test_a_broken_shared_level_fails_nothing(clock, caplog, rests):
    level = BrokenLevel(rests=rests)
    cache = cache_over(level, clock)
    for number in range(20):
        cache.set("feed", str(number), b"value", tags=("t",))
        assert cache.get("feed", str(number)) == b"value"
        assert cache.get("feed", "other") is None
    assert cache.touch("feed", "1") is True
    assert cache.invalidate_tag("t") == 20
    assert cache.warm(10) == 0
    cache.clear()
    cache.stats()
    cache.close()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert level.tries == 1 if rests else level.tries > 40
    clock.pass_s(REST_S + 1)
    cache.get("feed", "other")
    assert level.tries == 2 if rests else level.tries > 40


def test_without_a_shared_level_memory_serves(clock):
    cache = cache_over(None, clock)
    cache.set("feed", "k", b"value", tags=("t",))
    assert cache.get("feed", "k") == b"value"
    assert cache.touch("feed", "k")
    assert cache.invalidate_tag("t") == 1
    assert cache.warm(5) == 0
    cache.close()


def test_what_is_damaged_in_the_shared_level_is_a_miss(cache, second, level):
    cache.set("feed", "k", b"value")
    with level._write() as db:
        db.execute("UPDATE bodies SET body = x'0000'")
    assert second.get("feed", "k") is None
    assert second.stats()["shared_failures"] == 1


def test_figures_of_a_tier(cache, clock):
    assert cache.get("feed", "k") is None
    cache.set("feed", "k", b"value")
    for _ in range(3):
        cache.get("feed", "k")
    clock.pass_s(601)
    assert cache.get("feed", "k") is None
    cache.touch("feed", "k")
    row = cache.stats()["feed"]
    assert (row["hits"], row["misses"], row["revalidated"]) == (3, 2, 1)
    assert row["hit_ratio"] == 0.8
    assert 0 < row["lookup_us_p50"] <= row["lookup_us_p99"]


def test_counts_reach_the_shared_level_without_being_asked(cache, level):
    cache.set("feed", "k", b"value")
    for _ in range(MOST_WAITING):
        cache.get("feed", "k")
    assert level.counts()["feed", "hits"] == MOST_WAITING
    assert level.sizes()["feed"].entries == 1


def test_advice_follows_from_what_all_runs_have_seen(cache, level, clock):
    for number in range(40):
        cache.set("feed", "busy", str(number).encode())
        cache.set("article", "page", b"the same")
        clock.pass_s(600)
    cache.flush()
    rows = {row.tier: row for row in advise(TIERS, level.counts())}
    assert 60 <= rows["feed"].proposed_ttl_s < 200
    assert rows["feed"].differs
    assert rows["article"].proposed_ttl_s == TIERS["article"].ttl_s  # looked at too often to know
    assert rows["search"].why == "nobody has looked again often enough"
    feed, *_ = tier_rows(["feed"], level)
    assert (feed.entries, feed.checks, feed.changes) == (1, 39, 39)


def test_of_threads_that_want_the_same_one_fetches(cache):
    started, go = threading.Event(), threading.Event()
    calls, results = [], []

    def fetch():
        calls.append(1)
        started.set()
        assert go.wait(30)
        return b"value"

    def want():
        results.append(cache.get_or_fetch("feed", "k", fetch))

    threads = [threading.Thread(target=want) for _ in range(10)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert results == [b"value"] * 10
    assert len(calls) == 1
    assert cache.get("feed", "k") == b"value"


def test_what_a_fetch_raises_is_raised_and_not_kept(cache):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get_or_fetch("feed", "k", fail)
    assert cache.get_or_fetch("feed", "k", lambda: b"value", tags=("t",)) == b"value"
    assert cache.invalidate_tag("t") == 1


def test_of_tasks_that_want_the_same_one_fetches(cache):
    calls = []

    async def crawl():
        go = asyncio.Event()

        async def fetch():
            calls.append(1)
            await go.wait()
            return b"value"

        tasks = [
            asyncio.create_task(cache.get_or_fetch_async("feed", "k", fetch)) for _ in range(10)
        ]
        while not calls:
            await asyncio.sleep(0)
        tasks[0].cancel()  # leaves alone: the others still get it
        go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [b"value"] * 9
        assert await cache.get_or_fetch_async("feed", "k", fetch) == b"value"

    asyncio.run(crawl())
    assert len(calls) == 1


def test_what_an_async_fetch_raises_is_raised(cache):
    async def fail():
        raise ValueError("no")

    async def crawl():
        with pytest.raises(ValueError, match="no"):
            await cache.get_or_fetch_async("feed", "k", fail)

    asyncio.run(crawl())


def test_threads_hammer_one_cache(level, clock):
    """Each value says under which key it was stored; none is ever found under another."""
    cache = TieredCache(level, memory_bytes=200_000, clock=clock)
    failures = []

    def work(seed):
        try:
            for step in range(300):
                key = str((seed * 7 + step * 13) % 40)
                value = cache.get_or_fetch(
                    "article", key, lambda key=key: key.encode() * 1_000, tags=(f"t{key}",)
                )
                assert value == key.encode() * 1_000
                if step % 50 == seed:
                    cache.invalidate_tag(f"t{key}")
                if step % 9 == 0:
                    cache.touch("article", key)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    stats = cache.stats()
    assert stats["memory_bytes"] <= 200_000
    assert stats["shared_failures"] == 0
