"""What backups must do on every engine; see ``storage_cases``.

A module gives ``engine`` (empty tables), ``other_url`` (of a database that is empty or
not there), and ``name`` (what a backup's file is called).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from outbox_cases import announcing
from storage_cases import (
    NOW,
    WatchedCompany,
    assessment,
    batch,
    mention,
    rejected,
    snapshot,
    stamped,
    url_of,
    writer,
)

from tgecrawler.errors import ArgumentError, DatabaseError
from tgecrawler.storage import schema
from tgecrawler.storage.accounts import (
    AccountRow,
    FollowerRow,
    follower_history,
    write_accounts,
    write_followers,
)
from tgecrawler.storage.backup import back_up, restore
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.event_queries import (
    find_events,
    largest_events,
    mentions_of,
    recent_events,
)
from tgecrawler.storage.integrity import data_findings, file_findings
from tgecrawler.storage.queries import (
    company_names,
    counts,
    fingerprints,
    known_stories,
    recent_alerts,
    recent_runs,
    source_health,
)
from tgecrawler.storage.readiness import HEAD
from tgecrawler.storage.records import SourceHealth
from tgecrawler.storage.statistics import alert_latency, daily_statistics

LONG_AGO = NOW - timedelta(days=4_000)


def fill(engine, count: int = 60) -> None:
    """Store something in every table."""
    judged = assessment(companies=("Acme", "Borealis"), project="Acmé", token="ACM")
    told = [
        mention(
            n,
            title=f"Story {n} of thing{n % 7}",
            text=f"Body {n} " * 50,
            text_key=f"t{n // 2}",
            published_at=NOW - timedelta(hours=n % 30),
            fingerprint=bytes(range(64)),
            near=((mention(n + 1_000).entry_id, 0.9),) if n % 9 == 0 else (),
            assessment=judged if n % 3 else assessment(status="live", score=0.6),
        )
        for n in range(count)
    ]
    for start in range(0, count, 20):
        at = NOW - timedelta(days=start)
        writer(engine, at).write(batch(*told[start : start + 20], reject=[rejected(5_000 + start)]))
    ours = announcing(engine)
    ours.sync_companies([WatchedCompany("Acme"), WatchedCompany("Caldera")])
    ours.record_sources(
        [SourceHealth(slug="acme-news", url="https://a.example", owner="acme", tier=1)]
    )
    ours.write_run({"run": {"id": "1", "spider": "rss", "started_at": NOW.isoformat()}, "x": [1]})
    first, second = (event.first_mention for event in recent_events(engine, limit=2))
    ours.edit_events("merge", [first, second])
    account = {"platform": "x", "handle": "acme"}
    with write_transaction(engine) as connection:
        write_accounts(connection, [AccountRow(**account, company="Acme")], NOW)
        reading = FollowerRow(
            **account, day=NOW.date(), followers=7, following=1, posts=2, taken_at=NOW
        )
        write_followers(connection, [reading])


def answers(engine) -> dict[str, object]:
    """What every query of the storage answers."""
    events = recent_events(engine, limit=500)
    found: dict[str, object] = {
        "alerts": recent_alerts(engine, limit=500),
        "json": [alert.as_json() for alert in recent_alerts(engine, limit=500)],
        "by company": recent_alerts(engine, company="acme", min_score=0.7, limit=500),
        "by kind": recent_alerts(engine, kind="airdrop", status="live", since=LONG_AGO),
        "page": recent_alerts(engine, before=recent_alerts(engine, limit=5)[-1].cursor),
        "events": events,
        "events by company": recent_events(engine, company="Borealis", min_confidence=0.1),
        "events page": recent_events(engine, before=events[3].cursor, status="live"),
        "largest": largest_events(engine, 20),
        "redirects": find_events(engine, snapshot(engine)["event_redirects"][0]["old_id"]),
        "mentions": [mentions_of(engine, event.id) for event in events],
        "runs": recent_runs(engine),
        "sources": source_health(engine, since=LONG_AGO),
        "companies": company_names(engine),
        "stories": known_stories(engine, since=LONG_AGO),
        "fingerprints": sorted(fingerprints(engine, since=LONG_AGO)),
        "counts": counts(engine),
        "days": daily_statistics(engine, since=LONG_AGO),
        "latency": alert_latency(engine, since=LONG_AGO),
        "followers": follower_history(engine, "x", "acme", since=LONG_AGO.date()),
        "words": {
            text: recent_alerts(engine, text=text)
            for text in ("thing3", "acme", "stor* thing5", "nothing")
        },
        "rows": snapshot(engine),
    }
    empty = [name for name, answer in found.items() if not answer]
    assert empty == [], "an empty answer compares nothing"
    return found


def sound(engine) -> None:
    schema.check(engine)
    assert file_findings(engine) == []
    assert [one for one in data_findings(engine, NOW) if not one.warning] == []


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def killed_in(call: str, *args: str, after) -> None:
    """Run a call in another process, and kill it and what it has started as soon as asked."""
    code = (
        "import sys; from pathlib import Path; from tgecrawler.storage.backup import *;"
        "from tgecrawler.storage.engine import create_engine;"
        f"print('began', flush=True); {call}"
    )
    command = [sys.executable, "-c", code, *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout.readline() == b"began\n"
    deadline = time.monotonic() + 30
    while not after():
        assert process.poll() is None, "it was done before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


class BackupCases:
    """A backup is whole or not there, and so is what is restored."""

    def test_what_is_restored_answers_as_before(self, engine, other_url, name, tmp_path):
        fill(engine)
        before = answers(engine)
        assert all(before["rows"].values()), "every table has rows"
        file = tmp_path / name
        written = back_up(engine, file)
        assert (written.file, written.revision) == (file, HEAD)
        assert written.size_bytes == file.stat().st_size > 0
        assert file.stat().st_mode & 0o077 == 0
        assert restore(other_url, file).revision == HEAD
        other = create_engine(other_url)
        assert answers(other) == before
        sound(other)
        more = [mention(900, title="A word900", text="new"), mention(901, text_key="t3")]
        for one in (engine, other):
            assert announcing(one).write(batch(*more)).new_rows == 2
            (found,) = recent_alerts(one, text="word900")
            assert found.id == more[0].entry_id
            announcing(one).edit_events("split", [more[0].entry_id])
        assert snapshot(other) == snapshot(engine)
        sound(other)
        other.dispose()
        assert leftovers(tmp_path) == []

    def test_writers_go_on_during_a_backup(self, engine, other_url, name, tmp_path):
        """The backup holds whole batches: all up to some moment, and none after it."""
        fill(engine)
        done = threading.Event()
        written: list[int] = []

        def write() -> None:
            number = 10_000
            while not done.is_set():
                number += 10
                ones = [mention(number + n, text="x" * 2_000) for n in range(10)]
                writer(engine, NOW + timedelta(seconds=number)).write(batch(*ones))
                written.append(number)

        crawl = threading.Thread(target=write)
        crawl.start()
        try:
            while len(written) < 3:
                time.sleep(0.01)
            for _ in range(20):  # a small database may be written between two batches
                before = len(written)
                back_up(engine, tmp_path / name, force=True)
                during = len(written) - before
                if during:
                    break
        finally:
            done.set()
            crawl.join(60)
        assert during > 0
        restore(other_url, tmp_path / name)
        other = create_engine(other_url)
        sound(other)
        there = {row["id"] for row in snapshot(other)["mentions"]}
        whole = [all(mention(n + k).entry_id in there for k in range(10)) for n in written]
        torn = [any(mention(n + k).entry_id in there for k in range(10)) for n in written]
        assert whole == torn == sorted(whole, reverse=True)
        assert sum(whole) >= before
        other.dispose()

    def test_a_file_that_is_there_is_kept_unless_forced(self, engine, name, tmp_path):
        fill(engine)
        file = tmp_path / name
        file.write_text("dear")
        with pytest.raises(ArgumentError, match="already; --force replaces it"):
            back_up(engine, file)
        assert file.read_text() == "dear"
        assert back_up(engine, file, force=True).size_bytes > 4

    def test_a_place_where_nothing_can_be_written(self, engine, name, tmp_path):
        with pytest.raises(ArgumentError, match=r"cannot write .*: No such file or directory"):
            back_up(engine, tmp_path / "nowhere" / name)

    def test_tables_that_are_there_are_kept_unless_forced(self, engine, other_url, name, tmp_path):
        fill(engine)
        back_up(engine, tmp_path / name)
        restore(other_url, tmp_path / name)
        other = create_engine(other_url)
        writer(other).write(batch(mention(777, title="Of another")))
        before = snapshot(other)
        with pytest.raises(ArgumentError, match="has tables already; --force replaces them"):
            restore(other_url, tmp_path / name)
        assert snapshot(other) == before
        restore(other_url, tmp_path / name, force=True)
        assert snapshot(other) == snapshot(engine)
        assert recent_alerts(other, text="another") == []
        sound(other)
        other.dispose()

    def test_an_older_backup_is_upgraded_and_replaces_newer_tables(
        self, engine, other_url, name, tmp_path
    ):
        fill(engine)
        before = snapshot(engine)
        schema.downgrade(engine, "0003")
        assert back_up(engine, tmp_path / name).revision == "0003"
        schema.upgrade(engine)
        back_up(engine, tmp_path / f"new-{name}")
        restore(other_url, tmp_path / f"new-{name}")
        assert restore(other_url, tmp_path / name, force=True).revision == "0003"
        other = create_engine(other_url)
        sound(other)
        after = snapshot(other)
        assert after["mentions"] == before["mentions"]
        assert after["mention_texts"] == before["mention_texts"]
        other.dispose()

    def test_a_newer_backup_is_refused(self, engine, other_url, name, tmp_path):
        fill(engine)
        with stamped(engine, "9999"):
            back_up(engine, tmp_path / name)
        with pytest.raises(DatabaseError) as caught:
            restore(other_url, tmp_path / name)
        assert str(caught.value) == (
            "the database is of a newer version (revision 9999); upgrade tgecrawler"
        )
        before = snapshot(engine)
        with pytest.raises(DatabaseError, match="9999"):
            restore(url_of(engine), tmp_path / name, force=True)
        assert snapshot(engine) == before

    @pytest.mark.parametrize("content", [b"", b"no backup at all " * 100])
    def test_what_is_no_backup_is_refused(self, engine, name, tmp_path, content):
        fill(engine)
        before = snapshot(engine)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ArgumentError, match="is no backup of a"):
            restore(url_of(engine), tmp_path / name, force=True)
        with pytest.raises(ArgumentError, match="there is no file"):
            restore(url_of(engine), tmp_path / "none", force=True)
        assert snapshot(engine) == before

    @pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
    def test_a_backup_that_is_cut_off_is_refused(self, engine, name, tmp_path, share):
        fill(engine)
        file = tmp_path / name
        back_up(engine, file)
        whole = file.read_bytes()
        file.write_bytes(whole[: int(len(whole) * share)])
        before = snapshot(engine)
        with pytest.raises((ArgumentError, DatabaseError)) as caught:
            restore(url_of(engine), file, force=True)
        assert "\n" not in str(caught.value)
        assert snapshot(engine) == before
        sound(engine)

    @pytest.mark.slow
    def test_a_backup_that_is_killed_leaves_no_file_of_its_name(self, engine, name, tmp_path):
        fill(engine, 1_000)
        folder = tmp_path / "backups"
        folder.mkdir()

        def begun() -> bool:
            return any(path.stat().st_size for path in folder.iterdir())

        call = "back_up(create_engine(sys.argv[1]), Path(sys.argv[2]))"
        killed_in(call, url_of(engine), str(folder / name), after=begun)
        assert not (folder / name).exists()
        for left in folder.iterdir():
            # SQLite may have had files of its own beside it
            assert left.name.startswith(f".{name}.")
            assert ".part" in left.name
        time.sleep(0.5)  # what it has started may write on
        shutil.rmtree(folder)
        sound(engine)
