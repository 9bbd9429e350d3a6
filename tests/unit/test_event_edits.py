"""Events joined and parted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.event_edits import EventEdit, apply_edits


def merge(id_: int, mentions: str) -> EventEdit:
    return EventEdit(id=id_, action="merge", mentions=tuple(mentions))


def split(id_: int, mentions: str) -> EventEdit:
    return EventEdit(id=id_, action="split", mentions=tuple(mentions))


def edited(events: str, *edits: EventEdit) -> list[str]:
    return ["".join(event) for event in apply_edits(events.split(), edits)]


@pytest.mark.parametrize(
    ("events", "edits", "expected"),
    [
        ("", [], []),
        ("", [merge(1, "ab"), split(2, "a")], []),
        ("ab c", [], ["ab", "c"]),
        ("ab cd e", [merge(1, "ac")], ["abcd", "e"]),
        ("ab cd e", [merge(1, "ace")], ["abcde"]),
        ("ab cd e", [merge(1, "ea")], ["abe", "cd"]),
        ("ab c", [merge(1, "ab")], ["ab", "c"]),
        ("ab c", [merge(1, "a")], ["ab", "c"]),
        ("abc d", [split(1, "b")], ["ac", "d", "b"]),
        ("abc def", [split(1, "be")], ["ac", "df", "be"]),  # of two events: one of their own
        ("ab c", [split(1, "ab")], ["c", "ab"]),  # no event is left empty
        ("a", [split(1, "a")], ["a"]),
        # mentions in none of the events, and no mentions at all
        ("ab c", [merge(1, "xy"), split(2, "x"), merge(3, ""), split(4, "")], ["ab", "c"]),
        ("ab c", [merge(1, "xac")], ["abc"]),
        ("ab c", [split(1, "xa")], ["b", "c", "a"]),
        # a later decision goes over an earlier one, in the order of ids
        ("ab", [split(1, "a"), merge(2, "ab")], ["ba"]),
        ("ab", [merge(2, "ab"), split(1, "a")], ["ba"]),
        ("ab", [merge(1, "ab"), split(2, "a")], ["b", "a"]),
        ("a b c", [merge(1, "ab"), merge(2, "bc")], ["abc"]),
        ("a b c", [merge(1, "ab"), split(2, "a"), merge(3, "ac")], ["b", "ca"]),
        ("abc", [split(1, "a"), split(2, "b"), split(3, "ab")], ["c", "ab"]),
    ],
)
def test_edits(events, edits, expected):
    assert [set(event) for event in edited(events, *edits)] == [set(event) for event in expected]
    assert sorted(map(len, edited(events, *edits))) == sorted(map(len, expected))


def test_the_events_given_stay_as_they_are():
    events = [["a", "b"], ["c"]]
    apply_edits(events, [split(1, "a"), merge(2, "bc")])
    assert events == [["a", "b"], ["c"]]


LETTERS = "abcdefgh"
edit_lists = st.lists(
    st.builds(
        EventEdit,
        id=st.integers(1, 99),
        action=st.sampled_from(["merge", "split"]),
        mentions=st.lists(st.sampled_from(LETTERS + "xy"), unique=True).map(tuple),
    ),
    unique_by=lambda edit: edit.id,
    max_size=6,
)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=8, max_size=8),
    edit_lists,
    st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same_partition(places, edits, random):
    events = [
        [letter for letter, place in zip(LETTERS, places, strict=True) if place == at]
        for at in range(5)
    ]
    found = _sets(apply_edits(events, edits))
    random.shuffle(edits)
    random.shuffle(events)
    assert _sets(apply_edits(events, edits)) == found
    assert sorted(letter for event in found for letter in event) == list(LETTERS)


def _sets(events: list[list[str]]) -> set[frozenset[str]]:
    assert all(events)
    return {frozenset(event) for event in events}
