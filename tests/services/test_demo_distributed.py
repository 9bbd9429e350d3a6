"""`make demo-distributed`: three workers on the demo archive, one of them killed half way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgresql_server import find_postgresql, unavailable
from redis_server import RedisServer
from storage_cases import batch, mention, writer

from tgecrawler.demo import servers
from tgecrawler.demo.comparison import compare
from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.models import MENTIONS

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 180


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    if find_postgresql() is None or RedisServer.binary() is None:
        unavailable("no PostgreSQL or no redis-server found")
    return [sys.executable, "-m", "tgecrawler.demo.distributed", str(tmp_path / "demo")]


def below(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            parents[int(place.name)] = int(fields[1])
    found, added = set[int](), {pid}
    while added:
        added = {child for child, parent in parents.items() if parent in added}
        found |= added
    return found


def servers_left(folder: Path) -> list[str]:
    """The folders, in this one, in which processes still work."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            found.append(str(place.readlink()))
    return [where for where in found if where.startswith(str(folder))]


@pytest.mark.slow
def test_the_rows_are_those_of_a_single_process(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    killed = re.search(r"(\d+) of (\d+) mentions .* it had (\d+) requests on lease", done.stdout)
    assert killed is not None, done.stdout
    stored, whole, held = map(int, killed.groups())
    assert whole / 2 <= stored < whole
    assert held >= 5
    taken_over = re.search(r"queue: (\d+) leases ran out .* 0 are dead", done.stdout)
    assert taken_over is not None, done.stdout
    assert int(taken_over[1]) >= held
    assert "; 0 requests are left, 0 are dead" in done.stdout
    for table in ("mentions", "alerts", "events", "event_mentions"):
        assert re.search(rf"│ {table} +│ +(\d+) │ +\1 │ the same │", done.stdout), done.stdout
    assert re.search(r"stream: \d+ messages tell of all of \d+ alerts", done.stdout)
    assert re.search(r"stream: \d+ messages tell of all of \d+ events", done.stdout)
    assert servers_left(tmp_path) == []


@pytest.mark.slow
def test_ctrl_c_ends_everything_that_was_started(command: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            next(line for line in demo.stdout if line.startswith("3 workers: processes"))
            started = below(demo.pid)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(TIMEOUT_S) == 130
        finally:
            demo.kill()
    assert len(started) >= 5, "three workers, Redis and PostgreSQL"
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_a_missing_program_is_said_before_anything_is_done(
    tmp_path: Path, command: list[str]
) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: there is no redis-server on this machine; install Redis 6.2 or newer "
        "(Debian: apt-get install redis-server)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_postgresql_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "FOLDERS", ())
    with pytest.raises(servers.MissingProgramError, match=r"apt-get install postgresql"):
        servers.find_postgresql()


def test_rows_that_differ_are_found(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "other")]
    for url in urls:
        engine = create_engine(url)
        schema.ensure_schema(engine)
        writer(engine).write(batch(mention(1), mention(2)))
        if url == urls[1]:
            change = sa.update(MENTIONS).where(MENTIONS.c.id == mention(2).entry_id)
            with write_transaction(engine) as connection:
                connection.execute(change.values(title="Another"))
        engine.dispose()
    tables = {table.name: table for table in compare(*urls)}
    assert (tables["mentions"].one, tables["mentions"].other) == (2, 2)
    assert tables["mentions"].differing == ((mention(2).entry_id,),)
    assert tables["alerts"].differing == ()
