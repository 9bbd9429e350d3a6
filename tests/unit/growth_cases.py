"""What a prune and a vacuum must do on every engine; see ``storage_cases``."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from storage_cases import (
    NOW,
    assessment,
    batch,
    mention,
    rejected,
    settled,
    snapshot,
    url_of,
    writer,
)

from tgecrawler.items import EventTraits
from tgecrawler.storage.event_queries import find_events, mentions_of
from tgecrawler.storage.integrity import data_findings, file_findings
from tgecrawler.storage.queries import counts, recent_alerts
from tgecrawler.storage.retention import Pruned, Pruner, Retention, would_prune
from tgecrawler.storage.seen import SeenIndex
from tgecrawler.storage.vacuum import vacuum

ACME = EventTraits("acme", "", "main", 0)
PARTS = ("alerts", "alert_companies", "mention_companies", "mention_traits", "event_mentions")


def ago(days: float):
    return NOW - timedelta(days=days)


def told(engine, number: int, days: float, **values):
    """Store a mention so many days ago; published and seen shortly before, unless said."""
    at = ago(days)
    traits = values.pop("traits", EventTraits(f"p{number}", "", "main", 0))
    named = values.pop("assessment", assessment(companies=("Acme",), token="ACM"))
    defaults = {"published_at": at, "seen_at": at, "text": f"Body {number}", "traits": traits}
    one = mention(number, assessment=named, **(defaults | values))
    writer(engine, at).write(batch(one))
    return one


def prune(engine, **days: int) -> Pruned:
    pruned = Pruner(engine, Retention(**days), clock=lambda: NOW, sleep=lambda _: None).prune()
    assert [str(one) for one in data_findings(engine, NOW)] == []
    return pruned


def rows_of(pruned: Pruned) -> dict[str, int]:
    return {table: rows for table, rows in pruned.rows.items() if rows}


def kept(engine, table: str, key: str) -> set[str]:
    return {row[key] for row in snapshot(engine)[table]}


class GrowthCases:
    """What is old enough goes, all else stays, and the database is consistent throughout."""

    def test_nothing_goes_by_default(self, engine):
        told(engine, 1, 4_000)
        before = snapshot(engine)
        assert rows_of(prune(engine)) == {}
        assert snapshot(engine) == before

    def test_bodies(self, engine):
        old = [told(engine, number, days) for number, days in ((1, 400), (2, 45), (3, 31))]
        new = [told(engine, number, days) for number, days in ((4, 29), (5, 1))]
        before = snapshot(engine)
        would = would_prune(engine, Retention(texts=30), NOW)
        assert rows_of(would) == {"mention_texts": 3}
        pruned = prune(engine, texts=30)
        assert rows_of(pruned) == {"mention_texts": 3}
        assert pruned.dropped == would.dropped
        after = snapshot(engine)
        assert kept(engine, "mention_texts", "mention_id") == {one.entry_id for one in new}
        assert after | {"mention_texts": []} == before | {"mention_texts": []}
        assert len(recent_alerts(engine)) == len([*old, *new])
        assert rows_of(prune(engine, texts=30)) == {}

    def test_bodies_of_posts_go_sooner_or_later_than_others(self, engine):
        told(engine, 1, 40, medium="post")
        told(engine, 2, 40)
        told(engine, 3, 5, medium="post")
        told(engine, 4, 5)
        assert rows_of(would_prune(engine, Retention(posts=30, texts=60), NOW)) == {
            "mention_texts": 1
        }
        assert rows_of(prune(engine, posts=30)) == {"mention_texts": 1}
        assert len(kept(engine, "mention_texts", "mention_id")) == 3
        assert rows_of(would_prune(engine, Retention(posts=3, texts=30), NOW)) == {
            "mention_texts": 2
        }
        assert rows_of(prune(engine, posts=3, texts=30)) == {"mention_texts": 2}
        assert kept(engine, "mention_texts", "mention_id") == {mention(4).entry_id}

    def test_mentions_go_with_all_that_hangs_on_them_and_their_event_stays(self, engine):
        story = [told(engine, n, 100 - n, traits=ACME, text_key="same") for n in (1, 2)]
        later = told(engine, 3, 60, traits=ACME)
        lone = told(engine, 4, 10)
        near = told(engine, 5, 99, traits=ACME, near=((story[0].entry_id, 0.9),))
        (event,) = find_events(engine, snapshot(engine)["event_mentions"][0]["event_id"])
        assert (event.mentions, event.copies) == (2, 2)
        assert rows_of(would_prune(engine, Retention(mentions=50), NOW)) == {"mentions": 4}
        assert rows_of(prune(engine, mentions=61)) == {}, "it was last told of 60 days ago"
        assert rows_of(prune(engine, mentions=50)) == {
            "mentions": 4,
            "mention_texts": 4,
            "mention_companies": 4,
            "mention_traits": 4,
            "near_copies": 1,
            "event_mentions": 4,
            "alerts": 2,
            "alert_companies": 2,
        }
        assert kept(engine, "mentions", "id") == {lone.entry_id}
        assert [row.id for row in recent_alerts(engine, text="acm")] == [lone.entry_id]
        assert find_events(engine, event.id) == [event]
        assert mentions_of(engine, event.id) == []
        gone = [*story, later, near]
        assert {one.entry_id for one in gone} < kept(engine, "seen", "id")
        seen = SeenIndex.load(engine)
        assert all(seen.known(one.entry_id, "other rules") for one in gone)

    def test_an_event_that_was_told_of_lately_keeps_its_oldest_mention(self, engine):
        told(engine, 1, 100, traits=ACME)
        told(engine, 2, 5, traits=ACME)
        before = snapshot(engine)
        assert rows_of(prune(engine, mentions=30)) == {}
        assert snapshot(engine) == before

    def test_a_copy_that_came_lately_keeps_its_event(self, engine):
        told(engine, 1, 100, text_key="same")
        told(engine, 2, 5, text_key="same")
        assert rows_of(prune(engine, mentions=30)) == {}

    def test_what_was_stored_lately_is_kept_however_old_it_is(self, engine):
        told(engine, 1, 5, published_at=ago(900))
        assert rows_of(prune(engine, mentions=30)) == {}

    def test_an_event_stays_whose_votes_say_whose_a_ticker_is(self, engine):
        votes = [told(engine, n, 100, traits=EventTraits("acme", "ACM", "main", 0)) for n in (1, 2)]
        lately = told(engine, 3, 5, traits=EventTraits("", "ACM", "listing:x", 0))
        told(engine, 5, 4, traits=EventTraits("acme", "", "listing:x", 0))
        others = told(engine, 4, 100)
        entity = {row["mention_id"]: row["entity"] for row in snapshot(engine)["mention_traits"]}
        assert entity[lately.entry_id] == "acme"
        pruned = prune(engine, mentions=30)
        assert kept(engine, "mentions", "id") >= {one.entry_id for one in (*votes, lately)}
        assert others.entry_id not in kept(engine, "mentions", "id")
        assert pruned.kept_events == 1
        assert {row["mention_id"]: row["entity"] for row in snapshot(engine)["mention_traits"]} == {
            id_: entity[id_] for id_ in entity if id_ != others.entry_id
        }

    def test_what_stays_is_grouped_as_if_the_rest_were_there(self, engine):
        """Letting old events go and writing new mentions: in either order the same events."""
        dice = random.Random(7)
        projects = ["acme", "borealis", "caldera", ""]
        tracks = ["main", "sale", "listing:?"]
        many = [
            (
                number,
                dice.uniform(1, 1_500),
                EventTraits(
                    dice.choice(projects), dice.choice(["", "ACM"]), dice.choice(tracks), 0
                ),
                dice.choice(["announced", "live", "postponed"]),
            )
            for number in range(120)
        ]
        for number, days, traits, status in many:
            told(engine, number, days, traits=traits, assessment=assessment(status=status))
        pruned = prune(engine, mentions=400)
        assert 10 < pruned.rows["mentions"] < 110
        left = settled(engine)
        members = {row["event_id"] for row in left["event_mentions"]}
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE mention_traits SET entity = entity"))
        # every entity is grouped anew by a mention of its own, far from all others
        touched = [
            mention(
                1_000 + place,
                published_at=ago(-9_000),
                traits=EventTraits(project, token, "sale", 7),
            )
            for place, (project, token) in enumerate(
                (p, t) for p in projects for t in ("", "ACM") if p or t
            )
        ]
        writer(engine).write(batch(*touched))
        after = {row["id"]: row for row in settled(engine)["events"]}
        assert {id_: after[id_] for id_ in members} == {
            row["id"]: row for row in left["events"] if row["id"] in members
        }

    def test_a_mention_after_the_others_are_gone_begins_an_event_of_its_own(self, engine):
        told(engine, 1, 100, traits=ACME)
        (old,) = snapshot(engine)["events"]
        prune(engine, mentions=30)
        told(engine, 2, 0, traits=ACME)
        events = {row["id"]: row for row in snapshot(engine)["events"]}
        assert len(events) == 2
        assert events[old["id"]] == old

    def test_a_mention_that_is_told_again_goes_on_with_its_event(self, engine):
        first = told(engine, 1, 100, traits=ACME)
        (old,) = snapshot(engine)["events"]
        prune(engine, mentions=30)
        result = writer(engine).write(batch(replace(first, text="")))
        assert result.events == ()
        (event,) = snapshot(engine)["events"]
        assert event == old
        later = mention(2, traits=ACME, assessment=assessment(companies=("Borealis",)))
        writer(engine).write(batch(later))
        assert data_findings(engine, NOW) == []
        assert {row["company"] for row in snapshot(engine)["event_companies"]} == {
            "Acme",
            "Borealis",
        }

    def test_rejected_entries_and_those_whose_mention_is_gone(self, engine):
        told(engine, 1, 100)
        for number, days in ((11, 100), (12, 31), (13, 29)):
            writer(engine).write(batch(reject=[rejected(number, seen_at=ago(days))]))
        assert rows_of(would_prune(engine, Retention(seen=30), NOW)) == {"seen": 2}
        assert rows_of(prune(engine, seen=30)) == {"seen": 2}
        assert kept(engine, "seen", "id") == {mention(n).entry_id for n in (1, 13)}
        assert prune(engine, mentions=30, seen=30).rows["seen"] == 1
        assert kept(engine, "seen", "id") == {mention(13).entry_id}

    def test_runs(self, engine):
        for number, days in ((1, 91), (2, 89)):
            at = ago(days).isoformat()
            writer(engine).write_run(
                {"run": {"id": f"{number}", "spider": "rss", "started_at": at}}
            )
        assert rows_of(would_prune(engine, Retention(runs=90), NOW)) == {"runs": 1}
        assert rows_of(prune(engine, runs=90)) == {"runs": 1}
        assert kept(engine, "runs", "id") == {"2"}

    def test_more_days_than_there_were(self, engine):
        told(engine, 1, 100)
        days = 10_000_000
        assert rows_of(prune(engine, texts=days, mentions=days, seen=days, runs=days)) == {}

    def test_more_rows_than_are_found_or_deleted_at_once(self, engine):
        many = [rejected(number, seen_at=ago(99)) for number in range(11_000)]
        writer(engine).write(batch(reject=many))
        assert rows_of(prune(engine, seen=30)) == {"seen": 11_000}

    def test_a_crawl_writes_meanwhile(self, engine):
        """Two writers add to old events and to new ones; nothing of theirs is lost or torn."""
        for start in range(0, 600, 100):
            old = [
                mention(
                    n,
                    published_at=ago(90),
                    seen_at=ago(90),
                    text="b" * 500,
                    text_key=f"t{n // 3}",
                    traits=EventTraits(f"p{n // 6}", "", "main", 0),
                )
                for n in range(start, start + 100)
            ]
            writer(engine, ago(90)).write(batch(*old))
        done = threading.Event()
        written: dict[int, list] = {1: [], 2: []}
        failures: list[BaseException] = []

        def write(crawl: int) -> None:
            number = crawl * 100_000
            try:
                while not done.is_set() or number < crawl * 100_000 + 10:
                    number += 1
                    project = EventTraits(f"p{number % 50 * 2}", "", "main", 0)
                    one = mention(number, traits=project, text="new", published_at=NOW)
                    writer(engine).write(batch(one, reject=[rejected(number + 50_000)]))
                    written[crawl].append(one.entry_id)
            except BaseException as error:
                failures.append(error)

        crawls = [threading.Thread(target=write, args=(crawl,)) for crawl in written]
        for crawl in crawls:
            crawl.start()
        pruner = Pruner(engine, Retention(mentions=30, texts=30, seen=30), clock=lambda: NOW)
        try:
            pruned = pruner.prune()
        finally:
            done.set()
            for crawl in crawls:
                crawl.join(60)
        assert failures == []
        ids = kept(engine, "mentions", "id")
        assert ids >= {id_ for crawl in written.values() for id_ in crawl}
        assert counts(engine)["mentions"] + pruned.rows["mentions"] == 600 + sum(
            len(crawl) for crawl in written.values()
        )
        assert pruned.rows["mentions"] >= 300, "of every other project nothing is told"
        assert data_findings(engine, NOW) == []

    @pytest.mark.slow
    def test_a_prune_that_is_killed_has_done_a_part(self, engine):
        for start in range(0, 400, 100):
            old = [
                mention(n, published_at=ago(90), seen_at=ago(90), text="b", text_key=f"t{n // 3}")
                for n in range(start, start + 100)
            ]
            reject = [rejected(10_000 + n, seen_at=ago(90)) for n in range(start, start + 100)]
            writer(engine, ago(90)).write(batch(*old, reject=reject))
        code = (
            "import sys, datetime; from tgecrawler.storage import retention;"
            "from tgecrawler.storage.engine import create_engine;"
            "retention.FIRST_AT_ONCE = retention.MOST_AT_ONCE = 5;"
            "now = datetime.datetime.fromisoformat(sys.argv[2]);"
            "keep = retention.Retention(mentions=30, texts=30, seen=30);"
            "pruner = retention.Pruner(create_engine(sys.argv[1]), keep, clock=lambda: now);"
            "print('began', flush=True); pruner.prune()"
        )
        command = [sys.executable, "-c", code, url_of(engine), NOW.isoformat()]
        left = [400]
        for delay_s in (0.1, 0.4, 0.7):
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert process.stdout.readline() == b"began\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay_s)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            assert file_findings(engine) == []
            assert data_findings(engine, NOW) == []
            left.append(counts(engine)["mentions"])
        assert left[0] > left[-1] > 0
        prune(engine, mentions=30, texts=30, seen=30)
        assert counts(engine)["mentions"] == 0

    def test_a_vacuum_gives_room_back_and_changes_no_row(self, engine):
        ones = [
            mention(n, text="b" * 3_000, summary="s" * 3_000, title=f"Story {n} word{n}")
            for n in range(600)
        ]
        writer(engine, ago(90)).write(batch(*ones[:300]))
        writer(engine).write(batch(*ones[300:]))
        with engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE mentions SET published_at = NULL, seen_at = stored_at")
            )
            connection.execute(sa.text("UPDATE events SET last_seen_at = created_at"))
        Pruner(engine, Retention(mentions=30), clock=lambda: NOW, sleep=lambda _: None).prune()
        assert counts(engine)["mentions"] == 300
        before = snapshot(engine)
        sizes = vacuum(engine)
        assert snapshot(engine) == before
        if engine.dialect.name == "sqlite":  # PostgreSQL gives back only what is at the end
            assert sizes.after_bytes < 0.6 * sizes.before_bytes
        else:
            assert sizes.after_bytes > 0
        for n in (300, 451, 599):
            (found,) = recent_alerts(engine, text=f"word{n}")
            assert found.id == ones[n].entry_id
        assert recent_alerts(engine, text="word7") == []
        assert writer(engine).write(batch(mention(900, title="word900"))).new_rows == 1
        assert len(recent_alerts(engine, text="word900")) == 1
        assert file_findings(engine) == []
