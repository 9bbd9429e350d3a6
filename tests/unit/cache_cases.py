"""What the tests of the cache share: a clock that is set by hand, and cases for both levels."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from tgecrawler.cache.level import Gone, Stored, Usage
from tgecrawler.cache.tiered import TieredCache

HEARING_TRIES = 1_000

START_S = 1_800_000_000.0
MB = 1_000_000
DAY_S = 86_400.0


@dataclass
class Clock:
    """Tells the time that a test has set."""

    now_s: float = START_S

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds


def cache_over(level, clock, **arguments) -> TieredCache:
    return TieredCache(level, memory_bytes=10 * MB, clock=clock, **arguments)


def stored(body: bytes = b"body", *, keep_s: float = DAY_S, tags: tuple[str, ...] = ()) -> Stored:
    return Stored(b"head", body, START_S + keep_s, tags)


class LevelCases:
    """What holds on every shared level; fixtures `level`, and `other`: a second process's."""

    def test_what_was_written_is_read_and_replaced(self, level, other):
        assert level.read(("feed", "a"), START_S) is None
        level.write(("feed", "a"), stored(b"one"), START_S)
        assert other.read(("feed", "a"), START_S) == (b"head", b"one")
        other.write(("feed", "a"), stored(b"two"), START_S)
        assert level.read(("feed", "a"), START_S) == (b"head", b"two")
        assert level.read(("article", "a"), START_S) is None

    def test_keys_may_be_any_text(self, level):
        keys = ["", ":", "a:b", "ключ 🔑", "'; DROP TABLE entries; --", "*", "x" * 3_000]
        for key in keys:
            level.write(("feed", key), stored(key.encode()), START_S)
        assert [level.read(("feed", key), START_S)[1] for key in keys] == [k.encode() for k in keys]
        assert {key for _, key in level.hottest(99)} == set(keys)

    def test_a_head_is_renewed_without_its_body(self, level):
        assert level.write_head(("feed", "a"), b"new", START_S + 60, START_S) is False
        level.write(("feed", "a"), stored(b"body"), START_S)
        assert level.write_head(("feed", "a"), b"new", START_S + 60, START_S) is True
        assert level.read(("feed", "a"), START_S) == (b"new", b"body")

    def test_dropping_by_tag_reaches_what_bears_it_now(self, level, other):
        level.write(("feed", "a"), stored(tags=("x", "y")), START_S)
        level.write(("feed", "b"), stored(tags=("y",)), START_S)
        level.write(("feed", "c"), stored(tags=("x",)), START_S)
        level.write(("feed", "c"), stored(tags=("z",)), START_S)  # bears x no more
        assert other.drop(Gone(tag="x"), START_S) == 1
        assert [level.read(("feed", key), START_S) is None for key in "abc"] == [True, False, False]
        assert other.drop(Gone(tag="x"), START_S) == 0

    def test_dropping_by_tier_by_key_and_all(self, level):
        for tier in ("feed", "article", "x_user"):
            for key in "ab":
                level.write((tier, key), stored(tags=("t",)), START_S)
        assert level.drop(Gone(tier="feed", key="a"), START_S) == 1
        assert level.drop(Gone(tier="feed", key="a"), START_S) == 0
        assert level.drop(Gone(tier="article"), START_S) == 2
        assert level.sizes().keys() == {"feed", "x_user"}
        assert level.drop(Gone(), START_S) == 3
        assert level.sizes() == {}

    def test_others_hear_what_was_dropped_each_word_once(self, level, other):
        for one in (level, other):
            one.heard()
        level.drop(Gone(tag="x"), START_S)
        level.drop(Gone(tier="feed", key="k:1"), START_S)
        level.drop(Gone(), START_S)
        said = [Gone(tag="x"), Gone(tier="feed", key="k:1"), Gone()]
        heard: list[Gone] = []
        for _ in range(HEARING_TRIES):  # what was said may still be on its way
            heard += other.heard()
            if len(heard) >= len(said):
                break
            time.sleep(0.01)
        assert heard == said
        assert list(other.heard()) == []

    def test_the_most_used_come_first(self, level):
        for key in "abc":
            level.write(("feed", key), stored(), START_S)
        level.record(Usage({("feed", "c"): (5, START_S), ("feed", "b"): (2, START_S)}, {}))
        level.record(Usage({("feed", "nobody"): (9, START_S)}, {}))
        assert [key for _, key in level.hottest(2)] == ["c", "b"]
        assert level.hottest(0) == []

    def test_counts_of_all_processes_add_up(self, level, other):
        level.record(Usage({}, {("feed", "hits"): 3, ("feed", "watched_s"): 0.5}))
        other.record(Usage({}, {("feed", "hits"): 4}))
        assert level.counts() == {("feed", "hits"): 7, ("feed", "watched_s"): 0.5}

    def test_the_least_recently_used_goes_when_the_bound_is_met(self, level):
        level.most_bytes = 1_000_000
        body = bytes(2_000)
        for number in range(200):
            level.write(("feed", f"{number:04}"), stored(body), START_S + number)
        level.record(Usage({("feed", "0003"): (1, START_S + 10_000)}, {}))
        for number in range(200, 1_000):
            level.write(("feed", f"{number:04}"), stored(body), START_S + number)
            assert level.used_bytes() <= 1_000_000
        left = [n for n in range(1_000) if level.read(("feed", f"{n:04}"), START_S)]
        assert left[0] == 3  # used since
        assert left[1:] == list(range(left[1], 1_000))  # of the others the newest, without a gap
        assert 250 < len(left) < 500
        assert level.evictions == 1_000 - len(left)

    def test_one_large_entry_drives_out_as_many_small_ones_as_it_needs(self, level):
        level.most_bytes = 1_500_000
        for number in range(150):
            level.write(("feed", f"{number:04}"), stored(bytes(5_000)), START_S + number)
        level.write(("feed", "large"), stored(bytes(900_000)), START_S + 999)
        assert level.used_bytes() <= 1_500_000
        assert level.read(("feed", "large"), START_S) is not None

    def test_threads_share_a_level(self, level):
        failures = []

        def work(seed):
            rng = random.Random(seed)
            try:
                for step in range(150):
                    key = ("feed", str(rng.randrange(30)))
                    level.write(key, stored(tags=(str(seed),)), START_S + step)
                    level.read(("feed", str(rng.randrange(30))), START_S)
                    if step % 50 == 0:
                        level.drop(Gone(tag=str(seed)), START_S)
                        level.heard()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert level.sizes()["feed"].entries <= 30
