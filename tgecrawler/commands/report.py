"""``scrapy report``: the last runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table

from tgecrawler.cli import TgeCommand, json_flag
from tgecrawler.storage.queries import RunRow, recent_runs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


class Command(TgeCommand):
    """Shows what the last runs did; the JSON of each is in docs/report.md."""

    def syntax(self) -> str:
        return "[options]"

    def short_desc(self) -> str:
        return "Show the last runs and their figures"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--limit", metavar="N", type=int, default=10, help="at most (10)")
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        runs = recent_runs(self.open_database(), limit=max(1, opts.limit))
        if opts.json:
            shown = orjson.dumps([run.report for run in runs], option=orjson.OPT_INDENT_2)
            sys.stdout.write(shown.decode() + "\n")
        else:
            print_runs(runs)


def print_runs(runs: Sequence[RunRow]) -> None:
    """Print one line a run."""
    if not runs:
        print("no runs yet")
        return
    table = Table(title=f"the last {len(runs)} runs", title_justify="left")
    for column in ("started", "spider", "ended", "seconds", "sources", "entries", "alerts"):
        table.add_column(column, justify="left" if column in ("started", "spider") else "right")
    for run in runs:
        report = run.report
        sources = report["sources"]
        table.add_row(
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            run.spider,
            run.reason,
            f"{report['run']['cycle_s']:.1f}",
            f"{sources['polled'] - sources['failed']}/{sources['polled']}",
            str(report["entries_seen"]),
            str(report["alerts"]),
        )
    Console(file=sys.stdout).print(table)
