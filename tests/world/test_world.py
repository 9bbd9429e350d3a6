"""A simulated day of ``scrapy crawl rss -a watch=1``, judged by the server's own log.

The world (204 hosts, 120 feeds; see world.py) lives in virtual time, so a day takes about a
minute while a gap of one second stays one. Its servers hold idle connections for an
hour; the test of common servers tells what is left of reuse at nginx's 75 s. ``pytest -s``
shows the figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import checks
from day import HERE, Outcome, crawl, running_world
from figures import Figures, cache_hit_ratio, lost
from tgecrawler.options import OPTIONS
from tgecrawler.spiders.rss import RssSpider
from world import DAY_S, HOUR_S, Plan, build_world

pytestmark = pytest.mark.slow
needs_watch = pytest.mark.skipif(
    "watch" not in RssSpider.arguments, reason="the spider rss takes no watch=1 yet"
)
GAP_S = 1.0  # DOWNLOAD_DELAY as the project sets it
PRIVATE = "TGE_ALLOW_PRIVATE_NETWORKS"
# no process beside the crawl: the clock would go on while that one reads
WATCH = [
    *("-a", "watch=1"),
    *("-s", f"{PRIVATE}=1", "-s", "TGE_READERS=0", "-s", "LOG_LEVEL=WARNING"),
]


def watch(folder: Path, plan: Plan, hours: float = 24) -> Outcome:
    return crawl(folder, plan, [*WATCH, "-s", f"CLOSESPIDER_TIMEOUT={hours * HOUR_S:.0f}"])


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    found = watch(tmp_path_factory.mktemp("day"), Plan())
    print(f"\nvirtual day in {found.took_s:.0f} s\n{Figures(found.world, found.log).table()}")
    return found


@pytest.fixture(scope="module")
def day(outcome: Outcome) -> Figures:
    return Figures(outcome.world, outcome.log)


@needs_watch
class TestDay:
    """The day as the issue asks for it."""

    def test_it_was_a_day_in_a_world_of_200_hosts(self, outcome: Outcome, day: Figures) -> None:
        assert len(outcome.world.hosts) >= 200
        # the others have only pages that screening rules out
        assert len({one.host for one in day.log.requests}) >= 150
        assert outcome.virtual_s >= DAY_S

    def test_one_connection_per_host(self, day: Figures) -> None:
        assert day.parallel <= 1
        assert checks.most_parallel_requests(day.log.requests) <= 1

    def test_gaps_are_kept(self, day: Figures) -> None:
        assert checks.gap_violations(day.log.requests, GAP_S) == []
        assert day.delay_violations == []

    def test_retry_after_is_honoured(self, day: Figures) -> None:
        told = [one for one in day.log.requests if one.retry_at_s is not None]
        assert {one.status for one in told} == {429, 503}, "both forms were met"
        assert checks.early_returns(day.log.requests) == []

    def test_bare_refusals_are_backed_off_from(self, day: Figures) -> None:
        waits_s = checks.bare_refusal_waits_s(day.log.requests)
        assert waits_s
        assert min(waits_s) >= 30, "60 s with jitter"

    def test_robots_txt_is_obeyed(self, day: Figures) -> None:
        assert checks.disallowed_requests(day.log.requests, day.is_disallowed) == []

    def test_idle_feeds_answer_304(self, day: Figures) -> None:
        assert day.idle_not_modified(honest=True) > 0.9
        assert day.idle_not_modified(honest=False) > 0.9

    def test_connections_are_reused(self, day: Figures) -> None:
        assert checks.reuse_ratio(day.log.requests) > 0.9

    def test_the_cache_is_hit(self, outcome: Outcome) -> None:
        """Of what is asked for again and again; a page is asked for once, and then known."""
        ratio, avoided = cache_hit_ratio(outcome.report), outcome.report["requests"]["avoided"]
        print(f"cache: {ratio:.1%}; {avoided} pages were not asked for; {outcome.report['cache']}")
        assert ratio > 0.7

    def test_fewer_requests_than_without_cache_and_screening(self, day: Figures) -> None:
        once, each_time = day.naive.saved(len(day.log.requests))
        assert each_time >= 0.3, "a crawler without cache takes each page at each sighting"
        assert once > 0, "even one that takes each page but once asks more"

    def test_nothing_is_lost(self, outcome: Outcome) -> None:
        due = list(outcome.world.due_alerts())
        missing = lost(outcome.world, outcome.alerted, outcome.port)
        print(f"{len(due)} token events were to be found, {len(missing)} of them lost")
        assert len(due) > 150
        assert [(feed.slug, entry.story.title) for feed, entry in missing] == []

    def test_every_entry_is_accounted_for(self, outcome: Outcome) -> None:
        report = outcome.report
        assert report["entries_seen"] == sum(report["outcomes"].values())


@needs_watch
def test_common_servers_close_idle_connections_early(tmp_path: Path) -> None:
    """At 75 s no poll finds its connection alive; what can be reused is reused all the same."""
    plan = Plan(feeds=30, page_hosts=21, keep_alive_s=75)
    found = watch(tmp_path, plan, hours=6)
    requests = found.log.requests
    print(f"\nreuse at 75 s: {checks.reuse_ratio(requests):.1%}")
    assert checks.possible_reuse_ratio(requests, plan.keep_alive_s) > 0.9
    assert Figures(found.world, found.log).parallel <= 1


def test_one_cycle_hears_of_all_that_was_there(tmp_path: Path) -> None:
    """One run at midnight: the texts of the world are understood, pages or none."""
    guarded = any(option.name == PRIVATE for option in OPTIONS)
    arguments = ["-s", f"{PRIVATE}=1", "-s", "TGE_READERS=0"] if guarded else []
    found = crawl(tmp_path, Plan(feeds=40, page_hosts=28), arguments)
    down_at_first = {
        host.address
        for host in found.world.hosts.values()
        if host.fault is not None and host.fault.from_s == 0
    }
    missing = [
        entry.story.title
        for feed, entry in lost(found.world, found.alerted, found.port)
        if entry.published_s < 0 and feed.host not in down_at_first
    ]
    assert missing == []
    assert found.report["entries_seen"] == sum(found.report["outcomes"].values())
    assert found.virtual_s < HOUR_S


def test_the_world_sees_what_a_bare_crawler_does_wrong(tmp_path: Path) -> None:
    plan = Plan(feeds=40, page_hosts=0)
    with running_world(tmp_path, plan) as place:
        urls = [f"http://{one.host}:{place.port}{one.listed_path}" for one in place.world.feeds]
        (tmp_path / "urls.json").write_text(json.dumps(urls))
        script = str(HERE / "bare_crawler.py")
        done = place.run([sys.executable, script, str(tmp_path / "urls.json"), "8"], 120)
        assert done.returncode == 0, done.stderr
        figures = Figures(place.world, place.stop())
    requests = figures.log.requests
    print(f"\n{figures.table()}")
    assert figures.parallel == 2, "a redirect to another host stays in the slot of the first"
    assert len(figures.polls) > 1000
    assert checks.early_returns(requests), "it knows no Retry-After"
    assert figures.delay_violations, "nor a crawl-delay"
    assert min(checks.bare_refusal_waits_s(requests)) < 30, "nor a back-off"
    assert checks.reuse_ratio(requests) < 0.5, "Scrapy drops a connection after 240 s"
    assert figures.idle_not_modified(honest=True) == 1.0


def test_equal_plans_make_equal_worlds() -> None:
    assert build_world(Plan()) == build_world(Plan())
    assert build_world(Plan()) != build_world(Plan(seed=2))
