"""The plan of polls over a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler

from tgecrawler.domain.feed_history import usual_gap_s
from tgecrawler.domain.fingerprint import content_key, rules_key
from tgecrawler.domain.polling import PollBounds, PollHints
from tgecrawler.extensions.source_rows import SourceRows
from tgecrawler.extensions.store import Store
from tgecrawler.items import Entry
from tgecrawler.options import read_options
from tgecrawler.runtime import Runtime
from tgecrawler.spiders.polls import MOST_UNSETTLED_POLLS, PollBook
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.schema import ensure_schema

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = "rules-1"
KEY = content_key(b"body", RULES)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    path = tmp_path_factory.mktemp("polls") / "sources.yaml"
    path.write_text(
        "version: 1\nfeeds:\n"
        "  - {slug: desk, url: 'https://desk.example/rss', tier: 1}\n"
        "  - {slug: wire, url: 'https://wire.example/rss'}\n"
    )
    return Runtime.load(read_options({"TGE_SOURCES": str(path)}, {}))


@pytest.fixture
def store(runtime: Runtime, tmp_path: Path) -> Iterator[Store]:
    engine = create_engine(f"sqlite:///{tmp_path / 'tge.db'}")
    ensure_schema(engine)
    yield Store(engine, runtime)
    engine.dispose()


class Process:
    """A process with its plan; `end` writes what it learnt, as the close does."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows = SourceRows(get_crawler())
        stats = StatsCollector(get_crawler())
        self.book = PollBook(store, self.rows, stats, PollBounds())

    def end(self) -> None:
        self.store.writer.record_sources(self.rows._waiting.values())

    def read(self, at: datetime, *entries: Entry, **given: bool) -> None:
        self.book.read("desk", entries, at, **given)

    def settle(self, outcome: str = "stored", key: str = KEY, *, again: bool = False) -> None:
        delivery = self.book.delivery("desk", key, '"1"', "Sun, 01 Mar 2026 11:00:00 GMT")
        delivery.opened()
        delivery.taken()
        delivery.closed(outcome, again=again)  # type: ignore[arg-type]

    def validators(self, at: datetime, rules: str = RULES) -> dict[str, str]:
        return self.book.validators("desk", rules_key(rules), at)


def entry(number: int, at: datetime) -> Entry:
    return Entry(url=f"https://desk.example/{number}", title=f"Story {number}", published_at=at)


def test_validators_are_sent_once_all_of_the_body_is_stored(store: Store) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    assert process.validators(NOW) == {}
    process.settle()
    assert process.validators(NOW) == {
        "If-None-Match": '"1"',
        "If-Modified-Since": "Sun, 01 Mar 2026 11:00:00 GMT",
    }
    process.end()
    assert Process(store).validators(NOW) == process.validators(NOW)
    assert Process(store).book.is_settled("desk", KEY)


def test_a_process_that_died_before_asks_for_the_whole_again(store: Store) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    process.end()
    assert Process(store).validators(NOW) == {}
    assert not Process(store).book.is_settled("desk", KEY)


def test_other_rules_want_the_body_again(store: Store) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    process.settle()
    assert process.validators(NOW, "rules-2") == {}
    assert not process.book.is_settled("desk", content_key(b"body", "rules-2"))


def test_a_page_that_fails_for_ever_does_not_cost_the_feed_for_ever(store: Store) -> None:
    process = Process(store)
    for _ in range(MOST_UNSETTLED_POLLS - 1):
        process.read(NOW, entry(1, NOW - HOUR))
        process.settle("failed")
        assert process.validators(NOW) == {}
        process.end()
        process = Process(store)
    process.settle("failed")
    assert process.validators(NOW)


def test_what_could_not_be_written_is_asked_for_as_long_as_it_takes(store: Store) -> None:
    process = Process(store)
    for _ in range(MOST_UNSETTLED_POLLS + 1):
        process.read(NOW, entry(1, NOW - HOUR))
        process.settle("failed", again=True)
        assert process.validators(NOW) == {}
        assert not process.book.is_settled("desk", KEY)


def test_a_server_that_always_says_not_modified_is_found_out(store: Store) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    process.settle()
    at = NOW
    while process.validators(at):
        at += HOUR
        process.book.unchanged("desk", at, whole=False)
    assert timedelta(days=1) < at - NOW < timedelta(days=3)
    withheld = entry(2, at - 3 * HOUR)
    process.read(at, withheld, entry(1, NOW - HOUR))
    process.settle(key=content_key(b"other", RULES))
    assert process.validators(at) == {}, "its word counts no more"
    process.end()
    assert Process(store).validators(at) == {}


def test_a_server_that_proves_its_word_keeps_our_trust(store: Store) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    process.settle()
    later = NOW + timedelta(days=4)
    process.book.unchanged("desk", later - HOUR, whole=False)
    process.book.unchanged("desk", later, whole=True)
    assert process.validators(later)


def test_a_body_that_came_in_answer_to_validators_proves_nothing(store: Store) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    process.settle()
    process.book.unchanged("desk", NOW + 5 * HOUR, whole=False)
    backdated = entry(2, NOW + HOUR)
    process.read(NOW + 6 * HOUR, backdated, conditional=True)
    process.settle()
    assert process.validators(NOW + 6 * HOUR)


def test_failures_put_the_next_poll_off_and_never_away(store: Store) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    waits = []
    at = NOW
    for _ in range(20):
        process.book.failed("desk", "HTTP 500", at, None)
        due = process.book.due_at("desk", at)
        waits.append(due - at)
        at = due
    assert waits[0] < waits[5]
    assert max(waits) <= timedelta(days=2)
    process.end()
    assert Process(store).book.due_at("desk", at) == due


def test_a_first_poll_that_failed_does_not_cost_the_backlog(store: Store) -> None:
    process = Process(store)
    process.book.failed("desk", "HTTP 500", NOW, None)
    process.read(NOW + HOUR, *(entry(n, NOW - n * HOUR) for n in range(20)))
    usual_s = usual_gap_s(process.book.polls["desk"].history)
    assert usual_s == pytest.approx(3600, rel=0.1)  # the newest came an hour before the poll


def test_a_host_that_asks_for_rest_has_it(store: Store) -> None:
    process = Process(store)
    until = NOW + timedelta(hours=7)
    process.book.failed("desk", "rests", NOW, until)
    assert process.book.due_at("desk", NOW) >= until


def test_hints_are_heeded(store: Store) -> None:
    process = Process(store)
    moments = [entry(n, NOW - n * timedelta(minutes=2)) for n in range(30)]
    process.book.read("desk", moments, NOW, PollHints(ttl_s=1800))
    assert process.book.due_at("desk", NOW) >= NOW + timedelta(seconds=1800)


def test_another_address_is_another_source(store: Store, runtime: Runtime) -> None:
    process = Process(store)
    process.read(NOW, entry(1, NOW - HOUR))
    process.settle()
    process.end()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("update sources set url = 'https://old.example/'")
    assert Process(store).validators(NOW) == {}


def test_a_source_that_went_silent_is_said_once_a_day(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(store)
    process.read(NOW, *(entry(n, NOW - n * HOUR) for n in range(60)))
    caplog.set_level("WARNING")
    at = NOW
    while at < NOW + timedelta(days=9):
        at += HOUR
        process.book.unchanged("desk", at, whole=False)
    said = [record.message for record in caplog.records if "nothing new" in record.message]
    assert 3 <= len(said) <= 9
    assert said[0].startswith("desk answers, but has told nothing new since 2026-03-01 12:00")
    assert process.book.stale(at) == ["desk"]
