"""The queries on SQLite."""

from __future__ import annotations

import pytest
from storage_cases import NOW, QueryCases

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.queries import counts, recent_alerts, recent_runs
from tgecrawler.storage.seen import SeenIndex


class TestQueriesOnSqlite(QueryCases):
    """See ``QueryCases``."""


@pytest.mark.parametrize("query", [recent_alerts, recent_runs, counts, SeenIndex.load])
def test_a_database_without_tables_is_told_in_one_line(tmp_path, query):
    empty = create_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(DatabaseError, match="no such table"):
        query(empty)


def test_since_takes_an_aware_time(engine):
    with pytest.raises(DatabaseError, match="without a zone"):
        recent_alerts(engine, since=NOW.replace(tzinfo=None))
