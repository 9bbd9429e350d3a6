"""Retention and vacuum on SQLite."""

from __future__ import annotations

import pytest
from growth_cases import GrowthCases

from tgecrawler.options import read_options
from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.retention import Retention


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db")
    schema.ensure_schema(engine)
    yield engine
    engine.dispose()


class TestGrowthOnSqlite(GrowthCases):
    """See ``GrowthCases``."""


def test_what_the_options_say():
    given = {"TGE_KEEP_TEXTS_DAYS": "30", "TGE_KEEP_MENTIONS_DAYS": "400"}
    assert Retention.of(read_options(given, {})) == Retention(texts=30, mentions=400, runs=90)
