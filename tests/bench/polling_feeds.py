"""Made feeds to replay, of the kinds that a list of sources has.

They come from one seed: a rate by hour and weekday of a newsroom's own
time zone, scheduled posts that come within minutes or hours of their time, clusters
in which an entry calls for others, and the dead. Shares follow the long tail that
readers report: few feeds bring many entries a day, most bring few a month.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime
from functools import cache

from polling_replay import DAY_S, HOUR_S, Feed

BACKLOG_DAYS, SCORED_DAYS = 200, 14
START_S = datetime.fromisoformat("2026-03-02T00:00:00+00:00").timestamp()  # a Monday
COUNTS = {
    "aggregator": 6,
    "newsroom": 40,
    "small": 50,
    "bursty": 34,
    "daily": 30,
    "weekly": 26,
    "blog": 54,
    "dead": 40,
}
OFFICE = [0.1] * 6 + [0.3, 0.6, 1.2, 1.8, 2.0, 2.0, 1.6, 1.8, 2.0, 2.0, 1.8, 1.4, 1.0, 0.7]
OFFICE += [0.5, 0.4, 0.3, 0.2]


@cache
def made_feeds() -> tuple[Feed, ...]:
    """Return the made feeds, always the same."""
    return tuple(_made(kind, number) for kind, count in COUNTS.items() for number in range(count))


def _made(kind: str, number: int) -> Feed:
    slug = f"{kind}-{number}"
    rng = random.Random(slug)
    begin_s, end_s = START_S - BACKLOG_DAYS * DAY_S, START_S + SCORED_DAYS * DAY_S
    start_s = START_S + rng.uniform(0, DAY_S)
    moments = sorted({round(one) for one in _KINDS[kind](rng, begin_s, end_s) if one < end_s})
    return Feed(slug, kind, tuple(map(float, moments)), start_s, end_s)


def _aggregator(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    begin_s = max(begin_s, START_S - 3 * DAY_S)
    return _varying(rng, begin_s, end_s, rng.uniform(120, 400), depth=0.4, weekend=0.7, follows=0.1)


def _newsroom(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    begin_s = max(begin_s, START_S - 20 * DAY_S)
    a_day = math.exp(rng.uniform(math.log(12), math.log(60)))
    return _varying(rng, begin_s, end_s, a_day, depth=1.0, weekend=0.4, follows=0.25)


def _small(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    a_day = math.exp(rng.uniform(math.log(1), math.log(10)))
    return _varying(rng, begin_s, end_s, a_day, depth=1.0, weekend=0.3, follows=0.15)


def _bursty(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    """An exchange's announcements: several within an hour or two, then none for days."""
    a_day = math.exp(rng.uniform(math.log(0.2), math.log(2)))
    for first_s in _varying(rng, begin_s, end_s, a_day, depth=0.7, weekend=0.3, follows=0.0):
        at_s = first_s
        for _ in range(rng.randint(2, 9)):
            yield at_s
            at_s += rng.expovariate(1 / 900)


def _daily(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    """One post on every working day, at its time give or take some minutes."""
    hour, spread_s = rng.uniform(5, 20), rng.choice([300, 1_200, 3_600])
    for day in range(int((end_s - begin_s) // DAY_S)):
        if day % 7 < 5 or hour < 8:
            yield begin_s + day * DAY_S + hour * HOUR_S + rng.gauss(0, spread_s)


def _weekly(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    offset_s = rng.randrange(7) * DAY_S + rng.uniform(7, 19) * HOUR_S
    spread_s = rng.choice([600, 3_600, 4 * 3_600])
    for week in range(int((end_s - begin_s) // (7 * DAY_S))):
        if rng.random() < 0.95:
            yield begin_s + week * 7 * DAY_S + offset_s + rng.gauss(0, spread_s)


def _blog(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    a_day = math.exp(rng.uniform(math.log(0.7), math.log(10))) / 30
    return _varying(rng, begin_s, end_s, a_day, depth=1.0, weekend=0.1, follows=0.1)


def _dead(rng: random.Random, begin_s: float, end_s: float) -> Iterator[float]:
    """A feed of any kind that stopped a while ago; one in five says one thing more."""
    stopped_s = START_S - rng.uniform(3, 150) * DAY_S
    make = rng.choice([_small, _bursty, _blog, _weekly])
    yield from (one for one in make(rng, begin_s, end_s) if one < stopped_s)
    if rng.random() < 0.2:
        yield rng.uniform(START_S, end_s)


def _varying(
    rng: random.Random,
    begin_s: float,
    end_s: float,
    a_day: float,
    *,
    depth: float,
    weekend: float,
    follows: float,
) -> Iterator[float]:
    """Yield entries of a rate that follows office hours; each is followed by `follows` others."""
    zone_h = rng.choice([-8, -5, -5, 0, 1, 1, 3, 8, 9])
    peak = 2.2
    at_s = begin_s
    while (at_s := at_s + rng.expovariate(peak * a_day / DAY_S)) < end_s:
        local_s = at_s + zone_h * HOUR_S
        day, hour = int(local_s // DAY_S + 3) % 7, int(local_s % DAY_S // HOUR_S)
        rate = (1 - depth) + depth * OFFICE[hour]
        rate *= weekend if day >= 5 else 1.0
        if rng.random() * peak < rate:
            yield at_s
            follower_s = at_s
            while rng.random() < follows:
                follower_s += rng.expovariate(1 / 1_200)
                yield follower_s


_KINDS = {
    "aggregator": _aggregator,
    "newsroom": _newsroom,
    "small": _small,
    "bursty": _bursty,
    "daily": _daily,
    "weekly": _weekly,
    "blog": _blog,
    "dead": _dead,
}
