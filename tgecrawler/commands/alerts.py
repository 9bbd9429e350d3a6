"""``scrapy alerts``: what was found."""

from __future__ import annotations

import io
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tgecrawler.cli import TgeCommand, json_flag, moment, one_of
from tgecrawler.errors import ArgumentError
from tgecrawler.items import KINDS, STATUSES
from tgecrawler.storage.queries import AlertRow, company_names, recent_alerts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from sqlalchemy import Engine


TABLE_COLUMNS = 120  # below, titles would be cut into slivers
PICTURE_COLUMNS = 150
_FONT_ELSEWHERE = re.compile(r"@font-face \{[^}]*\}\s*")


class Command(TgeCommand):
    """Lists stored alerts, newest first."""

    def syntax(self) -> str:
        return "[options]"

    def short_desc(self) -> str:
        return "Show the alerts that were found"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--company", metavar="NAME", help="only of this company")
        parser.add_argument("--kind", metavar="KIND", help=f"only {', '.join(KINDS[:-1])}")
        parser.add_argument("--status", metavar="STATUS", help=f"only {', '.join(STATUSES[:-1])}")
        parser.add_argument(
            "--text", metavar="WORDS", help="only with all of these words; cal* = that begin so"
        )
        parser.add_argument(
            "--since", metavar="WHEN", help="a day, a time, or so long ago: 24h, 7d"
        )
        parser.add_argument("--min-score", metavar="S", type=float, help="only from this score on")
        parser.add_argument("--limit", metavar="N", type=int, default=50, help="at most (50)")
        parser.add_argument("--svg", metavar="FILE", help="draw the table into a picture")
        parser.add_argument(
            "--follow", action="store_true", help="show alerts as they are stored, until Ctrl-C"
        )
        parser.add_argument(
            "--group", metavar="NAME", default="", help="follow on from where this group stopped"
        )
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if opts.follow:
            self._follow(opts)
        elif opts.group:
            raise ArgumentError("--group goes with --follow")
        else:
            self._list(opts)

    def _follow(self, opts: argparse.Namespace) -> None:
        for name in ("text", "since", "svg"):
            if getattr(opts, name):
                raise ArgumentError(f"--follow does not go with --{name}")
        from tgecrawler.stream.following import follow_alerts  # Redis, which no list needs

        wanted = {
            "kind": one_of(opts.kind, KINDS, "kind") if opts.kind else None,
            "status": one_of(opts.status, STATUSES, "status") if opts.status else None,
        }
        company = (opts.company or "").casefold()

        def is_wanted(alert: dict[str, Any]) -> bool:
            return (
                all(value in (None, alert[name]) for name, value in wanted.items())
                and (not company or company in map(str.casefold, alert["companies"]))
                and alert["score"] >= (opts.min_score or 0)
            )

        url = str(self.options()["TGE_REDIS_URL"])
        follow_alerts(url, opts.group, json=opts.json, is_wanted=is_wanted)

    def _list(self, opts: argparse.Namespace) -> None:
        engine = self.open_database()
        alerts = recent_alerts(
            engine,
            company=_company(engine, opts.company),
            kind=one_of(opts.kind, KINDS, "kind") if opts.kind else None,
            status=one_of(opts.status, STATUSES, "status") if opts.status else None,
            text=opts.text,
            since=moment(opts.since, datetime.now(UTC)) if opts.since else None,
            min_score=opts.min_score,
            limit=max(1, opts.limit),
        )
        if opts.json:
            shown = orjson.dumps([alert.as_json() for alert in alerts], option=orjson.OPT_INDENT_2)
            sys.stdout.write(shown.decode() + "\n")
        elif opts.svg:
            draw_alerts(alerts, Path(opts.svg))
        else:
            print_alerts(alerts)


def _company(engine: Engine, name: str | None) -> str | None:
    return one_of(name, company_names(engine), "company") if name else None


def print_alerts(alerts: Sequence[AlertRow], console: Console | None = None) -> None:
    """Print alerts: a table where the terminal is wide enough for one, else a block for each."""
    console = console or Console(file=sys.stdout)
    if not alerts:
        console.print("no alerts yet")
        return
    heading = f"{len(alerts)} alerts, newest first"
    if console.width < TABLE_COLUMNS:
        console.print(Text(heading, style="italic"))
        for alert in alerts:
            console.print(_block(alert))
        return
    table = Table(title=heading, title_justify="left")
    for column in ("published", "kind", "status", "who", "title", "source"):
        table.add_column(column, overflow="fold", no_wrap=column in ("published", "kind"))
    table.add_column("also", justify="right")
    table.add_column("score", justify="right")
    for alert in alerts:
        # Text, not str: rich would take brackets in a title for its own markup
        table.add_row(*map(Text, _cells(alert)))
    console.print(table)


def draw_alerts(alerts: Sequence[AlertRow], path: Path) -> None:
    """Write the table as an SVG picture that fetches nothing from elsewhere.

    Raises:
        ArgumentError: nothing can be written there.
    """
    console = Console(file=io.StringIO(), record=True, width=PICTURE_COLUMNS, force_terminal=True)
    print_alerts(alerts, console)
    picture = console.export_svg(title="scrapy alerts", unique_id="alerts")
    try:
        path.write_text(_FONT_ELSEWHERE.sub("", picture), encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"--svg: cannot write {path}: {error.strerror}") from None


def _cells(alert: AlertRow) -> tuple[str, ...]:
    when = alert.published_at or alert.seen_at
    who = ", ".join(alert.companies) or alert.project
    return (
        f"{when:%Y-%m-%d %H:%M}",
        alert.kind,
        alert.status,
        f"{who} {alert.token and '$' + alert.token}".strip(),
        alert.title,
        alert.source,
        str(alert.duplicates or ""),
        f"{alert.score:.2f}",
    )


def _block(alert: AlertRow) -> Text:
    when, kind, status, who, title, source, also, score = _cells(alert)
    others = f", and {also} more" if also else ""
    block = Text()
    block.append(f"\n{title}\n", style="bold")
    block.append(f"  {who}: {kind}, {status} (score {score})\n")
    block.append(f"  {when} {source}{others}", style="dim")
    return block
