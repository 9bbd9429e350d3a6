"""The outbox on a real PostgreSQL server."""

from __future__ import annotations

import sqlalchemy as sa
from event_cases import told
from outbox_cases import OutboxCases, announcing, rows
from storage_cases import NOW, batch

from tgecrawler.storage.engine import write_transaction
from tgecrawler.storage.integrity import data_findings


class TestOutboxOnPostgresql(OutboxCases):
    """See ``OutboxCases``."""


def test_numbers_that_would_be_given_twice_are_found_and_mended(engine):
    announcing(engine).write(batch(told(5)))
    with write_transaction(engine) as connection:
        connection.execute(sa.text("SELECT setval('outbox_id_seq', 1)"))
    (finding,) = data_findings(engine, NOW)
    assert not finding.warning
    assert finding.what == "1 numbers of the outbox would be given twice, such as 1"
    with write_transaction(engine) as connection:
        connection.execute(sa.text(finding.remedy))
    assert data_findings(engine, NOW) == []
    announcing(engine).write(batch(told(4, "Marrow")))
    assert [row.id for row in rows(engine)] == [1, 2, 3, 4]
