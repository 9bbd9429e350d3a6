"""Crawls as a user runs them: a subprocess, a real server, and nothing but loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import Project, Web, serving


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def start_web(tmp_path: Path) -> Iterator[Callable[[], Web]]:
    with ExitStack() as servers:
        count = itertools.count()
        yield lambda: servers.enter_context(serving(tmp_path / f"web{next(count)}"))


@pytest.fixture
def web(start_web: Callable[[], Web]) -> Web:
    return start_web()
