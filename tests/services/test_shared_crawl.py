"""Crawls of several processes over one Redis, as a user runs them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis_groups import Cluster, Watched, running

from harness import QUICK, Project, Web, serving
from newsroom import STORIES, WATCHLIST, launch_of, open_desk, page, rss, sources
from tgecrawler.stream.messages import STREAM, decode

pytestmark = pytest.mark.slow

FEEDS = 8
PER_FEED = 4
OUTCOME = "select id, outcome from seen order by id"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with serving(tmp_path / "web") as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, redis_url: str) -> Project:
    return Project(tmp_path, {"TGE_REDIS_URL": redis_url, "TGE_LEASE_S": "5"})


def open_desks(project: Project, web: Web) -> None:
    """Serve some feeds, each with launches of its own and one story that all of them tell."""
    feeds = {}
    for feed in range(FEEDS):
        stories = [
            launch_of(f"/{feed}/{number}", f"{name}{'abcdefgh'[feed]}ia")
            for number, name in enumerate(("Quil", "Bris", "Ostl", "Vant")[:PER_FEED])
        ]
        feeds[f"desk-{feed}"] = web.serve(
            f"/{feed}", rss([*stories, STORIES[0]]), headers={"ETag": f'"{feed}"'}
        )
        for story in (*stories, STORIES[0]):
            web.serve(story.path, page(story))
    project.settings |= {
        "TGE_SOURCES": str(project.write("sources.yaml", sources(feeds))),
        "TGE_WATCHLIST": str(project.write("watchlist.yaml", WATCHLIST)),
    }


def alone(project: Project) -> Project:
    """Return the same project without Redis, with a database of its own."""
    folder = project.folder / "alone"
    folder.mkdir()
    given = {name: value for name, value in project.settings.items() if name != "TGE_REDIS_URL"}
    return Project(folder, given)


def crawl_together(project: Project, workers: int) -> list[dict[str, Any]]:
    """Run some workers at once; return their reports."""
    reports = [project.folder / f"report-{worker}.json" for worker in range(workers)]
    started = [
        project.start("crawl", "rss", *QUICK, "-s", f"TGE_STATS_JSON={report}")
        for report in reports
    ]
    for process in started:
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert "Traceback" not in said, said
        assert " ERROR: " not in said, said
    return [json.loads(report.read_text()) for report in reports]


def rows_of(project: Project, query: str) -> list[Any]:
    with sqlite3.connect(project.database) as connection:
        return connection.execute(query).fetchall()


def outcomes_of(reports: list[dict[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for report in reports:
        assert report["entries_seen"] == sum(report["outcomes"].values())
        total += Counter(report["outcomes"])
    return total


def test_one_worker_does_what_a_single_process_does(project: Project, web: Web) -> None:
    open_desk(project, web, headers={"ETag": '"one"'})
    single = alone(project).crawl("rss")
    report = project.crawl("rss")
    assert report["outcomes"] == single["outcomes"]
    assert report["requests"] == single["requests"]
    assert single["queue"] is None
    assert report["queue"]["rounds"]
    assert not report["queue"]["redis_errors"]


def test_three_workers_store_what_one_process_does(project: Project, web: Web) -> None:
    open_desks(project, web)
    single = alone(project)
    expected = single.crawl("rss")
    asked = len(web.asked)
    reports = crawl_together(project, 3)
    assert rows_of(project, OUTCOME) == rows_of(single, OUTCOME)
    for table in ("alerts", "events", "mentions"):
        count = f"select count(*) from {table}"
        assert rows_of(project, count) == rows_of(single, count), table
    total = outcomes_of(reports)
    assert sum(total.values()) == expected["entries_seen"]
    polls = Counter(path for path in web.asked[asked:] if path[1:].isdecimal())
    assert polls == {f"/{feed}": 1 for feed in range(FEEDS)}


def test_what_one_worker_settled_saves_another_the_body(project: Project, web: Web) -> None:
    open_desks(project, web)
    crawl_together(project, 2)
    settings = ["-s", "TGE_POLL_SHORTEST_S=0.1"]
    asked = len(web.requests)
    report = project.crawl("rss", *settings)
    assert report["sources"]["not_modified"] == FEEDS
    assert sorted(web.requests[asked:]) == sorted(f'/{feed} "{feed}"' for feed in range(FEEDS))


def test_an_address_that_cannot_be_sent_costs_neither_its_entry_nor_its_source(
    project: Project, web: Web
) -> None:
    """A host too long for a key stays with the worker that read of it, which is refused it."""
    open_desks(project, web)
    long = launch_of("/long", "Quilia")
    host = ".".join(["label" * 10] * 6)
    web.serve("/0", rss([long], {"/long": f"http://{host}/long"}))
    single = alone(project)
    single.crawl("rss")
    crawl_together(project, 1)
    assert rows_of(project, OUTCOME) == rows_of(single, OUTCOME)


def test_a_source_is_not_asked_again_by_a_cycle_that_comes_late(project: Project, web: Web) -> None:
    open_desk(project, web)
    project.crawl("rss")
    asked = len(web.requests)
    assert project.crawl("rss")["sources"]["polled"] == 0
    assert len(web.requests) == asked


def test_a_worker_that_is_killed_costs_no_entry(project: Project, web: Web) -> None:
    open_desks(project, web)
    for path, route in list(web.routes.items()):
        web.serve(path, **{**route, "delay_s": 0.3})
    victim = project.start("crawl", "rss", *QUICK)
    with Redis.from_url(project.settings["TGE_REDIS_URL"]) as shelf:
        while not shelf.hlen("{tge:1:queue:rss}:held") and victim.poll() is None:
            pass
    victim.kill()
    victim.communicate()
    reports = crawl_together(project, 1)
    single = alone(project)
    single.crawl("rss")
    assert rows_of(project, OUTCOME) == rows_of(single, OUTCOME)
    assert outcomes_of(reports)["failed"] == 0


def test_the_alerts_of_all_are_on_the_stream(project: Project, web: Web) -> None:
    open_desks(project, web)
    crawl_together(project, 2)
    done = subprocess.run(
        project.command("alerts", "--json"),
        cwd=Path(__file__).parents[2],
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = sorted(alert["id"] for alert in json.loads(done.stdout))
    with Redis.from_url(project.settings["TGE_REDIS_URL"]) as shelf:
        messages = [decode(id_, fields) for id_, fields in shelf.xrange(STREAM)]
    told: set[str] = set()
    for message in messages:
        if message.kind == "alert":
            told = (told - {message.was}) | {message.ref}
    assert sorted(told) == expected


def test_a_crawl_over_a_cluster(project: Project, web: Web, tmp_path: Path) -> None:
    open_desks(project, web)
    with running(Cluster(tmp_path / "cluster")) as cluster:
        project.settings["TGE_REDIS_URL"] = cluster.url
        crawl_together(project, 2)
    single = alone(project)
    single.crawl("rss")
    assert rows_of(project, OUTCOME) == rows_of(single, OUTCOME)


def test_a_crawl_goes_on_with_the_replica_when_the_master_dies(
    project: Project, web: Web, tmp_path: Path
) -> None:
    """What the replica had not heard of yet is told again by its feed in the next cycle."""
    open_desks(project, web)
    for path, route in list(web.routes.items()):
        web.serve(path, **{**route, "delay_s": 0.3})
    with running(Watched(tmp_path / "watched")) as servers:
        project.settings["TGE_REDIS_URL"] = servers.url
        workers = [project.start("crawl", "rss", *QUICK) for _ in range(2)]
        with Redis.from_url(servers.master.url) as shelf:
            while not shelf.hlen("{tge:1:queue:rss}:held"):
                assert any(worker.poll() is None for worker in workers)
        servers.master.kill()
        for worker in workers:
            _, said = worker.communicate(timeout=100)
            assert worker.returncode == 0, said
        project.crawl("rss", "-s", "TGE_POLL_SHORTEST_S=0.1")
    single = alone(project)
    single.crawl("rss")
    assert rows_of(project, OUTCOME) == rows_of(single, OUTCOME)
