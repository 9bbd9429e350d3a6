"""The index of near copies on a real Redis server."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from tgecrawler.dedup.index import MOST_CANDIDATES
from tgecrawler.dedup.memory import MemoryIndex
from tgecrawler.dedup.redis import DAY_S, RedisIndex
from tgecrawler.domain.near_duplicate import make_fingerprint
from tgecrawler.errors import NearIndexError

NOW = datetime(2026, 10, 12, 8, tzinfo=UTC)
WINDOW = timedelta(days=7)
WORDS = [f"word{number}" for number in range(2_000)]


def body(seed: int, words: int = 200) -> bytes:
    rng = random.Random(seed)
    text = " ".join(rng.choice(WORDS) for _ in range(words))
    return make_fingerprint("", "", text, frozenset())


def headline(text: str) -> bytes:
    return make_fingerprint(text, "", "", frozenset({"opens", "claims", "for", "airdrop"}))


@pytest.fixture
def client(redis_url):
    client = Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def index(client):
    return RedisIndex(client, WINDOW)


def test_copies_are_found_once_and_never_the_mention_itself(index):
    assert index.match_and_add("a", body(1), NOW) == []
    assert index.match_and_add("a", body(1), NOW) == []
    assert [copy.id for copy in index.match_and_add("b", body(1), NOW)] == ["a"]
    assert [copy.id for copy in index.match_and_add("c", body(1), NOW)] == ["a", "b"]
    assert index.match_and_add("d", body(2), NOW) == []


def test_what_was_told_too_long_ago_is_no_copy(index):
    index.match_and_add("a", body(1), NOW)
    assert index.match_and_add("b", body(1), NOW + timedelta(days=8)) == []
    assert len(index.match_and_add("c", body(1), NOW + timedelta(days=6))) == 2


def test_what_is_too_old_does_not_crowd_out_a_copy(index):
    index.match_and_add("copy", body(1), NOW)
    older = NOW - timedelta(days=60)
    index.load_once((f"m{n:05}", body(1), older) for n in range(2 * MOST_CANDIDATES))
    assert [copy.id for copy in index.match_and_add("new", body(1), NOW)] == ["copy"]


def test_everything_expires(index, client):
    index.match_and_add("a", body(1), NOW)
    index.match_and_add("b", headline("Quillon opens claims for QLN airdrop"), NOW)
    most = WINDOW.total_seconds() + DAY_S
    assert all(0 < client.ttl(key) <= most for key in client.scan_iter("*"))


def test_what_is_none_of_ours_is_passed_over(index, client):
    index.match_and_add("a", body(1), NOW)
    client.set("{tge:near}:print:a", b"\x00")
    assert index.match_and_add("b", body(1), NOW) == []
    client.delete("{tge:near}:print:b")
    assert index.match_and_add("c", body(1), NOW) == []


def test_an_empty_server_is_filled_once(index):
    rows = [("a", body(1), NOW), ("b", b"", NOW), ("c", body(2), NOW)]
    assert index.load_once(rows) == 2
    assert index.load_once(rows) == 0
    assert [copy.id for copy in index.match_and_add("d", body(1), NOW)] == ["a"]


def test_an_empty_fingerprint_is_nobodys_copy(index, client):
    assert index.match_and_add("a", b"", NOW) == []
    assert client.dbsize() == 0


def test_a_server_that_is_gone_is_an_error_to_the_caller():
    index = RedisIndex(Redis(host="127.0.0.1", port=1), WINDOW)
    with pytest.raises(NearIndexError):
        index.match_and_add("a", body(1), NOW)


def test_redis_and_memory_find_the_same(index):
    memory = MemoryIndex(WINDOW)
    rng = random.Random(3)
    for number in range(200):
        told_at = NOW + timedelta(days=rng.uniform(0, 12))
        fingerprint = body(rng.randrange(40))
        found = index.match_and_add(f"m{number}", fingerprint, told_at)
        assert found == memory.match_and_add(f"m{number}", fingerprint, told_at)


WORKER = """
import json, sys
from datetime import UTC, datetime, timedelta
from redis import Redis
from tgecrawler.dedup.redis import RedisIndex
from tgecrawler.domain.near_duplicate import make_fingerprint
from tgecrawler.errors import NearIndexError
url, name, stories = sys.argv[1], sys.argv[2], json.loads(sys.stdin.readline())
index = RedisIndex(Redis.from_url(url), timedelta(days=7))
met = {}
print("ready", flush=True)
sys.stdin.readline()
for number, text in stories:
    fingerprint = make_fingerprint("", "", text, frozenset())
    told_at = datetime(2026, 10, 12, tzinfo=UTC)
    found = index.match_and_add(f"{name}-{number}", fingerprint, told_at)
    met[number] = [copy.id for copy in found]
print(json.dumps(met))
"""


def test_of_two_processes_with_one_story_one_sees_the_other(redis_url):
    rng = random.Random(9)
    texts = [" ".join(rng.choice(WORDS) for _ in range(120)) for _ in range(200)]
    processes = []
    for name in ("one", "two"):
        stories = list(enumerate(texts))
        random.Random(name).shuffle(stories)
        command = [sys.executable, "-c", WORKER, redis_url, name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, **pipes)
        process.stdin.write(json.dumps(stories) + "\n")
        process.stdin.flush()
        processes.append(process)
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    one, two = (json.loads(process.communicate(timeout=60)[0]) for process in processes)
    for number in map(str, range(len(texts))):
        met = {*one[number], *two[number]}
        assert met
        assert met <= {f"one-{number}", f"two-{number}"}
