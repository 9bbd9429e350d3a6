"""Real servers, started from the system's binaries on free ports of 127.0.0.1."""

from __future__ import annotations

import shutil

import pytest
from postgresql_server import serving, unavailable
from redis import Redis
from redis_server import RedisServer
from storage_cases import NOW

from tgecrawler.redis_link import connect
from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.partitions import ensure_months, month_of


@pytest.fixture(scope="session")
def postgresql():
    """A running server, for the whole session."""
    with serving() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of an empty database, once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/tge.db"
        return
    with request.getfixturevalue("postgresql").database() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql):
    """The URL of an empty PostgreSQL database."""
    with postgresql.database() as url:
        yield url


@pytest.fixture(scope="session")
def migrated(postgresql):
    """The name of a database with empty tables, to be copied: migrating takes much longer."""
    name = "tge_migrated"
    postgresql.execute(f"CREATE DATABASE {name}")
    engine = create_engine(postgresql.url(name))
    schema.ensure_schema(engine)
    with write_transaction(engine) as connection:
        ensure_months(connection, month_of(NOW))  # or each test's first batch would make them
    engine.dispose()
    return name


@pytest.fixture
def engine(postgresql, migrated):
    """A PostgreSQL database with empty tables of the newest schema."""
    with postgresql.database(migrated) as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """An SQLite file with empty tables, to be copied: migrating takes much longer."""
    path = tmp_path_factory.mktemp("migrated") / "tge.db"
    engine = create_engine(f"sqlite:///{path}")
    schema.ensure_schema(engine)
    engine.dispose()  # the last connection takes the write-ahead log along
    return path


@pytest.fixture
def sqlite_engine(tmp_path, migrated_file):
    """An SQLite database with empty tables of the newest schema."""
    shutil.copyfile(migrated_file, tmp_path / "tge.db")
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A running server, for the whole session."""
    if RedisServer.binary() is None:
        unavailable("no redis-server found in PATH")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis_url(redis_server):
    """The URL of an empty Redis."""
    client = Redis.from_url(redis_server.url)
    client.flushall()
    client.close()
    return redis_server.url


@pytest.fixture
def client(redis_url):
    """A client of an empty Redis, as the crawl has one."""
    client = connect(redis_url)
    yield client
    client.close()
