"""`scrapy db` on what a crawl has left, and while one writes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing

import pytest

from harness import QUICK, ROOT, Project, Web
from newsroom import open_desk

pytestmark = pytest.mark.slow

RUNS = (
    "INSERT INTO runs SELECT 'old', spider, '2020-01-01 00:00:00.000000', NULL, '', '{}' FROM runs"
)


@pytest.fixture
def crawled(project: Project, web: Web) -> Project:
    """A project that has crawled one feed and its pages."""
    open_desk(project, web)
    project.crawl("rss")
    return project


def shown(project: Project, *args: str) -> str:
    done = project.scrapy("db", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def change(project: Project, statement: str) -> None:
    with closing(sqlite3.connect(project.database)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def test_what_a_crawl_has_left_is_sound_and_what_breaks_is_told(crawled: Project) -> None:
    assert shown(crawled, "check").strip().isdigit(), "the revision alone"
    assert json.loads(shown(crawled, "check", "--json")) == []
    change(crawled, "UPDATE alerts SET kind = 'none' WHERE kind <> 'none'")
    done = crawled.scrapy("db", "check")
    assert done.returncode == 1
    first, *_ = done.stdout.splitlines()
    assert "alerts do not say what their mention says" in first
    assert "scrapy db restore FILE --force" in first
    done = crawled.scrapy("db", "check", "--json")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)
    assert finding["what"] in first
    assert finding["warning"] is False


def test_what_goes_is_told_before_and_after(crawled: Project) -> None:
    change(crawled, RUNS)
    forever = "kept for ever: TGE_KEEP_TEXTS_DAYS, TGE_KEEP_POSTS_DAYS, TGE_KEEP_MENTIONS_DAYS"
    said = shown(crawled, "prune", "--dry-run").splitlines()
    assert said == ["runs: 1 rows would go", f"{forever}, TGE_KEEP_SEEN_DAYS"]
    assert crawled.rows("SELECT count(*) FROM runs") == [(2,)]
    assert shown(crawled, "prune").splitlines() == [
        "runs: 1 rows deleted",
        f"{forever}, TGE_KEEP_SEEN_DAYS",
    ]
    assert crawled.rows("SELECT count(*) FROM runs") == [(1,)]
    change(crawled, "UPDATE mentions SET stored_at = '2020-01-01 00:00:00.000000'")
    crawled.settings["TGE_KEEP_TEXTS_DAYS"] = "30"
    told = json.loads(shown(crawled, "prune", "--json"))
    assert told["rows"]["mention_texts"] > 0
    assert crawled.rows("SELECT count(*) FROM mention_texts") == [(0,)]
    before, _, after = shown(crawled, "vacuum").partition(" before, ")
    assert before.endswith(" MB")
    assert after.strip().endswith(" MB after")


def test_a_crawl_goes_on_from_what_is_restored(crawled: Project, web: Web) -> None:
    alerts = crawled.scrapy("alerts", "--json").stdout
    assert json.loads(alerts)
    file = crawled.folder / "tge.backup.gz"
    assert shown(crawled, "backup", str(file)).startswith(f"{file}: ")
    done = crawled.scrapy("db", "restore", str(file))
    assert done.returncode == 2
    assert "has tables already; --force replaces them" in done.stderr
    crawled.database.unlink()
    assert "revision" in shown(crawled, "restore", str(file))
    assert crawled.scrapy("alerts", "--json").stdout == alerts
    assert crawled.crawl("rss")["outcomes"]["stored"] == 0
    assert shown(crawled, "restore", str(file), "--force").startswith(f"{file}: ")
    shown(crawled, "check")


def test_backups_and_prunes_beside_a_crawl_that_writes(project: Project, web: Web) -> None:
    """Everything the crawl told is there in the end, and each backup is sound."""
    open_desk(project, web)
    project.settings["TGE_DATABASE_BATCH_SIZE"] = "1"
    shown(project, "upgrade")
    crawl = subprocess.Popen(
        project.command("crawl", "rss", *QUICK),
        cwd=ROOT,
        env=project.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    backups = 0
    while crawl.poll() is None:
        shown(project, "backup", str(project.folder / "b.db"), "--force")
        shown(project, "prune")
        backups += 1
    _, errors = crawl.communicate()
    assert crawl.returncode == 0, errors
    assert "Traceback" not in errors
    assert backups > 0
    shown(project, "check")
    project.settings["TGE_DATABASE_URL"] = f"sqlite:///{project.folder}/b.db"
    shown(project, "check")
