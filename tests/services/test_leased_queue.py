"""The leased queue on a real Redis server. No test waits for a moment: deadlines are moved."""

from __future__ import annotations

import asyncio
import pickle
import time

import pytest
from queue_workers import PREFIX, Worker, expire_leases, offer, pass_delays
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis_groups import Cluster, running
from redis_server import RedisServer

from tgecrawler.scheduling import queue_scripts
from tgecrawler.scheduling.leased_queue import LeasedQueue
from tgecrawler.scheduling.queue_values import Ack, Batch, Close, Leased, Mark


@pytest.fixture
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def client(redis_url):
    client = Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def make_worker(runner, redis_url):
    workers = []

    def make(name="one", **options):
        workers.append(Worker(runner, redis_url, name, **options))
        return workers[-1]

    yield make
    for worker in workers:
        worker.leave()


@pytest.fixture
def one(make_worker):
    return make_worker("one")


@pytest.fixture
def two(make_worker):
    return make_worker("two")


def test_requests_come_out_as_they_went_in(one):
    one.push(offer("a", payload=b'{"url": "\xc3\xa4"}', group="g"))
    (leased,) = one.round(want=1).leased
    assert leased == Leased(id="a", token=leased.token, payload=b'{"url": "\xc3\xa4"}', group="g")


def test_the_higher_priority_goes_first_and_equals_in_order(one):
    one.push(*(offer(f"{p}{n}", priority=p) for n in "abc" for p in (0, 5, -3)))
    one.push(offer("5d", priority=5))
    assert one.lease() == ["5a", "5b", "5c", "5d", "0a", "0b", "0c", "-3a", "-3b", "-3c"]


