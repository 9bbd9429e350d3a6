"""How long what a host's robots.txt said holds, and what holds while it cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Generic, TypeVar

LIFETIME = timedelta(hours=24)  # RFC 9309, 2.4
MOST_REDIRECTS = 5  # RFC 9309, 2.3.1.2
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)

Rules = TypeVar("Rules")


class Availability(Enum):
    """What the status of an answer to /robots.txt means (RFC 9309, 2.3.1)."""

    FOUND = "its rules hold"
    REDIRECTED = "asked again where it points"
    UNAVAILABLE = "everything is allowed"
    UNREACHABLE = "nothing is allowed, and it is asked again"


def availability_of(status: int) -> Availability:
    """Return what a status means.

    429 is a host that asks for less, not one that has no rules: it counts as
    unreachable, as 5xx do, although RFC 9309 would let us in.
    """
    if 200 <= status < 300:
        return Availability.FOUND
    if status in (301, 302, 303, 307, 308):
        return Availability.REDIRECTED
    if status >= 500 or status == 429:
        return Availability.UNREACHABLE
    return Availability.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class RobotsCopy(Generic[Rules]):
    """What is known of a robots.txt.

    `rules` is None where nothing may be fetched; then `reason` says why, in words.
    `due_at` is when to ask again, `failures` how often that has failed in a row.
    """

    rules: Rules | None
    due_at: datetime
    failures: int = 0
    reason: str = ""

    def is_due(self, now: datetime) -> bool:
        """Return whether it has to be asked for again."""
        return now >= self.due_at


def renewed(rules: Rules, fetched_at: datetime) -> RobotsCopy[Rules]:
    """Return a copy that holds for `LIFETIME` from when it was fetched."""
    return RobotsCopy(rules, fetched_at + LIFETIME)


def failed(
    copy: RobotsCopy[Rules] | None, reason: str, now: datetime, jitter: float
) -> RobotsCopy[Rules]:
    """Return what holds after a failure: the rules as they were, else nothing is allowed.

    It is asked for again after `FIRST_RETRY`, doubling to `LONGEST_RETRY`, and up to
    a quarter longer by `jitter` (0 to 1).
    """
    failures = copy.failures + 1 if copy else 1
    wait = min(FIRST_RETRY * 2 ** min(failures - 1, 16), LONGEST_RETRY) * (1 + jitter / 4)
    return RobotsCopy(copy.rules if copy else None, now + wait, failures, reason)
