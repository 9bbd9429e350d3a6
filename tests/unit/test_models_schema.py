"""Tables and migrations on SQLite, and where the migrations are found."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from storage_cases import SchemaCases

import tgecrawler
from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.models import UtcDateTime
from tgecrawler.storage.readiness import HEAD


class TestSchemaOnSqlite(SchemaCases):
    """See ``SchemaCases``."""


def test_a_new_file_that_many_open_at_once(tmp_path):
    def start(path: Path) -> str:
        together.wait()
        engine = create_engine(f"sqlite:///{path}")
        schema.ensure_schema(engine)
        engine.dispose()
        return "started"

    together = threading.Barrier(6)
    with ThreadPoolExecutor(6) as pool:
        for number in range(10):
            paths = [tmp_path / f"{number}.db"] * 6
            assert list(pool.map(start, paths)) == ["started"] * 6


def test_alembic_says_nothing(tmp_path, caplog, capfd):
    caplog.set_level(logging.NOTSET)
    schema.ensure_schema(create_engine(f"sqlite:///{tmp_path}/quiet.db"))
    assert [record for record in caplog.records if record.name.startswith("alembic")] == []
    assert capfd.readouterr() == ("", "")


def test_the_migrations_are_found_in_a_zipped_package(tmp_path):
    package = Path(tgecrawler.__file__).parent
    copy = tmp_path / "parts" / "tgecrawler"
    ignored = shutil.ignore_patterns("__pycache__", "demo")
    shutil.copytree(package, copy, ignore=ignored)
    archive = shutil.make_archive(str(tmp_path / "egg"), "zip", tmp_path / "parts")
    code = (
        f"import sys; sys.path.insert(0, {archive!r})\n"
        "from tgecrawler.storage import schema\n"
        "from tgecrawler.storage.engine import create_engine\n"
        "engine = create_engine('sqlite:///zipped.db')\n"
        "schema.ensure_schema(engine)\n"
        "schema.check(engine)\n"
        "print(schema.__file__, schema.current(engine))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.split() == [f"{archive}/tgecrawler/storage/schema.py", HEAD]


def test_a_percent_sign_in_the_path_is_no_interpolation(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/100%25.db")
    schema.ensure_schema(engine)
    assert schema.current(engine) == HEAD


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="without a zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), None)  # noqa: DTZ001
