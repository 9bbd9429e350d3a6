"""The index of entries that need not be fetched again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.storage.seen import SeenIndex

ENTRIES = [
    ("a", "stored", "rules-1"),
    ("b", "duplicate", "rules-1"),
    ("c", "irrelevant", "rules-1"),
    ("d", "too_old", "rules-2"),
]


def added() -> SeenIndex:
    index = SeenIndex()
    for entry in ENTRIES:
        index.add(*entry)
    return index


def test_stored_is_known_under_all_rules_and_rejected_under_its_own():
    for index in (SeenIndex(ENTRIES), added()):
        assert [id_ for id_ in "abcde" if index.known(id_, "rules-1")] == ["a", "b", "c"]
        assert [id_ for id_ in "abcde" if index.known(id_, "rules-2")] == ["a", "b", "d"]
        assert [id_ for id_ in "abcde" if index.known(id_, "")] == ["a", "b"]
        assert len(index) == 4


def test_an_entry_that_is_stored_later_is_known_for_good():
    index = SeenIndex([("c", "irrelevant", "rules-1")])
    index.add("c", "stored", "rules-2")
    assert index.known("c", "rules-3")


@settings(deadline=None)
@given(st.sets(st.text(max_size=5), max_size=60), st.sets(st.text(max_size=5), max_size=20))
def test_it_answers_as_a_set_does(loaded, later):
    index = SeenIndex((id_, "irrelevant", "rules") for id_ in loaded)
    for id_ in later:
        index.add(id_, "irrelevant", "rules")
    for id_ in loaded | later | {"unseen!"}:
        assert index.known(id_, "rules") == (id_ in loaded | later)
        assert not index.known(id_, "other rules")
