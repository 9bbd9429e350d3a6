"""The filter of duplicates that several processes share, on a real Redis server."""

from __future__ import annotations

import pytest
from redis import Redis
from scrapy import Request, Spider
from scrapy.dupefilters import BaseDupeFilter
from scrapy.utils.test import get_crawler

from tgecrawler.scheduling.queue_upkeep import queue_prefix
from tgecrawler.scheduling.shared_dupefilter import SharedDupeFilter

A, B = Request("http://a.example/?x=1&y=2"), Request("http://b.example/")


class ByPath:
    """Two hosts' pages of the same path are one."""

    def fingerprint(self, request):
        return request.url.rpartition("/")[2].encode()


def make(redis_url, **settings):
    crawler = get_crawler(Spider, {"TGE_REDIS_URL": redis_url, **settings})
    crawler.spider = Spider("test")
    crawler._apply_settings()
    return SharedDupeFilter.from_crawler(crawler)


@pytest.fixture
def filters(redis_url):
    made = [make(redis_url), make(redis_url)]
    yield made
    for one in made:
        one.close()


def test_what_one_has_seen_the_other_knows(filters):
    one, other = filters
    assert isinstance(one, BaseDupeFilter)
    assert not one.request_seen(A)
    assert other.request_seen(A)
    assert other.request_seen(Request("http://a.example/?y=2&x=1"))  # Scrapy's fingerprint
    assert not other.request_seen(B)


def test_closing_forgets_nothing(filters):
    one, other = filters
    one.request_seen(A)
    one.close("finished")
    assert other.request_seen(A)


def test_one_can_be_forgotten_and_all_can(filters):
    one, other = filters
    for request in (A, B):
        one.request_seen(request)
    one.forget(A)
    assert other.request_seen(B)
    assert not other.request_seen(A)
    one.clear()
    assert not other.request_seen(A)
    assert not other.request_seen(B)


def test_the_crawlers_fingerprinter_is_asked(redis_url):
    by_path = make(redis_url, REQUEST_FINGERPRINTER_CLASS=ByPath)
    assert not by_path.request_seen(Request("http://a.example/x"))
    assert by_path.request_seen(Request("http://b.example/x"))
    by_path.close()


def test_duplicates_are_counted_and_age_is_bounded(filters, redis_url):
    one, _ = filters
    one.request_seen(A)
    one.log(A, one.crawler.spider)
    assert one.crawler.stats.get_value("dupefilter/filtered") == 1
    client = Redis.from_url(redis_url)
    buckets = client.keys(f"{queue_prefix('test')}df:*")
    assert len(buckets) == 1
    assert 0 < client.ttl(buckets[0]) <= 14 * 86_400
    client.close()
