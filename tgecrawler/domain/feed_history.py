"""What is remembered of a feed between polls: when entries appeared, how often nothing did."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from math import exp
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HOURS, WEEKDAYS = 24, 7
# Re-run tests/bench/bench_polling.py after changing one of these.
MEMORY_S = 14 * 86_400.0  # a gap this old weighs 1/e: two weeks hold every weekday twice
LEAST_GAPS = 12.0  # of a slow feed, so many gaps are remembered however old they are
BURST_S = 3_600.0  # an entry calls for others within about an hour
STRAGGLER_GAPS = 10.0  # times the median gap, before the oldest entry of a backlog is left out
ONE_MOMENT_S = 60.0  # entries closer than this came at once: nobody polls faster
DIGITS = 3


@dataclass(frozen=True, slots=True)
class FeedHistory:
    """The rhythm of one feed in at most a kilobyte of JSON; the empty one knows nothing.

    `hours` (UTC) and `weekdays` (0 = Monday) count appearances, old ones less.
    `gap_weight` gaps span `gap_span_s` together, weighted alike; `met_gap_s` is the
    mean gap that a moment taken at random falls into, twice the mean gap where entries
    come by chance and far more where they come in bursts. `burst` is how many entries
    came within about the last hour, as of `last_entry_at`. Moments are aware UTC.
    """

    hours: tuple[float, ...] = (0.0,) * HOURS
    weekdays: tuple[float, ...] = (0.0,) * WEEKDAYS
    gap_weight: float = 0.0
    gap_span_s: float = 0.0
    met_gap_s: float = 0.0
    burst: float = 0.0
    polls: int = 0
    changes: int = 0
    quiet_polls: int = 0
    last_entry_at: datetime | None = None
    last_polled_at: datetime | None = None
    last_new_at: datetime | None = None

    def to_json(self) -> str:
        """Return it as one JSON object, the same for equal histories."""
        plain = asdict(self)
        for name in _MOMENTS:
            moment: datetime | None = plain[name]
            plain[name] = moment and moment.isoformat().replace("+00:00", "Z")
        return json.dumps({"version": 1} | plain, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> FeedHistory:
        """Return the history that `to_json` wrote; what is missing or damaged starts anew.

        A field that cannot be read is as in the empty history. No text raises.
        """
        try:
            plain = json.loads(text or "{}")
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(plain, dict):
            return cls()
        read = {name: _READERS[name](plain[name]) for name in _READERS if name in plain}
        return cls(**{name: value for name, value in read.items() if value is not None})


def observed(
    history: FeedHistory,
    new_moments: Iterable[datetime | None],
    *,
    polled_at: datetime,
    first: bool,
) -> FeedHistory:
    """Return the history after a poll that was answered.

    Args:
        new_moments: when each entry new in this poll says it was published, None
            where it does not say; empty after a 304.
        polled_at: aware.
        first: the poll that found the feed's backlog: its dates are believed. Later
            an entry appeared after the poll before, whatever its date says, so that
            future, wrong and mass-changed dates bend nothing.
    """
    polled_at = _whole_second(polled_at) or polled_at
    moments = list(new_moments)
    last_entry_at = history.last_entry_at and min(history.last_entry_at, polled_at)
    counted = replace(
        history,
        last_entry_at=last_entry_at,  # a clock that once ran ahead is forgiven
        polls=history.polls + 1,
        changes=history.changes + bool(moments),
        quiet_polls=0 if moments else history.quiet_polls + 1,
        last_polled_at=polled_at,
        last_new_at=polled_at if moments else history.last_new_at,
    )
    if not moments:
        return counted
    earliest_at = None if first else history.last_polled_at
    for appeared_at in _appearances(moments, earliest_at, polled_at):
        counted = _with_appearance(counted, appeared_at)
    return counted


def _appearances(
    moments: Sequence[datetime | None], earliest_at: datetime | None, polled_at: datetime
) -> list[datetime]:
    """Return in order when the entries may really have appeared.

    An undated one appeared in the middle between two polls; in a first poll it
    tells nothing.
    """
    known = [moment and _whole_second(moment) for moment in moments]
    if earliest_at is None:
        return _without_stragglers(sorted({min(one, polled_at) for one in known if one}))
    middle_at = _whole_second(earliest_at + (polled_at - earliest_at) / 2)
    return sorted(min(max(one or middle_at or polled_at, earliest_at), polled_at) for one in known)


def _without_stragglers(moments: list[datetime]) -> list[datetime]:
    """Return a backlog without what a feed keeps for years: a pinned post, a date of 1970."""
    gaps_s = [(b - a).total_seconds() for a, b in pairwise(moments)]
    far_s = max(MEMORY_S, STRAGGLER_GAPS * median(gaps_s)) if gaps_s else 0.0
    first = next((at for at, gap_s in enumerate(gaps_s) if gap_s <= far_s), 0)
    return moments[first:]


def _with_appearance(history: FeedHistory, appeared_at: datetime) -> FeedHistory:
    last_at = history.last_entry_at
    if last_at is None:
        return replace(_marked(history, 1.0, appeared_at), burst=1.0)
    gap_s = (appeared_at - last_at).total_seconds()
    if gap_s < ONE_MOMENT_S:
        return history
    kept = exp(-gap_s / memory_s(history))
    span_s = history.gap_span_s * kept + gap_s
    met_s2 = history.met_gap_s * history.gap_span_s * kept + gap_s * gap_s
    return replace(
        _marked(history, kept, appeared_at),
        gap_weight=round(history.gap_weight * kept + 1.0, DIGITS),
        gap_span_s=round(span_s, DIGITS),
        met_gap_s=round(met_s2 / span_s, DIGITS),
        burst=round(history.burst * exp(-gap_s / BURST_S) + 1.0, DIGITS),
    )


def _marked(history: FeedHistory, kept: float, appeared_at: datetime) -> FeedHistory:
    """Return it with one more appearance in the profiles, the old ones shrunk."""
    return replace(
        history,
        hours=_counted(history.hours, kept, appeared_at.hour),
        weekdays=_counted(history.weekdays, kept, appeared_at.weekday()),
        last_entry_at=appeared_at,
    )


def _counted(counts: tuple[float, ...], kept: float, at: int) -> tuple[float, ...]:
    shrunk = [round(count * kept, DIGITS) for count in counts]
    shrunk[at] = round(shrunk[at] + 1.0, DIGITS)
    return tuple(shrunk)


def usual_gap_s(history: FeedHistory) -> float | None:
    """Return the weighted mean gap between appearances in seconds; None before the first gap."""
    if history.gap_weight <= 0 or history.gap_span_s <= 0:
        return None
    return history.gap_span_s / history.gap_weight


def memory_s(history: FeedHistory) -> float:
    """Return after how long a gap weighs 1/e."""
    return max(MEMORY_S, LEAST_GAPS * (usual_gap_s(history) or 0.0))


def _whole_second(moment: datetime) -> datetime | None:
    """Return a moment in UTC without its fraction; None where the calendar ends before UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        return None


def _read_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15:
        return None
    return float(value) if value >= 0 else None  # NaN is not


def _read_count(value: Any) -> int | None:
    number = _read_number(value) if isinstance(value, int) else None
    return None if number is None else int(number)


def _read_counts(length: int, value: Any) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != length:
        return None
    numbers = [_read_number(one) for one in value]
    return None if None in numbers else tuple(number or 0.0 for number in numbers)


def _read_moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return _whole_second(moment)


_MOMENTS = ("last_entry_at", "last_polled_at", "last_new_at")
_READERS: dict[str, Callable[[Any], Any]] = {
    "hours": lambda value: _read_counts(HOURS, value),
    "weekdays": lambda value: _read_counts(WEEKDAYS, value),
    **dict.fromkeys(("gap_weight", "gap_span_s", "met_gap_s", "burst"), _read_number),
    **dict.fromkeys(("polls", "changes", "quiet_polls"), _read_count),
    **dict.fromkeys(_MOMENTS, _read_moment),
}
