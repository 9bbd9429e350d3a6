"""`scrapy events` and `scrapy crawl records` as a user runs them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from harness import Project

pytestmark = pytest.mark.slow

RECORDS = (
    ("desk", "Quillon announces airdrop of its QLN token", "2026-10-01T08:00:00Z"),
    ("wire", "Quillon opens claims for QLN airdrop", "2026-10-09T08:00:00Z"),
    ("wire", "Marrow (MRW) token launch set for October 20", "2026-10-02T08:00:00Z"),
    ("wire", "Town council debates a new bridge over the river", "2026-10-02T09:00:00Z"),
)


def lines() -> list[str]:
    rows = [
        {"source": source, "title": title, "published": at, "url": f"https://{source}.example/{n}"}
        for n, (source, title, at) in enumerate(RECORDS)
    ]
    return [json.dumps(row) for row in rows]


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has read the records, two of which are broken."""
    folder = tmp_path_factory.mktemp("records")
    project = Project(folder)
    with gzip.open(folder / "records.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join([*lines(), "", "{not json", '{"title": "no address"}']))
    arguments = ["-a", f"file={folder / 'records.jsonl.gz'}", "-a", "max_age_days=0"]
    report = project.crawl("records", *arguments)
    assert report["outcomes"] | {"stored": 3, "irrelevant": 1, "failed": 2} == report["outcomes"]
    again = project.crawl("records", *arguments)
    assert again["outcomes"] | {"stored": 0, "duplicate": 4, "failed": 2} == again["outcomes"]
    return project


@pytest.fixture
def project(crawled: Project, tmp_path: Path) -> Project:
    """The same with a database of its own, which a test may change."""
    project = Project(tmp_path)
    with sqlite3.connect(crawled.database) as source, sqlite3.connect(project.database) as copy:
        source.backup(copy)
    source.close()
    copy.close()
    return project


def events(project: Project, *args: str) -> list[dict[str, Any]]:
    done = project.scrapy("events", *args, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def refusal(project: Project, *args: str) -> str:
    done = project.scrapy("events", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_events_are_listed_shown_joined_and_parted(project: Project) -> None:
    quillon, marrow = events(project)
    assert [quillon["project"], marrow["project"]] == ["Quillon", "Marrow"]
    assert [step["status"] for step in quillon["history"]] == ["announced", "live"]
    alerts = json.loads(project.scrapy("alerts", "--json").stdout)
    assert {alert["event_id"] for alert in alerts} == {quillon["id"], marrow["id"]}

    shown = events(project, "show", quillon["id"][:8])
    assert [told["source"] for told in shown["told_by"]] == ["desk", "wire"]  # type: ignore[call-overload]
    assert "Quillon opens claims" in project.scrapy("events", "show", quillon["id"]).stdout

    assert project.scrapy("events", "merge", quillon["id"], marrow["id"]).returncode == 0
    [joined] = events(project)
    assert (joined["mentions"], joined["sequence"]) == (3, 2)
    found = events(project, "show", marrow["id"])
    assert found["id"] == joined["id"]  # type: ignore[call-overload]

    parted = project.scrapy("events", "split", joined["id"], marrow["first_mention"])
    assert parted.returncode == 0, parted.stderr
    assert "Marrow" in parted.stdout
    assert {event["project"] for event in events(project)} == {"Quillon", "Marrow"}


def test_filters_and_order(project: Project) -> None:
    assert [e["project"] for e in events(project, "--kind", "token_launch")] == ["Marrow"]
    assert [e["project"] for e in events(project, "--since", "2026-10-05")] == ["Quillon"]
    assert [e["project"] for e in events(project, "--largest", "--limit", "1")] == ["Quillon"]
    assert events(project, "--min-confidence", "1") == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["join"], "events knows show, merge and split, not 'join'"),
        (["show"], "events show takes the id of one event"),
        (["show", "nothing"], "no event nothing"),
        (["merge", "abcdef"], "takes the ids of two events or more"),
        (["split", "abcdef"], "takes an event and the mentions that leave it"),
        (["--kind", "airdop"], "did you mean 'airdrop'?"),
        (["--status", "life"], "did you mean 'live'?"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_refused(project: Project, args: list[str], said: str) -> None:
    assert said in refusal(project, *args)


def test_a_split_must_leave_a_mention(project: Project) -> None:
    event = events(project, "--kind", "token_launch")[0]
    assert "one at least must stay" in refusal(
        project, "split", event["id"], event["first_mention"]
    )
    assert "no mention of this event" in refusal(project, "split", event["id"], "abcdefgh")


def test_an_event_whose_mentions_were_let_go_is_shown_and_not_joined(project: Project) -> None:
    old, other = (event["id"] for event in events(project)[:2])
    with sqlite3.connect(project.database) as connection:
        connection.execute(f"DELETE FROM event_mentions WHERE event_id = '{old}'")
    assert "were let go (scrapy db prune)" in refusal(project, "merge", other, old)
    assert old in [event["id"] for event in events(project)]
    assert project.scrapy("events", "show", old).returncode == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "records takes a file"),
        (["-a", "file=nowhere.jsonl"], "there is no file nowhere.jsonl"),
    ],
    ids=["no file", "no such file"],
)
def test_records_without_a_file(tmp_path: Path, given: list[str], said: str) -> None:
    done = Project(tmp_path).scrapy("crawl", "records", *given)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_file_that_is_cut_keeps_what_was_read(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join(lines() * 500).encode(), mtime=0)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    project = Project(tmp_path)
    arguments = ["-a", f"file={tmp_path / 'cut.jsonl.gz'}", "-a", "max_age_days=0"]
    done = project.scrapy("crawl", "records", *arguments)
    assert done.returncode == 1
    assert "cannot read" in done.stderr
    assert len(project.rows("select id from mentions")) == 3
