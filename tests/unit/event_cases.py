"""What events must do on every engine; see ``storage_cases``."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from storage_cases import NOW, assessment, batch, mention, settled, snapshot, writer

from tgecrawler.domain.event_state import event_key
from tgecrawler.domain.near_duplicate import make_fingerprint
from tgecrawler.errors import ArgumentError
from tgecrawler.items import EventTraits
from tgecrawler.storage.engine import write_transaction
from tgecrawler.storage.event_queries import (
    find_events,
    largest_events,
    mentions_of,
    recent_events,
)
from tgecrawler.storage.models import MENTION_TRAITS
from tgecrawler.storage.queries import fingerprints

HOUR = timedelta(hours=1)


def told(number: int, project: str = "Quillon", **values):
    """A mention of a project's launch; ``number`` is also how many hours ago it was told."""
    token, track = values.pop("token", ""), values.pop("track", "main")
    judged = {"project": project, "token": token, "status": values.pop("status", "announced")}
    defaults = {
        "published_at": NOW - number * HOUR,
        "owner": f"owner-{number}",
        "source": f"source-{number}",
        "traits": EventTraits(project.casefold(), token, track, values.pop("season", 0)),
        "assessment": assessment(**judged, **values.pop("judged", {})),
    }
    return mention(number, **(defaults | values))


def groups(engine) -> set[frozenset[int]]:
    """The events as sets of the mentions' numbers."""
    found: dict[str, set[int]] = {}
    for row in snapshot(engine)["event_mentions"]:
        found.setdefault(row["event_id"], set()).add(int(row["mention_id"][1:], 16))
    return {frozenset(numbers) for numbers in found.values()}


def sets(*numbers) -> set[frozenset[int]]:
    return {frozenset(group) for group in numbers}


