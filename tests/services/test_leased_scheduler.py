"""The leased scheduler with a real Redis; the engine is moved by hand."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from scrapy import Request, Spider, signals
from scrapy.http import Response
from scrapy.utils.test import get_crawler
from twisted.python.failure import Failure

from tgecrawler.scheduling import leased_scheduler
from tgecrawler.scheduling.leased_scheduler import LeasedScheduler
from tgecrawler.scheduling.queue_upkeep import queue_prefix
from tgecrawler.scheduling.queue_values import Batch, Offer
from tgecrawler.scheduling.request_json import dumps
from tgecrawler.scheduling.resting import HostRestingError

PREFIX = queue_prefix("test")
A, B, C = (f"http://{letter}.example/" for letter in "abc")
PATIENCE_S = 20.0


class Pages(Spider):
    name = "test"

    def parse(self, response):
        pass

    def page_failed(self, failure):
        pass


class Engine:
    """What of Scrapy's engine the scheduler looks at, moved by hand."""

    def __init__(self):
        nextcall = SimpleNamespace(schedule=lambda: None)
        self._slot = SimpleNamespace(inprogress=set(), closing=None, nextcall=nextcall)
        self.scraper = SimpleNamespace(slot=SimpleNamespace(active=set()))


class Worker:
    """A scheduler in a crawl in which nothing happens by itself but the rounds."""

    def __init__(self, runner, redis_url, **settings):
        self.runner = runner
        settings = {
            "CONCURRENT_REQUESTS": 4,
            "TGE_QUEUE_PER_HOST": 0,
            "SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.ScrapyPriorityQueue",
        } | settings
        self.crawler = get_crawler(Pages, {"TGE_REDIS_URL": redis_url, **settings})
        self.crawler.spider = self.spider = Pages.from_crawler(self.crawler)
        self.crawler._apply_settings()
        self.engine = self.crawler.engine = Engine()
        self.dropped = []
        self.crawler.signals.connect(self.note_dropped, signals.request_dropped)
        self.scheduler = LeasedScheduler.from_crawler(self.crawler)
        self.pushed = []
        self.groups = []
        self.scheduler.on_pushed = lambda request, status: self.pushed.append((request, status))
        self.scheduler.on_group_closed = lambda *what: self.groups.append(what)
        self.is_open = False

    def note_dropped(self, request):
        self.dropped.append(request)

    def open(self):
        async def opened():
            await self.scheduler.open(self.spider).asFuture(asyncio.get_running_loop())

        self.runner.run(opened())
        self.is_open = True
        return self

    def close(self):
        async def closed():
            await self.scheduler.close("finished").asFuture(asyncio.get_running_loop())

        if self.is_open:
            self.is_open = False
            self.runner.run(closed())

    def until(self, condition):
        """Let the rounds go on until something is so."""

        deadline_s = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline_s
            self.runner.run(asyncio.sleep(0.005))
        return found

    def rounds(self, count=2):
        """Let so many more rounds be made."""
        stats = self.crawler.stats
        goal = stats.get_value("tge/queue/rounds", 0) + count
        self.until(lambda: stats.get_value("tge/queue/rounds", 0) >= goal)

    def stat(self, name):
        return self.crawler.stats.get_value(name, 0)

    def push(self, *requests):
        assert all(self.scheduler.enqueue_request(request) for request in requests)
        self.until(lambda: not self.scheduler.outbox and not self.scheduler.rounds._unheard)

    def begin(self):
        """Give the engine the next request, as it would ask for it."""
        request = self.until(self.scheduler.next_request)
        self.engine._slot.inprogress.add(request)
        return request

    def answer(self, request):
        self.engine.scraper.slot.active.add(request)
        return Response(request.url, request=request)

    def end(self, request):
        self.engine.scraper.slot.active.discard(request)
        self.engine._slot.inprogress.discard(request)

    def figures(self):
        return self.runner.run(self.scheduler.shared_queue.stats())

    def dead(self):
        return self.runner.run(self.scheduler.shared_queue.dead())


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

    def make(**settings):
        workers.append(Worker(runner, redis_url, **settings).open())
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


@pytest.fixture
def worker(make_worker):
    return make_worker()


