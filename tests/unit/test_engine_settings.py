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
    }
    assert EngineSettings.from_options(read_options(given, {}), program="rss") == EngineSettings(
        program="rss",
        pool_size=1,
        pool_overflow=2,
        pool_timeout_s=3,
        pool_recycle_s=4,
        statement_timeout_s=5,
    )
