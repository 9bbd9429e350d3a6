"""The demo: the one command that a newcomer types, and what it must find."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from harness import ROOT, Project
from tgecrawler.config.loader import load_sources
from tgecrawler.demo.build import build_archive, replies, write_sources
from tgecrawler.demo.world import load_world, reprinted, sister_url

EXPECTED = ROOT / "tests/fixtures/demo/alerts.expected.json"
CONFIGURATION = ROOT / "tgecrawler/demo"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("demo")
    archive = folder / "archive.warc.gz"
    build_archive(archive)
    project = Project(
        folder,
        {
            "TGE_REPLAY": str(archive),
            "TGE_WATCHLIST": str(CONFIGURATION / "watchlist.yaml"),
            "TGE_SOURCES": str(CONFIGURATION / "sources.yaml"),
        },
    )
    project.crawl("rss")
    project.crawl("articles")
    return project


def test_the_alerts_are_the_expected_ones(demo: Project) -> None:
    done = demo.scrapy("alerts", "--json")
    shown = ("source", "title", "kind", "project", "token")
    found = [{name: alert[name] for name in shown} for alert in json.loads(done.stdout)]
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_the_events_are_the_expected_ones(demo: Project) -> None:
    shown = ("project", "token", "kind", "status", "mentions", "copies", "owners")
    found = [
        {name: event[name] for name in shown}
        | {"history": [step["status"] for step in event["history"]]}
        for event in json.loads(demo.scrapy("events", "--json").stdout)
    ]
    expected = json.loads((EXPECTED.parent / "events.expected.json").read_text(encoding="utf-8"))
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_copies_are_kept_as_witnesses(demo: Project) -> None:
    copies = demo.rows(
        "select copy.source, original.source from mentions copy"
        " join mentions original on copy.duplicate_of = original.id order by 1"
    )
    assert copies == [
        ("coin-wire", "ledger-post"),
        ("coin-wire", "ledger-post"),
        ("old-ledger", "ledger-post"),
    ]


def test_every_story_meant_as_an_alert_raises_one_and_no_other_does(demo: Project) -> None:
    stories = (ROOT / "tgecrawler/demo/stories_events.yaml").read_text(encoding="utf-8")
    meant = stories.count("    alert: {")
    assert len(demo.rows("select id from alerts")) == meant


def test_alerts_are_found_by_words_and_status(demo: Project) -> None:
    def titles(*filters: str) -> set[str]:
        shown = json.loads(demo.scrapy("alerts", "--json", *filters).stdout)
        return {alert["title"] for alert in shown}

    every = titles()
    assert titles("--text", "fernway FRN") == {
        title for title in every if {"Fernway", "FRN"} <= set(title.split())
    }
    assert titles("--text", "fern*") >= titles("--text", "fernway") > set()
    assert set() < titles("--status", "live") < every
    assert titles("--text", "nobodysaysthis") == set()


def test_an_outlet_that_fails_is_told(demo: Project) -> None:
    listed = json.loads(demo.scrapy("sources", "list", "--json").stdout)
    told = sum(source["mentions"] for source in listed)
    assert told == len(demo.rows("select id from mentions"))
    failing = [source["slug"] for source in listed if source["consecutive_failures"]]
    assert failing == ["grapevine"]


def test_the_world_is_as_large_as_it_says() -> None:
    world = load_world()
    days = {story.at.date() for story in world.stories}
    formats = Counter(site.format for site in world.sites)
    assert len(world.sites) >= 12
    assert len(world.stories) >= 80
    assert len(days) >= 10
    assert {"rss2", "atom", "json", "rdf", "sitemap", "listing"} <= set(formats)


def test_editions_are_sisters_of_every_site_that_print_a_minute_later(tmp_path: Path) -> None:
    world, sources = load_world(), tmp_path / "sources.yaml"
    editions = reprinted(world, 3)
    assert len({site.host for site in editions.sites}) == 3 * len(world.sites)
    by_url = {story.url: story for story in editions.stories}
    assert len(by_url) == len(editions.stories) == 3 * len(world.stories)
    for story in world.stories:
        third = by_url[sister_url(story.url, 3)]
        assert (third.text, third.at - story.at) == (story.text, timedelta(minutes=2))
    feeds = write_sources(sources, editions=3)
    loaded = load_sources(sources)
    assert len(loaded.feeds) == feeds == 36
    answered = {url for url, *_ in replies(editions)}
    assert {feed.url for feed in loaded.feeds} <= answered
    assert max(story.at for story in editions.stories) < world.captured_at


def test_the_archive_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        subprocess.run(
            [sys.executable, "-m", "tgecrawler.demo.build", str(tmp_path / name)],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