def test_a_request_comes_back_as_another_object_and_its_lease_ends_with_it(worker):
    sent = Request(A, worker.spider.parse, priority=3, meta={"kept": 1}, cb_kwargs={"n": 2})
    worker.push(sent)
    request = worker.begin()
    assert request is not sent
    assert (request.url, request.priority, request.cb_kwargs) == (A, 3, {"n": 2})
    assert (request.meta["kept"], request.callback) == (1, worker.spider.parse)
    worker.answer(request)
    worker.until(lambda: worker.figures().in_flight == 0)
    assert worker.figures().leased == 1
    assert worker.scheduler.has_pending_requests()
    worker.end(request)
    worker.until(lambda: worker.figures().requests == 0)
    worker.until(lambda: not worker.scheduler.has_pending_requests())
    assert worker.stat("scheduler/enqueued/redis") == worker.stat("scheduler/dequeued/redis") == 1


def test_another_worker_waits_for_whoever_has_something(make_worker):
    one, two = make_worker(), make_worker()
    one.push(Request(A))
    request = one.begin()
    two.rounds()
    assert two.scheduler.has_pending_requests()
    one.end(request)
    two.until(lambda: not two.scheduler.has_pending_requests())
    local = Request(A, meta={"shared": False})
    one.scheduler.enqueue_request(local)
    one.rounds()
    two.scheduler.rounds.note_change()
    two.rounds()
    assert two.scheduler.has_pending_requests()
    assert one.scheduler.next_request() is local
    two.until(lambda: not two.scheduler.has_pending_requests())


class TestDuplicates:
    def test_they_are_told_of_however_they_are_found(self, make_worker):
        one, two = make_worker(), make_worker()
        first, again, late = Request(A), Request(A), Request(A)
        one.push(first)
        assert one.scheduler.enqueue_request(again) is False  # known here
        two.push(late)  # known there
        two.until(lambda: two.dropped)
        assert two.dropped == [late]
        assert two.pushed == [(late, "queued")]
        for worker in (one, two):
            assert worker.stat("dupefilter/filtered") == 1
        request = one.begin()
        one.end(request)
        one.until(lambda: one.figures().requests == 0)
        three = make_worker()
        three.push(late)
        assert three.pushed == [(late, "seen")]

    def test_what_is_not_to_be_filtered_is_not(self, worker):
        worker.push(Request(A, dont_filter=True), Request(A, dont_filter=True))
        assert [status for _, status in worker.pushed] == ["new", "new"]

    def test_a_given_id_is_in_the_queue_once(self, worker):
        one, again = (Request(A, dont_filter=True, meta={"lease_id": "i"}) for _ in range(2))
        worker.push(one, again)
        assert worker.pushed == [(one, "new"), (again, "queued")]
        assert one.meta["lease_id"] == "i"
        assert "lease_id" not in worker.begin().meta  # a callback may copy it


class TestWhatStaysHere:
    def test_a_request_that_is_not_shared(self, worker):
        local = Request(A, lambda r: None, meta={"shared": False})
        assert worker.scheduler.enqueue_request(local)
        assert worker.scheduler.enqueue_request(Request(A, meta={"shared": False})) is False
        assert worker.scheduler.next_request() is local
        assert worker.figures().requests == 0
        assert worker.stat("scheduler/enqueued/memory") == 1

    def test_a_request_that_cannot_be_sent_with_one_warning(self, worker, caplog):
        requests = [Request(url, lambda r: None) for url in (A, B)]
        for request in requests:
            assert worker.scheduler.enqueue_request(request)
        assert worker.scheduler.next_request() in requests
        assert worker.stat("scheduler/unserializable") == 2
        warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "no method of the spider" in caplog.text

    def test_a_request_whose_names_fit_into_no_key(self, worker):
        requests = [
            Request(A, meta={"lease_id": "two words"}),
            Request(f"http://{'a' * 300}.example/"),
        ]
        for request in requests:
            assert worker.scheduler.enqueue_request(request)
        worker.rounds()
        assert worker.scheduler.next_request() in requests
        with pytest.raises(ValueError):
            worker.scheduler.close_group("two words", b"")

    def test_both_kinds_go_in_turns(self, worker):
        worker.push(Request(A), Request(B))
        worker.until(lambda: worker.scheduler.book.ready == 2)
        for url in (B, C):
            worker.scheduler.enqueue_request(Request(url, meta={"shared": False}))
        local = [worker.scheduler.next_request().meta.get("shared") for _ in range(4)]
        assert local in ([False, None, False, None], [None, False, None, False])


