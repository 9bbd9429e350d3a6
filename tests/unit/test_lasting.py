"""A writer that outlasts a database that is away, on SQLite; see also tests/services."""

from __future__ import annotations

import logging
import sqlite3
import threading
import zlib

import pytest
from lasting_cases import LastingCases, lasting, poison, stored
from sqlalchemy import event
from storage_cases import batch, mention, rejected, snapshot

from tgecrawler.storage import schema
from tgecrawler.storage.batch import row_count
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.spool import Spool


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db", EngineSettings(lock_wait_s=0.01))
    schema.ensure_schema(engine)
    yield engine
    engine.dispose()


class TestLastingOnSqlite(LastingCases):
    """See ``LastingCases``."""


class Moments:
    """A monotonic clock that a test sets forward."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def moments() -> Moments:
    return Moments()


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool", 1_000_000)
    yield spool
    spool.close()


@pytest.fixture
def writer(engine, tmp_path, spool, moments):
    return lasting(engine, tmp_path, spool, clock=moments)


@pytest.fixture
def locked(engine, tmp_path):
    """Another program holds the file's write lock, until the event is set."""
    release, held = threading.Event(), threading.Event()

    def hold() -> None:
        with write_transaction(engine):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)

    def let_go() -> None:
        release.set()
        thread.join()

    yield let_go
    let_go()


def test_rows_wait_on_disk_and_are_written_oldest_first(
    engine, writer, moments, locked, caplog
) -> None:
    caplog.set_level(logging.INFO)
    for number in (1, 2, 3):
        fate = writer.write(batch(mention(number), reject=[rejected(10 + number)]))
        assert (row_count(fate.kept), fate.commits) == (2, [])
    assert (stored(engine), writer.waiting_rows) == (set(), 6)
    assert writer.wait_s() == 1.0
    moments.now_s += 1
    assert writer.drain().commits == []
    assert writer.wait_s() == 2.0
    locked()
    moments.now_s += 2
    [commit] = writer.drain().commits
    assert list(commit.batch.mentions) == [mention(1), mention(2), mention(3)]
    assert stored(engine) == {mention(number).entry_id for number in (1, 2, 3)}
    assert len(snapshot(engine)["seen"]) == 6
    assert (writer.waiting_rows, writer.wait_s()) == (0, None)
    said = [(r.levelname, r.message) for r in caplog.records if r.levelno != logging.WARNING]
    assert [level for level, _ in said] == ["ERROR", "INFO", "INFO"]
    assert "database is locked; rows wait in" in said[0][1]
    assert said[2][1] == "database: 6 rows of the spool are written"


def test_while_it_is_away_it_is_not_asked_for_every_batch(writer, locked, caplog) -> None:
    writer.write(batch(mention(1)))
    caplog.clear()
    writer.write(batch(mention(2)))
    assert caplog.records == []


def test_a_batch_that_finds_it_back_is_written_before_the_older_ones(
    engine, writer, moments, locked
) -> None:
    writer.write(batch(mention(1)))
    locked()
    moments.now_s += 1
    assert len(writer.write(batch(mention(2))).commits) == 1
    assert writer.wait_s() == 0.0
    assert len(writer.drain().commits) == 1
    assert len(stored(engine)) == 2


def test_a_full_spool_holds_the_batch_and_says_so_once(
    engine, tmp_path, moments, locked, caplog
) -> None:
    small = Spool(tmp_path / "small", 1_500)
    writer = lasting(engine, tmp_path, small, clock=moments)
    assert row_count(writer.write(batch(mention(1))).kept) == 1
    caplog.clear()
    for _ in range(2):
        assert row_count(writer.write(batch(mention(2), mention(3))).held) == 2
    [line] = [r.message for r in caplog.records if r.levelno == logging.ERROR]
    assert "is full; the crawl waits until the database is back" in line
    assert writer.wait_s() > 0
    # at the close, what is in hand is worth more than the bound
    assert row_count(writer.write(batch(mention(2), mention(3)), closing=True).kept) == 2
    locked()
    moments.now_s += 60
    assert len(writer.drain().commits) == 1
    assert len(stored(engine)) == 3
    small.close()


def test_without_a_spool_rows_are_left_for_the_next_run(engine, tmp_path, locked, caplog) -> None:
    writer = lasting(engine, tmp_path)
    for number in (1, 2):
        assert row_count(writer.write(batch(mention(number))).given_up) == 1
    assert "2 of 8" in caplog.text
    assert "1 rows are left for the next run: the database" in caplog.text
    locked()
    assert len(writer.write(batch(mention(3))).commits) == 1


def test_a_spool_that_cannot_be_used_is_loud_and_gives_up(
    engine, tmp_path, moments, locked, caplog
) -> None:
    (tmp_path / "file").write_text("no folder")
    writer = lasting(engine, tmp_path, Spool(tmp_path / "file", 1_000_000), clock=moments)
    assert row_count(writer.write(batch(mention(1))).given_up) == 1
    assert "1 rows are left for the next run: the spool" in caplog.text
    locked()
    assert len(writer.write(batch(mention(2))).commits) == 1


