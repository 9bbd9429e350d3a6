from __future__ import annotations

from pathlib import Path

import pytest

from tgecrawler.cache.opening import CacheOptions, close_caches, open_cache, open_level
from tgecrawler.cache.redis import RedisLevel
from tgecrawler.cache.tiers import TIERS, tiers_with
from tgecrawler.errors import OptionError
from tgecrawler.options import read_options


def options(**given: object) -> dict[str, object]:
    return read_options({f"TGE_{name.upper()}": value for name, value in given.items()}, {})


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ({}, "var/cache.sqlite"),
        ({"database_url": "sqlite:////data/news/tge.db"}, "/data/news/cache.sqlite"),
        ({"database_url": "postgresql://host/tge"}, "var/cache.sqlite"),
        ({"cache_url": "sqlite:////tmp/other.db"}, "/tmp/other.db"),
    ],
)
def test_where_the_file_is(given, file):
    assert CacheOptions.of(options(**given)).file == Path(file)


def test_a_redis_url_is_used_and_nothing_connects_yet():
    level = open_level(CacheOptions.of(options(cache_url="redis://127.0.0.1:1/0")))
    assert isinstance(level, RedisLevel)


@pytest.mark.parametrize("url", ["memcached://host", "redis//host", "sqlite:///", "redis://h:port"])
def test_another_url_is_an_error_of_one_line_that_repeats_no_password(url):
    with pytest.raises(OptionError) as raised:
        open_cache(options(cache_url=url.replace("//h", "//:secret@h")))
    assert "TGE_CACHE_URL" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_off_keeps_nothing():
    cache = open_cache(options(cache_url="off"))
    cache.set("feed", "k", b"value")
    assert cache.get("feed", "k") is None
    assert cache.get_or_fetch("feed", "k", lambda: b"fetched") == b"fetched"
    close_caches()


def test_the_same_options_share_a_cache_until_it_is_closed(tmp_path):
    given = options(database_url=f"sqlite:///{tmp_path}/tge.db")
    first = open_cache(given)
    first.set("feed", "k", b"value")
    assert open_cache(given) is first
    assert not (tmp_path / "tge.db").exists()
    close_caches()
    second = open_cache(given)
    assert second is not first
    assert second.get("feed", "k") == b"value"
    close_caches()


def test_times_may_be_others():
    table = tiers_with("feed=300, article=86400,x_user=5")
    assert (table["feed"].ttl_s, table["article"].ttl_s) == (300.0, 86_400.0)
    assert table["x_user"].shortest_ttl_s == 5.0
    assert table["search"] == TIERS["search"]
    assert tiers_with("") == TIERS


@pytest.mark.parametrize("ttls", ["feeds=300", "feed", "feed=0", "feed=-3", "feed=1.5", "feed=ten"])
def test_a_wrong_time_is_an_error_of_one_line(ttls):
    with pytest.raises(OptionError, match="TGE_CACHE_TTLS: "):
        tiers_with(ttls)
