"""Questions to the access log of the simulated world. Pure: records in, figures out.

Two requests of one host are told apart by their starts. A moment is compared with a
slack of a millisecond, which is what a float and a loop's rounding may cost; in virtual
time nothing else stands between a rule and the log.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from access_log import Connection, Request

SLACK_S = 0.001


@dataclass(frozen=True, slots=True)
class Violation:
    """Two requests of one host, and by how much the second came too early."""

    host: str
    before: Request
    after: Request
    early_by_s: float


def most_parallel_connections(connections: Iterable[Connection]) -> dict[str, int]:
    """Return per host how many connections were open at once, at most.

    One that opens in the very moment in which another closes is its successor.
    """
    steps: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in connections:
        if one.closed_s > one.opened_s:
            steps[one.host] += [(one.opened_s, 1), (one.closed_s, -1)]
    return {host: _highest_sum(sorted(found)) for host, found in steps.items()}


def most_parallel_requests(requests: Iterable[Request]) -> int:
    """Return how many requests of one host were under way at once, at most."""
    spans = (Connection(0, one.host, one.start_s, one.end_s) for one in requests)
    return max(most_parallel_connections(spans).values(), default=0)


def _highest_sum(steps: Iterable[tuple[float, int]]) -> int:
    highest = total = 0
    for _, step in steps:
        total += step
        highest = max(highest, total)
    return highest


def gap_violations(requests: Iterable[Request], gap_s: float) -> list[Violation]:
    """Return successive requests of a host less than `gap_s` apart."""
    return [
        Violation(before.host, before, after, gap_s - (after.start_s - before.start_s))
        for before, after in _successive(requests)
        if after.start_s - before.start_s < gap_s - SLACK_S
    ]


def crawl_delay_violations(
    requests: Iterable[Request], delays_s: Mapping[str, float]
) -> list[Violation]:
    """Return successive requests of a host closer than the delay its robots.txt asks for.

    The delay holds from the answer that told it: the request after robots.txt keeps it too.
    """
    found = []
    told: set[str] = set()
    for before, after in _successive(requests):
        if before.kind == "robots" and before.status == 200:
            told.add(before.host)
        delay_s = delays_s.get(before.host, 0.0) if before.host in told else 0.0
        if after.start_s - before.start_s < delay_s - SLACK_S:
            early_by_s = delay_s - (after.start_s - before.start_s)
            found.append(Violation(before.host, before, after, early_by_s))
    return found


def smallest_gap_s(requests: Iterable[Request]) -> float:
    """Return the smallest gap between two requests of one host."""
    gaps_s = (after.start_s - before.start_s for before, after in _successive(requests))
    return min(gaps_s, default=float("inf"))


def early_returns(requests: Iterable[Request]) -> list[Violation]:
    """Return requests to a host that had answered Retry-After and whose moment had not come."""
    found = []
    for asked in _by_host(requests).values():
        resting: Request | None = None
        for one in asked:
            if resting is not None and resting.end_s <= one.start_s:
                early_by_s = (resting.retry_at_s or 0.0) - one.start_s
                if early_by_s > SLACK_S:
                    found.append(Violation(one.host, resting, one, early_by_s))
            if one.retry_at_s is not None and (
                resting is None or one.retry_at_s > (resting.retry_at_s or 0.0)
            ):
                resting = one
    return found


def bare_refusal_waits_s(requests: Iterable[Request]) -> list[float]:
    """Return how long each host was left alone after a 429 or 503 without Retry-After."""
    return [
        after.start_s - before.end_s
        for before, after in _successive(requests)
        if before.status in (429, 503) and before.retry_at_s is None and before.kind != "robots"
    ]


def disallowed_requests(
    requests: Iterable[Request], is_disallowed: Callable[[str, str], bool]
) -> list[Request]:
    """Return requests that a host's robots.txt forbids.

    That includes every request (but for robots.txt) to a host that has answered the
    question for its rules with errors of its own only: RFC 9309 takes that for "disallow
    all", while rules once known may be kept. A host never asked is counted as well.
    """
    found = []
    known: set[str] = set()
    for one in requests:
        if one.kind == "robots":
            known |= {one.host} if one.status < 500 else set()
        elif one.host not in known or is_disallowed(one.host, one.path):
            found.append(one)
    return found


def reuse_ratio(requests: Sequence[Request]) -> float:
    """Return the share of requests that came over a connection used before."""
    return sum(one.nth > 1 for one in requests) / len(requests)


def possible_reuse_ratio(requests: Sequence[Request], keep_alive_s: float) -> float:
    """Return the share of reuse among requests that could have reused a connection.

    That is: the last answer of that host was whole, so that its connection survived it,
    and the server, which holds an idle one for `keep_alive_s`, still had it.
    """
    could = _could_reuse(requests, keep_alive_s)
    return sum(one.nth > 1 for one in could) / len(could) if could else 1.0


def most_reuse_ratio(requests: Sequence[Request], keep_alive_s: float) -> float:
    """Return the reuse that no crawler can exceed which asks at these very moments."""
    return len(_could_reuse(requests, keep_alive_s)) / len(requests)


def _could_reuse(requests: Iterable[Request], keep_alive_s: float) -> list[Request]:
    return [
        after
        for before, after in _successive(requests)
        if before.whole and after.start_s - before.end_s < keep_alive_s - SLACK_S
    ]


@dataclass(frozen=True, slots=True)
class Poll:
    """A request for a feed, and whether the feed had news since it was last had whole."""

    request: Request
    slug: str
    first: bool
    changed: bool


def polls_of(
    requests: Iterable[Request],
    published: Mapping[tuple[str, str], tuple[str, Sequence[float]]],
) -> Iterator[Poll]:
    """Yield every poll that its server answered with 200 or 304.

    Args:
        published: for each feed's (host, path): its slug and when its entries appeared,
            in ascending order.
    """
    seen: dict[str, int] = {}
    for one in requests:
        slug, moments = published.get((one.host, one.path), ("", ()))
        if not slug or not one.whole or one.status not in (200, 304):
            continue
        count = bisect_right(moments, one.end_s)
        yield Poll(one, slug, first=slug not in seen, changed=seen.get(slug) != count)
        seen[slug] = count


def not_modified_ratio(polls: Iterable[Poll]) -> float:
    """Return the share of 304 among polls, after a feed's first, that could bring no news."""
    idle = [poll for poll in polls if not poll.first and not poll.changed]
    return sum(poll.request.status == 304 for poll in idle) / len(idle) if idle else 1.0


