"""What goes into the leased queue and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PushStatus = Literal["new", "queued", "seen", "full"]
Verdict = Literal["done", "failed", "refused", "released", "later"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A request for the queue.

    Args:
        id: a second one of the same id is the same request while the first is in the queue.
        host: whose place it takes while it is in flight.
        priority: the higher goes first, across hosts.
        fingerprint: known to the shared filter from then on, and refused where it is
            known; empty = neither.
        delay_s: it is handed out so much later.
        group: whose account it is on.
        bounded: a full queue does not take it.
    """

    id: str
    host: str
    priority: int
    payload: bytes
    fingerprint: bytes = b""
    delay_s: float = 0.0
    group: str = ""
    bounded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A request that this worker has until it acknowledges it, or is not heard of any more."""

    id: str
    token: str  # of this lease; a later one of the same request has another
    payload: bytes
    attempts: int
    reclaims: int
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """How a lease ends.

    done: gone. failed: again after a pause, and dead after too many. refused: dead at
    once. released: back to the queue, as if nothing had been; after `delay_s` if given.
    later: back to the queue, and its whole host waits until `until_s` (epoch seconds).

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
