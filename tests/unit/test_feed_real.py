"""Real feeds, read once by an independent parser: counts, links and titles must agree.

The data is no part of the project; without it these tests skip.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tgecrawler.domain.text import clean_text
from tgecrawler.domain.urls import resolve_url
from tgecrawler.items import Feed
from tgecrawler.sources.feed import parse_feed

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TGE_SHARED_DATA", ROOT.parent / "shared" / "data"))
EXPECTED = DATA / "feeds.expected.jsonl"
URL = "https://fetched.example/feed"

pytestmark = pytest.mark.skipif(
    not EXPECTED.exists(), reason=f"no real feeds: {EXPECTED} is absent (TGE_SHARED_DATA)"
)

# The parser that made the expectations reads no JSON Feed and says 0.
JSON_FEEDS = {"crypto_push_blog-feed.json": 10, "nnw_DaringFireball.json": 48}

# It gives the feed proxy's address; the feed names the article's own as well
# (feedburner:origLink, pheedo:origLink), and that is what ours gives. The links of Google Alerts
# carry the article's address.
PROXIES = {
    "feedjira_TechCrunch.xml": "http://feedproxy.google.com/",
    "feedjira_google_alerts_atom.xml": "https://www.google.com/url?",
    "nodefeedparser_illegally-nested.xml": "http://feedproxy.google.com/",
    "nodefeedparser_wapowellness.xml": "http://feeds.washingtonpost.com/",
}
# Ten empty <item/> inside other items; one item whose <link> is empty.
WITHOUT_LINK = {
    "nodefeedparser_illegally-nested.xml": 10,
    "miniflux_no_encoding_ISO-8859-1.xml": 1,
}


def rows() -> list[dict[str, Any]]:
    if not EXPECTED.exists():
        return []
    return [json.loads(line) for line in EXPECTED.read_text(encoding="utf-8").splitlines()]


def read(name: str) -> Feed:
    return parse_feed((DATA / "feeds" / name).read_bytes(), url=URL)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"])
def test_real_feed(row: dict[str, Any]) -> None:
    name = row["file"]
    feed = read(name)
    assert len(feed.entries) + feed.without_link == JSON_FEEDS.get(name, row["entries"])
    assert feed.without_link == WITHOUT_LINK.get(name, 0)
    titles = [clean_text(title, limit=500) for title in row["titles"] if title]
    links = [resolve_url(link, feed.url or URL) for link in row["links"] if link]
    proxy = PROXIES.get(name, "no proxy")
    for entry, link in zip(feed.entries, links, strict=False):
        assert (entry.url == link) is not link.startswith(proxy)
    assert not any(entry.url.startswith(proxy) for entry in feed.entries)
    for entry, title in zip(feed.entries, titles, strict=False):
        # the samples are cut at 120 characters
        assert entry.title == title or (len(title) > 80 and entry.title.startswith(title[:80]))


def test_sum_of_entries() -> None:
    xml = [row for row in rows() if row["file"] not in JSON_FEEDS]
    found = sum(len(feed.entries) + feed.without_link for feed in (read(r["file"]) for r in xml))
    assert found == pytest.approx(1_183, rel=0.01)


def test_real_feeds_are_dated() -> None:
    entries = [entry for row in rows() for entry in read(row["file"]).entries]
    dated = [entry.published_at is not None for entry in entries]
    assert sum(dated) / len(dated) > 0.75  # one large feed has no dates at all