def test_priorities_and_order_hold_across_hosts(one):
    hosts = ["a.example", "b.example", "c.example"]
    one.push(*(offer(str(at), hosts[at % 3], priority=at // 10) for at in range(30)))
    expected = [*range(20, 30), *range(10, 20), *range(10)]
    taken = [one.lease(4) for _ in range(8)]
    assert [int(id_) for step in taken for id_ in step] == expected


def test_priorities_beyond_what_a_score_holds_stay_in_order(one):
    one.push(offer("low", priority=-(10**9)), offer("none"), offer("high", priority=10**9))
    one.push(offer("highest", priority=10**10))
    assert one.lease() == ["high", "highest", "none", "low"]


def test_a_host_has_no_more_in_flight_than_it_may(make_worker):
    one, two = (make_worker(name, per_host=2) for name in ("one", "two"))
    one.push(*(offer(f"a{at}") for at in range(5)), offer("b0", "b.example", priority=-1))
    assert one.lease() == ["a0", "a1", "b0"]
    assert two.lease() == []
    one.land("a0")
    assert two.lease() == ["a2"]
    one.ack("a0")  # its place is free already
    assert two.lease() == []
    one.ack("a1")  # never landed: an error, say
    assert two.lease() == ["a3"]
    assert one.stats().in_flight == 3
    two.ack("a2", "released")
    assert one.lease() == ["a2"]


def test_what_has_landed_is_counted_once(make_worker):
    one = make_worker(per_host=1)
    one.push(*(offer(str(at)) for at in range(4)))
    one.lease(1)
    one.land("0")
    one.land("0")
    assert one.lease() == ["1"]
    assert one.lease() == []


def test_an_id_is_in_the_queue_once_and_may_come_again(one, two):
    assert one.push(offer("a"), offer("a")) == ("new", "queued")
    one.lease()
    assert two.push(offer("a")) == ("queued",)
    one.ack("a")
    assert two.push(offer("a")) == ("new",)


def test_a_fingerprint_is_known_once_it_was_offered(one, two):
    first = offer("a", fingerprint=b"f" * 20)
    assert one.push(first, offer("b", fingerprint=b"f" * 20)) == ("new", "seen")
    one.lease()
    one.ack("a")
    assert two.push(first) == ("seen",)
    assert two.stats().seen == 1


def test_a_full_queue_takes_only_what_is_not_bounded(make_worker):
    one = make_worker(most_requests=2)
    assert one.push(offer("a"), offer("b"), offer("c"), offer("d", bounded=False)) == (
        "new",
        "new",
        "full",
        "new",
    )
    fingerprinted = offer("c", fingerprint=b"c")
    assert one.push(fingerprinted) == ("full",)
    one.lease()
    for id_ in "abd":
        one.ack(id_)
    assert one.push(fingerprinted) == ("new",)  # it was not remembered as seen


def test_a_delayed_offer_comes_when_it_is_due(one, client):
    one.push(offer("a", delay_s=3600), offer("b"))
    assert one.lease() == ["b"]
    one.ack("b")
    result = one.round(want=1)
    assert (result.leased, result.outstanding) == ((), 0)  # far off: it keeps nobody
    assert 3500 < result.wait_s <= 3600
    pass_delays(client)
    assert one.lease() == ["a"]


def test_workers_share_what_there_is(one, two):
    two.lease()
    one.push(*(offer(str(at)) for at in range(10)))
    assert len(one.lease()) == 5
    assert len(two.lease()) == 5


def test_a_lease_that_runs_out_is_anothers_in_the_old_order(one, two, client):
    one.push(offer("a"), offer("b"), offer("c"))
    assert one.lease(2) == ["a", "b"]
    expire_leases(client)
    client.delete(f"{PREFIX}workers")  # or "one" would have its share of the three
    result = two.round(want=3)
    assert result.reclaimed == 2
    assert [(request.id, request.reclaims) for request in result.leased] == [
        ("a", 1), ("b", 1), ("c", 0),
    ]  # fmt: skip


def test_what_was_with_dead_workers_twice_goes_behind_its_equals(one, client):
    one.push(offer("high", priority=1), offer("a"), offer("b"), offer("low", priority=-1))
    for reclaims in range(2):
        assert one.lease(2) == ["high", "a"]
        expire_leases(client)
        assert one.round(want=0).reclaimed == 2, reclaims
    one.push(offer("later"))
    assert one.lease(5) == ["high", "b", "a", "later", "low"]


def test_a_lease_is_kept_by_prolonging_it(make_worker, client):
    one, two = (make_worker(name, lease_s=1000) for name in ("one", "two"))
    one.push(offer("a"), offer("b"))
    one.lease()
    expire_leases(client)
    assert one.prolong("a") == []
    result = two.round(want=2)
    assert (result.reclaimed, [request.id for request in result.leased]) == (1, ["b"])
    assert one.prolong("a", "b") == ["b"]  # and is told what it has lost
    assert client.zscore(f"{PREFIX}leases", "b") > time.time() * 1000


def test_the_late_word_of_a_zombie_harms_nobody(one, two, client):
    one.push(offer("a", group="g", fingerprint=b"f"))
    one.lease()
    expire_leases(client)
    assert two.lease() == ["a"]
    for verdict in ("done", "failed", "released", "refused", "later"):
        one.ack(verdict=verdict, id_="a", until_s=time.time() + 1000)
    one.land("a")
    assert one.mark("a", b"x") == "lost"
    stats = one.stats()
    assert (stats.requests, stats.leased, stats.in_flight, stats.dead) == (1, 1, 1, 0)
    two.ack("a")
    assert one.stats().requests == 0


def test_a_zombie_that_was_the_last_to_have_it_may_say_that_it_is_done(one, two, client):
    one.push(offer("a", group="g"))
    one.close_group("g", b"told")
    one.lease()
    expire_leases(client)
    assert two.round().reclaimed == 1
    result = one.ack("a")
    assert [group.payload for group in result.closed_groups] == [b"told"]
    assert two.lease() == []
    assert two.stats().requests == 0


def test_a_zombies_word_is_not_for_a_later_request_of_the_same_id(one, two, client):
    one.push(offer("a"))
    one.lease()
    expire_leases(client)
    two.lease()
    two.ack("a")
    two.push(offer("a"))
    one.ack("a")
    assert two.lease() == ["a"]


def test_after_a_time_in_which_nobody_was_heard_leases_are_not_reclaimed_at_once(
    make_worker, client
):
    one, two = (make_worker(name, lease_s=600) for name in ("one", "two"))
    one.push(offer("a"))
    one.lease()
    expire_leases(client)
    client.set(f"{PREFIX}beat", int(time.time() * 1000) - 300_000)  # Redis was away
    assert two.round(want=1).reclaimed == 0
    assert one.prolong("a") == []
    expire_leases(client)
    client.delete(f"{PREFIX}amnesty")
    assert two.round(want=1).reclaimed == 1


def test_failures_pause_longer_each_time_and_end_with_the_dead(make_worker, client):
    one = make_worker(attempts=3, retry_s=10)
    one.push(offer("a", fingerprint=b"f"))
    pauses = []
    for attempt in range(3):
        (leased,) = one.round(want=1).leased
        assert leased.attempts == attempt
        one.took["a"] = leased
        result = one.ack("a", "failed", reason=f"error {attempt}")
        if attempt < 2:
            assert one.lease() == []
            assert one.push(offer("a", fingerprint=b"f")) == ("queued",)
            pauses.append(client.zscore(f"{PREFIX}delayed", "a") / 1000 - time.time())
            pass_delays(client)
    assert 4 < pauses[0] <= 10 < pauses[1] + 2
    assert pauses[1] <= 20
    assert result.buried == 1
    (dead,) = one.dead()
    assert (dead.id, dead.payload, dead.reason) == ("a", b"payload of a", "error 2")
    assert (dead.attempts, dead.reclaims) == (3, 0)
    assert abs(dead.died_at_s - time.time()) < 60
    assert one.push(offer("a", fingerprint=b"f")) == ("new",)  # its fingerprint is forgotten


def test_a_failure_that_waits_keeps_the_crawl_open(make_worker):
    one = make_worker(retry_s=10_000)
    one.push(offer("a"))
    one.lease()
    one.ack("a", "failed")
    assert one.round(want=1).outstanding == 1


def test_a_request_over_which_workers_die_ends_with_the_dead(make_worker, client):
    one = make_worker(reclaims=3)
    one.push(offer("a", fingerprint=b"f"))
    for _ in range(3):
        assert one.lease() == ["a"]
        expire_leases(client)
    assert one.lease() == []
    (dead,) = one.dead()
    assert (dead.reason, dead.reclaims) == ("reclaimed 3 times", 3)
    assert one.stats().in_flight == 0


def test_the_dead_can_be_listed_retried_and_cleared(one):
    one.push(*(offer(str(at), fingerprint=str(at).encode(), group="g") for at in range(450)))
    while ids := one.lease(300):
        one.round(acks=tuple(one.acknowledged(id_, "refused", reason="so") for id_ in ids))
    assert len(one.dead()) == one.stats().dead == 450
    assert len(one.run(one.queue.dead(7))) == 7
    assert one.run(one.queue.retry(["3", "7", "unknown"])) == 2
    assert sorted(one.lease()) == ["3", "7"]
    assert one.push(offer("x", fingerprint=b"3")) == ("seen",)
    assert one.run(one.queue.retry()) == 448
    assert one.dead() == []
    one.round(acks=(one.acknowledged("3", "refused"),))
    assert one.run(one.queue.purge_dead()) == 1
    assert one.dead() == []
    assert one.run(one.queue.purge_queue()) == 449
    assert one.lease() == []
    assert one.push(offer("8", fingerprint=b"8")) == ("seen",)
    one.run(one.queue.forget_seen())
    assert one.push(offer("8", fingerprint=b"8")) == ("new",)


def test_a_dead_one_that_is_on_its_way_again_is_not_doubled(one):
    one.push(offer("a"))
    one.lease()
    one.ack("a", "refused")
    one.push(offer("a", payload=b"newer"))
    assert one.run(one.queue.retry()) == 0
    assert [request.payload for request in one.round(want=5).leased] == [b"newer"]


def test_released_counts_as_nothing_and_keeps_its_place(one):
    one.push(offer("a"), offer("b"))
    assert one.lease(1) == ["a"]
    one.ack("a", "released")
    (first, second) = one.round(want=2).leased
    assert (first.id, first.attempts, first.reclaims, second.id) == ("a", 0, 0, "b")


def test_released_for_a_while_waits(one, client):
    one.push(offer("a"))
    one.lease()
    one.ack("a", "released", delay_s=30)
    result = one.round(want=1)
    assert (result.leased, result.outstanding) == ((), 1)
    pass_delays(client)
    assert one.lease() == ["a"]


def test_a_host_that_asks_to_be_left_alone_waits_as_a_whole(one, client):
    one.push(offer("a"), offer("b"), offer("c", "other.example"))
    assert one.lease(1) == ["a"]
    one.ack("a", "later", until_s=time.time() + 1000)
    assert one.lease() == ["c"]
    one.push(offer("d"))
    one.ack("c")
    result = one.round(want=5)
    assert (result.leased, result.outstanding) == ((), 0)
    assert one.stats().waiting_hosts == 1
    pass_delays(client)
    assert one.lease() == ["a", "b", "d"]


def test_a_host_that_waits_shortly_keeps_the_crawl_open(one):
    one.push(offer("a"))
    one.lease()
    one.ack("a", "later", until_s=time.time() + 30)
    result = one.round(want=5)
    assert (result.leased, result.outstanding) == ((), 1)
    assert 20 < result.wait_s <= 30


def test_a_host_waits_for_as_long_whatever_a_workers_clock_says(one, monkeypatch):
    """By a clock that is an hour behind, it would be ready at once, and refused at once again."""
    one.push(offer("a"))
    one.lease()
    behind_s = time.time() - 3600
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: behind_s)
        one.ack("a", "later", until_s=behind_s + 30)
    assert one.lease() == []
    assert one.stats().waiting_hosts == 1
    assert 29 < one.round(want=1).wait_s < 31


class TestGroups:
    def test_the_last_end_closes_it(self, one, two):
        one.push(offer("a", group="g"), offer("b", group="g"), offer("c", group="other"))
        one.lease()
        assert one.close_group("g", b"\xff payload", 2).closed_groups == ()
        assert one.ack("a", unfinished=True).closed_groups == ()
        (closed,) = one.ack("b").closed_groups
        assert (closed.group, closed.payload, closed.unfinished) == ("g", b"\xff payload", 3)
        assert one.ack("b").closed_groups == ()

    def test_closing_is_the_last_step_where_all_have_ended(self, one):
        one.push(offer("a", group="g"))
        one.lease()
        assert one.ack("a", unfinished=True).closed_groups == ()
        (closed,) = one.close_group("g", b"p").closed_groups
        assert (closed.payload, closed.unfinished) == (b"p", 1)

    def test_a_group_of_none_closes_at_once(self, one):
        (closed,) = one.close_group("g", b"p", 4).closed_groups
        assert closed.unfinished == 4

    def test_ends_and_closing_in_one_round(self, one):
        one.push(offer("a", group="g"))
        one.lease()
        acks = (one.acknowledged("a"),)
        result = one.round(acks=acks, closes=(Close(group="g", payload=b"p"),))
        assert [closed.group for closed in result.closed_groups] == ["g"]

    def test_what_is_not_new_is_not_counted(self, one):
        one.push(offer("a", group="g", fingerprint=b"f"))
        one.push(offer("a", group="h"), offer("b", group="h", fingerprint=b"f"))
        (closed,) = one.close_group("h").closed_groups
        assert closed.unfinished == 0

    def test_what_comes_back_stays_open(self, one, client):
        one.push(offer("a", group="g"))
        one.close_group("g")
        for verdict in ("released", "failed", "later"):
            one.lease()
            assert one.ack("a", verdict).closed_groups == ()
            pass_delays(client)
        one.lease()
        expire_leases(client)
        assert one.round().closed_groups == ()
        one.lease()
        assert len(one.ack("a").closed_groups) == 1

    @pytest.mark.parametrize("how", ["failed", "refused", "reclaimed"])
    def test_burial_counts_as_unfinished(self, make_worker, client, how):
        one = make_worker(attempts=1, reclaims=1)
        one.push(offer("a", group="g"))
        one.close_group("g", b"p")
        one.lease()
        if how == "reclaimed":
            expire_leases(client)
            result = one.round()
        else:
            result = one.ack("a", how)
        (closed,) = result.closed_groups
        assert (closed.payload, closed.unfinished) == (b"p", 1)

    def test_it_does_not_stay_for_ever(self, one, client):
        one.push(offer("a", group="g"))
        assert 0 < client.ttl(f"{PREFIX}g:g") <= queue_scripts.GROUP_TTL_S
        client.delete(f"{PREFIX}g:g")  # as Redis does then
        one.lease()
        assert one.ack("a").closed_groups == ()
        assert client.exists(f"{PREFIX}g:g") == 0


class TestMarks:
    """Fingerprints that a request meets on its way."""

    def test_they_are_known_afterwards(self, one):
        one.push(offer("a"))
        one.lease()
        assert one.mark("a", b"target") == "new"
        assert one.mark("a", b"target") == "seen"
        one.ack("a")
        assert one.push(offer("b", fingerprint=b"target")) == ("seen",)

    def test_whoever_does_it_anew_is_not_stopped_by_them(self, one, two, client):
        one.push(offer("a"))
        one.lease()
        one.mark("a", b"first")
        one.mark("a", b"second")
        expire_leases(client)
        two.lease()
        assert two.mark("a", b"first") == "new"
        two.ack("a", "failed")
        pass_delays(client)
        one.lease()
        assert one.mark("a", b"first") == "new"
        assert one.mark("a", b"second") == "new"


class TestTheFilter:
    def test_it_knows_each_of_many(self, one):
        for start in range(0, 4000, 500):
            prints = [f"{at}".encode() for at in range(start, start + 500)]
            one.push(*(offer(p.decode(), fingerprint=p) for p in prints))
        again = tuple(offer(f"x{at}", fingerprint=f"{at}".encode()) for at in range(4000))
        assert set(one.push(*again)) == {"seen"}
        assert one.push(offer("y", fingerprint=b"4000")) == ("new",)

    def test_it_looks_into_two_generations(self, make_worker, client, runner):
        """Each as long as a fingerprint is to be known: so long at least, and twice at most."""
        one = make_worker(seen_s=1000)
        one.push(offer("a", fingerprint=b"f"))
        (bucket,) = client.keys(f"{PREFIX}df:*")
        left_s = client.pttl(bucket) / 1000
        assert 1000 < left_s <= 2000
        head, generation, number = bucket.decode().rsplit(":", 2)
        client.rename(bucket, f"{head}:{int(generation) - 1}:{number}")
        assert one.push(offer("b", fingerprint=b"f")) == ("seen",)
        client.rename(
            f"{head}:{int(generation) - 1}:{number}", f"{head}:{int(generation) - 2}:{number}"
        )
        assert one.push(offer("b", fingerprint=b"f")) == ("new",)

    def test_forgetting_one_leaves_its_neighbours(self, one, client):
        """Many in each bucket: what is found at a place that is no beginning is not meant."""
        prints = [f"{at}".encode() for at in range(2000)]
        one.push(*(offer(p.decode(), fingerprint=p) for p in prints))
        everything = {}
        for bucket in client.keys(f"{PREFIX}df:*"):
            everything[bucket] = client.get(bucket)
            assert client.pttl(bucket) > 0
        one.lease()
        (id_, *others) = one.took
        one.ack(id_, "refused")
        changed = [bucket for bucket, text in everything.items() if client.get(bucket) != text]
        assert len(changed) == 1
        assert one.push(offer("n", fingerprint=id_.encode())) == ("new",)
        assert one.push(offer("o", fingerprint=others[0].encode())) == ("seen",)
        assert one.stats().seen == 2000


class TestWhatIsNotOurs:
    def test_a_value_of_another_kind_comes_out_as_it_is_and_dies_when_refused(self, one, client):
        foreign = pickle.dumps({"url": "http://a.example/"})
        one.push(offer("a"))
        client.hset(f"{PREFIX}req", "x", foreign)
        client.zadd(f"{PREFIX}q:a.example", {"x": -(2.0**40)})
        (leased, _) = one.round(want=2).leased
        assert (leased.id, leased.payload, leased.group) == ("x", foreign, "")
        one.took["x"] = leased
        one.ack("x", "refused", reason="not JSON")
        (dead,) = one.dead()
        assert (dead.id, dead.payload, dead.reason) == ("x", foreign, "not JSON")
        assert one.run(one.queue.retry()) == 0
        assert len(one.dead()) == 1
        assert one.stats().requests == 1

    def test_ids_that_are_none_of_ours_harm_no_round(self, one, client):
        one.push(offer("a"))
        for id_ in (b"\xff\xfe", b"with space", b"x" * 300, b"tab\t\n"):
            client.hset(f"{PREFIX}req", id_, b"value")
            client.zadd(f"{PREFIX}q:a.example", {id_: -(2.0**40)})
        assert one.lease() == ["a"]
        assert len(one.dead()) == 4

    def test_a_value_that_is_too_large_is_put_aside(self, one, client):
        one.push(offer("a"))
        client.hset(f"{PREFIX}req", "x", bytes(2_000_000))
        client.zadd(f"{PREFIX}q:a.example", {"x": 0})
        assert one.lease() == ["a"]
        assert [dead.id for dead in one.dead()] == ["x"]

    def test_an_entry_without_a_value_is_passed_over(self, one, client):
        one.push(offer("a"))
        client.zadd(f"{PREFIX}q:a.example", {"ghost": -1})
        client.zadd(f"{PREFIX}ready", {"nowhere.example": -1})
        assert one.lease() == ["a"]
        assert one.lease() == []

    @pytest.mark.parametrize("bad", ["", "ä", "a b", "a\n", "x" * 257])
    def test_names_that_fit_into_no_key_are_refused_here(self, one, bad):
        with pytest.raises(ValueError):
            one.push(offer(bad))
        with pytest.raises(ValueError):
            one.push(offer("a", host="a\tb"))
        if bad:
            with pytest.raises(ValueError):
                one.push(offer("a", group=bad))
            with pytest.raises(ValueError):
                one.close_group(bad)


class TestRedisFails:
    def test_what_was_done_unheard_is_done_once(self, one, client, monkeypatch):
        """The same batch again has the answer that got lost, leases and closed groups too."""
        one.push(offer("old", group="g"))
        one.lease()
        batch = Batch(
            offers=(offer("a", fingerprint=b"f"), offer("b")),
            acks=(one.acknowledged("old", unfinished=True),),
            closes=(Close(group="g", payload=b"\x00\xff"),),
            marks=(Mark(id="old", token=one.took["old"].token, fingerprint=b"m"),),
            want=1,
        )
        real = type(one.queue)._round.run

        async def unheard(*args):
            await real(*args)
            raise RedisConnectionError("lost")

        with monkeypatch.context() as patched:
            patched.setattr(type(one.queue)._round, "run", unheard)
            with pytest.raises(RedisConnectionError):
                one.run(one.queue.round(batch))
        result = one.run(one.queue.round(batch))
        assert result.pushed == ("new", "new")
        assert result.marked == ("new",)
        assert [request.id for request in result.leased] == ["a"]
        assert result.leased[0].payload == b"payload of a"
        assert [(c.payload, c.unfinished) for c in result.closed_groups] == [(b"\x00\xff", 1)]
        assert one.stats().leased == 1
        one.round(acks=(Ack(id="a", token=result.leased[0].token, verdict="done"),))
        assert one.stats().requests == 1

    def test_a_group_that_was_closed_unheard_is_closed_once(self, one, two, monkeypatch):
        """Also where another worker has decided its last request before it is said again."""
        one.push(offer("a", group="g"))
        two.lease()
        batch = Batch(closes=(Close(group="g", payload=b"p"),))
        real = type(one.queue)._round.run

        async def unheard(*args):
            await real(*args)
            raise RedisConnectionError("lost")

        with monkeypatch.context() as patched:
            patched.setattr(type(one.queue)._round, "run", unheard)
            with pytest.raises(RedisConnectionError):
                one.run(one.queue.round(batch))
        (closed,) = two.ack("a", unfinished=True).closed_groups
        assert (closed.payload, closed.unfinished) == (b"p", 1)
        assert one.run(one.queue.round(batch)).closed_groups == ()

    def test_a_full_redis_takes_no_offers_but_goes_on(self, one, client):
        one.push(*(offer(str(at)) for at in range(5)))
        one.lease(2)
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(ResponseError, match=r"OOM|maxmemory"):
                one.round(offers=(offer("x"),), acks=(one.acknowledged("0"),))
            assert one.ack("1").outstanding == 4
            assert one.lease(3) == ["2", "3", "4"]
            assert one.prolong("2") == []
        finally:
            client.config_set("maxmemory", 0)
        assert one.push(offer("x")) == ("new",)
        assert one.stats().leased == 4

    def test_flushed_in_the_middle_it_works_on(self, one, two, client):
        one.push(offer("a", group="g", fingerprint=b"f"), offer("b"))
        one.lease(1)
        client.flushall()
        assert one.prolong("a") == ["a"]
        one.land("a")
        result = one.ack("a", "failed")
        assert (result.outstanding, result.buried) == (0, 0)
        assert one.push(offer("a", fingerprint=b"f")) == ("new",)
        assert two.lease() == ["a"]
        two.ack("a")
        assert one.stats().in_flight == 0

    def test_a_restarted_server_is_told_the_scripts_anew(self, runner, tmp_path):
        server = RedisServer(tmp_path)
        server.start()
        worker = Worker(runner, server.url, "one")
        try:
            worker.push(offer("a"))
            worker.lease()
            server.stop()
            server.start()
            worker.run(worker.client.connection_pool.disconnect())
            assert worker.prolong("a") == ["a"]
            worker.push(offer("b"))
            assert worker.lease() == ["b"]
        finally:
            worker.leave()
            server.stop()


def test_a_reason_that_is_no_text_harms_no_round(make_worker):
    one = make_worker(attempts=1)
    one.push(offer("a"))
    one.lease()
    one.ack("a", "failed", reason="half a pair \ud800" + "x" * 1000)
    assert one.dead()[0].reason.startswith("half a pair ?x")


def test_the_busy_are_known_to_the_others(one, two):
    one.round(busy=True)
    assert two.round().busy_others == 1
    assert one.round(busy=True).busy_others == 0
    one.round()
    assert two.round().busy_others == 0


def test_the_figures_of_an_operator(make_worker):
    one, two = make_worker("one", lease_s=100, per_host=3), make_worker("two")
    one.push(*(offer(str(at), fingerprint=str(at).encode()) for at in range(6)))
    one.push(offer("far", delay_s=100), offer("other", "b.example"))
    one.lease(3)
    one.land("0")
    one.ack("1", "failed")
    two.lease(0)
    stats = one.stats()
    assert (stats.requests, stats.leased, stats.in_flight, stats.delayed) == (8, 2, 1, 2)
    assert (stats.dead, stats.tried, stats.seen) == (0, 1, 6)
    assert (stats.ready_hosts, stats.waiting_hosts) == (2, 0)
    assert 90 < stats.next_deadline_s <= 100
    assert {name for name, _ in stats.workers} == {"one", "two"}
    assert all(0 <= age_s < 60 for _, age_s in stats.workers)


def test_all_keys_lie_behind_the_prefix_and_in_one_slot(one, client):
    one.push(offer("a", group="g", fingerprint=b"f"), offer("b", delay_s=9))
    one.lease()
    one.mark("a", b"m")
    keys = client.keys("*")
    assert len(keys) > 10
    assert all(key.startswith(b"{tge:1:queue:test}:") for key in keys)


@pytest.mark.slow
def test_a_cluster_has_it_all_in_one_slot(runner, tmp_path):
    with running(Cluster(tmp_path)) as cluster:
        one = Worker(runner, cluster.url, "one")
        try:
            one.push(*(offer(id_, f"{id_}.example", fingerprint=id_.encode()) for id_ in "abcd"))
            assert one.lease() == ["a", "b", "c", "d"]
            one.land("a")
            one.mark("a", b"m")
            assert one.prolong("a", "b") == []
            one.ack("a", "refused")
            one.ack("b")
            assert [dead.id for dead in one.dead()] == ["a"]
            assert one.run(one.queue.retry()) == 1
            assert (one.stats().requests, one.run(one.queue.purge_queue())) == (3, 3)
            one.run(one.queue.purge_dead())
            one.run(one.queue.forget_seen())
            assert one.stats().seen == 0
        finally:
            one.leave()


def test_an_empty_round_says_so(runner, redis_url):
    worker = Worker(runner, redis_url, "one")
    result = worker.round(want=10)
    assert (result.outstanding, result.busy_others, result.wait_s) == (0, 0, None)
    assert isinstance(worker.queue, LeasedQueue)
    worker.leave()
