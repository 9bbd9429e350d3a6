"""What the shared level has counted over all runs, and the times that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.cache.level import TierSize
from tgecrawler.cache.usage import hit_ratio
from tgecrawler.domain.caching import FEWEST_CHECKS, ChangeHistory, adapted_ttl_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tgecrawler.cache.level import SharedLevel
    from tgecrawler.cache.tiers import Tier

_WORTH_A_CHANGE = 1.25  # a proposal nearer to the present time than that is none


@dataclass(frozen=True, slots=True)
class TierRow:
    """What a tier holds, and how it served; `changes` were seen in `checks` looks."""

    tier: str
    entries: int
    size_bytes: int
    hits: float
    misses: float
    revalidated: float
    hit_ratio: float
    checks: float
    changes: float


@dataclass(frozen=True, slots=True)
class Advice:
    """A time for a tier, and why; it equals the present one where nothing speaks for another."""

    tier: str
    ttl_s: float
    proposed_ttl_s: float
    hit_ratio: float
    checks: float
    changes: float
    why: str

    @property
    def differs(self) -> bool:
        return self.proposed_ttl_s != self.ttl_s


def tier_rows(tiers: Iterable[str], level: SharedLevel) -> list[TierRow]:
    """Return a row for each tier.

    Raises:
        LevelError: the level cannot be used.
    """
    counts, sizes = level.counts(), level.sizes()
    rows = []
    for tier in tiers:
        size = sizes.get(tier, TierSize(0, 0))
        numbers = {name: counts.get((tier, name), 0.0) for name in _NAMES}
        ratio = hit_ratio(numbers["hits"], numbers["misses"], numbers["revalidated"])
        rows.append(TierRow(tier, size.entries, size.size_bytes, hit_ratio=ratio, **numbers))
    return rows


_NAMES = ("hits", "misses", "revalidated", "checks", "changes")


def advise(tiers: Mapping[str, Tier], counts: Mapping[tuple[str, str], float]) -> list[Advice]:
    """Return a time for each tier, within its bounds, from what looking again has shown."""
    return [_advice(tier, counts) for tier in tiers.values()]


def _advice(tier: Tier, counts: Mapping[tuple[str, str], float]) -> Advice:
    def number(name: str) -> float:
        return counts.get((tier.name, name), 0.0)

    history = ChangeHistory(number("checks"), number("changes"), number("watched_s"))
    proposed_s = _proposed_s(tier, history)
    return Advice(
        tier=tier.name,
        ttl_s=tier.ttl_s,
        proposed_ttl_s=proposed_s,
        hit_ratio=hit_ratio(number("hits"), number("misses"), number("revalidated")),
        checks=history.checks,
        changes=history.changes,
        why=_why(tier, history, proposed_s),
    )


def _proposed_s(tier: Tier, history: ChangeHistory) -> float:
    wanted_s = adapted_ttl_s(
        history,
        ttl_s=tier.ttl_s,
        shortest_s=tier.shortest_ttl_s,
        longest_s=tier.longest_ttl_s,
    )
    ratio = max(wanted_s, tier.ttl_s) / min(wanted_s, tier.ttl_s)
    return tier.ttl_s if ratio < _WORTH_A_CHANGE else float(round(wanted_s))


def _why(tier: Tier, history: ChangeHistory, proposed_s: float) -> str:
    if history.checks < FEWEST_CHECKS:
        return "nobody has looked again often enough"
    gap_min = history.watched_s / history.checks / 60
    seen = f"a look every {gap_min:.3g} min saw a change in {history.changes / history.checks:.0%}"
    if proposed_s == tier.ttl_s:
        return f"{seen}: as it is"
    bounds = {tier.shortest_ttl_s: ", the shortest", tier.longest_ttl_s: ", the longest"}
    return f"{seen}: {'longer' if proposed_s > tier.ttl_s else 'shorter'}" + bounds.get(
        proposed_s, ""
    )
