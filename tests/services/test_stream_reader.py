"""Readers of the stream: groups, heirs, and what is not for them."""

from __future__ import annotations

import os
import signal
import time

import pytest
import zstandard
from outbox_cases import announcing, rows
from storage_cases import NOW, batch
from stream_cases import MOST, fill, messages, process
from stream_processes import story

from tgecrawler.stream.messages import STREAM
from tgecrawler.stream.publisher import Publisher
from tgecrawler.stream.reader import StreamReader, Tail


@pytest.fixture
def engine(sqlite_engine):
    return sqlite_engine


@pytest.fixture
def publisher(engine, client):
    return Publisher(engine, client, MOST)


@pytest.fixture
def filled(publisher, engine):
    """A publisher whose stream has 40 messages."""
    fill(engine, publisher, 20)
    return publisher


def test_a_reader_that_is_there_before_the_first_message(engine, client, publisher):
    reader = StreamReader(client, "group")
    assert reader.read(block_s=0.01) == []
    fill(engine, publisher, 1)
    assert [one.change for one in reader.read()] == ["new", "new"]
    client.flushdb()
    assert reader.read(block_s=0.01) == []


def test_a_group_shares_and_others_have_their_own(client, filled):
    one, other = (StreamReader(client, "group") for _ in range(2))
    first, second = one.read(30), other.read(30)
    assert (len(first), len(second)) == (30, 10)
    assert {message.id for message in (*first, *second)} == {m.id for m in messages(client)}
    assert not any(message.again for message in (*first, *second))
    assert one.acknowledge(first) == 30
    assert one.acknowledge(first) == 0
    assert len(StreamReader(client, "later").read()) == 40
    assert StreamReader(client, "from now", start="$").read(block_s=0.05) == []


@pytest.mark.slow
def test_a_reader_that_dies_leaves_to_the_other_what_it_held(client, filled, redis_url):
    with process("read", "", redis_url, 5) as child:
        lines = [child.stdout.readline().split() for _ in range(15)]
        os.kill(child.pid, signal.SIGKILL)
    handled = [id_ for word, id_ in lines if word == "handled"]
    held = [id_ for word, id_ in lines if word == "holds"]
    assert (len(handled), len(held)) == (5, 10)
    heir = StreamReader(client, "group", take_over_s=1.0)
    taken: dict[str, bool] = {}
    deadline = time.monotonic() + 20
    while len(taken) < 35 and time.monotonic() < deadline:
        for message in heir.read(7, block_s=0.1):
            assert message.id not in taken
            taken[message.id] = message.again
            heir.acknowledge([message])
    assert sorted([*handled, *taken]) == sorted(one.id for one in messages(client))
    assert sorted(id_ for id_, again in taken.items() if again) == sorted(held)
    assert client.xpending(STREAM, "group")["pending"] == 0


def test_what_is_kept_is_not_taken_over(client, filled):
    slow = StreamReader(client, "group")
    held = slow.read(5)
    quick = StreamReader(client, "group", take_over_s=0.3)
    quick.acknowledge(quick.read(100))
    for _ in range(6):
        time.sleep(0.1)
        slow.keep(held)
        assert quick.read(block_s=0.01) == []
    time.sleep(0.4)
    assert [one.id for one in quick.read()] == [one.id for one in held]
    assert slow.acknowledge(held) == 5


def test_a_named_reader_goes_on_with_what_it_had(client, filled):
    StreamReader(client, "group", "mail").read(30)
    again = StreamReader(client, "group", "mail")
    found = again.read(20) + again.read(20)
    assert [one.again for one in found] == [True] * 30
    again.acknowledge(found)
    rest = again.read(20)
    assert [one.again for one in rest] == [False] * 10


