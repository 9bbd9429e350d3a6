"""Reads on a real streaming replica: fresh, behind, away, back again, and promoted."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from tgecrawler.cli import open_database
from tgecrawler.errors import DatabaseError
from tgecrawler.options import read_options
from tgecrawler.storage import replica as replica_module
from tgecrawler.storage import schema
from tgecrawler.storage.database import database_of
from tgecrawler.storage.engine import (
    create_engine,
    query_timings,
    reading,
    replica_usage,
    write_transaction,
)
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.figures import database_stats
from tgecrawler.storage.queries import recent_alerts
from tgecrawler.storage.readiness import HEAD
from tgecrawler.storage.replica import CHECK_EVERY_S, LONGEST_PAUSE_S

MAX_LAG_S = 0.5
WAIT_S = 30


def make_standby(primary):
    """Return a running standby of a server, which replays what that one writes."""
    folder = Path(tempfile.mkdtemp(prefix="tge-pg-"))
    standby = type(primary)(primary.binaries, folder)
    command = [primary.binaries / "pg_basebackup", "-D", folder / "data", "-R", "-X", "stream"]
    command += ["-c", "fast", "--no-sync", "-h", "127.0.0.1", "-p", str(primary.port), "-U", "tge"]
    done = subprocess.run(command, capture_output=True, text=True, **standby._arguments())
    assert done.returncode == 0, done.stderr
    standby.start()
    return standby


def end(standby) -> None:
    standby.stop(signal.SIGQUIT)
    shutil.rmtree(standby.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_standby(postgresql):
    standby = make_standby(postgresql)
    yield standby
    end(standby)


@pytest.fixture
def standby(shared_standby):
    """The shared standby, which a test may pause, stop or halt."""
    yield shared_standby
    if shared_standby.process is not None:
        shared_standby.process.send_signal(signal.SIGCONT)
    else:
        shared_standby.start()
    resume(shared_standby)


@pytest.fixture
def database(postgresql, standby):
    """The name of a database that has reached the standby, with one row."""
    with postgresql.database() as url:
        name = url.rpartition("/")[2]
        owner = create_engine(url)
        with write_transaction(owner) as connection:
            connection.execute(sa.text("CREATE TABLE told (x int)"))
            connection.execute(sa.text("INSERT INTO told VALUES (1)"))
        wait_until(lambda: ask(standby, name, "SELECT count(*) FROM told") == 1)
        owner.dispose()
        yield name
        # a paused standby would keep its connections for ever
        resume(standby)


@pytest.fixture
def engine(postgresql, standby, database):
    engine = opened(postgresql, standby, database)
    yield engine
    engine.dispose()


def opened(primary, standby, database: str, **changes):
    settings = EngineSettings(
        replica_url=standby.url(database), replica_max_lag_s=MAX_LAG_S, **changes
    )
    return create_engine(primary.url(database), settings)


def ask(server, database: str, query: str):
    """Return the value of a query, or None where it cannot be had."""
    try:
        connection = psycopg2.connect(server.url(database), connect_timeout=2)
    except psycopg2.OperationalError:
        return None
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]
    except psycopg2.Error:
        return None
    finally:
        connection.close()


def resume(standby) -> None:
    paused = "SELECT CASE WHEN pg_is_wal_replay_paused() THEN pg_wal_replay_resume() END"
    ask(standby, "postgres", paused)


def follow(standby, source: str) -> None:
    quoted = source.replace("'", "''")
    standby.execute(f"ALTER SYSTEM SET primary_conninfo = '{quoted}'")
    standby.execute("SELECT pg_reload_conf()")


def wait_until(holds) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def served_by(engine, *, primary: bool = False) -> int:
    """Return the port of the server that a read goes to."""
    with reading(engine, "served_by", primary=primary) as connection:
        return connection.scalar(sa.text("SELECT inet_server_port()"))


def write_elsewhere(primary, database: str) -> None:
    """Write a row as another process would."""
    other = create_engine(primary.url(database))
    with write_transaction(other) as connection:
        connection.execute(sa.text("INSERT INTO told VALUES (2)"))
    other.dispose()


def said(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == replica_module.__name__]


def test_reads_go_to_the_replica_and_the_newest_rows_to_the_primary(
    engine, postgresql, standby, caplog
):
    caplog.set_level(logging.INFO)
    assert replica_usage(engine).lag_s is None  # not asked before it is needed
    assert served_by(engine) == standby.port
    assert served_by(engine) == standby.port
    assert served_by(engine, primary=True) == postgresql.port
    usage = replica_usage(engine)
    assert (usage.usable, usage.lag_s, usage.reads, usage.fallbacks) == (True, 0.0, 2, 0)
    assert query_timings(engine)["served_by"].count == 3
    (line,) = said(caplog)
    assert line.startswith("database: what only shows is read from the replica postgresql")


def test_a_replica_without_changes_is_not_behind(engine, standby):
    time.sleep(3 * MAX_LAG_S)
    assert served_by(engine) == standby.port
    assert replica_usage(engine).lag_s == 0.0


def test_a_replica_that_falls_behind_and_catches_up(engine, postgresql, standby, database, caplog):
    caplog.set_level(logging.INFO)
    assert served_by(engine) == standby.port
    ask(standby, "postgres", "SELECT pg_wal_replay_pause()")
    write_elsewhere(postgresql, database)
    wait_until(lambda: served_by(engine) == postgresql.port)
    usage = replica_usage(engine)
    assert not usage.usable
    assert usage.lag_s > MAX_LAG_S
    assert usage.fallbacks == 1
    with reading(engine, "told") as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM told")) == 2
    resume(standby)
    wait_until(lambda: served_by(engine) == standby.port)
    with reading(engine, "told") as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM told")) == 2
    fresh, behind, again = said(caplog)
    assert "s behind; the database itself is read" in behind
    assert fresh == again


def test_a_replica_that_receives_nothing_more_is_not_taken_for_fresh(postgresql, standby, database):
    """All that it received is replayed, but what was written since never arrived."""
    source = ask(standby, "postgres", "SHOW primary_conninfo")
    follow(standby, "host=127.0.0.1 port=1")
    try:
        gone = "SELECT count(*) FROM pg_stat_wal_receiver"
        write_elsewhere(postgresql, database)
        # its receiver is started again and again, and ends at once each time
        wait_until(lambda: ask(standby, "postgres", gone) == 0)
        time.sleep(MAX_LAG_S)
        engine = opened(postgresql, standby, database)
        wait_until(lambda: served_by(engine) == postgresql.port)
        assert replica_usage(engine).lag_s > MAX_LAG_S
        engine.dispose()
    finally:
        follow(standby, source)
        caught_up = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        wait_until(lambda: ask(standby, "postgres", caught_up) == 1)


def test_a_replica_that_is_killed_and_comes_back(engine, postgresql, standby, caplog):
    assert served_by(engine) == standby.port
    standby.stop(signal.SIGQUIT)
    # within the interval in which its last answer counts: the pool's own check notices
    assert served_by(engine) == postgresql.port
    assert not replica_usage(engine).usable
    standby.start()
    wait_until(lambda: served_by(engine) == standby.port)
    assert sum("cannot be used" in line for line in said(caplog)) == 1


def lose(engine, standby) -> None:
    with reading(engine, "lost") as connection:
        connection.execute(sa.text("SELECT 1"))
        standby.stop(signal.SIGQUIT)
        connection.execute(sa.text("SELECT 1"))


def test_a_replica_lost_in_mid_query_is_left_at_once(engine, postgresql, standby):
    assert served_by(engine) == standby.port
    with pytest.raises(DatabaseError) as caught:
        lose(engine, standby)
    assert f":{standby.port}/" in str(caught.value)
    assert not replica_usage(engine).usable
    assert served_by(engine) == postgresql.port


def test_a_replica_that_does_not_answer_costs_little(engine, postgresql, standby):
    """Its port takes connections, and no one answers: what a hung machine looks like."""
    assert served_by(engine) == standby.port
    standby.process.send_signal(signal.SIGSTOP)
    time.sleep(CHECK_EVERY_S)
    taken, others = [], []

    def read(times: list[float]) -> None:
        started = time.monotonic()
        assert served_by(engine) == postgresql.port
        times.append(time.monotonic() - started)

    # the postmaster alone is stopped: the connection of before would still be answered
    database_of(engine).replica.engine.dispose()
    read(taken)
    assert taken[0] < 4
    for _ in range(20):
        read(others)
    assert max(others) < 1
    standby.process.send_signal(signal.SIGCONT)
    wait_until(lambda: served_by(engine) == standby.port)


def test_others_do_not_wait_for_the_one_that_asks(engine, postgresql, standby):
    """The replica's last answer counts until there is another."""
    assert served_by(engine) == standby.port
    time.sleep(CHECK_EVERY_S)
    replica = database_of(engine).replica
    with replica._asking:
        started = time.monotonic()
        assert served_by(engine) == standby.port
        assert time.monotonic() - started < 1


