from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.ledger import Ledger
from tgecrawler.items import OUTCOMES


def test_an_entry_ends_once() -> None:
    ledger = Ledger()
    assert ledger.open("a")
    assert ledger.close("a", "stored")
    assert not ledger.close("a", "failed")
    assert dict(ledger.outcomes) == {"stored": 1}
    assert ledger.faults == ["a closed as failed, but is not open"]


def test_a_repetition_on_the_way_is_a_duplicate() -> None:
    ledger = Ledger()
    assert ledger.open("a")
    assert not ledger.open("a")
    assert ledger.seen == 2
    assert ledger.outcomes["duplicate"] == 1
    assert ledger.close("a", "stored")
    assert ledger.balanced


def test_what_never_came_in_cannot_go_out() -> None:
    ledger = Ledger()
    assert not ledger.close("a", "stored")
    assert ledger.faults
    assert ledger.balanced


def test_the_rest_is_pending() -> None:
    ledger = Ledger()
    ledger.open("a")
    ledger.open("b")
    ledger.close("a", "irrelevant")
    ledger.settle("too_old", 3)
    assert ledger.close_rest("pending") == 1
    assert (ledger.seen, dict(ledger.outcomes)) == (
        5,
        {"irrelevant": 1, "too_old": 3, "pending": 1},
    )


@given(st.lists(st.tuples(st.sampled_from(["open", *OUTCOMES]), st.sampled_from("abc"))))
def test_the_book_always_balances(steps: list[tuple[str, str]]) -> None:
    ledger = Ledger()
    for step, entry_id in steps:
        ledger.open(entry_id) if step == "open" else ledger.close(entry_id, step)  # type: ignore[arg-type]
        assert ledger.balanced
    ledger.close_rest("pending")
    assert ledger.seen == sum(ledger.outcomes.values())
