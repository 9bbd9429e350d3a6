"""Who counts an entry, and who hears of its end, when its page goes through a shared queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from scrapy import Request
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler
from twisted.python.failure import Failure

from tgecrawler.domain.delivery import DeliveredBody, Delivery
from tgecrawler.extensions.ledger import WAITING, EntryLedger
from tgecrawler.fleet.shared_pages import SharedPages
from tgecrawler.items import Entry
from tgecrawler.scheduling.request_json import NOT_SENT
from tgecrawler.scheduling.resting import HostRestingError
from tgecrawler.spiders.rss import RssSpider
from tgecrawler.spiders.waiting import NamedSource, Waiting

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Queue:
    """A queue that hands back what it is given, and remembers the rest."""

    worker: str = "a"
    on_pushed: Any = None
    on_group_closed: Any = None
    holds: dict[Request, int] = field(default_factory=dict)
    released: list[tuple[bool, bool]] = field(default_factory=list)
    put_off_until: list[datetime] = field(default_factory=list)
    groups: list[tuple[str, bytes, int]] = field(default_factory=list)

    def hold(self, request: Request) -> None:
        self.holds[request] = self.holds.get(request, 0) + 1

    def release(self, request: Request, *, unfinished: bool = False, again: bool = False) -> None:
        self.holds[request] -= 1
        self.released.append((unfinished, again))

    def put_off(self, request: Request, until: datetime) -> None:
        self.put_off_until.append(until)

    def close_group(self, group: str, payload: bytes, unfinished: int) -> None:
        self.groups.append((group, payload, unfinished))


@dataclass
class Book:
    """The part of `PollBook` that pages speak to."""

    on_handed_over: Any = None
    settled: list[DeliveredBody] = field(default_factory=list)

    def settle(self, body: DeliveredBody) -> None:
        self.settled.append(body)


class Process:
    def __init__(self) -> None:
        self.queue, self.book = Queue(), Book()
        self.ledger = EntryLedger(StatsCollector(get_crawler()))
        self.pages = SharedPages(self.queue, self.ledger, self.book)  # type: ignore[arg-type]

    def read(self, *names: str) -> tuple[Delivery, list[Request]]:
        """Read a body with these entries, each of which leads to a page."""
        delivery = Delivery(
            "desk", "1key", etag='"1"', last_modified="", at_rest=self._at_rest, id="body"
        )
        requests = []
        for name in names:
            self.ledger.open(name, delivery)
            request = Request(f"https://desk.example/{name}", cb_kwargs={"page": name})
            requests.append(self.pages.put(request, waiting(name), delivery))
        delivery.taken()
        return delivery, requests

    def _at_rest(self, delivery: Delivery) -> None:
        if delivery.handed:
            self.book.on_handed_over(delivery)
        else:
            self.book.settle(delivery.body())

    def arrive(self, request: Request) -> Waiting | None:
        travelled = request.replace(
            cb_kwargs=orjson.loads(orjson.dumps(request.cb_kwargs)),
            meta={name: value for name, value in request.meta.items() if name not in NOT_SENT},
        )
        self.request = travelled
        return self.pages.arrived(travelled, travelled.cb_kwargs["waiting"])


def waiting(name: str) -> Waiting:
    entry = Entry(url=f"https://desk.example/{name}", title="A", published_at=NOW)
    return Waiting(name, NamedSource("desk", "owner"), entry, NOW)


@pytest.fixture
def reader() -> Process:
    return Process()


@pytest.fixture
def fetcher() -> Process:
    return Process()


def test_an_entry_is_counted_by_whoever_fetches_its_page(reader: Process, fetcher: Process) -> None:
    _, (request,) = reader.read("x")
    assert reader.ledger.book.seen == 1
    reader.queue.on_pushed(request, "new")
    assert reader.ledger.book.seen == 0
    assert reader.ledger.book.balanced
    assert fetcher.arrive(request) == waiting("x")
    fetcher.ledger.close("x", "stored")
    assert (fetcher.ledger.book.seen, fetcher.ledger.book.outcomes["stored"]) == (1, 1)


def test_a_page_is_leased_until_its_entry_is_committed(reader: Process, fetcher: Process) -> None:
    _, (request,) = reader.read("x")
    fetcher.arrive(request)
    assert fetcher.queue.holds == {fetcher.request: 1}
    assert fetcher.request.meta[WAITING] == [waiting("x")]
    fetcher.ledger.close("x", "stored")
    assert fetcher.queue.holds == {fetcher.request: 0}
    assert fetcher.queue.released == [(False, False)]


@pytest.mark.parametrize(
    ("outcome", "again", "told"),
    [("irrelevant", False, (False, False)), ("failed", False, (True, False)),
     ("pending", False, (True, False)), ("failed", True, (True, True))],
)  # fmt: skip
def test_the_queue_hears_how_an_entry_ended(
    reader: Process, fetcher: Process, outcome: Any, again: bool, told: tuple[bool, bool]
) -> None:
    _, (request,) = reader.read("x")
    fetcher.arrive(request)
    fetcher.ledger.close("x", outcome, again=again)
    assert fetcher.queue.released == [told]


def test_a_page_that_is_on_its_way_here_already_is_not_read_twice(
    reader: Process, fetcher: Process
) -> None:
    _, (request,) = reader.read("x")
    assert fetcher.arrive(request) is not None
    assert fetcher.arrive(request) is None


def test_a_body_is_settled_by_whoever_decides_its_last_entry(
    reader: Process, fetcher: Process
) -> None:
    _, requests = reader.read("x", "y")
    reader.queue.on_pushed(requests[0], "new")
    assert reader.queue.groups == []
    reader.queue.on_pushed(requests[1], "new")
    ((group, payload, unfinished),) = reader.queue.groups
    assert (group, unfinished) == ("body", 0)
    assert requests[0].meta["lease_group"] == "body"
    assert reader.book.settled == []
    fetcher.queue.on_group_closed(group, payload, 0)
    (body,) = fetcher.book.settled
    assert (body.slug, body.content_key, body.etag, body.settled) == ("desk", "1key", '"1"', True)
    fetcher.queue.on_group_closed(group, payload, 1)
    assert not fetcher.book.settled[-1].settled


def test_an_entry_of_an_earlier_body_leaves_a_body_unsettled(reader: Process) -> None:
    """Its outcome will be told to the earlier one; this one is read whole once more."""
    _, requests = reader.read("x", "y")
    reader.queue.on_pushed(requests[0], "queued")
    reader.queue.on_pushed(requests[1], "new")
    assert [unfinished for _, _, unfinished in reader.queue.groups] == [1]
    assert reader.ledger.book.balanced


def test_a_body_whose_entries_were_all_on_their_way_is_its_readers_to_settle(
    reader: Process,
) -> None:
    _, (request,) = reader.read("x")
    reader.queue.on_pushed(request, "queued")
    (body,) = reader.book.settled
    assert (body.settled, body.is_wanted_again) == (False, True)


def test_a_page_that_comes_before_the_queue_has_answered_is_made_again(reader: Process) -> None:
    """It is of an earlier body, whose entry is open here for the sake of a later one."""
    _, (request,) = reader.read("x")
    assert reader.arrive(request) is None
    assert reader.queue.holds == {reader.request: 1}
    reader.queue.on_pushed(request, "queued")
    assert reader.queue.released == [(True, True)]
    assert reader.ledger.book.balanced


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{}", b"[]", b"\x80\x04",
        b'{"slug": "desk", "content_key": "k", "etag": "1\\r\\nEvil: 1", "last_modified": "", '
        b'"again": false}',
    ],
)  # fmt: skip
def test_an_account_that_cannot_be_read_settles_nothing(fetcher: Process, payload: bytes) -> None:
    fetcher.queue.on_group_closed("body", payload, 0)
    assert fetcher.book.settled == []


def test_a_page_of_a_resting_host_is_put_off(reader: Process, fetcher: Process) -> None:
    until = NOW + timedelta(hours=1)
    _, (request,) = reader.read("x")
    fetcher.pages.put_off(request, until)
    assert fetcher.queue.put_off_until == [until]
    assert fetcher.ledger.book.seen == 0


def test_a_page_that_could_not_be_sent_is_read_by_who_has_its_entry(reader: Process) -> None:
    """Too large, say: the scheduler has kept it, and the queue will never answer for it."""
    delivery, (request,) = reader.read("x")
    assert reader.pages.arrived(request, request.cb_kwargs["waiting"]) == waiting("x")
    reader.ledger.close("x", "stored")
    assert delivery.settled
    assert reader.ledger.book.seen == 1


def test_a_page_that_could_not_be_sent_waits_for_its_sources_next_poll(reader: Process) -> None:
    delivery, (request,) = reader.read("x")
    spider = RssSpider()
    spider.crawler = SimpleNamespace(get_extension=lambda _: reader.ledger)  # type: ignore[assignment]
    spider.fleet = SimpleNamespace(pages=reader.pages)  # type: ignore[assignment]
    failure = Failure(HostRestingError("desk.example", NOW + timedelta(hours=1)))
    failure.request = request  # type: ignore[attr-defined]
    assert list(spider.page_failed(failure)) == []
    assert delivery.unfinished == 1
    assert reader.queue.put_off_until == []


def test_a_page_bears_its_own_entry(reader: Process, fetcher: Process) -> None:
    """What comes from Redis may say otherwise, and two of one key would take each other's."""
    _, requests = reader.read("x", "y")
    spider = RssSpider()
    spider.fleet = SimpleNamespace(pages=fetcher.pages)  # type: ignore[assignment]
    assert spider._arrived(requests[0], "x", requests[0].cb_kwargs["waiting"])
    with pytest.raises(ValueError, match="another entry"):
        spider._arrived(requests[1], "x", requests[1].cb_kwargs["waiting"])
    assert fetcher.ledger.book.seen == 1