class TestContinuations:
    def test_a_redirect_is_made_here_under_the_same_lease(self, worker):
        worker.push(Request(A, dont_filter=True))
        first = worker.begin()
        second = first.replace(url=B)
        assert worker.scheduler.enqueue_request(second)
        worker.end(first)
        assert worker.begin() is second
        worker.rounds()
        figures = worker.figures()
        assert (figures.requests, figures.leased, figures.in_flight) == (1, 1, 1)
        assert worker.scheduler.book.not_landed == 1
        worker.answer(second)
        worker.until(lambda: worker.figures().in_flight == 0)
        worker.end(second)
        worker.until(lambda: worker.figures().requests == 0)

    def test_one_that_is_begun_before_the_other_was_missed_has_not_landed(self, worker):
        worker.push(Request(A, dont_filter=True))
        first = worker.begin()
        second = first.replace(url=B)
        worker.scheduler.enqueue_request(second)
        worker.end(first)
        assert worker.scheduler.next_request() is second  # with no round in between
        worker.engine._slot.inprogress.add(second)
        worker.rounds()
        assert worker.figures().in_flight == 1

    def test_a_redirect_to_what_was_seen_is_filtered_and_ends_the_lease(self, worker):
        worker.push(Request(A), Request(B))
        first = worker.begin()
        worker.scheduler.enqueue_request(first.replace(url=B))
        worker.end(first)
        worker.until(lambda: worker.figures().requests == 1)
        assert worker.stat("dupefilter/filtered") == 1

    def test_a_redirect_to_something_new_is_known_from_then_on(self, make_worker):
        one, two = make_worker(), make_worker()
        one.push(Request(A))
        first = one.begin()
        second = first.replace(url=C)
        one.scheduler.enqueue_request(second)
        one.end(first)
        assert one.begin() is second
        two.push(Request(C))
        assert two.pushed[0][1] == "seen"

    def test_what_a_callback_makes_of_its_requests_meta_is_none(self, worker):
        worker.push(Request(A))
        first = worker.begin()
        worker.answer(first)
        child = Request(B, meta=first.meta)
        worker.push(child)
        worker.end(first)
        worker.until(lambda: worker.figures().requests == 1)
        assert worker.begin().url == B
        assert worker.stat("scheduler/enqueued/redis") == 2

    def test_a_child_made_by_replacing_is_none_and_can_be_sent(self, worker):
        worker.push(Request(A))
        first = worker.begin()
        worker.answer(first)
        worker.push(first.replace(url=B))
        assert worker.stat("scheduler/unserializable") == 0


class TestEnds:
    def test_a_hold_keeps_the_lease(self, worker):
        worker.push(Request(A))
        request = worker.begin()
        for _ in range(2):
            worker.scheduler.hold(request)
        worker.answer(request)
        worker.scheduler.release(request)
        worker.end(request)
        worker.rounds()
        assert worker.figures().leased == 1
        worker.scheduler.release(request)
        worker.until(lambda: worker.figures().requests == 0)
        worker.scheduler.release(request)  # once too often is nothing
        worker.scheduler.hold(Request(B))
        worker.scheduler.release(Request(B))

    def test_a_hold_through_a_copy_of_the_request(self, worker):
        worker.push(Request(A))
        request = worker.begin()
        copy = request.copy()
        worker.scheduler.hold(copy)
        worker.end(request)
        worker.rounds()
        assert worker.figures().leased == 1
        worker.scheduler.release(copy)
        worker.until(lambda: worker.figures().requests == 0)

    def test_what_nobody_kept_is_made_again_later(self, worker):
        worker.push(Request(A))
        request = worker.begin()
        worker.scheduler.hold(request)
        worker.answer(request)
        worker.end(request)
        worker.scheduler.release(request, again=True)
        worker.until(lambda: worker.figures().delayed == 1)
        assert worker.figures().tried == 0

    def test_what_was_put_off_waits_with_its_host(self, worker):
        worker.push(Request(A, errback=worker.spider.page_failed))
        request = worker.begin()
        worker.scheduler.put_off(request, datetime.now(UTC) + timedelta(hours=1))
        worker.end(request)
        worker.until(lambda: worker.figures().waiting_hosts == 1)
        worker.until(lambda: not worker.scheduler.has_pending_requests())

    def test_a_resting_host_that_its_spider_does_not_hear_of(self, worker):
        worker.push(Request(A))
        request = worker.begin()
        until = datetime.now(UTC) + timedelta(hours=1)
        failure = Failure(HostRestingError("a.example", until, 429))
        failure.request = request
        assert request.errback(failure) is failure
        worker.end(request)
        worker.until(lambda: worker.figures().waiting_hosts == 1)

    @pytest.mark.parametrize("by", ["callback", "errback", "item"])
    def test_an_error_of_ours_is_tried_again_and_put_with_the_dead(self, make_worker, by):
        worker = make_worker(TGE_QUEUE_ATTEMPTS=1)
        worker.push(Request(A))
        request = worker.begin()
        response = worker.answer(request)
        failure = Failure(ZeroDivisionError("in\nour code"))
        if by == "item":
            worker.crawler.signals.send_catch_log(
                signals.item_error, item={}, response=response, spider=None, failure=failure
            )
        else:
            if by == "errback":
                response = Failure(OSError())
                response.request = request
            worker.crawler.signals.send_catch_log(
                signals.spider_error, failure=failure, response=response, spider=None
            )
        worker.end(request)
        worker.until(lambda: worker.figures().dead == 1)
        (dead,) = worker.dead()
        assert dead.reason == "ZeroDivisionError: in our code"
        assert worker.stat("tge/queue/dead") == 1

    def test_an_end_waits_for_what_the_callback_led_to(self, worker, client):
        """Should this process die in between, the page is read again."""
        worker.push(Request(A))
        request = worker.begin()
        worker.answer(request)
        client.config_set("maxmemory", 1)  # so that nothing can be stored
        try:
            worker.scheduler.enqueue_request(Request(B))
            worker.end(request)
            worker.until(lambda: worker.scheduler.rounds._is_full)
            worker.rounds()
            assert worker.figures().leased == 1
        finally:
            client.config_set("maxmemory", 0)
        worker.until(lambda: worker.figures().requests == 1)
        assert worker.begin().url == B

    def test_what_another_has_by_now_is_not_begun_here(self, worker, client):
        worker.push(Request(A), Request(B), Request(C))
        worker.until(lambda: worker.scheduler.book.ready == 3)
        begun = worker.begin()
        for id_ in client.hkeys(f"{PREFIX}held"):
            client.hset(f"{PREFIX}held", id_, "another#1\thost\t1")
        worker.scheduler.rounds._beat_now.set()
        worker.until(lambda: worker.stat("tge/queue/lost") == 3)
        assert worker.scheduler.next_request() is None
        worker.scheduler.hold(begun)  # what has begun goes on
        worker.end(begun)
        worker.scheduler.release(begun)
        worker.rounds()
        figures = worker.figures()
        assert (figures.requests, figures.leased) == (3, 3)  # and its word harms nobody
        assert not worker.scheduler.book.open