@dataclass(frozen=True, slots=True)
class Naive:
    """What a crawler without cache and screening asks for, at the same polls.

    It polls as often as ours did, has each feed whole (the same number of requests, other
    bytes), and takes the page of every entry it sees: `once` if it remembers entries,
    `each_time` if it, having no cache, does so at every poll. The first model flatters it.
    """

    polls: int
    pages_once: int
    pages_each_time: int

    def saved(self, requests: int) -> tuple[float, float]:
        """Return the share of requests that ours saves against either model."""
        once, each_time = self.polls + self.pages_once, self.polls + self.pages_each_time
        return 1 - requests / once, 1 - requests / each_time


def naive_requests(
    polls: Iterable[Poll], published: Mapping[str, Sequence[float]], window: int
) -> Naive:
    """Return the requests of the naive crawler. Entries with full text need no page: left out.

    Args:
        published: per slug the moments of the entries that have a page to fetch.
        window: how many entries a feed shows.
    """
    count = each_time = 0
    shown_until: dict[str, int] = {}
    once: Counter[str] = Counter()
    for poll in polls:
        count += 1
        moments = published.get(poll.slug, ())
        shown = bisect_right(moments, poll.request.end_s)
        oldest = max(0, shown - window)
        each_time += shown - oldest
        once[poll.slug] += shown - max(oldest, shown_until.get(poll.slug, 0))
        shown_until[poll.slug] = shown
    return Naive(count, once.total(), each_time)


def requests_per_feed_day(polls: Iterable[Poll]) -> dict[str, int]:
    """Return per slug how often it was polled."""
    return dict(Counter(poll.slug for poll in polls))


def detection_delays_s(
    polls: Iterable[Poll], published: Mapping[str, Sequence[float]]
) -> list[float]:
    """Return how long after its publication each entry of the day was in an answer of 200."""
    had: dict[str, list[float]] = defaultdict(list)
    for poll in polls:
        if poll.request.status == 200:
            had[poll.slug].append(poll.request.end_s)
    found = []
    for slug, moments in published.items():
        for moment in moments:
            at = bisect_left(had[slug], moment)
            if moment > 0 and at < len(had[slug]):
                found.append(had[slug][at] - moment)
    return sorted(found)


def _successive(requests: Iterable[Request]) -> Iterator[tuple[Request, Request]]:
    for asked in _by_host(requests).values():
        yield from pairwise(asked)


def _by_host(requests: Iterable[Request]) -> dict[str, list[Request]]:
    found: dict[str, list[Request]] = defaultdict(list)
    for one in sorted(requests, key=lambda request: request.start_s):
        found[one.host].append(one)
    return found
