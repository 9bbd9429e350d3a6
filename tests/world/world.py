"""The simulated world: hosts, feeds, what they publish in a day, and what is wrong with them.

All follows from a `Plan`: the server builds the same world as the test does. Moments are
seconds from the start of the day (START_AT); what is older than the day is below 0.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from typing import Literal

from stories import Story, Storyteller

START_AT = datetime(2026, 10, 5, tzinfo=UTC)
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
ANNOUNCING = 0.07  # share of entries that announce a token event
LAST_CALL_S = 18 * HOUR_S  # a crawler that polls four times a day still hears of these

Rhythm = Literal["busy", "daily", "bursty", "dead", "night_quiet", "silent"]
Validators = Literal["strong", "weak", "modified", "none", "changing", "always_304"]
FaultKind = Literal[
    "error", "retry_seconds", "retry_date", "bare_429", "bare_503", "reset", "drip", "hang", "down"
]
RobotsKind = Literal["absent", "open", "moved", "error"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build. `keep_alive_s`: how long servers hold an idle connection.

    75 s is nginx as it is delivered; an hour is what a server must grant if a feed that
    is polled every half hour is to be asked on one connection all day.
    """

    seed: int = 1
    feeds: int = 120
    page_hosts: int = 84
    keep_alive_s: float = 3600.0

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a host from one moment to another."""

    kind: FaultKind
    from_s: float = 0.0
    until_s: float = DAY_S * 2


@dataclass(frozen=True, slots=True)
class Robots:
    """A host's robots.txt. `delay_s` 0 and `disallow` "" where it names none."""

    kind: RobotsKind = "open"
    delay_s: float = 0.0
    disallow: str = ""


