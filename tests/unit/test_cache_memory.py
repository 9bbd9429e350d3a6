from __future__ import annotations

import random
import threading

from cache_cases import START_S

from tgecrawler.cache.entry import Entry
from tgecrawler.cache.level import Gone
from tgecrawler.cache.memory import OVERHEAD_BYTES, MemoryLevel, size_of


def entry(value: bytes = b"v", tags: tuple[str, ...] = ()) -> Entry:
    return Entry(value, START_S, START_S, START_S + 60, tags=tags)


def test_the_least_recently_used_goes_first() -> None:
    level = MemoryLevel(4 * size_of(("feed", "0"), entry()) + OVERHEAD_BYTES // 2)
    for number in range(4):
        level.put(("feed", str(number)), entry())
    level.get(("feed", "0"))
    level.put(("feed", "4"), entry())
    held = [number for number in range(5) if level.get(("feed", str(number)))]
    assert held == [0, 2, 3, 4]
    assert level.evictions == 1


def test_bytes_are_the_bound_whatever_comes() -> None:
    rng = random.Random(1)
    level = MemoryLevel(200_000)
    for _ in range(3_000):
        value = bytes(rng.randrange(0, 70_000))
        level.put(("feed", str(rng.randrange(200))), entry(value, ("a",) * rng.randrange(3)))
        assert level.used_bytes <= 200_000
    held = [(key, level.get(key)) for key in list(level._entries)]
    assert level.used_bytes == sum(size_of(key, one) for key, one in held)
    level.drop(Gone())
    assert (len(level), level.used_bytes) == (0, 0)


def test_what_would_drive_out_the_others_is_not_kept_and_replaces_nothing_outdated() -> None:
    level = MemoryLevel(100_000)
    level.put(("feed", "a"), entry())
    level.put(("feed", "a"), entry(bytes(90_000)))
    assert level.get(("feed", "a")) is None
    assert level.used_bytes == 0


def test_without_room_nothing_is_kept() -> None:
    level = MemoryLevel(0)
    level.put(("feed", "a"), entry(b""))
    assert len(level) == 0


def test_dropping_by_tag_tier_and_key() -> None:
    level = MemoryLevel(100_000)
    level.put(("feed", "a"), entry(tags=("x", "y")))
    level.put(("feed", "b"), entry(tags=("y",)))
    level.put(("article", "a"), entry(tags=("x",)))
    assert level.drop(Gone(tag="x")) == 2
    assert level.get(("feed", "b"))
    assert level.drop(Gone(tier="article", key="b")) == 0
    assert level.drop(Gone(tier="article")) == 0
    assert level.drop(Gone(tier="feed", key="b")) == 1


def test_what_was_dropped_meanwhile_is_not_brought_back() -> None:
    level = MemoryLevel(100_000)
    generation = level.generation
    level.drop(Gone(tag="x"))
    level.put(("feed", "a"), entry(tags=("x",)), generation=generation)
    assert level.get(("feed", "a")) is None


def test_threads_leave_the_books_in_order() -> None:
    level = MemoryLevel(60_000)

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(2_000):
            key = ("feed", str(rng.randrange(80)))
            match rng.randrange(4):
                case 0:
                    level.get(key)
                case 3 if rng.random() < 0.05:
                    level.drop(Gone(tag="x"))
                case _:
                    level.put(key, entry(bytes(rng.randrange(2_000)), ("x",)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < level.used_bytes <= 60_000
    assert level.used_bytes == sum(size_of(*pair) for pair in level._entries.items())
