"""What the run report and the stats tell of the database."""

from __future__ import annotations

from pathlib import Path

from tgecrawler.storage.engine import create_engine, reading, write_transaction
from tgecrawler.storage.figures import database_figures, database_stats


def test_figures_and_stats_tell_the_same(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db")
    for _ in range(2):
        with reading(engine, "recent_alerts"):
            pass
    with write_transaction(engine, "write_batch"):
        pass
    figures, stats = database_figures(engine), database_stats(engine)
    assert figures["pool"] == {"size": 20, "peak": 1}
    assert figures["replica"] is None
    assert list(figures["query_ms"]) == ["recent_alerts", "write_batch"]
    alerts = figures["query_ms"]["recent_alerts"]
    assert list(alerts) == ["count", "p50", "p95", "p99"]
    assert alerts["count"] == 2
    assert stats["tge/database/pool_peak"] == 1
    assert stats["tge/database/query_ms/recent_alerts/p95"] == alerts["p95"] > 0
    assert not [name for name in stats if "replica" in name]
    engine.dispose()
