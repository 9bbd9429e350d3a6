"""Which mention of a story is the original."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.grouping import Candidate, choose_originals

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def row(id_: str, **values) -> Candidate:
    return Candidate(**{"id": id_, "tier": 2, "published_at": EARLY, **values})


@pytest.mark.parametrize(
    ("first", "second", "original"),
    [
        (row("a", published_at=LATE), row("b"), "b"),
        (row("a", published_at=None), row("b", published_at=LATE, tier=4), "b"),
        (row("a"), row("b", tier=1), "b"),
        (row("a"), row("b"), "a"),
        (row("a", published_at=None), row("b", published_at=None), "a"),
    ],
)
def test_precedence(first, second, original):
    rows = [Candidate(**{**_fields(one), "text_key": "same"}) for one in (first, second)]
    assert choose_originals(rows) == {"a": original, "b": original}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], {}),
        ([row("a"), row("b")], {"a": "a", "b": "b"}),
        ([row("a", url_key="k"), row("b", text_key="k")], {"a": "a", "b": "b"}),
        ([row("a", url_key="k"), row("b", url_key="k")], {"a": "a", "b": "a"}),
        (
            [row("a", url_key="u"), row("b", url_key="u", text_key="t"), row("c", text_key="t")],
            {"a": "a", "b": "a", "c": "a"},
        ),
        ([row("b"), row("c", duplicate_of="b")], {"b": "b", "c": "b"}),
        ([row("b", duplicate_of="z"), row("c", duplicate_of="z")], {"b": "b", "c": "b"}),
        ([row("a", url_key="k"), row("a"), row("b", url_key="k")], {"a": "a", "b": "a"}),
    ],
)
def test_ties(rows, expected):
    assert choose_originals(rows) == expected


keys = st.sampled_from(["", "k", "l", "m"])
candidates = st.lists(
    st.builds(
        Candidate,
        id=st.sampled_from("abcdefgh"),
        tier=st.integers(1, 3),
        published_at=st.sampled_from([None, EARLY, LATE]),
        url_key=keys,
        text_key=keys,
        duplicate_of=st.sampled_from([None, None, "a", "h"]),
    ),
    unique_by=lambda one: one.id,
)


@settings(deadline=None)
@given(candidates, st.randoms(use_true_random=False))
def test_it_is_the_closure_of_all_ties_in_any_order(rows, random):
    expected = {}
    for one in rows:
        group, before = {one.id}, set()
        while group != before:
            before = set(group)
            group |= {b.id for a in rows if a.id in before for b in rows if _tied(a, b)}
        members = [r for r in rows if r.id in group]
        expected[one.id] = min(
            members, key=lambda r: (r.published_at is None, r.published_at or LATE, r.tier, r.id)
        ).id
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert choose_originals(rows) == choose_originals(shuffled) == expected


def _tied(a: Candidate, b: Candidate) -> bool:
    shared = (a.url_key and a.url_key == b.url_key) or (a.text_key and a.text_key == b.text_key)
    family = {a.id, a.duplicate_of} & {b.id, b.duplicate_of} - {None}
    return bool(shared or family)


def _fields(one: Candidate) -> dict:
    return {name: getattr(one, name) for name in ("id", "tier", "published_at")}
