"""What the storage must do on every engine.

A module with an ``engine`` fixture (empty tables of the newest schema) inherits
from these classes, and its engine is held to all of it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tgecrawler.domain.event_state import event_key
from tgecrawler.errors import ArgumentError, DatabaseError
from tgecrawler.items import Assessment, EventTraits, Mention, Reason
from tgecrawler.storage import schema
from tgecrawler.storage.accounts import (
    AccountRow,
    FollowerRow,
    follower_history,
    write_accounts,
    write_followers,
)
from tgecrawler.storage.batch import Batch, Rejected
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.models import ALERTS, MENTIONS, RUNS, SEEN, SOURCES, Base
from tgecrawler.storage.queries import (
    company_names,
    counts,
    known_stories,
    recent_alerts,
    recent_runs,
    source_health,
)
from tgecrawler.storage.readiness import HEAD
from tgecrawler.storage.records import SettledBody, SourceHealth
from tgecrawler.storage.retry import ATTEMPTS
from tgecrawler.storage.seen import SeenIndex
from tgecrawler.storage.statistics import LatencyRow, alert_latency, daily_statistics
from tgecrawler.storage.writer import Writer

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
RULES = "rules-1"

# Each engine has a property test of its own: hypothesis wants one place to replay failures.
quickly = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class WatchedCompany:
    name: str
    status: str = "pre_token"
    priority: str = "high"


def assessment(**values) -> Assessment:
    return Assessment(**{"score": 0.9, "relevant": True, "kind": "airdrop", **values})


def mention(number: int, **values) -> Mention:
    """A mention whose keys are its own unless said otherwise."""
    url = f"https://news.example/{number}"
    defaults = {
        "entry_id": f"1{number:032x}",
        "source": "acme-news",
        "owner": "acme",
        "tier": 2,
        "url": url,
        "canonical_url": url,
        "title": f"Story {number}",
        "published_at": NOW - timedelta(hours=1),
        "seen_at": NOW - timedelta(seconds=30),
        "url_key": f"u{number}",
        "text_key": f"t{number}",
        "assessment": assessment(),
    }
    return Mention(**(defaults | values))


def rejected(number: int, outcome="irrelevant", rules_version=RULES, seen_at=NOW) -> Rejected:
    return Rejected(
        id=f"1{number:032x}", outcome=outcome, rules_version=rules_version, seen_at=seen_at
    )


def batch(*mentions: Mention, rules_version: str = RULES, reject=()) -> Batch:
    return Batch(mentions=mentions, rejected=reject, rules_version=rules_version)


def writer(engine, now: datetime = NOW) -> Writer:
    return Writer(engine, clock=lambda: now, sleep=lambda _: None)


def clear(engine) -> None:
    with write_transaction(engine) as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(sa.delete(table))


def snapshot(engine) -> dict[str, list[dict]]:
    with engine.connect() as connection:
        return {
            table.name: [
                dict(row._mapping)
                for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


BY_ARRIVAL = ("sequence", "created_at", "changed_at")


def settled(engine) -> dict[str, list[dict]]:
    """The rows but for what tells how they came about: which event was changed when."""
    tables = snapshot(engine)
    del tables["event_redirects"]
    for name in ("alerts", "alert_companies"):
        tables[name] = [{**row, "position": None} for row in tables[name]]
    tables["events"] = [
        {name: value for name, value in row.items() if name not in BY_ARRIVAL}
        for row in tables["events"]
    ]
    return tables


def originals(engine) -> dict[str, str | None]:
    return {row["id"]: row["duplicate_of"] for row in snapshot(engine)["mentions"]}


@contextmanager
def stamped(engine, revision: str):
    """Pretend that another version of the program made the schema."""
    with write_transaction(engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    yield
    with write_transaction(engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :r"), {"r": HEAD})


def url_of(engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@st.composite
def mention_sets(draw) -> list[Mention]:
    """Up to eight mentions that share few keys, times and tiers."""
    keys = st.sampled_from(["", "a", "b", "c", "d"])
    times = st.sampled_from([None, NOW - timedelta(hours=2), NOW - timedelta(hours=1)])
    companies = st.lists(st.sampled_from(["Acme", "Borealis", "Caldera"]), max_size=2)
    traits = st.builds(
        EventTraits,
        st.sampled_from(["", "acme", "borealis"]),
        st.sampled_from(["", "ACM", "BOR"]),
        st.sampled_from(["main", "sale", "listing:?"]),
        st.integers(0, 2),
    )
    statuses = st.sampled_from(["announced", "live", "postponed"])
    count = draw(st.integers(1, 8))
    # either of two copies may have met the other, and both may
    pairs = draw(st.lists(st.tuples(*[st.integers(0, count - 1)] * 2), max_size=3))
    return [
        mention(
            number,
            tier=draw(st.integers(1, 3)),
            owner=draw(st.sampled_from(["acme", "other"])),
            published_at=draw(times),
            url_key=draw(keys),
            text_key=draw(keys),
            near=tuple((mention(b).entry_id, 0.9) for a, b in {*pairs} if a == number != b),
            traits=draw(traits),
            assessment=assessment(companies=tuple(draw(companies)), status=draw(statuses)),
        )
        for number in range(count)
    ]


@st.composite
def deliveries(draw, mentions: list[Mention]) -> list[list[Mention]]:
    """The mentions in any order, some of them again, cut into batches anywhere."""
    again = draw(st.lists(st.sampled_from(mentions), max_size=4))
    order = draw(st.permutations([*mentions, *again]))
    cuts = sorted(draw(st.sets(st.integers(0, len(order)))))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def assert_the_same_rows_in_any_order(engine, data) -> None:
    """Write drawn mentions at once, then again in other batches, and compare the tables."""
    mentions = data.draw(mention_sets())
    clear(engine)
    whole = writer(engine).write(batch(*mentions))
    expected = settled(engine)
    members = expected["event_mentions"]
    assert {row["mention_id"] for row in members} == {one.entry_id for one in mentions}
    assert {row["event_id"] for row in members} == {row["id"] for row in expected["events"]}
    assert whole.outcomes == {
        row["id"]: "duplicate" if row["duplicate_of"] else "stored" for row in expected["mentions"]
    }
    assert [row["id"] for row in expected["alerts"]] == sorted(
        id_ for id_, original in originals(engine).items() if original is None
    )
    clear(engine)
    new_rows = 0
    for part in data.draw(deliveries(mentions)):
        new_rows += writer(engine).write(batch(*part)).new_rows
    assert settled(engine) == expected
    assert new_rows == len(mentions)


class SchemaCases:
    """Migrations. They leave the schema as the fixture made it."""

    def test_the_models_and_the_migrations_agree(self, engine):
        assert schema.current(engine) == HEAD
        schema.check(engine)

    def test_a_difference_is_listed(self, engine):
        with write_transaction(engine) as connection:
            connection.execute(sa.text("DROP INDEX ix_seen_seen_at"))
        try:
            with pytest.raises(DatabaseError, match="ix_seen_seen_at"):
                schema.check(engine)
        finally:
            with write_transaction(engine) as connection:
                connection.execute(sa.text("CREATE INDEX ix_seen_seen_at ON seen (seen_at)"))

    def test_down_and_up_again_with_rows(self, engine):
        story = [mention(1, text_key="same"), mention(2, text_key="same")]
        writer(engine).write(batch(*story, reject=[rejected(9)]))
        schema.downgrade(engine, "base")
        assert schema.current(engine) == ""
        assert sa.inspect(engine).get_table_names() == ["alembic_version"]
        with pytest.raises(DatabaseError, match="scrapy db upgrade"):
            schema.check(engine)
        schema.upgrade(engine)
        schema.check(engine)
        assert counts(engine)["mentions"] == 0
        assert writer(engine).write(batch(*story)).new_rows == 2

    def test_rows_survive_the_way_down_and_up(self, engine):
        judged = assessment(companies=("Acme", "Borealis"), project="Acmé", token="ACM")
        told = [
            mention(1, text="At length", text_key="same", assessment=judged),
            mention(2, text="Shorter", text_key="same"),
            mention(3, assessment=assessment(status="live", score=0.6)),
            mention(4, text="Alone", published_at=None, assessment=judged),
        ]
        writer(engine).write(batch(*told, reject=[rejected(9)]))
        before = snapshot(engine)
        assert all(len(before[name]) > 1 for name in ("alerts", "mention_texts", "event_companies"))
        for revision in ("0004", "0003"):
            schema.downgrade(engine, revision)
            assert schema.current(engine) == revision
            schema.upgrade(engine)
            schema.check(engine)
            assert snapshot(engine) == before
        assert [row.id for row in recent_alerts(engine, text="acme")] == [
            told[3].entry_id,
            told[0].entry_id,
        ]

    def test_mentions_from_before_traits_are_made_ready_for_them(self, engine):
        writer(engine).write(batch(mention(1), mention(2)))
        before = settled(engine)
        schema.downgrade(engine, "0001")
        schema.upgrade(engine)
        assert counts(engine)["mention_traits"] == 2
        assert writer(engine).refresh_traits(frozenset(), frozenset()) == 2
        assert settled(engine)["mentions"] == before["mentions"]
        assert counts(engine)["events"] == len(before["events"])

    def test_a_text_search_that_is_gone_is_told(self, engine):
        gone = {"sqlite": "TRIGGER alert_search_insert", "postgresql": "INDEX ix_alerts_words"}
        with write_transaction(engine) as connection:
            connection.execute(sa.text(f"DROP {gone[engine.dialect.name]}"))
        with pytest.raises(DatabaseError, match=gone[engine.dialect.name].split()[1]):
            schema.check(engine)
        schema.downgrade(engine, "0003")
        schema.upgrade(engine)
        schema.check(engine)

    def test_an_empty_database_gets_the_schema_and_a_full_one_keeps_its_rows(self, engine):
        schema.downgrade(engine, "base")
        schema.ensure_schema(engine)
        writer(engine).write(batch(mention(1)))
        before = snapshot(engine)
        schema.ensure_schema(engine)
        assert snapshot(engine) == before

    def test_a_newer_schema_is_refused_and_left_alone(self, engine):
        writer(engine).write(batch(mention(1)))
        before = snapshot(engine)
        with stamped(engine, "9999"):
            for refused in (
                schema.ensure_schema,
                schema.upgrade,
                schema.check,
                lambda engine: schema.downgrade(engine, "base"),
            ):
                with pytest.raises(DatabaseError) as caught:
                    refused(engine)
                assert str(caught.value) == (
                    "the database is of a newer version (revision 9999); upgrade tgecrawler"
                )
            assert schema.current(engine) == "9999"
        assert snapshot(engine) == before

    def test_an_unknown_revision_is_one_line(self, engine):
        with pytest.raises(DatabaseError, match="cannot migrate to 'nonsense'"):
            schema.upgrade(engine, "nonsense")

    def test_a_failed_migration_leaves_nothing_behind(self, engine):
        schema.downgrade(engine, "base")
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE seen (stranger INTEGER)"))
        try:
            with pytest.raises(DatabaseError, match="seen"):
                schema.ensure_schema(engine)
            assert set(sa.inspect(engine).get_table_names()) == {"alembic_version", "seen"}
        finally:
            with engine.begin() as connection:
                connection.execute(sa.text("DROP TABLE seen"))
            schema.ensure_schema(engine)

    def test_processes_that_start_together(self, engine):
        schema.downgrade(engine, "base")
        code = (
            "import sys; from tgecrawler.storage.engine import create_engine;"
            "from tgecrawler.storage.schema import ensure_schema;"
            "engine = create_engine(sys.argv[1]); sys.stdin.readline(); ensure_schema(engine)"
        )
        command = [sys.executable, "-c", code, url_of(engine)]
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [(p.communicate(timeout=60)[1], p.returncode) for p in processes] == [("", 0)] * 2
        schema.check(engine)


class WriterCases:
    """Batches and what they leave."""

    def test_all_columns_come_back(self, engine):
        reason = Reason(
            rule="kind/airdrop", weight=2.5, field="title", start=0, end=5, text="Story"
        )
        full = mention(
            1,
            summary="In short",
            text="At length",
            author="A. Writer",
            lang="en",
            medium="post",
            page_error="HTTP 503",
            published_at=datetime(2026, 3, 1, 10, 0, 0, 7, tzinfo=timezone(timedelta(hours=2))),
            assessment=assessment(
                companies=("Caldera", "Acme"),
                status="announced",
                project="Caldera",
                token="CAL",
                event_date="2026-03",
                event_date_precision="month",
                chain="ethereum",
                exchange="bourse",
                claim_url="https://caldera.example/claim",
                claim_url_official=False,
                promo=True,
                reasons=(reason,),
            ),
        )
        result = writer(engine).write(batch(full))
        assert result.outcomes == {full.entry_id: "stored"}
        assert (result.new_rows, result.alerts) == (1, (full.entry_id,))
        tables = snapshot(engine)
        [row] = tables["mentions"]
        assert row["published_at"] == datetime(2026, 3, 1, 8, 0, 0, 7, tzinfo=UTC)
        assert row["published_at"].tzinfo is UTC
        assert (row["stored_at"], row["duplicate_of"], row["rules_version"]) == (NOW, None, RULES)
        for name in ("source", "summary", "author", "lang", "medium", "page_error"):
            assert row[name] == getattr(full, name)
        body = {"mention_id": full.entry_id, "month": date(2026, 3, 1), "text": "At length"}
        assert tables["mention_texts"] == [body]
        for name in ("status", "project", "token", "event_date", "claim_url_official", "promo"):
            assert row[name] == getattr(full.assessment, name)
        assert row["reasons"] == [
            {
                "rule": "kind/airdrop",
                "weight": 2.5,
                "field": "title",
                "start": 0,
                "end": 5,
                "text": "Story",
            }
        ]
        assert {(r["company"], r["position"]) for r in tables["mention_companies"]} == {
            ("Caldera", 0),
            ("Acme", 1),
        }
        [alert] = tables["alerts"]
        assert alert["created_at"] == NOW
        assert alert["latency_s"] == pytest.approx((NOW - row["published_at"]).total_seconds())
        assert tables["seen"] == [
            {
                "id": full.entry_id,
                "outcome": "stored",
                "rules_version": RULES,
                "seen_at": full.seen_at,
            }
        ]

    def test_an_alert_follows_what_newer_rules_say(self, engine):
        first = assessment(companies=("Acme",), score=0.9, project="Acme")
        second = assessment(
            companies=("Borealis",), kind="listing", status="live", score=0.7, project="Borealis"
        )
        writer(engine).write(batch(mention(1, assessment=first)))
        before = snapshot(engine)["alerts"]
        late = NOW + timedelta(days=1)
        result = writer(engine, late).write(
            batch(mention(1, assessment=second), rules_version="rules-2")
        )
        assert result.alerts == ()
        tables = snapshot(engine)
        [alert] = tables["alerts"]
        changed = {"kind": "listing", "status": "live", "score": 0.7, "words": "story 1 borealis"}
        assert alert == before[0] | changed
        assert [row["company"] for row in tables["alert_companies"]] == ["Borealis"]
        assert [row["company"] for row in tables["event_companies"]] == ["Borealis"]
        assert recent_alerts(engine, text="acme") == []
        assert len(recent_alerts(engine, text="borealis", company="borealis")) == 1

    def test_positions_grow_also_where_the_clock_goes_back(self, engine):
        writer(engine, NOW).write(batch(mention(1), mention(2)))
        writer(engine, NOW - timedelta(days=1)).write(batch(mention(3)))
        ids = [mention(n).entry_id for n in (3, 1, 2)]
        assert [alert.id for alert in recent_alerts(engine)] == ids

    def test_an_empty_batch(self, engine):
        result = writer(engine).write(Batch())
        assert (result.outcomes, result.new_rows, result.alerts) == ({}, 0, ())

    def test_a_mention_without_an_assessment_is_our_mistake(self, engine):
        with pytest.raises(ValueError, match="was not assessed"):
            writer(engine).write(batch(mention(1), mention(2, assessment=None)))
        assert counts(engine)["mentions"] == 0

    def test_an_earlier_mention_that_arrives_late_takes_the_alert(self, engine):
        late = mention(1, published_at=NOW - timedelta(hours=3), text_key="same")
        first = mention(2, text_key="same")
        other = mention(3, text_key="same", url_key="page")
        writer(engine, NOW).write(batch(first, other))
        assert originals(engine) == {first.entry_id: None, other.entry_id: first.entry_id}

        result = writer(engine, NOW + timedelta(minutes=5)).write(batch(late))
        assert result.outcomes == {late.entry_id: "stored"}
        assert result.alerts == ()
        assert originals(engine) == {
            late.entry_id: None,
            first.entry_id: late.entry_id,
            other.entry_id: late.entry_id,
        }
        tables = snapshot(engine)
        [alert] = tables["alerts"]
        assert (alert["id"], alert["mention_id"]) == (late.entry_id, late.entry_id)
        assert (alert["created_at"], alert["latency_s"]) == (NOW, 3 * 3600)
        assert {row["id"]: row["outcome"] for row in tables["seen"]} == {
            late.entry_id: "stored",
            first.entry_id: "duplicate",
            other.entry_id: "duplicate",
        }

    def test_a_mention_that_ties_two_stories_merges_their_alerts(self, engine):
        left, right = mention(1, url_key="page", tier=1), mention(2, text_key="same")
        assert len(writer(engine, NOW).write(batch(left)).alerts) == 1
        assert len(writer(engine, NOW + timedelta(seconds=9)).write(batch(right)).alerts) == 1
        link = mention(3, url_key="page", text_key="same")
        result = writer(engine).write(batch(link))
        assert (result.outcomes, result.alerts) == ({link.entry_id: "duplicate"}, ())
        [alert] = snapshot(engine)["alerts"]
        assert (alert["id"], alert["created_at"]) == (left.entry_id, NOW)

    def test_empty_keys_tie_nothing(self, engine):
        result = writer(engine).write(
            batch(mention(1, text_key="", url_key=""), mention(2, text_key="", url_key=""))
        )
        assert set(result.outcomes.values()) == {"stored"}

    def test_a_rewrite_changes_nothing(self, engine):
        writer(engine).write(batch(mention(1)))
        before = snapshot(engine)
        changed = mention(
            1, title="Another", seen_at=NOW, url_key="x", assessment=assessment(score=0.1)
        )
        result = writer(engine, NOW + timedelta(days=1)).write(batch(changed))
        assert (result.outcomes, result.new_rows) == ({changed.entry_id: "stored"}, 0)
        assert snapshot(engine) == before

    def test_new_rules_rewrite_the_assessment_alone(self, engine):
        old = mention(1, assessment=assessment(companies=("Acme", "Borealis")))
        writer(engine).write(batch(old))
        before = snapshot(engine)["mentions"][0]
        new = replace(old, title="Another", assessment=assessment(score=0.5, companies=("Acme",)))
        writer(engine, NOW + timedelta(days=1)).write(batch(new, rules_version="rules-2"))
        tables = snapshot(engine)
        assert tables["mentions"][0] == before | {"score": 0.5, "rules_version": "rules-2"}
        assert [row["company"] for row in tables["mention_companies"]] == ["Acme"]
        assert tables["seen"][0]["rules_version"] == "rules-2"
        assert tables["alerts"][0]["created_at"] == NOW

    def test_what_an_engine_refuses_is_cleaned_and_cut(self, engine):
        nasty = "a\x00b\ud800c"
        long = mention(
            1,
            title=nasty,
            text=nasty * 100_000,
            author="x" * 5_000,
            url="https://news.example/" + "y" * 9_000,
            source=nasty,
            assessment=assessment(
                score=float("nan"),
                token="é" * 80,
                companies=(nasty, nasty + "!" * 300),
                reasons=(Reason(rule="r", weight=float("inf"), field="title", text=nasty),) * 300,
            ),
        )
        writer(engine).write(batch(replace(long, assessment=replace(long.assessment, score=0.5))))
        tables = snapshot(engine)
        [row] = tables["mentions"]
        assert row["title"] == "a\ufffdb\ufffdc"
        assert (len(row["author"]), len(row["url"])) == (300, 4_096)
        assert [len(body["text"]) for body in tables["mention_texts"]] == [200_000]
        assert len(row["token"]) == 50
        assert len(row["reasons"]) == 200
        assert row["reasons"][0]["text"] == row["title"]
        assert row["reasons"][0]["weight"] is None
        assert sorted(len(r["company"]) for r in tables["mention_companies"]) == [5, 200]

    def test_the_earliest_and_latest_times(self, engine):
        first = datetime(1, 1, 1, tzinfo=UTC)
        last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
        writer(engine).write(batch(mention(1, published_at=first), mention(2, published_at=last)))
        assert [row["published_at"] for row in snapshot(engine)["mentions"]] == [first, last]

    def test_a_time_without_a_zone_is_refused(self, engine):
        naive = datetime(2026, 1, 1)  # noqa: DTZ001
        with pytest.raises(DatabaseError, match="without a zone"):
            writer(engine).write(batch(mention(1, published_at=naive)))

    def test_more_rows_than_one_statement_takes(self, engine):
        many = [mention(n, text_key=f"t{n // 2}") for n in range(1_300)]
        result = writer(engine).write(batch(*many))
        assert (result.new_rows, len(result.alerts)) == (1_300, 650)
        assert writer(engine).write(batch(*many)).new_rows == 0

    def test_rejected_entries(self, engine):
        later = NOW + timedelta(hours=1)
        writer(engine).write(batch(reject=[rejected(1), rejected(1, "too_old")]))
        writer(engine).write(batch(reject=[rejected(1, "too_old", seen_at=later)]))
        [row] = snapshot(engine)["seen"]
        assert (row["outcome"], row["rules_version"], row["seen_at"]) == ("irrelevant", RULES, NOW)
        writer(engine).write(batch(reject=[rejected(1, "too_old", "rules-2", later)]))
        [row] = snapshot(engine)["seen"]
        assert (row["outcome"], row["rules_version"], row["seen_at"]) == (
            "too_old",
            "rules-2",
            later,
        )

    @pytest.mark.parametrize("order", ["stored first", "rejected first", "together"])
    def test_a_stored_entry_beats_its_rejection(self, engine, order):
        kept, refused = mention(1), rejected(1, rules_version="rules-0", seen_at=NOW)
        parts = [batch(kept), batch(reject=[refused])]
        if order == "rejected first":
            parts.reverse()
        if order == "together":
            parts = [batch(kept, reject=[refused])]
        for part in parts:
            writer(engine).write(part)
        [row] = snapshot(engine)["seen"]
        assert (row["outcome"], row["rules_version"]) == ("stored", RULES)
        assert row["seen_at"] == kept.seen_at

    def test_two_writers_at_once(self, engine):
        shared = [mention(n, text_key=f"t{n % 5}", tier=n % 3) for n in range(60)]
        writer(engine).write(batch(*shared))
        expected = settled(engine)
        clear(engine)
        start = threading.Barrier(3)

        def work(seed: int) -> int:
            order = random.Random(seed).sample(shared, len(shared))
            start.wait()
            parts = [order[at : at + 7] for at in range(0, len(order), 7)]
            return sum(writer(engine).write(batch(*part)).new_rows for part in parts)

        with ThreadPoolExecutor(3) as pool:
            new_rows = sum(pool.map(work, range(3)))
        assert settled(engine) == expected
        assert new_rows == len(shared)

    def test_a_lock_that_is_never_released_ends_in_one_line(self, engine):
        impatient = create_engine(url_of(engine), EngineSettings(lock_wait_s=0.01))
        waits = []
        with write_transaction(engine), pytest.raises(DatabaseError, match="lock"):
            Writer(impatient, sleep=waits.append).write(batch(mention(1)))
        assert len(waits) == ATTEMPTS - 1
        impatient.dispose()

    def test_a_lock_that_is_released_is_waited_for(self, engine):
        impatient = create_engine(url_of(engine), EngineSettings(lock_wait_s=0.01))
        holder = write_transaction(engine)
        holder.__enter__()

        def release(_: float) -> None:
            if len(waits) == 1:
                holder.__exit__(None, None, None)
            waits.append(_)

        waits = []
        result = Writer(impatient, sleep=release).write(batch(mention(1)))
        assert (result.new_rows, len(waits)) == (1, 2)
        impatient.dispose()

    @pytest.mark.slow
    def test_kill_in_mid_batch_leaves_whole_batches_only(self, engine):
        random_ = random.Random(7)
        for repetition in range(4):
            clear(engine)
            with subprocess.Popen(
                [sys.executable, __file__, url_of(engine)],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            ) as process:
                lines = [process.stdout.readline() for _ in range(1 + repetition)]
                # A batch takes some 40 ms; the kill falls anywhere in it.
                threading.Event().wait(random_.uniform(0.0, 0.05))
                process.send_signal(signal.SIGKILL)
            assert all(line.startswith("batch") for line in lines)
            # Has its turn only when the server is done with the killed one.
            writer(engine).write(batch(mention(9_999_999)))
            tables = snapshot(engine)
            ids = {row["id"] for row in tables["mentions"]}
            assert len(ids) % KILL_BATCH == 1
            assert ids == {row["id"] for row in tables["seen"]}
            assert ids == {row["id"] for row in tables["alerts"]}
            assert ids == {row["mention_id"] for row in tables["mention_companies"]} | {
                mention(9_999_999).entry_id
            }


class RecordCases:
    """Companies, sources and runs."""

    def test_companies_are_updated_and_stay(self, engine):
        writer(engine).write(batch(mention(1, assessment=assessment(companies=("Acme",)))))
        writer(engine).sync_companies([WatchedCompany("Acme"), WatchedCompany("Borealis")])
        writer(engine).sync_companies([WatchedCompany("Acme", "has_token", "low")])
        writer(engine).sync_companies([])
        assert snapshot(engine)["companies"] == [
            {"name": "Acme", "status": "has_token", "priority": "low"},
            {"name": "Borealis", "status": "pre_token", "priority": "high"},
        ]

    def test_the_health_of_a_source(self, engine):
        base = SourceHealth(slug="acme", url="https://acme.example/rss", owner="acme", tier=1)

        def record(**values) -> dict:
            writer(engine).record_sources([replace(base, **values)])
            return snapshot(engine)["sources"][0]

        settled = SettledBody("1abc", '"1"', "")
        row = record(last_success_at=NOW, settled=settled, polls=1, history="{}")
        assert (row["last_success_at"], row["consecutive_failures"], row["etag"]) == (NOW, 0, '"1"')
        assert (row["content_key"], row["polls"], row["unsettled_polls"]) == ("1abc", 1, 0)
        failed = {"last_error": "HTTP 500", "last_error_at": NOW, "consecutive_failures": 2}
        record(**failed)
        row = record(**failed)
        assert (row["last_error"], row["consecutive_failures"]) == ("HTTP 500", 4)
        assert (row["last_success_at"], row["etag"]) == (NOW, '"1"')
        assert (row["polls"], row["history"], row["trusts_validators"]) == (1, "{}", True)
        row = record(polls=2, not_modified=1, trusts_validators=False, unsettled_polls=2)
        assert (row["polls"], row["not_modified"]) == (3, 1)
        assert (row["trusts_validators"], row["unsettled_polls"]) == (False, 2)
        row = record(settled=SettledBody("1def"), unsettled_polls=0)
        assert (row["content_key"], row["etag"], row["unsettled_polls"]) == ("1def", "", 0)
        row = record(last_success_at=NOW + timedelta(hours=1))
        assert (row["last_error"], row["consecutive_failures"]) == ("HTTP 500", 0)
        assert row["last_success_at"] == NOW + timedelta(hours=1)

    def test_runs(self, engine):
        def report(id_: str, **run) -> dict:
            times = {"started_at": "2026-03-01T12:00:00Z", "finished_at": "2026-03-01T12:00:09.5Z"}
            return {"run": {"id": id_, "spider": "rss", **times, **run}, "entries_seen": 3}

        writer(engine).write_run(report("one", finished_at=None))
        writer(engine).write_run(report("one", reason="finished"))
        writer(engine).write_run(report("two", started_at="2026-03-01T13:00:00Z", reason=""))
        two, one = recent_runs(engine, limit=5)
        assert (two.id, one.id, one.reason) == ("two", "one", "finished")
        assert one.report == report("one", reason="finished")
        assert one.started_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert one.finished_at == datetime(2026, 3, 1, 12, 0, 9, 500_000, tzinfo=UTC)
        assert [run.id for run in recent_runs(engine, limit=1)] == ["two"]
        assert RUNS.name in counts(engine)


ALERT_KEYS = (  # noqa: SIM905
    "id event_id title url canonical_url source owner medium companies project kind status score "
    "reasons token event_date event_date_precision chain exchange claim_url claim_url_official "
    "promo lang published_at seen_at stored_at latency_s duplicate_of"
).split()


class QueryCases:
    """What commands and the API read."""

    def test_an_alert_as_json(self, engine):
        told = mention(1, assessment=assessment(companies=("Zeta", "Acme")), text_key="same")
        writer(engine).write(batch(told, mention(2, text_key="same", tier=3)))
        [alert] = recent_alerts(engine)
        assert alert.duplicates == 1
        shown = alert.as_json()
        assert list(shown) == ALERT_KEYS
        assert shown["id"] == told.entry_id
        assert shown["companies"] == ["Zeta", "Acme"]
        assert (shown["event_id"], shown["duplicate_of"]) == (event_key(told.entry_id), None)
        assert shown["published_at"] == "2026-03-01T11:00:00.123456Z"
        assert shown["stored_at"] == "2026-03-01T12:00:00.123456Z"
        assert shown["latency_s"] == 3600

    def test_an_unpublished_one_has_no_latency(self, engine):
        writer(engine).write(batch(mention(1, published_at=None)))
        shown = recent_alerts(engine)[0].as_json()
        assert (shown["published_at"], shown["latency_s"]) == (None, None)

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, [3, 2, 1]),
            ({"limit": 2}, [3, 2]),
            ({"company": "acme"}, [3, 1]),
            ({"company": "Nobody"}, []),
            ({"kind": "listing"}, [2]),
            ({"min_score": 0.6}, [3, 2]),
            ({"since": NOW + timedelta(minutes=2)}, [3, 2]),
            ({"company": "Acme", "min_score": 0.6}, [3]),
        ],
        ids=str,
    )
    def test_filters(self, engine, filters, expected):
        for number, company, kind, score in (
            (1, "Acme", "airdrop", 0.5),
            (2, "Borealis", "listing", 0.6),
            (3, "Acme", "airdrop", 0.9),
        ):
            judged = assessment(companies=(company,), kind=kind, score=score)
            at = NOW + timedelta(minutes=number)
            writer(engine, at).write(batch(mention(number, assessment=judged)))
        assert [alert.title for alert in recent_alerts(engine, **filters)] == [
            f"Story {number}" for number in expected
        ]

    def test_the_number_of_queries_does_not_grow(self, engine):
        statements = []

        def count(connection, cursor, statement, *rest):
            statements.append(statement)

        writer(engine).write(batch(*(mention(n) for n in range(40))))
        sa.event.listen(engine, "before_cursor_execute", count)
        assert len(recent_alerts(engine)) == 40
        sa.event.remove(engine, "before_cursor_execute", count)
        assert len([one for one in statements if one.startswith("SELECT")]) == 3

    def test_pages_by_cursor_are_the_whole_list(self, engine):
        for minute in range(3):
            part = [mention(n) for n in range(10 * minute, 10 * minute + 7)]
            writer(engine, NOW + timedelta(minutes=minute)).write(batch(*part))
        whole = recent_alerts(engine, limit=100)
        assert len(whole) == 21
        pages: list = []
        while page := recent_alerts(engine, limit=4, before=pages[-1].cursor if pages else None):
            pages += page
        assert pages == whole
        for wrong in ("", "x", "-1", "9" * 30, "1 or 1"):
            with pytest.raises(ArgumentError, match="no cursor"):
                recent_alerts(engine, before=wrong)

    def test_alerts_are_found_by_their_words(self, engine):
        named = assessment(companies=("Öresund Labs",), project="Öresund", token="ORE")
        writer(engine).write(
            batch(
                mention(1, title="Öresund's airdrop: who can claim?", assessment=named),
                mention(2, title="Listing of ORE on Kraken", assessment=assessment(kind="listing")),
                mention(3, title="It's 100% <b>live</b> & 'quoted' \"twice\""),
            )
        )
        for query, expected in (
            ("oresund", {1}),
            ("ØRESUND", set()),
            ("labs AIRDROP", {1}),
            ("ore", {1, 2}),
            ("ore kraken", {2}),
            ("kra", set()),
            ("kra*", {2}),
            ("o*", {1, 2}),
            ("claim | kraken", set()),
            ("live quoted", {3}),
            ("NOT kraken", set()),
            ("100%", {3}),
            ("', & ! \" ( ) : * -", set()),
            ("", set()),
        ):
            found = {row.id for row in recent_alerts(engine, text=query)}
            assert found == {mention(n).entry_id for n in expected}, query
        assert [a.kind for a in recent_alerts(engine, text="ore", kind="listing")] == ["listing"]
        company = recent_alerts(engine, text="ore", company="Öresund labs", min_score=0.5)
        assert [alert.project for alert in company] == ["Öresund"]

    def test_days_latencies_and_what_sources_told(self, engine):
        record = SourceHealth(slug="acme-news", url="u", owner="acme", tier=1)
        Writer(engine).record_sources([record])
        assert alert_latency(engine, since=NOW) == LatencyRow()
        assert daily_statistics(engine, since=NOW) == []
        for day in range(3):
            now = NOW + timedelta(days=day)
            told = [
                mention(
                    100 * day + n,
                    text_key=f"{day}" if n < 3 else f"{day}.{n}",
                    published_at=now - timedelta(seconds=10 * n + 10) if n else None,
                    assessment=assessment(kind="listing" if n == 9 else "airdrop"),
                    traits=EventTraits(f"p{day}.{n}", "", "main", 0),
                )
                for n in range(10)
            ]
            writer(engine, now).write(batch(*told))
        days = daily_statistics(engine, since=NOW + timedelta(days=1))
        assert [(row.day.day, row.mentions, row.events) for row in days] == [(3, 10, 8), (2, 10, 8)]
        assert days[0].alerts == {"airdrop": 7, "listing": 1}
        latency = alert_latency(engine, since=NOW + timedelta(days=2))
        assert latency == LatencyRow(alerts=8, p50_s=60.0, p95_s=100.0, p99_s=100.0)
        [source] = source_health(engine, since=NOW + timedelta(days=1))
        assert (source.mentions, source.last_mention_at) == (20, NOW + timedelta(days=2))
        [source] = source_health(engine)
        assert source.mentions == 0

    def test_followers_by_day(self, engine):
        def reading_of(day: int, hour: int, followers: int) -> FollowerRow:
            taken_at = datetime(2026, 3, day, hour, tzinfo=UTC)
            numbers = {"followers": followers, "following": 1, "posts": 2, "taken_at": taken_at}
            return FollowerRow(platform="x", handle="acme", day=taken_at.date(), **numbers)

        account = AccountRow(platform="x", handle="acme", name="Acme")
        with write_transaction(engine) as connection:
            write_accounts(connection, [account], NOW)
            write_accounts(connection, [replace(account, account_id="7")], NOW + timedelta(days=1))
            first = [reading_of(1, 9, 100), reading_of(1, 21, 120), reading_of(2, 9, 3_000_000_000)]
            write_followers(connection, first)
            write_followers(connection, [reading_of(1, 12, 110), reading_of(2, 10, 125)])
            write_followers(connection, [])
        since = date(2026, 3, 1)
        history = follower_history(engine, "x", "acme", since=since)
        assert [row.followers for row in history] == [120, 125]
        assert follower_history(engine, "x", "acme", since=date(2026, 3, 2)) == history[1:]
        assert follower_history(engine, "x", "other", since=since) == []
        [row] = snapshot(engine)["accounts"]
        assert (row["account_id"], row["added_at"]) == ("7", NOW)

    def test_counts(self, engine):
        same = [mention(n, text_key="same") for n in range(3)]
        writer(engine).write(batch(*same, mention(9), reject=[rejected(20)]))
        assert counts(engine) == {
            "companies": 0,
            "sources": 0,
            "runs": 0,
            "mentions": 4,
            "mention_texts": 0,
            "mention_companies": 0,
            "alerts": 2,
            "alert_companies": 0,
            "seen": 5,
            "mention_traits": 4,
            "near_copies": 0,
            "events": 2,
            "event_companies": 0,
            "event_mentions": 4,
            "event_edits": 0,
            "event_redirects": 0,
            "accounts": 0,
            "follower_snapshots": 0,
            "outbox": 0,
            "duplicates": 2,
        }
        for table in (ALERTS, MENTIONS, SEEN, SOURCES):
            assert table.name in counts(engine)

    def test_known_stories_name_their_originals(self, engine):
        first = mention(1, text_key="same", published_at=None)
        writer(engine).write(batch(first, mention(2, text_key="", url_key="")))
        again = mention(3, text_key="same")
        writer(engine, NOW + timedelta(days=1)).write(batch(again))
        known = {"u1": again.entry_id, "u3": again.entry_id, "same": again.entry_id}
        assert known_stories(engine, since=NOW) == known
        known.pop("u1")
        assert known_stories(engine, since=NOW + timedelta(hours=1)) == known

    def test_sources_and_companies(self, engine):
        assert (source_health(engine), company_names(engine)) == ([], [])
        record = SourceHealth(slug="acme", url="https://acme.example/rss", owner="acme", tier=1)
        writer(engine).record_sources([replace(record, last_success_at=NOW)])
        writer(engine).sync_companies([WatchedCompany("Borealis"), WatchedCompany("Acme")])
        [row] = source_health(engine)
        assert (row.slug, row.last_success_at, row.consecutive_failures) == ("acme", NOW, 0)
        assert company_names(engine) == ["Acme", "Borealis"]

    def test_the_seen_index_is_that_of_the_table(self, engine):
        same = [mention(n, text_key="same") for n in range(3)]
        writer(engine).write(batch(*same, reject=[rejected(20), rejected(21, seen_at=NOW)]))
        index = SeenIndex.load(engine)
        assert len(index) == 5
        for kept in same:
            assert index.known(kept.entry_id, "any rules")
        assert index.known(rejected(20).id, RULES)
        assert not index.known(rejected(20).id, "rules-2")
        assert not index.known(mention(7).entry_id, RULES)
        assert len(SeenIndex.load(engine, since=NOW)) == 2


KILL_BATCH = 200


def write_for_ever(url: str) -> None:
    """Write batches until killed, saying before each that it comes."""
    endless = Writer(create_engine(url))
    number = 0
    while True:
        print("batch", number, flush=True)
        judged = assessment(companies=("Acme",))
        part = [
            mention(number * KILL_BATCH + n, text="word " * 600, assessment=judged)
            for n in range(KILL_BATCH)
        ]
        endless.write(batch(*part))
        number += 1


if __name__ == "__main__":
    write_for_ever(sys.argv[1])
