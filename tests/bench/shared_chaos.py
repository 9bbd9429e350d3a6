"""Workers that are killed, frozen and cut off from their servers, while they share one crawl.

A run has three parts: the disasters, while whoever ends or dies is started anew; then the
workers go on in peace until each of them finds nothing more to do; then the feeds are polled
once more, as often as it takes until everything is stored. What is stored before any feed is
polled again was not lost; what comes after that is told apart.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from redis import RedisError
from shared_crawl import MARK, Crawl, Crew, PostgresqlServer, RedisServer, Worker
from shared_log import Politeness, Tail, fetches_of, politeness_of, polls_of

from tgecrawler.redis_link import connect
from tgecrawler.storage.engine import create_engine
from tgecrawler.stream.reader import StreamReader

QUEUE = "{tge:1:queue:rss}:"
TEND_EVERY_S = 0.05
LOOK_EVERY_S = 0.2
SOON_S = 0.3  # after a kill, something else happens
PATIENCE_S = 3_600.0
MOST_CYCLES = 3
STREAM_QUIET_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What befalls a crew; all else is spread over the kills.

    Attributes:
        kills: with SIGKILL, one after the other, of a random one of the workers that have
            fetched pages since they were started.
        pause_s: shortest and longest time between two of them; longer where nobody has
            come so far. None: they are spread over the pages that are to be fetched.
        redis_restarts: one in three with SIGKILL, the others in order.
        redis_away_s: once, Redis is stopped for so long; 0 = never.
        database_restarts: of PostgreSQL, every second one as a crash.
        frozen_s: once, a worker stands still for so long; 0 = never.
    """

    kills: int = 200
    pause_s: tuple[float, float] | None = (0.5, 3.0)
    redis_restarts: int = 10
    redis_away_s: float = 30.0
    database_restarts: int = 0
    frozen_s: float = 12.0
    seed: int = 7


@dataclass(slots=True)
class Stored:
    """What is in the database, by ids, and rows that should not be."""

    mentions: set[str]
    alerts: set[str]
    events: int
    duplicates: int


@dataclass(slots=True)
class Told:
    """What is on the stream, and what one reader got of it while it ran.

    Attributes:
        alerts: messages on the stream that tell of a new alert, by its id.
        delivered: messages that the reader was given, by their id.
        left: messages on the stream that the reader was not given.
    """

    alerts: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    left: int = 0


@dataclass(slots=True)
class Outcome:
    """What a run led to.

    Attributes:
        before: what was stored before any feed was polled again.
        after: what is stored at the end, `cycles` more polls later.
        left: requests in the queue once all workers had ended.
        reclaimed: leases of the dead that others took over, at least.
        fetches: how often each page was sent.
        polls: how often each feed was asked for before the further cycles.
    """

    before: Stored
    after: Stored
    told: Told
    cycles: int
    kills: int
    lives: int
    left: int
    dead: Mapping[bytes, bytes]
    reclaimed: int
    fetches: Counter[str]
    polls: Counter[str]
    politeness: Politeness
    bad_ends: list[int]
    leftovers: int
    disasters_s: float
    seconds: float
    said: str


