"""A PostgreSQL server, started from the system's binaries on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

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

    def __init__(
        self, binaries: Path, folder: Path, settings: Mapping[str, str] = SERVER_SETTINGS
    ) -> None:
        self.binaries = binaries
        self.folder = folder
        self.settings = settings
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
        for name, value in self.settings.items():
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
    def database(self, template: str = "template1"):
        """Yield the URL of a database like another, empty by default; it is dropped afterwards."""
        name = f"tge_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
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


@contextmanager
def serving(settings: Mapping[str, str] = SERVER_SETTINGS):
    """Yield a running server whose files are gone afterwards."""
    binaries = find_postgresql()
    if binaries is None:
        unavailable("no PostgreSQL server found in /usr/lib/postgresql/*/bin or PATH")
    # Not pytest's folder: the server's own user could not enter that one.
    folder = Path(tempfile.mkdtemp(prefix="tge-pg-"))
    server = PostgresqlServer(binaries, folder, settings)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
