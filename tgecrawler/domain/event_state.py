"""What is known of an event: a pure function of the mentions that tell of it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.event_grouping import AHEAD, HAPPENED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tgecrawler.items import Kind, Precision, Status

VERSION = "1"
"""Begins the id of an event; grows when the rule that makes ids changes."""

TRUST = {1: 0.9, 2: 0.8, 3: 0.7}
"""How much of a certain mention's score its source's tier lets stand; others 0.6."""

STRONG = 0.5  # score times trust, from which one mention moves the status by itself
HALF_LIFE = timedelta(days=1)  # in which what was said about the status loses half its weight
REBASED_AFTER = 500 * HALF_LIFE  # or the weights of later words would grow beyond a float
CONFIRMED = 2  # owners that said it happened; after that no plan turns it back
MOST_STEPS = 50  # of a history that are kept, the last ones

_STAGES: dict[Status, int] = {
    "none": 0,
    "rumour": 1,
    "announced": 2,
    "postponed": 3,
    "scheduled": 3,
    "cancelled": 4,
    "live": 5,
    "completed": 6,
}


class Telling(NamedTuple):
    """One text of a story: the original or a copy. ``full`` says that it has a body."""

    id: str
    told_at: datetime
    tier: int
    full: bool
    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One original mention of an event. ``copies`` are the duplicates that point to it."""

    id: str
    told_at: datetime
    source: str
    owner: str
    tier: int
    score: float
    title: str
    url: str = ""
    full: bool = True
    kind: Kind
    status: Status
    project: str
    token: str = ""
    exchange: str = ""
    chain: str = ""
    event_date: str = ""
    event_date_precision: Precision | None = None
    claim_url: str = ""
    claim_url_official: bool | None = None
    companies: tuple[str, ...] = ()
    copies: tuple[Telling, ...] = ()

    @property
    def best_telling(self) -> Telling:
        """The text to show of the story: the fuller, then the earlier, then the better tier's."""
        own = Telling(self.id, self.told_at, self.tier, self.full, self.title, self.url)
        return min((own, *self.copies), key=lambda t: (not t.full, t.told_at, t.tier, t.id))

    @property
    def weight(self) -> float:
        """The score, as far as the source's tier lets it stand; 0 to 1."""
        return self.score * TRUST.get(self.tier, 0.6)


class Step(NamedTuple):
    """A change of an event's status: when, and by which mention of which source."""

    status: Status
    at: datetime
    source: str
    mention_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventState:
    """An event as its mentions tell it.

    ``mentions`` counts originals, ``copies`` their duplicates, ``owners`` the
    independent ones among the originals' owners. ``confidence`` is the chance
    that not all owners are wrong, if each mention's weight were its own chance
    to be right and owners erred independently: 1 - product(1 - weight).
    ``shown_mention``, ``title`` and ``url`` are the best text's of the weightiest mention.
    """

    id: str
    project: str
    kind: Kind
    token: str
    exchange: str
    chain: str
    status: Status
    event_date: str
    event_date_precision: Precision | None
    claim_url: str
    claim_url_official: bool | None
    companies: tuple[str, ...]
    shown_mention: str
    title: str
    url: str
    first_seen_at: datetime
    first_source: str
    first_mention: str
    last_seen_at: datetime
    mentions: int
    copies: int
    owners: int
    confidence: float
    history: tuple[Step, ...]


def event_key(first_mention: str) -> str:
    """Return the id of the event that begins with a mention."""
    joined = f"event\x1f{first_mention}".encode()
    return VERSION + hashlib.blake2b(joined, digest_size=16).hexdigest()


def summarise(evidence: Sequence[Evidence]) -> EventState:
    """Return the state of the event that at least one mention tells of, in any order."""
    told = sorted(evidence, key=lambda one: (one.told_at, one.id))
    first, last = told[0], told[-1]
    history = _history(told)
    event_date, precision = _date(told)
    claim = _claim(told)
    best = max(told, key=lambda one: (one.weight, -one.told_at.timestamp(), one.id)).best_telling
    return EventState(
        id=event_key(first.id),
        project=_most(told, lambda one: one.project),
        kind=_most(told, lambda one: "" if one.kind == "none" else one.kind) or "none",  # type: ignore[arg-type]
        token=_most(told, lambda one: one.token),
        exchange=_most(told, lambda one: one.exchange),
        chain=_most(told, lambda one: one.chain),
        status=history[-1].status,
        event_date=event_date,
        event_date_precision=precision,
        claim_url=claim.claim_url if claim else "",
        claim_url_official=claim.claim_url_official if claim else None,
        companies=tuple(dict.fromkeys(name for one in told for name in one.companies)),
        shown_mention=best.id,
        title=best.title,
        url=best.url,
        first_seen_at=first.told_at,
        first_source=first.source,
        first_mention=first.id,
        last_seen_at=last.told_at,
        mentions=len(told),
        copies=sum(len(one.copies) for one in told),
        owners=len({one.owner for one in told}),
        confidence=_confidence(told),
        history=history[-MOST_STEPS:],
    )