class Disasters:
    """Lets happen what a plan says."""

    def __init__(
        self, crawl: Crawl, crew: Crew, plan: Plan, database: PostgresqlServer | None = None
    ) -> None:
        assert crawl.redis is not None
        self.crew = crew
        self.plan = plan
        self.pages = crawl.world.pages
        self.tail = Tail(crawl.folder / "access.log")
        self.redis: RedisServer = crawl.redis
        self.database = database
        self.dice = random.Random(plan.seed)
        self.kills = 0
        self._kill_at = 0.0  # by the clock, or a number of pages
        self._after = self._spread()
        self._order = itertools.count()
        self._soon: list[tuple[float, int, Callable[[], None]]] = []

    def run(self) -> float:
        """Return how long it took, once all is over and the servers are there.

        Raises:
            RuntimeError: it takes too long.
        """
        started_s = time.monotonic()
        self._plan_kill()
        while self.kills < self.plan.kills or self._soon:
            self.crew.tend()
            self.tail.look()
            if self._soon and self._soon[0][0] <= time.monotonic():
                heapq.heappop(self._soon)[2]()
            if self.kills < self.plan.kills and self._is_time_to_kill():
                self._kill()
            time.sleep(TEND_EVERY_S)
            if time.monotonic() > started_s + PATIENCE_S:
                raise RuntimeError(f"{self.kills} kills only: {self.crew.said[-3_000:]}")
        return time.monotonic() - started_s

    def _spread(self) -> dict[int, list[Callable[[], None]]]:
        """Return what happens after which kill."""
        plan = self.plan
        restarts = [self._kill_redis if n % 3 == 1 else self._restart_redis
                    for n in range(plan.redis_restarts)]  # fmt: skip
        if plan.redis_away_s:
            restarts.insert(len(restarts) // 2, self._send_redis_away)
        others = [self._crash_database if n % 2 else self._restart_database
                  for n in range(plan.database_restarts)]  # fmt: skip
        if plan.frozen_s:
            others.insert(0, self._freeze)
        after: dict[int, list[Callable[[], None]]] = {}
        for row in (restarts, others):
            for n, happen in enumerate(row):
                after.setdefault(1 + plan.kills * n // len(row), []).append(happen)
        return after

    def _plan_kill(self) -> None:
        if self.plan.pause_s is None:
            self._kill_at = self.pages * (self.kills + 0.5) / (self.plan.kills + 1)
        else:
            self._kill_at = time.monotonic() + self.dice.uniform(*self.plan.pause_s)

    def _is_time_to_kill(self) -> bool:
        now = len(self.tail.pages) if self.plan.pause_s is None else time.monotonic()
        return now >= self._kill_at

    def _kill(self) -> None:
        at_work = [worker for worker in self.crew.workers if self._works(worker)]
        if at_work:
            self.dice.choice(at_work).kill()
            self.kills += 1
            self._plan_kill()
            for happen in self._after.get(self.kills, ()):
                self._in(SOON_S, happen)

    def _works(self, worker: Worker) -> bool:
        is_awake = worker.runs and not worker.frozen
        return is_awake and self.tail.last_s.get(worker.name, 0.0) > worker.started_s

    def _in(self, wait_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._soon, (time.monotonic() + wait_s, next(self._order), happen))

    def _restart_redis(self) -> None:
        if not self._is_away(self._restart_redis):
            self.redis.stop()
            self.redis.start()

    def _kill_redis(self) -> None:
        if not self._is_away(self._kill_redis):
            self.redis.kill()
            self.redis.start()

    def _is_away(self, later: Callable[[], None]) -> bool:
        if self.redis.process is None:
            self._in(1.0, later)
        return self.redis.process is None

    def _send_redis_away(self) -> None:
        self.redis.stop()
        self._in(self.plan.redis_away_s, self.redis.start)

    def _restart_database(self, how: signal.Signals = signal.SIGINT) -> None:
        assert self.database is not None
        self.database.stop(how)
        self.database.start()

    def _crash_database(self) -> None:
        self._restart_database(signal.SIGQUIT)

    def _freeze(self) -> None:
        worker = self.dice.choice([one for one in self.crew.workers if one.runs])
        worker.signal(signal.SIGSTOP)
        self._in(self.plan.frozen_s, lambda: worker.signal(signal.SIGCONT))


class Watch:
    """Looks on while a crew works: at the queue, and as a reader of the stream."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.reclaims: dict[bytes, int] = {}
        self.delivered: Counter[str] = Counter()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            with suppress(RedisError), self.redis.client() as client:
                for id_, tries in client.hgetall(f"{QUEUE}tries").items():
                    count = int(tries.split(b"\t")[1])
                    self.reclaims[id_] = max(count, self.reclaims.get(id_, 0))

    def _listen(self) -> None:
        """Read the stream until it is quiet at the end."""
        client = connect(self.redis.url)
        reader = StreamReader(client, "watch", "one")
        while True:
            ended = self._ended.is_set()
            try:
                messages = reader.read(500, block_s=STREAM_QUIET_S)
                reader.acknowledge(messages)
            except (RedisError, OSError):
                time.sleep(0.1)
                continue
            # one that comes again was handled before, but for what got lost with its connection
            self.delivered.update(
                message.id
                for message in messages
                if not message.again or message.id not in self.delivered
            )
            if ended and not messages:
                break
        client.close()


def run(
    crawl: Crawl, plan: Plan, *, size: int = 3, database: PostgresqlServer | None = None
) -> Outcome:
    """Return what came of a crawl to which all of a plan happened."""
    assert crawl.redis is not None
    started_s = time.monotonic()
    with Watch(crawl.redis) as watch:
        with Crew(crawl, size) as crew:
            disasters = Disasters(crawl, crew, plan, database)
            disasters_s = disasters.run()
            crew.finish(PATIENCE_S)
        left = _hash_size(crawl.redis, "req")
        before = stored_in(crawl.database_url)
        polls = Counter({host: len(times) for host, times in polls_of(crawl.visits).items()})
        cycles, after, last = poll_again(crawl, before)
        seconds = time.monotonic() - started_s
    visits = crawl.visits
    return Outcome(
        before=before,
        after=after,
        told=told_on(crawl.redis, watch),
        cycles=cycles,
        kills=disasters.kills,
        lives=sum(worker.lives for worker in crew.workers),
        left=left,
        dead=dead_in(crawl.redis),
        reclaimed=sum(watch.reclaims.values()),
        fetches=fetches_of(visits),
        polls=polls,
        politeness=politeness_of(visits, float(str(crawl.given("DOWNLOAD_DELAY")))),
        bad_ends=[*crew.bad_ends, *(last.bad_ends if last else [])],
        leftovers=end_leftovers(crawl),
        disasters_s=disasters_s,
        seconds=seconds,
        said=crew.said,
    )


def poll_again(crawl: Crawl, before: Stored) -> tuple[int, Stored, Crew | None]:
    """Poll all feeds until all is stored; return how often that was, and what is stored then."""
    after, crew = before, None
    for cycle in range(MOST_CYCLES + 1):
        if after.mentions == crawl.world.published() or cycle == MOST_CYCLES:
            return cycle, after, crew
        with Crew(crawl.with_settings(TGE_POLL_SHORTEST_S=0.001), 1, first=90) as crew:
            crew.finish(PATIENCE_S)
        after = stored_in(crawl.database_url)
    raise AssertionError


def stored_in(database_url: str) -> Stored:
    engine = create_engine(database_url)
    with engine.connect() as connection:

        def rows(statement: str) -> list[tuple[object, ...]]:
            return [tuple(row) for row in connection.execute(sa.text(statement))]

        mentions = rows("SELECT id, url FROM mentions")
        alerts = rows("SELECT id, mention_id FROM alerts")
        (events,) = rows("SELECT count(*) FROM events")[0]
        (copies,) = rows("SELECT count(*) FROM mentions WHERE duplicate_of IS NOT NULL")[0]
    engine.dispose()
    twice = len(mentions) - len({url for _, url in mentions})
    twice += len(alerts) - len({mention for _, mention in alerts})
    return Stored(
        mentions={str(id_) for id_, _ in mentions},
        alerts={str(id_) for id_, _ in alerts},
        events=int(str(events)),
        duplicates=twice + int(str(copies)),
    )


def told_on(redis: RedisServer, watch: Watch) -> Told:
    """Return what a new reader finds on the stream, beside what the watch was given."""
    told = Told(delivered=watch.delivered)
    client = connect(redis.url)
    reader = StreamReader(client, "afterwards", "one")
    while messages := reader.read(1_000, block_s=0.2):
        reader.acknowledge(messages)
        told.left += sum(message.id not in watch.delivered for message in messages)
        told.alerts.update(
            message.ref
            for message in messages
            if message.kind == "alert" and message.change == "new"
        )
    client.close()
    return told


def dead_in(redis: RedisServer) -> dict[bytes, bytes]:
    with redis.client() as client:
        found: dict[bytes, bytes] = client.hgetall(f"{QUEUE}dead")
    return found


def _hash_size(redis: RedisServer, name: str) -> int:
    with redis.client() as client:
        return int(client.hlen(QUEUE + name))


def end_leftovers(crawl: Crawl) -> int:
    """End the processes that a crawl's workers have left behind; return how many there were.

    What reads articles for a worker that is killed notices it within a moment.
    """
    time.sleep(1.0)
    mark = f"{MARK}={crawl.folder}".encode()
    found = 0
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (path / "environ").read_bytes().split(b"\0"):
                os.kill(int(path.name), signal.SIGKILL)
                found += 1
    return found
