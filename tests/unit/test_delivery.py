from __future__ import annotations

from tgecrawler.domain.delivery import Delivery


def delivery(told: list[Delivery]) -> Delivery:
    return Delivery("desk", "1key", etag='"1"', at_rest=told.append)


def test_it_rests_once_the_last_entry_is_decided() -> None:
    told: list[Delivery] = []
    body = delivery(told)
    body.opened()
    body.opened()
    body.closed("stored")
    body.taken()
    assert not told
    body.closed("irrelevant")
    assert told == [body]
    assert body.settled


def test_entries_decided_while_the_body_is_read_do_not_end_it() -> None:
    told: list[Delivery] = []
    body = delivery(told)
    body.opened()
    body.closed("duplicate")
    assert not told
    assert not body.settled
    body.taken()
    assert told == [body]
    assert body.settled


def test_an_empty_body_rests_at_once() -> None:
    told: list[Delivery] = []
    delivery(told).taken()
    assert len(told) == 1
    assert told[0].settled


def test_what_failed_or_waits_is_not_settled() -> None:
    for outcome in ("failed", "pending"):
        told: list[Delivery] = []
        body = delivery(told)
        body.opened()
        body.taken()
        body.closed(outcome)
        assert told == [body]
        assert not body.settled


def test_entries_that_were_left_keep_it_from_settling() -> None:
    told: list[Delivery] = []
    body = delivery(told)
    body.left(3)
    body.taken()
    assert not told[0].settled


def test_one_entry_that_was_not_written_is_enough_to_want_the_body_again() -> None:
    told: list[Delivery] = []
    body = delivery(told)
    body.opened()
    body.opened()
    body.taken()
    body.closed("failed", again=True)
    body.closed("stored")
    assert (body.settled, body.is_wanted_again) == (False, True)
