"""`scrapy crawl rss` against a real server on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from dataclasses import replace

import pytest

from harness import Project, Web
from newsroom import (
    AIRDROP,
    LAUNCH,
    PRICE,
    PROJECTS,
    WIDOW,
    Story,
    launch_of,
    open_desk,
    page,
    rss,
    sources,
)

pytestmark = pytest.mark.slow

TOLD = (
    "(select mentions.*, coalesce(text, '') as text"
    " from mentions left join mention_texts on mention_id = mentions.id)"
)


@pytest.fixture
def desk(project: Project, web: Web) -> Web:
    """One feed with four stories, their pages, and the project set up to read it."""
    return open_desk(project, web)


def test_from_feed_to_alert(project: Project, desk: Web) -> None:
    report = project.crawl("rss")
    assert report["outcomes"]["stored"] == 2
    assert report["alerts"] == 2
    assert report["sources"] == {"polled": 1, "changed": 1, "not_modified": 0, "failed": 0}
    assert report["requests"]["by_kind"]["feed"] == 1
    rows = project.rows(f"select title, kind, text, lang, source from {TOLD} order by title")
    assert [(row[0], row[1]) for row in rows] == [
        (LAUNCH.title, "token_launch"),
        (AIRDROP.title, "airdrop"),
    ]
    assert "storage network" in rows[0][2]
    assert "All rights reserved" not in rows[0][2]
    assert {row[3:] for row in rows} == {("en", "desk")}
    companies = project.rows("select company from mention_companies")
    assert companies == [("Nimbus Protocol",)]


def test_the_report_tells_how_long_the_database_took(project: Project, desk: Web) -> None:
    database = project.crawl("rss")["database"]
    assert database["pool"]["size"] == 20
    assert 1 <= database["pool"]["peak"] <= 20
    assert database["replica"] is None
    took = database["query_ms"]
    assert {"seen_index", "known_stories", "read_polls", "write_batch"} <= took.keys()
    assert 0 < took["write_batch"]["p50"] <= took["write_batch"]["p99"]


def test_what_the_title_rules_out_is_not_fetched(project: Project, desk: Web) -> None:
    report = project.crawl("rss")
    assert WIDOW.path not in desk.asked
    assert report["outcomes"]["filtered_early"] >= 1
    assert report["requests"]["avoided"] >= 1


def test_a_second_run_stores_nothing_and_fetches_no_page(project: Project, desk: Web) -> None:
    project.crawl("rss")
    before = project.rows("select * from mentions order by id")
    asked = len(desk.asked)
    report = project.crawl("rss")
    assert project.rows("select * from mentions order by id") == before
    assert desk.asked[asked:] == ["/rss"]
    assert report["outcomes"]["stored"] == 0
    assert report["sources"]["not_modified"] == 1
    assert len(project.rows("select id from runs")) == 2


def test_a_rejected_page_is_read_again_under_new_rules(project: Project, desk: Web) -> None:
    rejected = project.crawl("rss")["outcomes"]["irrelevant"]
    assert rejected
    report = project.crawl("rss", "-s", "TGE_RELEVANCE_MIN_SCORE=0.45")
    assert report["sources"]["changed"] == 1, "what was settled under other rules is not"
    assert report["outcomes"]["irrelevant"] == rejected
    assert desk.asked.count(PRICE.path) == 1, "the cache has its page"


def test_one_story_under_two_addresses_is_one_alert(project: Project, desk: Web) -> None:
    copy = Story("/wire/nimbus?utm_source=wire", LAUNCH.title, LAUNCH.text, hours_old=2)
    desk.serve(copy.path, page(copy))
    desk.serve("/wire.xml", rss([copy, AIRDROP]))
    text = sources({"desk": f"{desk.base}/rss", "wire": f"{desk.base}/wire.xml"})
    project.settings["TGE_SOURCES"] = str(project.write("two.yaml", text))
    report = project.crawl("rss")
    assert report["alerts"] == 2
    assert report["outcomes"]["duplicate"] == 2
    pairs = project.rows(
        "select m.source, o.source, m.title from mentions m "
        "join mentions o on o.id = m.duplicate_of"
    )
    assert {title for *_, title in pairs} == {LAUNCH.title, AIRDROP.title}
    assert ("wire", "desk", LAUNCH.title) in pairs, "the earlier telling is the original"
    assert desk.asked.count(AIRDROP.path) == 1, "one page for two feeds is fetched once"


def test_a_page_that_is_gone_leaves_the_feeds_words(project: Project, desk: Web) -> None:
    desk.serve(LAUNCH.path, "gone", status=410)
    desk.serve(PRICE.path, "broken", status=500)
    report = project.crawl("rss")
    rows = project.rows(f"select text, page_error from {TOLD} where title like 'Nimbus%'")
    assert rows == [("", "HTTP 410")]
    assert report["outcomes"]["stored"] == 2


def test_a_redirected_page_is_known_by_both_addresses(project: Project, desk: Web) -> None:
    desk.serve("/new", page(LAUNCH, canonical="{base}/new"))
    desk.serve(LAUNCH.path, status=301, headers={"Location": "{base}/new"})
    project.crawl("rss")
    rows = project.rows("select url, canonical_url from mentions where title like 'Nimbus%'")
    assert rows == [(f"{desk.base}{LAUNCH.path}", f"{desk.base}/new")]


def test_the_proxy_of_a_feed_leads_to_the_article(project: Project, desk: Web) -> None:
    counted = replace(LAUNCH, path="/~r/desk/~3/launch")
    lost = replace(AIRDROP, path="/~r/desk/~3/airdrop")
    desk.serve(counted.path, status=302, headers={"Location": f"{{base}}{LAUNCH.path}"})
    desk.serve(lost.path, "<p>Opening the story for you. Enable scripts if nothing happens.</p>")
    desk.serve("/rss", rss([counted, lost]))
    project.crawl("rss")
    rows = project.rows("select canonical_url, page_error from mentions order by title")
    assert rows[0] == (f"{desk.base}{LAUNCH.path}", "")
    assert rows[1][1] == "a feed's proxy that leads to no article"


def test_robots_txt_is_obeyed(project: Project, desk: Web) -> None:
    desk.serve("/robots.txt", "User-agent: *\nDisallow: /airdrop\n")
    report = project.crawl("rss")
    assert AIRDROP.path not in desk.asked
    assert report["outcomes"]["stored"] >= 1


def test_items_are_exported_in_the_shape_of_an_alert(project: Project, desk: Web) -> None:
    out = project.folder / "out.jsonl"
    project.crawl("rss", "-O", str(out))
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    shown = json.loads(project.scrapy("alerts", "--json").stdout)
    assert {line["title"] for line in lines} == {alert["title"] for alert in shown}
    assert [list(line) for line in lines] == [list(shown[0])] * 2
    by_id = {alert["id"]: alert for alert in shown}
    for line in lines:
        stored = by_id[line["id"]]
        assert stored["latency_s"] > 0
        assert stored["stored_at"].endswith("Z")
        for key in ("published_at", "seen_at", "score", "companies", "reasons", "canonical_url"):
            assert line[key] == stored[key], key


def test_an_archived_crawl_replays_to_the_same_rows(project: Project, desk: Web) -> None:
    archive = project.folder / "archive"
    project.crawl("rss", "-s", f"TGE_ARCHIVE={archive}")
    columns = "id, source, url, title, summary, text, published_at, kind, score, duplicate_of"
    live = project.rows(f"select {columns} from {TOLD} order by id")
    assert live
    asked = len(desk.asked)
    replayed = Project(project.folder / "replay", dict(project.settings))
    replayed.folder.mkdir()
    report = replayed.crawl("rss", "-s", f"TGE_REPLAY={archive}")
    assert replayed.rows(f"select {columns} from {TOLD} order by id") == live
    assert len(desk.asked) == asked, "a replay asks nobody"
    assert report["sources"]["failed"] == 0


def test_ctrl_c_half_way_and_once_more_is_one_whole_run(project: Project, web: Web) -> None:
    stories = [launch_of(f"/story{n}", name, n + 1) for n, name in enumerate(PROJECTS)]
    for story in stories:
        web.serve(story.path, page(story), delay_s=0.4)
    web.serve("/rss", rss(stories))
    project.settings["TGE_SOURCES"] = str(
        project.write("sources.yaml", sources({"desk": f"{web.base}/rss"}))
    )
    whole = Project(project.folder / "whole", dict(project.settings))
    whole.folder.mkdir()
    whole.crawl("rss")
    columns = "id, title, text, kind, score, duplicate_of"
    expected = whole.rows(f"select {columns} from {TOLD} order by id")
    assert len(expected) == len(stories)

    asked = len(web.asked)
    report = project.folder / "first.json"
    half = project.start(
        "crawl", "rss", "-s", "DOWNLOAD_DELAY=0", "-s", "AUTOTHROTTLE_ENABLED=0",
        "-s", f"TGE_STATS_JSON={report}", "-s", "CONCURRENT_REQUESTS=2",
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(web.asked) - asked < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    half.send_signal(signal.SIGINT)
    _, errors = half.communicate(timeout=60)
    assert half.returncode == 0, errors
    assert "Traceback" not in errors, errors
    first = json.loads(report.read_text())
    assert first["run"]["reason"] == "shutdown"
    assert 0 < first["outcomes"]["stored"] < len(stories)
    assert first["outcomes"]["pending"] > 0
    assert first["entries_seen"] == sum(first["outcomes"].values())
    assert len(project.rows("select id from mentions")) == first["outcomes"]["stored"]

    project.crawl("rss")
    assert project.rows(f"select {columns} from {TOLD} order by id") == expected
    assert project.rows("select mention_id from alerts order by 1") == whole.rows(
        "select mention_id from alerts order by 1"
    )


def test_kill_9_leaves_whole_batches(project: Project, desk: Web) -> None:
    desk.serve(AIRDROP.path, page(AIRDROP), delay_s=60)  # until the kill, on any machine
    crawl = project.start(
        "crawl", "rss", "-s", "TGE_DATABASE_BATCH_AGE_S=0.1", "-s", "DOWNLOAD_DELAY=0"
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (project.database.exists() and _stored(project) >= 1):
        time.sleep(0.1)
    os.kill(crawl.pid, signal.SIGKILL)
    crawl.communicate(timeout=10)
    assert _stored(project) == 1
    assert project.rows("select count(*) from alerts") == [(1,)]
    desk.serve(AIRDROP.path, page(AIRDROP))
    project.crawl("rss")
    assert _stored(project) == 2


def _stored(project: Project) -> int:
    import sqlite3

    try:
        return int(project.rows("select count(*) from mentions")[0][0])
    except sqlite3.OperationalError:  # the tables are not there yet
        return 0


def test_only_and_max_age(project: Project, desk: Web) -> None:
    old = Story("/old", "Quillon announces launch of its token", LAUNCH.text, hours_old=24 * 9)
    desk.serve("/old.xml", rss([old]))
    desk.serve(old.path, page(old))
    text = sources({"desk": f"{desk.base}/rss", "old": f"{desk.base}/old.xml"})
    project.settings["TGE_SOURCES"] = str(project.write("two.yaml", text))
    report = project.crawl("rss", "-a", "only=old")
    assert report["outcomes"]["too_old"] == report["entries_seen"] == 1
    report = project.crawl("rss", "-a", "only=old", "-a", "max_age_days=0")
    assert report["outcomes"]["stored"] == 1


def test_a_source_that_fails_does_not_stop_the_others(project: Project, desk: Web) -> None:
    desk.serve("/page.html", page(LAUNCH))
    desk.serve("/empty", "")
    desk.serve("/huge", "<rss>" + "x" * 1024, repeat=60 * 1024)
    feeds = {
        "desk": "/rss",
        "html": "/page.html",
        "empty": "/empty",
        "gone": "/gone",
        "huge": "/huge",
    }
    text = sources({slug: desk.base + path for slug, path in feeds.items()})
    project.settings["TGE_SOURCES"] = str(project.write("five.yaml", text))
    report_path = project.folder / "rss.json"
    done = project.scrapy(
        "crawl", "rss", "-s", "DOWNLOAD_DELAY=0", "-s", f"TGE_STATS_JSON={report_path}"
    )
    assert done.returncode == 0
    report = json.loads(report_path.read_text())
    assert report["sources"] == {"polled": 5, "changed": 1, "not_modified": 0, "failed": 4}
    assert report["outcomes"]["stored"] == 2
    said = [line for line in done.stderr.splitlines() if "could not be read" in line]
    assert sorted(re.search(r"WARNING: (\S+) could", line)[1] for line in said) == [  # type: ignore[index]
        "empty", "gone", "html", "huge",
    ]  # fmt: skip
    assert "Traceback" not in done.stderr
    failed = project.rows(
        "select slug, consecutive_failures from sources where last_error != '' order by 1"
    )
    assert failed == [("empty", 1), ("gone", 1), ("html", 1), ("huge", 1)]


def test_without_a_network_each_source_says_so(project: Project) -> None:
    feeds = {f"source{n}": f"https://news{n}.example/rss" for n in range(5)}
    project.settings["TGE_SOURCES"] = str(project.write("sources.yaml", sources(feeds)))
    done = project.scrapy("crawl", "rss", timeout=60)  # a cycle without network ends in a minute
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "could not be read" in line]
    assert len(said) == 5
    assert all("the host name does not resolve" in line for line in said)
    assert "Traceback" not in done.stderr
    assert project.rows("select count(*) from mentions") == [(0,)]
