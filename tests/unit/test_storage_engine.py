"""What a database URL becomes, and how its failures are told."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.engine import create_engine, database_error, write_transaction
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.failures import kind_of

NOBODY = 65_534


def message(url: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        create_engine(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db")
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1), ("busy_timeout", 30_000)],
)
def test_sqlite_is_set_up_for_several_processes(engine, pragma, value):
    with engine.connect() as connection:
        assert connection.scalar(sa.text(f"PRAGMA {pragma}")) == value


def test_folders_are_made_and_relative_paths_start_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_engine("sqlite:///new/folder/tge.db").dispose()
    assert (tmp_path / "new/folder/tge.db").exists()


def test_a_writing_transaction_excludes_another_and_not_a_reader(engine, tmp_path):
    impatient = create_engine(f"sqlite:///{tmp_path}/tge.db", EngineSettings(lock_wait_s=0.01))
    with write_transaction(engine) as connection:
        connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
        with impatient.connect() as reader:
            assert sa.inspect(reader).get_table_names() == []
        with (
            pytest.raises(OperationalError, match="locked") as caught,
            write_transaction(impatient),
        ):
            pass
    assert kind_of(caught.value) == "passing"
    impatient.dispose()


def test_an_exception_rolls_back(engine):
    def fail() -> None:
        with write_transaction(engine) as connection:
            connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert sa.inspect(engine).get_table_names() == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://user:secret@host/name", "no database engine 'mysql'"),
        ("postgresql+asyncpg://user:secret@host/name", "no database engine 'postgresql+asyncpg'"),
        ("var/tge.db", "the database URL cannot be read"),
        ("", "the database URL cannot be read"),
        ("postgresql://user:secret@host:port/name", "the database URL cannot be read"),
        ("sqlite://", "a database in memory cannot be used"),
        ("sqlite:///:memory:", "a database in memory cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used(url, expected):
    told = message(url)
    assert told.startswith(expected)
    assert "sqlite:///var/tge.db" in told
    assert "secret" not in told


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, " * 100)
    assert (
        message(f"sqlite:///{path}")
        == f"the database {path} cannot be used: file is not a database"
    )
    assert path.read_text().startswith("no database at all")


def test_a_folder_in_place_of_the_file(tmp_path):
    assert f"{tmp_path} cannot be used" in message(f"sqlite:///{tmp_path}")


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be used" in message(f"sqlite:///{tmp_path}/file/tge.db")


def test_what_must_not_be_written_is_told():
    folder = Path(tempfile.mkdtemp())
    path = folder / "tge.db"
    path.touch(0o444)
    folder.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        assert message(f"sqlite:///{path}").endswith("tge.db is not writable")
        assert message(f"sqlite:///{folder}/new.db").endswith("is not writable")
    finally:
        if user == 0:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_a_server_that_is_not_there(scheme):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses for sure
        port = taken.getsockname()[1]
        told = message(f"{scheme}://user:se%40cret@127.0.0.1:{port}/name")
    assert "Connection refused" in told
    assert f"user:***@127.0.0.1:{port}/name" in told
    assert "cret" not in told


def test_a_password_in_the_query_is_not_told():
    url = sa.make_url("postgresql+psycopg2://host/name?password=hidden%2Fword")
    told = str(database_error(ValueError("FATAL: hidden/word is wrong\nDETAIL: more"), url))
    assert "hidden" not in told
    assert told.endswith("FATAL: *** is wrong")
