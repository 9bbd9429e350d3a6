"""From a commit to the stream, with real servers of both databases and of Redis."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from event_cases import told
from outbox_cases import announcing, rows
from redis import RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis_groups import Cluster, Watched, running
from redis_server import RedisServer
from storage_cases import NOW, batch, url_of
from stream_cases import MOST, alerts, ids_of, messages, process
from stream_processes import story

from tgecrawler.items import Reason
from tgecrawler.redis_link import connect
from tgecrawler.storage.backup import back_up, restore
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.event_queries import recent_events
from tgecrawler.storage.models import OUTBOX
from tgecrawler.storage.outbox import RESTORED
from tgecrawler.storage.queries import recent_alerts
from tgecrawler.stream.messages import STREAM, number_of
from tgecrawler.stream.publisher import AT_ONCE, Publisher
from tgecrawler.stream.reader import StreamReader, Tail


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    """A database with empty tables, once on each engine."""
    return request.getfixturevalue(
        "sqlite_engine" if request.param == "sqlite" else "postgresql_engine"
    )


@pytest.fixture
def postgresql_engine(postgresql, migrated):
    with postgresql.database(migrated) as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def publisher(engine, client):
    return Publisher(engine, client, MOST)


def plain(value):
    return json.loads(json.dumps(value))


def test_a_message_says_what_the_commands_say(engine, client, publisher):
    reason = Reason(rule="kind/airdrop", weight=2.5, field="title", start=0, end=5, text="Störy")
    full = told(
        5,
        judged={
            "companies": ("Caldera", "Acme"),
            "event_date": "2026-03",
            "event_date_precision": "month",
            "claim_url": "https://caldera.example/claim",
            "claim_url_official": False,
            "reasons": (reason,) * 20,
        },
    )
    announcing(engine).write(batch(full, told(4, "Marrow", published_at=None)))
    assert publisher.publish() == 4
    expected = {alert.id: alert.as_json() for alert in recent_alerts(engine)}
    expected |= {event.id: event.as_json() for event in recent_events(engine)}
    found = messages(client)
    assert {one.ref: one.body for one in found} == plain(expected)
    assert [(one.kind, one.change) for one in found] == [
        ("alert", "new"),
        ("alert", "new"),
        ("event", "new"),
        ("event", "new"),
    ]
    assert {one.at for one in found} == {NOW}
    assert [one.id for one in found] == [row.place for row in rows(engine)]


def test_long_messages_are_compressed_and_short_ones_are_not(engine, client, publisher):
    reasons = tuple(
        Reason(rule="kind/airdrop", weight=1.0, field="text", start=n, end=n, text="said")
        for n in range(30)
    )
    announcing(engine).write(batch(told(5), told(4, "Marrow", judged={"reasons": reasons})))
    publisher.publish()
    kinds = {
        fields[b"id"]: next(name for name in (b"json", b"zstd") if name in fields)
        for _, fields in client.xrange(STREAM)
        if fields[b"kind"] == b"alert"
    }
    assert kinds == {
        told(5).entry_id.encode(): b"json",
        told(4).entry_id.encode(): b"zstd",
    }
    long = client.xrange(STREAM)[1][1][b"zstd"]
    assert len(long) < 1_000
    assert len(messages(client)[1].body["reasons"]) == 30


def test_an_alert_that_was_gone_before_it_was_told(engine, client, publisher):
    announcing(engine).write(batch(told(5, url_key="same")))
    announcing(engine).write(batch(told(6, url_key="same")))
    publisher.publish()
    first, moved = (one for one in messages(client) if one.kind == "alert")
    assert (first.ref, first.change, first.body) == (told(5).entry_id, "new", None)
    assert (moved.ref, moved.change, moved.was) == (told(6).entry_id, "changed", first.ref)
    assert moved.body["id"] == moved.ref


def test_each_row_once_however_often_and_by_whom(engine, client, publisher, redis_url):
    for start in range(0, 3 * AT_ONCE, 100):
        announcing(engine).write(batch(*map(story, range(start, start + 100))))
    publishers = [publisher, Publisher(engine, connect(redis_url), MOST)]
    told_by: list[int] = []

    def tell(one: Publisher) -> None:
        told_by.append(one.publish())

    threads = [threading.Thread(target=tell, args=(one,)) for one in publishers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told_by) == len(rows(engine)) == client.xlen(STREAM)
    assert publisher.publish() == 0
    assert [one.id for one in messages(client)] == [row.place for row in rows(engine)]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_publisher_killed_around_the_step(engine, client, redis_url, place):
    for number in range(3):
        announcing(engine).write(batch(story(number)))
        with process("publish", url_of(engine), redis_url, place) as child:
            assert child.wait(60) == -signal.SIGKILL
    assert len(alerts(client)) == (0 if place == "before" else 3)
    assert Publisher(engine, client, MOST).publish() == (6 if place == "before" else 0)
    assert alerts(client) == ids_of(0, 1, 2)


@pytest.mark.slow
def test_an_alert_of_a_writer_that_died_after_its_commit(engine, client, publisher, redis_url):
    with process("write", url_of(engine), redis_url, 0) as child:
        for _ in range(5):
            assert child.stdout.readline()
    publisher.publish()
    assert alerts(client) == [row.ref for row in rows(engine) if row.kind == "alert"]
    assert {alert.id for alert in recent_alerts(engine)} == set(alerts(client))
    assert len(alerts(client)) >= 5


@pytest.mark.slow
def test_two_writers_and_two_publishers_and_a_reader_that_misses_none(engine, client, redis_url):
    """A reader of the table that only ever looks above its last id misses none either."""
    url, seen = url_of(engine), []
    reading = create_engine(url)
    with (
        process("write", url, redis_url, 0) as one,
        process("write", url, redis_url, 100_000) as other,
        process("publish", url, redis_url, "never"),
        process("publish", url, redis_url, "never"),
    ):
        assert one.stdout.readline()
        assert other.stdout.readline()
        enough_s, deadline = time.monotonic() + 3, time.monotonic() + 60
        while time.monotonic() < enough_s or len(seen) < 300:
            assert time.monotonic() < deadline
            query = sa.select(OUTBOX.c.id).where(OUTBOX.c.id > (seen[-1] if seen else 0))
            with reading.connect() as connection:
                seen += connection.scalars(query.order_by(OUTBOX.c.id))
    reading.dispose()
    Publisher(engine, client, MOST).publish()
    stored = [row.id for row in rows(engine)]
    assert seen == stored[: len(seen)]
    assert [number_of(one.id) for one in messages(client)] == stored
    assert set(alerts(client)) == {alert.id for alert in recent_alerts(engine, limit=MOST)}
    both = {int(one[1:], 16) < 100_000 for one in alerts(client)}
    assert both == {True, False}


def test_told_rows_go_after_a_day_and_the_last_stays(engine, client):
    now = [NOW]
    publisher = Publisher(engine, client, MOST, clock=lambda: now[0])
    announcing(engine).write(batch(story(2), story(1)))
    publisher.publish()
    announcing(engine, NOW + timedelta(hours=1)).write(batch(story(3)))
    assert publisher.forget() == 0
    now[0] += timedelta(days=2)
    assert publisher.forget() == 3, "what was not told stays, and the last one that was"
    assert [row.id for row in rows(engine)] == [4, 5, 6]
    assert publisher.publish() == 2
    assert publisher.mended == 0
    assert publisher.forget() == 2
    assert publisher.publish() == 0
    assert alerts(client) == ids_of(2, 1, 3)


@pytest.fixture
def durable(tmp_path):
    """A Redis of the test's own that keeps everything on disk."""
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.stop()


