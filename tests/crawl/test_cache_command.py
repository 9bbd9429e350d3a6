"""`scrapy cache` on what a crawl has left."""

from __future__ import annotations

import json

import pytest

from harness import Project, Web
from newsroom import open_desk

pytestmark = pytest.mark.slow


@pytest.fixture
def crawled(project: Project, web: Web) -> Project:
    """A project that has crawled one feed and its pages, twice within minutes."""
    open_desk(project, web, headers={"ETag": '"one"'})
    project.crawl("rss")
    first = list(web.asked)
    assert "/rss" in first
    report = project.crawl("rss")
    assert report["sources"]["polled"] == 1
    assert web.asked[len(first) :] == ["/rss"], "the feed is asked, and nothing else"
    return project


def shown(project: Project, *args: str) -> object:
    done = project.scrapy("cache", *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_second_crawl_asks_for_nothing_and_the_commands_tell(crawled: Project) -> None:
    stats = shown(crawled, "stats", "--tier", "feed")
    assert isinstance(stats, dict)
    (feed,) = stats["tiers"]
    assert (feed["entries"], feed["misses"], feed["revalidated"]) == (1, 2, 1)
    assert feed["hit_ratio"] == 0.5
    assert stats["bytes"] > 0

    table = crawled.scrapy("cache", "stats").stdout
    assert "article" in table
    assert "50%" in table

    advice = shown(crawled, "advise")
    assert isinstance(advice, list)
    assert {row["tier"] for row in advice} >= {"feed", "article", "x_user"}
    assert "nobody has looked again" in crawled.scrapy("cache", "advise").stdout

    assert shown(crawled, "clear", "--tier", "feed") == {"dropped": 1}
    assert crawled.scrapy("cache", "clear").stdout.startswith("dropped ")
    stats = shown(crawled, "stats")
    assert isinstance(stats, dict)
    assert sum(row["entries"] for row in stats["tiers"]) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["cache", "stats", "--tier", "feeds"], "no tier 'feeds'; did you mean 'feed'?"),
        (["cache", "stats"], "cache.sqlite yet; a crawl makes it"),
        (["cache", "stats", "-s", "TGE_CACHE_URL=redis://127.0.0.1:1/0"], "cannot be used: Redis"),
    ],
)
def test_what_a_user_did_wrong_is_one_line(project: Project, args: list[str], said: str) -> None:
    done = project.scrapy(*args)
    assert done.returncode == 2, done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert "Traceback" not in done.stderr
    assert not (project.folder / "cache.sqlite").exists()
