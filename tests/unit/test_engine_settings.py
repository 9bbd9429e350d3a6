"""What an engine is made with, and what its options ask for."""

from __future__ import annotations

from tgecrawler.options import read_options
from tgecrawler.storage.engine_settings import EngineSettings


def test_the_defaults_are_those_of_the_options() -> None:
    assert EngineSettings.from_options(read_options({}, {})) == EngineSettings()


def test_each_option_arrives() -> None:
    given = {
        "TGE_DATABASE_POOL_SIZE": 1,
        "TGE_DATABASE_POOL_OVERFLOW": 2,
        "TGE_DATABASE_POOL_TIMEOUT_S": 3,
        "TGE_DATABASE_POOL_RECYCLE_S": 4,
        "TGE_DATABASE_STATEMENT_TIMEOUT_S": 5,
        "TGE_DATABASE_SLOW_QUERY_MS": 6,
        "TGE_DATABASE_REPLICA_URL": "postgresql://replica/tge",
        "TGE_DATABASE_REPLICA_MAX_LAG_S": 7,
    }
    assert EngineSettings.from_options(read_options(given, {}), program="rss") == EngineSettings(
        program="rss",
        pool_size=1,
        pool_overflow=2,
        pool_timeout_s=3,
        pool_recycle_s=4,
        statement_timeout_s=5,
        slow_query_ms=6,
        replica_url="postgresql://replica/tge",
        replica_max_lag_s=7,
    )


def test_the_replicas_password_is_not_shown() -> None:
    settings = EngineSettings(replica_url="postgresql://user:secret@replica/tge")
    assert "secret" not in repr(settings)
