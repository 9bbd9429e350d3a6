"""Reading feeds: ours against feedparser, and how many of them need it.

Real feeds where they are at hand (TGE_SHARED_DATA), else the project's fixtures.
"""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import feedparser

from run import ROOT, Row, interleaved
from tgecrawler.sources import feed
from tgecrawler.sources.feed import parse_feed

REAL = Path(os.environ.get("TGE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "feeds"
OWN = ROOT / "tests" / "fixtures" / "feeds"
LEAST_RATIO = 3  # times as fast as feedparser; ours cleans every text besides


def bench_feeds() -> list[Row]:
    folder = REAL if REAL.exists() else OWN
    bodies = [path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".json"]
    taken = interleaved({
        "ours": lambda: [parse_feed(body, url="https://desk.example/feed") for body in bodies],
        "feedparser": lambda: [feedparser.parse(body) for body in bodies],
    }, rounds=5)  # fmt: skip
    ratio = taken["ours"] / taken["feedparser"]
    note = f"{1 / ratio:.0f} times as fast, {len(bodies)} feeds"
    return [
        Row("a feed, ours", 1000 * taken["ours"] / len(bodies), "ms"),
        Row("a feed, feedparser", 1000 * taken["feedparser"] / len(bodies), "ms"),
        Row("feeds, in feedparser's time", ratio, "times", 1 / LEAST_RATIO, note),
        Row(
            "feeds that fell back on feedparser", fallen_back(bodies), "", None, f"of {len(bodies)}"
        ),
    ]


def fallen_back(bodies: list[bytes]) -> int:
    """Return how many feeds our parser could not read by itself."""
    with patch.object(feed, "read_with_feedparser", wraps=feed.read_with_feedparser) as fallback:
        for body in bodies:
            parse_feed(body, url="https://desk.example/feed")
    return fallback.call_count