def test_redis_restarted(engine, durable):
    client = connect(durable.url)
    publisher = Publisher(engine, client, MOST)
    announcing(engine).write(batch(story(1)))
    publisher.publish()
    reader = StreamReader(client, "group")
    first = reader.read()
    durable.kill()
    announcing(engine).write(batch(story(2)))
    with pytest.raises(RedisConnectionError):
        publisher.publish()
    durable.start()
    assert publisher.publish() == 2
    assert reader.acknowledge(first) == 2
    assert [one.ref for one in reader.read() if one.kind == "alert"] == ids_of(2)
    assert alerts(client) == ids_of(1, 2)
    assert reader.read(block_s=0.1) == []
    client.close()


def exhausted(reader: StreamReader) -> list[str]:
    """The alerts that a reader gets until there are no more, all acknowledged."""
    found: list[str] = []
    while messages := reader.read(block_s=0.05):
        found += [one.ref for one in messages if one.kind == "alert"]
        reader.acknowledge(messages)
    return found


def test_redis_comes_back_with_an_older_state(engine, client, publisher):
    announcing(engine).write(batch(story(1)))
    publisher.publish()
    reader = StreamReader(client, "group")
    assert exhausted(reader) == ids_of(1)
    older = client.dump(STREAM)
    announcing(engine).write(batch(story(2)))
    publisher.publish()
    assert exhausted(reader) == ids_of(2)
    announcing(engine).write(batch(story(3)))
    client.restore(STREAM, 0, older, replace=True)
    assert publisher.publish() == 4
    assert publisher.mended == 0
    assert [one.id for one in messages(client)] == [row.place for row in rows(engine)]
    assert exhausted(reader) == ids_of(3)


