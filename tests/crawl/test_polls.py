"""What a second poll costs, and what it must not miss."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import QUICK, Project, Web
from newsroom import (
    AIRDROP,
    LAUNCH,
    PRICE,
    STORIES,
    launch_of,
    open_desk,
    page,
    rss,
)

pytestmark = pytest.mark.slow

PATIENCE_S = 30


@pytest.fixture
def desk(project: Project, web: Web) -> Web:
    """One feed with four stories and their pages."""
    return open_desk(project, web, headers={"ETag": '"one"'})


def source_row(project: Project) -> tuple[Any, ...]:
    [row] = project.rows(
        "select etag, polls, not_modified, consecutive_failures, trusts_validators from sources"
    )
    return row


def test_a_feed_that_did_not_change_answers_304_and_nothing_else_is_asked(
    project: Project, desk: Web
) -> None:
    project.crawl("rss")
    asked = len(desk.requests)
    report = project.crawl("rss")
    assert desk.requests[asked:] == ['/rss "one"']
    assert report["sources"]["not_modified"] == 1
    assert report["entries_seen"] == 0
    assert source_row(project) == ('"one"', 2, 1, 0, 1)


def test_the_content_decides_where_a_server_has_no_validators(project: Project, desk: Web) -> None:
    desk.serve("/rss", rss(STORIES))
    project.crawl("rss")
    report = project.crawl("rss")
    assert desk.requests.count("/rss") == 2
    assert report["sources"] | {"changed": 0, "not_modified": 1} == report["sources"]
    assert report["entries_seen"] == 0


def test_the_content_decides_where_the_etag_changes_every_time(project: Project, desk: Web) -> None:
    project.crawl("rss")
    desk.serve("/rss", rss(STORIES), headers={"ETag": '"two"'})
    report = project.crawl("rss")
    assert report["sources"]["not_modified"] == 1
    assert report["entries_seen"] == 0


def test_a_new_entry_is_read_and_the_others_are_known(project: Project, desk: Web) -> None:
    project.crawl("rss")
    later = launch_of("/quillon", "Quillon", hours_old=1)
    desk.serve(later.path, page(later))
    desk.serve("/rss", rss([later, *STORIES]), headers={"ETag": '"two"'})
    asked = len(desk.requests)
    report = project.crawl("rss")
    assert desk.requests[asked:] == ['/rss "one"', later.path]
    assert report["alerts"] == 1
    assert source_row(project)[0] == '"two"'


def test_a_page_that_was_put_off_is_read_at_the_next_poll(project: Project, desk: Web) -> None:
    desk.serve(LAUNCH.path, "busy", status=503)
    report = project.crawl("rss")
    assert report["outcomes"]["pending"] == 1
    assert report["outcomes"]["stored"] == 1
    desk.serve(LAUNCH.path, page(LAUNCH))
    # the host has asked for a rest, which the next process keeps as well
    assert project.scrapy("cache", "clear").returncode == 0
    report = project.crawl("rss")
    assert report["outcomes"]["stored"] == 1
    assert [row for row in desk.requests if row.startswith("/rss")] == ["/rss", "/rss"]
    assert project.crawl("rss")["sources"]["not_modified"] == 1


def test_only_what_is_due_is_polled_where_that_is_asked(project: Project, desk: Web) -> None:
    report = project.crawl("rss", "-a", "due=1")
    assert report["sources"]["polled"] == 1
    asked = len(desk.requests)
    report = project.crawl("rss", "-a", "due=1")
    assert report["sources"]["polled"] == 0
    assert len(desk.requests) == asked


def test_a_switch_is_1_or_0(project: Project, desk: Web) -> None:
    done = project.scrapy("crawl", "rss", "-a", "watch=yes")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: watch is 1 or 0, not 'yes'"


def test_an_archive_is_not_watched(project: Project, tmp_path: Path) -> None:
    done = project.scrapy("crawl", "rss", "-a", "watch=1", "-s", f"TGE_REPLAY={tmp_path}")
    assert done.returncode == 2
    assert "watch=1 polls live feeds" in done.stderr


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


def test_a_watch_finds_what_is_published_while_it_runs_and_ends_in_order(
    project: Project, desk: Web
) -> None:
    report = project.folder / "watch.json"
    watching = project.start(
        "crawl", "rss", "-a", "watch=1", *QUICK,
        "-s", "TGE_POLL_SHORTEST_S=1", "-s", "TGE_POLL_LONGEST_S=2",
        "-s", f"TGE_STATS_JSON={report}",
    )  # fmt: skip
    stored = "select count(*) from mentions"
    try:
        wait_for(lambda: project.database.exists() and desk.requests)
        wait_for(lambda: desk.asked.count("/rss") >= 2 and project.rows(stored) == [(2,)])
        later = launch_of("/quillon", "Quillon", hours_old=0)
        desk.serve(later.path, page(later))
        desk.serve("/rss", rss([later, *STORIES]), headers={"ETag": '"two"'})
        wait_for(lambda: project.rows(stored) == [(3,)])
        # once the batch is committed, a poll is answered and booked before the next one
        wait_for(lambda: desk.requests.count('/rss "two"') >= 5)
    finally:
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 0, said
    assert "Traceback" not in said, said
    found = json.loads(report.read_text())
    assert found["run"]["reason"] == "shutdown"
    assert found["entries_seen"] == sum(found["outcomes"].values())
    assert found["sources"]["not_modified"] >= 1
    pages = [path for path in desk.asked if path not in ("/rss", "/robots.txt")]
    assert sorted(pages) == sorted({LAUNCH.path, AIRDROP.path, PRICE.path, later.path} & set(pages))
    project.assert_loopback_only()


def test_a_watch_that_is_killed_loses_nothing(project: Project, desk: Web) -> None:
    slow = launch_of("/brisk", "Brisk")
    desk.serve("/rss", rss([slow, *STORIES]), headers={"ETag": '"one"'})
    desk.serve(slow.path, page(slow), delay_s=5)
    watching = project.start("crawl", "rss", "-a", "watch=1", *QUICK)
    wait_for(lambda: slow.path in desk.asked)
    os.kill(watching.pid, signal.SIGKILL)
    watching.communicate(timeout=PATIENCE_S)
    desk.serve(slow.path, page(slow))
    report = project.crawl("rss")
    # the cache holds the feed, and so its host need not send it again; nothing of it was settled
    assert [row for row in desk.requests if row.startswith("/rss")] == ["/rss", '/rss "one"']
    assert report["sources"]["not_modified"] == 0
    assert len(project.rows("select id from mentions")) == 3
    assert report["outcomes"]["stored"] >= 1
