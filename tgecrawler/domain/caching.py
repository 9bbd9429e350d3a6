"""How long a copy is good: within bounds, by how often the original really changes."""

from __future__ import annotations

import math
from dataclasses import dataclass

FEWEST_CHECKS = 3
"""Below it a history says nothing, and the default holds."""

MOST_CHECKS = 64.0
"""Beyond it a history is halved, so that what a source did long ago is forgotten."""

CHANGED_SHARE = 0.3
"""Chance that a copy is outdated when its time is up; over its whole life, half of that."""


@dataclass(frozen=True, slots=True)
class ChangeHistory:
    """What looking again has shown: `changes` in `checks`, over `watched_s` seconds together."""

    checks: float = 0.0
    changes: float = 0.0
    watched_s: float = 0.0

    def checked(self, gap_s: float, *, changed: bool) -> ChangeHistory:
        """Return the history after one more look.

        Args:
            gap_s: time since the last look; a negative one (a clock set back) counts as 0.
            changed: whether the original was another one than the copy.
        """
        kept = 0.5 if self.checks >= MOST_CHECKS else 1.0
        return ChangeHistory(
            checks=self.checks * kept + 1,
            changes=self.changes * kept + changed,
            watched_s=self.watched_s * kept + max(0.0, gap_s),
        )


def change_rate(history: ChangeHistory) -> float | None:
    """Return changes per second; None where a history says nothing yet.

    Two changes between two looks are seen as one, so that the plain ratio is too
    low; this estimator makes up for it, and stays finite where every look saw a change.

    Source: J. Cho and H. Garcia-Molina, Estimating frequency of change, ACM TOIT 3(3),
    2003, section 4.2: -log((n - X + 0.5) / (n + 0.5)) per interval between looks.
    """
    if history.checks < FEWEST_CHECKS or history.watched_s <= 0:
        return None
    same = max(0.0, history.checks - history.changes)
    per_check = -math.log((same + 0.5) / (history.checks + 0.5))
    return per_check * history.checks / history.watched_s


def adapted_ttl_s(
    history: ChangeHistory, *, ttl_s: float, shortest_s: float, longest_s: float
) -> float:
    """Return for how many seconds a copy is good.

    That is until the original has changed with a chance of `CHANGED_SHARE`, if its
    changes come at random. What never changed is trusted for as long as it was
    watched, but no shorter than the default.

    Args:
        history: what looking again has shown so far.
        ttl_s: the default, where the history says nothing.
        shortest_s: lower bound of the answer, default or not.
        longest_s: upper bound.

    Raises:
        ValueError: ``shortest_s`` is above ``longest_s``.
    """
    if shortest_s > longest_s:
        raise ValueError(f"shortest_s {shortest_s} is above longest_s {longest_s}")
    rate = change_rate(history)
    wanted_s = ttl_s
    if rate is not None:
        trusted_s = max(ttl_s, history.watched_s)
        good_s = -math.log(1 - CHANGED_SHARE) / rate if rate > 0 else math.inf
        wanted_s = min(good_s, trusted_s)
    return min(max(wanted_s, shortest_s), longest_s)
