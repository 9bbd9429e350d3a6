"""Which mentions tell of one event: pure, and the same in whatever order they came.

Two steps. A mention's project is settled by votes: a ticker that most texts give
to one project carries the texts that name another one, or none, over to it
("Phantom falters amid the GRASS airdrop" is about Grass). Then the mentions of a
project are put in order of time, and cut where a new event begins.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tgecrawler.domain.event_traits import ANYWHERE, MAIN, MIGRATION, SALE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tgecrawler.items import Status

NOT_A_PROJECT = "?"
"""Begins the entity of a mention that names neither project nor token: it stands alone."""

FEWEST_VOTES = 2  # for a ticker's project, to carry over a text that names another one
MINORITY = 0.34  # of those votes at most, for the other project's own claim to the ticker
TICKER_SHARE = 0.3  # votes of a name against those of the ticker itself, used as a name

# How long, in days, nothing may be heard of an event before the next mention is another one's.
# From 442 labelled records of launches, 2018 to 2026; `scrapy evaluate --events` after a change.
QUIET_LISTING = 30
QUIET_ANYWHERE = 10
QUIET_SALE = 120
QUIET_MIGRATION = 540
QUIET_AHEAD = 600  # hints and plans, before anything has happened
QUIET_ONCE = 200  # after a single text that says it happened: it may have been ahead of it
QUIET_AFTER = 90  # after two of them
PLANS_AFTER = 20  # how long after it happened a new plan is still this event's
LAUNCH_DAYS = 5  # around a launch, in which a listing somewhere is a part of it

HAPPENED: frozenset[Status] = frozenset({"live", "completed"})
AHEAD: frozenset[Status] = frozenset({"rumour", "announced", "scheduled", "postponed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMention:
    """What decides about a mention's event. ``told_at``: published, else seen (aware UTC)."""

    id: str
    told_at: datetime
    entity: str
    track: str
    season: int
    status: Status


def entity_of(project: str, token: str, votes: Mapping[str, int]) -> str:
    """Return the key of the project that a mention is about; "" where it names nothing.

    Args:
        project, token: the mention's own (``domain.event_traits``).
        votes: how many originals with this token name which project; "" counts nothing.
    """
    ticker = token.casefold()
    best = _best_project(ticker, votes)
    if not project or project == ticker:
        return best or project or ticker
    if not best or best == project:
        return project
    own, others = votes.get(project, 0), votes.get(best, 0)
    return best if others >= FEWEST_VOTES and own <= MINORITY * others else project


def group_mentions(mentions: Iterable[EventMention]) -> list[list[EventMention]]:
    """Return the events that mentions make up, each in order of time.

    Mentions of different entities are never in one event. Equal times are put
    in order by id, so that the result does not depend on the order given.
    """
    entities: dict[str, list[EventMention]] = defaultdict(list)
    for mention in sorted(mentions, key=_in_time):
        entities[mention.entity or NOT_A_PROJECT + mention.id].append(mention)
    return [event for entity in sorted(entities) for event in _of_entity(entities[entity])]


def _best_project(ticker: str, votes: Mapping[str, int]) -> str:
    named = {name: count for name, count in votes.items() if name and name != ticker}
    as_name = votes.get(ticker, 0)
    if named:
        best = min(named, key=lambda name: (-named[name], name))
        if named[best] >= TICKER_SHARE * as_name:
            return best
    return ticker if as_name else ""


def _of_entity(mentions: Sequence[EventMention]) -> Iterator[list[EventMention]]:
    tracks: dict[str, list[EventMention]] = defaultdict(list)
    for mention in mentions:
        tracks[mention.track].append(mention)
    _join_launch(tracks)
    for track in sorted(tracks):
        yield from _cut(track, tracks[track])


def _join_launch(tracks: dict[str, list[EventMention]]) -> None:
    """Count listings that name no exchange to the launch, where they are part of it."""
    unplaced, launch = tracks.pop(ANYWHERE, []), tuple(tracks.get(MAIN, ()))
    happened = [mention.told_at for mention in launch if mention.status in HAPPENED]
    # one text alone may have said so too early
    live_at = happened[1] if len(happened) > 1 else None
    ahead = [mention for mention in unplaced if mention.status in AHEAD]
    until = live_at + timedelta(days=LAUNCH_DAYS) if live_at else None
    launch += tuple(mention for mention in ahead if until is None or mention.told_at <= until)
    for mention in unplaced:
        part = any(_days(mention, other) <= LAUNCH_DAYS for other in launch)
        tracks[MAIN if part else ANYWHERE].append(mention)
    tracks[MAIN].sort(key=_in_time)
    if not tracks[MAIN]:
        del tracks[MAIN]


def _cut(track: str, mentions: Sequence[EventMention]) -> Iterator[list[EventMention]]:
    event: list[EventMention] = []
    happened: list[EventMention] = []
    season = 0
    for mention in mentions:
        other_season = mention.season not in (0, season)
        if event and (other_season or _is_another(track, event[-1], happened, mention)):
            yield event
            event, happened, season = [], [], 0
        season = mention.season or season
        event.append(mention)
        if mention.status in HAPPENED:
            happened.append(mention)
    if event:
        yield event


def _is_another(
    track: str, last: EventMention, happened: Sequence[EventMention], mention: EventMention
) -> bool:
    """Return whether a mention begins another event than that which `last` is the last of.

    Args:
        happened: the mentions of that event which say that it has happened, in order.
    """
    quiet = _days(last, mention)
    if track == ANYWHERE:
        return quiet > QUIET_ANYWHERE
    if track == SALE:
        return quiet > QUIET_SALE
    if track == MIGRATION:
        return quiet > QUIET_MIGRATION
    if track != MAIN:
        return quiet > QUIET_LISTING
    if len(happened) < 2:
        return quiet > (QUIET_ONCE if happened else QUIET_AHEAD)
    planned_anew = (
        mention.status in AHEAD
        and mention.status != "rumour"
        and quiet > LAUNCH_DAYS
        and _days(happened[0], mention) > PLANS_AFTER
    )
    return planned_anew or quiet > QUIET_AFTER


def _days(one: EventMention, other: EventMention) -> float:
    return abs(other.told_at - one.told_at) / timedelta(days=1)


def _in_time(mention: EventMention) -> tuple[datetime, str]:
    return mention.told_at, mention.id
