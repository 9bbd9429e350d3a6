"""Requests as JSON: what is sent comes back, and nothing else comes in."""

from __future__ import annotations

import json
import os
import pickle
from datetime import UTC, datetime
from enum import Enum
from uuid import UUID

import pytest
from scrapy import Request, Spider
from scrapy.http import FormRequest, JsonRequest, XmlRpcRequest

from tgecrawler.scheduling.request_json import MOST_BYTES, RequestError, dumps, loads, may_call
from tgecrawler.spiders.articles import ArticlesSpider
from tgecrawler.spiders.rss import RssSpider


class Pages(Spider):
    name = "pages"
    limit = 3

    def parse(self, response):
        pass

    def parse_page(self, response):
        pass

    async def page_failed(self, failure):
        pass

    def closed(self, reason):
        pass

    def _inner(self, response):
        pass

    @staticmethod
    def tool(response):
        pass

    @property
    def view(self):
        raise AssertionError("never asked")


class Listed(Pages):
    shared_callbacks = frozenset({"parse_page", "_inner"})


@pytest.fixture
def spider():
    return Pages()


def attributes(request):
    return {
        name: getattr(request, name) for name in Request.attributes if name != "dumps_kwargs"
    } | {"class": type(request)}


@pytest.mark.parametrize(
    "make",
    [
        lambda s: Request("https://a.example/ä?b=ü"),
        lambda s: Request(
            "http://a.example/",
            callback=s.parse_page,
            errback=s.page_failed,
            method="POST",
            headers={"X-One": ["a", "b"], "X-Latin": "gr\xfc\xdfe".encode("latin-1")},
            body=bytes(range(256)),
            cookies={"a": "b"},
            meta={"depth": 3, "nested": {"list": [1, 2.5, None, True, "ü"]}},
            encoding="latin-1",
            priority=-7,
            dont_filter=True,
            flags=["cached"],
            cb_kwargs={"page": "p"},
        ),
        lambda s: Request("http://a.example/", cookies=[{"name": "a", "value": "b"}]),
        lambda s: FormRequest("http://a.example/", formdata={"a": "ü"}, callback=s.parse),
        lambda s: JsonRequest("http://a.example/", data={"a": [1]}),
    ],
)
def test_what_is_sent_comes_back(spider, make):
    request = make(spider)
    assert attributes(loads(dumps(request, spider), spider)) == attributes(request)


def test_it_is_the_json_of_to_dict_without_defaults(spider):
    request = Request("http://a.example/", spider.parse, meta={"a": 1})
    assert json.loads(dumps(request, spider)) == {
        "url": "http://a.example/",
        "callback": "parse",
        "meta": {"a": 1},
    }


def test_what_is_of_one_making_or_one_process_is_not_sent(spider):
    meta = {"download_latency": 0.1, "lease": "t", "lease_id": "i", "lease_group": "g", "shared": 1}
    meta |= {"cached_response": object(), "kept": 1}
    request = Request("http://a.example/", meta=meta)
    assert loads(dumps(request, spider), spider).meta == {"kept": 1}
    assert "lease" in request.meta


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        datetime.now(UTC), UUID(int=1), Colour.RED, b"bytes", {1, 2}, object(), float("nan"),
        2**70, {1: "a"}, "\ud800", [[{"a": {"b": b""}}]],
    ],
)  # fmt: skip
def test_what_json_does_not_have_is_refused_and_not_changed(spider, value):
    with pytest.raises(RequestError):
        dumps(Request("http://a.example/", meta={"value": value}), spider)


def test_a_refusal_says_where(spider):
    with pytest.raises(RequestError, match=r"cb_kwargs\['at'\] is not to be had"):
        dumps(Request("http://a.example/", cb_kwargs={"at": {"b": b""}}), spider)


def test_deep_nesting_is_refused_both_ways(spider):
    value: list = []
    for _ in range(30):
        value = [value]
    with pytest.raises(RequestError, match="deep"):
        dumps(Request("http://a.example/", meta={"v": value}), spider)
    deep = b"[" * 100_000 + b"]" * 100_000
    for payload in (deep, b'{"url": "http://a.example/", "meta": {"v": ' + deep + b"}}"):
        with pytest.raises(RequestError):
            loads(payload, spider)


@pytest.mark.parametrize("name", ["url", "meta", "headers", "method", "_class"])
def test_what_cannot_even_be_shown_is_refused(spider, name):
    """Of what orjson reads, at most 1,024 deep, Python's own repr takes less."""
    deep = b"[" * 1_020 + b"]" * 1_020
    with pytest.raises(RequestError, match="deep"):
        loads(b'{"url": "http://a.example/", "' + name.encode() + b'": ' + deep + b"}", spider)


def test_only_methods_of_the_spider_itself_are_sent(spider):
    for method in (lambda r: None, print, Pages().parse, spider._inner, spider.tool, spider.closed):
        with pytest.raises(RequestError):
            dumps(Request("http://a.example/", method), spider)