class EventCases:
    """Events, and what changes them."""

    def test_mentions_of_one_project_are_one_event(self, engine):
        result = writer(engine).write(batch(told(3), told(2), told(1, "Marrow")))
        assert groups(engine) == sets({3, 2}, {1})
        assert len(result.events) == 2
        [event] = [e for e in recent_events(engine) if e.project == "Quillon"]
        assert (event.mentions, event.owners, event.copies, event.sequence) == (2, 2, 0, 1)
        assert (event.first_source, event.first_seen_at) == ("source-3", NOW - 3 * HOUR)
        assert event.confidence == pytest.approx(1 - (1 - 0.9 * 0.8) ** 2)
        assert event.id == event_key(told(3).entry_id)

    def test_a_listing_is_an_event_of_its_own(self, engine):
        writer(engine).write(batch(told(2), told(1, track="listing:binance")))
        assert groups(engine) == sets({2}, {1})

    def test_a_ticker_carries_another_name_over(self, engine):
        named = [told(n, "Grass", token="GRASS") for n in (5, 4, 3)]
        writer(engine).write(batch(*named, told(2, "Phantom", token="GRASS")))
        assert groups(engine) == sets({5, 4, 3, 2})

    def test_votes_that_come_later_carry_over_what_is_stored(self, engine):
        writer(engine).write(batch(told(9, "Phantom", token="GRASS")))
        assert groups(engine) == sets({9})
        named = [told(n, "Grass", token="GRASS") for n in (5, 4, 3)]
        writer(engine).write(batch(*named))
        assert groups(engine) == sets({9, 5, 4, 3})

    def test_every_change_counts_and_only_a_change(self, engine):
        first = writer(engine).write(batch(told(5)))
        again = writer(engine).write(batch(told(5)))
        later = writer(engine, NOW + HOUR).write(batch(told(4, status="live")))
        assert (len(first.events), first.changed_events) == (1, ())
        assert (again.events, again.changed_events) == ((), ())
        assert (later.events, later.changed_events) == ((), first.events)
        [event] = recent_events(engine)
        assert (event.sequence, event.created_at, event.changed_at) == (2, NOW, NOW + HOUR)
        assert [step["status"] for step in event.history] == ["announced", "live"]

    def test_an_earlier_mention_takes_the_event_over_and_the_old_id_leads_there(self, engine):
        writer(engine).write(batch(told(2)))
        writer(engine).write(batch(told(5)))
        [event] = recent_events(engine)
        assert (event.id, event.sequence) == (event_key(told(5).entry_id), 2)
        assert [found.id for found in find_events(engine, event_key(told(2).entry_id))] == [
            event.id
        ]

    def test_a_copy_is_with_its_original_and_no_witness(self, engine):
        original = told(5)
        copy = told(4, near=((original.entry_id, 0.9),))
        result = writer(engine).write(batch(original, copy, told(3)))
        assert result.outcomes[copy.entry_id] == "duplicate"
        [event] = recent_events(engine)
        assert (event.mentions, event.copies, event.owners) == (2, 1, 2)
        assert [row.duplicate_of for row in mentions_of(engine, event.id)] == [
            None,
            original.entry_id,
            None,
        ]

    def test_a_copy_whose_original_another_process_has_in_hand(self, engine):
        original = told(5)
        copy = told(4, near=((original.entry_id, 0.9),))
        writer(engine).write(batch(copy))
        assert snapshot(engine)["alerts"][0]["id"] == copy.entry_id
        writer(engine).write(batch(original))
        assert [row["id"] for row in snapshot(engine)["alerts"]] == [original.entry_id]
        assert groups(engine) == sets({5, 4})

    def test_the_fuller_of_two_copies_is_shown(self, engine):
        body = make_fingerprint("", "", " ".join(f"word{n}" for n in range(60)), frozenset())
        short = told(5, title="Quillon opens claims", traits=None)
        copy = told(4, title="In full", fingerprint=body, near=((short.entry_id, 0.9),))
        writer(engine).write(batch(short))
        assert recent_events(engine)[0].title == "Quillon opens claims"
        writer(engine).write(batch(copy))
        [event] = recent_events(engine)
        assert (event.title, event.url) == ("In full", copy.url)
        assert (event.first_mention, event.shown_mention) == (short.entry_id, copy.entry_id)

    def test_one_owner_counts_once(self, engine):
        writer(engine).write(batch(told(3, owner="acme"), told(2, owner="acme")))
        [event] = recent_events(engine)
        assert (event.mentions, event.owners, event.confidence) == (2, 1, 0.72)

    def test_merged_by_hand_and_remembered(self, engine):
        writer(engine).write(batch(told(5), told(4, "Marrow")))
        writer(engine).edit_events("merge", [told(5).entry_id, told(4).entry_id])
        assert groups(engine) == sets({5, 4})
        writer(engine).write(batch(told(3), told(2, "Marrow"), told(1, "Other")))
        assert groups(engine) == sets({5, 4, 3, 2}, {1})

    def test_split_by_hand_and_remembered(self, engine):
        writer(engine).write(batch(told(5), told(4), told(3)))
        changes = writer(engine).edit_events("split", [told(4).entry_id])
        assert groups(engine) == sets({5, 3}, {4})
        assert len(changes.changed) == len(changes.new) == 1
        writer(engine).write(batch(told(2)))
        assert groups(engine) == sets({5, 3, 2}, {4})

    def test_a_later_edit_goes_over_an_earlier_one(self, engine):
        writer(engine).write(batch(told(5), told(4)))
        writer(engine).edit_events("split", [told(4).entry_id])
        writer(engine).edit_events("merge", [told(5).entry_id, told(4).entry_id])
        assert groups(engine) == sets({5, 4})

    def test_new_rules_move_a_mention(self, engine):
        writer(engine).write(batch(told(5), told(4)))
        writer(engine).write(batch(told(4, "Marrow"), rules_version="rules-2"))
        assert groups(engine) == sets({5}, {4})

    def test_mentions_of_older_rules_are_read_anew(self, engine):
        title = "Quillon sets date for airdrop of QLN"
        writer(engine).write(batch(told(5, title=title), told(4, title=title)))
        before = settled(engine)
        with write_transaction(engine) as connection:
            older = {"version": "", "entity": "", "fingerprint": b""}
            connection.execute(sa.update(MENTION_TRAITS).values(older))
        assert writer(engine).refresh_traits(frozenset(), frozenset()) == 2
        assert writer(engine).refresh_traits(frozenset(), frozenset()) == 0
        assert settled(engine)["events"] == before["events"]
        assert len(list(fingerprints(engine, since=NOW))) == 2

    def test_events_and_their_mentions_by_pages(self, engine):
        many = [told(hour, url_key=f"k{hour}") for hour in range(1, 8)]
        writer(engine).write(batch(*many, told(30, "Marrow"), told(40, "Fernway")))
        whole = recent_events(engine)
        pages: list = []
        while page := recent_events(engine, limit=2, before=pages[-1].cursor if pages else None):
            pages += page
        assert pages == whole
        [largest] = largest_events(engine, 1)
        assert (largest.project, largest.size) == ("Quillon", 7)
        mentions = mentions_of(engine, largest.id)
        assert [one.id for one in mentions] == [one.entry_id for one in reversed(many)]
        first = mentions_of(engine, largest.id, limit=3)
        rest = mentions_of(engine, largest.id, after=first[-1].cursor, limit=100)
        assert first + rest == mentions
        for wrong in ("", "x", "2026-01-01~a", "2026-01-01T00:00:00+00:00~"):
            with pytest.raises(ArgumentError, match="no cursor"):
                recent_events(engine, before=wrong)
            with pytest.raises(ArgumentError, match="no cursor"):
                mentions_of(engine, largest.id, after=wrong)

    def test_filters(self, engine):
        judged = {"companies": ("Acme",)}
        writer(engine).write(batch(told(5, judged=judged), told(48, "Marrow", status="live")))
        for filters, expected in (
            ({}, ["Quillon", "Marrow"]),
            ({"company": "acme"}, ["Quillon"]),
            ({"status": "live"}, ["Marrow"]),
            ({"kind": "listing"}, []),
            ({"since": NOW - 6 * HOUR}, ["Quillon"]),
            ({"min_confidence": 0.99}, []),
            ({"limit": 1}, ["Quillon"]),
        ):
            assert [event.project for event in recent_events(engine, **filters)] == expected
        assert len(largest_events(engine, 1)) == 1

    def test_an_id_may_be_cut_short_and_is_no_pattern(self, engine):
        writer(engine).write(batch(told(5), told(4, "Marrow")))
        event = recent_events(engine)[0]
        assert [found.id for found in find_events(engine, event.id[:12])] == [event.id]
        assert find_events(engine, "1") == find_events(engine, "%______") == []
