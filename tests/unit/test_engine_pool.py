"""How many connections there are, who waits for one, and what is said when none comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.engine import create_engine, pool_usage, reading
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.pool import PoolUsage
from tgecrawler.storage.retry import with_retries

SMALL = EngineSettings(pool_size=1, pool_overflow=1, pool_timeout_s=0.05)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db", SMALL)
    yield engine
    engine.dispose()


def test_an_exhausted_pool_is_told_in_one_line(engine: Engine) -> None:
    with reading(engine, "one"), reading(engine, "two"):
        with pytest.raises(DatabaseError) as caught, reading(engine, "three"):
            pass
        with pytest.raises(DatabaseError, match="all connections were in use"):
            with_retries(engine.connect, url=engine.url, sleep=time.sleep)
    assert str(caught.value).endswith(
        "cannot be used: all connections were in use for too long; raise TGE_DATABASE_POOL_SIZE "
        "or TGE_DATABASE_POOL_OVERFLOW, or let fewer ask at the same time"
    )
    with reading(engine, "three") as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_the_gauge(tmp_path: Path) -> None:
    settings = EngineSettings(pool_size=2, pool_overflow=1, pool_timeout_s=30)
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db", settings)
    assert pool_usage(engine) == PoolUsage(size=2, checked_out=0, overflow=0, waiting=0, peak=0)

    def read() -> None:
        with reading(engine, "late"):
            pass

    late = threading.Thread(target=read)
    with reading(engine, "one"), reading(engine, "two"), reading(engine, "three"):
        late.start()
        deadline = time.monotonic() + 10
        while not pool_usage(engine).waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        full = PoolUsage(size=2, checked_out=3, overflow=1, waiting=1, peak=3)
        assert pool_usage(engine) == full
    late.join(10)
    assert pool_usage(engine) == PoolUsage(size=2, checked_out=0, overflow=0, waiting=0, peak=3)
    engine.dispose()
    assert pool_usage(engine).size == 2


def test_a_connection_goes_from_thread_to_thread(engine: Engine) -> None:
    seen: list[int] = []

    def read() -> None:
        with reading(engine, "threads") as connection:
            seen.append(connection.connection.dbapi_connection.total_changes)  # type: ignore[union-attr]

    for _ in range(3):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join(10)
    assert seen == [0, 0, 0]


def test_an_engine_of_others_is_refused(tmp_path: Path) -> None:
    other = sa.create_engine(f"sqlite:///{tmp_path}/tge.db")
    with pytest.raises(TypeError, match="create_engine"):
        pool_usage(other)


def test_a_replicas_url_that_cannot_be_used_names_its_option(tmp_path: Path) -> None:
    settings = EngineSettings(replica_url="mysql://user:secret@replica/tge")
    with pytest.raises(DatabaseError) as caught:
        create_engine(f"sqlite:///{tmp_path}/tge.db", settings)
    told = str(caught.value)
    assert told.startswith("TGE_DATABASE_REPLICA_URL: no database engine 'mysql'")
    assert "secret" not in told


def test_a_replica_is_for_postgresql(tmp_path: Path) -> None:
    settings = EngineSettings(replica_url="postgresql://user:secret@replica/tge")
    with pytest.raises(DatabaseError, match="TGE_DATABASE_REPLICA_URL is for PostgreSQL") as caught:
        create_engine(f"sqlite:///{tmp_path}/tge.db", settings)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "tge.db").exists()
