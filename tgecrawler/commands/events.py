"""``scrapy events``: what happens, each with all that tell of it; merges and splits by hand."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tgecrawler.cli import TgeCommand, json_flag, moment, one_of
from tgecrawler.errors import ArgumentError
from tgecrawler.items import KINDS, STATUSES
from tgecrawler.storage.event_queries import (
    SHORTEST_ID,
    EventMentionRow,
    EventRow,
    find_events,
    largest_events,
    mentions_of,
    recent_events,
)
from tgecrawler.storage.queries import company_names
from tgecrawler.storage.writer import Writer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from sqlalchemy import Engine

TABLE_COLUMNS = 120
SHOWN_ID = 12


class Command(TgeCommand):
    """Lists events, those told of last first; shows, joins and parts them."""

    most_arguments = 1_000

    def syntax(self) -> str:
        return "[options] [show EVENT | merge EVENT EVENT... | split EVENT MENTION...]"

    def short_desc(self) -> str:
        return "Show the events that were found, join or part them"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--company", metavar="NAME", help="only of this company")
        parser.add_argument("--kind", metavar="KIND", help=f"only {', '.join(KINDS[:-1])}")
        parser.add_argument("--status", metavar="STATUS", help=f"only {', '.join(STATUSES[:-1])}")
        parser.add_argument(
            "--since", metavar="WHEN", help="told of since a day, a time, or so long ago: 24h, 7d"
        )
        parser.add_argument(
            "--min-confidence", metavar="C", type=float, help="only from this confidence on"
        )
        parser.add_argument("--limit", metavar="N", type=int, default=50, help="at most (50)")
        parser.add_argument(
            "--largest", action="store_true", help="those that most texts tell of first"
        )
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        action, rest = (args[0], args[1:]) if args else ("", [])
        if action and action not in ("show", "merge", "split"):
            raise ArgumentError(f"events knows show, merge and split, not {action!r}")
        engine = self.open_database()
        if action == "show":
            _show(engine, rest, json=opts.json)
        elif action == "merge":
            _merge(self._writer(engine), rest)
        elif action == "split":
            _split(self._writer(engine), rest)
        else:
            _list(engine, opts)

    def _writer(self, engine: Engine) -> Writer:
        return Writer(engine, announces=bool(self.options()["TGE_REDIS_URL"]))


def _list(engine: Engine, opts: argparse.Namespace) -> None:
    limit = max(1, opts.limit)
    events = (
        largest_events(engine, limit)
        if opts.largest
        else recent_events(
            engine,
            company=one_of(opts.company, company_names(engine), "company")
            if opts.company
            else None,
            kind=one_of(opts.kind, KINDS, "kind") if opts.kind else None,
            status=one_of(opts.status, STATUSES, "status") if opts.status else None,
            since=moment(opts.since, datetime.now(UTC)) if opts.since else None,
            min_confidence=opts.min_confidence,
            limit=limit,
        )
    )
    if opts.json:
        _print_json([event.as_json() for event in events])
    else:
        print_events(events, "largest" if opts.largest else "told of last")


def _show(engine: Engine, args: Sequence[str], *, json: bool) -> None:
    if len(args) != 1:
        raise ArgumentError("events show takes the id of one event")
    event = _event(engine, args[0])
    mentions = mentions_of(engine, event.id)
    if json:
        told = [mention.as_json() for mention in mentions]
        _print_json(event.as_json() | {"told_by": told})
    else:
        print_event(event, mentions)


def _merge(writer: Writer, args: Sequence[str]) -> None:
    engine = writer.engine
    if len(args) < 2:
        raise ArgumentError("events merge takes the ids of two events or more")
    events = [_event(engine, arg) for arg in args]
    for event in events:
        if not mentions_of(engine, event.id):
            raise ArgumentError(
                f"the mentions of event {event.id[:SHOWN_ID]} were let go (scrapy db prune); it"
                " stays as it is"
            )
    firsts = list(dict.fromkeys(event.first_mention for event in events))
    if len(firsts) < 2:
        raise ArgumentError("these ids are all of one event already")
    writer.edit_events("merge", firsts)
    # the oldest of them goes on with its id
    print_events([_event(engine, events[0].id)], "merged")


def _split(writer: Writer, args: Sequence[str]) -> None:
    engine = writer.engine
    if len(args) < 2:
        raise ArgumentError("events split takes an event and the mentions that leave it")
    event = _event(engine, args[0])
    known = [mention.id for mention in mentions_of(engine, event.id)]
    chosen = [_one(arg, known, "mention of this event") for arg in args[1:]]
    originals = {m.duplicate_of or m.id for m in mentions_of(engine, event.id)}
    if originals <= set(chosen):
        raise ArgumentError("these are all mentions of the event; one at least must stay")
    changes = writer.edit_events("split", chosen)
    ids = [event.id, *changes.new, *changes.changed]
    found = {one.id: one for id_ in ids for one in find_events(engine, id_)}
    print_events(list(found.values()), "split")


def _event(engine: Engine, id_: str) -> EventRow:
    found = {event.id: event for event in find_events(engine, id_)}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise ArgumentError(f"{id_} begins the ids of {len(found)} events; write more of it")
    raise ArgumentError(
        f"no event {id_}; `scrapy events` lists their ids, {SHORTEST_ID} characters of one do"
    )


def _one(start: str, ids: Sequence[str], what: str) -> str:
    found = [id_ for id_ in ids if id_.startswith(start)] if len(start) >= SHORTEST_ID else []
    if len(found) != 1:
        raise ArgumentError(f"no {what} {start}; `scrapy events show` lists their ids")
    return found[0]


def print_events(events: Sequence[EventRow], heading: str, console: Console | None = None) -> None:
    """Print events: a table where the terminal is wide enough for one, else a block for each."""
    console = console or Console(file=sys.stdout)
    if not events:
        console.print("no events yet")
        return
    title = f"{len(events)} events, {heading}"
    if console.width < TABLE_COLUMNS:
        console.print(Text(title, style="italic"))
        for event in events:
            console.print(_block(event))
        return
    table = Table(title=title, title_justify="left")
    for column in ("id", "last told", "kind", "status", "who", "date", "title"):
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "last told", "kind"))
    for column in ("told by", "copies", "sure"):
        table.add_column(column, justify="right")
    for event in events:
        # Text, not str: rich would take brackets in a title for its own markup
        table.add_row(*map(Text, _cells(event)))
    console.print(table)


def print_event(
    event: EventRow, mentions: Sequence[EventMentionRow], console: Console | None = None
) -> None:
    """Print one event with its history and all that tell of it."""
    console = console or Console(file=sys.stdout)
    console.print(_block(event))
    for step in event.history:
        console.print(Text(f"  {step['at'][:16]}  {step['status']}  ({step['source']})"))
    for mention in mentions:
        when = mention.published_at or mention.seen_at
        line = Text(f"\n{mention.id[:SHOWN_ID]}  {when:%Y-%m-%d %H:%M}  {mention.source}")
        line.append("  copy" if mention.duplicate_of else f"  {mention.status}", style="dim")
        line.append(f"\n  {mention.title}\n  {mention.url}")
        console.print(line, soft_wrap=True)


def _cells(event: EventRow) -> tuple[str, ...]:
    who = ", ".join(event.companies) or event.project
    where = f" on {event.exchange}" if event.kind == "listing" and event.exchange else ""
    return (
        event.id[:SHOWN_ID],
        f"{event.last_seen_at:%Y-%m-%d %H:%M}",
        event.kind,
        event.status,
        f"{who} {event.token and '$' + event.token}".strip() + where,
        event.event_date,
        event.title,
        str(event.owners),
        str(event.copies or ""),
        f"{event.confidence:.2f}",
    )


def _block(event: EventRow) -> Text:
    id_, when, kind, status, who, date, title, _, copies, sure = _cells(event)
    block = Text()
    block.append(f"\n{title}\n", style="bold")
    block.append(f"  {who}: {kind}, {status}{date and ', ' + date} (confidence {sure})\n")
    told = f"{_count(event.mentions, 'mention')} of {_count(event.owners, 'owner')}"
    if copies:
        told += f", {copies} {'copy' if copies == '1' else 'copies'}"
    block.append(f"  {id_}  {when}  {told}", style="dim")
    return block


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _print_json(shown: object) -> None:
    sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() + "\n")
