"""What an engine is made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tgecrawler.options import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How connections are made, kept and watched; the defaults are those of the options.

    ``program`` is what PostgreSQL is told of who connects, after "tgecrawler".
    ``lock_wait_s`` is how long a writing transaction waits for its turn: a batch of
    500 takes 0.1 s, a migration takes longest. A ``statement_timeout_s`` or
    ``slow_query_ms`` of 0 stands for none.
    """

    program: str = ""
    lock_wait_s: float = 30.0
    connect_timeout_s: int = 10
    pool_size: int = 20
    pool_overflow: int = 10
    pool_timeout_s: float = 30.0
    pool_recycle_s: float = 3600.0
    statement_timeout_s: float = 60.0
    slow_query_ms: float = 200.0
    replica_url: str = field(default="", repr=False)
    replica_max_lag_s: float = 10.0

    @classmethod
    def from_options(cls, options: Mapping[str, Value], *, program: str = "") -> Self:
        """Return the settings that the options of a process ask for."""
        return cls(
            program=program,
            pool_size=int(options["TGE_DATABASE_POOL_SIZE"]),
            pool_overflow=int(options["TGE_DATABASE_POOL_OVERFLOW"]),
            pool_timeout_s=float(options["TGE_DATABASE_POOL_TIMEOUT_S"]),
            pool_recycle_s=float(options["TGE_DATABASE_POOL_RECYCLE_S"]),
            statement_timeout_s=float(options["TGE_DATABASE_STATEMENT_TIMEOUT_S"]),
            slow_query_ms=float(options["TGE_DATABASE_SLOW_QUERY_MS"]),
            replica_url=str(options["TGE_DATABASE_REPLICA_URL"]),
            replica_max_lag_s=float(options["TGE_DATABASE_REPLICA_MAX_LAG_S"]),
        )

    @property
    def application_name(self) -> str:
        """Return who connects, as PostgreSQL lists it."""
        return f"tgecrawler {self.program}".strip()
