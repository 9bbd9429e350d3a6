"""``scrapy evaluate``: the rules against labelled records."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table

from tgecrawler.cli import TgeCommand, json_flag
from tgecrawler.config.loader import load_watchlist
from tgecrawler.domain.event_metrics import (
    compare_duplicates,
    compare_groups,
    find_duplicates,
    find_events,
)
from tgecrawler.domain.metrics import LabelledRecord, assess_record, evaluate, parse_labelled
from tgecrawler.errors import ArgumentError
from tgecrawler.runtime import anybodys_of, load_assessor, ordinary_words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from tgecrawler.domain.relevance import Assessor
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
        parser.add_argument(
            "--events",
            action="store_true",
            help="also measure events and duplicates, on records that bear event and dup_of",
        )
        parser.add_argument(
            "--event-errors", metavar="FILE", help="with --events: write the wrong groups there"
        )
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
        if opts.events:
            lenient = load_assessor(options, watchlist, discovery=True, min_score=0.0)
            found = Found.of(records, lenient)
            figures |= found.figures()
            if opts.event_errors:
                write_event_errors(Path(opts.event_errors), found)
        elif opts.event_errors:
            raise ArgumentError("--event-errors needs --events")
        if opts.errors:
            write_errors(Path(opts.errors), judged)
        if opts.json:
            sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")
        else:
            print_figures(figures)


@dataclass(frozen=True, slots=True)
class Found:
    """What events and duplicates were found among labelled records."""

    records: Sequence[LabelledRecord]
    duplicates: dict[str, str]
    events: dict[str, str]

    @classmethod
    def of(cls, records: Sequence[LabelledRecord], lenient: Assessor) -> Found:
        """Group the records labelled as token events, whatever relevance says of them.

        Args:
            lenient: an assessor that takes every text for relevant, so that kind,
                status and project are told of all.
        """
        judged = [(record, assess_record(lenient, record)) for record in records]
        anybodys = anybodys_of(lenient.lexicon)
        duplicates = find_duplicates(judged, ordinary_words(lenient.lexicon), anybodys)
        told = [pair for pair in judged if pair[0].tge]
        return cls(records, duplicates, find_events(told, duplicates, anybodys))

    def figures(self) -> dict[str, float]:
        """Return the figures of the contract: pairs of one event, and pairs of copies."""
        labelled = {record.id: record.event for record in self.records if record.tge}
        copies = {record.id: record.dup_of for record in self.records if record.dup_of}
        return {
            **compare_groups(self.events, labelled).as_dict("events"),
            **compare_duplicates(self.duplicates, copies).as_dict("dups"),
        }


def write_event_errors(path: Path, found: Found) -> None:
    """Write each event, labelled or found, that is not the same in both, with its records.

    Raises:
        ArgumentError: nothing can be written there.
    """
    kept = [record for record in found.records if record.tge]
    lines = [
        orjson.dumps(
            {
                "event": event,
                "records": [
                    {"id": r.id, "found": found.events.get(r.id), "dup": found.duplicates.get(r.id)}
                    | {"published": r.published, "title": r.title or r.text}
                    for r in kept
                    if r.event == event
                ],
            }
        )
        + b"\n"
        for event in sorted({record.event for record in kept})
        if _is_wrong(event, kept, found)
    ]
    try:
        path.write_bytes(b"".join(lines))
    except OSError as error:
        raise ArgumentError(f"--event-errors: cannot write {path}: {error.strerror}") from None


def _is_wrong(event: str, records: Sequence[LabelledRecord], found: Found) -> bool:
    members = {record.id for record in records if record.event == event}
    groups = {found.events.get(id_) for id_ in members}
    sharing = {record.id for record in records if found.events.get(record.id) in groups}
    return len(groups) > 1 or sharing != members


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
