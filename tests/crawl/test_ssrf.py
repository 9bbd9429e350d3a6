"""No address that others wrote makes the crawler ask its own host or network.

127.0.0.9 plays the public Internet, with feeds, pages, redirects and sitemaps;
The same server listens on every other address of this host, where nobody may
reach it, and notes each connection: below every layer of ours.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from hostile_world import WIRING, HostileServer, run_script, start_server

from harness import HERE

pytestmark = pytest.mark.slow

FIXTURE = HERE.parent / "fixtures" / "guard" / "refused_urls.jsonl"
FORMS = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
PUBLIC = "127.0.0.9"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostileServer]:
    started = start_server(tmp_path)
    yield started
    started.stop()


def forms(server: HostileServer) -> list[str]:
    """Return every spelling, each with a path of its own, so that none is taken for another."""
    return [
        row["url"].replace("{port}", str(server.port)).replace("/t", f"/trap/{number}")
        for number, row in enumerate(FORMS)
    ]


def crawl(
    tmp_path: Path,
    server: HostileServer,
    *,
    feeds: dict[str, str],
    sites: tuple[str, ...] = (),
    spider: str = "rss",
    resolver: str = "system",
) -> dict[str, Any]:
    rows = [
        *("version: 1", "feeds:" if feeds else "feeds: []"),
        *(f"  - {{slug: {slug}, url: {json.dumps(url)}}}" for slug, url in feeds.items()),
        *(["sites:"] if sites else []),
        *(f"  - {{slug: s{at}, sitemap: {json.dumps(url)}}}" for at, url in enumerate(sites)),
    ]
    sources = tmp_path / "sources.yaml"
    sources.write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = {
        **WIRING,
        "TGE_DATABASE_URL": f"sqlite:///{tmp_path}/tge.db",
        "TGE_SOURCES": str(sources),
        "TGE_SITE_MAX_PAGES": 2000,
        "ROBOTSTXT_OBEY": False,
        "RETRY_ENABLED": False,
        "DOWNLOAD_DELAY": 0,
        "AUTOTHROTTLE_ENABLED": False,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
        "LOG_LEVEL": "ERROR",
    }
    guard = {
        "PYTHONPATH": f"{HERE / 'guard'}:{HERE.parents[1]}",
        "NETWORK_ATTEMPTS": str(tmp_path / "attempts.log"),
        "NETWORK_LOOKUPS": str(tmp_path / "lookups.log"),
    }
    found = run_script("ssrf_crawl.py", spider, settings, resolver, **guard)
    assert "Traceback" not in found["stderr"], found["stderr"]
    return {**found["stats"], "asked": found["asked"]}


def refused(stats: dict[str, Any]) -> int:
    return sum(value for name, value in stats.items() if name.startswith("tge/guard/refused/"))


def assert_nothing_was_reached(tmp_path: Path, server: HostileServer) -> None:
    assert [line for line in server.log if line["host"] != PUBLIC] == []
    assert [address for address in attempts(tmp_path) if not address.is_global] == []


def attempts(tmp_path: Path) -> list[IPv4Address | IPv6Address]:
    """Return to what else than loopback a connection was begun.

    0127.0.0.1 and 010.8.8.8 may appear, as the public addresses that a browser
    takes them for: the reader of feeds spells links as browsers do.
    """
    log = tmp_path / "attempts.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [ip_address(ast.literal_eval(line)[0]) for line in lines]


def write_feed(folder: Path, links: list[str]) -> None:
    (folder / "links.json").write_text(json.dumps(links), encoding="utf-8")


def test_through_article_links(tmp_path: Path, server: HostileServer) -> None:
    write_feed(tmp_path, [*forms(server), server.url("/page/healthy", PUBLIC)])
    stats = crawl(tmp_path, server, feeds={"desk": server.url("/listed", PUBLIC)})
    print(f"{len(FORMS)} forms as article links, {refused(stats)} refused, 0 bypasses")
    assert_nothing_was_reached(tmp_path, server)
    assert "/page/healthy" in [line["path"] for line in server.log]
    assert refused(stats) > 120  # the others are no links for whoever reads the feed


@pytest.mark.parametrize("hops", [1, 3])
def test_through_redirects(tmp_path: Path, server: HostileServer, hops: int) -> None:
    targets = forms(server)
    write_feed(tmp_path, targets)
    links = [server.url(f"/to/{number}-{hops}", PUBLIC) for number in range(len(targets))]
    (tmp_path / "pages.json").write_text(json.dumps(links), encoding="utf-8")
    stats = crawl(tmp_path, server, feeds={"desk": server.url("/pages", PUBLIC)})
    print(f"{len(FORMS)} forms after {hops} hops, {refused(stats)} refused, 0 bypasses")
    assert_nothing_was_reached(tmp_path, server)
    asked = {line["path"] for line in server.log}
    assert len([path for path in asked if path.endswith("-1")]) == len(targets)
    assert refused(stats) > 120


def test_through_feed_addresses(tmp_path: Path, server: HostileServer) -> None:
    wanted = [row["why"] in ("address", "port") and row["url"].isascii() for row in FORMS]
    urls = [url for url, fits in zip(forms(server), wanted, strict=True) if fits]
    feeds = {f"f{number}": url for number, url in enumerate(urls)}
    write_feed(tmp_path, [])
    stats = crawl(tmp_path, server, feeds={**feeds, "desk": server.url("/feed/a", PUBLIC)})
    print(f"{len(urls)} forms as feeds, {refused(stats)} refused, 0 bypasses")
    assert_nothing_was_reached(tmp_path, server)
    assert refused(stats) == len(urls) - len(set(attempts(tmp_path)))
    assert "/page/a-0" in [line["path"] for line in server.log]


def test_through_sitemaps(tmp_path: Path, server: HostileServer) -> None:
    write_feed(tmp_path, forms(server)[:90])
    stats = crawl(
        tmp_path,
        server,
        feeds={},
        sites=(server.url("/sitemaps", PUBLIC), server.url("/sitemap-pages", PUBLIC)),
        spider="articles",
    )
    print(f"90 forms as sitemaps and as pages, {refused(stats)} refused, 0 bypasses")
    assert_nothing_was_reached(tmp_path, server)
    assert refused(stats) > 120


@pytest.mark.parametrize("resolver", ["rebinding", "blind"])
def test_through_names_that_change_their_mind(
    tmp_path: Path, server: HostileServer, resolver: str
) -> None:
    hosts = [f"n{number}.rebind.example" for number in range(10)]
    # public when the feed is asked, this host when its page is
    feeds = {f"f{at}": server.url(f"/rebind/{at}", host) for at, host in enumerate(hosts)}
    stats = crawl(tmp_path, server, feeds=feeds, resolver=resolver)
    print(f"{len(hosts)} names, looked up {sum(stats['asked'].values())} times, 0 bypasses")
    assert_nothing_was_reached(tmp_path, server)
    assert all(stats["asked"][host] > 1 for host in hosts)
    feeds_read = [line for line in server.log if line["path"].startswith("/rebind/")]
    assert len([line for line in feeds_read if line["event"] == "answered"]) == len(hosts)
    assert stats["tge/guard/refused/address"] == len(hosts)
