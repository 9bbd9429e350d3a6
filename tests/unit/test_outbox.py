"""The outbox on SQLite."""

from __future__ import annotations

from outbox_cases import OutboxCases


class TestOutboxOnSqlite(OutboxCases):
    """See ``OutboxCases``."""
