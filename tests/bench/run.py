"""``make bench``: every ``bench_*.py`` beside this file; a table, and JSON under ``var/bench/``.

A benchmark is a function ``bench_…() -> list[Row]``. What is compared runs
interleaved in one process, and the median of the rounds counts: on a noisy
machine the ratio holds, not the milliseconds. Memory is measured in a process
of its own.

    python tests/bench/run.py            all benchmarks
    python tests/bench/run.py relevance  those of bench_relevance.py
    python tests/bench/run.py --soak     the functions soak_… instead: minutes and gigabytes
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; ``limit`` is what it must not exceed, None where none is set."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        return self.limit is None or self.value <= self.limit


def interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int = ROUNDS
) -> dict[str, float]:
    """Return the median seconds of each candidate, run in turns."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def memory_mb(code: str) -> float:
    """Return by how many MB the resident memory of a new process grows over some code.

    The code holds a line ``# measured`` before which imports and data stand.
    """
    before, after = code.split("# measured\n")
    lines = [
        "import gc, pathlib, resource",
        "def resident():",
        "    gc.collect()",
        "    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])",
        "    return pages * resource.getpagesize() / 2**20",
        before,
        "low = resident()",
        after,
        "print(resident() - low)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the benchmarks beside this file.")
    parser.add_argument("subject", nargs="?", default="*", help="of bench_SUBJECT.py alone")
    parser.add_argument("--soak", action="store_true", help="minutes and gigabytes, in their place")
    wanted = parser.parse_args(arguments)
    prefix = "soak_" if wanted.soak else "bench_"
    sys.path[:0] = [str(ROOT), str(HERE)]
    rows: list[Row] = []
    for path in sorted(HERE.glob(f"bench_{wanted.subject}.py")):
        module = importlib.import_module(path.stem)
        for name in sorted(vars(module)):
            if name.startswith(prefix) and callable(run := getattr(module, name)):
                rows += run()
    _write(rows)
    _show(rows)
    return int(not all(row.met for row in rows))


def _write(rows: list[Row]) -> None:
    now = datetime.now(UTC)
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rows": [asdict(row) | {"met": row.met} for row in rows],
    }
    path = folder / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _show(rows: list[Row]) -> None:
    table = Table(title="benchmarks", title_justify="left")
    for column in ("figure", "value", "limit", "met", "note"):
        table.add_column(column, justify="right" if column in ("value", "limit") else "left")
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
        met = "" if row.limit is None else "yes" if row.met else "NO"
        table.add_row(row.name, f"{row.value:.3g} {row.unit}", limit, met, row.note)
    Console(width=110).print(table)


if __name__ == "__main__":
    # the benchmarks import this file by its name: one Row for both
    sys.modules["run"] = sys.modules["__main__"]
    sys.exit(main())
