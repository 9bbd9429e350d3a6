"""PostgreSQL's own programs: where they are, and how they reach the database."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from psycopg2.extensions import make_dsn

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.engine import database_error

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Where the systems put them, one folder for each version. On Debian those in PATH are
# scripts that choose a version by themselves.
FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/*postgres*/bin")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


class Tools:
    """The programs that fit a server, and how they reach one of its databases."""

    def __init__(self, engine: Engine) -> None:
        self.url = engine.url
        with engine.connect() as connection:
            number = connection.scalar(sa.text("SHOW server_version_num"))
        self.server_version = int(number or 0) // 10_000
        arguments: dict[str, Any] = dict(engine.dialect.create_connect_args(engine.url)[1])
        # Every user of the machine sees a command line; nobody else sees an environment.
        self.environment = {**os.environ, "PGAPPNAME": "tgecrawler db"}
        for name, variable in (("password", "PGPASSWORD"), ("passfile", "PGPASSFILE")):
            if value := arguments.pop(name, None):
                self.environment[variable] = str(value)
        if "sslpassword" in arguments:
            raise DatabaseError("sslpassword cannot be handed to pg_dump; use a key without one")
        self.database = make_dsn(**arguments)

    def start(self, name: str, *arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
        """Return a running program; DatabaseError says what to install where it is lacking."""
        return subprocess.Popen([self._find(name), *arguments], env=self.environment, **pipes)

    def run(self, name: str, *arguments: str) -> bytes:
        """Return what a program prints; DatabaseError is its first complaint."""
        command = [str(self._find(name)), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, check=False)
        if done.returncode:
            raise self.failure(name, done.stderr)
        return done.stdout

    def failure(self, name: str, stderr: bytes) -> DatabaseError:
        """Return a program's first complaint as an error that bears no password."""
        lines = stderr.decode(errors="replace").strip().splitlines()
        line = next((one for one in lines if "error" in one.lower()), None)
        said = line or " ".join(lines[:1]) or f"{name} failed"
        return database_error(RuntimeError(said), self.url)

    def _find(self, name: str) -> Path:
        """Return the program of the server's version, else of the next newer one."""
        found = [path for pattern in FOLDERS for path in Path("/").glob(f"{pattern[1:]}/{name}")]
        in_path = shutil.which(name)
        found += [Path(in_path)] if in_path else []
        versions = {path: _version(path) for path in found}
        fitting = [path for path, version in versions.items() if version >= self.server_version]
        if fitting:
            # A newer one may say things to the server that it does not understand.
            return min(fitting, key=lambda path: versions[path])
        remedy = (
            f"install PostgreSQL's client programs, version {self.server_version}"
            f" (Debian: postgresql-client-{self.server_version})"
        )
        newest = max(versions.values(), default=0)
        if newest:
            raise DatabaseError(
                f"{name} is of version {newest}, older than the server ({self.server_version}):"
                f" {remedy}"
            )
        raise DatabaseError(f"there is no {name} on this machine: {remedy}")


def _version(path: Path) -> int:
    """Return a program's version; 0 for one that does not tell."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    found = _VERSION.search(done.stdout)
    return int(found[1]) if found else 0
