"""What a process has measured of its database, for the run report and the stats."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tgecrawler.storage.engine import pool_usage, query_timings, replica_usage

if TYPE_CHECKING:
    from sqlalchemy import Engine


def database_figures(engine: Engine) -> dict[str, Any]:
    """Return pool, replica (None without one) and durations of queries by name, in ms."""
    pool, replica = pool_usage(engine), replica_usage(engine)
    return {
        "pool": {"size": pool.size, "peak": pool.peak},
        "replica": asdict(replica) if replica is not None else None,
        "query_ms": {
            name: {
                "count": timing.count,
                "p50": timing.p50_ms,
                "p95": timing.p95_ms,
                "p99": timing.p99_ms,
            }
            for name, timing in query_timings(engine).items()
        },
    }


def database_stats(engine: Engine) -> dict[str, float]:
    """Return the same as flat stats, ``tge/database/query_ms/<name>/p95`` and the like."""
    figures = database_figures(engine)
    replica = figures["replica"] or {}
    stats = {"pool_size": figures["pool"]["size"], "pool_peak": figures["pool"]["peak"]}
    stats |= {f"replica_{name}": replica[name] for name in ("reads", "fallbacks") if replica}
    for name, timing in figures["query_ms"].items():
        stats |= {f"query_ms/{name}/{figure}": value for figure, value in timing.items()}
    return {f"tge/database/{name}": value for name, value in stats.items()}
