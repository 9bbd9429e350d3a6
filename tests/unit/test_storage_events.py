"""The events on SQLite."""

from __future__ import annotations

import pytest
from event_cases import EventCases

from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db")
    schema.ensure_schema(engine)
    yield engine
    engine.dispose()


class TestEventsOnSqlite(EventCases):
    """See ``EventCases``."""
