"""The hostile server as the tests hold it, and settings that put the guarded client before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from harness import HERE, ROOT

HANDLER = "tgecrawler.transport.handler.GuardedDownloadHandler"
WIRING: dict[str, Any] = {
    "DOWNLOAD_HANDLERS": {
        **dict.fromkeys(("http", "https"), HANDLER),
        **dict.fromkeys(("data", "file", "ftp", "s3")),
    },
    "DOWNLOADER_MIDDLEWARES": {"middlewares.guard.GuardMiddleware": 10},
    "HTTPPROXY_ENABLED": False,
}
BARE: dict[str, Any] = {
    **WIRING,
    "TGE_ALLOW_PRIVATE_NETWORKS": True,
    "DOWNLOAD_MAXSIZE": 10 * 2**20,
    "DOWNLOAD_VERIFY_CERTIFICATES": True,
    "RETRY_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
    "LOG_LEVEL": "ERROR",
}


@dataclass
class HostileServer:
    """A running server; `log` is what it saw."""

    process: subprocess.Popen[str]
    log_path: Path
    port: int
    scheme: str = "http"

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    @property
    def counts(self) -> Counter[str]:
        return Counter(line["event"] for line in self.log)

    def prepare(self, *paths: str) -> None:
        """Have answers made that take the server seconds, before a crawl waits for them."""
        for path in paths:
            with urlopen(self.url(path), timeout=60) as response:
                response.read()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def start_server(folder: Path, pem: Path | None = None) -> HostileServer:
    """Return a server that listens; the caller stops it."""
    log = folder / "server.log"
    log.touch()
    process = subprocess.Popen(
        [sys.executable, str(HERE / "hostile_server.py"), str(log), *([str(pem)] if pem else [])],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    return HostileServer(process, log, port, "https" if pem else "http")


def run_script(name: str, *arguments: object, **environment: str) -> dict[str, Any]:
    """Return what a script beside this file printed last, as JSON; arguments are given as JSON."""
    done = subprocess.run(
        [sys.executable, str(HERE / name), *(json.dumps(argument) for argument in arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "stderr": done.stderr}