def test_a_cluster(sqlite_engine, tmp_path):
    with running(Cluster(tmp_path / "cluster")) as cluster:
        client = connect(cluster.url)
        publisher = Publisher(sqlite_engine, client, MOST)
        reader, tail = StreamReader(client, "group"), Tail(client)
        assert exhausted(reader) == []
        assert tail.read(block_s=0.01) == []
        announcing(sqlite_engine).write(batch(story(1)))
        assert publisher.publish() == 2
        assert exhausted(reader) == ids_of(1)
        assert len(tail.read()) == 2
        client.close()


@pytest.mark.slow
def test_a_failover_to_a_replica_that_may_lack_the_last(sqlite_engine, tmp_path):
    with running(Watched(tmp_path / "watched")) as watched:
        client = connect(watched.url)
        publisher = Publisher(sqlite_engine, client, MOST)
        reader = StreamReader(client, "group")
        announcing(sqlite_engine).write(batch(story(1)))
        publisher.publish()
        assert exhausted(reader) == ids_of(1)
        assert client.wait(1, 5_000) == 1
        watched.replica.freeze()
        announcing(sqlite_engine).write(batch(story(2)))
        publisher.publish()
        assert exhausted(reader) == ids_of(2)
        watched.master.kill()
        watched.replica.thaw()
        announcing(sqlite_engine).write(batch(story(3)))
        deadline = time.monotonic() + 30
        while True:
            try:
                publisher.publish()
                break
            except RedisError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert exhausted(reader) == ids_of(3), "what this reader has handled comes but once"
        assert publisher.mended == 0
        assert [one.id for one in messages(client)] == [row.place for row in rows(sqlite_engine)]
        client.close()


def test_redis_emptied_in_the_midst(engine, client, publisher):
    reader = StreamReader(client, "group")
    announcing(engine).write(batch(*map(story, range(50))))
    publisher.publish()
    handled = exhausted(reader)
    client.flushdb()
    announcing(engine).write(batch(*map(story, range(50, 80))))
    publisher.publish()
    handled += exhausted(reader)
    assert [one.id for one in messages(client)] == [row.place for row in rows(engine)]
    assert handled == alerts(client), "each once"
    assert publisher.mended == 0


def test_redis_emptied_while_messages_are_on_their_way(engine, client):
    class Emptied(Publisher):
        def _append(self, last, parts):
            if last != "0-0":
                client.flushdb()
            return super()._append(last, parts)

    announcing(engine).write(batch(story(1)))
    Publisher(engine, client, MOST).publish()
    announcing(engine).write(batch(story(2)))
    assert Emptied(engine, client, MOST).publish() == 4
    assert [one.id for one in messages(client)] == [row.place for row in rows(engine)]