class TestGroups:
    def test_a_group_is_told_of_where_its_last_step_was_made(self, make_worker):
        one, two = make_worker(), make_worker()
        one.push(Request(A, meta={"lease_group": "g"}))
        request = one.begin()
        assert "lease_group" not in request.meta
        two.scheduler.close_group("g", b"payload", 2)
        two.rounds()
        assert (one.groups, two.groups) == ([], [])
        one.scheduler.hold(request)
        one.end(request)
        one.scheduler.release(request, unfinished=True)
        one.until(lambda: one.groups)
        assert one.groups == [("g", b"payload", 3)]

    def test_it_is_closed_after_what_was_enqueued_before(self, worker):
        poll = Request(C, meta={"shared": False})
        worker.scheduler.enqueue_request(poll)
        assert worker.begin() is poll
        worker.scheduler.close_group("g", b"", after=poll)
        worker.rounds()
        worker.scheduler.enqueue_request(Request(A, meta={"lease_group": "g"}))
        worker.end(poll)
        request = worker.begin()
        worker.rounds()
        assert worker.groups == []
        worker.end(request)
        worker.until(lambda: worker.groups)

    def test_a_full_queue_delays_it(self, make_worker, client):
        worker = make_worker(TGE_QUEUE_MAX_REQUESTS=1)
        worker.push(Request(A))
        request = worker.begin()
        late = Request(B, meta={"lease_group": "g"})
        worker.scheduler.enqueue_request(late)
        worker.scheduler.close_group("g", b"")
        worker.until(lambda: worker.scheduler.is_full)
        assert worker.pushed[1:] == worker.groups == []
        worker.end(request)
        request = worker.begin()
        assert request.url == B
        worker.until(lambda: not worker.scheduler.is_full)
        assert worker.pushed[-1] == (late, "new")
        worker.end(request)
        worker.until(lambda: worker.groups)

    def test_a_listener_that_fails_ends_no_round(self, worker, caplog):
        worker.scheduler.on_pushed = lambda request, status: 1 / 0
        worker.push(Request(A))
        assert worker.begin().url == A
        assert "ZeroDivisionError" in caplog.text


