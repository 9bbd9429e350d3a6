"""What the check must find on every engine; see ``storage_cases``."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from storage_cases import NOW, assessment, batch, mention, writer

from tgecrawler.storage.engine import write_transaction
from tgecrawler.storage.integrity import Finding, data_findings, file_findings

FIRST, COPY, OTHER, PLAIN = (mention(number).entry_id for number in (1, 2, 3, 4))


def fill(engine) -> None:
    named = assessment(companies=("Acme", "Borealis"), project="Acme", token="ACM")
    told = [
        mention(1, text="At length", text_key="same", assessment=named),
        mention(2, text="Shorter", text_key="same", published_at=NOW),
        mention(3, text="Alone", assessment=assessment(companies=("Acme",))),
        mention(4),
    ]
    writer(engine).write(batch(*told))


def found(engine) -> list[Finding]:
    return [one for one in data_findings(engine, NOW) if not one.warning]


# Each breaks one thing, and says what must be told of it. Foreign keys are kept.
BREAKS = (
    (f"UPDATE mentions SET duplicate_of = '{COPY}' WHERE id = '{OTHER}'", "copies of a copy"),
    (f"UPDATE mentions SET duplicate_of = '{OTHER}' WHERE id = '{OTHER}'", "copies of a copy"),
    (f"UPDATE mentions SET duplicate_of = '{OTHER}' WHERE id = '{FIRST}'", "copies have an alert"),
    (f"DELETE FROM alerts WHERE id = '{OTHER}'", f"1 originals have no alert, such as {OTHER}"),
    (f"UPDATE alerts SET kind = 'listing' WHERE id = '{OTHER}'", "do not say what their mention"),
    (f"UPDATE alerts SET status = 'live' WHERE id = '{OTHER}'", "do not say what their mention"),
    (f"UPDATE mentions SET score = 0.5 WHERE id = '{OTHER}'", "do not say what their mention"),
    (f"UPDATE alerts SET id = 'stranger' WHERE id = '{PLAIN}'", "do not say what their mention"),
    (f"DELETE FROM mention_traits WHERE mention_id = '{COPY}'", "1 mentions have no traits"),
    (f"DELETE FROM event_mentions WHERE mention_id = '{OTHER}'", "1 mentions are in no event"),
    (f"DELETE FROM event_mentions WHERE mention_id = '{COPY}'", "not the mentions that they count"),
    (
        "UPDATE event_mentions SET event_id = (SELECT event_id FROM event_mentions"
        f" WHERE mention_id = '{OTHER}') WHERE mention_id = '{COPY}'",
        "1 copies are not in the event of their original",
    ),
    ("UPDATE events SET first_mention = 'gone'", "3 events lack their first mention"),
    ("UPDATE events SET copies = copies + 1", "3 events have not the mentions that they count"),
    ("INSERT INTO event_redirects VALUES ('old', 'gone')", "1 old ids lead to no event"),
    (
        f"DELETE FROM alert_companies WHERE alert_id = '{FIRST}' AND company = 'Acme'",
        f"1 rows of alert_companies are missing, too many or outdated, such as {FIRST}",
    ),
    (f"DELETE FROM mention_companies WHERE mention_id = '{OTHER}'", "1 rows of alert_companies"),
    (f"UPDATE alert_companies SET score = 0 WHERE alert_id = '{OTHER}'", "rows of alert_compan"),
    ("UPDATE alert_companies SET position = position + 1", "3 rows of alert_companies"),
    ("DELETE FROM event_companies WHERE company = 'Borealis'", "1 rows of event_companies"),
    ("UPDATE event_companies SET confidence = confidence / 2", "3 rows of event_companies"),
    ("UPDATE events SET companies = '[]'", "3 rows of event_companies"),
    ("UPDATE events SET companies = '[\"Nobody\"]'", "6 rows of event_companies"),
)


class IntegrityCases:
    """Nothing is found in what the writer has written; whatever breaks is told in a line."""

    def test_nothing_is_found_in_what_the_writer_leaves(self, engine):
        assert data_findings(engine, NOW) == []
        fill(engine)
        earlier = NOW - timedelta(hours=5)
        writer(engine).write(batch(mention(5, text_key="same", published_at=earlier)))
        writer(engine).write(batch(mention(3, assessment=assessment(kind="listing"))))
        assert file_findings(engine) == []
        assert found(engine) == []

    @pytest.mark.parametrize(("broken", "said"), BREAKS)
    def test_what_breaks_is_told(self, engine, broken, said):
        fill(engine)
        with write_transaction(engine) as connection:
            done = connection.exec_driver_sql(broken)
            assert done.rowcount > 0
        lines = [str(finding) for finding in found(engine)]
        assert any(said in line for line in lines), lines
        assert all("\n" not in line and ": " in line for line in lines)

    def test_a_body_in_another_month(self, engine):
        fill(engine)
        with write_transaction(engine) as connection:
            connection.execute(
                sa.text("UPDATE mention_texts SET month = '2026-04-01' WHERE mention_id = :id"),
                {"id": COPY},
            )
        assert [finding.what for finding in found(engine)] == [
            f"1 bodies are in another month than their mention, such as {COPY}"
        ]

    def test_mentions_of_other_rules_wait_and_are_no_fault(self, engine):
        fill(engine)
        with write_transaction(engine) as connection:
            connection.execute(sa.text("UPDATE mention_traits SET version = '0'"))
            connection.execute(sa.text("DELETE FROM event_mentions"))
        assert found(engine) == []
        (finding,) = data_findings(engine, NOW)
        assert str(finding).startswith("warning: 4 mentions were read by other rules, such as 1")

    def test_an_event_whose_mentions_were_let_go_is_history(self, engine):
        fill(engine)
        with write_transaction(engine) as connection:
            connection.execute(sa.text("DELETE FROM mentions WHERE duplicate_of IS NOT NULL"))
            connection.execute(sa.text("DELETE FROM mentions"))
        assert found(engine) == []