@dataclass(slots=True)
class Host:
    """One address with its manners."""

    address: str
    latency_s: float
    robots: Robots = field(default_factory=Robots)
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a feed and its page."""

    published_s: float
    host: str
    path: str
    story: Story


@dataclass(slots=True)
class Feed:
    """A feed. `moved` is how its listed address leads to it ("" = it is there).

    `host` is the listed one; where it moved to another, that is `target`.
    """

    slug: str
    host: str
    rhythm: Rhythm
    validators: Validators = "strong"
    moved: Literal["", "301", "302", "301_host", "loop"] = ""
    full_text: bool = False
    broken: Literal["", "gone", "html"] = ""
    target: str = ""
    entries: list[Entry] = field(default_factory=list)

    WINDOW = 25  # entries that a feed shows

    @property
    def path(self) -> str:
        return f"/{self.slug}/feed.xml"

    @property
    def listed_path(self) -> str:
        return f"/{self.slug}/old.xml" if self.moved else self.path

    @property
    def home(self) -> str:
        """The host that answers with the feed itself."""
        return self.target or self.host

    def published_until(self, moment_s: float) -> int:
        """Return how many entries there are at a moment, those gone from view included."""
        return bisect_right(self.entries, moment_s, key=lambda entry: entry.published_s)


@dataclass(slots=True)
class World:
    plan: Plan
    hosts: dict[str, Host]
    feeds: list[Feed]

    def is_heard(self, feed: Feed) -> bool:
        """Whether a crawler that keeps the rules can read the feed within the day."""
        if feed.broken or feed.moved == "loop":
            return False
        return all(_is_readable(self.hosts[address]) for address in (feed.host, feed.home))

    def due_alerts(self) -> Iterator[tuple[Feed, Entry]]:
        """Yield what must have become an alert by the end of the day."""
        for feed in self.feeds:
            # a server that always answers 304 keeps its news from whoever believes it;
            # how many of those are found is told apart
            if self.is_heard(feed) and feed.validators != "always_304":
                for entry in feed.entries:
                    if entry.story.announces and -5 * DAY_S < entry.published_s <= LAST_CALL_S:
                        yield feed, entry


def _is_readable(host: Host) -> bool:
    fault = host.fault
    always = fault is not None and fault.from_s == 0 and fault.until_s > DAY_S
    return not always and host.robots.kind != "error"


def build_world(plan: Plan) -> World:
    """Return the world of a plan; equal plans give equal worlds."""
    dice = random.Random(plan.seed)
    addresses = [f"127.20.{n // 250}.{n % 250 + 1}" for n in range(plan.feeds + plan.page_hosts)]
    hosts = {at: Host(at, _latency_s(dice)) for at in addresses}
    feeds = [
        Feed(f"feed-{n:03}", addresses[n], _rhythm_of(n), full_text=n % 9 == 8)
        for n in range(plan.feeds)
    ]
    world = World(plan, hosts, feeds)
    _spoil(world, addresses[plan.feeds :] or addresses, dice)
    _publish(world, addresses[plan.feeds :], dice)
    return world


def _latency_s(dice: random.Random) -> float:
    """A lognormal latency around 150 ms, 20 ms to 3 s."""
    return min(3.0, max(0.02, dice.lognormvariate(math.log(0.15), 0.8)))


# 120 feeds: 12 busy, 42 daily, 12 bursty, 24 dead, 24 quiet at night, 6 that fall silent
_RHYTHMS: tuple[Rhythm, ...] = (
    *("busy", "daily", "dead", "night_quiet", "daily", "bursty", "dead", "daily", "night_quiet"),
    *("daily", "busy", "daily", "dead", "night_quiet", "daily", "bursty", "dead", "daily"),
    *("night_quiet", "silent"),
)


def _rhythm_of(number: int) -> Rhythm:
    return _RHYTHMS[number % len(_RHYTHMS)]


def _spoil(world: World, spare_hosts: list[str], dice: random.Random) -> None:
    """Hand out what is odd or wrong; shares follow the number of feeds (here of 120)."""
    size = max(1, world.plan.feeds // 40)  # 3 of 120
    any_feed = _take_in_turns(world.feeds, dice)
    for validators, times in _VALIDATORS:
        for feed in any_feed(times * size):
            feed.validators = validators
    for moved in ("301", "302", "301_host"):
        for feed in any_feed(size):
            feed.moved = moved  # type: ignore[assignment]
            if moved == "301_host":
                feed.target = dice.choice(spare_hosts)
    any_feed(1)[0].moved = "loop"
    any_feed(1)[0].broken = "gone"
    any_feed(1)[0].broken = "html"
    # a busy feed would lose entries for good while it cannot be read: those keep well
    slow_feed = _take_in_turns([one for one in world.feeds if one.rhythm != "busy"], dice)
    for fault, times in _FAULTS:
        for feed in slow_feed(times * size if fault.until_s < DAY_S else 1):
            world.hosts[feed.host].fault = fault
    healthy = [one for one in world.hosts.values() if one.fault is None]
    any_host = _take_in_turns(healthy, dice)
    for robots, times in _ROBOTS:
        for host in any_host(times * size):
            host.robots = robots


_VALIDATORS: tuple[tuple[Validators, int], ...] = (
    ("weak", 4),
    ("modified", 4),
    ("none", 1),
    ("changing", 1),
    ("always_304", 1),
)
_FAULTS = (
    (Fault("error", 2 * HOUR_S, 4 * HOUR_S), 1),
    (Fault("retry_seconds", 1 * HOUR_S, 3 * HOUR_S), 1),
    (Fault("retry_date", 5 * HOUR_S, 7 * HOUR_S), 1),
    (Fault("bare_429", 3 * HOUR_S, 5 * HOUR_S), 1),
    (Fault("bare_503", 0.0, 1 * HOUR_S), 1),
    (Fault("reset", 6 * HOUR_S, 8 * HOUR_S), 1),
    (Fault("drip", 4 * HOUR_S, 5 * HOUR_S), 1),
    (Fault("hang", 9 * HOUR_S, 10 * HOUR_S), 1),
    (Fault("down", 2 * HOUR_S, 7 * HOUR_S), 1),
    (Fault("drip"), 1),
    (Fault("down"), 1),
)
_ROBOTS = (
    (Robots("absent"), 20),
    (Robots(delay_s=5.0), 4),
    (Robots(delay_s=30.0), 2),
    (Robots(disallow="/private/"), 5),
    (Robots("moved", disallow="/private/"), 1),
    (Robots("error"), 1),
)


def _take_in_turns(things: list, dice: random.Random):  # type: ignore[no-untyped-def,type-arg]
    """Return a function that takes so many more of them, none twice."""
    left = list(things)
    dice.shuffle(left)

    def take(count: int) -> list:  # type: ignore[type-arg]
        taken, left[:] = left[:count], left[count:]
        return taken

    return take


def _publish(world: World, page_hosts: list[str], dice: random.Random) -> None:
    teller = Storyteller(dice)
    homes = cycle(page_hosts)
    for number, feed in enumerate(world.feeds):
        # two of three keep their pages on a host of their own
        home = next(homes) if page_hosts and number % 3 else feed.host
        moments = [*_older(feed.rhythm, dice), *_of_the_day(feed.rhythm, dice)]
        for count, moment_s in enumerate(sorted(moments)):
            story = teller.tell(announces=dice.random() < ANNOUNCING)
            folder = "private" if count % 10 == 9 and not story.announces else "news"
            path = f"/{folder}/{feed.slug}-{count}"
            feed.entries.append(Entry(round(moment_s, 3), home, path, story))


def _older(rhythm: Rhythm, dice: random.Random) -> list[float]:
    """Return when the entries appeared that a feed shows as the day begins."""
    reach_s = {"busy": 5 * HOUR_S, "night_quiet": DAY_S, "silent": DAY_S, "dead": 200 * DAY_S}
    from_s = 40 * DAY_S if rhythm == "dead" else 0.0
    to_s = reach_s.get(rhythm, 6 * DAY_S)
    moments = [-dice.uniform(from_s, to_s) for _ in range(Feed.WINDOW)]
    if rhythm == "night_quiet":
        return [moment for moment in moments if _by_day(moment % DAY_S)]
    return moments


def _of_the_day(rhythm: Rhythm, dice: random.Random) -> list[float]:
    if rhythm == "dead":
        return []
    if rhythm == "bursty":
        start_s = dice.uniform(6 * HOUR_S, 17 * HOUR_S)
        return [start_s + dice.uniform(0, 30 * MINUTE_S) for _ in range(dice.randint(8, 16))]
    if rhythm == "silent":
        return [dice.uniform(0, 11 * HOUR_S) for _ in range(14)]
    count = {"busy": 110, "daily": dice.randint(2, 5), "night_quiet": dice.randint(20, 30)}[rhythm]
    from_s, to_s = (0.0, DAY_S) if rhythm == "busy" else (7 * HOUR_S, 21 * HOUR_S)
    return [dice.uniform(from_s, to_s) for _ in range(count)]


def _by_day(moment_s: float) -> bool:
    return 7 * HOUR_S <= moment_s <= 21 * HOUR_S
