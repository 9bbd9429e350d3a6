"""The events on SQLite."""

from __future__ import annotations

from event_cases import EventCases


class TestEventsOnSqlite(EventCases):
    """See ``EventCases``."""
