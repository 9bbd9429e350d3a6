"""Sources: what a list takes, and how some of it are chosen."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tgecrawler.domain.source_list import FeedSource, SiteSource, SourceList
from tgecrawler.errors import ArgumentError

FEED = {"slug": "the-herald", "url": "https://herald.example/rss"}
SITE = {"slug": "acme-blog", "sitemap": "https://acme.example/sitemap.xml"}


def source_list(**parts: Any) -> SourceList:
    return SourceList.model_validate({"version": 1, **parts})


def fault(**parts: Any) -> tuple[tuple[int | str, ...], str]:
    with pytest.raises(ValidationError) as raised:
        source_list(**parts)
    first = raised.value.errors()[0]
    return first["loc"], first["msg"].removeprefix("Value error, ")


def test_only_slug_and_address_are_required() -> None:
    sources = source_list(feeds=[FEED], sites=[SITE])
    assert sources.feeds == (
        FeedSource(
            slug="the-herald",
            url="https://herald.example/rss",
            tier=3,
            owner="the-herald",
            lang="",
        ),
    )
    assert sources.sites[0].owner == "acme-blog"
    assert (sources.x.accounts, sources.x.queries) == ((), ())


def test_an_owner_that_is_given_stays() -> None:
    assert source_list(feeds=[{**FEED, "owner": "herald"}]).feeds[0].owner == "herald"


def test_an_empty_owner_makes_no_common_owner() -> None:
    assert source_list(feeds=[{**FEED, "owner": ""}]).feeds[0].owner == "the-herald"


def test_a_listing_with_its_item() -> None:
    site = SiteSource(slug="acme", listing="https://acme.example/news", item="article a")
    assert (site.sitemap, site.listing, site.item) == (
        "",
        "https://acme.example/news",
        "article a",
    )


def test_slugs_are_unique_over_feeds_and_sites() -> None:
    assert fault(feeds=[FEED], sites=[SITE, {**SITE, "slug": "the-herald"}]) == (
        ("sites", 1, "slug"),
        "the slug 'the-herald' is used twice; give one another name",
    )


@pytest.mark.parametrize("slug", ["", "Acme", "acme blog", "acme_blog", "a" * 65, "acme\n", "é"])
def test_wrong_slugs(slug: str) -> None:
    where, sentence = fault(feeds=[{**FEED, "slug": slug}])
    assert where == ("feeds", 0, "slug")
    assert sentence.startswith("a slug is 1 to 64 of a-z, 0-9 and -")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "herald.example/rss",
        "ftp://herald.example/",
        "https://",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://herald.example/" + "a" * 2048,
    ],
)
@pytest.mark.parametrize("field", ["sitemap", "listing"])
def test_wrong_addresses(url: str, field: str) -> None:
    assert fault(feeds=[{**FEED, "url": url}])[0] == ("feeds", 0, "url")
    assert fault(sites=[{"slug": "acme", field: url, "item": "a"}])[0] == ("sites", 0, field)


def test_a_password_is_not_repeated() -> None:
    _, sentence = fault(feeds=[{**FEED, "url": "https://me:secret@herald.example/"}])
    assert "no password" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize("tier", [0, 5, -1, "1", True, 1.0, None])
def test_wrong_tiers(tier: object) -> None:
    assert fault(feeds=[{**FEED, "tier": tier}])[0] == ("feeds", 0, "tier")


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        ({}, "a site has either"),
        ({"sitemap": "https://a.example/s", "listing": "https://a.example/"}, "a site has either"),
        ({"listing": "https://a.example/"}, "a listing needs an item"),
        ({"listing": "https://a.example/", "item": "  "}, "a listing needs an item"),
        ({"sitemap": "https://a.example/s", "item": "a"}, "an item belongs to a listing"),
    ],
)
def test_a_site_is_a_sitemap_or_a_listing(site: dict[str, str], sentence: str) -> None:
    where, said = fault(sites=[{"slug": "acme", **site}])
    assert where == ("sites", 0)
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    "x",
    [
        {"accounts": ["@acme"]},
        {"accounts": ["a" * 16]},
        {"accounts": [""]},
        {"queries": [" "]},
        {"queries": ["a" * 513]},
        {"lists": []},
    ],
)
def test_wrong_accounts_and_queries(x: dict[str, list[str]]) -> None:
    assert fault(x=x)[0][:2] == ("x", next(iter(x)))


def test_selected_sources_keep_their_order() -> None:
    feeds = [{**FEED, "slug": slug} for slug in ("one", "two", "three")]
    chosen = source_list(feeds=feeds, sites=[SITE], x={"accounts": ["acme"]}).select(
        ["acme-blog", "three", "one", "three"]
    )
    assert [feed.slug for feed in chosen.feeds] == ["one", "three"]
    assert [site.slug for site in chosen.sites] == ["acme-blog"]
    assert chosen.x.accounts == ("acme",)


def test_an_unknown_slug_is_told_with_the_nearest() -> None:
    sources = source_list(feeds=[FEED], sites=[SITE])
    with pytest.raises(ArgumentError, match=r"^no source 'the-herld'; did you mean 'the-herald'\?"):
        sources.select(["acme-blog", "the-herld"])
    with pytest.raises(ArgumentError, match=r"^no source 'zzz'; see `scrapy sources list`$"):
        sources.select(["zzz"])
