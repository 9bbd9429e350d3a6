"""Crawls as a user runs them: a subprocess, a real server, and nothing but loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import HERE, Project, Web


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def start_web(tmp_path: Path) -> Iterator[Callable[[], Web]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> Web:
        folder = tmp_path / f"web{len(started)}"
        folder.mkdir()
        (folder / "routes.json").write_text("{}")
        server = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "web_server.py"),
                str(folder / "routes.json"),
                str(folder / "access.log"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(server)
        assert server.stdout is not None
        return Web(folder, int(server.stdout.readline()))

    yield start
    for server in started:
        server.terminate()
        server.wait(timeout=10)
        if server.stdout is not None:
            server.stdout.close()


@pytest.fixture
def web(start_web: Callable[[], Web]) -> Web:
    return start_web()
