"""Real servers, started from the system's binaries on free ports of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from redis import Redis
from redis_server import RedisServer

# The cases that hold on both engines live beside the unit tests.
sys.path.append(str(Path(__file__).parent.parent / "unit"))
pytest.register_assert_rewrite("storage_cases", "event_cases", "cache_cases", "lasting_cases")

SERVER_USERS = ("postgres", "nobody")
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
# Nothing here outlives the session, so nothing needs to reach the disk. Commits are
# still synchronous: a test crashes the server and counts on them.
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "timezone": "Asia/Tokyo",  # results must not depend on the server's zone
}


def unavailable(message: str) -> None:
    """Skip, or fail where every test has to run."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def find_postgresql() -> Path | None:
    """Return the folder of the newest server's binaries."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    folders += [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    complete = (f for f in folders if (f / "initdb").is_file() and (f / "postgres").is_file())
    return next(complete, None)


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def server_identity() -> dict[str, object]:
    """Return the Popen arguments that keep the server from running as root, which it refuses."""
    if os.geteuid() != 0:
        return {}
    for name in SERVER_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return unavailable(f"run as root, and none of the users {SERVER_USERS} exists")


class PostgresqlServer:
    """A server with its files in a folder of its own; ``stop`` ends it, ``start`` resumes."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.identity = server_identity()
        self.environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(folder)}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        if self.identity:
            os.chown(folder, self.identity["user"], self.identity["group"])

    def initialise(self) -> None:
        command = [self.binaries / "initdb", "-D", self.folder / "data", "-U", "tge"]
        command += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(command, capture_output=True, text=True, **self._arguments())
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-k", self.folder]
        command += ["-p", str(self.port)]
        for name, value in SERVER_SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **self._arguments())
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT rolls back what is open, SIGQUIT is a crash."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def execute(self, statement: str) -> None:
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    @contextmanager
    def database(self):
        """Yield the URL of an empty database that is dropped afterwards."""
        name = f"tge_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        return f"postgresql://tge@127.0.0.1:{self.port}/{name}"

    def _arguments(self) -> dict[str, object]:
        return {"cwd": self.folder, "env": self.environment, **self.identity}

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((self.folder / "server.log").read_text(errors="replace"))
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.url("postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True


@pytest.fixture(scope="session")
def postgresql():
    """A running server, for the whole session."""
    binaries = find_postgresql()
    if binaries is None:
        unavailable("no PostgreSQL server found in /usr/lib/postgresql/*/bin or PATH")
    # Not pytest's folder: the server's own user could not enter that one.
    folder = Path(tempfile.mkdtemp(prefix="tge-pg-"))
    server = PostgresqlServer(binaries, folder)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


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
