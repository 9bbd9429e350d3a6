"""When to ask a service again that is away."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


@dataclass(slots=True)
class Outage:
    """A service that is away, or not; the pauses between attempts double up to a bound.

    Moments are in seconds of any one monotonic clock, and are arguments.
    """

    next_try_s: float | None = None
    pause_s: float = FIRST_PAUSE_S

    @property
    def lasts(self) -> bool:
        """Whether the last attempt failed."""
        return self.next_try_s is not None

    def failed(self, now_s: float) -> bool:
        """Note a failed attempt; return whether it is the first one."""
        first = not self.lasts
        self.next_try_s = now_s + self.pause_s
        self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
        return first

    def ended(self) -> bool:
        """Note an attempt that went well; return whether it had been away before."""
        lasted = self.lasts
        self.next_try_s, self.pause_s = None, FIRST_PAUSE_S
        return lasted

    def wait_s(self, now_s: float) -> float:
        """Return how long until it is worth an attempt: 0 = now."""
        return 0.0 if self.next_try_s is None else max(0.0, self.next_try_s - now_s)
