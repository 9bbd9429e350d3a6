"""What goes into the leased queue and what comes out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PushStatus = Literal["new", "queued", "seen", "full"]
MarkStatus = Literal["new", "seen", "lost"]
Verdict = Literal["done", "failed", "refused", "released", "later"]

LONGEST_NAME = 256
_NAME = re.compile(rf"[!-~]{{1,{LONGEST_NAME}}}")


def check_name(name: str) -> None:
    """Refuse what cannot stand in a key and in a line.

    Raises:
        ValueError: it is not printable ASCII, or too long.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"not printable ASCII of at most {LONGEST_NAME} characters: {name!r:.300}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A request for the queue.

    Args:
        id: a second one of the same id is the same request while the first is in the
            queue; printable ASCII, at most 256 characters.
        host: whose place it takes while it is in flight.
        priority: the higher goes first, across hosts.
        fingerprint: known to the shared filter from then on, and refused where it is
            known; empty = neither.
        delay_s: it is handed out so much later.
        group: whose account it is on; printable ASCII.
        bounded: a full queue does not take it.

    Raises:
        ValueError: id, group or host cannot stand in a key.
    """

    id: str
    host: str
    priority: int
    payload: bytes
    fingerprint: bytes = b""
    delay_s: float = 0.0
    group: str = ""
    bounded: bool = True

    def __post_init__(self) -> None:
        check_name(self.id)
        if self.group:
            check_name(self.group)
        if len(self.host.encode()) > LONGEST_NAME or "\t" in self.host or "\n" in self.host:
            raise ValueError(f"not a host: {self.host!r:.300}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A request that this worker has until it acknowledges it, or is not heard of any more."""

    id: str
    token: str  # of this lease; a later one of the same request has another
    payload: bytes
    attempts: int = 0
    reclaims: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A fingerprint that a leased request meets on its way, as by a redirect.

    It is forgotten again if the lease ends otherwise than well: then whoever makes the
    request anew is not stopped by it.
    """

    id: str
    token: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """How a lease ends.

    done: gone. failed: again after a pause, and dead after too many. refused: dead at
    once. released: back to the queue, as if nothing had been; after `delay_s` if given.
    later: back to the queue, and its whole host waits until `until_s` (epoch seconds by this
    machine's clock).

    Args:
        unfinished: counts in its group, where it is done.
    """

    id: str
    token: str
    verdict: Verdict
    reason: str = ""
    delay_s: float = 0.0
    until_s: float = 0.0
    unfinished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """All requests of a group were offered.

    Raises:
        ValueError: the group cannot stand in a key.
    """

    group: str
    payload: bytes
    unfinished: int = 0

    def __post_init__(self) -> None:
        check_name(self.group)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedGroup:
    """A group all of whose requests are done, dead ones counted as unfinished."""

    group: str
    payload: bytes
    unfinished: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a worker tells and asks in one round; in this order."""

    offers: tuple[Offer, ...] = ()
    marks: tuple[Mark, ...] = ()
    landed: tuple[Leased, ...] = ()
    acks: tuple[Ack, ...] = ()
    closes: tuple[Close, ...] = ()
    want: int = 0
    mine: int = 0  # requests that this worker has and that have not landed
    busy: bool = False  # it has something to do that is not in the queue
    leaving: bool = False  # it takes no more; the others need not leave it a share


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """The answer to a round.

    Attributes:
        pushed: of each offer.
        marked: of each mark; "lost": the lease is another's by now.
        closed_groups: whose last step this round made; nobody else is told.
        outstanding: requests in the queue or leased to anybody, without those that are
            due in a minute or later.
        busy_others: workers that have something to do which is not in the queue.
        reclaimed: leases of others that ran out.
        buried: requests that were put with the dead ones.
        wait_s: when something is due, at the latest; None = nothing is.
    """

    pushed: tuple[PushStatus, ...]
    marked: tuple[MarkStatus, ...]
    leased: tuple[Leased, ...]
    closed_groups: tuple[ClosedGroup, ...]
    outstanding: int
    busy_others: int
    reclaimed: int
    buried: int
    wait_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """The queue as an operator sees it.

    Attributes:
        requests: queued, delayed and leased ones together.
        in_flight: leased and not yet answered.
        tried: requests that failed or were reclaimed at least once.
        seen: fingerprints that the filter knows.
        workers: name and seconds since it was heard of.
        next_deadline_s: when the next lease runs out; None where none is given.
    """

    requests: int
    leased: int
    in_flight: int
    delayed: int
    dead: int
    tried: int
    seen: int
    ready_hosts: int
    waiting_hosts: int
    workers: tuple[tuple[str, float], ...]
    next_deadline_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadRequest:
    """A request that was given up; `payload` may be anything, where it is none of ours."""

    id: str
    payload: bytes
    reason: str
    attempts: int
    reclaims: int
    died_at_s: float  # epoch seconds
