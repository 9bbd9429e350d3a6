"""Requests on their way to the shared queue, and fingerprints that were met of late."""

from __future__ import annotations

import pytest
from scrapy import Request

from tgecrawler.scheduling import lease_outbox as outbox_module
from tgecrawler.scheduling.lease_outbox import MOST_BYTES, MOST_OFFERS, Outbox
from tgecrawler.scheduling.queue_values import Offer
from tgecrawler.scheduling.recent_prints import KEPT_S, MOST, RecentPrints


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(outbox_module, "time", clock)
    return clock


@pytest.fixture
def outbox():
    return Outbox()


def put(outbox, id_, **more):
    offer = Offer(id=id_, host="h", priority=0, **({"payload": b"p", "bounded": False} | more))
    outbox.put(Request("http://h.example/"), offer)


def ids(parcels):
    return "".join(parcel.offer.id for parcel in parcels)


def test_what_leases_have_brought_goes_first(outbox):
    put(outbox, "a", bounded=True)
    put(outbox, "b")
    put(outbox, "c", bounded=True)
    put(outbox, "d")
    assert ids(outbox.take()) == "bdac"


def test_ends_may_be_said_up_to_what_was_taken(outbox):
    for at in range(MOST_OFFERS + 2):
        put(outbox, str(at))
    first = outbox.take()
    assert len(first) == outbox.number_taken == MOST_OFFERS
    outbox.answer(first, ["new"] * len(first))
    rest = outbox.take()
    assert outbox.number_taken == outbox.number == MOST_OFFERS + 2
    outbox.put_back(rest)
    assert outbox.number_taken == MOST_OFFERS
    assert outbox.take() == rest


def test_large_requests_go_in_smaller_batches(outbox):
    for id_ in "abcd":
        put(outbox, id_, payload=bytes(MOST_BYTES // 2))
    assert ids(outbox.take()) == "ab"


def test_what_meets_a_full_queue_stays_in_its_order_for_a_while(outbox, clock):
    for id_ in "abc":
        put(outbox, id_, bounded=True)
    taken = outbox.take()
    put(outbox, "d", bounded=True)
    outbox.answer(taken, ["new", "full", "full"])
    assert outbox.is_full
    assert not outbox.is_due
    assert outbox.take() == []
    put(outbox, "e")  # is taken by a full queue as well
    assert outbox.is_due
    assert ids(outbox.take()) == "e"
    clock.now_s += 2
    taken = outbox.take()
    assert ids(taken) == "bcd"
    outbox.answer(taken, ["new"] * 3)
    assert not outbox.is_full
    assert len(outbox) == 0


def test_at_the_end_everything_is_offered(outbox, clock):
    put(outbox, "a", bounded=True)
    outbox.answer(outbox.take(), ["full"])
    outbox.insist()
    taken = outbox.take()
    assert [parcel.offer.bounded for parcel in taken] == [False]
    outbox.put_back(taken)
    assert outbox.number_taken == 0
    assert outbox.take() == taken


def test_a_group_is_awaited_until_the_queue_has_answered(outbox, clock):
    for _ in range(2):
        put(outbox, "a", group="g", bounded=True)
    taken = outbox.take()
    assert outbox.awaits("g")
    outbox.answer(taken, ["queued", "full"])
    assert outbox.awaits("g")
    clock.now_s += 2
    outbox.answer(outbox.take(), ["seen"])
    assert not outbox.awaits("g")


def test_a_fingerprint_is_recent_for_a_while():
    clock = Clock()
    recent = RecentPrints(clock.monotonic)
    assert not recent.meets(b"a")
    assert recent.meets(b"a")
    clock.now_s += KEPT_S + 1
    assert recent.meets(b"a")
    clock.now_s += KEPT_S + 1
    assert not recent.meets(b"a")
    recent.clear()
    assert not recent.meets(b"a")


def test_no_more_than_two_generations_are_kept():
    recent = RecentPrints()
    for at in range(3 * MOST):
        recent.meets(at.to_bytes(4, "big"))
    assert len(recent._new) + len(recent._old) <= 2 * MOST
    assert not recent.meets((0).to_bytes(4, "big"))
