"""Backups of a real PostgreSQL server by its own programs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa
from backup_cases import BackupCases, fill, killed_in, sound
from storage_cases import batch, mention, snapshot, url_of, writer

from tgecrawler.errors import DatabaseError
from tgecrawler.storage import postgresql_tools, schema
from tgecrawler.storage.backup import back_up, restore
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.partitions import months


@pytest.fixture
def other_url(postgresql):
    with postgresql.database() as url:
        yield url


@pytest.fixture
def name():
    return "tge.dump"


class TestBackupOnPostgresql(BackupCases):
    """See ``BackupCases``."""


def test_partitions_their_bounds_and_compression_come_back(engine, other_url, tmp_path):
    fill(engine)
    back_up(engine, tmp_path / "tge.dump")
    restore(other_url, tmp_path / "tge.dump")
    shapes = []
    query = (
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), a.attcompression, i.indisvalid"
        " FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'text'"
        " JOIN pg_index i ON i.indrelid = c.oid"
        " WHERE inhparent = 'mention_texts'::regclass ORDER BY 1"
    )
    for url in (url_of(engine), other_url):
        other = create_engine(url)
        with other.connect() as connection:
            shapes.append(connection.execute(sa.text(query)).all())
            assert months(connection)
        other.dispose()
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) > 3


def test_what_is_not_ours_is_neither_backed_up_nor_touched(engine, other_url, tmp_path):
    fill(engine)
    other = create_engine(other_url)
    for one in (engine, other):
        with one.begin() as connection:
            connection.execute(sa.text("CREATE TABLE strangers (name text)"))
            connection.execute(sa.text("INSERT INTO strangers VALUES (:v)"), {"v": str(one.url)})
    back_up(engine, tmp_path / "tge.dump")
    restore(other_url, tmp_path / "tge.dump")
    restore(other_url, tmp_path / "tge.dump", force=True)
    with other.connect() as connection:
        assert connection.scalars(sa.text("SELECT name FROM strangers")).all() == [str(other.url)]
    other.dispose()


def test_a_view_that_hangs_on_ours_stops_a_restore(engine, tmp_path):
    fill(engine)
    back_up(engine, tmp_path / "tge.dump")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE VIEW mine AS SELECT id FROM mentions"))
    writer(engine).write(batch(mention(800)))
    before = snapshot(engine)
    with pytest.raises(DatabaseError, match="other objects depend on"):
        restore(url_of(engine), tmp_path / "tge.dump", force=True)
    assert snapshot(engine) == before


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_the_database_as_it_was(engine, tmp_path):
    fill(engine, 1_500)
    back_up(engine, tmp_path / "tge.dump")
    writer(engine).write(batch(mention(8_000)))
    before = snapshot(engine)
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'tgecrawler db%' AND query ~ '^(COPY|CREATE|ALTER)'"
    )

    def at_it() -> bool:
        with engine.connect() as connection:
            return bool(connection.scalar(sa.text(query)))

    call = "restore(sys.argv[1], Path(sys.argv[2]), force=True)"
    killed_in(call, url_of(engine), str(tmp_path / "tge.dump"), after=at_it)
    deadline = time.monotonic() + 30
    while at_it():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert snapshot(engine) == before
    sound(engine)


def test_the_password_is_on_no_command_line(engine, tmp_path, monkeypatch):
    """A program in the place of pg_dump, which tells how it was called."""
    told = tmp_path / "told"
    fake = tmp_path / "bin" / "pg_dump"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) 99.1"; exit; fi\n'
        f'echo "$@" > {told}; echo "PGPASSWORD=$PGPASSWORD" >> {told}\n'
        'echo "pg_dump: error: the password hunter2 is wrong" >&2; exit 1\n'
    )
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(postgresql_tools, "FOLDERS", ())
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    secret = create_engine(url_of(engine).replace("tge@", "tge:hunter2@"))
    with pytest.raises(DatabaseError) as caught:
        back_up(secret, tmp_path / "tge.dump")
    secret.dispose()
    arguments, environment = told.read_text().splitlines()
    assert "hunter2" not in arguments
    assert environment == "PGPASSWORD=hunter2"
    assert "pg_dump: error" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "tge.dump").exists()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, "there is no pg_dump on this machine: install PostgreSQL's client programs"),
        (9, "pg_dump is of version 9, older than the server"),
    ],
)
def test_programs_that_are_lacking_or_too_old(engine, tmp_path, monkeypatch, version, said):
    monkeypatch.setattr(postgresql_tools, "FOLDERS", ())
    if version:
        old = tmp_path / "pg_dump"
        old.write_text(f'#!/bin/sh\necho "pg_dump (PostgreSQL) {version}.6"\n')
        old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatabaseError, match=said) as caught:
        back_up(engine, tmp_path / "tge.dump")
    assert "Debian: postgresql-client-" in str(caught.value)
    assert not (tmp_path / "tge.dump").exists()


def test_a_backup_of_the_other_engine(engine, tmp_path):
    sqlite = f"sqlite:///{tmp_path}/tge.db"
    other = create_engine(sqlite)
    schema.ensure_schema(other)
    back_up(other, tmp_path / "a.backup")
    back_up(engine, tmp_path / "b.dump")
    other.dispose()
    code = (
        "import sys; from pathlib import Path; from tgecrawler.storage.backup import restore;"
        "from tgecrawler.errors import ArgumentError\n"
        "try: restore(sys.argv[1], Path(sys.argv[2]), force=True)\n"
        "except ArgumentError as error: print(error)\n"
    )
    for url, file, said in (
        (url_of(engine), "a.backup", "is no backup of a PostgreSQL database"),
        (sqlite, "b.dump", "is no backup of an SQLite database"),
    ):
        command = [sys.executable, "-c", code, url, str(tmp_path / file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
        assert said in done.stdout
