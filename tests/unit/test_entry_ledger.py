from __future__ import annotations

from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler

from tgecrawler.domain.delivery import Delivery
from tgecrawler.extensions.ledger import EntryLedger


def test_a_body_waits_for_entries_that_an_earlier_one_brought() -> None:
    told: list[Delivery] = []
    ledger = EntryLedger(StatsCollector(get_crawler()))
    first = Delivery("desk", "1one", at_rest=told.append)
    assert ledger.open("entry", first)
    first.taken()
    again = Delivery("desk", "1one", at_rest=told.append)
    assert not ledger.open("entry", again)
    again.taken()
    assert told == []
    ledger.close("entry", "stored")
    assert told == [first, again]
    assert again.settled
    assert not ledger.accounts


def test_a_body_knows_of_an_entry_that_failed() -> None:
    told: list[Delivery] = []
    ledger = EntryLedger(StatsCollector(get_crawler()))
    body = Delivery("desk", "1one", at_rest=told.append)
    ledger.open("entry", body)
    body.taken()
    ledger.close("entry", "failed")
    assert not told[0].settled