class TestTheEnd:
    def test_everything_is_given_back_and_the_queue_stays(self, make_worker):
        one, two = make_worker(), make_worker()
        one.push(*(Request(f"{A}{at}", dont_filter=True) for at in range(6)))
        begun = one.begin()
        one.scheduler.hold(begun)
        one.end(begun)
        one.scheduler.enqueue_request(Request(B))
        one.close()
        figures = two.figures()
        assert (figures.requests, figures.tried) == (7, 0)
        assert two.stat("tge/queue/reclaimed") == 0
        assert {two.begin().url for _ in range(6)} <= {B, *(f"{A}{at}" for at in range(6))}

    def test_what_waits_for_room_is_stored(self, make_worker):
        one = make_worker(TGE_QUEUE_MAX_REQUESTS=1)
        one.push(Request(A))
        one.scheduler.enqueue_request(Request(B))
        one.until(lambda: one.scheduler.is_full)
        one.close()
        assert make_worker().figures().requests == 2

    def test_others_begin_at_once_what_a_closing_one_has_not(self, make_worker):
        one = make_worker()
        one.push(Request(A), Request(B))
        one.until(lambda: one.scheduler.book.ready == 2)
        begun = one.begin()
        one.engine._slot.closing = object()
        one.until(lambda: one.figures().leased == 1)
        two = make_worker()
        assert two.begin().url != begun.url

    def test_it_comes_though_cancels_are_swallowed(self, worker, monkeypatch):
        """As redis-py does on Python 3.11, where a command's last byte has just been sent."""
        monkeypatch.setattr(leased_scheduler, "STOP_S", 0.2)
        monkeypatch.setattr(leased_scheduler, "CLOSE_S", 0.2)
        worker.push(Request(A))
        queue = worker.scheduler.shared_queue

        async def swallows(*_):
            for _ in range(20):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.05)
            raise RedisConnectionError

        monkeypatch.setattr(queue, "round", swallows)
        monkeypatch.setattr(queue, "prolong", swallows)
        worker.scheduler.rounds._beat_now.set()
        worker.runner.run(asyncio.sleep(0.1))

        async def closed():
            await worker.scheduler.close("finished").asFuture(asyncio.get_running_loop())

        worker.is_open = False
        closing = worker.runner.get_loop().create_task(closed())
        done, _ = worker.runner.run(asyncio.wait({closing}, timeout=10))
        assert done

    def test_flushing_at_the_start_is_loud(self, make_worker, caplog):
        one = make_worker()
        one.push(Request(A))
        one.close()
        two = make_worker(SCHEDULER_FLUSH_ON_START=True)
        assert "SCHEDULER_FLUSH_ON_START deletes" in caplog.text
        assert two.figures().requests == 0
        two.push(Request(A))
        assert two.pushed[0][1] == "new"

    def test_a_scrapy_that_keeps_its_requests_elsewhere_is_refused(self, runner, redis_url):
        worker = Worker(runner, redis_url)
        del worker.engine._slot.inprogress
        with pytest.raises(RuntimeError, match=r"has no engine\._slot\.inprogress"):
            worker.open()
        worker.is_open = True  # Scrapy closes it all the same
        worker.close()
        runner.run(worker.scheduler.server.aclose())


class TestRedisFails:
    def test_a_full_one_is_loud_once(self, worker, client, caplog):
        client.config_set("maxmemory", 1)
        try:
            worker.scheduler.enqueue_request(Request(A))
            worker.until(lambda: worker.scheduler.rounds._is_full)
            worker.rounds(3)
            assert len(worker.scheduler.outbox) == 1
            assert worker.scheduler.has_pending_requests()
        finally:
            client.config_set("maxmemory", 0)
        assert worker.begin().url == A
        errors = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert len(errors) == 1
        assert "out of memory" in errors[0].getMessage()

    def test_a_payload_that_is_none_is_put_aside(self, worker, client, caplog):
        queue, bad = worker.scheduler.shared_queue, b"\x80\x04evil"
        good = dumps(Request(B), worker.spider)
        offers = [
            Offer(id=id_, host="x", priority=0, payload=payload)
            for id_, payload in (("bad", bad), ("good", good))
        ]
        other = type(queue)(queue.client, queue.prefix, "other")
        worker.runner.run(other.round(Batch(offers=tuple(offers))))
        assert worker.begin().url == B
        worker.until(lambda: worker.figures().dead == 1)
        (dead,) = worker.dead()
        assert (dead.id, dead.payload) == ("bad", bad)
        assert worker.stat("tge/queue/refused_payloads") == 1
        assert "request bad is put aside: not JSON" in caplog.text
