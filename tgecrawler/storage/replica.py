"""A streaming replica: what is read from it is at most so much older than the database."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from tgecrawler.storage.error_line import database_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 2.0
LONGEST_PAUSE_S = 60.0
"""Between two attempts to reach a replica that is away; the first pauses are shorter."""

_FALLBACK = "the database itself is read"

# All that was received is replayed: nothing is missing, however long ago the last change was.
# That holds only while a receiver runs; without one, the age of what was replayed last is the
# most that may be missing. It is unknown (null) where nothing was replayed since the start.
_LAG = sa.text("""
    SELECT pg_is_in_recovery() AS replica,
        CASE WHEN NOT pg_is_in_recovery() THEN 0
            WHEN EXISTS (SELECT FROM pg_stat_wal_receiver)
                AND pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())
        END AS lag_s
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaUsage:
    """A replica at one moment; ``lag_s`` is None while it is unknown.

    ``reads`` went to it; ``fallbacks`` could have, and went to the primary.
    """

    usable: bool
    lag_s: float | None
    reads: int
    fallbacks: int


class Replica:
    """Knows whether a replica is fresh enough; asks it every two seconds at most.

    One thread asks, and the others go on with what was known before. A replica that
    is away is asked again after pauses that grow to a minute.

    Args:
        engine: its pool.
        beside: reaches the same server without the pool, and gives up soon.
    """

    def __init__(
        self,
        engine: Engine,
        beside: Engine,
        *,
        max_lag_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.beside = beside
        self.max_lag_s = max_lag_s
        self.clock = clock
        self._lag_s: float | None = None
        self._usable = False
        self._state = ""
        self._failures = 0
        self._due_s = -math.inf
        self._asking = threading.Lock()
        self._noting = threading.Lock()
        self._reads = self._fallbacks = 0

    def is_fresh(self) -> bool:
        """Return whether the replica is there and not too far behind; asks it when due."""
        # the first answer is waited for: without it, a command would never use the replica
        if self._is_due() and self._asking.acquire(blocking=not self._state):
            try:
                if self._is_due():
                    self._ask()
            finally:
                self._asking.release()
        return self._usable

    def failed(self, error: SQLAlchemyError) -> None:
        """Note that it could not be reached."""
        with self._noting:
            if not self._usable and not self._is_due():
                return  # one of several threads that lost it at the same time
            self._failures += 1
            pause_s = min(CHECK_EVERY_S * 2 ** (self._failures - 1), LONGEST_PAUSE_S)
            self._settle(pause_s, usable=False, lag_s=None)
        self._say("away", logging.WARNING, f"{database_error(error, self.engine.url)}; {_FALLBACK}")

    def count(self, *, used: bool) -> None:
        """Count a read that may go to the replica."""
        with self._noting:
            self._reads += used
            self._fallbacks += not used

    def usage(self) -> ReplicaUsage:
        """Return what is known of the replica, without asking it."""
        return ReplicaUsage(
            usable=self._usable, lag_s=self._lag_s, reads=self._reads, fallbacks=self._fallbacks
        )

    def dispose(self) -> None:
        """Close its connections."""
        self.engine.dispose()

    def _is_due(self) -> bool:
        return self.clock() >= self._due_s

    def _ask(self) -> None:
        try:
            with self.beside.connect() as connection:
                is_replica, lag = connection.execute(_LAG).one()
        except SQLAlchemyError as error:
            self.failed(error)
            return
        self._failures = 0
        lag_s = None if lag is None else float(lag)
        usable = lag_s is not None and lag_s <= self.max_lag_s
        self._settle(CHECK_EVERY_S, usable=usable, lag_s=lag_s)
        name = self.engine.url.render_as_string()
        if not is_replica:
            self._say("promoted", logging.WARNING, f"{name} replicates nothing; it is read as told")
        elif usable:
            self._say("fresh", logging.INFO, f"what only shows is read from the replica {name}")
        else:
            behind = "is behind by an unknown time" if lag_s is None else f"is {lag_s:.0f} s behind"
            self._say("behind", logging.WARNING, f"the replica {name} {behind}; {_FALLBACK}")

    def _settle(self, pause_s: float, *, usable: bool, lag_s: float | None) -> None:
        self._usable = usable
        self._lag_s = lag_s
        self._due_s = self.clock() + pause_s

    def _say(self, state: str, level: int, line: str) -> None:
        if state != self._state:
            self._state = state
            logger.log(level, "database: %s", line)
