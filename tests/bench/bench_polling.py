"""When to poll: detection delay against polls, ours beside fixed intervals and two readers' ways.

Every comparison is at equal cost: our one knob, `PollBounds.effort_s`, is turned
until we poll no more than the other way does, then the delays are compared; and once
more the other way round. Constants were chosen on the half of the made feeds that is
not reported here; on none of the captured ones. docs/polling.md tells the results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from polling_captures import captured_feeds
from polling_feeds import made_feeds
from polling_replay import CommaFeed, Feed, Fixed, Miniflux, Poller, Rhythm, Score, replay_all
from polling_silence import false_alarms_per_month, silences_until_alarm

from run import Row
from tgecrawler.domain.polling import PollBounds

RIVALS: Mapping[str, Callable[[], Poller]] = {
    "5 min": lambda: Fixed(300.0),
    "15 min": lambda: Fixed(900.0),
    "60 min": lambda: Fixed(3_600.0),
    "Miniflux": Miniflux,
    "CommaFeed": CommaFeed,
}
NEAR = 0.04  # of equal cost and equal delay; always on the side that is against us
MOST_FALSE_ALARMS = 0.2  # per feed and month
MOST_GAPS = 8.0  # a slow feed that stopped is called stale within, by median; 6 are the rule
MOST_HOURS = 48.0  # the same for one that brought an entry every six hours or more

QUARTER = "made/4"  # every fourth feed: 288 polls a day of each are enough

Scores = Mapping[str, Score]


@cache
def feeds_of(name: str) -> tuple[Feed, ...]:
    if name == "captured":
        return tuple(captured_feeds())
    reported = tuple(feed for feed in made_feeds() if not feed.for_tuning)
    return reported[::4] if name == QUARTER else reported


@cache
def ours(name: str, effort_s: float) -> Scores:
    return replay_all(feeds_of(name), lambda: Rhythm(PollBounds(effort_s=effort_s)))


def turned(name: str, over: Callable[[Scores], float]) -> Scores:
    """Return our scores at an effort at which a ratio is at most 1, and hardly less.

    The ratio falls or rises with the effort; where none brings it so near, the nearest
    below 1 is taken, or the nearest above where none is below.
    """
    known = {effort_s: math.log(over(ours(name, effort_s))) for effort_s in (1_500.0, 300.0)}
    for _ in range(9):
        if any(-NEAR <= ratio <= 0 for ratio in known.values()):
            break
        effort_s = _next_effort_s(known)
        known[effort_s] = math.log(over(ours(name, effort_s)))
    below = [effort_s for effort_s, ratio in known.items() if ratio <= 0]
    if not below:
        return ours(name, min(known, key=lambda effort_s: known[effort_s]))
    return ours(name, max(below, key=lambda effort_s: known[effort_s]))


def _next_effort_s(known: Mapping[float, float]) -> float:
    """Return where a straight line through the two nearest known efforts meets the goal."""
    goal = -NEAR / 2
    above = [effort_s for effort_s, ratio in known.items() if ratio > goal]
    below = [effort_s for effort_s, ratio in known.items() if ratio <= goal]
    if not above or not below:
        near, far = sorted(known, key=lambda effort_s: abs(known[effort_s]))[:2]
        return near * (4.0 if near > far else 0.25)
    high = min(above, key=lambda effort_s: known[effort_s])
    low = max(below, key=lambda effort_s: known[effort_s])
    share = (known[high] - goal) / (known[high] - known[low])
    return round(high * (low / high) ** min(0.9, max(0.1, share)), 3)


def bench_polling() -> list[Row]:
    rows: list[Row] = []
    for name in ("made", "captured"):
        if not feeds_of(name):
            rows.append(Row(f"polling, {name}: feeds", 0, "", note="../shared is not there"))
            continue
        for rival, make in RIVALS.items():
            part = QUARTER if (name, rival) == ("made", "5 min") else name
            rows += _compared(part, rival, replay_all(feeds_of(part), make))
            if make in (Miniflux, CommaFeed):  # a fixed interval is the same for all
                rows += _by_kind(name, rival, replay_all(feeds_of(name), make))
        rows += _by_kind(name, "ours", ours(name, PollBounds().effort_s))
    return rows


def _compared(name: str, rival: str, theirs: Scores) -> list[Row]:
    costing = turned(name, lambda scores: scores[""].polls_per_day / theirs[""].polls_per_day)
    as_fast = turned(name, lambda scores: _median(scores) / _median(theirs))
    label = f"polling, {name}: ours over {rival},"
    at_cost = f"{_told(costing[''])}; theirs {_told(theirs[''])}"
    return [
        Row(f"{label} median", _median(costing) / _median(theirs), "", 1.0, at_cost),
        Row(
            f"{label} p90",
            costing[""].percentile_s(0.9) / theirs[""].percentile_s(0.9),
            "",
            1.0,
            "at the same polls",
        ),
        Row(
            f"{label} polls",
            as_fast[""].polls_per_day / theirs[""].polls_per_day,
            "",
            1.0,
            f"at the same median: {_told(as_fast[''])}",
        ),
    ]


def _median(scores: Scores) -> float:
    return scores[""].percentile_s(0.5)


def _told(score: Score) -> str:
    half, most = score.percentile_s(0.5) / 60, score.percentile_s(0.9) / 60
    return f"{half:.1f} and {most:.1f} min at {score.polls_per_day:.1f} a day, lost {score.lost}"


def _by_kind(name: str, way: str, scores: Scores) -> list[Row]:
    """Return the median of each kind of feed, without a limit: kinds pay for each other."""
    return [
        Row(
            f"polling, {name} {kind or 'all'}: {way}",
            score.percentile_s(0.5) / 60,
            "min",
            note=_told(score),
        )
        for kind, score in sorted(scores.items())
        if score.delays
    ]


def bench_silence() -> list[Row]:
    rows: list[Row] = []
    for name in ("made", "captured"):
        living = [feed for feed in feeds_of(name) if feed.kind != "dead"]
        if living:
            rows += _silence_rows(name, living)
    return rows


def _silence_rows(name: str, living: Sequence[Feed]) -> list[Row]:
    told = list(silences_until_alarm(living))
    lively = sorted(silent_s / 3_600 for gap_s, silent_s in told if gap_s < 6 * 3_600)
    slow = sorted(silent_s / gap_s for gap_s, silent_s in told if gap_s >= 2 * 86_400)
    label = f"silence, {name}:"
    alarms = false_alarms_per_month(living)
    return [
        Row(f"{label} false alarms, feed and month", alarms, "", MOST_FALSE_ALARMS),
        Row(f"{label} until a lively feed is stale", _middle(lively), "h", MOST_HOURS),
        Row(f"{label} until a slow feed is stale", _middle(slow), "gaps", MOST_GAPS),
    ]


def _middle(ordered: Sequence[float]) -> float:
    return ordered[len(ordered) // 2]
