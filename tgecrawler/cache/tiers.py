"""The table of tiers: for how long what kind of copy is good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tgecrawler.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of the table.

    `ttl_s` holds until an entry has a history of changes; what is concluded from
    that stays within the bounds. `keep_s` is how long an entry stays after it has
    expired, so that it can still be asked for by its validators.
    """

    name: str
    ttl_s: float
    shortest_ttl_s: float
    longest_ttl_s: float
    keep_s: float


_ROWS = (
    Tier("feed", 10 * MINUTE_S, MINUTE_S, HOUR_S, 7 * DAY_S),
    Tier("article", 3 * DAY_S, 6 * HOUR_S, 14 * DAY_S, 14 * DAY_S),
    Tier("x_user", HOUR_S, 10 * MINUTE_S, DAY_S, DAY_S),
    Tier("search", 5 * MINUTE_S, MINUTE_S, 30 * MINUTE_S, HOUR_S),
    # where a source has moved for good; followed unasked for a day
    Tier("moved", DAY_S, HOUR_S, 7 * DAY_S, 0.0),
    # RFC 9309, 2.4: a copy of robots.txt is not used for longer than 24 hours
    Tier("robots", DAY_S, HOUR_S, DAY_S, 7 * DAY_S),
    # each rest of a host has a length of its own, given as ttl_s; over is over
    Tier("host", DAY_S, MINUTE_S, DAY_S, 0.0),
    Tier("validators", DAY_S, DAY_S, 30 * DAY_S, 30 * DAY_S),
)
TIERS: Mapping[str, Tier] = {tier.name: tier for tier in _ROWS}


def tiers_with(ttls: str) -> dict[str, Tier]:
    """Return the table with other defaults, written ``feed=300,article=86400`` (seconds).

    A default beyond its tier's bounds moves that bound.

    Raises:
        OptionError: an unknown tier, or no number of seconds above 0.
    """
    table = dict(TIERS)
    for part in filter(None, (part.strip() for part in ttls.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in table:
            raise OptionError(f"TGE_CACHE_TTLS: no tier {name!r}; known: {', '.join(TIERS)}")
        table[name] = _with_ttl(table[name], _seconds(name, number))
    return table


def _with_ttl(tier: Tier, ttl_s: float) -> Tier:
    return replace(
        tier,
        ttl_s=ttl_s,
        shortest_ttl_s=min(tier.shortest_ttl_s, ttl_s),
        longest_ttl_s=max(tier.longest_ttl_s, ttl_s),
    )


def _seconds(name: str, number: str) -> float:
    if not number.isdecimal() or int(number) < 1:
        raise OptionError(
            f"TGE_CACHE_TTLS: {name} is a whole number of seconds, 1 or more, not {number!r}"
        )
    return float(number)
