"""`scrapy spool`, and crawls whose rows wait on disk or were refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest
from lasting_cases import poison
from storage_cases import batch, mention

from harness import Project
from tgecrawler.storage import schema
from tgecrawler.storage.aside import Aside
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.spool import Spool

pytestmark = pytest.mark.slow


@pytest.fixture
def left(project: Project) -> Iterator[Project]:
    """A project whose last run has left two rows in the spool, and two put aside."""
    engine = create_engine(f"sqlite:///{project.database}")
    schema.ensure_schema(engine)
    engine.dispose()
    folder = project.folder / "tge.db.spool"
    spool = Spool(folder, 1_000_000)
    spool.keep(batch(mention(1), mention(2)))
    spool.close()
    Aside(folder).put(batch(poison(3)), "[red]integer[/red] out of range")
    Aside(folder).put(batch(mention(4)), "a reason that is mended")
    return project


def ids(project: Project) -> set[str]:
    return {row[0] for row in project.rows("select id from mentions")}


def test_they_are_listed(left: Project) -> None:
    done = left.scrapy("spool", "list")
    assert done.returncode == 0, done.stderr
    assert "2 rows wait in" in done.stdout
    assert "[red]integer[/red] out of range" in done.stdout
    shown = json.loads(left.scrapy("spool", "list", "--json").stdout)
    assert shown["waiting"] == 2
    assert [row["url"] for row in shown["put_aside"]] == [poison(3).url, mention(4).url]
    assert ids(left) == set()


def test_they_are_written(left: Project) -> None:
    done = left.scrapy("spool", "write", "--json")
    assert json.loads(done.stdout) == {"waiting": 2, "put_aside": 1, "refused": 1}
    assert done.returncode == 1
    assert ids(left) == {mention(number).entry_id for number in (1, 2, 4)}
    shown = json.loads(left.scrapy("spool", "list", "--json").stdout)
    assert shown["waiting"] == 0
    assert [row["entry_id"] for row in shown["put_aside"]] == [poison(3).entry_id]


def test_the_next_crawl_writes_what_waits(left: Project) -> None:
    file = left.write("none.jsonl", "")
    report = left.crawl("records", "-a", f"file={file}")
    assert (report["entries_seen"], report["alerts"]) == (0, 0)
    assert ids(left) == {mention(1).entry_id, mention(2).entry_id}


def test_nothing_waits(project: Project) -> None:
    done = project.scrapy("spool", "list")
    assert "0 rows wait" in done.stdout
    assert "no rows were refused" in done.stdout
    with pytest.raises(sqlite3.OperationalError):
        ids(project)
