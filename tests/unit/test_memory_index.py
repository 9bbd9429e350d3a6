"""The index of near copies in memory."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from tgecrawler.dedup import memory
from tgecrawler.dedup.index import MOST_CANDIDATES
from tgecrawler.dedup.memory import MemoryIndex
from tgecrawler.domain.near_duplicate import make_fingerprint

NOW = datetime(2026, 10, 12, 8, tzinfo=UTC)
WINDOW = timedelta(days=7)
WORDS = [f"word{number}" for number in range(2_000)]


def words(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [rng.choice(WORDS) for _ in range(200)]


def body(seed: int, *, changed: int = 0) -> bytes:
    text = words(seed)
    text[:changed] = words(seed + 10_000)[:changed]
    return make_fingerprint("", "", " ".join(text), frozenset())


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex(WINDOW)


def test_all_copies_are_found_by_id_and_never_the_mention_itself(index: MemoryIndex) -> None:
    assert index.match_and_add("b", body(1), NOW) == []
    assert index.match_and_add("b", body(1), NOW) == []
    assert index.match_and_add("a", body(1), NOW) == [("b", 1.0)]
    assert [copy.id for copy in index.match_and_add("c", body(1, changed=5), NOW)] == ["a", "b"]
    assert index.match_and_add("d", body(1, changed=100), NOW) == []
    assert len(index) == 4


def test_the_pairs_do_not_depend_on_the_order() -> None:
    prints = {f"m{n}": body(n % 20, changed=n % 7) for n in range(120)}
    told = {id_: NOW + timedelta(days=int(id_[1:]) % 11) for id_ in prints}
    found = []
    for seed in range(3):
        order = sorted(prints)
        random.Random(seed).shuffle(order)
        index = MemoryIndex(WINDOW)
        pairs = set()
        for id_ in order:
            met = index.match_and_add(id_, prints[id_], told[id_])
            pairs |= {(frozenset((id_, other)), round(alike, 9)) for other, alike in met}
        found.append(pairs)
    assert found[0] == found[1] == found[2] != set()


def test_runs_hold_what_the_newest_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RECENT_MENTIONS", 10)
    index = MemoryIndex(WINDOW)
    for number in range(137):
        assert index.match_and_add(f"m{number}", body(number), NOW) == []
    for number in range(137):
        assert [c.id for c in index.match_and_add(f"c{number}", body(number), NOW)] == [
            f"m{number}"
        ]


def test_what_is_loaded_is_known(index: MemoryIndex) -> None:
    index.load([("a", body(1), NOW), ("x", b"", NOW), ("y", b"junk", NOW)])
    assert len(index) == 1
    assert [copy.id for copy in index.match_and_add("b", body(1), NOW)] == ["a"]


def test_copies_are_told_within_the_window(index: MemoryIndex) -> None:
    index.match_and_add("a", body(1), NOW)
    assert index.match_and_add("b", body(1), NOW - timedelta(days=8)) == []
    assert [c.id for c in index.match_and_add("c", body(1), NOW - timedelta(days=4))] == ["a", "b"]


def test_beyond_its_size_the_older_half_is_forgotten() -> None:
    index = MemoryIndex(WINDOW, most=100)
    for number in range(101):
        index.match_and_add(f"m{number}", body(number), NOW)
    assert len(index) == 50
    assert index.match_and_add("old", body(0), NOW) == []
    assert [copy.id for copy in index.match_and_add("new", body(100), NOW)] == ["m100"]


def test_a_story_told_for_ever_costs_a_bounded_look_up(index: MemoryIndex) -> None:
    index.load((f"m{number:05}", body(1), NOW) for number in range(3 * MOST_CANDIDATES))
    found = index.match_and_add("z", body(1), NOW)
    assert len(found) == MOST_CANDIDATES
    assert found[-1].id == f"m{3 * MOST_CANDIDATES - 1:05}"


def test_what_is_too_old_does_not_crowd_out_a_copy(index: MemoryIndex) -> None:
    index.match_and_add("copy", body(1), NOW)
    older = NOW - timedelta(days=60)
    index.load((f"m{number:05}", body(1), older) for number in range(2 * MOST_CANDIDATES))
    for _ in range(2):
        assert [copy.id for copy in index.match_and_add("new", body(1), NOW)] == ["copy"]
    assert len(index) == 2 * MOST_CANDIDATES + 2


def test_a_batch_without_fingerprints_is_no_run(index: MemoryIndex) -> None:
    index.load(("x", b"", NOW) for _ in range(3))
    assert index.match_and_add("a", body(1), NOW) == []
    assert len(index) == 1
