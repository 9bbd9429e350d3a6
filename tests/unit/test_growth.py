"""Retention and vacuum on SQLite."""

from __future__ import annotations

from growth_cases import GrowthCases

from tgecrawler.options import read_options
from tgecrawler.storage.retention import Retention


class TestGrowthOnSqlite(GrowthCases):
    """See ``GrowthCases``."""


def test_what_the_options_say():
    given = {"TGE_KEEP_TEXTS_DAYS": "30", "TGE_KEEP_MENTIONS_DAYS": "400"}
    assert Retention.of(read_options(given, {})) == Retention(texts=30, mentions=400, runs=90)