def test_pauses_grow_while_a_replica_is_away(postgresql, standby, database):
    engine = opened(postgresql, standby, database)
    replica = database_of(engine).replica
    now_s = [0.0]
    replica.clock = lambda: now_s[-1]
    standby.stop(signal.SIGQUIT)
    pauses = []
    for _ in range(8):
        assert not replica.is_fresh()
        pauses.append(replica._due_s - now_s[-1])
        now_s.append(replica._due_s)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    standby.start()

    def comes_back() -> bool:
        now_s.append(now_s[-1] + LONGEST_PAUSE_S)
        return replica.is_fresh()

    wait_until(comes_back)
    assert replica._due_s - now_s[-1] == CHECK_EVERY_S
    engine.dispose()


def test_a_process_reads_what_it_wrote(engine, postgresql, standby):
    assert served_by(engine) == standby.port
    with write_transaction(engine) as connection:
        connection.execute(sa.text("INSERT INTO told VALUES (3)"))
    assert served_by(engine) == postgresql.port
    wait_until(lambda: served_by(engine) == standby.port)
    with reading(engine, "told") as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM told")) == 2


def test_a_slow_read_of_the_replica_is_explained_by_it(postgresql, standby, database, caplog):
    engine = opened(postgresql, standby, database, slow_query_ms=0.001)
    nowhere = sa.create_engine("postgresql+psycopg2://tge@127.0.0.1:1/nowhere")
    database_of(engine).beside = nowhere
    assert served_by(engine) == standby.port
    assert "; plan: Result (cost=" in caplog.records[-1].getMessage()
    engine.dispose()


