"""Whether an entry is too old to tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class AgeLimit:
    """Leaves out what was published before a moment, or too many days ago.

    `since` (aware) beats `max_age_days`; 0 days is no limit.
    """

    max_age_days: int = 0
    since: datetime | None = None

    def excludes(self, published_at: datetime | None, now: datetime) -> bool:
        """Return whether an entry of `published_at` is too old at `now`; both aware.

        An entry without a date is never too old: what the feed does not date is
        dated by its page.
        """
        if published_at is None:
            return False
        if self.since is not None:
            return published_at < self.since
        return self.max_age_days > 0 and now - published_at > timedelta(days=self.max_age_days)

    def __str__(self) -> str:
        return f"since {self.since:%Y-%m-%d}" if self.since else f"{self.max_age_days}d"
