"""Backups of SQLite: a database as it is, or packed."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from backup_cases import BackupCases, fill, killed_in, sound
from storage_cases import batch, mention, snapshot, url_of, writer

from tgecrawler.errors import ArgumentError
from tgecrawler.storage.backup import back_up, restore
from tgecrawler.storage.engine import create_engine


@pytest.fixture
def other_url(tmp_path):
    return f"sqlite:///{tmp_path}/new/other.db"


@pytest.fixture(params=["tge.backup", "tge.backup.gz"])
def name(request):
    return request.param


class TestBackupOnSqlite(BackupCases):
    """See ``BackupCases``."""


def test_a_packed_one_is_smaller(engine, tmp_path):
    fill(engine)
    plain, packed = (back_up(engine, tmp_path / name) for name in ("a.db", "a.db.gz"))
    assert packed.size_bytes < plain.size_bytes / 2


def test_a_plain_one_is_a_database_that_stands_alone(engine, tmp_path):
    fill(engine)
    folder = tmp_path / "apart"
    folder.mkdir()
    back_up(engine, folder / "tge.backup")
    with closing(sqlite3.connect(folder / "tge.backup")) as copy:
        assert copy.execute("SELECT count(*) FROM mentions").fetchone() == (60,)
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [path.name for path in folder.iterdir()] == ["tge.backup"]


def test_what_a_lost_database_left_is_not_taken_for_the_restored_ones(engine, tmp_path):
    fill(engine)
    back_up(engine, tmp_path / "tge.backup")
    before = snapshot(engine)
    writer(engine).write(batch(mention(800)))
    assert (tmp_path / "tge.db-wal").stat().st_size > 0
    wal = (tmp_path / "tge.db-wal").read_bytes()
    engine.dispose()
    (tmp_path / "tge.db").unlink()
    (tmp_path / "tge.db-wal").write_bytes(wal)
    restore(url_of(engine), tmp_path / "tge.backup")
    assert snapshot(engine) == before
    sound(engine)


def test_the_database_itself_is_no_backup(engine, tmp_path):
    with pytest.raises(ArgumentError, match="is the database itself"):
        restore(url_of(engine), tmp_path / "tge.db", force=True)


def test_a_crawl_that_has_the_database_open_sees_what_is_restored(engine, tmp_path):
    fill(engine)
    back_up(engine, tmp_path / "tge.backup")
    before = snapshot(engine)
    crawl = create_engine(url_of(engine))
    with crawl.connect() as reader:
        writer(engine).write(batch(mention(800)))
        seen = reader.exec_driver_sql("SELECT count(*) FROM mentions").scalar_one()
        restore(url_of(engine), tmp_path / "tge.backup", force=True)
        again = reader.exec_driver_sql("SELECT count(*) FROM mentions").scalar_one()
        assert (seen, again) == (61, 61), "what was begun goes on as it began"
    assert snapshot(crawl) == before
    assert writer(crawl).write(batch(mention(801))).new_rows == 1
    sound(engine)
    crawl.dispose()


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_the_database_as_it_was(engine, tmp_path):
    fill(engine, 1_500)
    back_up(engine, tmp_path / "tge.backup")
    writer(engine).write(batch(mention(8_000)))
    before = snapshot(engine)
    engine.dispose()
    wal = tmp_path / "tge.db-wal"
    call = "restore(sys.argv[1], Path(sys.argv[2]), force=True)"

    def half_way() -> bool:
        return wal.exists() and wal.stat().st_size > 1_000_000

    killed_in(call, url_of(engine), str(tmp_path / "tge.backup"), after=half_way)
    assert snapshot(engine) == before
    sound(engine)
    restore(url_of(engine), tmp_path / "tge.backup", force=True)
    assert len(snapshot(engine)["mentions"]) == 1_500


@pytest.mark.parametrize("name", ["a.db", "a.db.gz"])
def test_a_disk_that_is_full_leaves_nothing(engine, tmp_path, name):
    """A limit on the size of files stands for the disk: both end a write half way."""
    fill(engine, 300)
    folder = tmp_path / "full"
    folder.mkdir()
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from tgecrawler.errors import UserError;"
        "from tgecrawler.storage.backup import back_up;"
        "from tgecrawler.storage.engine import create_engine;"
        "engine = create_engine(sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "try: back_up(engine, Path(sys.argv[2]))\n"
        "except UserError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, url_of(engine), str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "cannot" in done.stdout
    assert list(folder.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000