def test_the_next_run_writes_what_a_dead_one_left(engine, tmp_path, writer, spool, locked) -> None:
    writer.write(batch(mention(1)))
    writer.write(batch(mention(2)))
    spool.close()  # as its process's end does
    locked()
    heir = lasting(engine, tmp_path, Spool(spool.folder, 1_000_000))
    assert heir.recover() == 2
    assert len(stored(engine)) == 2
    assert list(spool.folder.glob("*.batch")) == []


def test_a_refused_row_in_the_spool_does_not_stop_it(engine, tmp_path, writer, moments, locked):
    writer.write(batch(mention(1), poison(2)))
    locked()
    moments.now_s += 1
    fate = writer.drain()
    assert [one.mentions for one in fate.refused] == [[poison(2)]]
    assert stored(engine) == {mention(1).entry_id}
    assert writer.waiting_rows == 0


def test_a_full_disk_is_not_tried_again_at_once_and_is_outlasted(engine, writer, moments, caplog):
    """SQLite's own limit on pages: SQLITE_FULL, as on a disk that is full."""
    room = {"pages": 0}

    @event.listens_for(engine, "connect")
    def _limit(connection, _) -> None:
        if room["pages"]:
            connection.execute(f"PRAGMA max_page_count = {room['pages']}")

    with engine.connect() as connection:
        room["pages"] = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    engine.dispose()
    big = [mention(number, text="word " * 4_000) for number in range(20)]
    fate = writer.write(batch(*big))
    assert row_count(fate.kept) == 20
    assert "attempt" not in caplog.text
    assert "database or disk is full; rows wait in" in caplog.text
    moments.now_s += 1
    assert writer.drain().commits == []
    room["pages"] = 0
    moments.now_s += 2
    assert len(writer.drain().commits) == 1
    assert len(stored(engine)) == 20


def test_a_file_that_is_damaged_is_kept_and_the_others_are_written(
    engine, writer, spool, moments, locked, caplog
) -> None:
    for number in (1, 2):
        writer.write(batch(mention(number)))
    first = spool.files[0].path
    first.write_bytes(first.read_bytes().replace(b"Story 1", b"Story 9"))
    locked()
    moments.now_s += 1
    writer.drain()
    assert stored(engine) == {mention(2).entry_id}
    assert "with 1 rows is damaged" in caplog.text
    assert [path.suffix for path in spool.folder.glob("0*")] == [".damaged"]


def test_a_table_that_is_missing_is_not_the_rows_fault(engine, writer) -> None:
    with sqlite3.connect(engine.url.database) as connection:
        connection.execute("ALTER TABLE seen RENAME TO hidden")
    assert row_count(writer.write(batch(mention(1))).kept) == 1


def test_a_refused_row_that_cannot_be_put_aside_is_left_for_the_next_run(
    engine, tmp_path, moments, locked, caplog
) -> None:
    (tmp_path / "file").write_text("no folder")
    spool = Spool(tmp_path / "spool", 1_000_000)
    writer = lasting(engine, tmp_path / "file", spool, clock=moments)
    writer.write(batch(mention(1), poison(2)))
    locked()
    moments.now_s += 1
    writer.drain()
    assert writer.waiting_rows == 0
    assert len(list(spool.folder.glob("*.batch"))) == 1
    fate = writer.write(batch(mention(3), poison(4)))
    assert list(fate.given_up.mentions) == [poison(4)]
    assert stored(engine) == {mention(1).entry_id, mention(3).entry_id}
    assert "put-aside.jsonl cannot be written" in caplog.text
    spool.close()


def test_a_spool_of_another_version_is_left_to_it(engine, tmp_path, spool, caplog) -> None:
    spool.keep(batch(mention(1)))
    [file] = spool.files
    head, _, payload = file.path.read_bytes().partition(b"\n")
    payload = payload.replace(b'"v":1', b'"v":9')
    head = b"tge-spool 1 %08x" % zlib.crc32(payload)
    file.path.write_bytes(head + b"\n" + payload)
    spool.close()
    heir = lasting(engine, tmp_path, Spool(spool.folder, 1_000_000))
    assert heir.recover() == 0
    assert "of version 9; this program reads up to 1" in caplog.text
    assert file.path.exists()
    heir.close()


def test_a_spool_that_cannot_be_read_does_not_stop_a_run(engine, tmp_path, caplog) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / f"{1:020}-1-dead.batch").write_text("")
    (folder / "dead.lock").mkdir()
    assert lasting(engine, tmp_path, Spool(folder, 1_000_000)).recover() == 0
    assert "what other processes left is not written" in caplog.text
