"""What the tests of the stream share: stories, and what became of them."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from outbox_cases import announcing
from storage_cases import batch
from stream_processes import story

from tgecrawler.stream.messages import STREAM, decode

PROCESSES = Path(__file__).with_name("stream_processes.py")
MOST = 100_000


def messages(client):
    return [decode(*entry) for entry in client.xrange(STREAM)]


def alerts(client) -> list[str]:
    """The alerts on the stream, in order."""
    return [one.ref for one in messages(client) if one.kind == "alert"]


def ids_of(*numbers: int) -> list[str]:
    return [story(number).entry_id for number in numbers]


def fill(engine, publisher, stories: int) -> None:
    """Commit so many stories, and publish them: two messages for each."""
    for start in range(0, stories, 100):
        numbers = range(start, min(stories, start + 100))
        announcing(engine).write(batch(*map(story, numbers)))
    publisher.publish()


@contextmanager
def process(role: str, *arguments: object):
    """Yield a process of ``stream_processes``, which is killed afterwards."""
    command = [sys.executable, str(PROCESSES), role, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_for(condition, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
