"""What is written into the outbox, on every engine; see ``storage_cases``."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from event_cases import HOUR, told
from storage_cases import NOW, assessment, batch, mention, rejected, snapshot, url_of

from tgecrawler.domain.event_state import event_key
from tgecrawler.errors import DatabaseError
from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.integrity import data_findings
from tgecrawler.storage.models import MENTION_TRAITS, OUTBOX
from tgecrawler.storage.outbox import News, announce, read_rows, renumber
from tgecrawler.storage.queries import recent_alerts
from tgecrawler.storage.retention import OUTBOX_DAYS, Pruner, Retention, would_prune
from tgecrawler.storage.writer import Writer


def announcing(engine, now=NOW) -> Writer:
    return Writer(engine, clock=lambda: now, sleep=lambda _: None, announces=True)


def rows(engine):
    with engine.connect() as connection:
        return read_rows(connection)


def news(engine, kind: str = "") -> list[tuple[str, str, str, str]]:
    """What waits: kind, change and the number of the mention, of events the one they begin with."""
    number = {mention(n).entry_id: str(n) for n in range(300)}
    number |= {event_key(id_): n for id_, n in number.items()}
    return [
        (row.kind, row.change, number[row.ref], number.get(row.was, row.was))
        for row in rows(engine)
        if kind in ("", row.kind)
    ]


def take(engine, kind: str = "") -> list[tuple[str, str, str, str]]:
    """What waits, which is then gone."""
    found = news(engine, kind)
    with write_transaction(engine) as connection:
        connection.execute(sa.delete(OUTBOX))
    return found


class OutboxCases:
    """A row if and only if something was committed that says something new."""

    def test_nothing_is_announced_unless_asked_for(self, engine):
        Writer(engine).write(batch(told(5)))
        assert rows(engine) == []

    def test_alerts_and_events_with_the_time_of_their_commit(self, engine):
        result = announcing(engine).write(batch(told(3), told(2, "Marrow"), reject=[rejected(9)]))
        assert news(engine, "alert") == [("alert", "new", "3", ""), ("alert", "new", "2", "")]
        assert {row.ref for row in rows(engine)} == {*result.alerts, *result.events}
        assert [row.id for row in rows(engine)] == [1, 2, 3, 4]
        assert {row.created_at for row in rows(engine)} == {NOW}

    def test_the_same_again_adds_nothing(self, engine):
        one = batch(told(3), told(2), told(1, url_key="copy"), told(0, url_key="copy"))
        announcing(engine).write(one)
        before = rows(engine)
        assert announcing(engine).write(one).new_rows == 0
        assert announcing(engine).write(batch(told(2))).new_rows == 0
        assert rows(engine) == before

    def test_what_is_rolled_back_is_not_told(self, engine):
        with write_transaction(engine) as connection:
            announce(connection, [News(kind="alert", ref="1", change="new")], NOW)
            connection.rollback()
        assert rows(engine) == []
        refused = mention(2, assessment=assessment(score=object()))
        with pytest.raises(DatabaseError):
            announcing(engine).write(batch(told(1), refused))
        assert rows(engine) == []
        assert recent_alerts(engine) == []

    def test_a_copy_is_no_news(self, engine):
        announcing(engine).write(batch(told(5, url_key="same")))
        take(engine)
        result = announcing(engine).write(batch(told(4, url_key="same")))
        assert result.changed_events != ()
        assert take(engine) == []

    def test_an_alert_that_moves_says_what_it_was(self, engine):
        announcing(engine).write(batch(told(5, url_key="same"), told(30, "Marrow")))
        take(engine)
        announcing(engine).write(batch(told(6, url_key="same")))
        assert take(engine) == [
            ("alert", "changed", "6", "5"),
            ("event", "changed", "6", "5"),
        ]

    def test_two_alerts_that_turn_out_to_be_one(self, engine):
        announcing(engine).write(batch(told(5, url_key="u"), told(4, text_key="t")))
        assert [row[:3] for row in take(engine, "alert")] == [
            ("alert", "new", "5"),
            ("alert", "new", "4"),
        ]
        announcing(engine).write(batch(told(3, url_key="u", text_key="t")))
        assert take(engine, "alert") == [("alert", "changed", "5", "4")]

    def test_other_rules_are_news_where_they_say_something_else(self, engine):
        announcing(engine).write(batch(told(5), told(4, "Marrow")))
        take(engine)
        surer = told(5, judged={"score": 0.91})
        announcing(engine).write(batch(surer, rules_version="rules-2"))
        assert take(engine) == [], "a score alone is none"
        dated = told(5, judged={"event_date": "2026-04", "event_date_precision": "month"})
        announcing(engine).write(batch(dated, rules_version="rules-3"))
        assert take(engine) == [("alert", "changed", "5", ""), ("event", "changed", "5", "")]
        named = told(5, judged={"companies": ("Acme",)})
        announcing(engine).write(batch(named, rules_version="rules-4"))
        assert ("alert", "changed", "5", "") in take(engine)

    def test_a_copy_that_newer_rules_judge_otherwise_has_no_alert(self, engine):
        announcing(engine).write(batch(told(5, url_key="same"), told(4, url_key="same")))
        take(engine)
        live = told(4, url_key="same", status="live")
        announcing(engine).write(batch(live, rules_version="rules-2"))
        assert take(engine, "alert") == []

    def test_an_event_is_told_again_when_it_says_something_else(self, engine):
        sure = {"judged": {"score": 0.99}, "tier": 1}
        announcing(engine).write(batch(told(9, **sure), told(8, **sure)))
        take(engine)
        announcing(engine).write(batch(told(7, **sure)))
        assert take(engine, "event") == [], "one more text"
        announcing(engine).write(batch(told(6, status="live", **sure)))
        assert take(engine, "event") == [("event", "changed", "9", "")]

    def test_an_event_that_is_surer_by_a_tenth(self, engine):
        weak = {"judged": {"score": 0.3}, "tier": 3}
        announcing(engine).write(batch(told(9, **weak)))
        take(engine)
        announcing(engine).write(batch(told(8, **weak)))
        assert take(engine, "event") == [("event", "changed", "9", "")]

    def test_a_merge_and_a_split_by_hand(self, engine):
        announcing(engine).write(batch(told(5), told(4, "Marrow")))
        take(engine)
        announcing(engine).edit_events("merge", [told(5).entry_id, told(4).entry_id])
        assert take(engine) == [("event", "changed", "5", "4")]
        announcing(engine).edit_events("split", [told(4).entry_id])
        assert ("event", "new", "4", "") in take(engine)

    def test_mentions_read_anew_are_news_only_where_that_changes_an_event(self, engine):
        title = "Quillon sets date for airdrop of QLN"
        announcing(engine).write(batch(told(5, title=title), told(4, title=title)))
        take(engine)
        with write_transaction(engine) as connection:
            connection.execute(sa.update(MENTION_TRAITS).values(version="", entity=""))
        assert announcing(engine).refresh_traits(frozenset(), frozenset()) == 2
        assert [row for row in take(engine) if row[1] == "new"] == []

    def test_ids_are_not_given_twice(self, engine):
        announcing(engine).write(batch(told(5)))
        last = rows(engine)[-1].id
        take(engine)
        announcing(engine).write(batch(told(4, "Marrow")))
        assert rows(engine)[0].id == last + 1

    def test_rows_get_new_ids_in_the_same_order(self, engine):
        announcing(engine).write(batch(told(5), told(4, "Marrow")))
        before = rows(engine)
        with write_transaction(engine) as connection:
            mark = renumber(connection, before[1:], 1_000, NOW)
        after = rows(engine)
        assert [row.id for row in after] == [1, 1_001, 1_002, 1_003, 1_004]
        assert after[1] == mark
        assert [row.ref for row in after[2:]] == [row.ref for row in before[1:]]
        announcing(engine).write(batch(told(3, "Fernway")))
        assert [row.id for row in rows(engine)] == [1, *range(1_001, 1_007)]
        assert data_findings(engine, NOW) == []

    def test_a_place_is_the_same_before_and_after_it_is_stored(self, engine):
        with write_transaction(engine) as connection:
            mark = renumber(connection, [], 5, NOW + timedelta(microseconds=1))
        assert rows(engine) == [mark]
        assert rows(engine)[0].place == mark.place

    def test_the_migration_with_rows(self, engine):
        announcing(engine).write(batch(told(5), told(4, "Marrow")))
        before = snapshot(engine)
        schema.downgrade(engine, "0005")
        assert "outbox" not in sa.inspect(engine).get_table_names()
        schema.upgrade(engine)
        schema.check(engine)
        assert rows(engine) == [], "what was not told is told to nobody"
        assert snapshot(engine) | {"outbox": before["outbox"]} == before
        announcing(engine).write(batch(told(3, "Fernway")))
        assert [row.id for row in rows(engine)] == [1, 2]

    def test_prune_leaves_what_may_still_be_told_and_the_newest(self, engine):
        for number, days in ((5, 40), (6, 31), (7, 29)):
            one = told(number, f"P{number}")
            announcing(engine, NOW - timedelta(days=days)).write(batch(one))
        assert would_prune(engine, Retention(), NOW).rows["outbox"] == 4
        pruner = Pruner(engine, Retention(), clock=lambda: NOW, sleep=lambda _: None)
        assert pruner.prune().rows["outbox"] == 4
        assert [row.id for row in rows(engine)] == [5, 6]
        later = NOW + timedelta(days=OUTBOX_DAYS)
        Pruner(engine, Retention(), clock=lambda: later, sleep=lambda _: None).prune()
        assert [row.id for row in rows(engine)] == [6]

    def test_the_check_says_that_nobody_tells(self, engine):
        announcing(engine, NOW - 49 * HOUR).write(batch(told(100)))
        announcing(engine, NOW - 47 * HOUR).write(batch(told(101, "Marrow")))
        (finding,) = data_findings(engine, NOW)
        assert finding.warning
        assert finding.what.startswith("2 rows of the outbox are older than two days, such as 1")

    def test_a_writer_that_waits_for_its_turn_gets_the_higher_ids(self, engine):
        impatient = create_engine(url_of(engine), EngineSettings(lock_wait_s=0.2))
        with write_transaction(engine) as connection:
            announce(connection, [News(kind="alert", ref="first", change="new")], NOW)
            with pytest.raises(DatabaseError):
                Writer(impatient, sleep=lambda _: None, attempts=1, announces=True).write(
                    batch(told(5))
                )
        announcing(impatient).write(batch(told(5)))
        assert [row.ref for row in rows(engine)][:2] == ["first", told(5).entry_id]
        impatient.dispose()
