"""A project and a web server as the crawl tests use them; see conftest.py."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TIMEOUT_S = 120
QUICK = ("-s", "DOWNLOAD_DELAY=0", "-s", "AUTOTHROTTLE_ENABLED=0")  # a test's host needs no rest


@dataclass
class Project:
    """The project with a database and files of its own; `scrapy` runs a command in it."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.folder / "tge.db"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TGE_")}
        return {
            **kept,
            "PYTHONPATH": str(HERE / "guard"),
            "NETWORK_ATTEMPTS": str(self.folder / "attempts.log"),
            "NETWORK_LOOKUPS": str(self.folder / "lookups.log"),
            "COLUMNS": "200",
        }

    def command(self, *args: str) -> list[str]:
        settings = {
            "TGE_DATABASE_URL": f"sqlite:///{self.database}",
            "TGE_ALLOW_PRIVATE_NETWORKS": "1",  # the servers of the tests are on loopback
            **self.settings,
        }
        given = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
        return [sys.executable, "-m", "scrapy", *args, *given]

    def scrapy(
        self, *args: str, timeout: float = TIMEOUT_S, **kwargs: Any
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*args),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            **kwargs,
        )
        self.assert_loopback_only()
        return done

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*args),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def crawl(self, spider: str, *args: str) -> dict[str, Any]:
        """Run a crawl that must end well; return its report."""
        report = self.folder / f"{spider}.json"
        done = self.scrapy("crawl", spider, *args, *QUICK, "-s", f"TGE_STATS_JSON={report}")
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        assert "Warning" not in done.stderr, done.stderr
        found: dict[str, Any] = json.loads(report.read_text())
        assert found["entries_seen"] == sum(found["outcomes"].values())
        return found

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.database) as connection:
            return connection.execute(query).fetchall()

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return path

    @property
    def lookups(self) -> list[str]:
        log = self.folder / "lookups.log"
        return log.read_text().splitlines() if log.exists() else []

    def assert_loopback_only(self) -> None:
        attempts = self.folder / "attempts.log"
        assert not attempts.exists(), f"reached out to {attempts.read_text()}"


@dataclass
class Web:
    """A web server in another process, its routes, and what it was asked."""

    folder: Path
    port: int
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, path: str, body: str = "", **route: Any) -> str:
        self.routes[path] = {"body": body, **route}
        (self.folder / "routes.json").write_text(json.dumps(self.routes), encoding="utf-8")
        return f"{self.base}{path}"

    @property
    def asked(self) -> list[str]:
        return [line.partition(" ")[0] for line in self.requests]

    @property
    def requests(self) -> list[str]:
        """Each request's path and, after a space, the validators it bore."""
        log = self.folder / "access.log"
        return log.read_text().splitlines() if log.exists() else []


@contextmanager
def serving(folder: Path) -> Iterator[Web]:
    """Run a web server whose routes and log are in a folder of its own."""
    folder.mkdir()
    (folder / "routes.json").write_text("{}")
    command = [sys.executable, str(HERE / "web_server.py")]
    command += [str(folder / "routes.json"), str(folder / "access.log")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield Web(folder, int(server.stdout.readline()))
    finally:
        server.terminate()
        server.wait(timeout=10)
        if server.stdout is not None:
            server.stdout.close()
