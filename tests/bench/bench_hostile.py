"""What 200 hosts at one byte a second cost 50 healthy ones: the p95 of these, with and without.

One server process plays all hosts; each run is a crawl process of its own, with and without slow
hosts in turns, and the median of the rounds' ratios counts. A slow request that ends at its
deadline is followed by the next.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from run import HERE, ROOT, Row

sys.path.append(str(ROOT / "tests" / "crawl"))

SLOW, ROUNDS = 200, 5
PAGES = 50 * 20  # of one run: healthy hosts times the beats that count, as in hostile_run.py
MOST_OF_QUIET = 1.10
LONGEST_S = 120  # of one run, on a machine that has other things to do

Round = tuple[dict[str, Any], dict[str, Any]]  # without the slow hosts, and with them


def bench_hostile() -> list[Row]:
    from hostile_world import start_server

    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            rounds = [
                (_run(server.port, 0, folder), _run(server.port, SLOW, folder))
                for _ in range(ROUNDS)
            ]
        finally:
            server.stop()
    return _rows(rounds)


def _run(port: int, slow: int, folder: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "hostile_run.py"), str(port), str(slow), folder],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST_S,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _rows(rounds: list[Round]) -> list[Row]:
    runs = [run for turn in rounds for run in turn]
    beside = [slow for _, slow in rounds]
    unread = max(PAGES - len(run["latencies_ms"]) + run["healthy_failed"] for run in runs)
    least = min(min(run["slow_under_way"], default=0) for run in beside)
    ended = sum(run["ended"]["deadline"] for run in beside)
    otherwise = sum(run["ended"]["otherwise"] for run in beside)
    return [
        _ratio("healthy p95 beside 200 slow hosts", rounds, "latencies_ms", MOST_OF_QUIET),
        _ratio("  the same, until the spider has it", rounds, "waits_ms", None),
        Row("  healthy pages not read", unread, "", 0, f"of {PAGES} in each of {len(runs)} runs"),
        Row("  slow requests under way, least", least, "", None, f"of {SLOW}"),
        Row("  slow ones not ended at deadline", otherwise, "", 0, f"{ended} ended there"),
    ]


def _ratio(name: str, rounds: list[Round], figure: str, limit: float | None) -> Row:
    pairs = [(_p95(quiet[figure]), _p95(slow[figure])) for quiet, slow in rounds]
    ratios = sorted(slow / quiet for quiet, slow in pairs)
    quiet_ms, slow_ms = (statistics.median(side) for side in zip(*pairs, strict=True))
    note = (
        f"p95 {slow_ms:.1f} ms, {quiet_ms:.1f} ms without them; "
        f"rounds {ratios[0]:.2f} to {ratios[-1]:.2f}"
    )
    return Row(name, statistics.median(ratios), "x", limit, note)


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
