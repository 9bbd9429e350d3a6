"""What the server of the shared crawls saw: how polite its visitors were, and what they asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from shared_server import Visit
from shared_world import FEED_PATH

PAGES = "/news/"
OK = 200
SHARP_S = 0.001  # a process may be interrupted between asking its clock and sending


@dataclass(frozen=True, slots=True)
class Politeness:
    """How the hosts were asked, all visitors taken together.

    Attributes:
        parallel: most requests of one host that were under way at a time.
        gaps: pairs of requests of one host that followed one another.
        violations: gaps that were shorter than wanted by more than `SHARP_S`.
        smallest_s: the smallest gap.
    """

    parallel: int
    gaps: int
    violations: int
    smallest_s: float


class Tail:
    """The log while it is written: which pages were sent, and when each visitor came last."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.pages: set[str] = set()
        self.last_s: dict[str, float] = {}
        self._read = 0

    def look(self) -> None:
        """Read what has come since the last look."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            whole, _, _ = log.read().rpartition(b"\n")
        for line in whole.splitlines():
            one = Visit(**json.loads(line))
            if one.path.startswith(PAGES) and one.status == OK:
                self.pages.add(one.host + one.path)
                self.last_s[one.who] = max(one.start_s, self.last_s.get(one.who, 0.0))
        self._read += len(whole) + 1 if whole else 0


def read_visits(log: Path) -> list[Visit]:
    """Return the requests of a log in the order in which they came; a torn last line is left."""
    lines = log.read_text(encoding="utf-8").split("\n")[:-1]
    visits = [Visit(**json.loads(line)) for line in lines]
    return sorted(visits, key=lambda one: one.start_s)


def politeness_of(visits: Iterable[Visit], gap_s: float) -> Politeness:
    hosts: dict[str, list[Visit]] = {}
    for visit in visits:
        hosts.setdefault(visit.host, []).append(visit)
    pairs = (pair for host in hosts.values() for pair in pairwise(host))
    gaps = [after.start_s - before.start_s for before, after in pairs]
    return Politeness(
        parallel=max(most_at_a_time(host) for host in hosts.values()),
        gaps=len(gaps),
        violations=sum(gap < gap_s - SHARP_S for gap in gaps),
        smallest_s=min(gaps, default=0.0),
    )


def most_at_a_time(visits: Iterable[Visit]) -> int:
    """Return how many visits overlapped, at the most; one that begins as another ends does not."""
    moments = sorted(
        moment for one in visits for moment in ((one.start_s, 1), (max(one.start_s, one.end_s), -1))
    )
    most = under_way = 0
    for _, change in moments:
        under_way += change
        most = max(most, under_way)
    return most


def fetches_of(visits: Iterable[Visit]) -> Counter[str]:
    """Return how often each page was sent, by its address without scheme and port."""
    return Counter(
        one.host + one.path for one in visits if one.path.startswith(PAGES) and one.status == OK
    )


def polls_of(visits: Iterable[Visit]) -> dict[str, list[float]]:
    """Return when each host's feed was asked for."""
    polls: dict[str, list[float]] = {}
    for one in visits:
        if one.path == FEED_PATH:
            polls.setdefault(one.host, []).append(one.start_s)
    return polls