def test_other_classes_and_methods_and_too_much_are_not_sent(spider):
    class Own(Request):
        pass

    for request in (
        Own("http://a.example/"),
        XmlRpcRequest("http://a.example/", params=(1,), methodname="m"),
        Request("http://a.example/", method="PUT"),
        Request("ftp://a.example/"),
        Request("data:,x"),
        Request("http://a.example/", body=bytes(MOST_BYTES)),
    ):
        with pytest.raises(RequestError):
            dumps(request, spider)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickle_runs_nothing(spider, tmp_path):
    path = tmp_path / "ran"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(RequestError, match="not JSON"):
            loads(pickle.dumps(Evil(path), protocol), spider)
    assert not path.exists()


GOOD = {"url": "http://a.example/"}


@pytest.mark.parametrize(
    "found",
    [
        [], "text", 1, None, {}, {"callback": "parse"}, {"url": None},
        GOOD | {"url": 1}, GOOD | {"url": "file:///etc/passwd"}, GOOD | {"url": "ftp://a/"},
        GOOD | {"url": "http:///x"}, GOOD | {"url": "http://[::"}, GOOD | {"url": "javascript:x"},
        GOOD | {"_class": "os.system"}, GOOD | {"_class": ["a"]},
        GOOD | {"_class": "subprocess.Popen"}, GOOD | {"unknown": 1},
        GOOD | {"method": "DELETE"}, GOOD | {"method": ["GET"]},
        GOOD | {"callback": "close"}, GOOD | {"callback": "closed"}, GOOD | {"callback": "log"},
        GOOD | {"callback": "start"}, GOOD | {"callback": "from_crawler"},
        GOOD | {"callback": "_inner"}, GOOD | {"callback": "__init__"}, GOOD | {"callback": "no"},
        GOOD | {"callback": "tool"}, GOOD | {"callback": "view"}, GOOD | {"callback": "limit"},
        GOOD | {"callback": ["parse"]}, GOOD | {"errback": "update_settings"},
        GOOD | {"headers": []}, GOOD | {"headers": {"a": "b"}}, GOOD | {"headers": {"a": [1]}},
        GOOD | {"headers": {"a": ["b\r\nEvil: 1"]}}, GOOD | {"headers": {"a\n": ["b"]}},
        GOOD | {"headers": {"a": ["\u0100"]}},
        GOOD | {"body": "no base64!"}, GOOD | {"body": ["a"]}, GOOD | {"cookies": "a"},
        GOOD | {"meta": {"lease": "1"}}, GOOD | {"meta": {"cached_response": 1}},
        GOOD | {"meta": []}, GOOD | {"cb_kwargs": []}, GOOD | {"flags": "a"},
        GOOD | {"flags": [1]}, GOOD | {"encoding": "none"}, GOOD | {"encoding": 1},
        GOOD | {"encoding": "utf-8\0"}, GOOD | {"priority": 1.5}, GOOD | {"priority": True},
        GOOD | {"priority": 10**12}, GOOD | {"dont_filter": 1}, GOOD | {"dont_filter": "yes"},
    ],
)  # fmt: skip
def test_what_is_no_request_of_ours_is_refused(spider, found):
    with pytest.raises(RequestError):
        loads(json.dumps(found).encode(), spider)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", b"1" * (MOST_BYTES + 1), b"NaN"])
def test_what_is_no_json_is_refused(spider, payload):
    with pytest.raises(RequestError):
        loads(payload, spider)


def test_a_spider_may_list_what_is_called():
    spider = Listed()
    for name in ("parse_page", "_inner"):
        assert loads(json.dumps(GOOD | {"callback": name}).encode(), spider).callback is not None
    for name in ("parse", "page_failed"):
        with pytest.raises(RequestError):
            loads(json.dumps(GOOD | {"callback": name}).encode(), spider)


def test_a_spider_may_list_what_meta_bears():
    class Bare(Pages):
        shared_meta = frozenset({"kind"})

    spider = Bare()
    request = loads(json.dumps(GOOD | {"meta": {"kind": "a"}}).encode(), spider)
    assert request.meta == {"kind": "a"}
    for name in ("download_maxsize", "dont_obey_robotstxt", "waiting", "proxy"):
        with pytest.raises(RequestError, match=name):
            loads(json.dumps(GOOD | {"meta": {name: 0}}).encode(), spider)
        with pytest.raises(RequestError, match=name):
            dumps(Request("http://a.example/", meta={name: 0}), spider)


def test_what_comes_from_redis_calls_no_more_of_our_spiders_than_it_must():
    """`configure`, say, would replace what the whole process works with."""
    for kind in (RssSpider, ArticlesSpider):
        spider = kind()
        named = {name for name in dir(spider) if may_call(spider, name)}
        assert named == {"read_page", "page_failed"}
        assert spider.shared_meta == {"kind"}
