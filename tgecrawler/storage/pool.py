"""How many connections of an engine are in use."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUsage:
    """A pool at one moment.

    ``size`` is how many connections it keeps, ``checked_out`` how many are in use,
    ``overflow`` how many are open beyond its size, ``waiting`` how many threads
    want one and have none yet, ``peak`` the most that were in use so far.
    """

    size: int
    checked_out: int
    overflow: int
    waiting: int
    peak: int


class PoolGauge:
    """Hands out an engine's connections, and counts them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._waiting = 0
        self._peak = 0

    def connect(self) -> Connection:
        """Return a connection of the pool, once there is one."""
        with self._lock:
            self._waiting += 1
        try:
            connection = self.engine.connect()
        finally:
            with self._lock:
                self._waiting -= 1
        in_use = self._pool.checkedout()
        if in_use > self._peak:
            with self._lock:
                self._peak = max(self._peak, in_use)
        return connection

    def usage(self) -> PoolUsage:
        """Return the pool as it is now."""
        pool = self._pool
        return PoolUsage(
            size=pool.size(),
            checked_out=pool.checkedout(),
            overflow=max(0, pool.overflow()),
            waiting=self._waiting,
            peak=self._peak,
        )

    @property
    def _pool(self) -> QueuePool:
        pool = self.engine.pool  # another one after `dispose`
        if not isinstance(pool, QueuePool):
            raise TypeError(f"an engine of ours has a QueuePool, not {type(pool).__name__}")
        return pool
