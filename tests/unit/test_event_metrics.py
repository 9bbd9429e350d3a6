"""Agreement of events and duplicates with labelled ones."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.event_metrics import (
    UNDATED,
    Agreement,
    compare_duplicates,
    compare_groups,
    find_duplicates,
    find_events,
    moment_of,
)
from tgecrawler.domain.matching import word_set
from tgecrawler.domain.metrics import LabelledRecord
from tgecrawler.items import Assessment

ORDINARY = word_set("opens claims for its early users of the token today")


def record(id_: str, published: str = "2026-03-01", title: str = "", **fields) -> LabelledRecord:
    return LabelledRecord(id=id_, tge=True, published=published, title=title, **fields)


def judged(one: LabelledRecord, **fields) -> tuple[LabelledRecord, Assessment]:
    values = {"kind": "airdrop", "status": "announced", "project": "Quillon"} | fields
    return one, Assessment(score=0.9, relevant=True, **values)


def test_ratios():
    assert Agreement(2, 3, 4).as_dict("event") == {
        "event_precision": pytest.approx(2 / 3),
        "event_recall": 0.5,
        "event_f1": pytest.approx(4 / 7),
    }
    assert set(Agreement(0, 0, 0).as_dict("x").values()) == {0.0}
    assert set(Agreement(0, 2, 2).as_dict("x").values()) == {0.0}


@pytest.mark.parametrize(
    ("found", "labelled", "expected"),
    [
        ("", "", (0, 0, 0)),
        ("a", "x", (0, 0, 0)),
        ("aa", "xx", (1, 1, 1)),
        ("aaa", "xxx", (3, 3, 3)),
        ("aaa", "xxy", (1, 3, 1)),
        ("aab", "xxx", (1, 1, 3)),
        ("abc", "xxx", (0, 0, 3)),
        ("aabb", "xyxy", (0, 2, 2)),
        ("aa", "--", (0, 0, 0)),  # an empty label is no group
        ("--", "xx", (0, 0, 1)),  # nor is an empty answer
        ("aaaa", "xx--", (1, 1, 1)),  # what is not labelled does not count
    ],
)
def test_pairs_that_share_a_group(found, labelled, expected):
    groups = [
        {str(at): group.strip("-") for at, group in enumerate(one)} for one in (found, labelled)
    ]
    assert compare_groups(*groups) == Agreement(*expected)


def test_ids_that_only_one_side_knows():
    assert compare_groups({"a": "1", "b": "1"}, {}) == Agreement(0, 0, 0)
    assert compare_groups({"a": "1"}, {"a": "x", "b": "x"}) == Agreement(0, 0, 1)


groupings = st.lists(
    st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["", "x", "y"])), max_size=9
)


@settings(deadline=None)
@given(groupings)
def test_it_is_a_count_of_pairs(rows):
    found = {str(at): one for at, (one, _) in enumerate(rows)}
    labelled = {str(at): other for at, (_, other) in enumerate(rows)}
    pairs = list(combinations([id_ for id_ in found if labelled[id_]], 2))
    together = {p for p in pairs if found[p[0]] and found[p[0]] == found[p[1]]}
    wanted = {p for p in pairs if labelled[p[0]] == labelled[p[1]]}
    assert compare_groups(found, labelled) == Agreement(
        len(together & wanted), len(together), len(wanted)
    )


@pytest.mark.parametrize(
    ("found", "labelled", "expected"),
    [
        ({}, {}, (0, 0, 0)),
        ({"b": "a"}, {"b": "a"}, (1, 1, 1)),
        ({"b": "a"}, {"b": "c"}, (0, 1, 1)),
        ({"b": "a", "c": "a"}, {"b": "a", "d": "a"}, (1, 2, 2)),
        ({"b": "a", "c": "a"}, {"b": "a"}, (1, 2, 1)),
    ],
)
def test_duplicates_with_their_originals(found, labelled, expected):
    assert compare_duplicates(found, labelled) == Agreement(*expected)


@pytest.mark.parametrize(
    ("published", "moment"),
    [
        ("2026-03-04T05:06:00Z", datetime(2026, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-03-04", datetime(2026, 3, 4, tzinfo=UTC)),
        ("2026-03", datetime(2026, 3, 1, tzinfo=UTC)),
        ("", UNDATED),
        ("soon", UNDATED),
    ],
)
def test_moment(published, moment):
    assert moment_of(record("a", published)) == moment


TITLE = "Quillon opens claims for its early users"


def test_the_earliest_of_copies_is_the_original():
    records = [
        record("b", "2026-03-02", TITLE),
        record("a", "2026-03-03", f"{TITLE} today"),
        record("c", "2026-03-01", TITLE),
        record("d", "2026-03-01", TITLE.replace("Quillon", "Marrow")),
        record("e", "2026-03-01"),
        record("f", "2026-03-01"),  # two that say nothing are no copies
    ]
    expected = {"a": "c", "b": "c"}
    pairs = [judged(one, project="") for one in records]
    nobodys = (ORDINARY, frozenset())
    assert find_duplicates(pairs, *nobodys) == expected
    assert find_duplicates(pairs[::-1], *nobodys) == expected
    assert find_duplicates([], *nobodys) == find_duplicates(pairs[:1], *nobodys) == {}
    other = [judged(records[0], project="Quillon"), judged(records[2], project="Marrow")]
    assert find_duplicates(other, *nobodys) == {}


def test_events_are_named_by_their_first_record():
    records = [
        judged(record("a", "2026-03-03", "Quillon airdrop")),
        judged(record("b", "2026-03-01", "Quillon airdrop is near")),
        judged(record("c", "2026-03-02", "Marrow airdrop"), project="Marrow"),
        judged(record("d", "2026-03-02", "Quillon airdrop, season 2")),
        judged(record("e", "2026-03-02", "Hexbay lists"), kind="listing", exchange="Hexbay"),
        judged(record("f", "2026-03-02"), project=""),
        judged(record("g", "2026-03-02"), project=""),
    ]
    expected = {"b": "b", "d": "d", "a": "d", "c": "c", "e": "e", "f": "f", "g": "g"}
    assert find_events(records, {}, frozenset()) == expected
    assert find_events(records[::-1], {}, frozenset()) == expected
    assert find_events([], {}, frozenset()) == {}


def test_a_duplicate_is_with_its_original_and_has_no_vote():
    named = [
        judged(record("a", "2026-03-01", "News"), project="Quillon", token="QLN"),
        judged(record("b", "2026-03-02", "News"), project="Quillon", token="QLN"),
        judged(record("c", "2026-03-03", "News"), project="Quillon", token="QLN"),
        judged(record("d", "2026-03-04", "News"), project="Marrow", token="QLN"),
    ]
    carried_over = dict.fromkeys("abcd", "a")
    assert find_events(named, {}, frozenset()) == carried_over
    assert find_events(named, {"b": "a"}, frozenset()) == carried_over | {"d": "d"}
    # where the original is not among the records, its duplicate is one
    assert find_events(named, {"b": "z"}, frozenset()) == carried_over


def test_a_name_of_anybody_gives_way_to_the_ticker():
    named = [
        judged(record("a", "2026-03-01", "News"), project="Quillon", token="QLN"),
        judged(record("b", "2026-03-02", "News"), project="Hexbay", token="$QLN"),
    ]
    assert find_events(named, {}, frozenset({"hexbay"})) == {"a": "a", "b": "a"}
    assert find_events(named, {}, frozenset()) == {"a": "a", "b": "b"}
