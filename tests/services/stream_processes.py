"""Publishers, writers and readers in processes of their own, to be killed.

    python tests/services/stream_processes.py ROLE DATABASE_URL REDIS_URL [WHAT]

A line on stdout says each time how far it is.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

for folder in (Path(__file__).parents[2], Path(__file__).parents[1] / "unit"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from event_cases import told  # noqa: E402
from storage_cases import batch  # noqa: E402

from tgecrawler.redis_link import connect  # noqa: E402
from tgecrawler.storage.engine import create_engine  # noqa: E402
from tgecrawler.storage.writer import Writer  # noqa: E402
from tgecrawler.stream.publisher import Publisher  # noqa: E402
from tgecrawler.stream.reader import StreamReader  # noqa: E402


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def story(number: int):
    """A mention with an alert and an event of its own."""
    return told(number, f"Project {number}", text_key=f"own {number}")


def write(url: str, _: str, first: str) -> None:
    """Write stories for ever, each in a transaction, with a moment for the others between."""
    writer = Writer(create_engine(url), announces=True)
    number = int(first)
    while True:
        writer.write(batch(story(number)))
        print(number, flush=True)
        number += 1
        time.sleep(0.005)


def publish(url: str, redis_url: str, dies: str) -> None:
    """Publish for ever, or until the place is reached where it is to die."""
    publisher = Publisher(create_engine(url), connect(redis_url), 100_000)
    append = publisher._append

    def kill_around(last, messages):
        if dies == "before":
            die()
        sent = append(last, messages)
        if dies == "after":
            die()
        return sent

    publisher._append = kill_around
    while True:
        publisher.publish()
        print("told", flush=True)
        time.sleep(0.01)


def read(_: str, redis_url: str, handles: str) -> None:
    """Read so many messages one by one and acknowledge each, then hold what comes."""
    reader = StreamReader(connect(redis_url), "group", take_over_s=1.0)
    left = int(handles)
    while True:
        for message in reader.read(10 if left <= 0 else 1):
            if left <= 0:
                print("holds", message.id, flush=True)
                continue
            left -= 1
            print("handled", message.id, flush=True)
            reader.acknowledge([message])


if __name__ == "__main__":
    {"write": write, "publish": publish, "read": read}[sys.argv[1]](*sys.argv[2:5])
