"""What an engine carries with it: its replica, its pool's gauge, and how long its queries took."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from tgecrawler.storage.pool import PoolGauge
from tgecrawler.storage.query_timing import QueryTimings, Watch
from tgecrawler.storage.replica import CHECK_EVERY_S
from tgecrawler.storage.slow_queries import SlowQueries

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from tgecrawler.storage.engine_settings import EngineSettings
    from tgecrawler.storage.replica import Replica

ATTACHED = "tge_database"
"""Execution option of an engine: its `Database`."""


class Database:
    """A primary and perhaps its replica, with what is measured of both.

    Args:
        beside: reaches the primary without its pool.
    """

    def __init__(
        self,
        engine: Engine,
        beside: Engine,
        settings: EngineSettings,
        replica: Replica | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.beside = beside
        self.settings = settings
        self.replica = replica
        self.clock = clock
        self.gauge = PoolGauge(engine)
        self.timings = QueryTimings()
        self.slow_queries = SlowQueries()
        self._slow_s = settings.slow_query_ms / 1_000 or math.inf
        self._wrote_s = -math.inf

    def watch(self, name: str, *, writes: bool = False, logs: bool = True) -> Watch:
        """Return the watch of a query that begins now.

        Args:
            logs: False where a statement that takes long is nothing to be told.
        """
        return Watch(name, slow_s=self._slow_s if logs else math.inf, fetches=not writes)

    def stop(self, watch: Watch, server: Engine | None = None) -> None:
        """Count a query that has ended; to be called when its connection is given back."""
        self.timings.add(watch.name, watch.stop())
        replica = self.replica
        on_replica = replica is not None and server is replica.engine
        for statement in watch.slow:
            beside = replica.beside if replica is not None and on_replica else self.beside
            self.slow_queries.tell(watch.name, statement, beside)

    def connect_to_read(self, *, primary: bool) -> Connection:
        """Return a connection to the replica where that will do, else to the primary."""
        replica = self.replica
        if primary or replica is None:
            return self.gauge.connect()
        if self._has_settled(replica) and replica.is_fresh():
            try:
                connection = replica.engine.connect()
            except DBAPIError as error:
                replica.failed(error)
            else:
                replica.count(used=True)
                return connection
        replica.count(used=False)
        return self.gauge.connect()

    def wrote(self) -> None:
        """Note that this process has written: it reads what it wrote, for a while."""
        self._wrote_s = self.clock()

    def _has_settled(self, replica: Replica) -> bool:
        """Return whether a fresh replica has all that this process wrote."""
        return self.clock() - self._wrote_s > replica.max_lag_s + CHECK_EVERY_S


def database_of(engine: Engine) -> Database:
    """Return what an engine of ``storage.engine.create_engine`` carries with it."""
    database = engine.get_execution_options().get(ATTACHED)
    if not isinstance(database, Database):
        raise TypeError("this engine was not made by tgecrawler.storage.engine.create_engine")
    return database