def test_entries_of_others_are_passed_over(client, filled, caplog):
    first = rows(filled.engine)[-1].id
    broken = [
        {"a": "b"},
        {"kind": "alert", "id": "1", "change": "new", "at": NOW.isoformat(), "json": "{"},
        {"kind": "alert", "id": "1", "change": "new", "at": NOW.isoformat(), "json": "[1]"},
        {"kind": "alert", "id": "1", "change": "new", "at": "yesterday", "json": "{}"},
        {"kind": "alert", "id": b"\xff", "change": "new", "at": NOW.isoformat()},
        {"kind": "alert", "id": "1", "change": "new", "at": NOW.isoformat(), "zstd": "no"},
        {"kind": "alert", "id": "1", "change": "new", "at": NOW.isoformat(), "zstd": bomb()},
    ]
    for number, fields in enumerate(broken):
        client.xadd(STREAM, fields, id=f"{first + 1 + number}-0")
    client.xadd(STREAM, {"kind": "unheard-of", "at": NOW.isoformat()}, id=f"{first + 50}-0")
    announcing(filled.engine).write(batch(story(99)))
    filled.publish()
    reader = StreamReader(client, "group")
    found = reader.read(200)
    assert len(found) == 42
    assert found[-2].ref == story(99).entry_id
    assert reader.skipped == len(broken)
    assert caplog.text.count("passed over") == len(broken)
    reader.acknowledge(found)
    assert client.xpending(STREAM, "group")["pending"] == 0


def bomb() -> bytes:
    return zstandard.compress(b'{"a": "' + bytes(20_000_000) + b'"}')


def test_the_oldest_go_and_a_group_that_lags_is_told(engine, client, caplog):
    publisher = Publisher(engine, client, 100)
    fill(engine, publisher, 100)
    cut = 200 - client.xlen(STREAM)
    reader = StreamReader(client, "group")
    reader.acknowledge(reader.read(50))
    assert reader.missed == 0, "what was cut off before the group began"
    held = reader.read(10)
    fill_more = [story(number) for number in range(100, 400)]
    announcing(engine).write(batch(*fill_more))
    publisher.publish()
    kept = client.xlen(STREAM)
    assert 100 <= kept < 250
    rest = []
    while found := reader.read(1_000, block_s=0.05):
        rest += found
    assert len(rest) == kept
    assert reader.missed == 800 - kept - cut - 60
    assert f"has missed {reader.missed} messages" in caplog.text
    once_more = StreamReader(client, "group", take_over_s=0.05)
    time.sleep(0.1)
    assert once_more.read(5, block_s=0.01) != []
    assert once_more.missed == len(held), "what it held was cut off as well"


def test_a_tail_sees_what_comes(engine, client, publisher):
    announcing(engine).write(batch(story(1)))
    publisher.publish()
    tail = Tail(client)
    assert tail.read(block_s=0.01) == []
    client.xadd(STREAM, {"a": "b"}, id="2-9999999999")
    announcing(engine).write(batch(story(2)))
    publisher.publish()
    assert [one.kind for one in tail.read()] == ["alert", "event"]
    assert tail.skipped == 1
    assert tail.read(block_s=0.01) == []
    client.flushdb()
    announcing(engine).write(batch(story(3)))
    publisher.publish()
    assert {one.ref for one in tail.read() if one.kind == "alert"} == {story(3).entry_id}


def test_a_group_of_which_redis_knows_nothing_any_more(client, filled):
    reader = StreamReader(client, "group", start="$")
    assert reader.read(block_s=0.01) == []
    client.xgroup_destroy(STREAM, "group")
    assert len(reader.read()) == 40, "better twice than not at all"


def test_consumers_that_left_are_forgotten(client, filled, monkeypatch):
    gone, holding = StreamReader(client, "group"), StreamReader(client, "group")
    gone.acknowledge(gone.read(5))
    holding.read(5)
    time.sleep(0.05)
    monkeypatch.setattr("tgecrawler.stream.reader.CONSUMER_KEPT_S", 0.01)
    here = StreamReader(client, "group")
    here.read(5)
    names = {one["name"].decode() for one in client.xinfo_consumers(STREAM, "group")}
    assert names == {holding.consumer, here.consumer}
