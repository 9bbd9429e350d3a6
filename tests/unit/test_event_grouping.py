"""Which mentions are one event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.event_grouping import (
    LAUNCH_DAYS,
    PLANS_AFTER,
    QUIET_AFTER,
    QUIET_AHEAD,
    QUIET_ANYWHERE,
    QUIET_LISTING,
    QUIET_MIGRATION,
    QUIET_ONCE,
    QUIET_SALE,
    EventMention,
    entity_of,
    group_mentions,
)
from tgecrawler.domain.event_traits import ANYWHERE, DERIVATIVES, MAIN, MIGRATION, SALE
from tgecrawler.items import STATUSES

START = datetime(2026, 1, 1, tzinfo=UTC)


def told(day: float, status: str = "announced", track: str = MAIN, **fields) -> EventMention:
    """A mention of Quillon, with its day as the id."""
    values = {"id": f"{day:g}", "entity": "quillon", "season": 0} | fields
    return EventMention(told_at=START + timedelta(days=day), status=status, track=track, **values)


def ids(mentions) -> list[list[str]]:
    return [[mention.id for mention in event] for event in group_mentions(mentions)]


def days(*groups: tuple[float, ...]) -> list[list[str]]:
    return [[f"{day:g}" for day in group] for group in groups]


@pytest.mark.parametrize(
    ("project", "token", "votes", "entity"),
    [
        ("", "", {}, ""),
        ("quillon", "", {}, "quillon"),
        ("", "QLN", {}, "qln"),
        ("quillon", "QLN", {}, "quillon"),
        ("", "QLN", {"quillon": 1}, "quillon"),
        ("", "QLN", {"": 9}, "qln"),  # votes for nothing count nothing
        ("", "QLN", {"": 9, "quillon": 1}, "quillon"),
        ("", "QLN", {"marrow": 2, "quillon": 2}, "marrow"),  # between equals the alphabet
        ("", "QLN", {"quillon": 2, "marrow": 2}, "marrow"),
        # the ticker used as a name: "QLN opens claims"
        ("qln", "QLN", {"quillon": 1}, "quillon"),
        ("qln", "QLN", {"quillon": 3, "qln": 10}, "quillon"),
        ("qln", "QLN", {"quillon": 2, "qln": 10}, "qln"),
        ("", "QLN", {"quillon": 2, "qln": 10}, "qln"),
        ("quillon", "QLN", {"quillon": 3, "qln": 10}, "quillon"),
        ("quillon", "QLN", {"quillon": 2, "qln": 10}, "qln"),
        # another one's ticker
        ("marrow", "QLN", {"marrow": 1, "quillon": 3}, "quillon"),
        ("marrow", "QLN", {"marrow": 2, "quillon": 3}, "marrow"),
        ("marrow", "QLN", {"quillon": 1}, "marrow"),
        ("marrow", "QLN", {"quillon": 2}, "quillon"),
        ("quillon", "QLN", {"marrow": 1, "quillon": 3}, "quillon"),
        ("straße", "STRASSE", {}, "straße"),
    ],
)
def test_entity(project, token, votes, entity):
    assert entity_of(project, token, votes) == entity


def test_nothing_and_one():
    assert group_mentions([]) == []
    assert ids([told(0)]) == days((0,))


def test_order_of_time_then_of_ids():
    same = [told(0, id="b"), told(0, id="a"), told(-1, id="c")]
    assert ids(same) == [["c", "a", "b"]]


def test_entities_are_apart_and_one_that_names_nothing_stands_alone():
    mentions = [
        told(0, id="a"),
        told(0, id="b", entity="marrow"),
        told(0, id="c", entity=""),
        told(0, id="d", entity=""),
    ]
    assert sorted(ids(mentions)) == [["a"], ["b"], ["c"], ["d"]]


def test_tracks_are_apart():
    tracks = [MAIN, SALE, MIGRATION, DERIVATIVES, "listing:hexbay", "listing:gateway"]
    mentions = [told(0, track=track, id=track) for track in tracks]
    assert sorted(ids(mentions)) == sorted([track] for track in tracks)


@pytest.mark.parametrize(
    ("track", "before", "quiet"),
    [
        ("listing:hexbay", ["live"], QUIET_LISTING),
        (DERIVATIVES, ["live"], QUIET_LISTING),
        (ANYWHERE, ["live"], QUIET_ANYWHERE),
        (SALE, ["live"], QUIET_SALE),
        (MIGRATION, ["live"], QUIET_MIGRATION),
        (MAIN, ["announced"], QUIET_AHEAD),
        (MAIN, ["announced", "scheduled", "postponed"], QUIET_AHEAD),
        (MAIN, ["live"], QUIET_ONCE),
        (MAIN, ["live", "announced"], QUIET_ONCE),
        (MAIN, ["live", "completed"], QUIET_AFTER),
    ],
)
def test_how_long_an_event_may_be_quiet(track, before, quiet):
    event = [told(-at, status, track) for at, status in enumerate(before)]
    last = [f"{-at:g}" for at in reversed(range(len(before)))]
    assert ids([*event, told(quiet, "live", track)]) == [[*last, f"{quiet}"]]
    later = told(quiet + 0.01, "live", track, id="later")
    assert ids([*event, later]) == [last, ["later"]]


def test_quiet_counts_from_the_last_mention():
    assert ids([told(0), told(QUIET_AHEAD), told(2 * QUIET_AHEAD)]) == days(
        (0, QUIET_AHEAD, 2 * QUIET_AHEAD)
    )


@pytest.mark.parametrize(
    ("mentions", "parted"),
    [
        ([(PLANS_AFTER + 1, "announced")], True),
        ([(PLANS_AFTER + 1, "scheduled")], True),
        ([(PLANS_AFTER + 0.25, "scheduled")], True),  # counted from the first of the two
        ([(PLANS_AFTER + 1, "postponed")], True),
        ([(PLANS_AFTER + 1, "rumour")], False),
        ([(PLANS_AFTER + 1, "live")], False),
        ([(PLANS_AFTER + 1, "none")], False),
        ([(PLANS_AFTER, "announced")], False),
        ([(PLANS_AFTER - 1, "none"), (PLANS_AFTER + 1, "announced")], False),  # still talked of
        ([(PLANS_AFTER - 1, "none"), (PLANS_AFTER - 1 + LAUNCH_DAYS + 0.5, "announced")], True),
    ],
)
def test_a_new_plan_after_it_happened_twice_is_another_event(mentions, parted):
    later = [told(day, status) for day, status in mentions]
    events = ids([told(0, "live"), told(0.5, "completed"), *later])
    assert len(events) == 1 + parted
    assert not parted or events[1] == [later[-1].id]


def test_after_a_single_live_text_a_plan_is_of_the_same_event():
    assert len(ids([told(0, "live"), told(PLANS_AFTER + 1)])) == 1


@pytest.mark.parametrize(
    ("seasons", "expected"),
    [
        ([0, 0], days((0, 1))),
        ([0, 2], days((0,), (1,))),
        ([2, 0, 2], days((0, 1, 2))),
        ([2, 0, 3, 0, 3], days((0, 1), (2, 3, 4))),
        ([0, 2, 0], days((0,), (1, 2))),
    ],
)
def test_seasons(seasons, expected):
    assert ids(told(day, season=season) for day, season in enumerate(seasons)) == expected


def test_a_season_ends_with_its_event():
    gap = QUIET_AHEAD + 1
    assert ids([told(0, season=2), told(gap), told(gap + 1, season=2)]) == days(
        (0,), (gap,), (gap + 1,)
    )


LAUNCH = [told(0, "live"), told(1, "live")]


@pytest.mark.parametrize(
    ("day", "status", "part"),
    [
        (1 + LAUNCH_DAYS, "live", True),
        (1 + LAUNCH_DAYS + 0.5, "live", False),
        (-LAUNCH_DAYS, "live", True),
        (-LAUNCH_DAYS - 0.5, "live", False),
        (-30, "announced", True),  # hints before the launch
        (-30, "postponed", True),
        (-30, "none", False),
        (1 + LAUNCH_DAYS + 0.5, "announced", False),
    ],
)
def test_a_listing_somewhere_is_part_of_a_launch_nearby(day, status, part):
    events = ids([*LAUNCH, told(day, status, ANYWHERE)])
    assert len(events) == 2 - part


def test_one_text_alone_may_have_called_it_live_too_early():
    assert len(ids([LAUNCH[0], told(60, "announced", ANYWHERE)])) == 1
    assert len(ids([LAUNCH[0], told(60, "live", ANYWHERE)])) == 2


def test_a_listing_on_a_named_exchange_is_no_part_of_the_launch():
    assert len(ids([*LAUNCH, told(0.5, "live", "listing:hexbay")])) == 2


mentions_lists = st.lists(
    st.builds(
        EventMention,
        id=st.text("abcdef", min_size=1, max_size=4),
        told_at=st.sampled_from([0, 0.5, 1, 4, 8, 21, 30, 95, 200, 700]).map(
            lambda day: START + timedelta(days=day)
        ),
        entity=st.sampled_from(["", "quillon", "marrow"]),
        track=st.sampled_from([MAIN, MAIN, ANYWHERE, SALE, "listing:hexbay"]),
        season=st.sampled_from([0, 0, 2, 3]),
        status=st.sampled_from(STATUSES),
    ),
    unique_by=lambda one: one.id,
    max_size=14,
)


@settings(deadline=None)
@given(mentions_lists, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_partition(mentions, random):
    shuffled = list(mentions)
    random.shuffle(shuffled)
    events = group_mentions(mentions)
    assert group_mentions(shuffled) == events
    assert group_mentions(iter(mentions)) == events
    flat = [mention for event in events for mention in event]
    assert sorted(flat, key=lambda one: one.id) == sorted(mentions, key=lambda one: one.id)
    for event in events:
        assert event == sorted(event, key=lambda one: (one.told_at, one.id))
        assert len({one.entity or one.id for one in event}) == 1
        assert len({one.season for one in event} - {0}) <= 1
