"""``scrapy evaluate``: the rules against labelled records."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table

from tgecrawler.cli import TgeCommand, json_flag
from tgecrawler.config.loader import load_watchlist
from tgecrawler.domain.metrics import LabelledRecord, assess_record, evaluate, parse_labelled
from tgecrawler.errors import ArgumentError
from tgecrawler.runtime import load_assessor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from tgecrawler.items import Assessment

Judged = tuple[LabelledRecord, "Assessment"]


class Command(TgeCommand):
    """Precision, recall, F1 and more over a file of labelled records, with discovery on."""

    most_arguments = 1

    def syntax(self) -> str:
        return "[options] <FILE.jsonl>"

    def short_desc(self) -> str:
        return "Measure the rules against a labelled file"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--errors", metavar="FILE", help="write the misjudged records there")
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if not args:
            raise ArgumentError("evaluate takes a file of labelled records (JSON lines)")
        records = list(read_labelled(Path(args[0])))
        options = self.options()
        watchlist = load_watchlist(str(options["TGE_WATCHLIST"]))
        assessor = load_assessor(options, watchlist, discovery=True)
        started = time.perf_counter()
        judged = [(record, assess_record(assessor, record)) for record in records]
        took_ms = 1000 * (time.perf_counter() - started) / max(1, len(records))
        figures = {**evaluate(judged).as_dict(), "ms_per_record": round(took_ms, 3)}
        if opts.errors:
            write_errors(Path(opts.errors), judged)
        if opts.json:
            sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")
        else:
            print_figures(figures)


def read_labelled(path: Path) -> Iterator[LabelledRecord]:
    """Yield the records of a labelled file; blank lines are passed over.

    Raises:
        ArgumentError: it cannot be read, or a line is no labelled record.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"cannot read {path}: {error}") from None


def write_errors(path: Path, judged: Sequence[Judged]) -> None:
    """Write each record that was judged other than labelled, with its assessment.

    Raises:
        ArgumentError: nothing can be written there.
    """
    lines = [
        orjson.dumps({"record": asdict(record), "assessment": asdict(assessment)}) + b"\n"
        for record, assessment in judged
        if record.tge != assessment.relevant
    ]
    try:
        path.write_bytes(b"".join(lines))
    except OSError as error:
        raise ArgumentError(f"--errors: cannot write {path}: {error.strerror}") from None


def print_figures(figures: dict[str, float]) -> None:
    """Print the figures as a table."""
    table = Table()
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console(file=sys.stdout).print(table)


def _parse(path: Path, number: int, line: str) -> LabelledRecord:
    try:
        return parse_labelled(line)
    except ValueError as error:
        raise ArgumentError(f"{path}:{number}: {error}") from None
