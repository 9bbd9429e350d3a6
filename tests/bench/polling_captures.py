"""Feeds of real timestamps, where the shared captures are at hand.

Two sorts: the entries of one captured feed document, whose first half is the backlog
and whose second half is replayed; and the sources of a stream of headlines, each in
the eight weeks in which the stream holds most of it. The stream is a selection, so a
source is sparser there than its own feed was; the moments themselves are real.
"""

from __future__ import annotations

import gzip
import json
import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from polling_replay import DAY_S, Feed

from tgecrawler.errors import SourceError
from tgecrawler.sources.feed import parse_feed

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
STREAM = "news/stream_2021_2024.jsonl.gz"
LEAST_ENTRIES = 16
STREAM_DAYS = 56


def captured_feeds(shared: Path = SHARED) -> list[Feed]:
    """Return the real feeds with enough dated entries; none where there are no captures."""
    return [*_from_documents(shared / "feeds"), *_from_stream(shared / STREAM)]


def _from_documents(folder: Path) -> Iterator[Feed]:
    for path in sorted(folder.glob("*")):
        try:
            entries = parse_feed(path.read_bytes(), url="https://example.org/feed").entries
        except SourceError:
            continue
        dated = {entry.published_at.timestamp() for entry in entries if entry.published_at}
        moments = tuple(sorted(dated))
        if len(moments) >= LEAST_ENTRIES:
            middle_s = moments[len(moments) // 2]
            end_s = min(moments[-1] + DAY_S, middle_s + STREAM_DAYS * DAY_S)
            yield Feed(path.name, _kind(moments), moments, middle_s + 1, end_s)


def _from_stream(path: Path) -> Iterator[Feed]:
    if not path.exists():
        return
    for source, moments in _moments_by_source(path).items():
        begin_s = max(moments, key=lambda one: _between(moments, one, one + STREAM_DAYS * DAY_S))
        end_s = begin_s + STREAM_DAYS * DAY_S
        within = tuple(moment for moment in moments if begin_s <= moment < end_s)
        if len(within) >= LEAST_ENTRIES:
            yield Feed(source, _kind(within), within, (begin_s + end_s) / 2, end_s)


def _moments_by_source(path: Path) -> dict[str, list[float]]:
    """Return the sorted moments of each source; `U.Today` and `u.today` are one."""
    found: defaultdict[str, set[float]] = defaultdict(set)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            name = record["source"].lower().removeprefix("en.").replace(" ", "")
            for ending in (".com", ".co"):
                name = name.removesuffix(ending)
            found[name].add(datetime.fromisoformat(record["published"]).timestamp())
    return {name: sorted(moments) for name, moments in sorted(found.items())}


def _between(moments: list[float], begin_s: float, end_s: float) -> int:
    return bisect_left(moments, end_s) - bisect_left(moments, begin_s)


def _kind(moments: tuple[float, ...]) -> str:
    """Return what sort of rhythm it is: by its rate, and bursty by how uneven its gaps are."""
    gaps_s = [later - earlier for earlier, later in pairwise(moments)]
    mean_s = statistics.mean(gaps_s)
    if statistics.pstdev(gaps_s) > 2 * mean_s:
        return "bursty"
    return "busy" if mean_s < DAY_S / 5 else "daily" if mean_s < 3 * DAY_S else "slow"
