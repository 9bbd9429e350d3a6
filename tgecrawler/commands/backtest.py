"""``scrapy backtest``: what other rules would change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text as Cell

from tgecrawler.archive.texts import is_archive, read_texts
from tgecrawler.archive.warc import WarcIndex
from tgecrawler.cli import TgeCommand, json_flag
from tgecrawler.commands.evaluate import read_labelled
from tgecrawler.config.loader import load_sources, load_watchlist
from tgecrawler.domain.backtest import compare, text_of
from tgecrawler.errors import ArgumentError
from tgecrawler.runtime import load_assessor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from tgecrawler.domain.backtest import Change, Comparison, Text
    from tgecrawler.domain.relevance import Assessor
    from tgecrawler.options import Value

TAKES = "an archive (.warc, .warc.gz or a folder of them) or a labelled file (JSON lines)"
RULES = {
    "lexicon": ("TGE_LEXICON", "lexicon.yaml"),
    "weights": ("TGE_WEIGHTS", "weights.tsv"),
    "watchlist": ("TGE_WATCHLIST", "watchlist.yaml"),
}
CUES_SHOWN = 3  # in the table; --json has more


class Command(TgeCommand):
    """Judges the texts of an archive, or labelled ones, by the present rules and by new ones.

    Exit code 1: F1 on a labelled file fell, or --fail-on-change and an alert
    was gained or lost.
    """

    most_arguments = 1

    def syntax(self) -> str:
        return "[options] <ARCHIVE | FILE.jsonl>"

    def short_desc(self) -> str:
        return "Show the alerts that new rules would gain and lose"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        for name, (option, file) in RULES.items():
            help_ = f"the new {file}; without it, that of {option}"
            parser.add_argument(f"--{name}", metavar="NEW", help=help_)
        parser.add_argument(
            "--fail-on-change", action="store_true", help="exit code 1 if any alert changed"
        )
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> int:
        if not args:
            raise ArgumentError(f"backtest takes {TAKES}")
        comparison = self._compare(Path(args[0]), _new_rules(opts))
        if opts.json:
            shown = orjson.dumps(comparison.as_dict(), option=orjson.OPT_INDENT_2)
            sys.stdout.write(shown.decode() + "\n")
        else:
            print_comparison(comparison)
        return int(comparison.f1_change < 0 or (opts.fail_on_change and comparison.changed))

    def _compare(self, path: Path, new: dict[str, Value]) -> Comparison:
        """Return what the new options change; ArgumentError where there is nothing to judge."""
        options = self.options()
        archived = _is_archive(path)
        # labelled records are judged as `scrapy evaluate` judges them
        discovery = None if archived else True
        rules = [_assessor(given, discovery) for given in (options, {**options, **new})]
        texts = _archived(path, options) if archived else map(text_of, read_labelled(path))
        comparison = compare(texts, *rules)
        if not comparison.texts:
            raise ArgumentError(f"{path} holds {_nothing(archived)}; name {TAKES}")
        return comparison


def print_comparison(comparison: Comparison) -> None:
    """Print a table of the alerts that changed, where there are any, and one line in sum."""
    if comparison.changed:
        table = Table()
        table.add_column("alert")
        table.add_column("score", no_wrap=True)
        for column in ("kind", "title", "cues that changed most"):
            table.add_column(column, overflow="fold")
        for change in (*comparison.gained, *comparison.lost):
            # Cell, not str: rich would take brackets in a title for its own markup
            table.add_row(*map(Cell, _cells(change)))
        Console(file=sys.stdout).print(table)
    print(summary(comparison))


def summary(comparison: Comparison) -> str:
    """Return the comparison in one line."""
    before, after = comparison.before, comparison.after
    line = (
        f"{comparison.texts} texts: {before.alerts} alerts before, {after.alerts} after; "
        f"{_count(comparison.gained, 'gained')}, {_count(comparison.lost, 'lost')}"
    )
    if before.report and after.report:
        figures = (
            f"{name} {getattr(before.report, key):.3f} → {getattr(after.report, key):.3f}"
            for name, key in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
        )
        line += f"; {', '.join(figures)}: {_verdict(comparison.f1_change)}"
    if before.rules_version == after.rules_version:
        line += " (the new rules are the present ones)"
    return line


def _new_rules(opts: argparse.Namespace) -> dict[str, Value]:
    """Return the options of the new rules, as far as they are given."""
    given = {option: getattr(opts, name) for name, (option, _) in RULES.items()}
    new = {option: path for option, path in given.items() if path is not None}
    if not new:
        raise ArgumentError(
            "backtest compares with new rules; give --lexicon, --weights or --watchlist NEW"
        )
    return new


def _is_archive(path: Path) -> bool:
    try:
        return is_archive(path)
    except FileNotFoundError:
        raise ArgumentError(f"there is no file {path}; name {TAKES}") from None
    except OSError as error:
        raise ArgumentError(f"cannot read {path}: {error.strerror}; name {TAKES}") from None


def _assessor(options: dict[str, Value], discovery: bool | None) -> Assessor:
    watchlist = load_watchlist(str(options["TGE_WATCHLIST"]))
    return load_assessor(options, watchlist, discovery=discovery)


def _archived(path: Path, options: dict[str, Value]) -> Iterator[Text]:
    """Return the texts of an archive, without the listing pages of the sources."""
    index = WarcIndex.open(path)
    for warning in index.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sites = load_sources(str(options["TGE_SOURCES"])).sites
    return read_texts(path, index, besides=[site.listing for site in sites if site.listing])


def _nothing(archived: bool) -> str:
    return "no feed's entry and no page" if archived else "no record"


def _count(changes: Sequence[Change], what: str) -> str:
    """Return how many alerts were gained or lost and, if they are labelled, how many rightly."""
    verdicts = [change.right for change in changes]
    if not verdicts or None in verdicts:
        return f"{len(verdicts)} {what}"
    return f"{len(verdicts)} {what} ({verdicts.count(True)} rightly)"


def _verdict(f1_change: float) -> str:
    if not f1_change:
        return "no worse"
    return "better" if f1_change > 0 else "worse"


def _cells(change: Change) -> tuple[str, ...]:
    what = "gained" if change.gained else "lost"
    verdict = {True: "\nright", False: "\nwrong", None: ""}[change.right]
    cues = [f"{cue.cue} {cue.before:+.2f} → {cue.after:+.2f}" for cue in change.cues()]
    when = "before" if change.gained else "now"
    lacks = [f"{when}: {'; '.join(change.missing)}"] if change.missing else []
    return (
        f"{what}{verdict}",
        f"{change.before.score:.2f} → {change.after.score:.2f}",
        change.kind,
        change.text.heading,
        "\n".join([*cues[:CUES_SHOWN], *lacks]),
    )