def _confidence(told: Iterable[Evidence]) -> float:
    strongest: dict[str, float] = {}
    for one in told:
        strongest[one.owner] = max(one.weight, strongest.get(one.owner, 0.0))
    wrong = 1.0
    for owner in sorted(strongest):  # the order of a product shows in its last digits
        wrong *= 1 - min(strongest[owner], 1.0)
    return round(1 - wrong, 4)


def _most(told: Iterable[Evidence], value: Callable[[Evidence], str]) -> str:
    """Return the value that most weight stands for; between equals the one told first."""
    weights: dict[str, float] = defaultdict(float)
    for one in told:
        if value(one):
            weights[value(one)] += one.weight
    weights.pop("none", None)
    return max(weights, key=lambda name: round(weights[name], 9), default="")


def _date(told: Sequence[Evidence]) -> tuple[str, Precision | None]:
    """Return the date that most weight stands for; a postponement voids what was told before."""
    moved = max((one.told_at for one in told if one.status == "postponed"), default=None)
    valid = [one for one in told if one.event_date and (moved is None or one.told_at >= moved)]
    date = _most(valid, lambda one: one.event_date)
    precision = next((one.event_date_precision for one in valid if one.event_date == date), None)
    return date, precision


def _claim(told: Sequence[Evidence]) -> Evidence | None:
    """Return the mention with the best claim link: an official one, else the weightiest."""
    linked = [one for one in told if one.claim_url]
    return max(linked, key=lambda one: (one.claim_url_official is True, one.weight), default=None)


def _history(told: Sequence[Evidence]) -> tuple[Step, ...]:
    """Return the changes of the status.

    A strong mention moves it forward by itself, and so does one that postpones
    or cancels. Back it goes only by the weight of what was said lately, and
    never once two owners have said that it happened.
    """
    first = told[0]
    steps = [Step(_said(first), first.told_at, first.source, first.id)]
    happened: set[str] = set()
    lately = _Lately(first.told_at)
    for one in told:
        said = _said(one)
        lately.add(said, one)
        if said in HAPPENED:
            happened.add(one.owner)
        now = steps[-1].status
        following = _following(now, said, one, lately)
        confirmed = now in HAPPENED and len(happened) >= CONFIRMED
        if following != now and not (confirmed and _STAGES[following] < _STAGES[now]):
            steps.append(Step(following, one.told_at, one.source, one.id))
    return tuple(steps)


def _following(now: Status, said: Status, one: Evidence, lately: _Lately) -> Status:
    if said in (now, "none"):
        return now
    stopped = said in ("postponed", "cancelled")
    goes_on = now in ("postponed", "cancelled") and (said in AHEAD or said in HAPPENED)
    forward = _STAGES[said] > _STAGES[now]
    if one.weight >= STRONG and (forward or stopped or (goes_on and said != "rumour")):
        return said
    if stopped and now in HAPPENED:
        return now  # claims that are extended, more often than a launch that was none
    return lately.status(one.told_at)


class _Lately:
    """Which status has the most weight: each owner once, older words for less.

    All weights halve at the same pace, so they are kept as they would stand at one
    moment, and a mention costs the same however many came before it.
    """

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._strongest: dict[tuple[Status, str], float] = {}
        self._weights: dict[Status, float] = defaultdict(float)

    def add(self, said: Status, one: Evidence) -> None:
        """Count a mention that is not earlier than those before it."""
        if one.told_at - self._since > REBASED_AFTER:
            self._rebase(one.told_at)
        weight = one.weight / self._left(one.told_at)
        strongest = self._strongest.get((said, one.owner), 0.0)
        if weight > strongest:
            self._strongest[said, one.owner] = weight
            self._weights[said] += weight - strongest
        else:
            self._weights[said] += 0.0  # said, though by nothing that has weight

    def status(self, at: datetime) -> Status:
        """Return the weightiest status at a moment; of equals the one furthest on."""
        left = self._left(at)
        weights = self._weights
        return max(weights, key=lambda said: (round(weights[said] * left, 9), _STAGES[said]))

    def _left(self, at: datetime) -> float:
        return float(0.5 ** ((at - self._since) / HALF_LIFE))

    def _rebase(self, at: datetime) -> None:
        left = self._left(at)
        self._since = at
        self._strongest = {key: weight * left for key, weight in self._strongest.items()}
        self._weights = defaultdict(
            float, {k: weight * left for k, weight in self._weights.items()}
        )


def _said(one: Evidence) -> Status:
    """Return a mention's status; what is "live" with its day still ahead is scheduled."""
    if one.status in HAPPENED and one.event_date_precision in ("day", "minute"):
        day = one.event_date[:10]
        if day > f"{one.told_at + timedelta(days=1):%Y-%m-%d}":
            return "scheduled"
    return one.status