def test_a_restored_database_goes_on_above_what_was_told(engine, client, tmp_path, caplog):
    publisher = Publisher(engine, client, MOST)
    announcing(engine).write(batch(story(1)))
    publisher.publish()
    announcing(engine).write(batch(story(2)))
    back_up(engine, tmp_path / "backup.gz")
    publisher.publish()  # tells what the backup has as not told
    announcing(engine).write(batch(story(3)))
    publisher.publish()
    assert len(messages(client)) == 6
    url = url_of(engine)
    engine.dispose()
    restore(url, tmp_path / "backup.gz", force=True)
    anew = create_engine(url)
    announcing(anew, NOW + timedelta(hours=1)).write(batch(*map(story, (4, 5, 6))))
    assert [row.id for row in rows(anew)] == list(range(1, 11)), "the ids of story 3 again"
    again = Publisher(anew, client, MOST)
    with caplog.at_level(logging.ERROR):
        told_now = again.publish()
    assert (told_now, again.mended) == (6, 1)
    assert "an older state of the database was restored" in caplog.text
    assert "6 that were not told" in caplog.text
    found = messages(client)
    assert [one.kind for one in found[6:]] == [RESTORED, *["alert"] * 3, *["event"] * 3]
    assert alerts(client) == ids_of(1, 2, 3, 6, 5, 4)
    assert len({one.id for one in found}) == len(found)
    announcing(anew).write(batch(story(7)))
    assert again.publish() == 2
    assert again.mended == 1
    reader = StreamReader(client, "group")
    assert len(reader.read()) == 14
    assert reader.skipped == 0
    anew.dispose()


def test_a_restored_database_with_nothing_to_tell(engine, client, publisher):
    announcing(engine).write(batch(story(1)))
    publisher.publish()
    with write_transaction(engine) as connection:
        connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.id == 2))
    assert publisher.publish() == 0
    assert publisher.mended == 1
    announcing(engine).write(batch(story(2)))
    assert publisher.publish() == 2
    assert publisher.mended == 1
    assert alerts(client) == ids_of(1, 2)


def test_two_publishers_mend_once(engine, client, redis_url):
    announcing(engine).write(batch(story(1)))
    client.xadd(STREAM, {"a": "b"}, id="500-1")
    publishers = [Publisher(engine, connect(redis_url), MOST) for _ in range(3)]
    threads = [threading.Thread(target=one.publish) for one in publishers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.mended for one in publishers) == 1
    assert [number_of(id_.decode()) for id_, _ in client.xrange(STREAM)] == [500, 501, 502, 503]


def test_a_commit_that_fails_after_the_mark_is_mended_anew(engine, client):
    class Failing(Publisher):
        fails = True

        def _write(self, name, action):
            def act(connection):
                result = action(connection)
                if self.fails:
                    self.fails = False
                    raise ZeroDivisionError
                return result

            return super()._write(name, act)

    announcing(engine).write(batch(story(1)))
    client.xadd(STREAM, {"a": "b"}, id="500-1")
    publisher = Failing(engine, client, MOST)
    with pytest.raises(ZeroDivisionError):
        publisher.publish()
    assert publisher.publish() == 2
    assert [number_of(id_.decode()) for id_, _ in client.xrange(STREAM)] == [
        *(500, 501, 502, 503, 504)
    ]
    assert publisher.publish() == 0


def test_a_stranger_who_leaves_no_number_is_said(engine, client, publisher):
    client.xadd(STREAM, {"a": "b"}, id=f"{2**64 - 1}-0")
    announcing(engine).write(batch(story(1)))
    with pytest.raises(RuntimeError, match=r"DEL \{tge:1:stream\} begins anew"):
        publisher.publish()
    client.delete(STREAM)
    assert publisher.publish() == 2
