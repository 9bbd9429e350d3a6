"""What a cycle takes: 21 feeds of 20 entries, every page wanted, 200 ms to each answer.

Beside ours, in turns: what the predecessor is built of, and Scrapy with nothing behind it. What
happened is told by the server's own counts and by the run report; `make bench` makes the
environment that the predecessor's libraries need.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cycle_runs import Run, run_bare_scrapy, run_ours, run_predecessor, serving
from cycle_world import ENTRIES, FEEDS
from run import Row

LATENCY_S = 0.2
ROUNDS = 5
PAGES = FEEDS * ENTRIES
LEAST_S = LATENCY_S * (ENTRIES + 2)  # a host's robots.txt, feed and pages, one after the other

MOST_OF_PREDECESSOR = 1 / 5
MOST_OF_BARE = 1.5
MOST_WARM_CPU = 1 / 20


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of each; `warm` is ours once more, on the database that `cold` filled."""

    predecessor: Run
    bare: Run
    cold: Run
    warm: Run


Figure = Callable[[Round], float]


def soak_cycle() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), LATENCY_S) as web:
        rounds = []
        for number in range(ROUNDS):
            home = Path(folder, f"round{number}")
            home.mkdir()
            predecessor, bare = run_predecessor(web), run_bare_scrapy(web)
            rounds.append(Round(predecessor, bare, run_ours(web, home), run_ours(web, home)))
    return [*_cold_rows(rounds), *_warm_rows(rounds)]


def _cold_rows(rounds: list[Round]) -> list[Row]:
    def against(name: str, rival: Figure, limit: float) -> Row:
        ratio = _median(rounds, lambda turn: turn.cold.cycle_s / rival(turn))
        return Row(f"  ours to {name}", ratio, "", limit)

    return [
        _cycle_row(f"cold cycle, {PAGES} pages", rounds, lambda turn: turn.cold),
        _cycle_row("  libraries of the predecessor", rounds, lambda turn: turn.predecessor),
        _cycle_row("  bare Scrapy", rounds, lambda turn: turn.bare),
        Row("  physical limit", LEAST_S, "s", None, f"{ENTRIES + 2} times {LATENCY_S:g} s a host"),
        against("the libraries", lambda turn: turn.predecessor.cycle_s, MOST_OF_PREDECESSOR),
        against("bare Scrapy", lambda turn: turn.bare.cycle_s, MOST_OF_BARE),
        _worst("  pages not stored", rounds, lambda turn: PAGES - _stored(turn.cold), 0),
        _worst("  the same, libraries", rounds, lambda turn: PAGES - turn.predecessor.pages, 0),
        _worst("  connections of one host at a time", rounds, lambda turn: turn.cold.parallel, 1),
        _worst("  the same, bare Scrapy", rounds, lambda turn: turn.bare.parallel, 1),
    ]


def _warm_rows(rounds: list[Round]) -> list[Row]:
    def share(cpu: Callable[[Run], float]) -> float:
        return _median(rounds, lambda turn: cpu(turn.warm) / cpu(turn.cold))

    robots = max(turn.warm.asked["robots"] for turn in rounds)
    unlike = "start-up included; a process that watches starts once"
    return [
        _cycle_row("warm cycle", rounds, lambda turn: turn.warm),
        _worst("  pages fetched again", rounds, lambda turn: turn.warm.asked["page"], 0),
        _worst("  feeds not answered 304", rounds, _feeds_sent_anew, 0),
        Row("  robots.txt asked for", robots, "", FEEDS),
        Row("  CPU of warm to cold, in the cycle", share(_in_cycle), "", MOST_WARM_CPU),
        Row("  CPU of warm to cold, whole process", share(_whole), "", None, unlike),
    ]


def _cycle_row(name: str, rounds: list[Round], which: Callable[[Round], Run]) -> Row:
    runs = [which(turn) for turn in rounds]
    middle = {
        figure: statistics.median(getattr(run, figure) for run in runs)
        for figure in ("cpu_s", "process_cpu_s", "memory_mb", "connections")
    }
    note = (
        f"CPU {middle['cpu_s']:.2f} s, whole process {middle['process_cpu_s']:.2f} s; "
        f"{middle['memory_mb']:.0f} MB; {middle['connections']:.0f} connections"
    )
    return Row(name, statistics.median(run.cycle_s for run in runs), "s", None, note)


def _median(rounds: list[Round], figure: Figure) -> float:
    return statistics.median(figure(turn) for turn in rounds)


def _worst(name: str, rounds: list[Round], figure: Figure, limit: float) -> Row:
    return Row(name, max(figure(turn) for turn in rounds), "", limit)


def _stored(run: Run) -> int:
    stored: int = run.report["outcomes"]["stored"]
    return stored


def _feeds_sent_anew(turn: Round) -> int:
    return FEEDS - turn.warm.unchanged["feed"]


def _in_cycle(run: Run) -> float:
    return run.cpu_s


def _whole(run: Run) -> float:
    return run.process_cpu_s
