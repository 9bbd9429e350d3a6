"""The figures of a simulated day, from the server's log and the run report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import checks
from access_log import AccessLog
from world import DAY_S, Entry, Feed, World

UNTRUE = ("none", "changing", "always_304")  # validators that tell nothing, or lies


@dataclass
class Figures:
    """What the log of `world`'s server says; moments in seconds."""

    world: World
    log: AccessLog

    @cached_property
    def polls(self) -> list[checks.Poll]:
        return list(checks.polls_of(self.log.requests, self._published))

    @property
    def _published(self) -> dict[tuple[str, str], tuple[str, Sequence[float]]]:
        return {
            (feed.home, feed.path): (feed.slug, _moments(feed))
            for feed in self.world.feeds
            if not feed.broken
        }

    @property
    def parallel(self) -> int:
        return max(checks.most_parallel_connections(self.log.connections).values())

    @property
    def delay_violations(self) -> list[checks.Violation]:
        delays_s = {host.address: host.robots.delay_s for host in self.world.hosts.values()}
        return checks.crawl_delay_violations(self.log.requests, delays_s)

    def is_disallowed(self, host: str, path: str) -> bool:
        prefix = self.world.hosts[host].robots.disallow
        return bool(prefix) and path.startswith(prefix)

    def idle_not_modified(self, *, honest: bool) -> float:
        """Return the share of 304 on polls that could bring no news.

        Args:
            honest: only of servers whose validators can be relied upon; otherwise of all.
        """
        left_out = {feed.slug for feed in self.world.feeds if honest and feed.validators in UNTRUE}
        return checks.not_modified_ratio(one for one in self.polls if one.slug not in left_out)

    @property
    def naive(self) -> checks.Naive:
        pages = {feed.slug: _moments(feed) for feed in self.world.feeds if not feed.full_text}
        return checks.naive_requests(self.polls, pages, Feed.WINDOW)

    def polls_per_day(self) -> dict[str, float]:
        """Return per rhythm the median number of polls of a feed in a day."""
        counts = checks.requests_per_feed_day(self.polls)
        days = max(one.end_s for one in self.log.requests) / DAY_S
        return {
            rhythm: median(
                counts.get(feed.slug, 0) / days
                for feed in self.world.feeds
                if feed.rhythm == rhythm and self.world.is_heard(feed)
            )
            for rhythm in sorted({feed.rhythm for feed in self.world.feeds})
        }

    def delays_s(self) -> dict[str, float]:
        """Return per rhythm the median seconds from an entry's publication to our having it."""
        found = {}
        for rhythm in sorted({feed.rhythm for feed in self.world.feeds}):
            feeds = {one.slug: _moments(one) for one in self.world.feeds if one.rhythm == rhythm}
            delays = checks.detection_delays_s(self.polls, feeds)
            if delays:
                found[rhythm] = median(delays)
        return found

    def table(self) -> str:
        """Return all figures, a line each."""
        requests = self.log.requests
        once, each_time = self.naive.saved(len(requests))
        keep_alive_s = self.world.plan.keep_alive_s
        waits_s = checks.bare_refusal_waits_s(requests)
        lines = {
            "requests": len(requests),
            "of which": dict(Counter(one.kind for one in requests)),
            "statuses": dict(sorted(Counter(one.status for one in requests).items())),
            "connections opened": len(self.log.connections),
            "parallel connections of a host": self.parallel,
            "smallest gap": f"{checks.smallest_gap_s(requests):.3f} s",
            "gap violations": len(checks.gap_violations(requests, 1.0)),
            "crawl-delay violations": len(self.delay_violations),
            "requests before Retry-After": len(checks.early_returns(requests)),
            "disallowed requests": len(checks.disallowed_requests(requests, self.is_disallowed)),
            "shortest rest after a bare 429/503": f"{min(waits_s, default=0):.0f} s",
            "idle polls answered 304": f"{self.idle_not_modified(honest=False):.1%}",
            "the same, honest servers": f"{self.idle_not_modified(honest=True):.1%}",
            "reuse of connections": f"{checks.reuse_ratio(requests):.1%}",
            f"the same, of those within {keep_alive_s:g} s": (
                f"{checks.possible_reuse_ratio(requests, keep_alive_s):.1%}"
            ),
            "the most at these moments, by keep-alive": ", ".join(
                f"{held_s} s {checks.most_reuse_ratio(requests, held_s):.1%}"
                for held_s in (75, 600, 3600, 14400)
            ),
            "polls of a feed and day": _rounded(self.polls_per_day()),
            "median delay, s": _rounded(self.delays_s()),
            "fewer requests than naive, page once": f"{once:.1%}",
            "fewer requests than naive, no cache": f"{each_time:.1%}",
        }
        return "\n".join(f"{name:40} {value}" for name, value in lines.items())


def lost(world: World, alerted: frozenset[str], port: int) -> list[tuple[Feed, Entry]]:
    """Return the token events that must have become alerts and did not."""
    return [
        (feed, entry)
        for feed, entry in world.due_alerts()
        if f"http://{entry.host}:{port}{entry.path}" not in alerted
    ]


def cache_hit_ratio(report: Mapping[str, Any]) -> float:
    """Return the share of look-ups of what is asked for repeatedly that the cache served.

    Feeds, each looked up once a poll, and after a miss where they have moved to. A look-up
    that led to a 304, and so to the stored body, is among the misses and counts as served.
    """
    feed, moved = report["cache"]["feed"], report["cache"].get("moved", {"hits": 0})
    served = feed["hits"] + feed["revalidated"] + moved["hits"]
    return float(served / (feed["hits"] + feed["misses"]))


def _moments(feed: Feed) -> list[float]:
    return [entry.published_s for entry in feed.entries]


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in values.items()}
