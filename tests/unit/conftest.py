"""Fixtures that several unit tests share."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from virtual_time import VirtualClock

from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with empty tables, to be copied: migrating takes much longer."""
    path = tmp_path_factory.mktemp("migrated") / "tge.db"
    engine = create_engine(f"sqlite:///{path}")
    schema.ensure_schema(engine)
    engine.dispose()  # the last connection takes the write-ahead log along
    return path


@pytest.fixture
def engine(tmp_path: Path, migrated_file: Path) -> Iterator[Engine]:
    """An SQLite database with empty tables of the newest schema."""
    shutil.copyfile(migrated_file, tmp_path / "tge.db")
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db")
    yield engine
    engine.dispose()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """A clock that jumps in place of the real one."""
    clock = VirtualClock()
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock
