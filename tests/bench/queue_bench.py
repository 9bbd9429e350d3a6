"""Processes that the benchmarks of the leased queue have in common."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisError

from run import HERE, ROOT

START_S = 10.0


@contextmanager
def process(*command: object) -> Iterator[int]:
    """Run a script of this folder that prints its port; give the port."""
    running = subprocess.Popen(
        [sys.executable, str(HERE / str(command[0])), *map(str, command[1:])],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    try:
        yield int(running.stdout.readline())
    finally:
        running.terminate()
        running.wait(timeout=10)
        running.stdout.close()


@contextmanager
def redis_server() -> Iterator[int]:
    """Run a Redis that keeps nothing on disk; give its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = shutil.which("redis-server")
    assert binary, "no redis-server found in PATH"
    server = subprocess.Popen(
        [binary, "--port", str(port), "--save", "", "--appendonly", "no", "--loglevel", "warning"],
        stdout=subprocess.DEVNULL,
    )
    client = Redis(port=port)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(client):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
    finally:
        client.close()
        server.terminate()
        server.wait(timeout=30)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def begin_crawl(which: str, base: str, redis_port: int) -> subprocess.Popen[str]:
    """Begin one worker's crawl; see queue_run.py."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "queue_run.py"), which, base,
         f"redis://127.0.0.1:{redis_port}/0"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE)))},
    )  # fmt: skip


def told_by(crawl: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a crawl tells of itself, once it has ended."""
    output, _ = crawl.communicate(timeout=600)
    assert crawl.returncode == 0, output
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told