def test_a_command_reads_the_replica(postgresql, standby, database):
    owner = create_engine(postgresql.url(database))
    schema.upgrade(owner)
    owner.dispose()
    wait_until(lambda: ask(standby, database, "SELECT version_num FROM alembic_version") == HEAD)
    given = {
        "TGE_DATABASE_URL": postgresql.url(database),
        "TGE_DATABASE_REPLICA_URL": standby.url(database),
    }
    engine = open_database(read_options(given, {}), "alerts")
    assert recent_alerts(engine) == []
    usage = replica_usage(engine)
    assert (usage.reads, usage.fallbacks) == (1, 0)
    with reading(engine, "shown") as connection:
        shown = connection.scalar(sa.text("SHOW application_name"))
    assert shown == "tgecrawler alerts"
    assert database_stats(engine)["tge/database/replica_reads"] == 2
    engine.dispose()


def test_a_promoted_replica_is_read_and_said_once(postgresql, caplog):
    standby = make_standby(postgresql)
    try:
        engine = opened(postgresql, standby, "postgres")
        assert served_by(engine) == standby.port
        ask(standby, "postgres", "SELECT pg_promote()")
        wait_until(lambda: served_by(engine) and "replicates nothing" in caplog.text)
        time.sleep(CHECK_EVERY_S)
        assert served_by(engine) == standby.port
        assert replica_usage(engine).lag_s == 0.0
        assert sum("replicates nothing" in line for line in said(caplog)) == 1
        engine.dispose()
    finally:
        end(standby)


def test_many_threads_while_the_replica_goes_and_comes(engine, standby):
    failures, ended = [], threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                served_by(engine)
            except DatabaseError as error:
                failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: replica_usage(engine).reads > 100)
        standby.stop(signal.SIGINT)
        before = replica_usage(engine).fallbacks
        wait_until(lambda: replica_usage(engine).fallbacks > before + 100)
        standby.start()
        reads = replica_usage(engine).reads
        wait_until(lambda: replica_usage(engine).reads > reads + 100)
    finally:
        ended.set()
        for thread in threads:
            thread.join(60)
    # those that were under way when it went; one for each thread at most
    assert len(failures) <= len(threads)
