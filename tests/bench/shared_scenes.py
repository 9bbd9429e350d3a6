"""What befalls a shared crawl as a whole: all servers at once, an emptied Redis, a foreign payload.

Each scene begins when a third of the pages is stored, and returns once the workers have ended
and, with one more poll of the feeds where that is needed, everything is stored.
"""

from __future__ import annotations

import pickle
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from shared_chaos import (
    PATIENCE_S,
    QUEUE,
    Stored,
    dead_in,
    end_leftovers,
    poll_again,
    stored_in,
)
from shared_crawl import Crawl, Crew, PostgresqlServer

from tgecrawler.storage.engine import create_engine

SHARE = 1 / 3
SCORE = "-99999999999999"  # before all that is ours


@dataclass(slots=True)
class Scene:
    """What came of it.

    Attributes:
        before: what was stored before any feed was polled again.
        after: what is stored at the end, `cycles` more polls later.
        at: mentions that were stored when it began.
    """

    at: int
    before: Stored
    after: Stored
    cycles: int
    bad_ends: list[int]
    dead: dict[bytes, bytes]
    said: str


class Trap:
    """Something that leaves a file behind where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(self.file),)  # type: ignore[return-value]


def restart_everything(crawl: Crawl, database: PostgresqlServer, size: int = 3) -> Scene:
    """Kill workers, Redis and PostgreSQL at the same time, and start them anew."""
    assert crawl.redis is not None
    with Crew(crawl, size) as crew:
        at = wait_for_share(crawl, crew)
        for worker in crew.workers:
            worker.kill()
        crawl.redis.kill()
        database.stop(signal.SIGQUIT)
        database.start()
        crawl.redis.start()
        crew.tend()
        crew.finish(PATIENCE_S)
    return _scene(crawl, crew, at)


def empty_redis(crawl: Crawl, size: int = 3) -> Scene:
    """FLUSHDB under the workers' hands."""
    assert crawl.redis is not None
    with Crew(crawl, size) as crew:
        at = wait_for_share(crawl, crew)
        crawl.redis.command("FLUSHDB")
        crew.finish(PATIENCE_S)
    return _scene(crawl, crew, at)


def poison(crawl: Crawl, trap: Path, size: int = 3) -> Scene:
    """Put pickles into the queue: in place of a whole value, and of the payload in one."""
    assert crawl.redis is not None
    payload = pickle.dumps(Trap(trap))
    host = crawl.world.addresses[0]
    head = b"1" + bytes(8) + f"{host}\t{SCORE}\t\n".encode()
    with Crew(crawl, size) as crew:
        at = wait_for_share(crawl, crew)
        with crawl.redis.client() as client, client.pipeline() as pipe:
            for id_, value in (("foreign-value", payload), ("foreign-payload", head + payload)):
                pipe.hset(f"{QUEUE}req", id_, value)
                pipe.zadd(f"{QUEUE}q:{host}", {id_: SCORE})
            pipe.zadd(f"{QUEUE}ready", {host: SCORE})
            pipe.execute()
        crew.finish(PATIENCE_S)
    return _scene(crawl, crew, at)


def wait_for_share(crawl: Crawl, crew: Crew) -> int:
    """Return how many mentions are stored, once that is a third of all.

    Raises:
        RuntimeError: the workers end before, or it takes too long.
    """
    engine = create_engine(crawl.database_url)
    ends = time.monotonic() + PATIENCE_S
    try:
        while True:
            with engine.connect() as connection:
                if sa.inspect(connection).has_table("mentions"):
                    stored = int(connection.scalar(sa.text("SELECT count(*) FROM mentions")) or 0)
                    if stored >= SHARE * crawl.world.pages:
                        return stored
            if time.monotonic() > ends or not crew.tend(restart=False):
                raise RuntimeError(crew.said[-3_000:])
            time.sleep(0.05)
    finally:
        engine.dispose()


def _scene(crawl: Crawl, crew: Crew, at: int) -> Scene:
    assert crawl.redis is not None
    before = stored_in(crawl.database_url)
    cycles, after, last = poll_again(crawl, before)
    end_leftovers(crawl)
    return Scene(
        at=at,
        before=before,
        after=after,
        cycles=cycles,
        bad_ends=[*crew.bad_ends, *(last.bad_ends if last else [])],
        dead=dead_in(crawl.redis),
        said=crew.said,
    )
